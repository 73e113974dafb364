#include "store/table_writer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "scratch.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/migrate.h"

#define WAIT_S 20

static const struct db_stmt insert = {.name = "insert",
                                      .sql_sqlite = "INSERT INTO t (value, held) VALUES (?, ?)"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};

/* What the test's threads share. Time is the test's. */
static struct {
    struct scratch scratch;
    struct db_worker *worker;
    struct table_writer *writer;
    struct now now;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    unsigned wakes;
    unsigned at_gate;
    bool is_open;
    unsigned fatal;
    struct fail why;   /* of fatal */
    int64_t next_done; /* value of the put that must be done next; 0: not asked */
} bed;

struct put {
    struct table_write w;
    int64_t value;
    unsigned fails; /* how many runs end with fail_with */
    int fail_with;
    bool is_gate;         /* waits for open_gate in run */
    bool is_out_of_sight; /* fails after its insert */
    unsigned runs;
    unsigned done;
    enum thread_kind ran_on;
};

struct look {
    struct db_job job;
    int64_t seen;
    unsigned done;
};

static void wait_change(const unsigned *number, unsigned least)
{
    struct timespec end;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
    end.tv_sec += WAIT_S;
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    int err = 0;
    while (*number < least && err == 0) {
        err = pthread_cond_timedwait(&bed.changed, &bed.lock, &end);
    }
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
    assert_int_equal(err, 0);
}

