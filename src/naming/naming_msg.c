#include "naming/naming_msg.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "base/json_out.h"
#include "naming/state.h"
#include "wire/json_in.h"
#include "wire/response.h"

#define TYPE_REGISTER "registerInstance"
#define TYPE_DEREGISTER "deregisterInstance"
#define TYPE_BATCH_REGISTER "batchRegisterInstance"

/* gRPC's form of a failed parameter check. */
static int param_failed(int err, struct fail *fail)
{
    if (err != E_PARAM) {
        return err;
    }
    char text[FAIL_TEXT_MAX];
    memcpy(text, fail->text, sizeof(text));
    return fail_set(fail, E_PARAM, "Param check invalid:%.*s", FAIL_TEXT_MAX - 32, text);
}

/* namespace, groupName, serviceName, as they are. Unchecked. DIFF(blank-namespace): "" is public.
 */
static int decode_name(const struct cJSON *doc, struct arena *arena, struct service_name *ret,
                       struct fail *fail)
{
    struct span namespace_id = {0};
    struct span group = {0};
    struct span name = {0};
    int err = json_in_str(doc, "namespace", arena, &namespace_id, fail);
    if (!err) {
        err = json_in_str(doc, "groupName", arena, &group, fail);
    }
    if (!err) {
        err = json_in_str(doc, "serviceName", arena, &name, fail);
    }
    if (!err) {
        *ret = (struct service_name){
            .namespace_id = span_empty(namespace_id) ? SPAN("public") : namespace_id,
            .group = group,
            .name = name,
        };
    }
    return err;
}

static int decode_checked_name(const struct cJSON *doc, struct arena *arena,
                               struct service_name *ret, struct fail *fail)
{
    int err = decode_name(doc, arena, ret, fail);
    return err ? err : param_failed(name_check(ret, fail), fail);
}

/* The scalar fields of an instance. */
static int decode_instance_fields(const struct cJSON *obj, struct arena *arena,
                                  struct instance_data *i, struct fail *fail)
{
    int err = json_in_str(obj, "ip", arena, &i->ip, fail);
    if (!err) {
        err = json_in_str(obj, "instanceId", arena, &i->instance_id, fail);
    }
    if (!err) {
        err = json_in_str(obj, "serviceName", arena, &i->service_name, fail);
    }
    if (!err) {
        err = json_in_str(obj, "clusterName", arena, &i->cluster, fail);
    }
    if (!err) {
        err = json_in_int(obj, "port", INT32_MIN, INT32_MAX, &i->port, fail);
    }
    if (!err) {
        err = json_in_double(obj, "weight", &i->weight, fail);
    }
    if (!err) {
        err = json_in_bool(obj, "healthy", &i->healthy, fail);
    }
    if (!err) {
        err = json_in_bool(obj, "enabled", &i->enabled, fail);
    }
    return err;
}

static int arena_full(struct fail *fail)
{
    return fail_set(fail, E_TOO_LARGE, "the request takes more memory than it may");
}

static int decode_metadata(const struct cJSON *obj, struct arena *arena, struct instance_data *i,
                           struct fail *fail)
{
    struct json_pair *pairs = NULL;
    size_t count = 0;
    int err = json_in_pairs(json_in_get(obj, "metadata"), INSTANCE_METADATA_MAX, arena, &pairs,
                            &count, fail);
    if (err == E_LIMIT) {
        return param_failed(name_refuse_metadata(fail), fail);
    }
    if (err) {
        return err;
    }
    struct instance_pair *copy = arena_try(arena, (count + 1) * sizeof(*copy));
    if (!copy) {
        return arena_full(fail);
    }
    for (size_t n = 0; n < count; n++) {
        copy[n] = (struct instance_pair){pairs[n].key, pairs[n].value};
    }
    i->metadata = copy;
    i->metadata_count = count;
    return 0;
}

/* Nacos makes the id before it fills in the default cluster: "...#null#..." when none came. */
static int make_id(struct instance_data *i, struct span grouped, struct arena *arena,
                   struct fail *fail)
{
    /* A batch has thousands of these, so they count against what input may take. */
    if (arena->used > arena->max || arena->max - arena->used < NAME_INSTANCE_ID_MAX) {
        return arena_full(fail);
    }
    i->instance_id = instance_id_simple(i, i->cluster, grouped, arena);
    return 0;
}

/* One instance of the service grouped: fields, checks, the generated id, the default cluster.
 * in_batch: Nacos looks at the service name inside an instance only there (grpc-sdk.md 5.1). */
