/* Long polls and who listens, as golden http/longpoll.jsonl. */
#include "config/config_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/listen.h"
#include "config_calls.h"

#define JSON1 "application/json;charset=UTF-8"
#define TEXT "text/plain;charset=UTF-8"
#define LISTENER "/v1/cs/configs/listener"
#define MD5_V1 "6654c734ccab8f440ff0825eb443dc7f"
#define MD5_V2 "1b267619c4812cc46ee281747884ca50"
#define LONG "long-pulling-timeout: 30000\n"
#define PROBE(data_id, md5) "Listening-Configs=" data_id "%02DEFAULT_GROUP%02" md5 "%01"
#define LP1 "dataId=lp-1&group=DEFAULT_GROUP"

static struct cstory story;

static int setup(void **state)
{
    (void)state;
    cstory_begin(&story, NULL);
    assert_int_equal(cstory_publish(&story, "lp-1", "v1"), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&story);
    return 0;
}

static struct http_request poll(const char *params, const char *headers)
{
    return (struct http_request){
        .method = API_POST, .path = LISTENER, .params = params, .headers = headers};
}

static struct http_request get(const char *path, const char *params)
{
    return (struct http_request){.method = API_GET, .path = path, .params = params};
}

static void expect_poll(const char *params, const char *headers, int status, const char *type,
                        const char *body)
{
    struct http_request r = poll(params, headers);
    http_expect(&story, &r, status, type, body);
}

static void expect_get(const char *path, const char *params, int status, const char *type,
                       const char *body)
{
    struct http_request r = get(path, params);
    http_expect(&story, &r, status, type, body);
}

static struct cstory_call *hold(const char *params, const char *headers)
{
    struct http_request r = poll(params, headers);
    struct cstory_call *call = http_begin(&story, &r);
    assert_non_null(call);
    return call;
}

static const char *body_of(const struct cstory_call *c)
{
    static char text[256];
    assert_true(c->answered);
    memset(text, 0, sizeof(text));
    assert_true(body_len(&c->call.reply.body) < sizeof(text));
    body_copy(&c->call.reply.body, text);
    return text;
}

static void test_poll__something_differs__at_once(void **state)
{
    (void)state;
    const char *changed = "lp-1%02DEFAULT_GROUP%01\n";
    expect_poll(PROBE("lp-1", "149603e6c03516362a8da23f624db945"), LONG, 200, JSON1, changed);
    expect_poll(PROBE("lp-1", ""), LONG, 200, JSON1, changed);
    expect_poll("Listening-Configs=lp-1%2502DEFAULT_GROUP%2502%2501", LONG, 200, JSON1, changed);
    expect_poll("Listening-Configs=lp-1%02DEFAULT_GROUP%02x%02no-such-ns%01", LONG, 200, JSON1,
                "lp-1%02DEFAULT_GROUP%02no-such-ns%01\n");
    expect_poll(PROBE("lp-1", MD5_V1) "lp-none%02DEFAULT_GROUP%02" MD5_V1 "%01", LONG, 200, JSON1,
                "lp-none%02DEFAULT_GROUP%01\n");
    struct http_request r = poll(PROBE("lp-1", ""), LONG);
    struct http_answer a = http_play(&story, &r);
    assert_string_equal(http_answer_header(&a, "Pragma"), "no-cache");
    assert_string_equal(http_answer_header(&a, "Expires"), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(http_answer_header(&a, "Cache-Control"), "no-cache,no-store");
    http_answer_close(&a);
}

static void test_poll__no_hangup__at_once(void **state)
{
    (void)state;
    expect_poll(PROBE("lp-1", MD5_V1), LONG "long-pulling-timeout-no-hangup: true\n", 200, JSON1,
                "");
    expect_poll(PROBE("lp-1", MD5_V2), LONG "long-pulling-timeout-no-hangup: true\n", 200, JSON1,
                "lp-1%02DEFAULT_GROUP%01\n");
}

static void test_short_poll__by_version__in_headers_or_body(void **state)
{
    (void)state;
    const char *const old[] = {NULL, "client-version: 2.0.3\n", "client-version: 1.4.2\n",
                               "client-version: Nacos-Java-Client:v1.4.2\n"};
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        struct http_request r = poll(PROBE("lp-1", ""), old[i]);
        struct http_answer a = http_play(&story, &r);
        assert_string_equal(a.text, "");
        assert_string_equal(http_answer_header(&a, "Probe-Modify-Response"), "lp-1:DEFAULT_GROUP;");
        assert_string_equal(http_answer_header(&a, "Probe-Modify-Response-New"),
                            "lp-1%02DEFAULT_GROUP%01");
        http_answer_close(&a);
    }
    const char *const newer[] = {"client-version: 2.0.4\n", "client-version: 3.8.13\n",
                                 "client-version: 999999.999999.999999\n"};
    for (size_t i = 0; i < ARRAY_LEN(newer); i++) {
        expect_poll(PROBE("lp-1", ""), newer[i], 200, JSON1, "lp-1%02DEFAULT_GROUP%01\n");
    }
}

