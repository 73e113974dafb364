#include "store/table_writer.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/written.h"

#define NEVER UINT64_MAX

/* Where the one transaction stands. */
enum writer_state {
    WRITER_IDLE,   /* no batch */
    WRITER_OUT,    /* db-0 has it */
    WRITER_FAILED, /* it came back; the next turn says when it is tried again */
    WRITER_PAUSED, /* until retry_ms */
    WRITER_OVER,   /* stopped or fatal: nothing is submitted any more */
    WRITER_STATES
};

static const bool moves[WRITER_STATES][WRITER_STATES] = {
    [WRITER_IDLE] = {[WRITER_OUT] = true, [WRITER_FAILED] = true, [WRITER_OVER] = true},
    [WRITER_OUT] = {[WRITER_IDLE] = true, [WRITER_FAILED] = true, [WRITER_OVER] = true},
    [WRITER_FAILED] = {[WRITER_PAUSED] = true, [WRITER_OVER] = true},
    [WRITER_PAUSED] = {[WRITER_OUT] = true, [WRITER_FAILED] = true, [WRITER_OVER] = true},
};

/* Writes in order. */
struct write_list {
    struct table_write *head;
    struct table_write *tail;
};

/* A read that waits for the tables. */
struct read_wait {
    struct read_wait *next;
    struct db_job *job;
    uint64_t index;    /* what the tables must hold */
    uint64_t since_ms; /* when there was progress last, as far as this read knows */
    bool is_timed;     /* since_ms is set */
};

struct table_writer {
    struct table_writer_options options;
    char *path;
    enum writer_state state;
    struct fail trouble;    /* code 0: none */
    uint64_t now_ms;        /* of the last turn */
    uint64_t retry_ms;      /* in WRITER_PAUSED */
    uint64_t lazy_ms;       /* when the index is written alone; 0: not set */
    uint64_t ended;         /* last entry that ended */
    uint64_t written;       /* what the tables say; shared follows it */
    uint64_t last_index;    /* last entry with writes */
    struct write_list open; /* of the entry that is being applied */
    struct write_list ended_writes;
    size_t bytes; /* of open, ended and batch */
    size_t count;
    uint64_t transactions;
    uint64_t retries;
    struct read_wait *reads; /* oldest first */
    struct read_wait **reads_end;
    size_t reads_count;
    bool has_progressed; /* since the last turn */
    struct written shared;
    /* The transaction: db-0's while WRITER_OUT. */
    struct db_job job;
    struct table_write *batch;
    uint64_t batch_index;
    bool has_batch; /* also one without writes */
    unsigned tries;
};

static void move(struct table_writer *t, enum writer_state to)
{
    ASSERT(moves[t->state][to]);
    t->state = to;
}

static void append(struct write_list *list, struct table_write *first, struct table_write *last)
{
    if (list->tail) {
        list->tail->next = first;
    } else {
        list->head = first;
    }
    list->tail = last;
}

struct table_writer *table_writer_create(const struct table_writer_options *options)
{
    struct table_writer *t = mem_zalloc(1, sizeof *t);
    t->options = *options;
    t->path = mem_strndup(options->path, strlen(options->path));
    t->options.path = t->path;
    t->ended = options->index;
    t->written = options->index;
    t->reads_end = &t->reads;
    written_init(&t->shared, options->index);
    return t;
}

static void finish_writes(struct table_writer *t, struct table_write *take_list)
{
    while (take_list) {
        struct table_write *w = take_list;
        take_list = w->next;
        w->next = NULL;
        t->bytes -= w->bytes;
        t->count--;
        w->done(w);
    }
}

/* Nothing can be written any more; why is in trouble. */
static void end_writing(struct table_writer *t)
{
    move(t, WRITER_OVER);
    written_end(&t->shared);
}

void table_writer_stop(struct table_writer *t)
{
    if (t->state == WRITER_OVER) {
        return;
    }
    fail_set(&t->trouble, E_CLOSED, "the tables are being closed");
    end_writing(t); /* a job that is with db-0 comes back to a writer that is over */
}

