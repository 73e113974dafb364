/* The history of configs over HTTP. */
#include "config/config_http.h"

#include "api/v2_codes.h"
#include "config/config_page.h"
#include "config/config_query.h"
#include "config/history_repo.h"

struct history_call {
    struct config_key key;
    struct config_page page;
    int64_t number; /* nid, or id of a config */
    bool v2;
};

static const struct config_number nid = {"nid", "Long", true, CONFIG_NUMBER_LONG};
static const struct config_number config_id = {"id", "Long", true, CONFIG_NUMBER_LONG};

static enum config_form_style style_of(bool v2)
{
    return v2 ? CONFIG_FORM_V2_DECLARED : CONFIG_FORM_V1;
}

static int decode_history(struct api_call *call, const struct api_params *p, bool v2,
                          const struct config_number *number, struct fail *fail)
{
    struct history_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->v2 = v2;
    int err = config_page_names(p, style_of(v2), &m->key, fail);
    if (!err && number) {
        err = config_number(call, p, style_of(v2), number, &m->number, fail);
    }
    return err;
}

static int decode_list(struct api_call *call, const struct api_params *p, bool v2,
                       struct fail *fail)
{
    int err = decode_history(call, p, v2, NULL, fail);
    if (err) {
        return err;
    }
    struct history_call *m = call->msg;
    err = config_page_decode(call, p, style_of(v2), false, &m->page, fail);
    if (err || config_number_refused(call)) {
        return err;
    }
    if (m->page.size > HISTORY_ROWS_MAX) {
        m->page.size = HISTORY_ROWS_MAX;
    }
    return config_page_check(&m->page, fail);
}

HTTP_DECODE(config_http_decode_history_list_v1)
{
    return decode_list(call, p, false, fail);
}

HTTP_DECODE(config_http_decode_history_list_v2)
{
    return decode_list(call, p, true, fail);
}

HTTP_DECODE(config_http_decode_history_v1)
{
    return decode_history(call, p, false, &nid, fail);
}

HTTP_DECODE(config_http_decode_history_v2)
{
    return decode_history(call, p, true, &nid, fail);
}

HTTP_DECODE(config_http_decode_previous_v1)
{
    return decode_history(call, p, false, &config_id, fail);
}

HTTP_DECODE(config_http_decode_previous_v2)
{
    return decode_history(call, p, true, &config_id, fail);
}

static int decode_configs(struct api_call *call, const struct api_params *p, bool v2,
                          struct fail *fail)
{
    struct history_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->v2 = v2;
    struct span tenant = {0};
    int err = config_form_require(p, style_of(v2), v2 ? "namespaceId" : "tenant", "String", &tenant,
                                  fail);
    m->key.tenant = config_tenant(tenant);
    return err;
}

HTTP_DECODE(config_http_decode_history_configs_v1)
{
    return decode_configs(call, p, false, fail);
}

HTTP_DECODE(config_http_decode_history_configs_v2)
{
    return decode_configs(call, p, true, fail);
}

/* -------------------------------------------------------------------- answers */

struct writing {
    struct json_out j;
    struct db *db;
    const struct history_call *m;
};

static void begin(struct writing *w, struct db *db, const struct history_call *m)
{
    *w = (struct writing){.db = db, .m = m};
    json_init(&w->j, 4096);
    if (m->v2) {
        v2_begin(&w->j);
    }
}

/* Hand the text over as the answer, unless err. Returns err. */
static int end(struct writing *w, struct api_call *call, int err)
{
    if (!err) {
        if (w->m->v2) {
            v2_end(&w->j);
        }
        api_answer_json(call, &w->j);
    }
    json_close(&w->j);
    return err;
}

static int write_row(void *arg, const struct history_row *row, struct fail *fail)
{
    struct writing *w = arg;
    struct json_out *j = &w->j;
    json_object(j);
    config_json_id(j, "id", row->nid);
    json_kint(j, "lastId", -1);
    json_kstr(j, "dataId", row->key.data_id);
    json_kstr(j, "group", row->key.group);
    json_kstr(j, "tenant", row->key.tenant);
    json_kstr(j, "appName", row->app_name);
    config_json_text(j, "md5", row->md5);
    config_json_text(j, "content", row->content);
    config_json_text(j, "srcIp", row->src_ip);
    config_json_text(j, "srcUser", row->src_user);
    json_kstr(j, "opType", row->op_type);
    json_kstr(j, "publishType", row->publish_type);
    json_kstr(j, "grayName", row->gray_name);
    json_kstr(j, "extInfo", row->ext_info);
    config_json_time(j, "createdTime", row->created_ms);
    config_json_time(j, "lastModifiedTime", row->modified_ms);
    config_json_text(j, "encryptedDataKey", row->encrypted_key);
    json_object_end(j);
    return config_page_bytes(j, fail);
}

static int run_list(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct history_call *m = call->msg;
    uint64_t total = 0;
    int err = history_count(db, &m->key, &total, fail);
    if (err) {
        return err;
    }
    struct writing w;
    begin(&w, db, m);
    config_page_begin(&w.j, &m->page, total);
    struct history_slice slice = {config_page_offset(&m->page), (uint64_t)m->page.size};
    err = history_list(db, &m->key, slice, write_row, &w, fail);
    config_page_end(&w.j);
    return end(&w, call, err);
}

/* Whoever may read one config must not get the history of another by its number.
 * DIFF(history-owner): Nacos's v1 answers with status 0. */
static int check_owner(const struct writing *w, const struct history_row *row, struct fail *fail)
{
    if (config_key_eq(&w->m->key, &row->key)) {
        return 0;
    }
    return fail_set(fail, E_FORBIDDEN, "Please check dataId, group or namespaceId.");
}

