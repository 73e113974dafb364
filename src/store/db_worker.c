#include "store/db_worker.h"

#include <pthread.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"

enum { WRITER, FIRST_READER }; /* places of db_thread */

struct queue {
    struct db_job *head;
    struct db_job *tail;
    size_t len;
};

/* One thread with its connection. */
struct db_thread {
    struct db_worker *worker;
    pthread_t thread;
    unsigned number;
    bool is_started;
    struct db *db;      /* changed by the thread, under the lock; NULL while away */
    uint64_t reopen_ms; /* the thread's own: not before */
    struct fail away;   /* the thread's own: why there is no connection */
};

struct db_worker {
    struct db_worker_options options;
    unsigned threads_count;
    struct db_thread threads[FIRST_READER + DB_WORKER_READERS_MAX];
    struct mailbox finished;
    pthread_mutex_t lock;       /* guards all below, and db of each thread */
    pthread_cond_t for_writer;  /* a write, a parked reader, the end */
    pthread_cond_t for_readers; /* a read, is_alone, the end */
    struct queue reads;
    struct queue writes;
    bool is_stopping;
    bool is_alone;   /* the writer wants, or has, all connections closed */
    unsigned parked; /* readers without a connection because of that */
    struct db_worker_stats stats;
    uint64_t stepped_ms; /* of the last step */
};

static uint64_t now_ms(const struct db_worker *w)
{
    return w->options.is_stepped ? w->stepped_ms : clock_mono_ms();
}

static void lock(struct db_worker *w)
{
    ASSERT(pthread_mutex_lock(&w->lock) == 0);
}

static void unlock(struct db_worker *w)
{
    ASSERT(pthread_mutex_unlock(&w->lock) == 0);
}

static void wait_for(struct db_worker *w, pthread_cond_t *what)
{
    ASSERT(pthread_cond_wait(what, &w->lock) == 0);
}

static void tell_writer(struct db_worker *w)
{
    ASSERT(pthread_cond_signal(&w->for_writer) == 0);
}

static void tell_a_reader(struct db_worker *w)
{
    ASSERT(pthread_cond_signal(&w->for_readers) == 0);
}

static void tell_readers(struct db_worker *w)
{
    ASSERT(pthread_cond_broadcast(&w->for_readers) == 0);
}

static struct db_job *job_of(struct mail *mail)
{
    return CONTAINER_OF(mail, struct db_job, mail);
}

static void push(struct queue *q, struct db_job *job)
{
    job->mail.next = NULL;
    if (q->head) {
        q->tail->mail.next = &job->mail;
    } else {
        q->head = job;
    }
    q->tail = job;
    q->len++;
}

static struct db_job *pop(struct queue *q)
{
    struct db_job *job = q->head;
    if (job) {
        q->head = job->mail.next ? job_of(job->mail.next) : NULL;
        q->len--;
        job->mail.next = NULL;
    }
    return job;
}

static void finish(struct db_worker *w, struct db_job *job)
{
    if (job->done_on_db) {
        job->done(job);
        return;
    }
    bool was_empty = false;
    int err = mailbox_post(&w->finished, &job->mail, &was_empty);
    ASSERT(!err); /* without a limit, and never shut */
    if (was_empty) {
        w->options.wake(w->options.self);
    }
}

/* Give the thread's connection back, or set it; under the lock because db_worker_stop cancels. */
static void set_connection(struct db_thread *t, struct db *db)
{
    lock(t->worker);
    struct db *before = t->db;
    t->db = db;
    if (db && t->worker->is_stopping && t->number != WRITER) {
        db_cancel(db);
    }
    unlock(t->worker);
    db_destroy(before);
}

static int reopen(struct db_thread *t, struct fail *fail)
{
    struct db_worker *w = t->worker;
    if (now_ms(w) >= t->reopen_ms) {
        struct db *db = NULL;
        int err = w->options.open(w->options.self, t->number == WRITER, &db, &t->away);
        t->reopen_ms = now_ms(w) + DB_WORKER_REOPEN_MS;
        if (!err) {
            set_connection(t, db);
            lock(w);
            w->stats.reopened++;
            unlock(w);
            return 0;
        }
        t->away.code = err;
    }
    return fail_set(fail, E_GONE, "the database is away: %s", fail_text(&t->away));
}

