#include "config/config_repo.h"

#include <config_schema.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "config/config.h"

const struct migration_set migrate_config = {
    .owner = "config", .rows = config_migrations, .count = ARRAY_LEN(config_migrations)};

#define PAGE_ROWS 60000 /* of a walk; below DB_ROWS_MAX */
#define TRIM_ROWS 1000

/* The row as it is before the change (or, new, after it), as history. */
#define HISTORY_COLUMNS                                                                            \
    "INSERT INTO his_config_info (nid, gmt_create, gmt_modified, src_user, src_ip, op_type, id, "  \
    "data_id, group_id, tenant_id, app_name, md5, encrypted_data_key, ext_info, publish_type, "    \
    "gray_name, content) SELECT ?, ?, ?, ?, ?, ?, id, data_id, group_id, tenant_id, app_name, "    \
    "md5, encrypted_data_key, ext_info, "
#define VERSION_COLUMNS                                                                            \
    "id, data_id, group_id, tenant_id, type, encrypted_data_key, md5, gmt_modified, "              \
    "content_length"
#define KEY "tenant_id = ? AND data_id = ? AND group_id = ?"

enum {
    FORMAL_INSERT,
    FORMAL_UPDATE,
    FORMAL_DELETE,
    FORMAL_HISTORY,
    GRAY_INSERT,
    GRAY_UPDATE,
    GRAY_DELETE,
    GRAY_HISTORY,
    TAGS_DELETE,
    TAG_INSERT,
    LIFE_INSERT,
    LIFE_END,
    LIVES_TRIM,
    IDS_KEEP,
    NIDS_KEEP,
    HISTORY_TRIM,
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

/* ext_info is bound in two pieces; between them come the tags that the config has (those that were
 * sent stand in the first piece, and the old ones are gone by then). */
static const struct db_stmt stmts[] = {
    [FORMAL_INSERT] = {.name = "config_insert",
                       .sql_sqlite = "INSERT INTO config_info (md5, gmt_create, gmt_modified, "
                                     "content_length, type, app_name, src_user, src_ip, c_desc, "
                                     "c_use, effect, encrypted_data_key, ext_info, c_schema, "
                                     "content, id, tenant_id, data_id, group_id) VALUES (?, ?, ?, "
                                     "?, ?, COALESCE(?, ''), ?, ?, ?, ?, ?, ?, ? || ?, ?, ?, ?, "
                                     "?, ?, ?)"},
    [FORMAL_UPDATE] = {.name = "config_update",
                       .sql_sqlite = "UPDATE config_info SET md5 = ?, gmt_modified = ?, "
                                     "content_length = ?, type = ?, "
                                     "app_name = COALESCE(?, app_name), src_user = ?, src_ip = ?, "
                                     "c_desc = ?, c_use = ?, effect = ?, encrypted_data_key = ?, "
                                     "ext_info = ? || COALESCE((SELECT ',\"config_tags\":' || "
                                     "json_quote(group_concat(tag_name, ',')) FROM (SELECT "
                                     "tag_name FROM config_tags_relation WHERE id = ? ORDER BY "
                                     "nid) HAVING count(*) > 0), '') || ?, c_schema = ?, "
                                     "content = ? WHERE id = ?"},
    [FORMAL_DELETE] = {.name = "config_delete",
                       .sql_sqlite = "DELETE FROM config_info WHERE id = ?"},
    [FORMAL_HISTORY] = {.name = "config_history",
                        .sql_sqlite =
                            HISTORY_COLUMNS "'formal', '', content FROM config_info WHERE id = ?"},
    [GRAY_INSERT] = {.name = "config_gray_insert",
                     .sql_sqlite = "INSERT INTO config_info_gray (gray_rule, md5, gmt_create, "
                                   "gmt_modified, content_length, type, app_name, src_user, "
                                   "src_ip, encrypted_data_key, ext_info, content, id, tenant_id, "
                                   "data_id, group_id, gray_name) VALUES (?, ?, ?, ?, ?, ?, "
                                   "COALESCE(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
    [GRAY_UPDATE] = {.name = "config_gray_update",
                     .sql_sqlite = "UPDATE config_info_gray SET gray_rule = ?, md5 = ?, "
                                   "gmt_modified = ?, content_length = ?, type = ?, "
                                   "app_name = COALESCE(?, app_name), src_user = ?, src_ip = ?, "
                                   "encrypted_data_key = ?, ext_info = ?, content = ? "
                                   "WHERE id = ?"},
    [GRAY_DELETE] = {.name = "config_gray_delete",
                     .sql_sqlite = "DELETE FROM config_info_gray WHERE id = ?"},
    [GRAY_HISTORY] = {.name = "config_gray_history",
                      .sql_sqlite = HISTORY_COLUMNS
                      "'gray', gray_name, content FROM config_info_gray WHERE id = ?"},
    [TAGS_DELETE] = {.name = "config_tags_delete",
                     .sql_sqlite = "DELETE FROM config_tags_relation WHERE id = ?"},
    [TAG_INSERT] = {.name = "config_tag_insert",
                    .sql_sqlite = "INSERT OR IGNORE INTO config_tags_relation "
                                  "(id, tag_name, tenant_id, data_id, group_id) "
                                  "VALUES (?, ?, ?, ?, ?)"},
    [LIFE_INSERT] = {.name = "config_life_insert",
                     .sql_sqlite = "INSERT INTO config_lives (id, tenant_id, data_id, group_id) "
                                   "VALUES (?, ?, ?, ?)"},
    [LIFE_END] = {.name = "config_life_end",
                  .sql_sqlite = "UPDATE config_lives SET ended_ms = ? WHERE id = ? AND " KEY},
    [LIVES_TRIM] = {.name = "config_lives_trim",
                    .sql_sqlite = "DELETE FROM config_lives WHERE ended_ms < ?"},
    [IDS_KEEP] = {.name = "config_ids_keep",
                  .sql_sqlite = "UPDATE config_ids SET last_id = max(last_id, ?)"},
    [NIDS_KEEP] = {.name = "config_nids_keep",
                   .sql_sqlite = "UPDATE config_ids SET last_nid = max(last_nid, COALESCE("
                                 "(SELECT max(nid) FROM his_config_info), 0))"},
    [HISTORY_TRIM] = {.name = "config_history_trim",
                      .sql_sqlite = "DELETE FROM his_config_info WHERE nid IN (SELECT nid FROM "
                                    "his_config_info WHERE gmt_modified < ? "
                                    "ORDER BY gmt_modified LIMIT ?)"},
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

static bool is_blank(struct span s)
{
    return span_empty(span_trim(s));
}

/* Columns that may be NULL: what was not sent. */
static void bind_text_or_null(struct db_query *q, struct span s)
{
    if (s.data) {
        db_bind_text(q, s);
        return;
    }
    db_bind_null(q);
}

static void bind_key(struct db_query *q, const struct config_key *key)
{
    db_bind_text(q, key->tenant);
    db_bind_text(q, key->data_id);
    db_bind_text(q, key->group);
}

static bool is_gray(const struct repo_write *w)
{
    return !span_empty(w->publish.gray_name);
}

/* The pieces of ext_info (semantics.md 2.7; order as Nacos 2.5.1 writes them). The first one is
 * whole by itself when there is nothing to come between. */
struct ext_info {
    struct json_out json;
    size_t head_len;
};

static void key_unless_blank(struct json_out *j, const char *key, struct span value)
{
    if (!is_blank(value)) {
        json_kstr(j, key, value);
    }
}

static void ext_info_formal(struct ext_info *e, const struct repo_write *w)
{
    const struct config_publish *p = &w->publish;
    json_init(&e->json, 0);
    json_object(&e->json);
    json_kstr(&e->json, "type", config_type_text(p->type));
    key_unless_blank(&e->json, "config_tags", p->tags);
    e->head_len = json_text(&e->json).len;
    key_unless_blank(&e->json, "src_user", w->src_user);
    key_unless_blank(&e->json, "c_desc", p->desc);
    key_unless_blank(&e->json, "c_use", p->use);
    key_unless_blank(&e->json, "effect", p->effect);
    key_unless_blank(&e->json, "c_schema", p->schema);
    json_object_end(&e->json);
}

/* The rule is a JSON text inside the JSON. Priorities: BetaGrayRule, TagGrayRule of 2.5.1. */
static void ext_info_gray(struct ext_info *e, const struct repo_write *w)
{
    const struct config_publish *p = &w->publish;
    bool is_beta = span_eq(p->gray_name, SPAN(CONFIG_GRAY_BETA));
    struct json_out rule;
    json_init(&rule, 0);
    json_object(&rule);
    json_kstr(&rule, "type", is_beta ? SPAN("beta") : SPAN("tag"));
    json_kstr(&rule, "expr", p->gray_rule);
    json_kstr(&rule, "version", SPAN("1.0.0"));
    json_kstr(&rule, "priority", is_beta ? SPAN("2147483647") : SPAN("2147483646"));
    json_object_end(&rule);
    json_init(&e->json, 0);
    json_object(&e->json);
    json_kstr(&e->json, "gray_name", p->gray_name);
    key_unless_blank(&e->json, "src_user", w->src_user);
    json_kstr(&e->json, "gray_rule", json_text(&rule));
    json_object_end(&e->json);
    e->head_len = json_text(&e->json).len;
    json_close(&rule);
}

static struct span ext_head(const struct ext_info *e)
{
    return span_of(json_text(&e->json).data, e->head_len);
}

static struct span ext_tail(const struct ext_info *e)
{
    struct span all = json_text(&e->json);
    return span_of(all.data + e->head_len, all.len - e->head_len);
}

/* One row is what the memory says there is: else the tables are not what the log made of them. */
static int exec_one(struct db_query *q, const struct repo_write *w, struct fail *fail)
{
    int64_t changed = 0;
    int err = db_exec(q, &changed, fail);
    if (!err && changed != 1) {
        err = fail_set(fail, E_CORRUPT,
                       "the row %llu of config '%.*s' (group '%.*s') is not in the tables; "
                       "restore a backup",
                       (unsigned long long)w->id, SPAN_ARG(w->publish.key.data_id),
                       SPAN_ARG(w->publish.key.group));
    }
    return err;
}

/* A statement with one number. */
static int exec_id(struct db *db, unsigned stmt, uint64_t id, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[stmt], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)id);
    return db_exec(q, NULL, fail);
}

static int write_history(struct db *db, const struct repo_write *w, struct span op_type,
                         struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[is_gray(w) ? GRAY_HISTORY : FORMAL_HISTORY], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)w->nid);
    db_bind_int64(q, w->time_ms);
    db_bind_int64(q, w->time_ms);
    bind_text_or_null(q, w->src_user);
    bind_text_or_null(q, w->src_ip);
    db_bind_text(q, op_type);
    db_bind_int64(q, (int64_t)w->id);
    return exec_one(q, w, fail);
}

