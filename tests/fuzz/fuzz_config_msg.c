/* Requests of the configuration centre over gRPC: decoded, a publish also checked, a listen also
 * answered.
 *
 * Input: one byte that chooses the request type, then its JSON body. */
#include "fuzz.h"

#include "api/row.h"
#include "config/config_msg.h"
#include "wire/json_in.h"

static const api_decode_rpc_fn decoders[] = {
    config_msg_decode_query,
    config_msg_decode_publish,
    config_msg_decode_remove,
    config_msg_decode_listen,
};

static void check_key(const struct config_key *key)
{
    fuzz_touch(key->tenant);
    fuzz_touch(key->group);
    fuzz_touch(key->data_id);
    REQUIRE(config_key_check(key, false, NULL) == 0);
    REQUIRE(span_eq(config_tenant(key->tenant), key->tenant));
    char text[VIEW_KEY_MAX];
    fuzz_touch(config_key_view(key, text));
}

/* What the checks let through is what the log takes. */
static void check_publish(struct config_msg_publish *m, struct arena *arena)
{
    struct fail fail = {0};
    int err = config_form_check(&m->form, 10485760, arena, &m->publish, &fail);
    if (err) {
        (void)config_msg_refused(err, &fail);
        fuzz_check_fail(err, &fail);
        return;
    }
    check_key(&m->publish.key);
    struct config_op op = {
        .kind = CONFIG_OP_PUBLISH, .publish = &m->publish, .publish_count = 1, .time_ms = 1};
    REQUIRE(config_op_check(&op, &fail) == 0);
}

static void check_listen(struct api_call *call, struct listen_request *m)
{
    REQUIRE(m->count <= LISTEN_CONTEXTS_MAX);
    for (size_t i = 0; i < m->count; i++) {
        check_key(&m->list[i].key);
        fuzz_touch(m->list[i].tenant_as_sent);
        fuzz_touch(m->list[i].md5);
        m->changed[i] = true;
    }
    config_msg_answer_listen(call, m);
    size_t len = body_len(&call->reply.body);
    char *text = malloc(len);
    REQUIRE(text != NULL);
    body_copy(&call->reply.body, text);
    struct cJSON *doc = NULL;
    struct fail fail = {0};
    REQUIRE(json_in_object(span_of(text, len), &doc, &fail) == 0 || fail.code == E_TOO_LARGE);
    json_in_free(doc);
    free(text);
    body_close(&call->reply.body);
}

static void check_message(api_decode_rpc_fn decode, struct api_call *call)
{
    if (decode == config_msg_decode_query) {
        const struct config_msg_query *m = call->msg;
        check_key(&m->key);
        fuzz_touch(m->tag);
    } else if (decode == config_msg_decode_publish) {
        check_publish(call->msg, &call->arena);
    } else if (decode == config_msg_decode_remove) {
        const struct config_msg_remove *m = call->msg;
        check_key(&m->key);
        fuzz_touch(m->gray);
    } else {
        check_listen(call, call->msg);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = span_of((const char *)data, size);
    api_decode_rpc_fn decode = decoders[fuzz_byte(&body) % ARRAY_LEN(decoders)];
    struct api_call call = {0};
    arena_init(&call.arena, API_ARENA_MAX);
    struct fail fail = {0};
    int err = decode(&call, body, &fail);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_INVALID || err == E_PARAM || err == E_TOO_LARGE);
        fuzz_check_fail(err, &fail);
    } else {
        check_message(decode, &call);
    }
    arena_close(&call.arena);
    return 0;
}
