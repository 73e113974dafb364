/* Registering, changing and beating over HTTP, and the table of all routes. */
#include "naming/naming_http.h"

#include <string.h>

#include "api/v2_codes.h"
#include "base/json_out.h"
#include "naming/admit.h"
#include "naming/beat.h"
#include "wire/json_in.h"

/* A registration, deregistration or update. */
struct http_instance {
    struct service_name service;
    struct instance_data instance;
    struct span client; /* "ip:port#true|false" */
    enum form_version version;
    bool has_weight, has_enabled, has_metadata; /* PATCH */
};

static bool is_given(const struct api_params *p, const char *name)
{
    return !span_empty(span_trim(params_get(p, name)));
}

static int decode_instance(struct api_call *call, const struct api_params *p,
                           enum form_version version, struct fail *fail)
{
    struct http_instance *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    int err = form_name(p, version, &m->service, fail);
    if (!err) {
        err = form_instance(p, version, &call->arena, &m->instance, fail);
    }
    if (err) {
        return err;
    }
    m->has_weight = is_given(p, "weight");
    m->has_enabled = is_given(p, "enabled") || is_given(p, "enable");
    m->has_metadata = is_given(p, "metadata");
    m->client = arena_printf(&call->arena, "%.*s:%lld#%s", SPAN_ARG(m->instance.ip),
                             (long long)m->instance.port, m->instance.ephemeral ? "true" : "false");
    if (!form_is_v2(version)) {
        struct span grouped = service_name_grouped(&m->service, &call->arena);
        m->instance.instance_id =
            instance_id_simple(&m->instance, m->instance.cluster, grouped, &call->arena);
    }
    return 0;
}

static HTTP_DECODE(decode_instance_v1)
{
    return decode_instance(call, p, FORM_V1, fail);
}

static HTTP_DECODE(decode_instance_v2)
{
    return decode_instance(call, p, FORM_V2, fail);
}

/* PATCH and beat of v2 take the name as 1.x clients send it, and only so (http-api.md 5.1). */
static int require_grouped(const struct api_params *p, struct fail *fail)
{
    struct span name = params_get(p, "serviceName");
    if (!span_empty(name) && memmem(name.data, name.len, "@@", 2)) {
        return 0;
    }
    return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                          "Param 'serviceName' is illegal, it should be format as "
                          "'groupName@@serviceName'");
}

static HTTP_DECODE(decode_patch_v2)
{
    int err = decode_instance(call, p, FORM_V2_DECLARED, fail);
    return err ? err : require_grouped(p, fail);
}

static enum client_kind kind_of(const struct http_instance *m)
{
    return m->instance.ephemeral ? CLIENT_HTTP : CLIENT_PERSISTENT;
}

static HTTP_ADMIT(admit_register)
{
    const struct http_instance *m = call->msg;
    form_answer_ok(call, m->version);
    struct naming_publish publish = {
        .service = m->service,
        .instances = &m->instance,
        .count = 1,
        .ephemeral = m->instance.ephemeral,
        .kind = kind_of(m),
        .client = m->client,
    };
    return admit_publish(self, &publish, call, now, out, fail);
}

static HTTP_ADMIT(admit_deregister)
{
    const struct http_instance *m = call->msg;
    form_answer_ok(call, m->version);
    struct naming_unpublish unpublish = {
        .service = m->service,
        .kind = kind_of(m),
        .client = m->client,
        .reason = REMOVAL_HTTP_DEREGISTERED,
    };
    return admit_unpublish(self, &unpublish, call, now, out, fail);
}

static int admit_change(void *self, struct api_call *call, bool patch, struct now now,
                        struct outbox *out, struct fail *fail)
{
    const struct http_instance *m = call->msg;
    /* PATCH of v2 answers the bare text (http-api.md 5.1). */
    form_answer_ok(call, patch ? FORM_V1 : m->version);
    struct naming_overlay overlay = {
        .service = m->service,
        .ip = m->instance.ip,
        .port = (uint16_t)m->instance.port,
        .cluster = m->instance.cluster,
        .has_weight = !patch || m->has_weight,
        .has_enabled = !patch || m->has_enabled,
        .enabled = m->instance.enabled,
        .has_metadata = !patch || m->has_metadata,
        .patch = patch,
        .weight = m->instance.weight,
        .metadata = m->instance.metadata,
        .metadata_count = m->instance.metadata_count,
    };
    return admit_overlay(self, &overlay, call, now, out, fail);
}

