/* Service records and lists of names over HTTP. */
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json_out.h"
#include "naming/admit.h"
#include "naming/naming_http.h"
#include "naming/state.h"
#include "wire/json_in.h"

#define PAGE_SIZE_V2_MAX 500
#define SELECTOR_BYTES_MAX 4096

struct http_service_put {
    struct naming_service_put put;
    enum form_version version;
};

/* none and label are accepted and kept; what they say is not applied, as in Nacos without a CMDB.
 * The console encodes it twice. */
static int decode_selector(struct span text, struct span *ret, struct fail *fail)
{
    text = span_trim(text);
    *ret = (struct span){0};
    if (span_empty(text)) {
        return 0;
    }
    if (text.len > SELECTOR_BYTES_MAX) {
        return fail_set_codes(fail, E_TOO_LARGE, 400, 21006, "selector: at most %d bytes",
                              SELECTOR_BYTES_MAX);
    }
    struct cJSON *doc = NULL;
    int err = json_in_object(text, &doc, NULL);
    const struct cJSON *type = err ? NULL : json_in_get(doc, "type");
    bool known = cJSON_IsString(type) && (span_eq(span_str(type->valuestring), SPAN("none")) ||
                                          span_eq(span_str(type->valuestring), SPAN("label")));
    json_in_free(doc);
    if (!known) {
        return fail_set_codes(fail, E_INVALID, 0, 21006, "not match any type of selector!");
    }
    *ret = text;
    return 0;
}

/* %XX once more: the console sends the selector encoded a second time. */
static struct span decode_percent(struct span text, struct arena *arena)
{
    char *dst = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        if (text.data[i] == '%' && i + 2 < text.len && memchr(digits, text.data[i + 1], 22) &&
            memchr(digits, text.data[i + 2], 22)) {
            int hi = text.data[i + 1] | 0x20;
            int lo = text.data[i + 2] | 0x20;
            hi = hi >= 'a' ? hi - 'a' + 10 : (hi & 0x0F);
            lo = lo >= 'a' ? lo - 'a' + 10 : (lo & 0x0F);
            dst[len++] = (char)(hi << 4 | lo);
            i += 2;
        } else {
            dst[len++] = text.data[i];
        }
    }
    return span_of(dst, len);
}

static int decode_put(struct api_call *call, const struct api_params *p, enum form_version version,
                      bool create, struct fail *fail)
{
    struct http_service_put *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    m->put.create = create;
    int err = form_name(p, version, &call->arena, &m->put.service, fail);
    if (!err && version == FORM_V1 && !create) {
        struct span threshold = {0};
        err = params_require(p, "protectThreshold", &threshold, fail);
    }
    if (!err) {
        err = params_double(p, "protectThreshold", &m->put.protect_threshold, fail);
    }
    if (!err) {
        err = form_metadata(params_get(p, "metadata"), &call->arena, &m->put.metadata,
                            &m->put.metadata_count, fail);
    }
    if (!err) {
        struct span selector = span_trim(params_get(p, "selector"));
        if (span_starts(selector, SPAN("%7B")) || span_starts(selector, SPAN("%7b"))) {
            selector = decode_percent(selector, &call->arena);
        }
        err = decode_selector(selector, &m->put.selector, fail);
    }
    if (version == FORM_V2) {
        params_bool(p, "ephemeral", &m->put.ephemeral);
    }
    return err;
}

HTTP_DECODE(http_decode_service_create_v1)
{
    return decode_put(call, p, FORM_V1, true, fail);
}

HTTP_DECODE(http_decode_service_create_v2)
{
    return decode_put(call, p, FORM_V2, true, fail);
}

HTTP_DECODE(http_decode_service_update_v1)
{
    return decode_put(call, p, FORM_V1, false, fail);
}

HTTP_DECODE(http_decode_service_update_v2)
{
    return decode_put(call, p, FORM_V2, false, fail);
}

HTTP_ADMIT(http_admit_service_put)
{
    const struct http_service_put *m = call->msg;
    form_answer_ok(call, m->version);
    return admit_service_put(self, &m->put, call, now, out, fail);
}

static int decode_service(struct api_call *call, const struct api_params *p,
                          enum form_version version, struct fail *fail)
{
    struct http_service *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    return form_name(p, version, &call->arena, &m->service, fail);
}

HTTP_DECODE(http_decode_service_v1)
{
    return decode_service(call, p, FORM_V1, fail);
}

HTTP_DECODE(http_decode_service_v2)
{
    return decode_service(call, p, FORM_V2, fail);
}

HTTP_ADMIT(http_admit_service_remove)
{
    const struct http_service *m = call->msg;
    form_answer_ok(call, m->version);
    return admit_service_remove(self, &m->service, call, now, out, fail);
}

static void write_metadata(struct json_out *j, const struct service *s)
{
    json_key(j, "metadata");
    json_object(j);
    for (size_t i = 0; i < s->metadata_count; i++) {
        json_key_span(j, s->metadata[i].key);
        json_str(j, s->metadata[i].value);
    }
    json_object_end(j);
}

static void write_selector(struct json_out *j, const struct service *s)
{
    json_key(j, "selector");
    if (s->selector) {
        json_raw(j, span_str(s->selector));
    } else {
        json_raw(j, SPAN("{\"type\":\"none\",\"contextType\":\"NONE\"}"));
    }
}

/* The distinct cluster names of what is shown, each once; services have few. */
static size_t cluster_names(const struct service *s, struct arena *arena, struct span **ret)
{
    struct span *names = arena_alloc(arena, (s->shown_count + 1) * sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < s->shown_count; i++) {
        struct span c = s->shown[i]->effective->cluster;
        size_t at = 0;
        while (at < count && !span_eq(names[at], c)) {
            at++;
        }
        if (at == count && count < 1000) {
            names[count++] = c;
        }
    }
    *ret = names;
    return count;
}

