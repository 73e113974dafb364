#include "naming/naming_form.h"

#include "api/v2_codes.h"
#include "wire/json_in.h"

int form_require(const struct api_params *p, enum form_version version, const char *name,
                 const char *type, struct span *ret, struct fail *fail)
{
    struct span v = span_trim(params_get(p, name));
    if (!span_empty(v)) {
        *ret = v;
        return 0;
    }
    switch (version) {
    case FORM_V1:
        return params_require(p, name, ret, fail);
    case FORM_V1_DECLARED:
        return fail_set(fail, E_MISSING, "Parameter '%s' is missing", name);
    case FORM_V2:
        return fail_set_codes(fail, E_MISSING, 0, V2_PARAMETER_MISSING,
                              "Required parameter '%s' type %s is not present", name, type);
    case FORM_V2_DECLARED:
        break;
    }
    return fail_set_codes(
        fail, E_MISSING, 0, V2_PARAMETER_MISSING,
        "Required request parameter '%s' for method parameter type %s is not present", name, type);
}

int form_name(const struct api_params *p, enum form_version version, struct service_name *ret,
              struct fail *fail)
{
    struct span service = {0};
    int err = form_require(p, version, "serviceName", "String", &service, fail);
    if (err) {
        return err;
    }
    struct span group = span_trim(params_or(p, "groupName", SPAN("DEFAULT_GROUP")));
    struct span namespace_id = span_trim(params_or(p, "namespaceId", SPAN("public")));
    /* DIFF(grouped-name-v2): Nacos splits G@@S in v1 only. */
    service_name_fill(ret, namespace_id, group, service, true);
    if (span_empty(ret->name) || span_empty(ret->group)) {
        /* "G@@" and "@@S". DIFF(name-filter-error): Nacos answers its container's JSON here. */
        return fail_set_codes(fail, E_INVALID, 0, V2_PARAMETER_VALIDATE_ERROR,
                              "Param 'serviceName' is illegal, it should be format as "
                              "'groupName@@serviceName'");
    }
    return name_check(ret, fail);
}

#define PORT_TEXT "Param 'port' is illegal, the value should be between 0 and 65535."

int form_address(const struct api_params *p, enum form_version version, struct instance_data *ret,
                 struct fail *fail)
{
    struct instance_data i = {.weight = 1.0, .healthy = true, .enabled = true, .ephemeral = true};
    struct span port = {0};
    int err = form_require(p, version, "ip", "String", &i.ip, fail);
    if (!err) {
        err = form_require(p, version, "port", "Integer", &port, fail);
    }
    if (err) {
        return err;
    }
    long long n = 0;
    if (!span_int(port, &n) || n < 0 || n > UINT16_MAX) {
        return fail_set(fail, E_PARAM, PORT_TEXT);
    }
    i.port = n;
    struct span cluster = span_trim(params_or(p, "cluster", SPAN("DEFAULT")));
    i.cluster = span_trim(params_or(p, "clusterName", cluster));
    *ret = i;
    return name_check_instance(ret, fail);
}

/* DIFF(metadata-error): Nacos fails with 500 in its filter. */
static int bad_metadata(struct span text, struct fail *fail)
{
    return fail_set_codes(fail, E_INVALID, 0, V2_INSTANCE_METADATA_ERROR,
                          "metadata format incorrect:%.*s", SPAN_ARG(text));
}

/* The pair that has this key already, or the next free one. */
static struct instance_pair *pair_slot(struct instance_pair *pairs, size_t *count, struct span key)
{
    for (size_t i = 0; i < *count; i++) {
        if (span_eq(pairs[i].key, key)) {
            return &pairs[i];
        }
    }
    return &pairs[(*count)++];
}

/* "k=v,k=v" as 1.x scripts write it. */
static int metadata_pairs(struct span text, struct arena *arena,
                          const struct instance_pair **ret_pairs, size_t *ret_count,
                          struct fail *fail)
{
    size_t commas = 0;
    for (size_t i = 0; i < text.len; i++) {
        commas += text.data[i] == ',';
    }
    if (commas >= INSTANCE_METADATA_MAX) {
        return fail_set_codes(fail, E_INVALID, 0, V2_INSTANCE_METADATA_ERROR,
                              "metadata: at most %d pairs", INSTANCE_METADATA_MAX);
    }
    struct instance_pair *pairs = arena_alloc(arena, (commas + 1) * sizeof(*pairs));
    size_t count = 0;
    struct span rest = text;
    while (!span_empty(rest)) {
        struct span value = span_cut(&rest, ',');
        struct span whole = value;
        struct span key = span_trim(span_cut(&value, '='));
        if (key.len == whole.len || span_empty(key)) {
            return bad_metadata(text, fail);
        }
        *pair_slot(pairs, &count, key) = (struct instance_pair){key, span_trim(value)};
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return 0;
}

static int metadata_json(struct span text, struct arena *arena,
                         const struct instance_pair **ret_pairs, size_t *ret_count,
                         struct fail *fail)
{
    struct cJSON *doc = NULL;
    struct json_pair *list = NULL;
    size_t count = 0;
    int err = json_in_object(text, &doc, NULL);
    if (!err) {
        err = json_in_pairs(doc, INSTANCE_METADATA_MAX, arena, &list, &count, NULL);
    }
    json_in_free(doc);
    if (err) {
        return bad_metadata(text, fail);
    }
    struct instance_pair *pairs = arena_alloc(arena, (count + 1) * sizeof(*pairs));
    for (size_t i = 0; i < count; i++) {
        pairs[i] = (struct instance_pair){list[i].key, list[i].value};
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return 0;
}

int form_metadata(struct span text, struct arena *arena, const struct instance_pair **ret_pairs,
                  size_t *ret_count, struct fail *fail)
{
    text = span_trim(text);
    *ret_pairs = NULL;
    *ret_count = 0;
    if (span_empty(text)) {
        return 0;
    }
    return text.data[0] == '{' ? metadata_json(text, arena, ret_pairs, ret_count, fail)
                               : metadata_pairs(text, arena, ret_pairs, ret_count, fail);
}

int form_instance(const struct api_params *p, enum form_version version, struct arena *arena,
                  struct instance_data *ret, struct fail *fail)
{
    int err = form_address(p, version, ret, fail);
    if (!err) {
        /* DIFF(number-error): Nacos fails with 500 in v2. */
        err = params_double(p, "weight", &ret->weight, fail);
    }
    if (!err) {
        err = form_metadata(params_get(p, "metadata"), arena, &ret->metadata, &ret->metadata_count,
                            fail);
    }
    if (err) {
        return err;
    }
    params_bool(p, "enable", &ret->enabled);
    params_bool(p, "enabled", &ret->enabled);
    params_bool(p, "healthy", &ret->healthy);
    params_bool(p, "ephemeral", &ret->ephemeral);
    return name_check_instance(ret, fail);
}

void form_answer_ok(struct api_call *call, enum form_version version)
{
    if (!form_is_v2(version)) {
        api_answer_text(call, SPAN("ok"));
        return;
    }
    api_answer_text(call, SPAN(V2_HEAD "\"ok\"" V2_TAIL));
}