static int decode_instance(const struct cJSON *obj, struct span grouped, bool in_batch,
                           struct arena *arena, struct instance_data *ret, struct fail *fail)
{
    struct instance_data i = {.weight = 1.0, .healthy = true, .enabled = true, .ephemeral = true};
    int err = decode_instance_fields(obj, arena, &i, fail);
    if (!err) {
        err = decode_metadata(obj, arena, &i, fail);
    }
    if (!err) {
        i.service_name = in_batch ? i.service_name : (struct span){0};
        err = param_failed(name_check_instance(&i, fail), fail);
    }
    if (!err && span_empty(i.instance_id)) {
        err = make_id(&i, grouped, arena, fail);
    }
    if (err) {
        return err;
    }
    if (span_empty(i.cluster)) {
        i.cluster = SPAN("DEFAULT");
    }
    *ret = i;
    return 0;
}

/* registerInstance or deregisterInstance. */
static int decode_type(const struct cJSON *doc, struct arena *arena, struct msg_instances *m,
                       struct fail *fail)
{
    struct span type = {0};
    int err = json_in_str(doc, "type", arena, &type, fail);
    if (err) {
        return err;
    }
    m->deregister = span_eq(type, SPAN(TYPE_DEREGISTER));
    m->type = m->deregister ? TYPE_DEREGISTER : TYPE_REGISTER;
    if (!m->deregister && !span_eq(type, SPAN(TYPE_REGISTER))) {
        return fail_set(fail, E_INVALID, "Unsupported request type %.*s", SPAN_ARG(type));
    }
    return 0;
}

static int decode_single(const struct cJSON *doc, bool ephemeral, struct arena *arena,
                         struct msg_instances *m, struct fail *fail)
{
    int err = decode_checked_name(doc, arena, &m->service, fail);
    if (err) {
        return err;
    }
    const struct cJSON *obj = json_in_get(doc, "instance");
    if (obj && !cJSON_IsObject(obj)) {
        return fail_set(fail, E_PARSE, "field 'instance': expected an object");
    }
    struct instance_data *one = arena_alloc(arena, sizeof(*one));
    if (obj) {
        struct span grouped = service_name_grouped(&m->service, arena);
        err = decode_instance(obj, grouped, false, arena, one, fail);
        if (err) {
            return err;
        }
        one->ephemeral = ephemeral;
        m->list = one;
        m->count = 1;
    }
    err = decode_type(doc, arena, m, fail);
    if (!err && !obj && !m->deregister) {
        err = fail_set(fail, E_INVALID, "Instance can not be null.");
    }
    return err;
}

/* What all decoders do around their own part. */
typedef int (*decode_fn)(const struct cJSON *doc, struct arena *arena, void *msg,
                         struct fail *fail);

static int decode_with(struct api_call *call, struct span body, size_t size, decode_fn decode,
                       struct fail *fail)
{
    struct cJSON *doc = NULL;
    int err = json_in_object(body, &doc, fail);
    if (err) {
        return err;
    }
    call->msg = arena_alloc(&call->arena, size);
    err = decode(doc, &call->arena, call->msg, fail);
    json_in_free(doc);
    return err;
}

static int decode_ephemeral(const struct cJSON *doc, struct arena *arena, void *msg,
                            struct fail *fail)
{
    return decode_single(doc, true, arena, msg, fail);
}

int msg_decode_instance(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct msg_instances), decode_ephemeral, fail);
}

static int decode_persistent(const struct cJSON *doc, struct arena *arena, void *msg,
                             struct fail *fail)
{
    struct msg_instances *m = msg;
    int err = decode_single(doc, false, arena, m, fail);
    if (!err && m->count == 0) {
        /* A persistent instance is named by its address: without one there is nothing to remove. */
        err = fail_set(fail, E_INVALID, "Instance can not be null.");
    }
    return err;
}

int msg_decode_persistent(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct msg_instances), decode_persistent, fail);
}