static void test_poll__what_is_wrong__is_400(void **state)
{
    (void)state;
    expect_poll("", LONG, 400, TEXT, "caused: invalid probeModify;");
    expect_poll("Listening-Configs=%20", LONG, 400, TEXT, "caused: invalid probeModify;");
    expect_poll("Listening-Configs=garbage", LONG, 400, TEXT, "caused: invalid probeModify;");
    expect_poll("Listening-Configs=l%20p%02DEFAULT_GROUP%02%01", LONG, 400, JSON1,
                "Param 'dataId' is illegal, illegal characters should not appear in the "
                "param.\r\n");
    expect_poll(PROBE("lp-1", ""), "long-pulling-timeout: soon\n", 400, TEXT,
                "caused: For input string: \"soon\";");
}

static void test_held__change__is_answered(void **state)
{
    (void)state;
    struct cstory_call *held = hold(PROBE("lp-1", MD5_V1), LONG);
    cstory_advance(&story, 3000);
    assert_false(held->answered);
    assert_int_equal(cstory_publish(&story, "lp-1", "v2"), 0);
    assert_string_equal(body_of(held), "lp-1%02DEFAULT_GROUP%01\n");
    held = hold(PROBE("lp-1", MD5_V2), LONG);
    assert_int_equal(cstory_remove(&story, "lp-1", ""), 0);
    assert_string_equal(body_of(held), "lp-1%02DEFAULT_GROUP%01\n");
}

static void test_held__time__is_500_ms_less_and_ten_seconds_at_least(void **state)
{
    (void)state;
    struct cstory_call *usual = hold(PROBE("lp-1", MD5_V1), LONG);
    struct cstory_call *least = hold(PROBE("lp-1", MD5_V1), "long-pulling-timeout: -1\n");
    struct cstory_call *most =
        hold(PROBE("lp-1", MD5_V1), "long-pulling-timeout: 9223372036854775807\n");
    cstory_advance(&story, 9999);
    assert_false(least->answered);
    cstory_advance(&story, 1);
    assert_string_equal(body_of(least), "");
    cstory_advance(&story, 19499);
    assert_false(usual->answered);
    cstory_advance(&story, 1);
    assert_string_equal(body_of(usual), "");
    cstory_advance(&story, 300000 - 29500);
    assert_true(most->answered);
}

static void test_held__gray__is_chosen_by_address_and_header(void **state)
{
    (void)state;
    struct cstory_call *formal = hold(PROBE("lp-1", MD5_V1), LONG);
    struct cstory_call *beta =
        hold(PROBE("lp-1", MD5_V1), LONG "x-forwarded-for: 10.0.0.77, 10.0.0.1\n");
    struct cstory_call *tagged = hold(PROBE("lp-1", MD5_V1), LONG "vipserver-tag: canary\n");
    assert_int_equal(cstory_publish_beta(&story, "lp-1", "10.0.0.77", "beta"), 0);
    assert_true(beta->answered);
    assert_false(formal->answered);
    assert_false(tagged->answered);
    assert_int_equal(cstory_publish_tag(&story, "lp-1", "canary", "tag"), 0);
    assert_true(tagged->answered);
    assert_false(formal->answered);
}

static void listen(uint64_t conn, const char *ip, const char *tenant, const char *data_id)
{
    struct config_conn open = {.conn = conn, .id = SPAN("x"), .client_ip = span_str(ip)};
    config_conn_open(story.config, &open, story.now);
    struct listen_context context = {
        .key = {span_str(tenant), SPAN("DEFAULT_GROUP"), span_str(data_id)},
        .tenant_as_sent = span_str(tenant),
        .md5 = SPAN(MD5_V2),
    };
    bool changed = false;
    struct fail fail = {0};
    struct listen_request r = {conn, true, &context, 1, &changed};
    assert_int_equal(listen_batch(story.config, &r, story.now, &fail), 0);
}