static void add(unsigned *number)
{
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    ++*number;
    assert_int_equal(pthread_cond_broadcast(&bed.changed), 0);
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

static void wake(void *self)
{
    assert_ptr_equal(self, &bed);
    add(&bed.wakes);
}

static void open_gate(void)
{
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    bed.is_open = true;
    assert_int_equal(pthread_cond_broadcast(&bed.changed), 0);
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

static void pass_gate(void)
{
    add(&bed.at_gate);
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    while (!bed.is_open) {
        assert_int_equal(pthread_cond_wait(&bed.changed, &bed.lock), 0);
    }
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

static int open_one(void *self, bool is_writer, struct db **ret_db, struct fail *fail)
{
    (void)self;
    return db_sqlite_open(bed.scratch.db,
                          &(struct db_sqlite_options){.is_reader = !is_writer, .must_exist = true},
                          ret_db, fail);
}

static void on_fatal(void *self, const struct fail *why)
{
    assert_ptr_equal(self, &bed);
    bed.fatal++;
    bed.why = *why;
}

/* The row as another connection sees it. */
static uint64_t applied_index(void)
{
    struct db *db = scratch_open(bed.scratch.db, &(struct db_sqlite_options){.is_reader = true});
    struct applied now = {0};
    assert_int_equal(applied_get(db, &now, NULL), 0);
    db_destroy(db);
    return now.index;
}

static int64_t rows(void)
{
    struct db *db = scratch_open(bed.scratch.db, &(struct db_sqlite_options){.is_reader = true});
    int64_t n = scratch_number(db, &count);
    db_destroy(db);
    return n;
}

static void start_at(uint64_t index)
{
    struct db_worker_options worker = {.open = open_one, .wake = wake, .self = &bed};
    struct fail fail = {0};
    assert_int_equal(db_worker_create(&worker, &bed.worker, &fail), 0);
    bed.writer = table_writer_create(&(struct table_writer_options){.worker = bed.worker,
                                                                    .path = bed.scratch.db,
                                                                    .index = index,
                                                                    .on_fatal = on_fatal,
                                                                    .self = &bed});
}

static int setup(void **state)
{
    (void)state;
    memset(&bed, 0, sizeof bed);
    bed.now.mono_ms = 5000;
    assert_int_equal(pthread_mutex_init(&bed.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&bed.changed, NULL), 0);
    scratch_init(&bed.scratch);
    struct db *db = scratch_open(bed.scratch.db, NULL);
    static const struct migration_set *const sets[] = {&migrate_store};
    assert_int_equal(migrate_run(db, sets, 1, NULL), 0);
    scratch_script(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, value INTEGER UNIQUE, "
                       "held INTEGER) STRICT");
    db_destroy(db);
    start_at(0);
    return 0;
}

static void stop(void)
{
    db_worker_destroy(bed.worker);
    bed.worker = NULL;
    table_writer_destroy(bed.writer);
    bed.writer = NULL;
}

static int teardown(void **state)
{
    (void)state;
    open_gate();
    stop();
    scratch_close(&bed.scratch);
    assert_int_equal(pthread_cond_destroy(&bed.changed), 0);
    assert_int_equal(pthread_mutex_destroy(&bed.lock), 0);
    return 0;
}

static int run_put(struct table_write *w, struct db *db, struct fail *fail)
{
    struct put *p = CONTAINER_OF(w, struct put, w);
    p->runs++;
    p->ran_on = thread_kind();
    if (p->is_gate) {
        pass_gate();
    }
    bool must_fail = p->runs <= p->fails;
    if (must_fail && !p->is_out_of_sight) {
        return fail_set(fail, p->fail_with, "the test says so");
    }
    struct applied held = {0};
    struct db_query *q = NULL;
    int err = applied_get(db, &held, fail);
    if (!err) {
        err = db_query(db, &insert, &q, fail);
    }
    if (err) {
        return err;
    }
    db_bind_int64(q, p->value);
    db_bind_int64(q, (int64_t)held.index); /* what the tables held before this transaction */
    err = db_exec(q, NULL, fail);
    return !err && must_fail ? fail_set(fail, p->fail_with, "the test says so") : err;
}

static void put_done(struct table_write *take_w)
{
    struct put *p = CONTAINER_OF(take_w, struct put, w);
    p->done++;
    if (bed.next_done) {
        assert_int_equal(p->value, bed.next_done);
        bed.next_done++;
    }
}

static void put(struct put *p)
{
    p->w.run = run_put;
    p->w.done = put_done;
    table_writer_add(bed.writer, &p->w);
}

static void turn(void)
{
    (void)db_worker_collect(bed.worker);
    table_writer_turn(bed.writer, bed.now);
}

/* Turns until *number is least, each after db threads had news. */
static void turn_until(const unsigned *number, unsigned least)
{
    while (*number < least) {
        assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
        unsigned wakes = bed.wakes;
        assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
        turn();
        if (*number < least) {
            wait_change(&bed.wakes, wakes + 1);
        }
    }
}

/* One entry with one write, all the way. */
static void write_one(struct put *p, uint64_t index)
{
    put(p);
    table_writer_entry_end(bed.writer, index);
    turn_until(&p->done, 1);
}

/* Turn until the transaction that is out has come back; nothing else may wake. */
static void turn_until_back(void)
{
    uint64_t before = table_writer_stats(bed.writer).transactions;
    unsigned wakes = bed.wakes;
    turn();
    while (table_writer_stats(bed.writer).transactions == before &&
           !table_writer_trouble(bed.writer, NULL)) {
        wait_change(&bed.wakes, ++wakes);
        turn();
    }
}

static int run_look(struct db_job *job, struct db *db, struct fail *fail)
{
    struct look *l = CONTAINER_OF(job, struct look, job);
    struct db_query *q = NULL;
    bool has_row = false;
    int err = db_query(db, &count, &q, fail);
    if (err) {
        return err;
    }
    err = db_step(q, &has_row, fail);
    l->seen = err ? -1 : db_col_int64(q, 0);
    db_done(q);
    return err;
}

static void look_done(struct db_job *take_job)
{
    CONTAINER_OF(take_job, struct look, job)->done++;
}

static int look(struct look *l, struct fail *fail)
{
    l->job.lane = DB_LANE_READ;
    l->job.run = run_look;
    l->job.done = look_done;
    return table_writer_read(bed.writer, &l->job, fail);
}

static void test_writes__run_and_are_done_in_order(void **state)
{
    (void)state;
    enum { MANY = 500 };
    struct put *puts = mem_zalloc(MANY, sizeof *puts);
    bed.next_done = 1;
    for (unsigned i = 0; i < MANY; i++) {
        puts[i].value = i + 1;
        put(&puts[i]);
        if (i % 3 == 2) {
            table_writer_entry_end(bed.writer, i + 10);
        }
        if (i % 50 == 49) {
            turn();
        }
    }
    table_writer_entry_end(bed.writer, MANY + 10);
    turn_until(&puts[MANY - 1].done, 1);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(puts[i].runs, 1);
        assert_int_equal(puts[i].done, 1);
        assert_int_equal(puts[i].ran_on, THREAD_DB);
    }
    assert_int_equal(rows(), MANY);
    assert_int_equal(applied_index(), MANY + 10);
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
    put(&p);
    turn();
    assert_int_equal(table_writer_stats(bed.writer).writes_waiting, 1);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
    table_writer_entry_end(bed.writer, 7);
    assert_int_equal(table_writer_deadline(bed.writer), 0);
    turn_until(&p.done, 1);
    assert_int_equal(applied_index(), 7);
}

/* What waits behind a transaction becomes the next ones, cut between entries only. */
static void expect_cut(size_t bytes_each, unsigned first, unsigned second, unsigned transactions)
{
    struct put gate = {.value = -1, .is_gate = true};
    struct put *puts = mem_zalloc(first + second, sizeof *puts);
    put(&gate);
    table_writer_entry_end(bed.writer, 1);
    turn();
    wait_change(&bed.at_gate, 1);
    for (unsigned i = 0; i < first + second; i++) {
        puts[i].value = i;
        puts[i].w.bytes = bytes_each;
        put(&puts[i]);
        if (i + 1 == first) {
            table_writer_entry_end(bed.writer, 2);
        }
    }
    table_writer_entry_end(bed.writer, 5);
    turn();
    assert_int_equal(table_writer_stats(bed.writer).writes_waiting, first + second + 1);
    open_gate();
    turn_until(&puts[first + second - 1].done, 1);
    assert_int_equal(table_writer_stats(bed.writer).transactions, transactions);
    static const struct db_stmt held = {.name = "held",
                                        .sql_sqlite = "SELECT sum(held) FROM t WHERE value >= 0"};
    struct db *db = scratch_open(bed.scratch.db, NULL);
    int64_t expected = transactions == 2 ? first + second : first + 2 * (int64_t)second;
    assert_int_equal(scratch_number(db, &held), expected);
    db_destroy(db);
    assert_int_equal(applied_index(), 5);
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
    put(&first);
    put(&bad);
    table_writer_entry_end(bed.writer, 4);
    turn_until_back();
    assert_int_equal(rows(), 0);
    assert_int_equal(applied_index(), 0);
    assert_int_equal(first.done + bad.done, 0);
    bed.now.mono_ms += TABLE_WRITER_RETRY_MS;
    turn_until(&bad.done, 1);
    assert_int_equal(first.runs, 2);
    assert_int_equal(rows(), 2);
    assert_int_equal(applied_index(), 4);
}

static void test_entries_without_writes__move_the_index_after_a_while(void **state)
{
    (void)state;
    for (uint64_t index = 1; index <= 100; index++) {
        table_writer_entry_end(bed.writer, index);
        turn();
    }
    assert_int_equal(table_writer_stats(bed.writer).transactions, 0);
    assert_int_equal(table_writer_stats(bed.writer).index_applied, 100);
    assert_int_equal(table_writer_stats(bed.writer).index_written, 0);
    assert_int_equal(table_writer_deadline(bed.writer), bed.now.mono_ms + TABLE_WRITER_LAZY_MS);
    bed.now.mono_ms += TABLE_WRITER_LAZY_MS - 1;
    turn();
    assert_int_equal(table_writer_deadline(bed.writer), bed.now.mono_ms + 1);
    bed.now.mono_ms += 1;
    turn_until_back();
    assert_int_equal(table_writer_stats(bed.writer).transactions, 1);
    assert_int_equal(applied_index(), 100);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
}

static void test_entries_without_writes__go_along_with_the_next_write(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    table_writer_entry_end(bed.writer, 1);
    turn();
    put(&p);
    table_writer_entry_end(bed.writer, 2);
    table_writer_entry_end(bed.writer, 3);
    turn_until(&p.done, 1);
    assert_int_equal(table_writer_stats(bed.writer).transactions, 1);
    assert_int_equal(applied_index(), 3);
}

static void test_entries_of_an_earlier_life__are_ignored(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    write_one(&p, 20);
    stop();
    start_at(20);
    table_writer_entry_end(bed.writer, 12);
    table_writer_entry_end(bed.writer, 20);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
    struct put next = {.value = 2};
    write_one(&next, 21);
    assert_int_equal(applied_index(), 21);
}

static void expect_retries(int err)
{
    struct put p = {.value = 1, .fails = 3, .fail_with = err};
    struct fail fail = {0};
    put(&p);
    table_writer_entry_end(bed.writer, 1);
    turn_until_back();
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(p.runs, i);
        assert_int_equal(table_writer_trouble(bed.writer, &fail), err);
        assert_string_equal(
            fail.text, "the tables take no writes, tried again every 500 ms: the test says so");
        assert_int_equal(table_writer_deadline(bed.writer),
                         bed.now.mono_ms + TABLE_WRITER_RETRY_MS);
        bed.now.mono_ms += TABLE_WRITER_RETRY_MS - 1;
        turn();
        bed.now.mono_ms += 1;
        unsigned wakes = bed.wakes;
        turn(); /* goes out */
        wait_change(&bed.wakes, wakes + 1);
        turn(); /* is back */
    }
    assert_int_equal(p.done, 1);
    assert_int_equal(p.runs, 4);
    assert_int_equal(table_writer_trouble(bed.writer, NULL), 0);
    assert_int_equal(table_writer_stats(bed.writer).retries, 3);
    assert_int_equal(bed.fatal, 0);
    assert_int_equal(applied_index(), 1);
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
    put(&p);
    table_writer_entry_end(bed.writer, 3);
    turn_until_back();
    struct db *db = scratch_open(bed.scratch.db, NULL);
    scratch_script(db, "UPDATE applied SET log_index = 3; INSERT INTO t (value) VALUES (1)");
    db_destroy(db);
    bed.now.mono_ms += TABLE_WRITER_RETRY_MS;
    turn_until(&p.done, 1);
    assert_int_equal(p.runs, 1);
    assert_int_equal(bed.fatal, 0);
    assert_int_equal(table_writer_stats(bed.writer).index_written, 3);
}

static void test_retry__what_came_meanwhile__follows(void **state)
{
    (void)state;
    struct put p = {.value = 1, .fails = 1, .fail_with = E_BUSY};
    struct put next = {.value = 2};
    put(&p);
    table_writer_entry_end(bed.writer, 1);
    turn_until_back();
    put(&next);
    table_writer_entry_end(bed.writer, 2);
    turn();
    assert_int_equal(next.runs, 0);
    bed.now.mono_ms += TABLE_WRITER_RETRY_MS;
    turn_until(&next.done, 1);
    assert_int_equal(p.runs, 2);
    assert_int_equal(applied_index(), 2);
}

static void test_damage__is_fatal_once(void **state)
{
    (void)state;
    struct put p = {.value = 1, .fails = 9, .fail_with = E_CORRUPT};
    struct put next = {.value = 2};
    struct fail fail = {0};
    put(&p);
    table_writer_entry_end(bed.writer, 1);
    turn_until_back();
    assert_int_equal(bed.fatal, 1);
    assert_int_equal(bed.why.code, E_CORRUPT);
    assert_string_equal(bed.why.text,
                        "the tables cannot follow the log after entry 0: the test says so");
    put(&next);
    table_writer_entry_end(bed.writer, 2);
    bed.now.mono_ms += 10 * TABLE_WRITER_RETRY_MS;
    turn();
    assert_int_equal(bed.fatal, 1);
    assert_int_equal(next.runs, 0);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), E_CORRUPT);
    struct look l = {.seen = 0};
    assert_int_equal(look(&l, &fail), E_CORRUPT);
    stop();
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
    put(&p);
    table_writer_entry_end(bed.writer, 3);
    turn_until_back();
    assert_int_equal(bed.fatal, 1);
    assert_int_equal(bed.why.code, E_CONFLICT);
    assert_int_equal(rows(), 0);
    stop(); /* ends p */
}

