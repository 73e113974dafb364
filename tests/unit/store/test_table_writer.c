/* Writes of the log on their way to the tables: order, transactions, trouble, the end. */
#include "store/table_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "writer_bed.h"

static void test_writes__run_and_are_done_in_order(void **state)
{
    (void)state;
    enum { MANY = 500 };
    struct put *puts = mem_zalloc(MANY, sizeof *puts);
    bed.next_done = 1;
    for (unsigned i = 0; i < MANY; i++) {
        puts[i].value = i + 1;
        bed_put(&puts[i]);
        if (i % 3 == 2) {
            table_writer_entry_end(bed.writer, i + 10);
        }
        if (i % 50 == 49) {
            bed_turn();
        }
    }
    table_writer_entry_end(bed.writer, MANY + 10);
    bed_turn_until(&puts[MANY - 1].done, 1);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(puts[i].runs, 1);
        assert_int_equal(puts[i].done, 1);
        assert_int_equal(puts[i].ran_on, THREAD_DB);
    }
    assert_int_equal(bed_rows(), MANY);
    assert_int_equal(bed_applied_index(), MANY + 10);
    struct table_writer_stats stats = table_writer_stats(bed.writer);
    assert_int_equal(stats.writes_waiting, 0);
    assert_int_equal(stats.bytes_waiting, 0);
    assert_int_equal(stats.index_written, MANY + 10);
    mem_free(puts);
}

static void test_entry__not_ended__is_not_written(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    bed_put(&p);
    bed_turn();
    assert_int_equal(table_writer_stats(bed.writer).writes_waiting, 1);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
    table_writer_entry_end(bed.writer, 7);
    assert_int_equal(table_writer_deadline(bed.writer), 0);
    bed_turn_until(&p.done, 1);
    assert_int_equal(bed_applied_index(), 7);
}

/* What waits behind a transaction becomes the next ones, cut between entries only. */
static void expect_cut(size_t bytes_each, unsigned first, unsigned second, unsigned transactions)
{
    struct put gate = {.value = -1, .is_gate = true};
    struct put *puts = mem_zalloc(first + second, sizeof *puts);
    bed_put(&gate);
    table_writer_entry_end(bed.writer, 1);
    bed_turn();
    bed_wait(&bed.at_gate, 1);
    for (unsigned i = 0; i < first + second; i++) {
        puts[i].value = i;
        puts[i].w.bytes = bytes_each;
        bed_put(&puts[i]);
        if (i + 1 == first) {
            table_writer_entry_end(bed.writer, 2);
        }
    }
    table_writer_entry_end(bed.writer, 5);
    bed_turn();
    assert_int_equal(table_writer_stats(bed.writer).writes_waiting, first + second + 1);
    bed_open_gate();
    bed_turn_until(&puts[first + second - 1].done, 1);
    assert_int_equal(table_writer_stats(bed.writer).transactions, transactions);
    static const struct db_stmt held = {.name = "held",
                                        .sql_sqlite = "SELECT sum(held) FROM t WHERE value >= 0"};
    struct db *db = scratch_open(bed.scratch.db, NULL);
    int64_t expected = transactions == 2 ? first + second : first + 2 * (int64_t)second;
    assert_int_equal(scratch_number(db, &held), expected);
    db_destroy(db);
    assert_int_equal(bed_applied_index(), 5);
    mem_free(puts);
}

static void test_batch__small_entries__share_a_transaction(void **state)
{
    (void)state;
    expect_cut(100, 3, 4, 2);
}

static void test_batch__too_many_writes__is_cut_between_entries(void **state)
{
    (void)state;
    expect_cut(1, TABLE_WRITER_BATCH_WRITES - 1, 2, 3);
}

static void test_batch__too_many_bytes__is_cut_between_entries(void **state)
{
    (void)state;
    expect_cut(TABLE_WRITER_BATCH_BYTES / 4, 3, 2, 3);
}

