/* A worker without threads, and a table writer on it: the test is the clock and the thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/thread.h"
#include "scratch.h"
#include "store/db_sqlite.h"
#include "store/db_worker.h"
#include "store/migrate.h"
#include "store/table_writer.h"

static const struct db_stmt insert = {.name = "insert", .sql_sqlite = "INSERT INTO t VALUES (?)"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};

static struct {
    struct scratch scratch;
    struct db_worker *worker;
    unsigned wakes;
    unsigned opened;
} bed;

struct task {
    struct db_job job;
    int64_t value; /* to insert, or what was counted */
    unsigned done;
    bool had_db;
};

static void wake(void *self)
{
    (void)self;
    bed.wakes++;
}

static int open_one(void *self, bool is_writer, struct db **ret_db, struct fail *fail)
{
    (void)self;
    bed.opened++;
    return db_sqlite_open(
        bed.scratch.db,
        &(struct db_sqlite_options){.is_reader = !is_writer, .must_exist = true, .no_sync = true},
        ret_db, fail);
}

static int setup(void **state)
{
    static const struct migration_set *const sets[] = {&migrate_store};
    struct db_worker_options options = {
        .open = open_one, .wake = wake, .readers = 2, .is_stepped = true};
    struct fail fail = {0};
    (void)state;
    memset(&bed, 0, sizeof bed);
    scratch_init(&bed.scratch);
    struct db *db = scratch_open(bed.scratch.db, NULL);
    assert_int_equal(migrate_run(db, sets, ARRAY_LEN(sets), &fail), 0);
    scratch_script(db, "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    db_destroy(db);
    assert_int_equal(db_worker_create(&options, &bed.worker, &fail), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_worker_destroy(bed.worker);
    scratch_close(&bed.scratch);
    return 0;
}

static struct task *task_of(struct db_job *job)
{
    return CONTAINER_OF(job, struct task, job);
}

static void on_done(struct db_job *take_job)
{
    task_of(take_job)->done++;
}

static int put(struct db *db, int64_t value, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &insert, &q, fail);
    if (!err) {
        db_bind_int64(q, value);
        err = db_exec(q, NULL, fail);
    }
    return err;
}

static int run_insert(struct db_job *job, struct db *db, struct fail *fail)
{
    int err = db_begin(db, DB_TX_WRITE, fail);
    if (!err) {
        err = put(db, task_of(job)->value, fail);
    }
    return err ? err : db_commit(db, fail);
}

static int run_count(struct db_job *job, struct db *db, struct fail *fail)
{
    struct db_query *q = NULL;
    bool has_row = false;
    int err = db_query(db, &count, &q, fail);
    if (!err) {
        err = db_step(q, &has_row, fail);
        task_of(job)->value = err ? -1 : db_col_int64(q, 0);
        db_done(q);
    }
    return err;
}

static int run_look(struct db_job *job, struct db *db, struct fail *fail)
{
    (void)fail;
    task_of(job)->had_db = db != NULL;
    return 0;
}

static void submit(struct task *t, enum db_lane lane,
                   int (*run)(struct db_job *, struct db *, struct fail *))
{
    t->job.lane = lane;
    t->job.run = run;
    t->job.done = on_done;
    assert_int_equal(db_worker_submit(bed.worker, &t->job, NULL), 0);
}

static void test_step__runs_one_job_of_its_lane_when_told(void **state)
{
    (void)state;
    struct task w[2] = {{.value = 1}, {.value = 2}};
    struct task r = {0};
    assert_true(db_worker_is_stepped(bed.worker));
    assert_int_equal(bed.opened, 0);
    submit(&r, DB_LANE_READ, run_count);
    submit(&w[0], DB_LANE_WRITE, run_insert);
    submit(&w[1], DB_LANE_WRITE, run_insert);
    assert_int_equal(db_worker_collect(bed.worker), 0);
    assert_true(db_worker_step(bed.worker, true, 1000));
    assert_int_equal(bed.wakes, 1);
    assert_true(db_worker_step(bed.worker, false, 1001));
    assert_int_equal(r.value, 1);
    assert_false(db_worker_step(bed.worker, false, 1002));
    assert_true(db_worker_step(bed.worker, true, 1002));
    assert_int_equal(w[0].done, 0);
    assert_int_equal(db_worker_collect(bed.worker), 3);
    assert_int_equal(w[1].done, 1);
    assert_int_equal(w[1].job.err, 0);
    assert_int_equal(bed.opened, 2);
}

static void test_step__time_is_the_callers(void **state)
{
    (void)state;
    struct task late = {.job.wait_ms_max = 10};
    assert_false(db_worker_step(bed.worker, false, 1000));
    submit(&late, DB_LANE_READ, run_count);
    assert_true(db_worker_step(bed.worker, false, 1011));
    assert_int_equal(db_worker_collect(bed.worker), 1);
    assert_int_equal(late.job.err, E_TIMEOUT);
}

static void test_step__alone__nobody_has_the_file_open(void **state)
{
    (void)state;
    struct task r = {0};
    struct task alone = {.had_db = true};
    submit(&r, DB_LANE_READ, run_count);
    assert_true(db_worker_step(bed.worker, false, 1));
    submit(&alone, DB_LANE_ALONE, run_look);
    assert_true(db_worker_step(bed.worker, true, 2));
    assert_false(alone.had_db);
    assert_int_equal(db_worker_collect(bed.worker), 2);
    submit(&r, DB_LANE_READ, run_count);
    assert_true(db_worker_step(bed.worker, false, 3));
    assert_int_equal(db_worker_collect(bed.worker), 1);
    assert_int_equal(r.job.err, 0);
    assert_int_equal(bed.opened, 2);
}

static void test_destroy__what_waits__is_not_run(void **state)
{
    (void)state;
    struct task w = {.value = 1};
    submit(&w, DB_LANE_WRITE, run_insert);
    db_worker_destroy(bed.worker);
    bed.worker = NULL;
    assert_int_equal(w.done, 1);
    assert_int_equal(w.job.err, E_CLOSED);
    assert_int_equal(bed.opened, 0);
}

static int run_write(struct table_write *w, struct db *db, struct fail *fail)
{
    (void)w;
    return put(db, 5, fail);
}

static void write_done(struct table_write *take_w)
{
    (void)take_w;
}

static void never_fatal(void *self, const struct fail *why)
{
    (void)self;
    fail_msg("%s", fail_text(why));
}

/* Core may ask, because it is told to come again and never waits. */
static void test_wait_durable__stepped__is_busy_until_it_is_written(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct table_write w = {.bytes = 1, .run = run_write, .done = write_done};
    struct table_writer_options options = {
        .worker = bed.worker, .path = bed.scratch.db, .on_fatal = never_fatal};
    struct table_writer *writer = table_writer_create(&options);
    table_writer_add(writer, &w);
    table_writer_entry_end(writer, 7);
    assert_int_equal(table_writer_wait_durable(writer, 7, 30000, &fail), E_BUSY);
    table_writer_turn(writer, (struct now){.mono_ms = 1});
    assert_int_equal(table_writer_wait_durable(writer, 7, 30000, &fail), E_BUSY);
    assert_true(db_worker_step(bed.worker, true, 2));
    assert_int_equal(db_worker_collect(bed.worker), 1);
    assert_int_equal(table_writer_wait_durable(writer, 7, 30000, &fail), 0);
    db_worker_destroy(bed.worker);
    bed.worker = NULL;
    table_writer_destroy(writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        TEST(test_step__runs_one_job_of_its_lane_when_told),
        TEST(test_step__time_is_the_callers),
        TEST(test_step__alone__nobody_has_the_file_open),
        TEST(test_destroy__what_waits__is_not_run),
        TEST(test_wait_durable__stepped__is_busy_until_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
