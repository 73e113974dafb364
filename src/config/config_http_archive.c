/* Archives over HTTP: export, import and clone (http-api.md 2.8; golden http/config-batch). */
#include "config/config_http.h"

#include <stdlib.h>
#include <time.h>

#include "base/macros.h"
#include "config/archive.h"
#include "config/config_form.h"
#include "config/config_gate.h"
#include "config/config_query.h"
#include "config/config_repo.h"
#include "config/import.h"
#include "wire/json_in.h"

#include <cjson/cJSON.h>

#define TYPE_ZIP "application/octet-stream;charset=UTF-8"

/* ------------------------------------------------------------------ what they share */

/* Ids of a comma list, as Spring reads a List<Long>: blanks around them are fine, what is no number
 * is a 400. "": none. In the arena. */
static int read_ids(struct span list, struct arena *arena, uint64_t **ret_ids, size_t *ret_count,
                    struct fail *fail)
{
    size_t room = 1;
    for (size_t i = 0; i < list.len; i++) {
        room += list.data[i] == ',';
    }
    uint64_t *ids = arena_try(arena, room * sizeof(*ids));
    if (!ids) {
        return fail_set(fail, E_TOO_LARGE, "too many ids");
    }
    size_t count = 0;
    while (!span_empty(list)) {
        long long id = 0;
        struct span one = span_trim(span_cut(&list, ','));
        if (span_empty(one)) {
            continue;
        }
        if (!span_int(one, &id)) {
            int shown = one.len > 100 ? 100 : (int)one.len;
            return fail_set(fail, E_INVALID,
                            "Failed to convert value of type 'java.lang.String' to required type "
                            "'java.util.List'; nested exception is "
                            "java.lang.NumberFormatException: For input string: \"%.*s\";caused: "
                            "For input string: \"%.*s\"",
                            shown, one.data, shown, one.data);
        }
        ids[count++] = (uint64_t)id;
    }
    *ret_ids = ids;
    *ret_count = count;
    return 0;
}

/* DIFF(spring-text): the texts of Spring's and Jackson's for a wrong policy or body name Java
 * classes; ours say what was expected. */
static int read_policy(const struct api_params *p, enum config_policy *ret, struct fail *fail)
{
    static const struct {
        const char *name;
        enum config_policy policy;
    } known[] = {{"ABORT", CONFIG_ABORT}, {"SKIP", CONFIG_SKIP}, {"OVERWRITE", CONFIG_OVERWRITE}};
    struct span name = span_trim(params_or(p, "policy", SPAN("ABORT")));
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (span_eq(name, span_str(known[i].name))) {
            *ret = known[i].policy;
            return 0;
        }
    }
    return fail_set(fail, E_INVALID, "policy: expected ABORT, SKIP or OVERWRITE, got '%.*s'",
                    SPAN_ARG(name));
}

/* The parameter check of a tenant alone. */
static int check_tenant(struct span tenant, struct fail *fail)
{
    struct config_key key = {tenant, SPAN("g"), SPAN("d")};
    return config_key_check(&key, false, fail);
}

/* May configs be put there? The default namespace always exists. */
static bool is_namespace(const struct config *c, struct span tenant)
{
    return span_empty(tenant) || !c->options.namespace_exists ||
           c->options.namespace_exists(c->options.namespaces, tenant);
}

/* ------------------------------------------------------------------ export */

struct export_call {
    struct repo_search search;
    enum archive_layout layout;
    int64_t now_ms;
};

/* DIFF(export-tenant): ids of another namespace than the one that is named are left out; Nacos
 * exports any id, whatever the caller may read. DIFF(export-ids): ids may be absent. */