static int decode_batch(const struct cJSON *doc, struct arena *arena, void *msg, struct fail *fail)
{
    struct msg_instances *m = msg;
    int err = decode_checked_name(doc, arena, &m->service, fail);
    if (err) {
        return err;
    }
    struct span type = {0};
    err = json_in_str(doc, "type", arena, &type, fail);
    if (err) {
        return err;
    }
    const struct cJSON *array = json_in_get(doc, "instances");
    if (array && !cJSON_IsArray(array)) {
        return fail_set(fail, E_PARSE, "field 'instances': expected an array");
    }
    int size = array ? cJSON_GetArraySize(array) : 0;
    if (size > INSTANCE_BATCH_MAX) {
        return fail_set(fail, E_TOO_LARGE, "field 'instances': at most %d, got %d",
                        INSTANCE_BATCH_MAX, size);
    }
    struct instance_data *list = arena_try(arena, ((size_t)size + 1) * sizeof(*list));
    if (!list) {
        return arena_full(fail);
    }
    struct span grouped = service_name_grouped(&m->service, arena);
    const struct cJSON *obj = NULL;
    cJSON_ArrayForEach(obj, array)
    {
        if (!cJSON_IsObject(obj)) {
            return fail_set(fail, E_PARSE, "field 'instances': element %zu is no object", m->count);
        }
        err = decode_instance(obj, grouped, true, arena, &list[m->count], fail);
        if (err) {
            return err;
        }
        m->count++;
    }
    if (!span_eq(type, SPAN(TYPE_BATCH_REGISTER))) {
        return fail_set(fail, E_INVALID, "Unsupported request type %.*s", SPAN_ARG(type));
    }
    m->list = list;
    m->type = TYPE_BATCH_REGISTER;
    return 0;
}

int msg_decode_batch(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct msg_instances), decode_batch, fail);
}

static int decode_query(const struct cJSON *doc, struct arena *arena, void *msg, struct fail *fail)
{
    struct msg_query *m = msg;
    int err = decode_checked_name(doc, arena, &m->service, fail);
    if (!err) {
        /* Go before 2.2.0 says "clusters". */
        err = json_in_str(doc, "clusters", arena, &m->query.clusters, fail);
    }
    if (!err) {
        err = json_in_str(doc, "cluster", arena, &m->query.clusters, fail);
    }
    if (!err) {
        err = json_in_bool(doc, "healthyOnly", &m->query.healthy_only, fail);
    }
    return err ? err : param_failed(name_check_clusters(m->query.clusters, fail), fail);
}

int msg_decode_query(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct msg_query), decode_query, fail);
}

static int decode_subscribe(const struct cJSON *doc, struct arena *arena, void *msg,
                            struct fail *fail)
{
    struct msg_subscribe *m = msg;
    int err = decode_checked_name(doc, arena, &m->service, fail);
    if (!err) {
        err = json_in_str(doc, "clusters", arena, &m->clusters, fail);
    }
    if (!err) {
        err = json_in_bool(doc, "subscribe", &m->subscribe, fail);
    }
    return err ? err : param_failed(name_check_clusters(m->clusters, fail), fail);
}

int msg_decode_subscribe(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct msg_subscribe), decode_subscribe, fail);
}

static int decode_list(const struct cJSON *doc, struct arena *arena, void *msg, struct fail *fail)
{
    struct msg_list *m = msg;
    struct service_name name = {0};
    int err = decode_name(doc, arena, &name, fail);
    if (!err) {
        err = json_in_int(doc, "pageNo", INT32_MIN, INT32_MAX, &m->page_no, fail);
    }
    if (!err) {
        err = json_in_int(doc, "pageSize", INT32_MIN, INT32_MAX, &m->page_size, fail);
    }
    if (err) {
        return err;
    }
    m->namespace_id = name.namespace_id;
    m->group = span_empty(name.group) ? SPAN("DEFAULT_GROUP") : name.group;
    /* The name is not used; a valid one stands in, so that namespace and group are checked. */
    name.group = m->group;
    name.name = SPAN("x");
    return param_failed(name_check(&name, fail), fail);
}

int msg_decode_list(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct msg_list), decode_list, fail);
}

void msg_answer_type(struct api_call *call, const char *type)
{
    struct json_out j;
    json_init(&j, 128);
    response_begin(&j, NULL);
    json_kstr(&j, "type", span_str(type));
    response_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
}

void msg_page(const struct msg_list *page, size_t count, size_t *ret_from, size_t *ret_to)
{
    uint64_t size = page->page_size > 0 ? (uint64_t)page->page_size : 0;
    uint64_t no = page->page_no > 1 ? (uint64_t)page->page_no - 1 : 0;
    /* Both are below 2^31, so the product fits. */
    uint64_t from = no * size < count ? no * size : count;
    uint64_t to = from + size < count ? from + size : count;
    *ret_from = (size_t)from;
    *ret_to = (size_t)to;
}

void msg_answer_list(struct api_call *call, struct service *const *sorted, size_t count,
                     const struct msg_list *page)
{
    size_t from = 0;
    size_t to = 0;
    msg_page(page, count, &from, &to);
    struct json_out j;
    json_init(&j, 256);
    response_begin(&j, NULL);
    json_kint(&j, "count", (int64_t)count);
    json_key(&j, "serviceNames");
    json_array(&j);
    for (size_t i = from; i < to; i++) {
        json_str(&j, sorted[i]->name.name);
    }
    json_array_end(&j);
    response_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
}
