/* Service records and lists of names over HTTP. */
#include <string.h>

#include <cjson/cJSON.h>

#include "api/v2_codes.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "naming/admit.h"
#include "naming/naming_http.h"
#include "naming/naming_op.h"
#include "naming/pending.h"
#include "naming/state.h"
#include "wire/json_in.h"

#define PAGE_SIZE_V2_MAX 500
#define CLUSTER_SCAN_MAX                                                                           \
    100000 /* instances: milliseconds of the core, and no cluster is that rare */

struct http_service_put {
    struct naming_service_put put;
    enum form_version version;
};

#define LABEL_MAX 64 /* terms of a label expression */

/* The name in "CONSUMER.label.NAME=PROVIDER.label.NAME", one term of a label expression without
 * blanks; empty when it is none. */
static struct span label_of(struct span term)
{
    struct span provider = term;
    struct span consumer = span_cut(&provider, '=');
    struct span left = SPAN("CONSUMER.label.");
    struct span right = SPAN("PROVIDER.label.");
    if (!span_starts(consumer, left) || !span_starts(provider, right)) {
        return (struct span){0};
    }
    struct span name = span_of(consumer.data + left.len, consumer.len - left.len);
    struct span same = span_of(provider.data + right.len, provider.len - right.len);
    return span_eq(name, same) ? name : (struct span){0};
}

/* The label selector as Nacos shows it: its expression, and the labels in it. */
static struct buf *label_selector(const char *expression)
{
    struct json_out j;
    json_init(&j, 256);
    json_object(&j);
    json_kstr(&j, "type", SPAN("label"));
    json_kstr(&j, "expression", span_str(expression));
    json_key(&j, "labels");
    json_array(&j);
    struct span rest = span_str(expression);
    for (int i = 0; i < LABEL_MAX && !span_empty(rest); i++) {
        struct span label = label_of(span_trim(span_cut(&rest, '&')));
        if (!span_empty(label)) {
            json_str(&j, label);
        }
    }
    json_array_end(&j);
    json_kstr(&j, "contextType", SPAN("CMDB"));
    json_object_end(&j);
    return json_take(&j);
}

static int bad_selector(struct fail *fail)
{
    return fail_set_codes(fail, E_INVALID, 0, V2_SELECTOR_ERROR, "not match any type of selector!");
}

static int selector_too_long(struct fail *fail)
{
    return fail_set_codes(fail, E_TOO_LARGE, 400, V2_SELECTOR_ERROR, "selector: at most %u bytes",
                          NAMING_OP_SELECTOR_MAX);
}

/* none, which is no selector, and label, which is kept and shown; what it says is not applied, as
 * in Nacos without a CMDB. */
static int read_selector(const struct cJSON *doc, struct arena *arena, struct span *ret,
                         struct fail *fail)
{
    const char *type = cJSON_GetStringValue(json_in_get(doc, "type"));
    if (type && strcmp(type, "none") == 0) {
        return 0;
    }
    if (!type || strcmp(type, "label") != 0) {
        return bad_selector(fail);
    }
    const char *expression = cJSON_GetStringValue(json_in_get(doc, "expression"));
    struct buf *text = label_selector(expression ? expression : "");
    int err = text->len > NAMING_OP_SELECTOR_MAX ? selector_too_long(fail) : 0;
    if (!err) {
        *ret = arena_span(arena, buf_span(text));
    }
    buf_unref(text);
    return err;
}

/* %XX once more: the console sends the selector encoded a second time. text has at most
 * NAMING_OP_SELECTOR_MAX bytes. */
static struct span decode_percent(struct span text, struct arena *arena)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    char *dst = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
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

static int decode_selector(struct span text, struct arena *arena, struct span *ret,
                           struct fail *fail)
{
    text = span_trim(text);
    *ret = (struct span){0};
    if (span_empty(text)) {
        return 0;
    }
    if (text.len > NAMING_OP_SELECTOR_MAX) {
        return selector_too_long(fail);
    }
    if (span_starts(text, SPAN("%7B")) || span_starts(text, SPAN("%7b"))) {
        text = decode_percent(text, arena);
    }
    struct cJSON *doc = NULL;
    if (json_in_object(text, &doc, NULL) != 0) {
        return bad_selector(fail);
    }
    int err = read_selector(doc, arena, ret, fail);
    json_in_free(doc);
    return err;
}

