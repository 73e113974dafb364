/* Who waits for the tables: reads on core, and threads that want an entry on the disk. */
#include "store/table_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "writer_bed.h"

static void test_read__nothing_is_missing__goes_at_once(void **state)
{
    (void)state;
    struct look l = {.seen = -1};
    table_writer_entry_end(bed.writer, 1); /* without writes */
    assert_int_equal(bed_look(&l, NULL), 0);
    bed_turn_until(&l.done, 1);
    assert_int_equal(l.job.err, 0);
    assert_int_equal(l.seen, 0);
    assert_int_equal(table_writer_stats(bed.writer).transactions, 0);
}

static void test_read__waits_for_what_is_applied(void **state)
{
    (void)state;
    struct put gate = {.value = 1, .is_gate = true};
    struct put p = {.value = 2};
    struct look looks[2] = {{.seen = -1}, {.seen = -1}};
    bed_put(&gate);
    table_writer_entry_end(bed.writer, 1);
    bed_turn();
    bed_wait(&bed.at_gate, 1);
    assert_int_equal(bed_look(&looks[0], NULL), 0);
    bed_put(&p);
    assert_int_equal(bed_look(&looks[1], NULL), 0); /* in the middle of the entry */
    table_writer_entry_end(bed.writer, 2);
    bed_turn();
    assert_int_equal(looks[0].done + looks[1].done, 0);
    bed_open_gate();
    bed_turn_until(&looks[1].done, 1);
    assert_int_equal(looks[0].done, 1);
    assert_in_range(looks[0].seen, 1, 2);
    assert_int_equal(looks[1].seen, 2);
}

static void test_read__in_trouble__times_out_with_the_reason(void **state)
{
    (void)state;
    struct put p = {.value = 1, .fails = 100, .fail_with = E_FULL};
    struct look before = {.seen = -1};
    struct look late = {.seen = -1};
    struct look soon = {.job = {.wait_ms_max = 100}, .seen = -1};
    bed_put(&p);
    assert_int_equal(bed_look(&before, NULL), 0);
    table_writer_entry_end(bed.writer, 1);
    bed_turn_until_back();
    assert_int_equal(bed_look(&late, NULL), 0);
    assert_int_equal(bed_look(&soon, NULL), 0);
    assert_int_equal(table_writer_deadline(bed.writer), 0);
    bed_turn();
    assert_int_equal(table_writer_deadline(bed.writer), bed.now.mono_ms + 100);
    bed.now.mono_ms += 100;
    bed_turn();
    assert_int_equal(soon.done, 1);
    assert_int_equal(soon.job.err, E_TIMEOUT);
    assert_non_null(strstr(soon.job.fail.text, "the test says so"));
    bed.now.mono_ms += TABLE_WRITER_READ_WAIT_MS - 101;
    bed_turn();
    assert_int_equal(late.done, 0);
    bed.now.mono_ms += 1;
    bed_turn();
    assert_int_equal(late.done, 1);
    assert_int_equal(late.job.err, E_TIMEOUT);
    assert_int_equal(before.done, 1);
    assert_int_equal(before.job.err, E_TIMEOUT);
    bed_stop(); /* ends p */
}

static void test_read_now__in_trouble__sees_what_the_tables_hold(void **state)
{
    (void)state;
    struct put first = {.value = 1};
    bed_write_one(&first, 1);
    struct put p = {.value = 2, .fails = 100, .fail_with = E_FULL};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 2);
    bed_turn_until_back();
    struct look l = {.job = {.lane = DB_LANE_READ, .run = bed_run_look, .done = bed_look_done},
                     .seen = -1};
    assert_int_equal(table_writer_read_now(bed.writer, &l.job, NULL), 0);
    bed_turn_until(&l.done, 1);
    assert_int_equal(l.job.err, 0);
    assert_int_equal(l.seen, 1);
    bed_stop(); /* ends p */
}

static void test_read__in_trouble_but_nothing_is_missing__goes_at_once(void **state)
{
    (void)state;
    struct put first = {.value = 1};
    bed_write_one(&first, 1);
    struct put p = {.value = 2, .fails = 100, .fail_with = E_FULL};
    struct look l = {.seen = -1};
    assert_int_equal(bed_look(&l, NULL), 0);
    bed_put(&p);
    table_writer_entry_end(bed.writer, 2);
    bed_turn_until(&l.done, 1);
    assert_int_equal(l.seen, 1);
    bed_stop(); /* ends p */
}

