/* SQLite 3.40 behind db.h, in WAL mode: one writing connection, any number of reading ones.
 *
 * Thread:  as db.h. Several connections to one file, each on its own thread, do not wait for each
 *          other, except writers.
 * Durable: without is_full_sync (synchronous=NORMAL) the last commits may be lost with power, never
 *          consistency; db_sqlite_checkpoint says when they cannot be lost any more. The log gives
 *          them again (consensus.md 5.2), so its snapshot index follows the checkpoint.
 * Full:    a full disk is E_FULL: the transaction is rolled back, reads go on, and the next write
 *          tries again; nothing has to be reopened.
 * Trust:   a file may come from a backup or a peer: SQLite's defences for such files are on, it is
 *          checked on demand, and another program's database is refused.
 */
#ifndef NACRE_STORE_DB_SQLITE_H
#define NACRE_STORE_DB_SQLITE_H

#include "store/db.h"

#define DB_SQLITE_BUSY_MS 2000
#define DB_SQLITE_STATEMENT_MS 10000
#define DB_SQLITE_CHECKPOINT_PAGES 4000 /* of 4 KB */
#define DB_SQLITE_CACHE_KB 4096
#define DB_SQLITE_WAL_BYTES_KEPT (64 << 20) /* the -wal file is cut to this when it starts over */

enum db_sqlite_check {
    DB_SQLITE_CHECK_NONE,
    DB_SQLITE_CHECK_QUICK, /* every page, not that indexes agree with tables */
    DB_SQLITE_CHECK_FULL,
};

/* Zero-initialised: the defaults. */
struct db_sqlite_options {
    bool must_exist;   /* E_GONE rather than a new, empty database */
    bool is_reader;    /* refuses to write */
    bool is_full_sync; /* every commit is on disk when db_commit returns */
    bool no_sync;      /* simulation: nothing is ever durable against a loss of power */
    enum db_sqlite_check check;
    unsigned busy_ms;          /* 0: DB_SQLITE_BUSY_MS */
    unsigned statement_ms;     /* 0: DB_SQLITE_STATEMENT_MS; db_limit_time sets none */
    unsigned checkpoint_pages; /* 0: DB_SQLITE_CHECKPOINT_PAGES */
    unsigned cache_kb;         /* 0: DB_SQLITE_CACHE_KB */
};

/* Open path, made (mode 0600, in an existing folder) when it is not there. options may be NULL.
 * E_GONE     must_exist, and it does not    E_CORRUPT  damaged, or no database; says what to do
 * E_INVALID  another program's database, or not a file   E_IO, E_FULL, E_BUSY  as the text says */
MUST_USE int db_sqlite_open(const char *path, const struct db_sqlite_options *options,
                            struct db **ret_db, struct fail *fail);

/* What a checkpoint left. Plain data. */
struct db_checkpoint {
    unsigned pages;       /* in the -wal file */
    unsigned pages_moved; /* of these, also in the database file by now */
};

/* Afterwards everything that was committed before is durable, whatever readers do; and as much of
 * it as they let is moved into the database file, whose -wal is cut to nothing when it was all. No
 * transaction is open. ret_done may be NULL. */
MUST_USE int db_sqlite_checkpoint(struct db *db, struct db_checkpoint *ret_done, struct fail *fail);

/* Called between two steps of a backup with pages done and in all. False stops it. */
typedef bool (*db_sqlite_progress_fn)(void *arg, uint64_t done, uint64_t total);

/* Copy the database as it is now into the file path, which appears (or is replaced) only when it is
 * complete and durable; path.part until then. Writers go on meanwhile, but the -wal grows with what
 * they write. No transaction is open, and nobody has path open. progress may be NULL.
 * E_CLOSED  progress said so, or db_cancel */
MUST_USE int db_sqlite_backup(struct db *db, const char *path, db_sqlite_progress_fn progress,
                              void *arg, struct fail *fail);

/* Read the file whole and say in one sentence what is wrong with it, if anything. */
MUST_USE int db_sqlite_verify(const char *path, struct fail *fail);

/* Put the verified database file from in the place of path: a snapshot is installed. from is moved
 * (same file system). No connection to either is open in any process. After a crash at any point
 * path is either the old database or the new one, whole.
 * E_BUSY  somebody has path open   otherwise as db_sqlite_open of from */
MUST_USE int db_sqlite_replace(const char *path, const char *from, struct fail *fail);

#endif
