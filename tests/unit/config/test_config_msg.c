#include "config/config_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct api_call call;
static struct fail fail;

static int setup(void **state)
{
    (void)state;
    call = (struct api_call){0};
    arena_init(&call.arena, API_ARENA_MAX);
    fail = (struct fail){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    body_close(&call.reply.body);
    arena_close(&call.arena);
    return 0;
}

static void expect(struct span s, const char *text)
{
    assert_true(span_eq(s, span_str(text)));
}

static void refuse(api_decode_rpc_fn decode, const char *json, int err, const char *text)
{
    fail = (struct fail){0};
    assert_int_equal(decode(&call, span_str(json), &fail), err);
    if (!strstr(fail.text, text)) {
        fail_msg("got: %s", fail.text);
    }
}

static const char *answer(void)
{
    static char text[1024];
    memset(text, 0, sizeof(text));
    assert_true(body_len(&call.reply.body) < sizeof(text));
    body_copy(&call.reply.body, text);
    return text;
}

/* grpc-sdk.md 8.2: F01, F02. */
static void test_query__java_and_go(void **state)
{
    (void)state;
    const char *const bodies[] = {
        "{\"headers\":{},\"dataId\":\"app.yaml\",\"group\":\"DEFAULT_GROUP\",\"tenant\":\"\","
        "\"notify\":false,\"module\":\"config\"}",
        "{\"requestId\":\"\",\"group\":\"DEFAULT_GROUP\",\"dataId\":\"app.yaml\",\"tenant\":\"\","
        "\"module\":\"config\",\"tag\":\"\"}",
    };
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(config_msg_decode_query(&call, span_str(bodies[i]), &fail), 0);
        const struct config_msg_query *m = call.msg;
        expect(m->key.data_id, "app.yaml");
        expect(m->key.group, "DEFAULT_GROUP");
        expect(m->key.tenant, "");
        expect(m->tag, "");
    }
}

static void test_tenant__public_null_and_blank__are_the_default(void **state)
{
    (void)state;
    const char *const sent[] = {"\"public\"", "\"PUBLIC\"", "\"null\"", "\"\"", "\"  \"", "null"};
    for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
        char json[128];
        snprintf(json, sizeof(json), "{\"dataId\":\"d\",\"group\":\"g\",\"tenant\":%s}", sent[i]);
        assert_int_equal(config_msg_decode_query(&call, span_str(json), &fail), 0);
        expect(((const struct config_msg_query *)call.msg)->key.tenant, "");
        assert_int_equal(config_msg_decode_remove(&call, span_str(json), &fail), 0);
        expect(((const struct config_msg_remove *)call.msg)->key.tenant, "");
    }
}

/* golden grpc refused: the text and its prefix. */
static void test_key__illegal__is_said_as_the_filter_says_it(void **state)
{
    (void)state;
    refuse(config_msg_decode_query, "{\"dataId\":\"a b\",\"group\":\"g\"}", E_PARAM,
           "Param check invalid:Param 'dataId' is illegal, illegal characters should not appear in "
           "the param.");
    refuse(config_msg_decode_remove, "{\"dataId\":\"d\",\"group\":\"g g\"}", E_PARAM,
           "Param check invalid:Param 'group' is illegal");
    refuse(config_msg_decode_query, "{\"dataId\":\"d\",\"group\":\"g\",\"tenant\":\"a.b\"}",
           E_PARAM, "Param check invalid:Param 'namespaceId/tenant' is illegal");
    /* What is kept would be legal; what was sent is not, and could not be echoed. */
    refuse(config_msg_decode_query, "{\"dataId\":\"d\",\"group\":\"g\",\"tenant\":\" ns \"}",
           E_PARAM, "Param check invalid:Param 'namespaceId/tenant' is illegal");
    refuse(config_msg_decode_query, "{\"group\":\"g\"}", E_INVALID, "invalid dataId : ");
    refuse(config_msg_decode_remove, "{\"dataId\":\"d\",\"group\":\" \"}", E_INVALID,
           "invalid group : ");
    char json[400];
    snprintf(json, sizeof(json), "{\"dataId\":\"%0300d\",\"group\":\"g\"}", 0);
    refuse(config_msg_decode_query, json, E_PARAM, "the param length should not exceed 256.");
}

