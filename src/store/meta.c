#include "store/meta.h"

#include <string.h>

#include "base/err.h"

enum { GET, SET };

static const struct db_stmt stmts[] = {
    [GET] = {.name = "meta_get", .sql_sqlite = "SELECT value FROM meta WHERE name = ?"},
    [SET] = {.name = "meta_set",
             .sql_sqlite = "INSERT INTO meta (name, value) VALUES (?, ?) "
                           "ON CONFLICT (name) DO UPDATE SET value = excluded.value"},
};

static int copy(struct span value, const char *name, char *dst, size_t dst_size, struct fail *fail)
{
    if (value.len >= dst_size) {
        return fail_set(fail, E_TOO_LARGE, "meta '%s' has %zu bytes, there is room for %zu", name,
                        value.len, dst_size - 1);
    }
    if (value.len) {
        memcpy(dst, value.data, value.len);
    }
    dst[value.len] = '\0';
    return 0;
}

int meta_get(struct db *db, const char *name, char *dst, size_t dst_size, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[GET], &q, fail);
    if (err) {
        return err;
    }
    bool has_row = false;
    db_bind_text(q, span_str(name));
    err = db_step(q, &has_row, fail);
    if (!err && !has_row) {
        err = fail_set(fail, E_NOT_FOUND, "meta '%s' is not there", name);
    }
    if (!err) {
        err = copy(db_col_text(q, 0), name, dst, dst_size, fail);
    }
    db_done(q);
    return err;
}

int meta_set(struct db *db, const char *name, struct span value, struct fail *fail)
{
    if (value.len > META_VALUE_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "meta '%s' has %zu bytes, the limit is %d", name,
                        value.len, META_VALUE_BYTES_MAX);
    }
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[SET], &q, fail);
    if (err) {
        return err;
    }
    db_bind_text(q, span_str(name));
    db_bind_text(q, value);
    return db_exec(q, NULL, fail);
}
