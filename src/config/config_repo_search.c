/* The half of config_repo.h that people's requests use. */
#include "config/config_repo.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/json_out.h"
#include "base/mem.h"

/* Everything of a row but what is only in the other table. */
#define COMMON_COLUMNS                                                                             \
    "id, data_id, group_id, tenant_id, content, md5, encrypted_data_key, app_name, type, "         \
    "src_user, src_ip, gmt_create, gmt_modified, "
#define FORMAL_COLUMNS                                                                             \
    COMMON_COLUMNS                                                                                 \
    "c_desc, c_use, effect, c_schema, (SELECT group_concat(tag_name, ',') FROM (SELECT tag_name "  \
    "FROM config_tags_relation t WHERE t.id = c.id ORDER BY t.nid)), NULL "
#define GRAY_COLUMNS COMMON_COLUMNS "NULL, NULL, NULL, NULL, NULL, gray_rule "

/* Numbered parameters: only SQLite gets these, as every node has its rows there. An empty filter
 * lets all pass.
 * DIFF(search-literal): only * is a wildcard. GLOB, not LIKE: it minds case as the databases of
 * Nacos do, and its escapes need no further character. */
#define FILTERS                                                                                    \
    " AND (?3 = '' OR data_id GLOB ?3) AND (?4 = '' OR group_id = ?4)"                             \
    " AND (?5 = '' OR group_id GLOB ?5) AND (?6 = '' OR app_name = ?6)"                            \
    " AND (?7 = '' OR type IN (SELECT value FROM json_each(?7)))"                                  \
    " AND (?8 = '' OR id IN (SELECT id FROM config_tags_relation WHERE tenant_id = ?1"             \
    " AND tag_name IN (SELECT value FROM json_each(?8))))"                                         \
    " AND (?9 = '' OR instr(content, ?9) > 0) AND (?10 = '' OR content GLOB ?10)"
#define FROM " FROM config_info c INDEXED BY config_info_key WHERE tenant_id = ?1"
#define ANY_DATA_ID FROM " AND ?2 = ''" FILTERS
#define ONE_DATA_ID FROM " AND data_id = ?2" FILTERS
#define BY_IDS                                                                                     \
    " FROM config_info c WHERE id IN (SELECT value FROM json_each(?1)) AND (?2 OR tenant_id = ?3)"

/* The page is found by names first, and only its rows are read whole. */
#define PAGE_OF(where, limit, offset)                                                              \
    "SELECT " FORMAL_COLUMNS "FROM config_info c WHERE id IN (SELECT id" where                     \
    " ORDER BY id LIMIT " limit " OFFSET " offset ") ORDER BY id"

enum { COUNT_ANY, COUNT_ONE, COUNT_IDS, PAGE_ANY, PAGE_ONE, PAGE_IDS, FIND, FIND_GRAY };

static const struct db_stmt stmts[] = {
    [COUNT_ANY] = {.name = "config_count", .sql_sqlite = "SELECT count(*)" ANY_DATA_ID},
    [COUNT_ONE] = {.name = "config_count_one", .sql_sqlite = "SELECT count(*)" ONE_DATA_ID},
    [COUNT_IDS] = {.name = "config_count_ids", .sql_sqlite = "SELECT count(*)" BY_IDS},
    [PAGE_ANY] = {.name = "config_search", .sql_sqlite = PAGE_OF(ANY_DATA_ID, "?11", "?12")},
    [PAGE_ONE] = {.name = "config_search_one", .sql_sqlite = PAGE_OF(ONE_DATA_ID, "?11", "?12")},
    [PAGE_IDS] = {.name = "config_search_ids", .sql_sqlite = PAGE_OF(BY_IDS, "?4", "?5")},
    [FIND] = {.name = "config_find",
              .sql_sqlite = "SELECT " FORMAL_COLUMNS "FROM config_info c "
                            "WHERE tenant_id = ? AND data_id = ? AND group_id = ?"},
    [FIND_GRAY] = {.name = "config_gray_find",
                   .sql_sqlite = "SELECT " GRAY_COLUMNS "FROM config_info_gray "
                                 "WHERE tenant_id = ? AND data_id = ? AND group_id = ? "
                                 "AND gray_name = ?"},
};