static void test_read__nothing_is_missing__goes_at_once(void **state)
{
    (void)state;
    struct look l = {.seen = -1};
    table_writer_entry_end(bed.writer, 1); /* without writes */
    assert_int_equal(look(&l, NULL), 0);
    turn_until(&l.done, 1);
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
    put(&gate);
    table_writer_entry_end(bed.writer, 1);
    turn();
    wait_change(&bed.at_gate, 1);
    assert_int_equal(look(&looks[0], NULL), 0);
    put(&p);
    assert_int_equal(look(&looks[1], NULL), 0); /* in the middle of the entry */
    table_writer_entry_end(bed.writer, 2);
    turn();
    assert_int_equal(looks[0].done + looks[1].done, 0);
    open_gate();
    turn_until(&looks[1].done, 1);
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
    put(&p);
    assert_int_equal(look(&before, NULL), 0);
    table_writer_entry_end(bed.writer, 1);
    turn_until_back();
    assert_int_equal(look(&late, NULL), 0);
    assert_int_equal(look(&soon, NULL), 0);
    assert_int_equal(table_writer_deadline(bed.writer), 0);
    turn();
    assert_int_equal(table_writer_deadline(bed.writer), bed.now.mono_ms + 100);
    bed.now.mono_ms += 100;
    turn();
    assert_int_equal(soon.done, 1);
    assert_int_equal(soon.job.err, E_TIMEOUT);
    assert_non_null(strstr(soon.job.fail.text, "the test says so"));
    bed.now.mono_ms += TABLE_WRITER_READ_WAIT_MS - 101;
    turn();
    assert_int_equal(late.done, 0);
    bed.now.mono_ms += 1;
    turn();
    assert_int_equal(late.done, 1);
    assert_int_equal(late.job.err, E_TIMEOUT);
    assert_int_equal(before.done, 1);
    assert_int_equal(before.job.err, E_TIMEOUT);
    stop(); /* ends p */
}

