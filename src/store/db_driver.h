/* What a driver gives for db.h: the vtable, and the two structs that it embeds.
 *
 * Thread:  as db.h. Seen by src/store and its tests only.
 * Rule:    the checks that hold for every database (limits, order, broken transactions, time) are
 *          in db.c; a driver translates calls and errors.
 */
#ifndef NACRE_STORE_DB_DRIVER_H
#define NACRE_STORE_DB_DRIVER_H

#include <stdatomic.h>

#include "base/hash.h"
#include "store/db.h"

#include <uthash.h>

enum db_type { DB_NULL, DB_INT64, DB_DOUBLE, DB_TEXT, DB_BLOB };

/* Plain data. int64, dbl, bytes: by type. */
struct db_value {
    enum db_type type;
    int64_t int64;
    double dbl;
    struct span bytes;
};

/* All return 0 or an error of db.h with its reason in fail (which may be NULL). */
struct db_ops {
    const char *name;
    /* Make a statement ready: allocates the driver's struct, sets params, columns, is_write. */
    int (*prepare)(struct db *db, const struct db_stmt *stmt, struct db_query **ret_query,
                   struct fail *fail);
    void (*finalize)(struct db_query *take_q);
    /* at: from 0. The bytes stay where they are until reset. */
    int (*bind)(struct db_query *q, unsigned at, const struct db_value *value, struct fail *fail);
    int (*step)(struct db_query *q, bool *ret_has_row, struct fail *fail);
    /* The column as ret->type; DB_NULL only asks whether it is null. Returns whether it is. */
    bool (*column)(struct db_query *q, unsigned at, struct db_value *ret);
    void (*reset)(struct db_query *q);
    int64_t (*changed)(const struct db *db);
    int64_t (*last_id)(const struct db *db);
    int (*begin)(struct db *db, enum db_tx kind, struct fail *fail);
    int (*commit)(struct db *db, struct fail *fail);
    int (*rollback)(struct db *db);
    int (*script)(struct db *db, const char *sql, struct fail *fail);
    void (*destroy)(struct db *take_db);
};

/* First member of a driver's connection. The driver reads is_cancelled and deadline_ms from inside
 * long statements. */
struct db {
    const struct db_ops *ops;
    struct db_query *prepared; /* uthash by stmt */
    unsigned open;             /* queries between db_query and db_done */
    enum db_tx tx;
    struct fail broken;    /* code 0: the transaction is whole */
    uint64_t statement_ms; /* 0: no limit */
    uint64_t deadline_ms;  /* monotonic; of the query that steps; UINT64_MAX: none */
    atomic_bool is_cancelled;
    bool is_gone;
};

/* First member of a driver's statement. */
struct db_query {
    struct db *db;
    const struct db_stmt *stmt;
    unsigned params;
    unsigned columns;
    bool is_write;
    /* db.c's own: */
    bool is_open;
    bool has_row;
    unsigned bound;
    unsigned rows;
    uint64_t deadline_ms; /* 0: not stepped yet */
    struct fail bind_fail;
    UT_hash_handle hh;
};

/* A driver's first act: an empty connection. */
void db_base_init(struct db *db, const struct db_ops *ops, uint64_t statement_ms);

#endif