static int decode_export(struct api_call *call, const struct api_params *p,
                         enum archive_layout layout, struct fail *fail)
{
    struct export_call *m = arena_alloc(&call->arena, sizeof(*m));
    uint64_t *ids = NULL;
    size_t ids_count = 0;
    call->msg = m;
    m->layout = layout;
    m->search.is_export = true;
    m->search.tenant = config_tenant(config_form_tenant(p, CONFIG_FORM_V1));
    m->search.data_id = span_trim(params_get(p, "dataId"));
    m->search.group = span_trim(params_get(p, "group"));
    m->search.app_name = span_trim(params_get(p, "appName"));
    int err = check_tenant(m->search.tenant, fail);
    err = err ? err : read_ids(params_get(p, "ids"), &call->arena, &ids, &ids_count, fail);
    if (!err && ids_count > 0) {
        m->search =
            (struct repo_search){.tenant = m->search.tenant, .ids = ids, .ids_count = ids_count};
    }
    return err;
}

HTTP_DECODE(config_http_decode_export)
{
    return decode_export(call, p, ARCHIVE_OLD, fail);
}

HTTP_DECODE(config_http_decode_export_v2)
{
    return decode_export(call, p, ARCHIVE_V2, fail);
}

static int add_row(void *arg, const struct repo_row *row, struct fail *fail)
{
    struct archive_item item = {
        .group = row->key.group,
        .data_id = row->key.data_id,
        .content = row->content,
        .app_name = row->app_name.data ? row->app_name : SPAN(""),
        .type = row->type,
        .desc = row->desc,
    };
    return archive_writer_add(arg, &item, fail);
}

/* The file's name tells when, in UTC. */
static void set_headers(struct api_call *call, int64_t now_ms)
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm = {0};
    char when[32] = "";
    gmtime_r(&seconds, &tm);
    (void)strftime(when, sizeof(when), "%Y%m%d%H%M%S", &tm);
    struct api_header *header = arena_alloc(&call->arena, sizeof(*header));
    header->name = "Content-Disposition";
    header->value =
        arena_printf(&call->arena, "attachment;filename=nacos_config_export_%s.zip", when);
    call->reply.headers = header;
    call->reply.headers_count = 1;
    call->reply.content_type = TYPE_ZIP;
}

static int run_export(struct db *db, struct api_call *call, struct fail *fail)
{
    const struct export_call *m = call->msg;
    struct buf *zip = NULL;
    struct archive_writer *w = archive_writer_create(m->layout, m->now_ms);
    int err = config_repo_search(db, &m->search, add_row, w, fail);
    err = err ? err : archive_writer_finish(w, &zip, fail);
    if (!err) {
        set_headers(call, m->now_ms);
        api_answer_buf(call, zip);
    }
    archive_writer_destroy(w);
    return err;
}

HTTP_ADMIT(config_http_admit_export)
{
    struct export_call *m = call->msg;
    (void)out;
    m->now_ms = now.wall_ms;
    return config_query(self, call, run_export, now, fail);
}

/* ------------------------------------------------------------------ import */

struct import_call {
    struct span file; /* data NULL: none came */
    struct span tenant;
    struct import_job job;
    int code;  /* enum import_code, when there is nothing to import; 0: there is */
    char *why; /* for the code, or NULL */
};

HTTP_DECODE(config_http_decode_import)
{
    struct import_call *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    if (!p->file_field.data || span_eq(p->file_field, SPAN("file"))) {
        m->file = p->file;
    }
    m->job.who = config_form_actor(call, p, CONFIG_FORM_V1);
    m->job.done_message = IMPORT_DONE;
    struct span tenant = params_or(p, "namespace", config_form_tenant(p, CONFIG_FORM_V1));
    m->tenant = config_tenant(tenant);
    int err = check_tenant(m->tenant, fail);
    return err ? err : read_policy(p, &m->job.policy, fail);
}

