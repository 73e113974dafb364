/* The half of config_repo.h that the start and cold contents use. */
#include "config/config_repo.h"

#include "base/assert.h"
#include "base/err.h"
#include "base/json_out.h"
#include "base/mem.h"

#define PAGE_ROWS 60000 /* of a walk; below DB_ROWS_MAX */

#define VERSION_COLUMNS                                                                            \
    "id, data_id, group_id, tenant_id, type, encrypted_data_key, md5, gmt_modified, "              \
    "content_length"
#define KEY "tenant_id = ? AND data_id = ? AND group_id = ?"

enum {
    FORMAL_EACH,
    FORMAL_EACH_WITH,
    GRAY_EACH,
    NEWEST_IDS,
    FORMAL_CONTENT,
    FORMAL_OF_KEY,
    GRAY_OF_KEY,
    BY_IDS,
    LAST_IDS,
};

static const struct db_stmt stmts[] = {
    [FORMAL_EACH] = {.name = "config_each",
                     .sql_sqlite = "SELECT " VERSION_COLUMNS " FROM config_info WHERE id > ? "
                                   "ORDER BY id LIMIT ?"},
    [FORMAL_EACH_WITH] = {.name = "config_each_with",
                          .sql_sqlite = "SELECT " VERSION_COLUMNS ", '', '', content "
                                        "FROM config_info WHERE id > ? ORDER BY id LIMIT ?"},
    [GRAY_EACH] = {.name = "config_gray_each",
                   .sql_sqlite = "SELECT " VERSION_COLUMNS ", gray_name, gray_rule "
                                 "FROM config_info_gray WHERE id > ? ORDER BY id LIMIT ?"},
    [NEWEST_IDS] = {.name = "config_newest_ids",
                    .sql_sqlite = "SELECT id, gmt_modified FROM config_info "
                                  "WHERE (gmt_modified, id) < (?, ?) "
                                  "ORDER BY gmt_modified DESC, id DESC LIMIT ?"},
    [FORMAL_CONTENT] = {.name = "config_content",
                        .sql_sqlite = "SELECT " VERSION_COLUMNS ", '', '', content "
                                      "FROM config_info WHERE id = ?"},
    [FORMAL_OF_KEY] = {.name = "config_of_key",
                       .sql_sqlite = "SELECT " VERSION_COLUMNS ", '', '', content "
                                     "FROM config_info WHERE " KEY},
    [GRAY_OF_KEY] = {.name = "config_gray_of_key",
                     .sql_sqlite = "SELECT " VERSION_COLUMNS ", gray_name, gray_rule, content "
                                   "FROM config_info_gray WHERE " KEY " ORDER BY gray_name"},
    [BY_IDS] = {.name = "config_by_ids",
                .sql_sqlite = "SELECT " VERSION_COLUMNS " FROM config_info WHERE id IN "
                              "(SELECT value FROM json_each(?)) ORDER BY id"},
    [LAST_IDS] = {.name = "config_last_ids",
                  .sql_sqlite = "SELECT max(last_id, "
                                "COALESCE((SELECT max(id) FROM config_info), 0), "
                                "COALESCE((SELECT max(id) FROM config_info_gray), 0)), "
                                "max(last_nid, "
                                "COALESCE((SELECT max(nid) FROM his_config_info), 0)) "
                                "FROM config_ids"},
};

/* The columns of VERSION_COLUMNS, then gray_name, gray_rule, content as far as they are there. */
static struct repo_version read_version(struct db_query *q, bool has_gray, bool has_content)
{
    struct repo_version v = {
        .id = (uint64_t)db_col_int64(q, 0),
        .key = {.data_id = db_col_text(q, 1),
                .group = db_col_text(q, 2),
                .tenant = db_col_text(q, 3)},
        .type = db_col_text(q, 4),
        .encrypted_key = db_col_text(q, 5),
        .md5 = db_col_text(q, 6),
        .modified_ms = db_col_int64(q, 7),
        .length = (uint64_t)db_col_int64(q, 8),
    };
    if (has_gray) {
        v.gray_name = db_col_text(q, 9);
        v.gray_rule = db_col_text(q, 10);
    }
    if (has_content) {
        v.content = db_col_text(q, 11);
    }
    return v;
}