static HTTP_ADMIT(admit_put)
{
    return admit_change(self, call, false, now, out, fail);
}

static HTTP_ADMIT(admit_patch)
{
    return admit_change(self, call, true, now, out, fail);
}

/* The beat parameter: a JSON object whose fields stand above the form's. */
static int decode_beat_body(struct span text, struct arena *arena, struct naming_beat *b,
                            struct fail *fail)
{
    struct cJSON *doc = NULL;
    struct instance_data *i = &b->instance;
    struct json_pair *pairs = NULL;
    size_t count = 0;
    int err = json_in_object(text, &doc, fail);
    if (!err) {
        err = json_in_str(doc, "ip", arena, &i->ip, fail);
    }
    if (!err) {
        err = json_in_int(doc, "port", INT32_MIN, INT32_MAX, &i->port, fail);
    }
    if (!err) {
        err = json_in_str(doc, "cluster", arena, &i->cluster, fail);
    }
    if (!err) {
        err = json_in_double(doc, "weight", &i->weight, fail);
    }
    if (!err) {
        err = json_in_pairs(json_in_get(doc, "metadata"), INSTANCE_METADATA_MAX, arena, &pairs,
                            &count, fail);
    }
    json_in_free(doc);
    if (err == E_LIMIT) {
        return name_refuse_metadata(fail);
    }
    if (err) {
        return err;
    }
    struct instance_pair *copy = arena_alloc(arena, (count + 1) * sizeof(*copy));
    for (size_t n = 0; n < count; n++) {
        copy[n] = (struct instance_pair){pairs[n].key, pairs[n].value};
    }
    i->metadata = copy;
    i->metadata_count = count;
    return 0;
}

static int decode_beat(struct api_call *call, const struct api_params *p, enum form_version version,
                       struct fail *fail)
{
    struct naming_beat *b = arena_alloc(&call->arena, sizeof(*b));
    call->msg = b;
    int err = form_name(p, version, &b->service, fail);
    if (err) {
        return err;
    }
    struct span body = span_trim(params_get(p, "beat"));
    b->full = !span_empty(body);
    b->instance =
        (struct instance_data){.weight = 1.0, .healthy = true, .enabled = true, .ephemeral = true};
    if (!b->full && (!is_given(p, "ip") || !is_given(p, "port"))) {
        return 0; /* nobody's address is nobody's instance: the answer is 20404, as Nacos's */
    }
    if (!b->full) {
        return form_address(p, version, &b->instance, fail);
    }
    err = decode_beat_body(body, &call->arena, b, fail);
    if (err) {
        return err;
    }
    if (span_empty(b->instance.cluster)) {
        b->instance.cluster = SPAN("DEFAULT");
    }
    if (span_empty(b->instance.ip)) {
        return fail_set(fail, E_MISSING, "Param 'ip' is required.");
    }
    struct span grouped = service_name_grouped(&b->service, &call->arena);
    b->instance.instance_id =
        instance_id_simple(&b->instance, b->instance.cluster, grouped, &call->arena);
    return name_check_instance(&b->instance, fail);
}

static HTTP_DECODE(decode_beat_v1)
{
    return decode_beat(call, p, FORM_V1, fail);
}

static HTTP_DECODE(decode_beat_v2)
{
    int err = decode_beat(call, p, FORM_V2_DECLARED, fail);
    return err ? err : require_grouped(p, fail);
}

static void answer_beat(struct api_call *call, enum beat_code code, int64_t interval_ms)
{
    struct json_out j;
    json_init(&j, 96);
    json_object(&j);
    json_kint(&j, "clientBeatInterval", interval_ms);
    json_kint(&j, "code", code);
    json_kbool(&j, "lightBeatEnabled", true);
    json_object_end(&j);
    body_close(&call->reply.body);
    api_answer_json(call, &j);
    json_close(&j);
}

static HTTP_ADMIT(admit_beat)
{
    struct naming_beat *b = call->msg;
    int next = beat_take(self, b, call, now, out, fail);
    if (next >= 0) {
        /* API_LATER too: this answer leaves when the registration is applied. */
        answer_beat(call, b->answer.code, b->answer.interval_ms);
    }
    return next;
}