static int decode_put(struct api_call *call, const struct api_params *p, enum form_version version,
                      bool create, struct fail *fail)
{
    struct http_service_put *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    m->put.create = create;
    int err = form_name(p, version, &m->put.service, fail);
    if (!err && !form_is_v2(version) && !create) {
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
        err = decode_selector(params_get(p, "selector"), &call->arena, &m->put.selector, fail);
    }
    if (form_is_v2(version)) {
        params_bool(p, "ephemeral", &m->put.ephemeral);
    }
    return err;
}

HTTP_DECODE(http_decode_service_create_v1)
{
    return decode_put(call, p, FORM_V1_DECLARED, true, fail);
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
    return form_name(p, version, &m->service, fail);
}

HTTP_DECODE(http_decode_service_v1)
{
    return decode_service(call, p, FORM_V1_DECLARED, fail);
}

HTTP_DECODE(http_decode_service_v2)
{
    return decode_service(call, p, FORM_V2_DECLARED, fail);
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

/* A name that was met. */
struct cluster_name {
    struct span name;
    UT_hash_handle hh;
};

size_t http_cluster_names(const struct service_seen *seen, size_t scan_max, struct span **ret_names)
{
    size_t scan = seen->count < scan_max ? seen->count : scan_max;
    size_t max = scan < HTTP_CLUSTERS_MAX ? scan : HTTP_CLUSTERS_MAX;
    struct span *names = mem_zalloc(max + 1, sizeof(*names));
    struct cluster_name *met = mem_zalloc(max + 1, sizeof(*met));
    struct cluster_name *table = NULL;
    size_t count = 0;
    for (size_t i = 0; i < scan && count < max; i++) {
        struct span name = service_seen_at(seen, i)->cluster;
        struct cluster_name *found = NULL;
        HASH_FIND(hh, table, name.data, name.len, found);
        if (!found) {
            names[count] = name;
            met[count].name = name;
            HASH_ADD_KEYPTR(hh, table, name.data, name.len, &met[count]);
            count++;
        }
    }
    HASH_CLEAR(hh, table);
    mem_free(met);
    *ret_names = names;
    return count;
}

static void write_service_v1(struct json_out *j, const struct service_seen *seen)
{
    const struct service *s = seen->service;
    struct span *clusters = NULL;
    size_t count = http_cluster_names(seen, CLUSTER_SCAN_MAX, &clusters);
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
    mem_free(clusters);
}

static void write_service_v2(struct json_out *j, const struct service_seen *seen)
{
    const struct service *s = seen->service;
    struct span *clusters = NULL;
    size_t count = http_cluster_names(seen, CLUSTER_SCAN_MAX, &clusters);
    v2_begin(j);
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
    mem_free(clusters);
    write_metadata(j, s);
    json_kdouble(j, "protectThreshold", s->protect_threshold);
    write_selector(j, s);
    json_kbool(j, "ephemeral", seen->value ? seen->value->ephemeral : s->ephemeral);
    json_object_end(j);
    v2_end(j);
}

HTTP_ADMIT(http_admit_service_get)
{
    const struct http_service *m = call->msg;
    (void)out;
    struct service *s = service_find(self, &m->service);
    if (!s || !service_is_visible(s)) {
        struct span grouped = service_name_grouped(&m->service, &call->arena);
        return fail_set_codes(fail, E_INVALID, 0, V2_SERVICE_NOT_EXIST,
                              "service not found, namespace: %.*s, serviceName: %.*s",
                              SPAN_ARG(m->service.namespace_id), SPAN_ARG(grouped));
    }
    struct json_out j;
    json_init(&j, 512);
    struct service_seen seen = service_seen(self, s, now);
    if (form_is_v2(m->version)) {
        write_service_v2(&j, &seen);
    } else {
        write_service_v1(&j, &seen);
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
    bool v2 = form_is_v2(version);
    int err = v2 ? 0 : params_require(p, "pageNo", &required, fail);
    if (!err && !v2) {
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
    if (v2 && m->list.page_size > PAGE_SIZE_V2_MAX) {
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
    bool v2 = form_is_v2(m->version);
    struct json_out j;
    json_init(&j, 256);
    if (v2) {
        v2_begin(&j);
    }
    json_object(&j);
    json_kint(&j, "count", (int64_t)count);
    json_key(&j, v2 ? "services" : "doms");
    json_array(&j);
    for (size_t i = from; i < to; i++) {
        json_str(&j, sorted[i]->name.name);
    }
    json_array_end(&j);
    json_object_end(&j);
    if (v2) {
        v2_end(&j);
    }
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}