/* A search as its statement takes it. */
struct args {
    char *data_id_glob, *group_glob, *content_glob; /* NULL: none */
    struct json_out types, tags, ids;
    struct span data_id, group, content; /* exact, exact, substring */
    unsigned count, page;                /* statements */
};

static bool has_star(struct span s)
{
    return !span_empty(s) && memchr(s.data, '*', s.len);
}

/* s as a GLOB: * stays (several are one), ? and [ stand for themselves. within: anywhere. */
static char *glob_of(struct span s, bool within)
{
    char *glob = mem_alloc(3 * s.len + 3);
    size_t len = 0;
    if (within) {
        glob[len++] = '*';
    }
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '*' && len && glob[len - 1] == '*') {
            continue;
        }
        if (c == '?' || c == '[') {
            glob[len++] = '[';
            glob[len++] = c;
            glob[len++] = ']';
            continue;
        }
        glob[len++] = c;
    }
    if (within && glob[len - 1] != '*') {
        glob[len++] = '*';
    }
    glob[len] = '\0';
    return glob;
}

/* A comma list as a JSON array; nothing for an empty one. */
static void list_of(struct json_out *j, struct span list)
{
    json_init(j, 0);
    if (span_empty(list)) {
        return;
    }
    json_array(j);
    while (!span_empty(list)) {
        struct span one = span_cut(&list, ',');
        if (!span_empty(one)) {
            json_str(j, one);
        }
    }
    json_array_end(j);
}

static int check_sizes(const struct repo_search *s, struct fail *fail)
{
    const struct {
        const char *name;
        struct span value;
        bool is_pattern;
    } rows[] = {
        {"dataId", s->data_id, true},
        {"group", s->group, true},
        {"content", s->content, has_star(s->content)},
        {"tags", s->tags, true},
        {"types", s->types, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].is_pattern && rows[i].value.len > REPO_PATTERN_MAX) {
            return fail_set(fail, E_INVALID, "the %s to search for has %zu bytes, the limit is %d",
                            rows[i].name, rows[i].value.len, REPO_PATTERN_MAX);
        }
    }
    return 0;
}

static void args_init(struct args *a, const struct repo_search *s)
{
    *a = (struct args){.count = COUNT_ANY, .page = PAGE_ANY};
    list_of(&a->types, s->types);
    list_of(&a->tags, s->tags);
    json_init(&a->ids, 0);
    if (s->ids) {
        json_array(&a->ids);
        for (size_t i = 0; i < s->ids_count; i++) {
            json_int(&a->ids, (int64_t)s->ids[i]);
        }
        json_array_end(&a->ids);
        a->count = COUNT_IDS;
        a->page = PAGE_IDS;
        return;
    }
    if (s->is_export && !span_empty(s->data_id)) {
        a->data_id_glob = glob_of(s->data_id, true);
    } else if (s->is_blur && has_star(s->data_id)) {
        a->data_id_glob = glob_of(s->data_id, false);
    } else if (!span_empty(s->data_id)) {
        a->data_id = s->data_id;
        a->count = COUNT_ONE;
        a->page = PAGE_ONE;
    }
    if (s->is_blur && has_star(s->group)) {
        a->group_glob = glob_of(s->group, false);
    } else {
        a->group = s->group;
    }
    if (has_star(s->content)) {
        a->content_glob = glob_of(s->content, true);
    } else {
        a->content = s->content;
    }
}

static void args_close(struct args *a)
{
    mem_free(a->data_id_glob);
    mem_free(a->group_glob);
    mem_free(a->content_glob);
    json_close(&a->types);
    json_close(&a->tags);
    json_close(&a->ids);
}

static void bind_args(struct db_query *q, const struct args *a, const struct repo_search *s)
{
    if (s->ids) {
        db_bind_text(q, json_text(&a->ids));
        db_bind_int64(q, s->any_tenant);
        db_bind_text(q, s->tenant);
        return;
    }
    db_bind_text(q, s->tenant);
    db_bind_text(q, a->data_id);
    db_bind_text(q, span_str(a->data_id_glob));
    db_bind_text(q, a->group);
    db_bind_text(q, span_str(a->group_glob));
    db_bind_text(q, s->app_name);
    db_bind_text(q, json_text(&a->types));
    db_bind_text(q, json_text(&a->tags));
    db_bind_text(q, a->content);
    db_bind_text(q, span_str(a->content_glob));
}