static void test_all__not_json_or_another_type__is_a_parse_error(void **state)
{
    (void)state;
    const api_decode_rpc_fn all[] = {config_msg_decode_query, config_msg_decode_publish,
                                     config_msg_decode_remove, config_msg_decode_listen};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        refuse(all[i], "", E_PARSE, "Invalid request");
        refuse(all[i], "[]", E_PARSE, "");
        refuse(all[i], "{", E_PARSE, "");
    }
    refuse(config_msg_decode_query, "{\"dataId\":{}}", E_PARSE, "'dataId'");
    refuse(config_msg_decode_query, "{\"dataId\":\"d\",\"group\":\"g\",\"tag\":[]}", E_PARSE,
           "'tag'");
    refuse(config_msg_decode_publish, "{\"content\":{}}", E_PARSE, "'content'");
    refuse(config_msg_decode_publish, "{\"additionMap\":[]}", E_PARSE, "'additionMap'");
    refuse(config_msg_decode_publish, "{\"additionMap\":{\"desc\":{}}}", E_PARSE, "'desc'");
    refuse(config_msg_decode_listen, "{\"listen\":\"maybe\"}", E_PARSE, "'listen'");
    refuse(config_msg_decode_listen, "{\"configListenContexts\":{}}", E_PARSE,
           "'configListenContexts': expected an array");
    refuse(config_msg_decode_listen, "{\"configListenContexts\":[1]}", E_PARSE,
           "element 0 is no object");
}

/* F09: Go says all of it, empty or not. */
static void test_publish__all_fields(void **state)
{
    (void)state;
    const char *json =
        "{\"dataId\":\"d\",\"group\":\"g\",\"tenant\":\"public\",\"content\":\"a\\u003cb\\n\","
        "\"casMd5\":\"x\",\"additionMap\":{\"appName\":\"app\",\"betaIps\":\"10.0.0.1\","
        "\"config_tags\":\"t1,t2\",\"encryptedDataKey\":\"k\",\"src_user\":\"me\",\"tag\":\"tg\","
        "\"type\":\"yaml\",\"desc\":\"de\",\"use\":\"u\",\"effect\":\"e\",\"schema\":\"s\","
        "\"unknown\":\"ignored\"}}";
    assert_int_equal(config_msg_decode_publish(&call, span_str(json), &fail), 0);
    const struct config_msg_publish *m = call.msg;
    expect(m->form.key.data_id, "d");
    expect(m->form.key.tenant, "public"); /* as sent: config_form_check keeps it */
    expect(m->form.content, "a<b\n");
    expect(m->form.cas_md5, "x");
    expect(m->form.app_name, "app");
    expect(m->form.beta_ips, "10.0.0.1");
    expect(m->form.tags, "t1,t2");
    expect(m->form.encrypted_key, "k");
    expect(m->src_user, "me");
    expect(m->form.tag, "tg");
    expect(m->form.type, "yaml");
    expect(m->form.desc, "de");
    expect(m->form.use, "u");
    expect(m->form.effect, "e");
    expect(m->form.schema, "s");
    assert_false(m->form.v2_names);
}

static void test_publish__not_sent_and_empty__are_two_things(void **state)
{
    (void)state;
    const char *json = "{\"dataId\":\"d\",\"group\":\"g\",\"content\":\"x\","
                       "\"additionMap\":{\"config_tags\":\"\",\"desc\":null}}";
    assert_int_equal(config_msg_decode_publish(&call, span_str(json), &fail), 0);
    const struct config_msg_publish *m = call.msg;
    assert_non_null(m->form.tags.data);
    assert_int_equal(m->form.tags.len, 0);
    assert_null(m->form.desc.data);
    assert_null(m->form.app_name.data);
    assert_null(m->form.cas_md5.data);
}

static void test_remove__tag_is_a_name_or_a_tag(void **state)
{
    (void)state;
    const char *json = "{\"dataId\":\"d\",\"group\":\"g\",\"tag\":\" tag_x \"}";
    assert_int_equal(config_msg_decode_remove(&call, span_str(json), &fail), 0);
    expect(((const struct config_msg_remove *)call.msg)->gray, "tag_x");
    json = "{\"dataId\":\"d\",\"group\":\"g\",\"tag\":null}";
    assert_int_equal(config_msg_decode_remove(&call, span_str(json), &fail), 0);
    expect(((const struct config_msg_remove *)call.msg)->gray, "");
}

