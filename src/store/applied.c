#include "store/applied.h"

#include "base/assert.h"
#include "base/err.h"

enum { GET, SET, RESET };

static const struct db_stmt stmts[] = {
    [GET] = {.name = "applied_get",
             .sql_sqlite = "SELECT log_index, log_term FROM applied WHERE only = 1"},
    [SET] = {.name = "applied_set",
             .sql_sqlite = "UPDATE applied SET log_index = ?, log_term = ? "
                           "WHERE only = 1 AND log_index < ?"},
    [RESET] = {.name = "applied_reset",
               .sql_sqlite = "UPDATE applied SET log_index = 0, log_term = 0 WHERE only = 1"},
};

int applied_get(struct db *db, struct applied *ret, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[GET], &q, fail);
    if (err) {
        return err;
    }
    bool has_row = false;
    err = db_step(q, &has_row, fail);
    if (!err && !has_row) {
        err = fail_set(fail, E_CORRUPT, "the database does not say which log entry it stands at");
    }
    if (!err) {
        *ret = (struct applied){.index = (uint64_t)db_col_int64(q, 0),
                                .term = (uint64_t)db_col_int64(q, 1)};
    }
    db_done(q);
    return err;
}

int applied_set(struct db *db, struct applied now, struct fail *fail)
{
    ASSERT(now.index <= INT64_MAX);
    ASSERT(now.term <= INT64_MAX);
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[SET], &q, fail);
    if (err) {
        return err;
    }
    int64_t changed = 0;
    db_bind_int64(q, (int64_t)now.index);
    db_bind_int64(q, (int64_t)now.term);
    db_bind_int64(q, (int64_t)now.index);
    err = db_exec(q, &changed, fail);
    if (!err && changed != 1) {
        err = fail_set(fail, E_CONFLICT, "log entry %llu is in the database already",
                       (unsigned long long)now.index);
    }
    return err;
}

int applied_reset(struct db *db, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[RESET], &q, fail);
    return err ? err : db_exec(q, NULL, fail);
}
