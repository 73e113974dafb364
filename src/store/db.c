#include "store/db.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/db_driver.h"

void db_base_init(struct db *db, const struct db_ops *ops, uint64_t statement_ms)
{
    *db = (struct db){.ops = ops, .statement_ms = statement_ms, .deadline_ms = UINT64_MAX};
    atomic_init(&db->is_cancelled, false);
}

void db_destroy(struct db *db)
{
    if (!db) {
        return;
    }
    ASSERT(db->open == 0);
    db_rollback(db);
    struct db_query *q = NULL;
    struct db_query *next = NULL;
    HASH_ITER(hh, db->prepared, q, next)
    {
        HASH_DEL(db->prepared, q);
        db->ops->finalize(q);
    }
    db->ops->destroy(db);
}

void db_cancel(struct db *db)
{
    atomic_store(&db->is_cancelled, true);
}

uint64_t db_limit_time(struct db *db, uint64_t statement_ms)
{
    uint64_t before_ms = db->statement_ms;
    db->statement_ms = statement_ms;
    return before_ms;
}

enum db_tx db_in_tx(const struct db *db)
{
    return db->tx;
}

bool db_is_idle(const struct db *db)
{
    return db->tx == DB_TX_NONE && db->open == 0;
}

/* Why nothing can be done with the connection, or 0. */
static int check_usable(struct db *db, struct fail *fail)
{
    if (atomic_load(&db->is_cancelled)) {
        return fail_set(fail, E_CLOSED, "the database connection is being closed");
    }
    if (db->is_gone) {
        return fail_set(fail, E_GONE, "the database connection is lost");
    }
    if (db->broken.code) {
        return fail_set_codes(fail, db->broken.code, db->broken.nacos, db->broken.v2, "%s",
                              db->broken.text);
    }
    return 0;
}

/* What follows an error: a transaction that is not whole any more says so until its end. */
static int note(struct db *db, int err, const struct fail *why, struct fail *fail)
{
    if (err == E_GONE) {
        db->is_gone = true;
    }
    if (err && err != E_CONFLICT && db->tx != DB_TX_NONE && !db->broken.code) {
        db->broken = *why;
        db->broken.code = err;
    }
    if (err && fail) {
        *fail = *why;
        fail->code = err;
    }
    return err;
}

int db_begin(struct db *db, enum db_tx kind, struct fail *fail)
{
    ASSERT(kind != DB_TX_NONE);
    ASSERT(db->tx == DB_TX_NONE);
    int err = check_usable(db, fail);
    if (err) {
        return err;
    }
    struct fail why = {0};
    err = db->ops->begin(db, kind, &why);
    if (err) {
        return note(db, err, &why, fail);
    }
    db->tx = kind;
    return 0;
}

void db_rollback(struct db *db)
{
    ASSERT(db->open == 0);
    if (db->tx == DB_TX_NONE) {
        return;
    }
    if (!db->is_gone && db->ops->rollback(db)) {
        db->is_gone = true;
    }
    db->tx = DB_TX_NONE;
    db->broken = (struct fail){0};
}

int db_commit(struct db *db, struct fail *fail)
{
    ASSERT(db->open == 0);
    ASSERT(db->tx != DB_TX_NONE);
    int err = check_usable(db, fail);
    if (!err) {
        struct fail why = {0};
        err = db->ops->commit(db, &why);
        (void)note(db, err, &why, fail);
    }
    if (err) {
        db_rollback(db);
        return err;
    }
    db->tx = DB_TX_NONE;
    return 0;
}

static int find_or_prepare(struct db *db, const struct db_stmt *stmt, struct db_query **ret_query,
                           struct fail *fail)
{
    struct db_query *q = NULL;
    HASH_FIND_PTR(db->prepared, &stmt, q);
    if (!q) {
        ASSERT(HASH_COUNT(db->prepared) < DB_STMTS_MAX);
        struct fail why = {0};
        int err = db->ops->prepare(db, stmt, &q, &why);
        if (err) {
            return note(db, err, &why, fail);
        }
        ASSERT(q->params <= DB_PARAMS_MAX);
        ASSERT(q->columns <= DB_COLUMNS_MAX);
        q->db = db;
        q->stmt = stmt;
        HASH_ADD_PTR(db->prepared, stmt, q);
    }
    *ret_query = q;
    return 0;
}

int db_query(struct db *db, const struct db_stmt *stmt, struct db_query **ret_query,
             struct fail *fail)
{
    int err = check_usable(db, fail);
    if (err) {
        return err;
    }
    struct db_query *q = NULL;
    err = find_or_prepare(db, stmt, &q, fail);
    if (err) {
        return err;
    }
    ASSERT(!q->is_open);
    ASSERT(!q->is_write || db->tx == DB_TX_WRITE);
    q->is_open = true;
    q->has_row = false;
    q->bound = 0;
    q->rows = 0;
    q->deadline_ms = 0;
    q->bind_fail.code = 0;
    db->open++;
    *ret_query = q;
    return 0;
}