static void test_read_now__in_trouble__sees_what_the_tables_hold(void **state)
{
    (void)state;
    struct put first = {.value = 1};
    write_one(&first, 1);
    struct put p = {.value = 2, .fails = 100, .fail_with = E_FULL};
    put(&p);
    table_writer_entry_end(bed.writer, 2);
    turn_until_back();
    struct look l = {.job = {.lane = DB_LANE_READ, .run = run_look, .done = look_done}, .seen = -1};
    assert_int_equal(table_writer_read_now(bed.writer, &l.job, NULL), 0);
    turn_until(&l.done, 1);
    assert_int_equal(l.job.err, 0);
    assert_int_equal(l.seen, 1);
    stop(); /* ends p */
}

static void test_read__in_trouble_but_nothing_is_missing__goes_at_once(void **state)
{
    (void)state;
    struct put first = {.value = 1};
    write_one(&first, 1);
    struct put p = {.value = 2, .fails = 100, .fail_with = E_FULL};
    struct look l = {.seen = -1};
    assert_int_equal(look(&l, NULL), 0);
    put(&p);
    table_writer_entry_end(bed.writer, 2);
    turn_until(&l.done, 1);
    assert_int_equal(l.seen, 1);
    stop(); /* ends p */
}

static void test_read__behind_much_that_gets_through__does_not_time_out(void **state)
{
    (void)state;
    struct put gate = {.value = 1, .is_gate = true};
    struct put puts[2] = {{.value = 2, .w.bytes = TABLE_WRITER_BATCH_BYTES},
                          {.value = 3, .w.bytes = TABLE_WRITER_BATCH_BYTES}};
    struct look l = {.seen = -1};
    put(&gate);
    table_writer_entry_end(bed.writer, 1);
    turn();
    wait_change(&bed.at_gate, 1);
    for (unsigned i = 0; i < 2; i++) {
        put(&puts[i]);
        table_writer_entry_end(bed.writer, i + 2);
    }
    assert_int_equal(look(&l, NULL), 0);
    turn();
    open_gate();
    while (l.done == 0) {
        unsigned wakes = bed.wakes;
        bed.now.mono_ms += TABLE_WRITER_READ_WAIT_MS - 1; /* a transaction takes that long */
        uint64_t before = table_writer_stats(bed.writer).transactions;
        turn();
        while (l.done == 0 && table_writer_stats(bed.writer).transactions == before) {
            wait_change(&bed.wakes, wakes + 1);
            wakes = bed.wakes;
            turn();
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
    put(&p);
    for (unsigned i = 0; i < TABLE_WRITER_READS_MAX; i++) {
        assert_int_equal(look(&looks[i], NULL), 0);
    }
    assert_int_equal(look(&looks[TABLE_WRITER_READS_MAX], &fail), E_LIMIT);
    assert_string_equal(fail.text, "4096 queries wait for the tables already");
    stop();
    for (unsigned i = 0; i < TABLE_WRITER_READS_MAX; i++) {
        assert_int_equal(looks[i].done, 1);
        assert_int_equal(looks[i].job.err, E_CLOSED);
    }
    mem_free(looks);
}

static void test_trouble__too_much_waits__is_a_limit(void **state)
{
    (void)state;
    struct put puts[2] = {{.value = 1, .w.bytes = TABLE_WRITER_BYTES_MAX - 1},
                          {.value = 2, .w.bytes = 1}};
    struct fail fail = {0};
    put(&puts[0]);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), 0);
    put(&puts[1]);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), E_LIMIT);
    assert_string_equal(fail.text,
                        "100663296 bytes wait for the tables already, the limit is 100663296");
    table_writer_entry_end(bed.writer, 1); /* what is in the log is taken all the same */
    turn_until(&puts[1].done, 1);
    assert_int_equal(table_writer_trouble(bed.writer, &fail), 0);
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
    add(&w->is_back);
    add(&bed.wakes);
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
    put(&p);
    table_writer_entry_end(bed.writer, 2);
    start_waiter(&w);
    turn();
    wait_change(&bed.at_gate, 1);
    open_gate();
    turn_until(&w.is_back, 1);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.err, 0);
    char wal[160];
    assert_int_equal(scratch_size(scratch_path(&bed.scratch, "data.db-wal", wal)), 0);
    assert_int_equal(applied_index(), 2);
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
        turn();
    }
    turn_until(&w.is_back, 1);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_int_equal(w.err, 0);
    assert_int_equal(applied_index(), 5);
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

