#include "config/history_repo.h"

#include "base/assert.h"
#include "base/err.h"
#include "config/config_repo.h"

#define FACTS                                                                                      \
    "nid, id, data_id, group_id, tenant_id, app_name, src_user, src_ip, op_type, publish_type, "   \
    "gray_name, ext_info, gmt_create, gmt_modified"
#define WHOLE FACTS ", md5, encrypted_data_key, content"
#define IDS "(SELECT id FROM config_lives WHERE tenant_id = ? AND data_id = ? AND group_id = ?)"
/* The current row as one of history. */
#define NOW_OF(table)                                                                              \
    "SELECT 0, id, data_id, group_id, tenant_id, app_name, src_user, src_ip, '', '', '', "         \
    "ext_info, gmt_create, gmt_modified, md5, encrypted_data_key, content FROM " table             \
    " WHERE id = ?"

enum { COUNT, LIST, FIND, PREVIOUS, NEXT, NOW_FORMAL, NOW_GRAY, CONFIGS };

static const struct db_stmt stmts[] = {
    [COUNT] = {.name = "history_count",
               .sql_sqlite = "SELECT count(*) FROM his_config_info WHERE id IN " IDS},
    [LIST] = {.name = "history_list",
              .sql_sqlite = "SELECT " FACTS " FROM his_config_info WHERE nid IN (SELECT nid FROM "
                            "his_config_info WHERE id IN " IDS " ORDER BY nid DESC LIMIT ? "
                            "OFFSET ?) ORDER BY nid DESC"},
    [FIND] = {.name = "history_find",
              .sql_sqlite = "SELECT " WHOLE " FROM his_config_info WHERE nid = ?"},
    [PREVIOUS] = {.name = "history_previous",
                  .sql_sqlite = "SELECT " WHOLE " FROM his_config_info WHERE id = ? "
                                "AND op_type <> 'I' ORDER BY nid DESC LIMIT 1"},
    [NEXT] = {.name = "history_next",
              .sql_sqlite = "SELECT " WHOLE " FROM his_config_info WHERE id = ? AND nid > ? "
                            "ORDER BY nid LIMIT 1"},
    [NOW_FORMAL] = {.name = "history_now", .sql_sqlite = NOW_OF("config_info")},
    [NOW_GRAY] = {.name = "history_now_gray", .sql_sqlite = NOW_OF("config_info_gray")},
    [CONFIGS] = {.name = "history_configs",
                 .sql_sqlite = "SELECT data_id, group_id, tenant_id, app_name, type, gmt_modified "
                               "FROM config_info INDEXED BY config_info_key WHERE tenant_id = ? "
                               "ORDER BY id LIMIT ?"},
};

static struct history_row read_row(struct db_query *q, bool whole)
{
    struct history_row row = {
        .nid = (uint64_t)db_col_int64(q, 0),
        .id = (uint64_t)db_col_int64(q, 1),
        .key = {.data_id = db_col_text(q, 2),
                .group = db_col_text(q, 3),
                .tenant = db_col_text(q, 4)},
        .app_name = config_repo_text(q, 5),
        .src_user = config_repo_text(q, 6),
        .src_ip = config_repo_text(q, 7),
        .op_type = config_repo_text(q, 8),
        .publish_type = config_repo_text(q, 9),
        .gray_name = config_repo_text(q, 10),
        .ext_info = config_repo_text(q, 11),
        .created_ms = db_col_int64(q, 12),
        .modified_ms = db_col_int64(q, 13),
    };
    if (whole) {
        row.md5 = config_repo_text(q, 14);
        row.encrypted_key = config_repo_text(q, 15);
        row.content = config_repo_text(q, 16);
    }
    return row;
}

static void bind_key(struct db_query *q, const struct config_key *key)
{
    db_bind_text(q, key->tenant);
    db_bind_text(q, key->data_id);
    db_bind_text(q, key->group);
}

int history_count(struct db *db, const struct config_key *key, uint64_t *ret_count,
                  struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[COUNT], &q, fail);
    if (err) {
        return err;
    }
    bool has_row = false;
    bind_key(q, key);
    err = db_step(q, &has_row, fail);
    if (!err) {
        ASSERT(has_row);
        *ret_count = (uint64_t)db_col_int64(q, 0);
    }
    db_done(q);
    return err;
}

int history_list(struct db *db, const struct config_key *key, struct history_slice slice,
                 history_row_fn fn, void *arg, struct fail *fail)
{
    ASSERT(slice.limit <= HISTORY_ROWS_MAX);
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[LIST], &q, fail);
    if (err) {
        return err;
    }
    bind_key(q, key);
    db_bind_int64(q, (int64_t)slice.limit);
    db_bind_int64(q, slice.offset > INT64_MAX ? INT64_MAX : (int64_t)slice.offset);
    bool has_row = false;
    while (!(err = db_step(q, &has_row, fail)) && has_row) {
        struct history_row row = read_row(q, false);
        err = fn(arg, &row, fail);
        if (err) {
            break;
        }
    }
    db_done(q);
    return err;
}

/* Bound already: the one row. q is done. */
static int pass_one(struct db_query *q, history_row_fn fn, void *arg, struct fail *fail)
{
    bool has_row = false;
    int err = db_step(q, &has_row, fail);
    if (!err && !has_row) {
        err = fail_set(fail, E_NOT_FOUND, "there is no such history");
    }
    if (!err) {
        struct history_row row = read_row(q, true);
        err = fn(arg, &row, fail);
    }
    db_done(q);
    return err;
}

static int find_by(struct db *db, unsigned stmt, uint64_t number, history_row_fn fn, void *arg,
                   struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[stmt], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)number);
    return pass_one(q, fn, arg, fail);
}

int history_find(struct db *db, uint64_t nid, history_row_fn fn, void *arg, struct fail *fail)
{
    return find_by(db, FIND, nid, fn, arg, fail);
}

int history_previous(struct db *db, uint64_t id, history_row_fn fn, void *arg, struct fail *fail)
{
    return find_by(db, PREVIOUS, id, fn, arg, fail);
}

int history_after(struct db *db, const struct history_row *row, history_row_fn fn, void *arg,
                  struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[NEXT], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)row->id);
    db_bind_int64(q, (int64_t)row->nid);
    err = pass_one(q, fn, arg, fail);
    if (err != E_NOT_FOUND) {
        return err;
    }
    bool is_gray = span_eq(row->publish_type, SPAN("gray"));
    return find_by(db, is_gray ? NOW_GRAY : NOW_FORMAL, row->id, fn, arg, fail);
}

int history_configs(struct db *db, struct span tenant, history_config_fn fn, void *arg,
                    struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[CONFIGS], &q, fail);
    if (err) {
        return err;
    }
    db_bind_text(q, tenant);
    db_bind_int64(q, HISTORY_CONFIGS_MAX);
    bool has_row = false;
    while (!(err = db_step(q, &has_row, fail)) && has_row) {
        struct history_config config = {
            .key = {.data_id = db_col_text(q, 0),
                    .group = db_col_text(q, 1),
                    .tenant = db_col_text(q, 2)},
            .app_name = config_repo_text(q, 3),
            .type = config_repo_text(q, 4),
            .modified_ms = db_col_int64(q, 5),
        };
        fn(arg, &config);
    }
    db_done(q);
    return err;
}
