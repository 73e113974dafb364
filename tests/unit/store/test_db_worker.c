#include "store/db_worker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "scratch.h"

#define WAIT_S 20

static const struct db_stmt insert = {.name = "insert", .sql_sqlite = "INSERT INTO t VALUES (?)"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};
static const struct db_stmt endless = {
    .name = "endless",
    .sql_sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                  "SELECT count(*) FROM n"};

/* What the test's threads share. */
static struct {
    struct scratch scratch;
    struct db_worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned wakes;
    unsigned at_gate;
    bool is_open;
    int open_err; /* what the next opens give */
    unsigned opened;
} bed;

struct task {
    struct db_job job;
    int64_t value;
    int64_t seen;
    int result;
    unsigned done;
    enum thread_kind ran_on;
    enum thread_kind done_on;
    bool had_db;
};

static void change(void (*fn)(void))
{
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    fn();
    assert_int_equal(pthread_cond_broadcast(&bed.changed), 0);
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

/* Wait until *number is at least least; the test fails after WAIT_S. */
static void wait_until(const unsigned *number, unsigned least)
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

static void count_wake(void)
{
    bed.wakes++;
}

static void wake(void *self)
{
    assert_ptr_equal(self, &bed);
    change(count_wake);
}

static int open_one(void *self, bool is_writer, struct db **ret_db, struct fail *fail)
{
    assert_ptr_equal(self, &bed);
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    int err = bed.open_err;
    bed.opened++;
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
    if (err) {
        return fail_set(fail, err, "the test keeps it shut");
    }
    return db_sqlite_open(bed.scratch.db,
                          &(struct db_sqlite_options){
                              .is_reader = !is_writer, .must_exist = true, .statement_ms = 60000},
                          ret_db, fail);
}

static const struct db_worker_options usual = {
    .open = open_one, .wake = wake, .self = &bed, .readers = 2, .queue_max = 8};

static void start(const struct db_worker_options *options)
{
    struct fail fail = {0};
    if (db_worker_create(options, &bed.worker, &fail)) {
        fail_msg("%s", fail_text(&fail));
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&bed, 0, sizeof bed);
    assert_int_equal(pthread_mutex_init(&bed.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&bed.changed, NULL), 0);
    scratch_init(&bed.scratch);
    struct db *db = scratch_open(bed.scratch.db, NULL);
    scratch_script(db, "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT");
    db_destroy(db);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_worker_destroy(bed.worker);
    scratch_close(&bed.scratch);
    assert_int_equal(pthread_cond_destroy(&bed.changed), 0);
    assert_int_equal(pthread_mutex_destroy(&bed.lock), 0);
    return 0;
}

static struct task *task_of(struct db_job *job)
{
    return CONTAINER_OF(job, struct task, job);
}

static void on_done(struct db_job *take_job)
{
    struct task *t = task_of(take_job);
    t->done_on = thread_kind();
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    t->done++;
    assert_int_equal(pthread_cond_broadcast(&bed.changed), 0);
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

static int run_insert(struct db_job *job, struct db *db, struct fail *fail)
{
    struct task *t = task_of(job);
    t->ran_on = thread_kind();
    t->had_db = db;
    int err = db_begin(db, DB_TX_WRITE, fail);
    if (err) {
        return err;
    }
    struct db_query *q = NULL;
    err = db_query(db, &insert, &q, fail);
    if (!err) {
        db_bind_int64(q, t->value);
        err = db_exec(q, NULL, fail);
    }
    if (!err) {
        return db_commit(db, fail);
    }
    db_rollback(db);
    return err;
}

static int run_number(struct db_job *job, struct db *db, const struct db_stmt *stmt,
                      struct fail *fail)
{
    struct task *t = task_of(job);
    struct db_query *q = NULL;
    bool has_row = false;
    t->ran_on = thread_kind();
    int err = db_query(db, stmt, &q, fail);
    if (err) {
        return err;
    }
    err = db_step(q, &has_row, fail);
    t->seen = err ? -1 : db_col_int64(q, 0);
    db_done(q);
    return err;
}

static int run_count(struct db_job *job, struct db *db, struct fail *fail)
{
    return run_number(job, db, &count, fail);
}

static void enter_gate(void)
{
    bed.at_gate++;
}

static void open_gate(void)
{
    bed.is_open = true;
}

static int run_endless(struct db_job *job, struct db *db, struct fail *fail)
{
    change(enter_gate);
    return run_number(job, db, &endless, fail);
}

static int run_gate(struct db_job *job, struct db *db, struct fail *fail)
{
    (void)fail;
    task_of(job)->had_db = db;
    change(enter_gate);
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    while (!bed.is_open) {
        assert_int_equal(pthread_cond_wait(&bed.changed, &bed.lock), 0);
    }
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
    return 0;
}

static int run_result(struct db_job *job, struct db *db, struct fail *fail)
{
    task_of(job)->had_db = db;
    return fail_set(fail, task_of(job)->result, "the job says so");
}

typedef int (*run_fn)(struct db_job *, struct db *, struct fail *);

static void submit(struct task *t, enum db_lane lane, run_fn run)
{
    t->job.lane = lane;
    t->job.run = run;
    t->job.done = on_done;
    assert_int_equal(db_worker_submit(bed.worker, &t->job, NULL), 0);
}

/* Collect as the loop would, until the task is done. */
static void collect_until(const struct task *t)
{
    unsigned wakes = 0;
    if (t->job.done_on_db) {
        wait_until(&t->done, 1);
        return;
    }
    for (;;) {
        assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
        wakes = bed.wakes;
        bool is_done = t->done > 0;
        assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
        if (is_done) {
            return;
        }
        if (db_worker_collect(bed.worker) == 0) {
            wait_until(&bed.wakes, wakes + 1);
        }
    }
}

static void test_write__runs_on_a_db_thread_and_is_done_on_the_loops(void **state)
{
    (void)state;
    start(&usual);
    struct task write = {.value = 1};
    submit(&write, DB_LANE_WRITE, run_insert);
    collect_until(&write);
    assert_int_equal(write.job.err, 0);
    assert_int_equal(write.ran_on, THREAD_DB);
    assert_int_equal(write.done_on, THREAD_CORE);
    struct task read = {.job = {.done_on_db = true}};
    submit(&read, DB_LANE_READ, run_count);
    wait_until(&read.done, 1);
    assert_int_equal(read.done_on, THREAD_DB);
    assert_int_equal(read.seen, 1);
}

static void test_write__its_error__comes_with_the_reason(void **state)
{
    (void)state;
    start(&usual);
    struct task writes[2] = {{.value = 1}, {.value = 1}};
    submit(&writes[0], DB_LANE_WRITE, run_insert);
    submit(&writes[1], DB_LANE_WRITE, run_insert);
    collect_until(&writes[1]);
    assert_int_equal(writes[0].job.err, 0);
    assert_int_equal(writes[1].job.err, E_CONFLICT);
    assert_non_null(strstr(writes[1].job.fail.text, "UNIQUE"));
    assert_int_equal(db_worker_stats(bed.worker).ended, 2);
    assert_int_equal(db_worker_stats(bed.worker).failed, 0);
}

#define MANY 2000

static void test_writes__many__in_order_and_each_once(void **state)
{
    (void)state;
    struct db_worker_options options = usual;
    options.queue_max = 0; /* the default is enough */
    start(&options);
    struct task *tasks = mem_zalloc(MANY, sizeof *tasks);
    for (unsigned i = 0; i < MANY; i++) {
        tasks[i].value = i;
        submit(&tasks[i], DB_LANE_WRITE, run_insert);
    }
    collect_until(&tasks[MANY - 1]);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(tasks[i].done, 1);
        assert_int_equal(tasks[i].job.err, 0);
    }
    assert_true(bed.wakes <= MANY);
    mem_free(tasks);
}

static void test_reads__run_beside_a_write(void **state)
{
    (void)state;
    start(&usual);
    struct task write = {0};
    struct task reads[2] = {{.value = 0}};
    submit(&write, DB_LANE_WRITE, run_gate);
    submit(&reads[0], DB_LANE_READ, run_gate);
    wait_until(&bed.at_gate, 2); /* both are inside; one reader is free */
    submit(&reads[1], DB_LANE_READ, run_count);
    collect_until(&reads[1]);
    assert_int_equal(write.done + reads[0].done, 0);
    change(open_gate);
    collect_until(&write);
    collect_until(&reads[0]);
}

static void test_submit__queue_is_full__is_refused_and_stays_the_callers(void **state)
{
    (void)state;
    start(&usual);
    struct task gate = {0};
    struct task waiting[8] = {{.value = 0}};
    struct task last = {.job = {.lane = DB_LANE_WRITE, .run = run_insert, .done = on_done}};
    struct fail fail = {0};
    submit(&gate, DB_LANE_WRITE, run_gate);
    wait_until(&bed.at_gate, 1);
    for (unsigned i = 0; i < 8; i++) {
        waiting[i].value = i;
        submit(&waiting[i], DB_LANE_WRITE, run_insert);
    }
    assert_int_equal(db_worker_stats(bed.worker).writes_waiting, 8);
    assert_int_equal(db_worker_submit(bed.worker, &last.job, &fail), E_LIMIT);
    assert_string_equal(fail.text, "8 jobs wait for the database already");
    struct task read = {0};
    submit(&read, DB_LANE_READ, run_count); /* the other lane does not mind */
    collect_until(&read);
    change(open_gate);
    collect_until(&waiting[7]);
    assert_int_equal(last.done, 0);
    assert_int_equal(db_worker_stats(bed.worker).refused, 1);
}

static void test_job__waited_too_long__is_not_run(void **state)
{
    (void)state;
    start(&usual);
    struct task gate = {0};
    struct task late = {.job = {.wait_ms_max = 1}, .value = 1};
    submit(&gate, DB_LANE_WRITE, run_gate);
    wait_until(&bed.at_gate, 1);
    submit(&late, DB_LANE_WRITE, run_insert);
    uint64_t begin_ms = clock_mono_ms();
    while (clock_mono_ms() < begin_ms + 3) {
    }
    change(open_gate);
    collect_until(&late);
    assert_int_equal(late.job.err, E_TIMEOUT);
    assert_false(late.had_db);
    assert_int_equal(db_worker_stats(bed.worker).expired, 1);
}

static void test_stop__what_waits_is_closed_and_reads_are_cancelled(void **state)
{
    (void)state;
    start(&usual);
    struct task gate = {0};
    struct task waiting = {0};
    struct task reads[2] = {{.value = 0}};
    submit(&reads[0], DB_LANE_READ, run_endless);
    submit(&reads[1], DB_LANE_READ, run_endless);
    submit(&gate, DB_LANE_WRITE, run_gate);
    wait_until(&bed.at_gate, 3);
    submit(&waiting, DB_LANE_WRITE, run_insert);
    db_worker_stop(bed.worker);
    db_worker_stop(bed.worker);
    collect_until(&reads[0]);
    collect_until(&reads[1]);
    assert_int_equal(reads[0].job.err, E_CLOSED);
    assert_int_equal(reads[1].job.err, E_CLOSED);
    struct task late = {.job = {.run = run_count, .done = on_done}};
    assert_int_equal(db_worker_submit(bed.worker, &late.job, NULL), E_CLOSED);
    change(open_gate);
    db_worker_destroy(bed.worker); /* collects the rest */
    bed.worker = NULL;
    assert_int_equal(gate.job.err, 0);
    assert_int_equal(gate.done, 1);
    assert_int_equal(waiting.job.err, E_CLOSED);
    assert_int_equal(waiting.done, 1);
    assert_int_equal(late.done, 0);
}

static void test_create__a_connection_cannot_be_opened__says_why(void **state)
{
    (void)state;
    struct fail fail = {0};
    bed.open_err = E_CORRUPT;
    assert_int_equal(db_worker_create(&usual, &bed.worker, &fail), E_CORRUPT);
    assert_string_equal(fail.text, "the test keeps it shut");
    assert_null(bed.worker);
    db_worker_destroy(NULL);
}

static void test_gone__is_reopened_by_the_next_job(void **state)
{
    (void)state;
    start(&usual);
    assert_int_equal(bed.opened, 3);
    struct task lost = {.result = E_GONE};
    submit(&lost, DB_LANE_WRITE, run_result);
    collect_until(&lost);
    assert_int_equal(lost.job.err, E_GONE);
    struct task next = {.value = 1};
    submit(&next, DB_LANE_WRITE, run_insert);
    collect_until(&next);
    assert_int_equal(next.job.err, 0);
    assert_int_equal(bed.opened, 4);
    assert_int_equal(db_worker_stats(bed.worker).reopened, 1);
}

static void test_gone__cannot_be_reopened__is_told_without_trying_each_time(void **state)
{
    (void)state;
    start(&usual);
    struct task tasks[4] = {{.result = E_GONE}};
    submit(&tasks[0], DB_LANE_WRITE, run_result);
    collect_until(&tasks[0]);
    bed.open_err = E_IO;
    for (unsigned i = 1; i < 4; i++) {
        submit(&tasks[i], DB_LANE_WRITE, run_insert);
        collect_until(&tasks[i]);
        assert_int_equal(tasks[i].job.err, E_GONE);
        assert_string_equal(tasks[i].job.fail.text, "the database is away: the test keeps it shut");
    }
    assert_in_range(bed.opened, 4, 5);
}

static int run_alone_replace(struct db_job *job, struct db *db, struct fail *fail)
{
    char from[160];
    task_of(job)->had_db = db;
    return db_sqlite_replace(bed.scratch.db, scratch_path(&bed.scratch, "new.db", from), fail);
}

static void test_alone__another_file_is_put_in_place_under_readers(void **state)
{
    (void)state;
    char from[160];
    struct db *db = scratch_open(scratch_path(&bed.scratch, "new.db", from), NULL);
    scratch_script(db, "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT;"
                       "INSERT INTO t VALUES (1), (2), (3)");
    db_destroy(db);
    start(&usual);
    struct task gate = {0};
    struct task before = {.value = 9};
    struct task alone = {.had_db = true};
    struct task after = {.value = 9};
    struct task reads[6] = {{.value = 0}};
    submit(&gate, DB_LANE_READ, run_gate); /* a read that is still inside */
    wait_until(&bed.at_gate, 1);
    submit(&before, DB_LANE_WRITE, run_insert);
    submit(&alone, DB_LANE_ALONE, run_alone_replace);
    submit(&after, DB_LANE_WRITE, run_insert);
    collect_until(&before);
    change(open_gate);
    collect_until(&after);
    assert_int_equal(alone.job.err, 0);
    assert_false(alone.had_db);
    assert_int_equal(after.job.err, 0);
    for (unsigned i = 0; i < 6; i++) {
        submit(&reads[i], DB_LANE_READ, run_count);
    }
    for (unsigned i = 0; i < 6; i++) {
        collect_until(&reads[i]);
        assert_int_equal(reads[i].seen, 4);
    }
    collect_until(&gate);
}

static void test_alone__at_the_stop__comes_to_its_end(void **state)
{
    (void)state;
    start(&usual);
    struct task endless_reads[2] = {{.value = 0}};
    struct task alone = {.had_db = true};
    submit(&endless_reads[0], DB_LANE_READ, run_endless);
    submit(&endless_reads[1], DB_LANE_READ, run_endless);
    wait_until(&bed.at_gate, 2);
    submit(&alone, DB_LANE_ALONE, run_result); /* waits for the readers */
    db_worker_destroy(bed.worker);
    bed.worker = NULL;
    assert_int_equal(alone.done, 1);
    assert_true(alone.job.err == 0 || alone.job.err == E_CLOSED);
}

#define SUBMITTERS 4
#define EACH 500

static struct task storm[SUBMITTERS][EACH];

static void *submit_storm(void *arg)
{
    struct task *tasks = arg;
    for (unsigned i = 0; i < EACH; i++) {
        struct task *t = &tasks[i];
        t->job.done_on_db = i % 3 == 0;
        t->job.lane = i % 2 ? DB_LANE_READ : DB_LANE_WRITE;
        t->job.run = i % 2 ? run_count : run_insert;
        t->job.done = on_done;
        t->value = t - &storm[0][0];
        assert_int_equal(db_worker_submit(bed.worker, &t->job, NULL), 0);
    }
    return NULL;
}

static void test_submit__from_many_threads__each_is_done_once(void **state)
{
    (void)state;
    struct db_worker_options options = usual;
    options.queue_max = SUBMITTERS * EACH;
    memset(storm, 0, sizeof storm);
    start(&options);
    pthread_t threads[SUBMITTERS];
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(thread_start(&threads[i], submit_storm, storm[i]), 0);
    }
    for (unsigned i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < SUBMITTERS * EACH; i++) {
        collect_until(&storm[i / EACH][i % EACH]);
    }
    db_worker_destroy(bed.worker);
    bed.worker = NULL;
    for (unsigned i = 0; i < SUBMITTERS * EACH; i++) {
        assert_int_equal(storm[i / EACH][i % EACH].done, 1);
        assert_int_equal(storm[i / EACH][i % EACH].job.err, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        TEST(test_write__runs_on_a_db_thread_and_is_done_on_the_loops),
        TEST(test_write__its_error__comes_with_the_reason),
        TEST(test_writes__many__in_order_and_each_once),
        TEST(test_reads__run_beside_a_write),
        TEST(test_submit__queue_is_full__is_refused_and_stays_the_callers),
        TEST(test_job__waited_too_long__is_not_run),
        TEST(test_stop__what_waits_is_closed_and_reads_are_cancelled),
        TEST(test_create__a_connection_cannot_be_opened__says_why),
        TEST(test_gone__is_reopened_by_the_next_job),
        TEST(test_gone__cannot_be_reopened__is_told_without_trying_each_time),
        TEST(test_alone__another_file_is_put_in_place_under_readers),
        TEST(test_alone__at_the_stop__comes_to_its_end),
        TEST(test_submit__from_many_threads__each_is_done_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