static void test_read__behind_much_that_gets_through__does_not_time_out(void **state)
{
    (void)state;
    struct put gate = {.value = 1, .is_gate = true};
    struct put puts[2] = {{.value = 2, .w.bytes = TABLE_WRITER_BATCH_BYTES},
                          {.value = 3, .w.bytes = TABLE_WRITER_BATCH_BYTES}};
    struct look l = {.seen = -1};
    bed_put(&gate);
    table_writer_entry_end(bed.writer, 1);
    bed_turn();
    bed_wait(&bed.at_gate, 1);
    for (unsigned i = 0; i < 2; i++) {
        bed_put(&puts[i]);
        table_writer_entry_end(bed.writer, i + 2);
    }
    assert_int_equal(bed_look(&l, NULL), 0);
    bed_turn();
    bed_open_gate();
    while (l.done == 0) {
        unsigned wakes = bed.wakes;
        bed.now.mono_ms += TABLE_WRITER_READ_WAIT_MS - 1; /* a transaction takes that long */
        uint64_t before = table_writer_stats(bed.writer).transactions;
        bed_turn();
        while (l.done == 0 && table_writer_stats(bed.writer).transactions == before) {
            bed_wait(&bed.wakes, wakes + 1);
            wakes = bed.wakes;
            bed_turn();
        }
    }
    assert_int_equal(l.job.err, 0);
    assert_int_equal(l.seen, 3);
}

static void test_reads__as_many_as_may_wait__then_refused(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    struct look *looks = mem_zalloc(TABLE_WRITER_READS_MAX + 1, sizeof *looks);
    struct fail fail = {0};
    bed_put(&p);
    for (unsigned i = 0; i < TABLE_WRITER_READS_MAX; i++) {
        assert_int_equal(bed_look(&looks[i], NULL), 0);
    }
    assert_int_equal(bed_look(&looks[TABLE_WRITER_READS_MAX], &fail), E_LIMIT);
    assert_string_equal(fail.text, "4096 queries wait for the tables already");
    bed_stop();
    for (unsigned i = 0; i < TABLE_WRITER_READS_MAX; i++) {
        assert_int_equal(looks[i].done, 1);
        assert_int_equal(looks[i].job.err, E_CLOSED);
    }
    mem_free(looks);
}

/* A thread that waits for an index. */
struct waiter {
    pthread_t thread;
    uint64_t index;
    uint64_t wait_ms;
    int err;
    struct fail fail;
    unsigned is_back;
};

static void *wait_main(void *arg)
{
    struct waiter *w = arg;
    thread_become(THREAD_NONE, "waiter");
    w->err = table_writer_wait_durable(bed.writer, w->index, w->wait_ms, &w->fail);
    bed_add(&w->is_back);
    bed_add(&bed.wakes);
    return NULL;
}

static void start_waiter(struct waiter *w)
{
    assert_int_equal(thread_start(&w->thread, wait_main, w), 0);
}

static void test_wait_durable__until_the_writes_are_in_the_file(void **state)
{
    (void)state;
    struct put p = {.value = 1, .is_gate = true};
    struct waiter w = {.index = 2, .wait_ms = WAIT_S * 1000};
    bed_put(&p);
    table_writer_entry_end(bed.writer, 2);
    start_waiter(&w);
    bed_turn();
    bed_wait(&bed.at_gate, 1);
    bed_open_gate();
    bed_turn_until(&w.is_back, 1);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.err, 0);
    char wal[160];
    assert_int_equal(scratch_size(scratch_path(&bed.scratch, "data.db-wal", wal)), 0);
    assert_int_equal(bed_applied_index(), 2);
}

static void test_wait_durable__of_entries_without_writes__is_not_lazy(void **state)
{
    (void)state;
    struct waiter w = {.index = 5, .wait_ms = WAIT_S * 1000};
    table_writer_entry_end(bed.writer, 5);
    start_waiter(&w);
    /* The test's time stands still: only the wish of the waiter makes the transaction. */
    for (uint64_t begin = clock_mono_ms();
         table_writer_stats(bed.writer).index_written < 5 && clock_mono_ms() < begin + 20000;) {
        bed_turn();
    }
    bed_turn_until(&w.is_back, 1);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.err, 0);
    assert_int_equal(bed_applied_index(), 5);
}

static void test_wait_durable__not_in_time__says_where_the_tables_are(void **state)
{
    (void)state;
    struct waiter w = {.index = 8, .wait_ms = 1};
    start_waiter(&w);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.err, E_TIMEOUT);
    assert_string_equal(w.fail.text, "the tables are at log entry 0 after 1 ms, and not at 8");
}

static void test_wait_durable__writer_stops__is_closed(void **state)
{
    (void)state;
    struct waiter w = {.index = 8, .wait_ms = WAIT_S * 1000};
    struct fail fail = {0};
    start_waiter(&w);
    table_writer_stop(bed.writer);
    table_writer_stop(bed.writer);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.err, E_CLOSED);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), E_CLOSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bed_setup, bed_teardown)

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        TEST(test_read__nothing_is_missing__goes_at_once),
        TEST(test_read__waits_for_what_is_applied),
        TEST(test_read__in_trouble__times_out_with_the_reason),
        TEST(test_read_now__in_trouble__sees_what_the_tables_hold),
        TEST(test_read__in_trouble_but_nothing_is_missing__goes_at_once),
        TEST(test_read__behind_much_that_gets_through__does_not_time_out),
        TEST(test_reads__as_many_as_may_wait__then_refused),
        TEST(test_wait_durable__until_the_writes_are_in_the_file),
        TEST(test_wait_durable__of_entries_without_writes__is_not_lazy),
        TEST(test_wait_durable__not_in_time__says_where_the_tables_are),
        TEST(test_wait_durable__writer_stops__is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