/* A walk by id, in pages. */
struct walk {
    struct db *db;
    unsigned stmt;
    repo_version_fn fn;
    void *arg;
    uint64_t last_id;
    unsigned count;         /* rows of the page */
    uint64_t content_bytes; /* that may still come along */
};

/* Pass a row on. *ret_over: what follows is read without contents. */
static int pass_row(struct walk *w, struct db_query *q, bool *ret_over, struct fail *fail)
{
    bool is_with = w->stmt == FORMAL_EACH_WITH;
    struct repo_version v = read_version(q, w->stmt == GRAY_EACH, is_with);
    if (is_with && v.content.len > w->content_bytes) {
        v.content = (struct span){0};
        *ret_over = true;
    } else if (is_with) {
        v.content.data = v.content.data ? v.content.data : "";
        w->content_bytes -= v.content.len;
    }
    w->last_id = v.id;
    w->count++;
    return w->fn(w->arg, &v, fail);
}

static int walk_page(struct walk *w, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(w->db, &stmts[w->stmt], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)w->last_id);
    db_bind_int64(q, PAGE_ROWS);
    bool has_row = false;
    bool is_over = false;
    w->count = 0;
    while (!is_over && !(err = db_step(q, &has_row, fail)) && has_row) {
        err = pass_row(w, q, &is_over, fail);
        if (err) {
            break;
        }
    }
    db_done(q);
    if (is_over) {
        w->stmt = FORMAL_EACH;
        w->count = PAGE_ROWS; /* it was cut short: there may be more */
    }
    return err;
}

static int walk_all(struct walk *w, struct fail *fail)
{
    w->last_id = 0;
    w->count = PAGE_ROWS;
    int err = 0;
    while (!err && w->count == PAGE_ROWS) {
        err = walk_page(w, fail);
    }
    return err;
}

int config_repo_each_with(struct db *db, uint64_t content_bytes, repo_version_fn fn, void *arg,
                          struct fail *fail)
{
    struct walk w = {
        .db = db,
        .stmt = content_bytes > 0 ? FORMAL_EACH_WITH : FORMAL_EACH,
        .fn = fn,
        .arg = arg,
        .content_bytes = content_bytes,
    };
    int err = walk_all(&w, fail);
    if (err) {
        return err;
    }
    w.stmt = GRAY_EACH;
    return walk_all(&w, fail);
}

int config_repo_each(struct db *db, repo_version_fn fn, void *arg, struct fail *fail)
{
    return config_repo_each_with(db, 0, fn, arg, fail);
}

/* A page of ids, newest first: contents are fetched by id, so that no sort carries them. */
struct newest {
    uint64_t *ids; /* PAGE_ROWS of them */
    unsigned count;
    int64_t last_ms;
    uint64_t last_id;
};

static int newest_ids(struct db *db, struct newest *n, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[NEWEST_IDS], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, n->last_ms);
    db_bind_int64(q, (int64_t)n->last_id);
    db_bind_int64(q, PAGE_ROWS);
    bool has_row = false;
    n->count = 0;
    while (!(err = db_step(q, &has_row, fail)) && has_row) {
        ASSERT(n->count < PAGE_ROWS);
        n->last_id = (uint64_t)db_col_int64(q, 0);
        n->last_ms = db_col_int64(q, 1);
        n->ids[n->count++] = n->last_id;
    }
    db_done(q);
    return err;
}

/* Bound already: pass each row on; whole: it has gray_name, gray_rule and content. Returns what fn
 * returned, or an error. q is done. */
static int pass_versions(struct db_query *q, bool whole, repo_version_fn fn, void *arg,
                         struct fail *fail)
{
    bool has_row = false;
    int err = 0;
    while (!(err = db_step(q, &has_row, fail)) && has_row) {
        struct repo_version v = read_version(q, whole, whole);
        err = fn(arg, &v, fail);
        if (err) {
            break;
        }
    }
    db_done(q);
    return err;
}