/* R12: what is echoed is what was sent, absent stays absent. */
static void test_listen__keeps_each_spelling_and_echoes_it(void **state)
{
    (void)state;
    const char *json = "{\"listen\":true,\"configListenContexts\":["
                       "{\"group\":\"g\",\"md5\":\"m\",\"dataId\":\"d1\",\"tenant\":\"public\"},"
                       "{\"group\":\"g\",\"dataId\":\"d2\",\"tenant\":\"\"},"
                       "{\"group\":\"g\",\"md5\":null,\"dataId\":\"d3\"},"
                       "{\"group\":\"g\",\"md5\":\"m\",\"dataId\":\"d4\",\"tenant\":\"ns\"}]}";
    assert_int_equal(config_msg_decode_listen(&call, span_str(json), &fail), 0);
    const struct listen_request *m = call.msg;
    assert_true(m->listen);
    assert_int_equal(m->count, 4);
    expect(m->list[0].key.tenant, "");
    expect(m->list[0].tenant_as_sent, "public");
    expect(m->list[0].md5, "m");
    expect(m->list[1].md5, "");
    assert_non_null(m->list[1].tenant_as_sent.data);
    assert_null(m->list[2].tenant_as_sent.data);
    expect(m->list[3].key.tenant, "ns");
    memset(m->changed, true, 4);
    m->changed[3] = false;
    config_msg_answer_listen(&call, m);
    assert_string_equal(answer(), "{\"resultCode\":200,\"errorCode\":0,\"changedConfigs\":["
                                  "{\"group\":\"g\",\"dataId\":\"d1\",\"tenant\":\"public\"},"
                                  "{\"group\":\"g\",\"dataId\":\"d2\",\"tenant\":\"\"},"
                                  "{\"group\":\"g\",\"dataId\":\"d3\"}],\"success\":true}");
}

static void test_listen__defaults(void **state)
{
    (void)state;
    assert_int_equal(config_msg_decode_listen(&call, SPAN("{}"), &fail), 0);
    const struct listen_request *m = call.msg;
    assert_true(m->listen);
    assert_int_equal(m->count, 0);
    config_msg_answer_listen(&call, m);
    assert_string_equal(
        answer(), "{\"resultCode\":200,\"errorCode\":0,\"changedConfigs\":[],\"success\":true}");
    assert_int_equal(config_msg_decode_listen(&call, SPAN("{\"listen\":false}"), &fail), 0);
    assert_false(((const struct listen_request *)call.msg)->listen);
}

static void test_listen__one_bad_key__is_refused(void **state)
{
    (void)state;
    refuse(config_msg_decode_listen,
           "{\"configListenContexts\":[{\"dataId\":\"d\",\"group\":\"g\"},"
           "{\"dataId\":\"d d\",\"group\":\"g\"}]}",
           E_PARAM, "Param check invalid:Param 'dataId' is illegal");
}

static char *many(size_t count)
{
    const char *one = "{\"dataId\":\"d\",\"group\":\"g\",\"md5\":\"\",\"tenant\":\"\"},";
    char *json = malloc(count * strlen(one) + 64);
    assert_non_null(json);
    char *at = json + sprintf(json, "{\"configListenContexts\":[");
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "%s", one);
    }
    memcpy(at - 1, "]}", 3);
    return json;
}

static void test_listen__limit_of_entries(void **state)
{
    (void)state;
    char *json = many(LISTEN_CONTEXTS_MAX);
    assert_int_equal(config_msg_decode_listen(&call, span_str(json), &fail), 0);
    assert_int_equal(((const struct listen_request *)call.msg)->count, LISTEN_CONTEXTS_MAX);
    free(json);
    json = many(LISTEN_CONTEXTS_MAX + 1);
    refuse(config_msg_decode_listen, json, E_TOO_LARGE, "at most 10000, got 10001");
    free(json);
}

/* Input that fills the arena is refused, not fatal. */
static void test_listen__full_arena__is_too_large(void **state)
{
    (void)state;
    arena_close(&call.arena);
    arena_init(&call.arena, 1024);
    char *json = many(1000);
    refuse(config_msg_decode_listen, json, E_TOO_LARGE, "more memory than it may");
    free(json);
}

static void test_success__is_what_nacos_says(void **state)
{
    (void)state;
    config_msg_answer_success(&call);
    assert_string_equal(answer(), "{\"resultCode\":200,\"errorCode\":0,\"success\":true}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_query__java_and_go),
        TEST(test_tenant__public_null_and_blank__are_the_default),
        TEST(test_key__illegal__is_said_as_the_filter_says_it),
        TEST(test_all__not_json_or_another_type__is_a_parse_error),
        TEST(test_publish__all_fields),
        TEST(test_publish__not_sent_and_empty__are_two_things),
        TEST(test_remove__tag_is_a_name_or_a_tag),
        TEST(test_listen__keeps_each_spelling_and_echoes_it),
        TEST(test_listen__defaults),
        TEST(test_listen__one_bad_key__is_refused),
        TEST(test_listen__limit_of_entries),
        TEST(test_listen__full_arena__is_too_large),
        TEST(test_success__is_what_nacos_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