static void test_stop__a_transaction_is_out__it_counts(void **state)
{
    (void)state;
    struct put gate = {.value = 1, .is_gate = true};
    struct put next = {.value = 2};
    put(&gate);
    table_writer_entry_end(bed.writer, 1);
    turn();
    wait_change(&bed.at_gate, 1);
    put(&next);
    table_writer_entry_end(bed.writer, 2);
    table_writer_stop(bed.writer);
    open_gate();
    turn_until(&gate.done, 1);
    turn();
    assert_int_equal(next.runs + next.done, 0);
    assert_int_equal(table_writer_stats(bed.writer).index_written, 1);
    assert_int_equal(table_writer_deadline(bed.writer), UINT64_MAX);
    stop();
    assert_int_equal(next.done, 1);
    assert_int_equal(bed.fatal, 0);
    assert_int_equal(applied_index(), 1);
}

static void test_worker_stops__is_not_fatal(void **state)
{
    (void)state;
    struct put p = {.value = 1};
    put(&p);
    table_writer_entry_end(bed.writer, 1);
    db_worker_stop(bed.worker);
    turn();
    assert_int_equal(table_writer_trouble(bed.writer, NULL), E_CLOSED);
    struct look l = {.seen = 0};
    assert_int_equal(look(&l, NULL), E_CLOSED);
    stop();
    assert_int_equal(p.done, 1);
    assert_int_equal(p.runs, 0);
    assert_int_equal(bed.fatal, 0);
}