/* What insert and update have in common, in their order. */
static void bind_facts(struct db_query *q, const struct repo_write *w,
                       const char md5[CONFIG_MD5_TEXT])
{
    const struct config_publish *p = &w->publish;
    db_bind_text(q, span_of(md5, CONFIG_MD5_TEXT));
    if (w->is_new) {
        db_bind_int64(q, w->modified_ms);
    }
    db_bind_int64(q, w->modified_ms);
    db_bind_int64(q, (int64_t)p->content.len);
    db_bind_text(q, config_type_text(p->type));
    bind_text_or_null(q, p->app_name);
    bind_text_or_null(q, w->src_user);
    bind_text_or_null(q, w->src_ip);
}

static int write_formal_row(struct db *db, const struct repo_write *w, struct fail *fail)
{
    const struct config_publish *p = &w->publish;
    char md5[CONFIG_MD5_TEXT];
    config_md5_text(p->md5, md5);
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[w->is_new ? FORMAL_INSERT : FORMAL_UPDATE], &q, fail);
    if (err) {
        return err;
    }
    struct ext_info ext;
    ext_info_formal(&ext, w);
    bind_facts(q, w, md5);
    bind_text_or_null(q, p->desc);
    bind_text_or_null(q, p->use);
    bind_text_or_null(q, p->effect);
    db_bind_text(q, p->encrypted_key);
    db_bind_text(q, ext_head(&ext));
    if (!w->is_new) {
        db_bind_int64(q, (int64_t)w->id);
    }
    db_bind_text(q, ext_tail(&ext));
    bind_text_or_null(q, p->schema);
    db_bind_text(q, p->content);
    db_bind_int64(q, (int64_t)w->id);
    if (w->is_new) {
        bind_key(q, &p->key);
    }
    err = exec_one(q, w, fail);
    json_close(&ext.json);
    return err;
}