static void test_batch__one_entry_over_the_limit__is_one_transaction(void **state)
{
    (void)state;
    expect_cut(TABLE_WRITER_BATCH_BYTES, 3, 1, 3);
}

static void test_index__is_in_the_transaction_of_its_writes(void **state)
{
    (void)state;
    struct put first = {.value = 1};
    struct put bad = {.value = 2, .fails = 1, .fail_with = E_FULL, .is_out_of_sight = true};
    bed_put(&first);
    bed_put(&bad);
    table_writer_entry_end(bed.writer, 4);
    bed_turn_until_back();
    assert_int_equal(bed_rows(), 0);
    assert_int_equal(bed_applied_index(), 0);
    assert_int_equal(first.done + bad.done, 0);
    bed.now.mono_ms += TABLE_WRITER_RETRY_MS;
    bed_turn_until(&bad.done, 1);
    assert_int_equal(first.runs, 2);
    assert_int_equal(bed_rows(), 2);
    assert_int_equal(bed_applied_index(), 4);
}

static void test_entries_without_writes__move_the_index_after_a_while(void **state)
{
    (void)state;
    for (uint64_t index = 1; index <= 100; index++) {
        table_writer_entry_end(bed.writer, index);
        bed_turn();
    }
    assert_int_equal(table_writer_stats(bed.writer).transactions, 0);
    assert_int_equal(table_writer_stats(bed.writer).index_applied, 100);
    assert_int_equal(table_writer_stats(bed.writer).index_written, 0);
    assert_int_equal(table_writer_deadline(bed.writer), bed.now.mono_ms + TABLE_WRITER_LAZY_MS);
    bed.now.mono_ms += TABLE_WRITER_LAZY_MS - 1;
    bed_turn();
    assert_int_equal(table_writer_deadline(bed.writer), bed.now.mono_ms + 1);
    bed.now.mono_ms += 1;
    bed_turn_until_back();
    assert_int_equal(table_writer_stats(bed.writer).transactions, 1);
    assert_int_equal(bed_applied_index(), 100);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
}

static void test_entries_without_writes__go_along_with_the_next_write(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    table_writer_entry_end(bed.writer, 1);
    bed_turn();
    bed_put(&p);
    table_writer_entry_end(bed.writer, 2);
    table_writer_entry_end(bed.writer, 3);
    bed_turn_until(&p.done, 1);
    assert_int_equal(table_writer_stats(bed.writer).transactions, 1);
    assert_int_equal(bed_applied_index(), 3);
}

static void test_entries_of_an_earlier_life__are_ignored(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    bed_write_one(&p, 20);
    bed_stop();
    bed_start_at(20);
    table_writer_entry_end(bed.writer, 12);
    table_writer_entry_end(bed.writer, 20);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
    struct put next = {.value = 2};
    bed_write_one(&next, 21);
    assert_int_equal(bed_applied_index(), 21);
}

static void expect_retries(int err)
{
    struct put p = {.value = 1, .fails = 3, .fail_with = err};
    struct fail fail = {0};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 1);
    bed_turn_until_back();
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(p.runs, i);
        assert_int_equal(table_writer_trouble(bed.writer, &fail), err);
        assert_string_equal(
            fail.text, "the tables take no writes, tried again every 500 ms: the test says so");
        assert_int_equal(table_writer_deadline(bed.writer),
                         bed.now.mono_ms + TABLE_WRITER_RETRY_MS);
        bed.now.mono_ms += TABLE_WRITER_RETRY_MS - 1;
        bed_turn();
        bed.now.mono_ms += 1;
        unsigned wakes = bed.wakes;
        bed_turn(); /* goes out */
        bed_wait(&bed.wakes, wakes + 1);
        bed_turn(); /* is back */
    }
    assert_int_equal(p.done, 1);
    assert_int_equal(p.runs, 4);
    assert_int_equal(table_writer_trouble(bed.writer, NULL), 0);
    assert_int_equal(table_writer_stats(bed.writer).retries, 3);
    assert_int_equal(bed.fatal, 0);
    assert_int_equal(bed_applied_index(), 1);
}