static void test_destroy__ends_all_that_waits(void **state)
{
    (void)state;
    struct put puts[4] = {{.value = 1, .fails = 9, .fail_with = E_FULL}};
    struct look l = {.seen = -1};
    put(&puts[0]);
    table_writer_entry_end(bed.writer, 1);
    turn_until_back();
    put(&puts[1]);
    put(&puts[2]);
    table_writer_entry_end(bed.writer, 2);
    put(&puts[3]);
    assert_int_equal(look(&l, NULL), 0);
    stop();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(puts[i].done, 1);
    }
    assert_int_equal(l.done, 1);
    assert_int_equal(l.job.err, E_CLOSED);
    table_writer_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(test_read__nothing_is_missing__goes_at_once),
        TEST(test_read__waits_for_what_is_applied),
        TEST(test_read__in_trouble__times_out_with_the_reason),
        TEST(test_read_now__in_trouble__sees_what_the_tables_hold),
        TEST(test_read__in_trouble_but_nothing_is_missing__goes_at_once),
        TEST(test_read__behind_much_that_gets_through__does_not_time_out),
        TEST(test_reads__as_many_as_may_wait__then_refused),
        TEST(test_trouble__too_much_waits__is_a_limit),
        TEST(test_wait_durable__until_the_writes_are_in_the_file),
        TEST(test_wait_durable__of_entries_without_writes__is_not_lazy),
        TEST(test_wait_durable__not_in_time__says_where_the_tables_are),
        TEST(test_wait_durable__writer_stops__is_closed),
        TEST(test_stop__a_transaction_is_out__it_counts),
        TEST(test_worker_stops__is_not_fatal),
        TEST(test_destroy__ends_all_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
