/* The inside of a SQLite connection, shared by db_sqlite.c and db_sqlite_file.c.
 *
 * Thread:  as db.h.
 */
#ifndef NACRE_STORE_SQLITE_CONN_H
#define NACRE_STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "store/db_driver.h"

/* Statements of the driver itself. */
enum sqlite_control {
    SQLITE_CONTROL_BEGIN_READ,
    SQLITE_CONTROL_BEGIN_WRITE,
    SQLITE_CONTROL_COMMIT,
    SQLITE_CONTROL_ROLLBACK,
    SQLITE_CONTROL_COUNT
};

struct sqlite_conn {
    struct db db; /* first */
    sqlite3 *handle;
    sqlite3_stmt *control[SQLITE_CONTROL_COUNT];
    int busy_ms;
    bool is_rolling_back; /* nothing interrupts that */
};

/* The code of db.h for what SQLite returned (not SQLITE_OK, SQLITE_ROW, SQLITE_DONE), with the
 * reason: "what: why (SQLite's own words)". */
int sqlite_conn_fail(struct sqlite_conn *s, int rc, const char *what, struct fail *fail);

/* The connection behind db; asserts that it is one of SQLite's. */
struct sqlite_conn *sqlite_conn_of(struct db *db);

/* Make what the folder of path lists durable. E_IO, E_FULL. */
MUST_USE int sqlite_conn_sync_folder(const char *path, struct fail *fail);

#endif