static void write_service_v1(struct json_out *j, const struct service *s, struct arena *arena)
{
    struct span *clusters = NULL;
    size_t count = cluster_names(s, arena, &clusters);
    json_object(j);
    json_kstr(j, "namespaceId", s->name.namespace_id);
    json_kstr(j, "groupName", s->name.group);
    json_kstr(j, "name", s->name.name);
    json_kdouble(j, "protectThreshold", s->protect_threshold);
    write_metadata(j, s);
    write_selector(j, s);
    json_key(j, "clusters");
    json_array(j);
    for (size_t i = 0; i < count; i++) {
        json_object(j);
        json_kstr(j, "name", clusters[i]);
        json_key(j, "healthChecker");
        json_raw(j, SPAN("{\"type\":\"TCP\"}"));
        json_key(j, "metadata");
        json_raw(j, SPAN("{}"));
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

static void write_service_v2(struct json_out *j, const struct service *s, struct arena *arena)
{
    struct span *clusters = NULL;
    size_t count = cluster_names(s, arena, &clusters);
    json_object(j);
    json_kint(j, "code", 0);
    json_kstr(j, "message", SPAN("success"));
    json_key(j, "data");
    json_object(j);
    json_kstr(j, "namespace", s->name.namespace_id);
    json_kstr(j, "serviceName", s->name.name);
    json_kstr(j, "groupName", s->name.group);
    json_key(j, "clusterMap");
    json_object(j);
    for (size_t i = 0; i < count; i++) {
        json_key_span(j, clusters[i]);
        json_object(j);
        json_kstr(j, "clusterName", clusters[i]);
        json_key(j, "healthChecker");
        json_raw(j, SPAN("{\"type\":\"TCP\"}"));
        json_key(j, "metadata");
        json_raw(j, SPAN("{}"));
        json_key(j, "hosts");
        json_null(j);
        json_object_end(j);
    }
    json_object_end(j);
    write_metadata(j, s);
    json_kdouble(j, "protectThreshold", s->protect_threshold);
    write_selector(j, s);
    json_kbool(j, "ephemeral", s->ephemeral);
    json_object_end(j);
    json_object_end(j);
}

HTTP_ADMIT(http_admit_service_get)
{
    const struct http_service *m = call->msg;
    (void)now;
    (void)out;
    const struct service *s = service_find(self, &m->service);
    if (!s || !s->exists) {
        struct span grouped = service_name_grouped(&m->service, &call->arena);
        return fail_set_codes(fail, E_INVALID, 0, 21008,
                              "service not found, namespace: %.*s, serviceName: %.*s",
                              SPAN_ARG(m->service.namespace_id), SPAN_ARG(grouped));
    }
    struct json_out j;
    json_init(&j, 512);
    if (m->version == FORM_V1) {
        write_service_v1(&j, s, &call->arena);
    } else {
        write_service_v2(&j, s, &call->arena);
    }
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

struct http_names {
    struct msg_list list;
    enum form_version version;
};

static int decode_names(struct api_call *call, const struct api_params *p,
                        enum form_version version, struct fail *fail)
{
    struct http_names *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    m->list.page_no = 1;
    m->list.page_size = 20;
    struct span required = {0};
    int err = version == FORM_V1 ? params_require(p, "pageNo", &required, fail) : 0;
    if (!err && version == FORM_V1) {
        err = params_require(p, "pageSize", &required, fail);
    }
    if (!err) {
        err = params_int(p, "pageNo", INT32_MIN, INT32_MAX, &m->list.page_no, fail);
    }
    if (!err) {
        err = params_int(p, "pageSize", INT32_MIN, INT32_MAX, &m->list.page_size, fail);
    }
    if (err) {
        return err;
    }
    if (version == FORM_V2 && m->list.page_size > PAGE_SIZE_V2_MAX) {
        m->list.page_size = PAGE_SIZE_V2_MAX;
    }
    m->list.namespace_id = span_trim(params_or(p, "namespaceId", SPAN("public")));
    m->list.group = span_trim(params_or(p, "groupName", SPAN("DEFAULT_GROUP")));
    struct service_name name = {m->list.namespace_id, m->list.group, SPAN("x")};
    return name_check(&name, fail);
}

HTTP_DECODE(http_decode_names_v1)
{
    return decode_names(call, p, FORM_V1, fail);
}

HTTP_DECODE(http_decode_names_v2)
{
    return decode_names(call, p, FORM_V2, fail);
}

HTTP_ADMIT(http_admit_names)
{
    const struct http_names *m = call->msg;
    (void)now;
    (void)out;
    (void)fail;
    size_t count = 0;
    struct service *const *sorted =
        service_group_sorted(self, m->list.namespace_id, m->list.group, &count);
    size_t from = 0;
    size_t to = 0;
    msg_page(&m->list, count, &from, &to);
    bool v2 = m->version == FORM_V2;
    struct json_out j;
    json_init(&j, 256);
    json_object(&j);
    if (v2) {
        json_kint(&j, "code", 0);
        json_kstr(&j, "message", SPAN("success"));
        json_key(&j, "data");
        json_object(&j);
    }
    json_kint(&j, "count", (int64_t)count);
    json_key(&j, v2 ? "services" : "doms");
    json_array(&j);
    for (size_t i = from; i < to; i++) {
        json_str(&j, sorted[i]->name.name);
    }
    json_array_end(&j);
    json_object_end(&j);
    if (v2) {
        json_object_end(&j);
    }
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}
