#include "config/config_repo.h"

#include <config_schema.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "config/config.h"

const struct migration_set migrate_config = {
    .owner = "config", .rows = config_migrations, .count = ARRAY_LEN(config_migrations)};

#define TRIM_ROWS 1000

/* The row as it is before the change (or, new, after it), as history. */
#define HISTORY_COLUMNS                                                                            \
    "INSERT INTO his_config_info (nid, gmt_create, gmt_modified, src_user, src_ip, op_type, id, "  \
    "data_id, group_id, tenant_id, app_name, md5, encrypted_data_key, ext_info, publish_type, "    \
    "gray_name, content) SELECT ?, ?, ?, ?, ?, ?, id, data_id, group_id, tenant_id, app_name, "    \
    "md5, encrypted_data_key, ext_info, "
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