static struct read_wait *pop_read(struct table_writer *t)
{
    struct read_wait *r = t->reads;
    t->reads = r->next;
    if (!t->reads) {
        t->reads_end = &t->reads;
    }
    t->reads_count--;
    return r;
}

void table_writer_destroy(struct table_writer *t)
{
    if (!t) {
        return;
    }
    ASSERT(t->state != WRITER_OUT);
    table_writer_stop(t);
    finish_writes(t, t->batch);
    finish_writes(t, t->ended_writes.head);
    finish_writes(t, t->open.head);
    while (t->reads) {
        struct read_wait *r = pop_read(t);
        struct db_job *job = r->job;
        mem_free(r);
        job->err = fail_set(&job->fail, E_CLOSED, "the database is being closed");
        job->done(job);
    }
    written_close(&t->shared);
    mem_free(t->path);
    mem_free(t);
}

void table_writer_add(struct table_writer *t, struct table_write *take_w)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(take_w->run && take_w->done);
    take_w->next = NULL;
    append(&t->open, take_w, take_w);
    t->bytes += take_w->bytes;
    t->count++;
}

void table_writer_entry_end(struct table_writer *t, uint64_t index)
{
    ASSERT_ON(THREAD_CORE);
    if (index <= t->options.index) {
        ASSERT(!t->open.head);
        return;
    }
    ASSERT(index > t->ended);
    t->ended = index;
    if (!t->open.head) {
        return;
    }
    for (struct table_write *w = t->open.head; w; w = w->next) {
        w->index = index;
    }
    append(&t->ended_writes, t->open.head, t->open.tail);
    t->open = (struct write_list){0};
    t->last_index = index;
}

/* On db-0. After an error whose outcome is unknown the first attempt may be in the database. */
static int is_there_already(struct table_writer *t, struct db *db, bool *ret_there,
                            struct fail *fail)
{
    struct applied now = {0};
    int err = applied_get(db, &now, fail);
    *ret_there = !err && now.index >= t->batch_index;
    return err;
}

static int run_batch(struct db_job *job, struct db *db, struct fail *fail)
{
    struct table_writer *t = CONTAINER_OF(job, struct table_writer, job);
    int err = db_begin(db, DB_TX_WRITE, fail);
    if (err) {
        return err;
    }
    bool is_there = false;
    if (t->tries > 1) {
        err = is_there_already(t, db, &is_there, fail);
    }
    for (struct table_write *w = t->batch; w && !err && !is_there; w = w->next) {
        err = w->run(w, db, fail);
    }
    if (!err && !is_there) {
        /* The term belongs to the log's own snapshot; nobody asks the tables for it. */
        err = applied_set(db, (struct applied){.index = t->batch_index}, fail);
    }
    if (err || is_there) {
        db_rollback(db);
        return err;
    }
    return db_commit(db, fail);
}

static bool is_worth_a_retry(int err)
{
    return err == E_FULL || err == E_BUSY || err == E_GONE || err == E_IO || err == E_TIMEOUT;
}

static void on_written(struct table_writer *t)
{
    struct table_write *list = t->batch;
    t->batch = NULL;
    t->has_batch = false;
    t->written = t->batch_index;
    t->transactions++;
    t->has_progressed = true;
    if (t->state != WRITER_OVER) {
        move(t, WRITER_IDLE);
        t->trouble = (struct fail){0};
    }
    written_set(&t->shared, t->written);
    finish_writes(t, list);
}

static void on_batch_done(struct db_job *take_job)
{
    struct table_writer *t = CONTAINER_OF(take_job, struct table_writer, job);
    int err = take_job->err;
    if (!err) {
        on_written(t);
        return;
    }
    if (t->state == WRITER_OVER) {
        return;
    }
    const char *why = take_job->fail.code ? fail_text(&take_job->fail) : err_text(err);
    if (is_worth_a_retry(err)) {
        fail_set(&t->trouble, err, "the tables take no writes, tried again every %d ms: %s",
                 TABLE_WRITER_RETRY_MS, why);
        move(t, WRITER_FAILED);
        return;
    }
    fail_set(&t->trouble, err, "the tables cannot follow the log after entry %llu: %s",
             (unsigned long long)t->written, why);
    end_writing(t);
    if (err != E_CLOSED) {
        t->options.on_fatal(t->options.self, &t->trouble);
    }
}