int config_repo_count(struct db *db, const struct repo_search *s, uint64_t *ret_count,
                      struct fail *fail)
{
    int err = check_sizes(s, fail);
    if (err) {
        return err;
    }
    struct args a;
    args_init(&a, s);
    struct db_query *q = NULL;
    bool has_row = false;
    err = db_query(db, &stmts[a.count], &q, fail);
    if (!err) {
        bind_args(q, &a, s);
        err = db_step(q, &has_row, fail);
    }
    if (!err) {
        ASSERT(has_row);
        *ret_count = (uint64_t)db_col_int64(q, 0);
    }
    db_done(q);
    args_close(&a);
    return err;
}

static struct repo_row read_row(struct db_query *q)
{
    return (struct repo_row){
        .id = (uint64_t)db_col_int64(q, 0),
        .key = {.data_id = db_col_text(q, 1),
                .group = db_col_text(q, 2),
                .tenant = db_col_text(q, 3)},
        .content = config_repo_text(q, 4),
        .md5 = config_repo_text(q, 5),
        .encrypted_key = config_repo_text(q, 6),
        .app_name = config_repo_text(q, 7),
        .type = config_repo_text(q, 8),
        .src_user = config_repo_text(q, 9),
        .src_ip = config_repo_text(q, 10),
        .created_ms = db_col_int64(q, 11),
        .modified_ms = db_col_int64(q, 12),
        .desc = config_repo_text(q, 13),
        .use = config_repo_text(q, 14),
        .effect = config_repo_text(q, 15),
        .schema = config_repo_text(q, 16),
        .tags = config_repo_text(q, 17),
        .gray_rule = config_repo_text(q, 18),
    };
}

/* Bound already: pass each row on, count them. q is done. */
static int pass_rows(struct db_query *q, repo_row_fn fn, void *arg, unsigned *ret_count,
                     struct fail *fail)
{
    bool has_row = false;
    int err = 0;
    *ret_count = 0;
    while (!(err = db_step(q, &has_row, fail)) && has_row) {
        struct repo_row row = read_row(q);
        ++*ret_count;
        err = fn(arg, &row, fail);
        if (err) {
            break;
        }
    }
    db_done(q);
    return err;
}

int config_repo_search(struct db *db, const struct repo_search *s, repo_row_fn fn, void *arg,
                       struct fail *fail)
{
    int err = check_sizes(s, fail);
    if (err) {
        return err;
    }
    struct args a;
    args_init(&a, s);
    struct db_query *q = NULL;
    unsigned count = 0;
    err = db_query(db, &stmts[a.page], &q, fail);
    if (!err) {
        bool is_all = s->limit == 0 || s->limit > DB_ROWS_MAX;
        bind_args(q, &a, s);
        db_bind_int64(q, is_all ? DB_ROWS_MAX : (int64_t)s->limit);
        db_bind_int64(q, s->offset > INT64_MAX ? INT64_MAX : (int64_t)s->offset);
        err = pass_rows(q, fn, arg, &count, fail);
    }
    args_close(&a);
    return err;
}

int config_repo_find(struct db *db, const struct config_key *key, struct span gray_name,
                     repo_row_fn fn, void *arg, struct fail *fail)
{
    bool is_gray = !span_empty(gray_name);
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[is_gray ? FIND_GRAY : FIND], &q, fail);
    if (err) {
        return err;
    }
    db_bind_text(q, key->tenant);
    db_bind_text(q, key->data_id);
    db_bind_text(q, key->group);
    if (is_gray) {
        db_bind_text(q, gray_name);
    }
    unsigned count = 0;
    err = pass_rows(q, fn, arg, &count, fail);
    if (!err && !count) {
        err = fail_set(fail, E_NOT_FOUND, "config data not exist");
    }
    return err;
}