static int write_own_row(void *arg, const struct history_row *row, struct fail *fail)
{
    struct writing *w = arg;
    int err = check_owner(w, row, fail);
    return err ? err : write_row(w, row, fail);
}

/* What is missing is an empty body in v1, null in v2. */
static int end_or_nothing(struct writing *w, struct api_call *call, int err)
{
    if (err != E_NOT_FOUND) {
        return end(w, call, err);
    }
    if (w->m->v2) {
        json_null(&w->j);
        return end(w, call, 0);
    }
    json_close(&w->j);
    return 0;
}

static int run_row(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct history_call *m = call->msg;
    struct writing w;
    begin(&w, db, m);
    int err = history_find(db, (uint64_t)m->number, write_own_row, &w, fail);
    return end_or_nothing(&w, call, err);
}

static int run_previous(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct history_call *m = call->msg;
    struct writing w;
    begin(&w, db, m);
    int err = history_previous(db, (uint64_t)m->number, write_own_row, &w, fail);
    return end_or_nothing(&w, call, err);
}

/* DIFF(history-pair): Derby fails for U rows. One side of the pair; the names are Nacos's,
 * updateExtInfo too. row NULL: all null. */
static void write_side(struct json_out *j, bool is_before, const struct history_row *row)
{
    static const struct history_row nothing = {0};
    const struct history_row *r = row ? row : &nothing;
    config_json_text(j, is_before ? "originalMd5" : "updatedMd5", r->md5);
    config_json_text(j, is_before ? "originalContent" : "updatedContent", r->content);
    config_json_text(j, is_before ? "originalEncryptedDataKey" : "updatedEncryptedDataKey",
                     r->encrypted_key);
    config_json_text(j, is_before ? "originalExtInfo" : "updateExtInfo", r->ext_info);
}

static int write_after(void *arg, const struct history_row *row, struct fail *fail)
{
    (void)fail;
    write_side(arg, false, row);
    return 0;
}

static int write_sides(struct writing *w, const struct history_row *row, struct fail *fail)
{
    static const struct history_row empty = {
        .md5 = {"", 0}, .content = {"", 0}, .encrypted_key = {"", 0}, .ext_info = {"", 0}};
    bool is_insert = span_eq(row->op_type, SPAN("I"));
    write_side(&w->j, true, is_insert ? &empty : row);
    if (is_insert) {
        write_side(&w->j, false, row);
        return 0;
    }
    int err = E_NOT_FOUND;
    if (!span_eq(row->op_type, SPAN("D"))) {
        err = history_after(w->db, row, write_after, &w->j, fail);
    }
    if (err == E_NOT_FOUND) {
        write_side(&w->j, false, NULL);
        return 0;
    }
    return err;
}

static int write_pair(void *arg, const struct history_row *row, struct fail *fail)
{
    struct writing *w = arg;
    struct json_out *j = &w->j;
    int err = check_owner(w, row, fail);
    if (err) {
        return err;
    }
    json_object(j);
    json_kint(j, "id", (int64_t)row->nid);
    json_kint(j, "lastId", -1);
    json_kstr(j, "dataId", row->key.data_id);
    json_kstr(j, "group", row->key.group);
    json_kstr(j, "tenant", row->key.tenant);
    json_kstr(j, "opType", row->op_type);
    json_kstr(j, "publishType", row->publish_type);
    json_kstr(j, "grayName", row->gray_name);
    json_kstr(j, "appName", row->app_name);
    config_json_text(j, "srcIp", row->src_ip);
    config_json_text(j, "srcUser", row->src_user);
    err = write_sides(w, row, fail);
    config_json_time(j, "createdTime", row->created_ms);
    config_json_time(j, "lastModifiedTime", row->modified_ms);
    json_object_end(j);
    return err;
}

static int run_pair(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct history_call *m = call->msg;
    struct writing w;
    begin(&w, db, m);
    int err = history_find(db, (uint64_t)m->number, write_pair, &w, fail);
    return end_or_nothing(&w, call, err);
}

static void write_config(void *arg, const struct history_config *config)
{
    struct json_out *j = arg;
    const struct span none = {0};
    json_object(j);
    json_kstr(j, "id", SPAN("0"));
    json_kstr(j, "dataId", config->key.data_id);
    json_kstr(j, "group", config->key.group);
    config_json_text(j, "content", none);
    config_json_text(j, "md5", none);
    config_json_text(j, "encryptedDataKey", none);
    json_kstr(j, "tenant", config->key.tenant);
    json_kstr(j, "appName", config->app_name);
    json_kstr(j, "type", config->type);
    json_kint(j, "lastModified", config->modified_ms);
    json_object_end(j);
}

static int run_configs(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct history_call *m = call->msg;
    struct writing w;
    begin(&w, db, m);
    json_array(&w.j);
    int err = history_configs(db, m->key.tenant, write_config, &w.j, fail);
    json_array_end(&w.j);
    return end(&w, call, err);
}

HTTP_ADMIT(config_http_admit_history_list)
{
    (void)out;
    return config_query(self, call, run_list, now, fail);
}

HTTP_ADMIT(config_http_admit_history)
{
    (void)out;
    return config_query(self, call, run_row, now, fail);
}

HTTP_ADMIT(config_http_admit_history_pair)
{
    (void)out;
    return config_query(self, call, run_pair, now, fail);
}

HTTP_ADMIT(config_http_admit_previous)
{
    (void)out;
    return config_query(self, call, run_previous, now, fail);
}

HTTP_ADMIT(config_http_admit_history_configs)
{
    (void)out;
    return config_query(self, call, run_configs, now, fail);
}