#define STATUS(lines) "{\"collectStatus\":200,\"lisentersGroupkeyStatus\":{" lines "}}"
#define WATCH(lines) "{\"lisentersGroupkeyStatus\":{" lines "}}"

static void test_who__nobody(void **state)
{
    (void)state;
    expect_get(LISTENER, LP1, 200, JSON1, STATUS(""));
    expect_get(LISTENER, "dataId=none&group=DEFAULT_GROUP", 200, JSON1, STATUS(""));
    expect_get("/v1/cs/listener", "ip=10.9.9.9", 200, JSON1, STATUS(""));
    expect_get("/v1/cs/communication/configWatchers", LP1, 200, JSON1, WATCH(""));
    expect_get("/v1/cs/communication/watcherConfigs", "ip=10.9.9.9", 200, JSON1, WATCH(""));
}

static void test_who__polls_and_connections_of_a_config(void **state)
{
    (void)state;
    hold(PROBE("lp-1", MD5_V1), LONG);
    listen(1, "10.0.0.1", "", "lp-1");
    listen(2, "10.0.0.1", "", "lp-1"); /* one line for an address */
    const char *lines = "\"10.0.0.9\":\"" MD5_V1 "\",\"10.0.0.1\":\"" MD5_V2 "\"";
    char wanted[256];
    snprintf(wanted, sizeof(wanted), STATUS("%s"), lines);
    expect_get(LISTENER, LP1 "&tenant=public&sampleTime=3", 200, JSON1, wanted);
    snprintf(wanted, sizeof(wanted), WATCH("%s"), lines);
    expect_get("/v1/cs/communication/configWatchers", LP1, 200, JSON1, wanted);
}

static void test_who__configs_of_an_address__default_tenant_unless_asked(void **state)
{
    (void)state;
    hold(PROBE("lp-1", MD5_V1) "lp-2%02DEFAULT_GROUP%02%02ns1%01", LONG);
    listen(1, "10.0.0.9", "", "lp-3");
    listen(2, "10.0.0.8", "", "lp-4");
    expect_get(
        "/v1/cs/listener", "ip=10.0.0.9", 200, JSON1,
        STATUS("\"lp-1+DEFAULT_GROUP\":\"" MD5_V1 "\",\"lp-3+DEFAULT_GROUP\":\"" MD5_V2 "\""));
    const char *all =
        STATUS("\"lp-1+DEFAULT_GROUP\":\"" MD5_V1
               "\",\"lp-2+DEFAULT_GROUP+ns1\":\"\",\"lp-3+DEFAULT_GROUP\":\"" MD5_V2 "\"");
    expect_get("/v1/cs/listener", "ip=10.0.0.9&all=true", 200, JSON1, all);
    expect_get("/v1/cs/listener", "ip=10.0.0.9&tenant=ns1", 200, JSON1, all);
    expect_get("/v1/cs/communication/watcherConfigs", "ip=10.0.0.8", 200, JSON1,
               WATCH("\"lp-4+DEFAULT_GROUP\":\"" MD5_V2 "\""));
}

static void test_who__missing_parameter__is_nacos_500(void **state)
{
    (void)state;
    const char *no_id = "caused: Required request parameter &#39;dataId&#39; for method parameter "
                        "type String is not present;";
    const char *no_ip = "caused: Required request parameter &#39;ip&#39; for method parameter type "
                        "String is not present;";
    expect_get(LISTENER, "group=DEFAULT_GROUP", 500, TEXT, no_id);
    expect_get("/v1/cs/communication/configWatchers", "", 500, TEXT, no_id);
    expect_get("/v1/cs/listener", "", 500, TEXT, no_ip);
    expect_get("/v1/cs/communication/watcherConfigs", "", 500, TEXT, no_ip);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_poll__something_differs__at_once),
        TEST(test_poll__no_hangup__at_once),
        TEST(test_short_poll__by_version__in_headers_or_body),
        TEST(test_poll__what_is_wrong__is_400),
        TEST(test_held__change__is_answered),
        TEST(test_held__time__is_500_ms_less_and_ten_seconds_at_least),
        TEST(test_held__gray__is_chosen_by_address_and_header),
        TEST(test_who__nobody),
        TEST(test_who__polls_and_connections_of_a_config),
        TEST(test_who__configs_of_an_address__default_tenant_unless_asked),
        TEST(test_who__missing_parameter__is_nacos_500),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
