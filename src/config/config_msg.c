#include "config/config_msg.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "base/json_out.h"
#include "wire/json_in.h"
#include "wire/response.h"

int config_msg_refused(int err, struct fail *fail)
{
    if (err != E_PARAM) {
        return err;
    }
    char text[FAIL_TEXT_MAX];
    memcpy(text, fail->text, sizeof(text));
    return fail_set(fail, E_PARAM, "Param check invalid:%.*s", FAIL_TEXT_MAX - 32, text);
}

static int arena_full(struct fail *fail)
{
    return fail_set(fail, E_TOO_LARGE, "the request takes more memory than it may");
}

/* A field of a table: its name and where its text goes. */
struct text_field {
    const char *name;
    struct span *ret;
};

static int decode_texts(const struct cJSON *obj, const struct text_field *fields, size_t count,
                        struct arena *arena, struct fail *fail)
{
    int err = 0;
    for (size_t n = 0; !err && n < count; n++) {
        err = json_in_str(obj, fields[n].name, arena, fields[n].ret, fail);
    }
    return err;
}

/* dataId, group, tenant, as they were sent. */
static int decode_raw_key(const struct cJSON *obj, struct arena *arena, struct config_key *ret,
                          struct fail *fail)
{
    const struct text_field fields[] = {
        {"dataId", &ret->data_id},
        {"group", &ret->group},
        {"tenant", &ret->tenant},
    };
    return decode_texts(obj, fields, ARRAY_LEN(fields), arena, fail);
}

/* Check the key as it was sent; then its tenant is the one that is kept. */
static int check_key(struct config_key *key, struct fail *fail)
{
    struct config_key checked = *key;
    if (span_empty(config_tenant(key->tenant))) {
        checked.tenant = SPAN(""); /* blank passes, as in Nacos */
    }
    int err = config_key_check(&checked, false, fail);
    key->tenant = config_tenant(key->tenant);
    return config_msg_refused(err, fail);
}

static int decode_key(const struct cJSON *obj, struct arena *arena, struct config_key *ret,
                      struct fail *fail)
{
    int err = decode_raw_key(obj, arena, ret, fail);
    return err ? err : check_key(ret, fail);
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

static int decode_query(const struct cJSON *doc, struct arena *arena, void *msg, struct fail *fail)
{
    struct config_msg_query *m = msg;
    int err = decode_key(doc, arena, &m->key, fail);
    return err ? err : json_in_str(doc, "tag", arena, &m->tag, fail);
}

int config_msg_decode_query(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct config_msg_query), decode_query, fail);
}

static int decode_additions(const struct cJSON *map, struct arena *arena,
                            struct config_msg_publish *m, struct fail *fail)
{
    struct config_form *form = &m->form;
    const struct text_field fields[] = {
        {"tag", &form->tag},
        {"betaIps", &form->beta_ips},
        {"appName", &form->app_name},
        {"type", &form->type},
        {"encryptedDataKey", &form->encrypted_key},
        {"src_user", &m->src_user},
        {"config_tags", &form->tags},
        {"desc", &form->desc},
        {"use", &form->use},
        {"effect", &form->effect},
        {"schema", &form->schema},
    };
    if (map && !cJSON_IsObject(map)) {
        return fail_set(fail, E_PARSE, "field 'additionMap': expected an object");
    }
    return decode_texts(map, fields, ARRAY_LEN(fields), arena, fail);
}

static int decode_publish(const struct cJSON *doc, struct arena *arena, void *msg,
                          struct fail *fail)
{
    struct config_msg_publish *m = msg;
    const struct text_field fields[] = {
        {"content", &m->form.content},
        {"casMd5", &m->form.cas_md5},
    };
    int err = decode_raw_key(doc, arena, &m->form.key, fail);
    if (!err) {
        err = decode_texts(doc, fields, ARRAY_LEN(fields), arena, fail);
    }
    return err ? err : decode_additions(json_in_get(doc, "additionMap"), arena, m, fail);
}

int config_msg_decode_publish(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct config_msg_publish), decode_publish, fail);
}

static int decode_remove(const struct cJSON *doc, struct arena *arena, void *msg, struct fail *fail)
{
    struct config_msg_remove *m = msg;
    int err = decode_key(doc, arena, &m->key, fail);
    if (!err) {
        err = json_in_str(doc, "tag", arena, &m->gray, fail);
    }
    m->gray = span_trim(m->gray);
    return err;
}

int config_msg_decode_remove(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct config_msg_remove), decode_remove, fail);
}

static int decode_context(const struct cJSON *obj, struct arena *arena, struct listen_context *ret,
                          struct fail *fail)
{
    int err = decode_raw_key(obj, arena, &ret->key, fail);
    ret->tenant_as_sent = ret->key.tenant;
    if (!err) {
        err = check_key(&ret->key, fail);
    }
    return err ? err : json_in_str(obj, "md5", arena, &ret->md5, fail);
}

static int decode_contexts(const struct cJSON *array, struct arena *arena, struct listen_request *m,
                           struct fail *fail)
{
    if (array && !cJSON_IsArray(array)) {
        return fail_set(fail, E_PARSE, "field 'configListenContexts': expected an array");
    }
    int size = array ? cJSON_GetArraySize(array) : 0;
    if (size > LISTEN_CONTEXTS_MAX) {
        return fail_set(fail, E_TOO_LARGE, "field 'configListenContexts': at most %d, got %d",
                        LISTEN_CONTEXTS_MAX, size);
    }
    struct listen_context *list = arena_try(arena, ((size_t)size + 1) * sizeof(*list));
    m->changed = arena_try(arena, (size_t)size + 1);
    if (!list || !m->changed) {
        return arena_full(fail);
    }
    m->list = list;
    const struct cJSON *obj = NULL;
    cJSON_ArrayForEach(obj, array)
    {
        if (!cJSON_IsObject(obj)) {
            return fail_set(fail, E_PARSE, "field 'configListenContexts': element %zu is no object",
                            m->count);
        }
        int err = decode_context(obj, arena, &list[m->count], fail);
        if (err) {
            return err;
        }
        m->count++;
    }
    return 0;
}

static int decode_listen(const struct cJSON *doc, struct arena *arena, void *msg, struct fail *fail)
{
    struct listen_request *m = msg;
    m->listen = true;
    int err = json_in_bool(doc, "listen", &m->listen, fail);
    if (err) {
        return err;
    }
    return decode_contexts(json_in_get(doc, "configListenContexts"), arena, m, fail);
}

int config_msg_decode_listen(struct api_call *call, struct span body, struct fail *fail)
{
    return decode_with(call, body, sizeof(struct listen_request), decode_listen, fail);
}

void config_msg_answer_success(struct api_call *call)
{
    struct json_out j;
    json_init(&j, 64);
    response_begin(&j, NULL);
    response_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
}

void config_msg_answer_listen(struct api_call *call, const struct listen_request *r)
{
    struct json_out j;
    json_init(&j, 256);
    response_begin(&j, NULL);
    json_key(&j, "changedConfigs");
    json_array(&j);
    for (size_t n = 0; n < r->count; n++) {
        if (!r->changed[n]) {
            continue;
        }
        const struct listen_context *context = &r->list[n];
        json_object(&j);
        json_kstr(&j, "group", context->key.group);
        json_kstr(&j, "dataId", context->key.data_id);
        if (context->tenant_as_sent.data) {
            json_kstr(&j, "tenant", context->tenant_as_sent);
        }
        json_object_end(&j);
    }
    json_array_end(&j);
    response_end(&j);
    api_answer_json(call, &j);
    json_close(&j);
}
