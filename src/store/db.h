/* A connection to a database: prepared statements, transactions, rows. What a feature's *_repo
 * sees.
 *
 * The same calls over every driver (db_driver.h): SQLite today (db_sqlite.h).
 *
 * Thread:  a connection belongs to one thread at a time: its db-N, or who opened it before it is
 *          handed over. db_cancel: any thread. Every call may block: THREAD_DB, or before threads
 *          start.
 * Owns:    its prepared statements, one per struct db_stmt, made at first use.
 * Limits:  DB_STMTS_MAX statements a connection, DB_PARAMS_MAX parameters and DB_COLUMNS_MAX
 *          columns a statement (our SQL: asserted). DB_VALUE_BYTES_MAX a bound value,
 *          DB_ROW_BYTES_MAX a row (E_TOO_LARGE). DB_ROWS_MAX rows a query (E_LIMIT: walk further by
 *          key). The connection's statement time, from a query's first step on (E_TIMEOUT).
 * Errors:  E_BUSY: another process or connection holds it longer than the busy time.
 *          E_FULL: no room on disk; nothing was written, and it goes on when there is room again.
 *          E_CONFLICT: a constraint (a key that exists, NOT NULL, CHECK).
 *          E_CORRUPT: what is stored is damaged.
 *          E_GONE: the database is not there any more; close the connection, open another.
 *          E_CLOSED: db_cancel was called. E_IO: the system says so. E_INTERNAL: our SQL is wrong.
 *          E_TOO_LARGE, E_LIMIT, E_TIMEOUT: the limits above.
 * Broken:  after any of these but E_CONFLICT the open transaction is broken: every further query of
 *          it fails with the same reason, and db_commit rolls back. So nothing runs by accident
 *          outside of the transaction that it was meant for.
 */
#ifndef NACRE_STORE_DB_H
#define NACRE_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define DB_STMTS_MAX 512
#define DB_PARAMS_MAX 64
#define DB_COLUMNS_MAX 64
#define DB_VALUE_BYTES_MAX (16u << 20)
#define DB_ROW_BYTES_MAX (2 * DB_VALUE_BYTES_MAX)
#define DB_ROWS_MAX 65536

struct db;
struct db_query;

/* One statement. Rows of a feature's static const table; the address is its identity, so it must
 * outlive the connections. Parameters are '?', in order. A NULL text: not for this database. */
struct db_stmt {
    const char *name; /* for messages and traces: "config_upsert" */
    const char *sql_sqlite;
    const char *sql_mysql;
};

enum db_tx { DB_TX_NONE, DB_TX_READ, DB_TX_WRITE };

/* Close the connection and forget its statements; no query is open. An open transaction is rolled
 * back. NULL is fine. */
void db_destroy(struct db *db);

/* End what runs and all that follows with E_CLOSED. Any thread, while the connection exists. */
void db_cancel(struct db *db);

/* How long a query may run from its first step on, in milliseconds; 0: no limit. Returns what the
 * limit was. */
uint64_t db_limit_time(struct db *db, uint64_t statement_ms);

/* Begin a transaction; none is open. DB_TX_READ sees one state of the database throughout;
 * DB_TX_WRITE excludes other writers from here on (E_BUSY). */
MUST_USE int db_begin(struct db *db, enum db_tx kind, struct fail *fail);

/* Commit; no query is open. Over in every case: on an error nothing of it is in the database.
 * (After E_IO, when the disk failed to sync, a crash may bring it back, and E_GONE of a database
 * over a network leaves open whether it was committed: the applied index tells.) */
MUST_USE int db_commit(struct db *db, struct fail *fail);

/* Take the transaction back, if one is open; no query is open. Cannot fail: a connection that
 * cannot even do this gives E_GONE from then on. */
void db_rollback(struct db *db);

/* The open transaction. */
enum db_tx db_in_tx(const struct db *db);

/* True when there is neither a transaction nor a query open: how a connection is handed back. */
bool db_is_idle(const struct db *db);

/* Start a statement. *ret_query is borrowed until db_done; one statement runs once at a time
 * (asserted), writes run in a DB_TX_WRITE (asserted). */
MUST_USE int db_query(struct db *db, const struct db_stmt *stmt, struct db_query **ret_query,
                      struct fail *fail);

/* Bind the next parameter. Text and bytes are borrowed until db_done. Failures are kept and told by
 * the next db_step. */
void db_bind_int64(struct db_query *q, int64_t value);
void db_bind_double(struct db_query *q, double value);
void db_bind_text(struct db_query *q, struct span text); /* UTF-8; an empty span is '' */
void db_bind_blob(struct db_query *q, struct span bytes);
void db_bind_null(struct db_query *q);

/* The first or next row; *ret_has_row says whether there is one. All parameters are bound
 * (asserted). */
MUST_USE int db_step(struct db_query *q, bool *ret_has_row, struct fail *fail);

/* A column of the current row, from 0 (asserted). NULL reads as 0 or empty; another type is
 * converted as the database does it. Spans: until the next db_step or db_done. */
int64_t db_col_int64(struct db_query *q, unsigned column);
double db_col_double(struct db_query *q, unsigned column);
struct span db_col_text(struct db_query *q, unsigned column);
struct span db_col_blob(struct db_query *q, unsigned column);
bool db_col_is_null(struct db_query *q, unsigned column);

/* Over; what was bound is free again. NULL is fine. */
void db_done(struct db_query *q);

/* A statement without rows: step and done in one. *ret_changed (may be NULL): rows inserted,
 * updated (found, even when equal, in SQLite) or deleted. q is done in every case. */
MUST_USE int db_exec(struct db_query *q, int64_t *ret_changed, struct fail *fail);

/* The key that the last insert of this connection was given. */
int64_t db_last_id(const struct db *db);

/* Several statements without parameters or rows, in the caller's transaction: migrations only. */
MUST_USE int db_script(struct db *db, const char *sql, struct fail *fail);

#endif