static int run_alone(struct db_thread *t, struct db_job *job)
{
    struct db_worker *w = t->worker;
    if (w->options.is_stepped) {
        set_connection(&w->threads[FIRST_READER], NULL);
        w->threads[FIRST_READER].reopen_ms = 0;
    }
    lock(w);
    w->is_alone = true;
    tell_readers(w);
    while (!w->options.is_stepped && w->parked < w->threads_count - FIRST_READER) {
        wait_for(w, &w->for_writer);
    }
    unlock(w);
    set_connection(t, NULL);
    int err = job->run(job, NULL, &job->fail);
    t->reopen_ms = 0;
    lock(w);
    w->is_alone = false;
    tell_readers(w);
    unlock(w);
    return err;
}

static int run_connected(struct db_thread *t, struct db_job *job)
{
    int err = t->db ? 0 : reopen(t, &job->fail);
    if (err) {
        return err;
    }
    err = job->run(job, t->db, &job->fail);
    ASSERT(db_is_idle(t->db));
    if (err == E_GONE) {
        t->away = job->fail;
        t->away.code = err;
        t->reopen_ms = 0;
        set_connection(t, NULL);
    }
    return err;
}

static void run_job(struct db_thread *t, struct db_job *job, bool is_stopping)
{
    struct db_worker *w = t->worker;
    bool is_expired = false;
    if (is_stopping) {
        job->err = fail_set(&job->fail, E_CLOSED, "the database is being closed");
    } else if (job->wait_ms_max && now_ms(w) - job->submitted_ms > job->wait_ms_max) {
        is_expired = true;
        job->err = fail_set(&job->fail, E_TIMEOUT, "waited for the database more than %llu ms",
                            (unsigned long long)job->wait_ms_max);
    } else if (job->lane == DB_LANE_ALONE) {
        job->err = run_alone(t, job);
    } else {
        job->err = run_connected(t, job);
    }
    lock(w);
    w->stats.ended++;
    w->stats.expired += is_expired;
    w->stats.failed += job->err != 0 && job->err != E_CONFLICT;
    unlock(w);
    finish(w, job);
}

/* Readers only: without a connection until the writer has done what it does alone. */
static void park(struct db_thread *t)
{
    struct db_worker *w = t->worker;
    set_connection(t, NULL);
    t->reopen_ms = 0;
    lock(w);
    w->parked++;
    tell_writer(w);
    while (w->is_alone) {
        wait_for(w, &w->for_readers);
    }
    w->parked--;
    unlock(w);
}

/* The next job; NULL: the end, or (readers) park first. */
static struct db_job *next_job(struct db_thread *t, bool *ret_park, bool *ret_stopping)
{
    struct db_worker *w = t->worker;
    struct queue *q = t->number == WRITER ? &w->writes : &w->reads;
    struct db_job *job = NULL;
    lock(w);
    for (;;) {
        *ret_park = t->number != WRITER && w->is_alone;
        if (!*ret_park) {
            job = pop(q);
        }
        *ret_stopping = w->is_stopping;
        if (*ret_park || job || w->is_stopping) {
            break;
        }
        wait_for(w, t->number == WRITER ? &w->for_writer : &w->for_readers);
    }
    unlock(w);
    return job;
}

static void *thread_main(void *arg)
{
    struct db_thread *t = arg;
    char name[16];
    (void)snprintf(name, sizeof name, "db-%u", t->number);
    thread_become(THREAD_DB, name);
    for (;;) {
        bool must_park = false;
        bool is_stopping = false;
        struct db_job *job = next_job(t, &must_park, &is_stopping);
        if (job) {
            run_job(t, job, is_stopping);
        } else if (must_park) {
            park(t);
        } else {
            break;
        }
    }
    set_connection(t, NULL);
    if (t->number != WRITER) {
        lock(t->worker);
        t->worker->parked++; /* for good: the writer may still want to be alone */
        tell_writer(t->worker);
        unlock(t->worker);
    }
    return NULL;
}

bool db_worker_step(struct db_worker *w, bool is_write, uint64_t at_ms)
{
    ASSERT(w->options.is_stepped);
    w->stepped_ms = at_ms;
    lock(w);
    struct db_job *job = pop(is_write ? &w->writes : &w->reads);
    bool is_stopping = w->is_stopping;
    unlock(w);
    if (job) {
        run_job(&w->threads[is_write ? WRITER : FIRST_READER], job, is_stopping);
    }
    return job != NULL;
}

bool db_worker_is_stepped(const struct db_worker *w)
{
    return w->options.is_stepped;
}

/* A stepped worker has no threads that would end what waits. */
static void end_stepped(struct db_worker *w)
{
    while (db_worker_step(w, true, w->stepped_ms) || db_worker_step(w, false, w->stepped_ms)) {
    }
}