static void bind(struct db_query *q, const struct db_value *value)
{
    ASSERT(q->is_open);
    ASSERT(q->deadline_ms == 0); /* not between rows */
    ASSERT(q->bound < q->params);
    unsigned at = q->bound++;
    if (q->bind_fail.code) {
        return;
    }
    if (value->bytes.len > DB_VALUE_BYTES_MAX) {
        (void)fail_set(&q->bind_fail, E_TOO_LARGE, "%s: value %u has %zu bytes, the limit is %u",
                       q->stmt->name, at + 1, value->bytes.len, DB_VALUE_BYTES_MAX);
        return;
    }
    int err = q->db->ops->bind(q, at, value, &q->bind_fail);
    if (err) {
        q->bind_fail.code = err;
    }
}

void db_bind_int64(struct db_query *q, int64_t value)
{
    bind(q, &(struct db_value){.type = DB_INT64, .int64 = value});
}

void db_bind_double(struct db_query *q, double value)
{
    bind(q, &(struct db_value){.type = DB_DOUBLE, .dbl = value});
}

void db_bind_text(struct db_query *q, struct span text)
{
    bind(q, &(struct db_value){.type = DB_TEXT, .bytes = text});
}

void db_bind_blob(struct db_query *q, struct span bytes)
{
    bind(q, &(struct db_value){.type = DB_BLOB, .bytes = bytes});
}

void db_bind_null(struct db_query *q)
{
    bind(q, &(struct db_value){.type = DB_NULL});
}

/* Looked at before each row. */
static int check_time(struct db_query *q, struct fail *fail)
{
    uint64_t now_ms = clock_mono_ms();
    if (q->deadline_ms == 0) {
        uint64_t limit_ms = q->db->statement_ms;
        q->deadline_ms = limit_ms ? now_ms + limit_ms : UINT64_MAX;
    }
    if (now_ms >= q->deadline_ms) {
        return fail_set(fail, E_TIMEOUT, "%s: took more than %llu ms", q->stmt->name,
                        (unsigned long long)q->db->statement_ms);
    }
    return 0;
}

int db_step(struct db_query *q, bool *ret_has_row, struct fail *fail)
{
    ASSERT(q->is_open);
    ASSERT(q->bound == q->params);
    struct db *db = q->db;
    q->has_row = false;
    int err = check_usable(db, fail);
    if (err) {
        return err;
    }
    struct fail why = q->bind_fail;
    err = why.code;
    if (!err) {
        err = check_time(q, &why);
    }
    bool has_row = false;
    if (!err) {
        db->deadline_ms = q->deadline_ms;
        err = db->ops->step(q, &has_row, &why);
        db->deadline_ms = UINT64_MAX;
    }
    if (has_row && ++q->rows > DB_ROWS_MAX) {
        err = fail_set(&why, E_LIMIT, "%s: more than %d rows", q->stmt->name, DB_ROWS_MAX);
    }
    if (err) {
        return note(db, err, &why, fail);
    }
    q->has_row = has_row;
    *ret_has_row = has_row;
    return 0;
}

static bool column(struct db_query *q, unsigned at, struct db_value *ret)
{
    ASSERT(q->has_row);
    ASSERT(at < q->columns);
    return q->db->ops->column(q, at, ret);
}

int64_t db_col_int64(struct db_query *q, unsigned at)
{
    struct db_value value = {.type = DB_INT64};
    return column(q, at, &value) ? 0 : value.int64;
}

double db_col_double(struct db_query *q, unsigned at)
{
    struct db_value value = {.type = DB_DOUBLE};
    return column(q, at, &value) ? 0 : value.dbl;
}

struct span db_col_text(struct db_query *q, unsigned at)
{
    struct db_value value = {.type = DB_TEXT};
    return column(q, at, &value) ? span_of(NULL, 0) : value.bytes;
}

struct span db_col_blob(struct db_query *q, unsigned at)
{
    struct db_value value = {.type = DB_BLOB};
    return column(q, at, &value) ? span_of(NULL, 0) : value.bytes;
}

bool db_col_is_null(struct db_query *q, unsigned at)
{
    struct db_value value = {.type = DB_NULL};
    return column(q, at, &value);
}

void db_done(struct db_query *q)
{
    if (!q) {
        return;
    }
    ASSERT(q->is_open);
    q->db->ops->reset(q);
    q->is_open = false;
    q->has_row = false;
    q->db->open--;
}

int db_exec(struct db_query *q, int64_t *ret_changed, struct fail *fail)
{
    bool has_row = false;
    int err = db_step(q, &has_row, fail);
    ASSERT(err || !has_row);
    if (!err && ret_changed) {
        *ret_changed = q->db->ops->changed(q->db);
    }
    db_done(q);
    return err;
}

int64_t db_last_id(const struct db *db)
{
    return db->ops->last_id(db);
}

int db_script(struct db *db, const char *sql, struct fail *fail)
{
    ASSERT(db->tx == DB_TX_WRITE);
    int err = check_usable(db, fail);
    if (err) {
        return err;
    }
    struct fail why = {0};
    err = db->ops->script(db, sql, &why);
    return note(db, err, &why, fail);
}