static int pass_content(struct db *db, uint64_t id, repo_version_fn fn, void *arg,
                        struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[FORMAL_CONTENT], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)id);
    return pass_versions(q, true, fn, arg, fail);
}

static int each_newest(struct db *db, repo_version_fn fn, void *arg, struct fail *fail)
{
    struct newest n = {
        .ids = mem_zalloc(PAGE_ROWS, sizeof(*n.ids)),
        .count = PAGE_ROWS,
        .last_ms = INT64_MAX,
        .last_id = INT64_MAX,
    };
    int err = 0;
    while (!err && n.count == PAGE_ROWS) {
        err = newest_ids(db, &n, fail);
        for (unsigned i = 0; i < n.count && !err; i++) {
            err = pass_content(db, n.ids[i], fn, arg, fail);
        }
    }
    mem_free(n.ids);
    return err > 0 ? 0 : err;
}

/* Several statements that see one state (and, many of them, cost less), in the caller's transaction
 * or one of their own. Returns whether it is their own; then db_rollback ends it. */
static int begin_read(struct db *db, bool *ret_own, struct fail *fail)
{
    *ret_own = db_in_tx(db) == DB_TX_NONE;
    return *ret_own ? db_begin(db, DB_TX_READ, fail) : 0;
}

int config_repo_each_content(struct db *db, repo_version_fn fn, void *arg, struct fail *fail)
{
    bool own = false;
    int err = begin_read(db, &own, fail);
    if (err) {
        return err;
    }
    err = each_newest(db, fn, arg, fail);
    if (own) {
        db_rollback(db);
    }
    return err;
}

int config_repo_by_ids(struct db *db, const uint64_t *ids, size_t count, repo_version_fn fn,
                       void *arg, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[BY_IDS], &q, fail);
    if (err) {
        return err;
    }
    struct json_out list;
    json_init(&list, 0);
    json_array(&list);
    for (size_t i = 0; i < count; i++) {
        json_int(&list, (int64_t)ids[i]);
    }
    json_array_end(&list);
    db_bind_text(q, json_text(&list));
    err = pass_versions(q, false, fn, arg, fail);
    json_close(&list);
    return err;
}

int config_repo_last_ids(struct db *db, uint64_t *ret_id, uint64_t *ret_nid, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[LAST_IDS], &q, fail);
    if (err) {
        return err;
    }
    bool has_row = false;
    err = db_step(q, &has_row, fail);
    if (!err && !has_row) {
        err = fail_set(fail, E_CORRUPT, "the row of config_ids is missing; restore a backup");
    }
    if (!err) {
        *ret_id = (uint64_t)db_col_int64(q, 0);
        *ret_nid = (uint64_t)db_col_int64(q, 1);
    }
    db_done(q);
    return err;
}

static void bind_key(struct db_query *q, const struct config_key *key)
{
    db_bind_text(q, key->tenant);
    db_bind_text(q, key->data_id);
    db_bind_text(q, key->group);
}

static int versions_of_key(struct db *db, unsigned stmt, const struct config_key *key,
                           repo_version_fn fn, void *arg, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[stmt], &q, fail);
    if (err) {
        return err;
    }
    bind_key(q, key);
    return pass_versions(q, true, fn, arg, fail);
}

int config_repo_contents(struct db *db, const struct config_key *key, repo_version_fn fn, void *arg,
                         struct fail *fail)
{
    bool own = false;
    int err = begin_read(db, &own, fail);
    if (err) {
        return err;
    }
    err = versions_of_key(db, FORMAL_OF_KEY, key, fn, arg, fail);
    err = err ? err : versions_of_key(db, GRAY_OF_KEY, key, fn, arg, fail);
    if (own) {
        db_rollback(db);
    }
    return err;
}

struct span config_repo_text(struct db_query *q, unsigned column)
{
    if (db_col_is_null(q, column)) {
        return (struct span){0};
    }
    struct span text = db_col_text(q, column);
    return text.data ? text : SPAN("");
}