static void test_disk_full__is_tried_again_and_told_meanwhile(void **state)
{
    (void)state;
    expect_retries(E_FULL);
}

static void test_disk_error__is_tried_again_and_told_meanwhile(void **state)
{
    (void)state;
    expect_retries(E_IO);
}

static void test_slow_database__is_tried_again_and_told_meanwhile(void **state)
{
    (void)state;
    expect_retries(E_TIMEOUT);
}

static void test_retry__first_attempt_was_committed_after_all__is_not_written_twice(void **state)
{
    (void)state;
    struct put p = {.value = 1, .fails = 1, .fail_with = E_IO};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 3);
    bed_turn_until_back();
    struct db *db = scratch_open(bed.scratch.db, NULL);
    scratch_script(db, "UPDATE applied SET log_index = 3; INSERT INTO t (value) VALUES (1)");
    db_destroy(db);
    bed.now.mono_ms += TABLE_WRITER_RETRY_MS;
    bed_turn_until(&p.done, 1);
    assert_int_equal(p.runs, 1);
    assert_int_equal(bed.fatal, 0);
    assert_int_equal(table_writer_stats(bed.writer).index_written, 3);
}

static void test_retry__what_came_meanwhile__follows(void **state)
{
    (void)state;
    struct put p = {.value = 1, .fails = 1, .fail_with = E_BUSY};
    struct put next = {.value = 2};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 1);
    bed_turn_until_back();
    bed_put(&next);
    table_writer_entry_end(bed.writer, 2);
    bed_turn();
    assert_int_equal(next.runs, 0);
    bed.now.mono_ms += TABLE_WRITER_RETRY_MS;
    bed_turn_until(&next.done, 1);
    assert_int_equal(p.runs, 2);
    assert_int_equal(bed_applied_index(), 2);
}

static void test_damage__is_fatal_once(void **state)
{
    (void)state;
    struct put p = {.value = 1, .fails = 9, .fail_with = E_CORRUPT};
    struct put next = {.value = 2};
    struct fail fail = {0};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 1);
    bed_turn_until_back();
    assert_int_equal(bed.fatal, 1);
    assert_int_equal(bed.why.code, E_CORRUPT);
    assert_string_equal(bed.why.text,
                        "the tables cannot follow the log after entry 0: the test says so");
    bed_put(&next);
    table_writer_entry_end(bed.writer, 2);
    bed.now.mono_ms += 10 * TABLE_WRITER_RETRY_MS;
    bed_turn();
    assert_int_equal(bed.fatal, 1);
    assert_int_equal(next.runs, 0);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), E_CORRUPT);
    struct look l = {.seen = 0};
    assert_int_equal(bed_look(&l, &fail), E_CORRUPT);
    bed_stop();
    assert_int_equal(p.done + next.done, 2);
    assert_int_equal(l.done, 0);
}

static void test_index_is_there_already__is_fatal(void **state)
{
    (void)state;
    struct db *db = scratch_open(bed.scratch.db, NULL);
    scratch_script(db, "UPDATE applied SET log_index = 9");
    db_destroy(db);
    struct put p = {.value = 1};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 3);
    bed_turn_until_back();
    assert_int_equal(bed.fatal, 1);
    assert_int_equal(bed.why.code, E_CONFLICT);
    assert_int_equal(bed_rows(), 0);
    bed_stop(); /* ends p */
}

