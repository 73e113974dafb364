/* Looking for configs over HTTP: searches, the full record, metadata, the beta version. */
#include "config/config_http.h"

#include "api/v2_codes.h"
#include "config/config_page.h"
#include "config/config_query.h"
#include "config/config_repo.h"

/* -------------------------------------------------------------------- searches */

struct search_call {
    struct repo_search search;
    struct config_page page;
    bool shows_key; /* which rows carry what is the recordings' (config-search.jsonl) */
    bool shows_type;
};

static void add_filters(struct search_call *m, const struct api_params *p)
{
    struct repo_search *s = &m->search;
    s->app_name = params_get(p, "appName");
    s->tags = params_get(p, "config_tags");
    if (s->is_blur) {
        s->types = params_get(p, "types");
    }
    m->shows_key = s->is_blur && span_empty(s->tags);
    m->shows_type = s->is_blur || span_empty(s->tags);
}

/* A blur search is past the parameter check, as its names are patterns (http-api.md 1.6). */
static int decode_names(const struct api_params *p, enum config_form_style style, bool is_blur,
                        struct config_key *ret, struct fail *fail)
{
    if (!is_blur) {
        return config_page_names(p, style, ret, fail);
    }
    int err = config_form_require(p, style, "dataId", "String", &ret->data_id, fail);
    err = err ? err : config_form_require(p, style, "group", "String", &ret->group, fail);
    ret->tenant = config_tenant(config_form_tenant(p, style));
    return err;
}

static int decode_search(struct api_call *call, const struct api_params *p,
                         enum config_form_style style, bool is_blur, struct fail *fail)
{
    struct search_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->search.is_blur = is_blur;
    struct config_key key = {0};
    int err = decode_names(p, style, is_blur, &key, fail);
    if (!err && config_form_is_v2(style)) {
        err = config_form_require(p, style, "config_detail", "String", &m->search.content, fail);
    }
    if (!err) {
        err = config_page_decode(call, p, style, true, &m->page, fail);
    }
    if (err || config_number_refused(call)) {
        return err;
    }
    m->search.tenant = key.tenant;
    m->search.data_id = key.data_id;
    m->search.group = key.group;
    add_filters(m, p);
    struct fail why = {0};
    err = config_page_check(&m->page, &why);
    if (!err) {
        m->search.limit = (uint64_t)m->page.size;
        m->search.offset = config_page_offset(&m->page);
        return 0;
    }
    if (config_form_is_v2(style)) {
        return fail_set_codes(fail, err, why.nacos, why.v2, "%s", fail_text(&why));
    }
    return fail_set(fail, err, "serialize page error, dataId=%.*s, group=%.*s;caused: %s",
                    SPAN_ARG(key.data_id), SPAN_ARG(key.group), fail_text(&why));
}

HTTP_DECODE(config_http_decode_search_accurate)
{
    return decode_search(call, p, CONFIG_FORM_V1, false, fail);
}

HTTP_DECODE(config_http_decode_search_blur)
{
    return decode_search(call, p, CONFIG_FORM_V1, true, fail);
}

/* DIFF(search-page-zero): Nacos lets a page 0 wait 8 s and then says that it is overloaded. */
HTTP_DECODE(config_http_decode_search_detail)
{
    bool is_blur = !span_eq(params_get(p, "search"), SPAN("accurate"));
    return decode_search(call, p, CONFIG_FORM_V2_DECLARED, is_blur, fail);
}

struct found {
    struct json_out j;
    const struct search_call *m;
};

static int write_found(void *arg, const struct repo_row *row, struct fail *fail)
{
    struct found *f = arg;
    struct json_out *j = &f->j;
    const struct span none = {0};
    json_object(j);
    config_json_id(j, "id", row->id);
    json_kstr(j, "dataId", row->key.data_id);
    json_kstr(j, "group", row->key.group);
    json_kstr(j, "content", row->content);
    config_json_text(j, "md5", none);
    config_json_text(j, "encryptedDataKey", f->m->shows_key ? row->encrypted_key : none);
    json_kstr(j, "tenant", row->key.tenant);
    json_kstr(j, "appName", row->app_name);
    config_json_text(j, "type", f->m->shows_type ? row->type : none);
    json_object_end(j);
    return config_page_bytes(j, fail);
}

static int run_search(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct search_call *m = call->msg;
    uint64_t total = 0;
    int err = config_repo_count(db, &m->search, &total, fail);
    if (err) {
        goto out;
    }
    struct found f = {.m = m};
    json_init(&f.j, 4096);
    config_page_begin(&f.j, &m->page, total);
    if (m->search.offset < total) {
        err = config_repo_search(db, &m->search, write_found, &f, fail);
    }
    if (!err) {
        config_page_end(&f.j);
        api_answer_json(call, &f.j);
    }
    json_close(&f.j);
out:
    if (err == E_INVALID && fail && !fail->v2) {
        fail->v2 = V2_PARAMETER_VALIDATE_ERROR;
    }
    return err;
}

