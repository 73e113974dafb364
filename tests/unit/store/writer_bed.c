#include "writer_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/err.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/migrate.h"

static const struct db_stmt insert = {.name = "insert",
                                      .sql_sqlite = "INSERT INTO t (value, held) VALUES (?, ?)"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};

struct writer_bed bed;

void bed_wait(const unsigned *number, unsigned least)
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

void bed_add(unsigned *number)
{
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    ++*number;
    assert_int_equal(pthread_cond_broadcast(&bed.changed), 0);
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

static void wake(void *self)
{
    assert_ptr_equal(self, &bed);
    bed_add(&bed.wakes);
}

void bed_open_gate(void)
{
    assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
    bed.is_open = true;
    assert_int_equal(pthread_cond_broadcast(&bed.changed), 0);
    assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
}

static void pass_gate(void)
{
    bed_add(&bed.at_gate);
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
uint64_t bed_applied_index(void)
{
    struct db *db = scratch_open(bed.scratch.db, &(struct db_sqlite_options){.is_reader = true});
    struct applied now = {0};
    assert_int_equal(applied_get(db, &now, NULL), 0);
    db_destroy(db);
    return now.index;
}

int64_t bed_rows(void)
{
    struct db *db = scratch_open(bed.scratch.db, &(struct db_sqlite_options){.is_reader = true});
    int64_t n = scratch_number(db, &count);
    db_destroy(db);
    return n;
}

void bed_start_at(uint64_t index)
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

int bed_setup(void **state)
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
    bed_start_at(0);
    return 0;
}

void bed_stop(void)
{
    db_worker_destroy(bed.worker);
    bed.worker = NULL;
    table_writer_destroy(bed.writer);
    bed.writer = NULL;
}

int bed_teardown(void **state)
{
    (void)state;
    bed_open_gate();
    bed_stop();
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

void bed_put(struct put *p)
{
    p->w.run = run_put;
    p->w.done = put_done;
    table_writer_add(bed.writer, &p->w);
}

void bed_turn(void)
{
    (void)db_worker_collect(bed.worker);
    table_writer_turn(bed.writer, bed.now);
}

/* Turns until *number is least, each after db threads had news. */
void bed_turn_until(const unsigned *number, unsigned least)
{
    while (*number < least) {
        assert_int_equal(pthread_mutex_lock(&bed.lock), 0);
        unsigned wakes = bed.wakes;
        assert_int_equal(pthread_mutex_unlock(&bed.lock), 0);
        bed_turn();
        if (*number < least) {
            bed_wait(&bed.wakes, wakes + 1);
        }
    }
}

/* One entry with one write, all the way. */
void bed_write_one(struct put *p, uint64_t index)
{
    bed_put(p);
    table_writer_entry_end(bed.writer, index);
    bed_turn_until(&p->done, 1);
}

/* Turn until the transaction that is out has come back; nothing else may wake. */
void bed_turn_until_back(void)
{
    uint64_t before = table_writer_stats(bed.writer).transactions;
    unsigned wakes = bed.wakes;
    bed_turn();
    while (table_writer_stats(bed.writer).transactions == before &&
           !table_writer_trouble(bed.writer, NULL)) {
        bed_wait(&bed.wakes, ++wakes);
        bed_turn();
    }
}

int bed_run_look(struct db_job *job, struct db *db, struct fail *fail)
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

void bed_look_done(struct db_job *take_job)
{
    CONTAINER_OF(take_job, struct look, job)->done++;
}

int bed_look(struct look *l, struct fail *fail)
{
    l->job.lane = DB_LANE_READ;
    l->job.run = bed_run_look;
    l->job.done = bed_look_done;
    return table_writer_read(bed.writer, &l->job, fail);
}