static int write_gray_row(struct db *db, const struct repo_write *w, struct fail *fail)
{
    const struct config_publish *p = &w->publish;
    char md5[CONFIG_MD5_TEXT];
    config_md5_text(p->md5, md5);
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[w->is_new ? GRAY_INSERT : GRAY_UPDATE], &q, fail);
    if (err) {
        return err;
    }
    struct ext_info ext;
    ext_info_gray(&ext, w);
    db_bind_text(q, p->gray_rule);
    bind_facts(q, w, md5);
    db_bind_text(q, p->encrypted_key);
    db_bind_text(q, ext_head(&ext));
    db_bind_text(q, p->content);
    db_bind_int64(q, (int64_t)w->id);
    if (w->is_new) {
        bind_key(q, &p->key);
        db_bind_text(q, p->gray_name);
    }
    err = exec_one(q, w, fail);
    json_close(&ext.json);
    return err;
}

static int insert_tag(struct db *db, const struct repo_write *w, struct span tag, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[TAG_INSERT], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)w->id);
    db_bind_text(q, tag);
    bind_key(q, &w->publish.key);
    return db_exec(q, NULL, fail);
}

/* A tag that is named twice is kept once (Nacos fails on its unique key). */
static int insert_tags(struct db *db, const struct repo_write *w, struct fail *fail)
{
    struct span rest = w->publish.tags;
    int err = 0;
    while (!err && !span_empty(rest)) {
        struct span tag = span_cut(&rest, ',');
        if (!is_blank(tag)) {
            err = insert_tag(db, w, tag, fail);
        }
    }
    return err;
}

