/* What the log says, carried into the tables: the writes of applied entries, in order, behind the
 * log.
 *
 * apply changes the state in memory and adds a write here; one job at a time takes all that waits
 * to db-0 as one transaction, together with the index of the last whole entry in it (applied.h). So
 * no answer waits for the tables, and after a crash the log gives again what they lack. A query
 * that must see everything applied so far goes through table_writer_read.
 *
 * Index:   what the tables say they hold (index_written) moves on in the transaction of the writes
 *          that it speaks of. Entries without writes cost no transaction each: the next one with
 *          writes takes them along, or an empty one after TABLE_WRITER_LAZY_MS, or sooner when
 *          table_writer_wait_durable wants them. So index_written may stay behind index_applied
 *          that long although nothing is missing, and after a crash the log gives such entries
 *          again.
 * Thread:  core, but table_writer_wait_durable (any but core and db-N), create and destroy.
 * Owns:    each write from add until its done.
 * Limits:  TABLE_WRITER_BYTES_MAX bytes wait: from then on table_writer_trouble is E_LIMIT and
 *          features refuse new writes in admit (what is in the log already is always taken).
 *          TABLE_WRITER_READS_MAX reads wait.
 *          TABLE_WRITER_BATCH_BYTES, TABLE_WRITER_BATCH_WRITES in one transaction, whole entries.
 * Full:    a transaction that ends with E_FULL, E_BUSY, E_GONE, E_IO or E_TIMEOUT is tried again,
 *          as it is, every TABLE_WRITER_RETRY_MS; table_writer_trouble says why meanwhile. E_CLOSED
 *          (the worker stops) ends the writing. Any other end (E_CORRUPT, our SQL is wrong) is
 *          on_fatal: the tables can follow the log no more.
 */
#ifndef NACRE_STORE_TABLE_WRITER_H
#define NACRE_STORE_TABLE_WRITER_H

#include <stdint.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"
#include "store/db.h"
#include "store/db_worker.h"

#define TABLE_WRITER_BYTES_MAX (96u << 20)
#define TABLE_WRITER_BATCH_BYTES (16u << 20)
#define TABLE_WRITER_BATCH_WRITES 4096
#define TABLE_WRITER_RETRY_MS 500
#define TABLE_WRITER_LAZY_MS 1000
#define TABLE_WRITER_READS_MAX 4096 /* that wait for the tables */
#define TABLE_WRITER_READ_WAIT_MS 3000

/* Embedded in its owner's struct, zero-initialised but for what the owner sets. */
struct table_write {
    struct table_write *next; /* the writer's */
    uint64_t index;           /* the writer's: its entry */
    size_t bytes;             /* owner: what it keeps in memory while it waits */
    /* On db-0 inside a DB_TX_WRITE. Runs again after a transaction that was taken back. */
    int (*run)(struct table_write *w, struct db *db, struct fail *fail);
    /* On core: it is committed. Or the writer is destroyed, on that thread. */
    void (*done)(struct table_write *take_w);
};

struct table_writer_options {
    struct db_worker *worker; /* borrowed, outlives the writer's last collect */
    const char *path; /* the database file, for table_writer_wait_durable's own connection */
    uint64_t index;   /* what the tables hold (applied_get at start) */
    void (*on_fatal)(void *self, const struct fail *why);
    void *self;
};

/* For metrics: a copy. */
struct table_writer_stats {
    uint64_t index_applied; /* last entry that ended */
    uint64_t index_written;
    size_t bytes_waiting;
    size_t writes_waiting;
    uint64_t transactions;
    uint64_t retries;
};

struct table_writer;

/* Starts nothing. */
struct table_writer *table_writer_create(const struct table_writer_options *options);

/* Submit nothing more; who is in table_writer_wait_durable returns with E_CLOSED. For a stop in
 * which others wait for those. What waits stays until the end. Core, or after it. */
void table_writer_stop(struct table_writer *t);

/* After db_worker_destroy (so that no job of ours is out). Writes and reads that wait are ended:
 * done is called, reads end with E_CLOSED. NULL is fine. */
void table_writer_destroy(struct table_writer *t);

/* A write of the entry that is being applied. */
void table_writer_add(struct table_writer *t, struct table_write *take_w);

/* The entry is applied whole (also one without writes: the index moves on). index grows. An index
 * that the tables held at the start is ignored; such an entry brings no writes (asserted). */
void table_writer_entry_end(struct table_writer *t, uint64_t index);

/* Once a core turn, after db_worker_collect: submit what waits, retry what is due. */
void table_writer_turn(struct table_writer *t, struct now now);

/* When table_writer_turn wants to be called next (monotonic ms); UINT64_MAX for never. */
uint64_t table_writer_deadline(const struct table_writer *t);

/* 0, or why writes do not get through at the moment: for admit to refuse with.
 * E_FULL, E_IO, E_BUSY, E_GONE, E_TIMEOUT, E_LIMIT with a sentence   E_CLOSED, or what was fatal:
 * none ever will */
MUST_USE int table_writer_trouble(const struct table_writer *t, struct fail *fail);

/* Submit a job of DB_LANE_READ as soon as all that is applied by now is in the tables; at once when
 * it is already. It waits until no transaction has got through for job->wait_ms_max
 * (0: TABLE_WRITER_READ_WAIT_MS), then it ends with E_TIMEOUT.
 * On an error it stays the caller's and done is not called. What db_worker_submit says;
 * E_LIMIT  TABLE_WRITER_READS_MAX wait */
MUST_USE int table_writer_read(struct table_writer *t, struct db_job *take_job, struct fail *fail);

/* Submit a job of DB_LANE_READ now, whatever waits: for what is known to be in the tables. So it is
 * read on a disk that is full, too. On an error it stays the caller's. What db_worker_submit says.
 */
MUST_USE int table_writer_read_now(struct table_writer *t, struct db_job *take_job,
                                   struct fail *fail);

/* Wait until the tables say that they hold entry index, durably (a checkpoint, on a connection of
 * its own; wait_ms does not bound it). Blocks: up to TABLE_WRITER_LAZY_MS even when nothing is
 * missing. On a stepped worker it never waits, and core may call it: E_BUSY  ask again
 * E_TIMEOUT  not within wait_ms   E_CLOSED  stopped   otherwise as db.h */
MUST_USE int table_writer_wait_durable(struct table_writer *t, uint64_t index, uint64_t wait_ms,
                                       struct fail *fail);

/* Figures as they are now. Core. */
struct table_writer_stats table_writer_stats(const struct table_writer *t);

#endif
