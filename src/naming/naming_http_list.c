/* Reading instances over HTTP: the list that 1.x clients poll, and one instance. */
#include "api/v2_codes.h"
#include "base/json_out.h"
#include "naming/naming_http.h"
#include "naming/naming_rows.h"
#include "naming/react.h"
#include "naming/state.h"

struct http_list {
    struct service_name service;
    struct service_query query;
    enum form_version version;
};

static int decode_list(struct api_call *call, const struct api_params *p, enum form_version version,
                       struct fail *fail)
{
    struct http_list *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    int err = form_name(p, version, &m->service, fail);
    if (err) {
        return err;
    }
    m->query.clusters = span_trim(params_get(p, form_is_v2(version) ? "clusterName" : "clusters"));
    m->query.healthy_only = span_ieq(span_trim(params_get(p, "healthyOnly")), SPAN("true"));
    m->query.grouped_name = true;
    return name_check_clusters(m->query.clusters, fail);
}

HTTP_DECODE(http_decode_list_v1)
{
    return decode_list(call, p, FORM_V1, fail);
}

HTTP_DECODE(http_decode_list_v2)
{
    return decode_list(call, p, FORM_V2_DECLARED, fail);
}

static struct span head_of(enum form_version version)
{
    return form_is_v2(version) ? SPAN(V2_HEAD) : (struct span){0};
}

static struct span tail_of(enum form_version version)
{
    return form_is_v2(version) ? SPAN(V2_TAIL) : (struct span){0};
}

HTTP_READ(http_read_list)
{
    const struct http_list *m = call->msg;
    (void)fail;
    struct info_request r = {&m->service, &m->query, head_of(m->version), tail_of(m->version)};
    return naming_read_info(self, call, &r, now);
}

HTTP_ADMIT(http_admit_list)
{
    const struct http_list *m = call->msg;
    (void)out;
    (void)fail;
    struct info_request r = {&m->service, &m->query, head_of(m->version), tail_of(m->version)};
    naming_answer_info(self, call, &r, now);
    return API_ANSWERED;
}

struct http_detail {
    struct service_name service;
    struct instance_data address;
    enum form_version version;
};

static int decode_detail(struct api_call *call, const struct api_params *p,
                         enum form_version version, struct fail *fail)
{
    struct http_detail *m = arena_alloc(&call->arena, sizeof(*m));
    call->msg = m;
    m->version = version;
    int err = form_name(p, version, &m->service, fail);
    if (!err) {
        err = form_address(p, version, &m->address, fail);
    }
    /* This route alone reads clusterName without its alias (http-api.md 4.0). */
    m->address.cluster = span_trim(params_or(p, "clusterName", SPAN("DEFAULT")));
    return err;
}

HTTP_DECODE(http_decode_detail_v1)
{
    return decode_detail(call, p, FORM_V1, fail);
}

HTTP_DECODE(http_decode_detail_v2)
{
    return decode_detail(call, p, FORM_V2_DECLARED, fail);
}

static const struct instance *find_instance(const struct service_value *v,
                                            const struct instance_data *address)
{
    for (size_t i = 0; v && i < v->count; i++) {
        const struct instance *it = v->instances[i];
        if (it->port == address->port && span_eq(it->ip, address->ip) &&
            span_eq(it->cluster, address->cluster)) {
            return it;
        }
    }
    return NULL;
}

static void write_detail(struct json_out *j, const struct instance *i, struct span grouped,
                         enum form_version version)
{
    json_object(j);
    json_kstr(j, form_is_v2(version) ? "serviceName" : "service", grouped);
    json_kstr(j, "ip", i->ip);
    json_kint(j, "port", i->port);
    json_kstr(j, "clusterName", i->cluster);
    json_kdouble(j, "weight", i->weight);
    json_kbool(j, "healthy", i->healthy);
    json_key(j, "instanceId");
    if (span_empty(i->instance_id)) {
        json_null(j);
    } else {
        json_str(j, i->instance_id);
    }
    json_key(j, "metadata");
    json_object(j);
    for (size_t n = 0; n < i->metadata_count; n++) {
        json_key_span(j, i->metadata[n].key);
        json_str(j, i->metadata[n].value);
    }
    json_object_end(j);
    json_object_end(j);
}

static int answer_detail(const struct http_detail *m, const struct service_value *v,
                         struct api_call *call, struct fail *fail)
{
    struct span grouped = service_name_grouped(&m->service, &call->arena);
    if (!v || v->count == 0) {
        return fail_set_codes(fail, E_NOT_FOUND, 0, V2_RESOURCE_NOT_FOUND,
                              "no ips found for cluster %.*s in service %.*s",
                              SPAN_ARG(m->address.cluster), SPAN_ARG(grouped));
    }
    const struct instance *i = find_instance(v, &m->address);
    if (!i) {
        return fail_set_codes(fail, E_NOT_FOUND, 0, V2_RESOURCE_NOT_FOUND, "no matched ip found!");
    }
    struct json_out j;
    json_init(&j, 256);
    json_bytes(&j, head_of(m->version));
    write_detail(&j, i, grouped, m->version);
    json_bytes(&j, tail_of(m->version));
    api_answer_json(call, &j);
    json_close(&j);
    return API_ANSWERED;
}

HTTP_READ(http_read_detail)
{
    const struct http_detail *m = call->msg;
    char key[VIEW_KEY_MAX];
    struct view_value *value = NULL;
    int64_t stamp = 0;
    enum view_take took =
        view_take(self, service_name_key(&m->service, key), now.wall_ms, &value, &stamp);
    if (took == VIEW_STALE) {
        return API_TO_CORE;
    }
    const struct service_value *v =
        value ? CONTAINER_OF(value, struct service_value, base) : (struct service_value *)NULL;
    int next = answer_detail(m, v, call, fail);
    view_value_unref(value);
    return next;
}

HTTP_ADMIT(http_admit_detail)
{
    const struct http_detail *m = call->msg;
    struct naming *n = self;
    (void)out;
    struct service *s = service_find(n, &m->service);
    const struct service_value *v = s ? service_refresh(n, s, now) : NULL;
    return answer_detail(m, v, call, fail);
}