HTTP_ADMIT(config_http_admit_search)
{
    (void)out;
    return config_query(self, call, run_search, now, fail);
}

/* -------------------------------------------------------------------- one config */

HTTP_DECODE(config_http_decode_record)
{
    struct config_key *key = arena_alloc(&call->arena, sizeof(*key));
    call->msg = key;
    return config_form_key(p, CONFIG_FORM_V1, key, fail);
}

/* DIFF(record-created): Nacos shows the time of the last change as createTime. */
static void write_advance(struct json_out *j, const struct repo_row *row)
{
    json_kint(j, "createTime", row->created_ms);
    json_kint(j, "modifyTime", row->modified_ms);
    config_json_text(j, "createUser", row->src_user);
    config_json_text(j, "createIp", row->src_ip);
    config_json_text(j, "desc", row->desc);
    config_json_text(j, "use", row->use);
    config_json_text(j, "effect", row->effect);
}

static int write_record(void *arg, const struct repo_row *row, struct fail *fail)
{
    struct json_out *j = arg;
    (void)fail;
    json_object(j);
    config_json_id(j, "id", row->id);
    json_kstr(j, "dataId", row->key.data_id);
    json_kstr(j, "group", row->key.group);
    json_kstr(j, "content", row->content);
    json_kstr(j, "md5", row->md5);
    json_kstr(j, "encryptedDataKey", row->encrypted_key);
    json_kstr(j, "tenant", row->key.tenant);
    json_kstr(j, "appName", row->app_name);
    json_kstr(j, "type", row->type);
    write_advance(j, row);
    config_json_text(j, "schema", row->schema);
    config_json_text(j, "configTags", row->tags);
    json_object_end(j);
    return 0;
}

static int write_metadata(void *arg, const struct repo_row *row, struct fail *fail)
{
    struct json_out *j = arg;
    (void)fail;
    json_object(j);
    write_advance(j, row);
    json_kstr(j, "type", row->type);
    config_json_text(j, "schema", row->schema);
    config_json_text(j, "configTags", row->tags);
    json_object_end(j);
    return 0;
}

static int write_beta(void *arg, const struct repo_row *row, struct fail *fail)
{
    struct json_out *j = arg;
    const struct span none = {0};
    (void)fail;
    json_object(j);
    config_json_id(j, "id", row->id);
    json_kstr(j, "dataId", row->key.data_id);
    json_kstr(j, "group", row->key.group);
    json_kstr(j, "content", row->content);
    json_kstr(j, "md5", row->md5);
    config_json_text(j, "encryptedDataKey",
                     span_empty(row->encrypted_key) ? none : row->encrypted_key);
    json_kstr(j, "tenant", row->key.tenant);
    json_kstr(j, "appName", row->app_name);
    config_json_text(j, "type", none);
    json_kstr(j, "betaIps", row->gray_rule);
    json_object_end(j);
    return 0;
}

/* A free key is an empty body with 200: pages and tools look for it. */
static int run_record(struct db *db, struct api_call *call, struct fail *fail)
{
    struct json_out j;
    json_init(&j, 4096);
    int err = config_repo_find(db, call->msg, SPAN(""), write_record, &j, fail);
    if (!err) {
        api_answer_json(call, &j);
    }
    json_close(&j);
    return err == E_NOT_FOUND ? 0 : err;
}

/* {"code":200,"message":message,"data": what fn writes, null when the version is missing. */
static int answer_rest(struct db *db, struct api_call *call, struct span gray_name, repo_row_fn fn,
                       struct fail *fail)
{
    struct json_out j;
    json_init(&j, 1024);
    rest_begin(&j, 200, span_empty(gray_name) ? NULL : "query beta ok");
    int err = config_repo_find(db, call->msg, gray_name, fn, &j, fail);
    if (err == E_NOT_FOUND) {
        json_null(&j);
        err = 0;
    }
    rest_end(&j);
    if (!err) {
        api_answer_json(call, &j);
    }
    json_close(&j);
    return err;
}

static int run_catalog(struct db *db, struct api_call *call, struct fail *fail)
{
    return answer_rest(db, call, SPAN(""), write_metadata, fail);
}

static int run_beta(struct db *db, struct api_call *call, struct fail *fail)
{
    return answer_rest(db, call, SPAN(CONFIG_GRAY_BETA), write_beta, fail);
}

HTTP_ADMIT(config_http_admit_record)
{
    (void)out;
    return config_query(self, call, run_record, now, fail);
}

HTTP_ADMIT(config_http_admit_catalog)
{
    (void)out;
    return config_query(self, call, run_catalog, now, fail);
}

HTTP_ADMIT(config_http_admit_beta)
{
    (void)out;
    return config_query(self, call, run_beta, now, fail);
}