static int begin_life(struct db *db, const struct repo_write *w, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[LIFE_INSERT], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, (int64_t)w->id);
    bind_key(q, &w->publish.key);
    return db_exec(q, NULL, fail);
}

static int end_life(struct db *db, const struct repo_write *w, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[LIFE_END], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, w->time_ms);
    db_bind_int64(q, (int64_t)w->id);
    bind_key(q, &w->publish.key);
    return exec_one(q, w, fail);
}

static int write_version(struct db *db, const struct repo_write *w, struct fail *fail)
{
    int err = w->is_new ? 0 : write_history(db, w, SPAN("U"), fail);
    if (err) {
        return err;
    }
    if (is_gray(w)) {
        err = write_gray_row(db, w, fail);
    } else {
        if (!w->is_new && w->publish.tags.data) {
            err = exec_id(db, TAGS_DELETE, w->id, fail);
        }
        err = err ? err : write_formal_row(db, w, fail);
        err = err ? err : insert_tags(db, w, fail);
    }
    if (!err && w->is_new) {
        err = begin_life(db, w, fail);
        err = err ? err : write_history(db, w, SPAN("I"), fail);
    }
    return err;
}

static int remove_version(struct db *db, const struct repo_write *w, struct fail *fail)
{
    int err = write_history(db, w, SPAN("D"), fail);
    if (!err && !is_gray(w)) {
        err = exec_id(db, TAGS_DELETE, w->id, fail);
    }
    err = err ? err : exec_id(db, is_gray(w) ? GRAY_DELETE : FORMAL_DELETE, w->id, fail);
    err = err ? err : end_life(db, w, fail);
    return err ? err : exec_id(db, IDS_KEEP, w->id, fail);
}

int config_repo_write(struct db *db, const struct repo_write *w, struct fail *fail)
{
    return w->is_remove ? remove_version(db, w, fail) : write_version(db, w, fail);
}

static int keep_nids(struct db *db, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[NIDS_KEEP], &q, fail);
    return err ? err : db_exec(q, NULL, fail);
}

static int trim_rows(struct db *db, int64_t before_ms, int64_t *ret_trimmed, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[HISTORY_TRIM], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, before_ms);
    db_bind_int64(q, TRIM_ROWS);
    return db_exec(q, ret_trimmed, fail);
}

/* A life whose last row is gone by its age has no row left. */
static int trim_lives(struct db *db, int64_t before_ms, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[LIVES_TRIM], &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, before_ms);
    return db_exec(q, NULL, fail);
}

int config_repo_trim_history(struct db *db, int64_t before_ms, bool *ret_more, struct fail *fail)
{
    int64_t trimmed = 0;
    int err = keep_nids(db, fail);
    err = err ? err : trim_rows(db, before_ms, &trimmed, fail);
    if (!err && trimmed < TRIM_ROWS) {
        err = trim_lives(db, before_ms, fail);
    }
    if (!err) {
        *ret_more = trimmed == TRIM_ROWS;
    }
    return err;
}

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