/* DIFF(import-check): all are checked before the first is stored. */
static int check_item(struct api_call *call, const struct archive_item *item,
                      uint32_t content_chars_max, struct config_publish *ret, struct fail *fail)
{
    const struct import_call *m = call->msg;
    struct config_form form = {
        .key = {m->tenant, item->group, item->data_id},
        .content = item->content,
        .type = item->type,
        .app_name = item->app_name,
        .desc = item->desc,
    };
    struct fail why = {0};
    int err = config_form_check(&form, content_chars_max, &call->arena, ret, &why);
    if (err) {
        (void)fail_set_codes(fail, err, 0, why.v2, "%.*s/%.*s: %s", SPAN_ARG(item->group),
                             SPAN_ARG(item->data_id), fail_text(&why));
    }
    return err;
}

static int check_items(struct api_call *call, const struct archive *a, uint32_t content_chars_max,
                       struct fail *fail)
{
    struct import_call *m = call->msg;
    struct config_publish *list = arena_try(&call->arena, a->count * sizeof(*list));
    if (!list) {
        return fail_set(fail, E_TOO_LARGE, "the archive unpacked is larger than a request may be");
    }
    int err = 0;
    for (size_t i = 0; !err && i < a->count; i++) {
        err = check_item(call, &a->items[i], content_chars_max, &list[i], fail);
    }
    m->job.list = list;
    m->job.count = a->count;
    m->job.unrecognized = a->unrecognized;
    m->job.unrecognized_count = a->unrecognized_count;
    return err;
}

/* Unpacked after the permission is known, and on the edge's thread. What is wrong with the archive
 * is told by a code, behind that of the namespace, which the core knows. */
HTTP_READ(config_http_read_import)
{
    const struct config_edge *edge = self;
    struct import_call *m = call->msg;
    struct archive archive = {0};
    struct fail why = {0};
    (void)now;
    if (!m->file.data) {
        import_answer_code(call, IMPORT_EMPTY, false, NULL);
        return API_ANSWERED;
    }
    int err = archive_read(m->file, &call->arena, &archive, &why);
    if (err) {
        m->code = err == E_INVALID ? IMPORT_BAD_METADATA : IMPORT_UNREADABLE;
        m->why = arena_str(&call->arena, span_str(fail_text(&why)));
    } else if (archive.count == 0) {
        m->code = IMPORT_EMPTY;
    } else {
        err = check_items(call, &archive, edge->content_chars_max, fail);
        return err ? err : API_TO_CORE;
    }
    return API_TO_CORE;
}

HTTP_ADMIT(config_http_admit_import)
{
    struct config *c = self;
    struct import_call *m = call->msg;
    if (config_gate_is_behind(c, call, now)) {
        return API_LATER; /* the namespace may be new */
    }
    if (!is_namespace(c, m->tenant)) {
        import_answer_code(call, IMPORT_NO_NAMESPACE, true, NULL);
        return API_ANSWERED;
    }
    if (m->code) {
        import_answer_code(call, (enum import_code)m->code, true, m->why);
        return API_ANSWERED;
    }
    return import_start(c, &m->job, call, now, out, fail);
}

/* ------------------------------------------------------------------ clone */

static int by_id(const void *a, const void *b)
{
    const struct import_pick *x = a;
    const struct import_pick *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* One element of the body; *ret_is_there false: it names no id. */
static int read_pick(const struct cJSON *element, size_t number, struct arena *arena,
                     struct import_pick *ret, bool *ret_is_there, struct fail *fail)
{
    int64_t id = -1;
    *ret_is_there = false;
    if (cJSON_IsNull(element)) {
        return 0;
    }
    if (!cJSON_IsObject(element)) {
        return fail_set_codes(fail, E_PARSE, 500, 0,
                              "element %zu of the body: expected {\"cfgId\",\"dataId\",\"group\"}",
                              number);
    }
    struct fail why = {0};
    int err = json_in_int(element, "cfgId", 0, INT64_MAX, &id, &why);
    err = err ? err : json_in_str(element, "dataId", arena, &ret->data_id, &why);
    err = err ? err : json_in_str(element, "group", arena, &ret->group, &why);
    if (err) {
        return fail_set_codes(fail, err, err == E_TOO_LARGE ? 0 : 500, 0,
                              "element %zu of the body: %s", number, fail_text(&why));
    }
    ret->id = (uint64_t)id;
    *ret_is_there = id >= 0;
    return 0;
}

/* Sorted by id; of equal ones any stays. */
static size_t sort_picks(struct import_pick *picks, size_t count)
{
    size_t kept = 0;
    if (count > 1) {
        qsort(picks, count, sizeof(*picks), by_id);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || picks[kept - 1].id != picks[i].id) {
            picks[kept++] = picks[i];
        }
    }
    return kept;
}