/* The batch becomes the whole entries at the head of what waits, at least one, as many as one
 * transaction takes. */
static void cut_batch(struct table_writer *t)
{
    struct table_write *last = NULL;
    size_t bytes = 0;
    size_t count = 0;
    struct table_write *w = t->ended_writes.head;
    while (w) {
        struct table_write *end = w;
        for (uint64_t index = w->index; w && w->index == index; w = w->next) {
            bytes += w->bytes;
            count++;
            end = w;
        }
        if (last && (bytes > TABLE_WRITER_BATCH_BYTES || count > TABLE_WRITER_BATCH_WRITES)) {
            break;
        }
        last = end;
    }
    t->batch = t->ended_writes.head;
    t->ended_writes.head = last ? last->next : NULL;
    if (last) {
        last->next = NULL;
    }
    if (!t->ended_writes.head) {
        t->ended_writes.tail = NULL;
    }
    t->batch_index = t->ended_writes.head ? last->index : t->ended;
    t->has_batch = true;
    t->tries = 0;
}

static void submit_batch(struct table_writer *t)
{
    t->lazy_ms = 0;
    t->job = (struct db_job){.lane = DB_LANE_WRITE, .run = run_batch, .done = on_batch_done};
    t->tries++; /* before db-0 reads it */
    struct fail why = {0};
    int err = db_worker_submit(t->options.worker, &t->job, &why);
    if (!err) {
        t->retries += t->tries > 1;
        move(t, WRITER_OUT);
        return;
    }
    t->tries--;
    t->trouble = why;
    if (err == E_CLOSED) {
        end_writing(t);
        return;
    }
    move(t, WRITER_FAILED);
}

/* Only the index is to be written, and it has waited long enough. */
static bool is_index_due(struct table_writer *t)
{
    if (t->ended <= t->written) {
        return false;
    }
    if (t->lazy_ms == 0) {
        t->lazy_ms = t->now_ms + TABLE_WRITER_LAZY_MS;
    }
    return t->now_ms >= t->lazy_ms || written_wanted(&t->shared) > t->written;
}

static void end_read(struct table_writer *t, struct read_wait *take_r, int err)
{
    struct db_job *job = take_r->job;
    mem_free(take_r);
    if (err == E_TIMEOUT) {
        fail_set(&job->fail, err, "the tables do not have yet what was written before: %s",
                 t->trouble.code ? fail_text(&t->trouble) : "the disk is slow");
    }
    job->err = err;
    job->done(job);
}

static void submit_reads(struct table_writer *t)
{
    while (t->reads && t->reads->index <= t->written) {
        struct read_wait *r = pop_read(t);
        struct db_job *job = r->job;
        struct fail why = {0};
        int err = db_worker_submit(t->options.worker, job, &why);
        if (!err) {
            mem_free(r);
            continue;
        }
        job->fail = why;
        end_read(t, r, err);
    }
}

static uint64_t read_deadline(const struct read_wait *r)
{
    uint64_t wait_ms = r->job->wait_ms_max ? r->job->wait_ms_max : TABLE_WRITER_READ_WAIT_MS;
    return r->is_timed ? r->since_ms + wait_ms : 0;
}