static void test_trouble__too_much_waits__is_a_limit(void **state)
{
    (void)state;
    struct put puts[2] = {{.value = 1, .w.bytes = TABLE_WRITER_BYTES_MAX - 1},
                          {.value = 2, .w.bytes = 1}};
    struct fail fail = {0};
    bed_put(&puts[0]);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), 0);
    bed_put(&puts[1]);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), E_LIMIT);
    assert_string_equal(fail.text,
                        "100663296 bytes wait for the tables already, the limit is 100663296");
    table_writer_entry_end(bed.writer, 1); /* what is in the log is taken all the same */
    bed_turn_until(&puts[1].done, 1);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), 0);
}

static void test_stop__a_transaction_is_out__it_counts(void **state)
{
    (void)state;
    struct put gate = {.value = 1, .is_gate = true};
    struct put next = {.value = 2};
    bed_put(&gate);
    table_writer_entry_end(bed.writer, 1);
    bed_turn();
    bed_wait(&bed.at_gate, 1);
    bed_put(&next);
    table_writer_entry_end(bed.writer, 2);
    table_writer_stop(bed.writer);
    bed_open_gate();
    bed_turn_until(&gate.done, 1);
    bed_turn();
    assert_int_equal(next.runs + next.done, 0);
    assert_int_equal(table_writer_stats(bed.writer).index_written, 1);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
    bed_stop();
    assert_int_equal(next.done, 1);
    assert_int_equal(bed.fatal, 0);
    assert_int_equal(bed_applied_index(), 1);
}

static void test_worker_stops__is_not_fatal(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 1);
    db_worker_stop(bed.worker);
    bed_turn();
    assert_int_equal(table_writer_trouble(bed.writer, NULL), E_CLOSED);
    struct look l = {.seen = 0};
    assert_int_equal(bed_look(&l, NULL), E_CLOSED);
    bed_stop();
    assert_int_equal(p.done, 1);
    assert_int_equal(p.runs, 0);
    assert_int_equal(bed.fatal, 0);
}

static void test_destroy__ends_all_that_waits(void **state)
{
    (void)state;
    struct put puts[4] = {{.value = 1, .fails = 9, .fail_with = E_FULL}};
    struct look l = {.seen = -1};
    bed_put(&puts[0]);
    table_writer_entry_end(bed.writer, 1);
    bed_turn_until_back();
    bed_put(&puts[1]);
    bed_put(&puts[2]);
    table_writer_entry_end(bed.writer, 2);
    bed_put(&puts[3]);
    assert_int_equal(bed_look(&l, NULL), 0);
    bed_stop();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(puts[i].done, 1);
    }
    assert_int_equal(l.done, 1);
    assert_int_equal(l.job.err, E_CLOSED);
    table_writer_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        TEST(test_writes__run_and_are_done_in_order),
        TEST(test_entry__not_ended__is_not_written),
        TEST(test_batch__small_entries__share_a_transaction),
        TEST(test_batch__too_many_writes__is_cut_between_entries),
        TEST(test_batch__too_many_bytes__is_cut_between_entries),
        TEST(test_batch__one_entry_over_the_limit__is_one_transaction),
        TEST(test_index__is_in_the_transaction_of_its_writes),
        TEST(test_entries_without_writes__move_the_index_after_a_while),
        TEST(test_entries_without_writes__go_along_with_the_next_write),
        TEST(test_entries_of_an_earlier_life__are_ignored),
        TEST(test_disk_full__is_tried_again_and_told_meanwhile),
        TEST(test_disk_error__is_tried_again_and_told_meanwhile),
        TEST(test_slow_database__is_tried_again_and_told_meanwhile),
        TEST(test_retry__first_attempt_was_committed_after_all__is_not_written_twice),
        TEST(test_retry__what_came_meanwhile__follows),
        TEST(test_damage__is_fatal_once),
        TEST(test_index_is_there_already__is_fatal),
        TEST(test_trouble__too_much_waits__is_a_limit),
        TEST(test_stop__a_transaction_is_out__it_counts),
        TEST(test_worker_stops__is_not_fatal),
        TEST(test_destroy__ends_all_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