static int start_threads(struct db_worker *w, struct fail *fail)
{
    for (unsigned i = 0; i < w->threads_count; i++) {
        struct db_thread *t = &w->threads[i];
        int err = w->options.open(w->options.self, i == WRITER, &t->db, fail);
        if (err) {
            return err;
        }
    }
    for (unsigned i = 0; i < w->threads_count; i++) {
        struct db_thread *t = &w->threads[i];
        if (thread_start(&t->thread, thread_main, t)) {
            return fail_set(fail, E_LIMIT, "the system gives no thread for the database");
        }
        t->is_started = true;
    }
    return 0;
}

int db_worker_create(const struct db_worker_options *options, struct db_worker **ret_worker,
                     struct fail *fail)
{
    ASSERT(options->readers <= DB_WORKER_READERS_MAX);
    struct db_worker *w = mem_zalloc(1, sizeof *w);
    w->options = *options;
    w->options.queue_max = options->queue_max ? options->queue_max : DB_WORKER_QUEUE_MAX;
    w->threads_count =
        FIRST_READER + (options->readers && !options->is_stepped ? options->readers : 1);
    mailbox_init(&w->finished, SIZE_MAX);
    ASSERT(pthread_mutex_init(&w->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&w->for_writer, NULL) == 0);
    ASSERT(pthread_cond_init(&w->for_readers, NULL) == 0);
    for (unsigned i = 0; i < w->threads_count; i++) {
        w->threads[i].worker = w;
        w->threads[i].number = i;
    }
    int err = w->options.is_stepped ? 0 : start_threads(w, fail);
    if (err) {
        db_worker_destroy(w);
        return err;
    }
    *ret_worker = w;
    return 0;
}

int db_worker_submit(struct db_worker *w, struct db_job *take_job, struct fail *fail)
{
    ASSERT(take_job->run && take_job->done);
    ASSERT(take_job->done_on_db || w->options.wake);
    int err = 0;
    take_job->err = 0;
    take_job->fail = (struct fail){0};
    take_job->submitted_ms = now_ms(w);
    lock(w);
    struct queue *q = take_job->lane == DB_LANE_READ ? &w->reads : &w->writes;
    size_t waiting = q->len;
    if (w->is_stopping) {
        err = E_CLOSED;
    } else if (waiting >= w->options.queue_max) {
        err = E_LIMIT;
        w->stats.refused++;
    } else {
        push(q, take_job);
        if (q == &w->reads) {
            tell_a_reader(w);
        } else {
            tell_writer(w);
        }
    }
    unlock(w);
    if (err == E_CLOSED) {
        return fail_set(fail, err, "the database is being closed");
    }
    if (err) {
        return fail_set(fail, err, "%zu jobs wait for the database already", waiting);
    }
    return 0;
}

size_t db_worker_collect(struct db_worker *w)
{
    size_t count = 0;
    struct mail *all = mailbox_drain(&w->finished);
    while (all) {
        struct db_job *job = job_of(all);
        all = all->next;
        job->mail.next = NULL;
        job->done(job);
        count++;
    }
    return count;
}

void db_worker_stop(struct db_worker *w)
{
    lock(w);
    if (!w->is_stopping) {
        w->is_stopping = true;
        for (unsigned i = FIRST_READER; i < w->threads_count; i++) {
            if (w->threads[i].db) {
                db_cancel(w->threads[i].db);
            }
        }
        tell_readers(w);
        tell_writer(w);
    }
    unlock(w);
}

void db_worker_destroy(struct db_worker *w)
{
    if (!w) {
        return;
    }
    db_worker_stop(w);
    if (w->options.is_stepped) {
        end_stepped(w);
    }
    for (unsigned i = 0; i < w->threads_count; i++) {
        if (w->threads[i].is_started) {
            ASSERT(pthread_join(w->threads[i].thread, NULL) == 0);
        }
        db_destroy(w->threads[i].db); /* of one that never started */
    }
    (void)db_worker_collect(w);
    mailbox_close(&w->finished);
    ASSERT(pthread_cond_destroy(&w->for_writer) == 0);
    ASSERT(pthread_cond_destroy(&w->for_readers) == 0);
    ASSERT(pthread_mutex_destroy(&w->lock) == 0);
    mem_free(w);
}

struct db_worker_stats db_worker_stats(struct db_worker *w)
{
    lock(w);
    struct db_worker_stats stats = w->stats;
    stats.reads_waiting = w->reads.len;
    stats.writes_waiting = w->writes.len;
    unlock(w);
    return stats;
}