/* Time the reads that wait, and take out those whose time is over. */
static void expire_reads(struct table_writer *t)
{
    struct read_wait *expired = NULL;
    struct read_wait **expired_end = &expired;
    struct read_wait **at = &t->reads;
    while (*at) {
        struct read_wait *r = *at;
        if (!r->is_timed || t->has_progressed) {
            r->since_ms = t->now_ms;
            r->is_timed = true;
        }
        if (t->now_ms < read_deadline(r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        r->next = NULL;
        *expired_end = r;
        expired_end = &r->next;
        t->reads_count--;
    }
    t->reads_end = at;
    t->has_progressed = false;
    while (expired) {
        struct read_wait *r = expired;
        expired = r->next;
        end_read(t, r, E_TIMEOUT);
    }
}

void table_writer_turn(struct table_writer *t, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    t->now_ms = now.mono_ms;
    if (t->state == WRITER_FAILED) {
        t->retry_ms = now.mono_ms + TABLE_WRITER_RETRY_MS;
        move(t, WRITER_PAUSED);
    } else if (t->state == WRITER_PAUSED && now.mono_ms >= t->retry_ms) {
        submit_batch(t);
    } else if (t->state == WRITER_IDLE && (t->ended_writes.head || is_index_due(t))) {
        cut_batch(t);
        submit_batch(t);
    }
    submit_reads(t);
    expire_reads(t);
}

uint64_t table_writer_deadline(const struct table_writer *t)
{
    uint64_t at_ms = NEVER;
    for (const struct read_wait *r = t->reads; r; r = r->next) {
        at_ms = clock_earlier(at_ms, read_deadline(r));
    }
    switch (t->state) {
    case WRITER_FAILED:
        return 0;
    case WRITER_PAUSED:
        return clock_earlier(at_ms, t->retry_ms);
    case WRITER_IDLE:
        if (t->ended_writes.head) {
            return 0;
        }
        if (t->ended > t->written) {
            at_ms =
                clock_earlier(at_ms, t->lazy_ms ? t->lazy_ms : t->now_ms + TABLE_WRITER_LAZY_MS);
        }
        return at_ms;
    case WRITER_OUT:
    case WRITER_OVER:
    default:
        return at_ms;
    }
}

int table_writer_trouble(const struct table_writer *t, struct fail *fail)
{
    if (t->trouble.code) {
        return fail_set(fail, t->trouble.code, "%s", t->trouble.text);
    }
    if (t->bytes >= TABLE_WRITER_BYTES_MAX) {
        return fail_set(fail, E_LIMIT, "%zu bytes wait for the tables already, the limit is %u",
                        t->bytes, TABLE_WRITER_BYTES_MAX);
    }
    return 0;
}

int table_writer_read(struct table_writer *t, struct db_job *take_job, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(take_job->lane == DB_LANE_READ);
    /* Not the last entry that ended: what brings no writes keeps no reader waiting. */
    uint64_t index = t->open.head ? t->ended + 1 : t->last_index;
    if (index <= t->written) {
        return db_worker_submit(t->options.worker, take_job, fail);
    }
    if (t->state == WRITER_OVER) {
        return table_writer_trouble(t, fail);
    }
    if (t->reads_count >= TABLE_WRITER_READS_MAX) {
        return fail_set(fail, E_LIMIT, "%zu queries wait for the tables already", t->reads_count);
    }
    struct read_wait *r = mem_zalloc(1, sizeof *r);
    r->job = take_job;
    r->index = index;
    *t->reads_end = r;
    t->reads_end = &r->next;
    t->reads_count++;
    return 0;
}

int table_writer_read_now(struct table_writer *t, struct db_job *take_job, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(take_job->lane == DB_LANE_READ);
    return db_worker_submit(t->options.worker, take_job, fail);
}

int table_writer_wait_durable(struct table_writer *t, uint64_t index, uint64_t wait_ms,
                              struct fail *fail)
{
    bool is_stepped = db_worker_is_stepped(t->options.worker);
    ASSERT(is_stepped || (thread_kind() != THREAD_CORE && thread_kind() != THREAD_DB));
    /* t may go as soon as the wait is over. */
    char *path = mem_strndup(t->path, strlen(t->path));
    struct db *db = NULL;
    int err = written_wait(&t->shared, index, is_stepped ? 0 : wait_ms, fail);
    if (err == E_TIMEOUT && is_stepped) {
        err = fail_set(fail, E_BUSY, "the tables are not at entry %llu yet",
                       (unsigned long long)index);
    }
    if (!err) {
        err = db_sqlite_open(path, &(struct db_sqlite_options){.must_exist = true}, &db, fail);
    }
    if (!err) {
        err = db_sqlite_checkpoint(db, NULL, fail);
    }
    db_destroy(db);
    mem_free(path);
    return err;
}

struct table_writer_stats table_writer_stats(const struct table_writer *t)
{
    return (struct table_writer_stats){
        .index_applied = t->ended,
        .index_written = t->written,
        .bytes_waiting = t->bytes,
        .writes_waiting = t->count,
        .transactions = t->transactions,
        .retries = t->retries,
    };
}