#define WRITE(path, method, shape_, decode, admit_)                                                \
    {                                                                                              \
        .name = (path), .methods = (method), .permission = API_NAMING_WRITE, .shape = (shape_),    \
        .decode_http = (decode), .admit = (admit_)                                                 \
    }
#define READ(path, shape_, decode, read_, admit_)                                                  \
    {                                                                                              \
        .name = (path), .methods = API_GET, .permission = API_NAMING_READ, .shape = (shape_),      \
        .decode_http = (decode), .read = (read_), .admit = (admit_)                                \
    }
#define V1 API_SHAPE_NAMING1
#define V2 API_SHAPE_V2

static const struct api_row routes[] = {
    WRITE("/v1/ns/instance", API_POST, V1, decode_instance_v1, admit_register),
    WRITE("/v1/ns/instance", API_PUT, V1, decode_instance_v1, admit_put),
    WRITE("/v1/ns/instance", API_PATCH, V1, decode_instance_v1, admit_patch),
    WRITE("/v1/ns/instance", API_DELETE, V1, decode_instance_v1, admit_deregister),
    WRITE("/v1/ns/instance/beat", API_PUT, V1, decode_beat_v1, admit_beat),
    READ("/v1/ns/instance", V1, http_decode_detail_v1, http_read_detail, http_admit_detail),
    READ("/v1/ns/instance/list", V1, http_decode_list_v1, http_read_list, http_admit_list),
    WRITE("/v2/ns/instance", API_POST, V2, decode_instance_v2, admit_register),
    WRITE("/v2/ns/instance", API_PUT, V2, decode_instance_v2, admit_put),
    WRITE("/v2/ns/instance", API_PATCH, V2, decode_patch_v2, admit_patch),
    WRITE("/v2/ns/instance", API_DELETE, V2, decode_instance_v2, admit_deregister),
    WRITE("/v2/ns/instance/beat", API_PUT, V2, decode_beat_v2, admit_beat),
    READ("/v2/ns/instance", V2, http_decode_detail_v2, http_read_detail, http_admit_detail),
    READ("/v2/ns/instance/list", V2, http_decode_list_v2, http_read_list, http_admit_list),

    WRITE("/v1/ns/service", API_POST, V1, http_decode_service_create_v1, http_admit_service_put),
    WRITE("/v1/ns/service", API_PUT, V1, http_decode_service_update_v1, http_admit_service_put),
    WRITE("/v1/ns/service", API_DELETE, V1, http_decode_service_v1, http_admit_service_remove),
    READ("/v1/ns/service", V1, http_decode_service_v1, NULL, http_admit_service_get),
    READ("/v1/ns/service/list", V1, http_decode_names_v1, NULL, http_admit_names),
    READ("/v1/ns/service/subscribers", V1, http_decode_subscribers, NULL, http_admit_subscribers),
    WRITE("/v2/ns/service", API_POST, V2, http_decode_service_create_v2, http_admit_service_put),
    WRITE("/v2/ns/service", API_PUT, V2, http_decode_service_update_v2, http_admit_service_put),
    WRITE("/v2/ns/service", API_DELETE, V2, http_decode_service_v2, http_admit_service_remove),
    READ("/v2/ns/service", V2, http_decode_service_v2, NULL, http_admit_service_get),
    READ("/v2/ns/service/list", V2, http_decode_names_v2, NULL, http_admit_names),

    READ("/v1/ns/catalog/services", V1, http_decode_catalog, NULL, http_admit_catalog),
    READ("/v1/ns/catalog/instances", V1, http_decode_catalog_instances, NULL,
         http_admit_catalog_instances),
    READ("/v2/ns/client/list", V2, http_decode_nothing, NULL, http_admit_clients),
    READ("/v2/ns/client", V2, http_decode_client, NULL, http_admit_client),
    READ("/v2/ns/client/publish/list", V2, http_decode_client, NULL, http_admit_client_publishes),
    READ("/v2/ns/client/subscribe/list", V2, http_decode_client, NULL,
         http_admit_client_subscribes),
    READ("/v1/nacre/removals", V1, http_decode_service_v1, NULL, http_admit_removals),
};

const struct api_row *naming_http_rows(size_t *ret_count)
{
    *ret_count = ARRAY_LEN(routes);
    return routes;
}
