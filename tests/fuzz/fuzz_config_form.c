/* A config's HTTP parameters: keys, publishes with their checks, readers and actors.
 *
 * Input: the headers casMd5, betaIps, X-Forwarded-For and Vipserver-Tag, a line each, then a form.
 */
#include "fuzz.h"

#include "api/call.h"
#include "base/utf8.h"
#include "config/config_form.h"
#include "config/config_op.h"
#include "http/form.h"

#define HEADERS 4

static void check_key(const struct config_key *key)
{
    char text[VIEW_KEY_MAX];
    REQUIRE(!span_empty(key->data_id) && key->data_id.len <= CONFIG_DATA_ID_MAX);
    REQUIRE(!span_empty(key->group) && key->group.len <= CONFIG_GROUP_MAX);
    REQUIRE(key->tenant.len <= CONFIG_TENANT_MAX);
    REQUIRE(!span_ieq(key->tenant, SPAN("public")));
    REQUIRE(config_key_view(key, text).len <= VIEW_KEY_MAX);
}

/* What passed the checks is taken by the log's codec, and comes back from it. */
static void check_publish(const struct config_publish *p, struct arena *arena)
{
    check_key(&p->key);
    REQUIRE(!span_empty(p->content));
    REQUIRE(utf8_valid(p->content.data, p->content.len));
    REQUIRE(span_empty(p->gray_name) == span_empty(p->gray_rule));
    struct config_op op = {
        .kind = CONFIG_OP_PUBLISH, .time_ms = 1, .publish = p, .publish_count = 1};
    struct fail fail = {0};
    REQUIRE(config_op_check(&op, &fail) == 0);
    struct buf *packed = config_op_encode(&op);
    struct config_op again = {0};
    REQUIRE(config_op_decode(buf_span(packed), arena, &again, &fail) == 0);
    REQUIRE(again.publish_count == 1);
    REQUIRE(span_eq(again.publish->content, p->content));
    REQUIRE(span_eq(again.publish->gray_name, p->gray_name));
    REQUIRE(config_key_eq(&again.publish->key, &p->key));
    buf_unref(packed);
}

static void play(struct api_call *call, const struct api_params *p, enum config_form_style style)
{
    struct fail fail = {0};
    struct config_key key = {0};
    int err = config_form_key(p, style, &key, &fail);
    if (err) {
        REQUIRE(err == E_PARAM || err == E_INVALID || err == E_MISSING);
        fuzz_check_fail(err, &fail);
    } else {
        check_key(&key);
    }
    struct span tag = {0};
    if (config_form_tag(p, &tag, &fail) == 0) {
        REQUIRE(tag.len <= 16);
    }
    struct config_reader reader = config_form_reader(call, p, tag);
    fuzz_touch(reader.client_ip);
    fuzz_touch(reader.auto_tag);
    REQUIRE(reader.client_ip.len <= CONFIG_FORM_IP_MAX);
    struct config_actor who = config_form_actor(call, p, style);
    fuzz_touch(who.user);
    struct config_form form = {0};
    struct config_publish publish = {0};
    err = config_form_publish(p, style, &form, &fail);
    if (!err) {
        err = config_form_refused(config_form_check(&form, 1000, &call->arena, &publish, &fail),
                                  &fail);
        REQUIRE(err != E_INVALID || fail.nacos == 0);
    }
    if (err) {
        fuzz_check_fail(err, &fail);
    } else {
        check_publish(&publish, &call->arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct span names[HEADERS] = {
        {"casmd5", 6}, {"betaips", 7}, {"x-forwarded-for", 15}, {"vipserver-tag", 13}};
    struct api_call call = {0};
    arena_init(&call.arena, API_ARENA_MAX);
    call.caller.remote_ip = SPAN("127.0.0.1");
    struct span text = span_of((const char *)data, size);
    struct api_param headers[HEADERS];
    for (size_t i = 0; i < HEADERS; i++) {
        headers[i] = (struct api_param){names[i], fuzz_cut(&text, '\n')};
    }
    struct form form;
    form_init(&form, &call.arena, text, (struct span){0});
    char *copy = arena_str(&call.arena, text);
    if (form_add(&form, copy, text.len, NULL) == 0) {
        struct api_params p = {
            .list = form.list, .count = form.count, .headers = headers, .headers_count = HEADERS};
        play(&call, &p, CONFIG_FORM_V1);
        play(&call, &p, CONFIG_FORM_V2);
        play(&call, &p, CONFIG_FORM_V2_DECLARED);
    }
    arena_close(&call.arena);
    return 0;
}
