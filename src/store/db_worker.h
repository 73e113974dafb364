/* The database's threads: db-0 writes, db-1.. read, each with its own connection and in order of
 * arrival. Others give them jobs and go on.
 *
 * Thread:  db_worker_submit: any. db_worker_collect: the loop's (whoever owns the jobs). The rest:
 *          main, once.
 * A job:   embedded in its owner's struct; the worker's from submit until done. run is called on a
 *          db thread, at most once; then done, exactly once: by db_worker_collect on the loop's
 *          thread, or at once on the db thread if done_on_db.
 * Mail:    finished jobs gather in a list, and wake is called (on a db thread) when the first of
 *          them arrives: the owner posts a mail or nothing at all, as long as a turn of its loop
 *          follows in which it calls db_worker_collect. So no full mailbox can lose a result.
 * Writes:  one at a time, in the order of submit. A job that answers a log entry is one transaction
 *          with the applied index in it (applied.h).
 * Limits:  DB_WORKER_QUEUE_MAX jobs wait per lane (options); then E_LIMIT. A job that waited longer
 *          than its wait_ms_max ends with E_TIMEOUT and is not run. What runs is bounded by the
 *          connection's statement time.
 * Lifetime: wake may come until db_worker_destroy returns, so what it wakes is destroyed later.
 * Away:    a run that ends with E_GONE costs the connection; the next job opens another, but not
 *          within DB_WORKER_REOPEN_MS of the last attempt: until then jobs end with E_GONE and the
 *          reason.
 * Stepped: with is_stepped there are no threads, for simulation: the caller of db_worker_step runs
 *          the jobs, one by one, at the times that it says. One thread for everything.
 */
#ifndef NACRE_STORE_DB_WORKER_H
#define NACRE_STORE_DB_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "loop/mailbox.h"
#include "store/db.h"

#define DB_WORKER_READERS_MAX 16
#define DB_WORKER_QUEUE_MAX 4096
#define DB_WORKER_REOPEN_MS 500

enum db_lane {
    DB_LANE_READ,
    DB_LANE_WRITE,
    /* A write whose run gets no connection, because all are closed meanwhile (readers have come to
     * an end): to put another file in place. Each is opened again by the next job that needs it. */
    DB_LANE_ALONE,
};

/* Plain data, zero-initialised but for what the owner sets. */
struct db_job {
    struct mail mail; /* the worker's */
    /* The owner sets: */
    enum db_lane lane;
    bool done_on_db;
    uint64_t wait_ms_max; /* 0: waits as long as it takes */
    /* Leaves neither a transaction nor a query open (asserted). Its result becomes err; fail is
     * &job->fail. db is NULL in DB_LANE_ALONE. */
    int (*run)(struct db_job *job, struct db *db, struct fail *fail);
    void (*done)(struct db_job *take_job);
    /* The worker sets: */
    int err; /* what run returned; E_CLOSED, E_TIMEOUT, E_GONE when it could not run */
    struct fail fail;
    uint64_t submitted_ms;
};

struct db_worker_options {
    /* Open a connection. Called by db_worker_create for each thread, later on the db threads. */
    int (*open)(void *self, bool is_writer, struct db **ret_db, struct fail *fail);
    /* Finished jobs wait for db_worker_collect. On a db thread; must not block. NULL: nobody
     * waits for it, every job is done_on_db. */
    void (*wake)(void *self);
    void *self;
    unsigned readers;   /* 1..DB_WORKER_READERS_MAX; 0: one */
    unsigned queue_max; /* per lane; 0: DB_WORKER_QUEUE_MAX */
    bool is_stepped;    /* connections are opened by the first job that needs one */
};

/* For metrics: a copy. Counts since the start. */
struct db_worker_stats {
    uint64_t ended;
    uint64_t failed;  /* of these, with an error other than E_CONFLICT */
    uint64_t refused; /* E_LIMIT */
    uint64_t expired; /* waited too long */
    uint64_t reopened;
    size_t reads_waiting;
    size_t writes_waiting;
};

struct db_worker;

/* Open all connections and start the threads. On an error nothing runs.
 * What open says; E_LIMIT  the system gives no more threads */
MUST_USE int db_worker_create(const struct db_worker_options *options,
                              struct db_worker **ret_worker, struct fail *fail);

/* Hand over a job. On an error it stays the caller's and done is not called.
 * E_LIMIT  as many wait as may   E_CLOSED  after db_worker_stop */
MUST_USE int db_worker_submit(struct db_worker *w, struct db_job *take_job, struct fail *fail);

/* A stepped worker runs its next write (DB_LANE_WRITE, DB_LANE_ALONE) or its next read, as if it
 * were at_ms; false: there is none. at_ms is what its clock says from here on. */
bool db_worker_step(struct db_worker *w, bool is_write, uint64_t at_ms);

/* As it was made. */
bool db_worker_is_stepped(const struct db_worker *w);

/* Call done of what is finished, oldest first. Returns how many. done may submit again. */
size_t db_worker_collect(struct db_worker *w);

/* No more jobs: those that wait end with E_CLOSED, reads that run are cancelled (E_CLOSED), a write
 * that runs comes to its end. Returns at once; results come as ever. */
void db_worker_stop(struct db_worker *w);

/* Stop, wait for the threads (as long as what runs may take), close the connections, and call done
 * of what was not collected, here. NULL is fine. */
void db_worker_destroy(struct db_worker *w);

/* Numbers as they are now. Any thread. */
struct db_worker_stats db_worker_stats(struct db_worker *w);

#endif