static int read_picks(const struct cJSON *list, struct arena *arena, struct import_clone *m,
                      struct fail *fail)
{
    size_t room = (size_t)cJSON_GetArraySize(list);
    if (room > CONFIG_IMPORT_MAX) {
        return fail_set(fail, E_TOO_LARGE, "at most %d configs in one request, got %zu",
                        CONFIG_IMPORT_MAX, room);
    }
    struct import_pick *picks = arena_try(arena, (room + 1) * sizeof(*picks));
    if (!picks) {
        return fail_set(fail, E_TOO_LARGE, "the request is too large");
    }
    size_t count = 0;
    size_t number = 0;
    const struct cJSON *element = NULL;
    cJSON_ArrayForEach(element, list)
    {
        bool is_there = false;
        picks[count] = (struct import_pick){0};
        int err = read_pick(element, ++number, arena, &picks[count], &is_there, fail);
        if (err) {
            return err;
        }
        count += is_there;
    }
    m->picks = picks;
    m->count = sort_picks(picks, count);
    return 0;
}

static int read_body(struct api_call *call, struct span body, struct fail *fail)
{
    struct cJSON *doc = NULL;
    struct fail why = {0};
    if (span_empty(span_trim(body))) {
        return fail_set_codes(fail, E_MISSING, 500, 0,
                              "Required request body is missing: expected a list of "
                              "{\"cfgId\",\"dataId\",\"group\"}");
    }
    int err = json_in_parse(body, &doc, &why);
    if (!err && !cJSON_IsArray(doc)) {
        err = fail_set(&why, E_PARSE, "expected a list of {\"cfgId\",\"dataId\",\"group\"}");
    }
    if (err) {
        err = fail_set_codes(fail, err, err == E_TOO_LARGE ? 0 : 500, 0, "JSON parse error: %s",
                             fail_text(&why));
    } else {
        err = read_picks(doc, &call->arena, call->msg, fail);
    }
    json_in_free(doc);
    return err;
}

HTTP_DECODE(config_http_decode_clone)
{
    struct import_clone *m = arena_alloc(&call->arena, sizeof(*m));
    struct span tenant = {0};
    call->msg = m;
    m->who = config_form_actor(call, p, CONFIG_FORM_V1);
    int err = config_form_require(p, CONFIG_FORM_V1, "tenant", "String", &tenant, fail);
    m->tenant = config_tenant(tenant);
    err = err ? err : check_tenant(m->tenant, fail);
    err = err ? err : read_policy(p, &m->policy, fail);
    return err ? err : read_body(call, p->body, fail);
}

HTTP_ADMIT(config_http_admit_clone)
{
    struct config *c = self;
    const struct import_clone *m = call->msg;
    (void)out;
    if (m->count == 0) {
        import_answer_code(call, IMPORT_NOTHING_CHOSEN, true, NULL);
        return API_ANSWERED;
    }
    if (config_gate_is_behind(c, call, now)) {
        return API_LATER;
    }
    if (!is_namespace(c, m->tenant)) {
        import_answer_code(call, IMPORT_NO_NAMESPACE, true, NULL);
        return API_ANSWERED;
    }
    return import_clone(c, m, call, fail);
}
