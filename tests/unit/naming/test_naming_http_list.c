/* Reading instances over HTTP, against recordings of Nacos 2.5.1 (golden http/naming-instance,
 * naming-v2, checks). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "naming/naming_http.h"
#include "naming_calls.h"

#define V1_LIST "/v1/ns/instance/list"
#define V2_LIST "/v2/ns/instance/list"
#define V1 "/v1/ns/instance"
#define V2 "/v2/ns/instance"
#define INFO(grouped, group, clusters, hosts, protecting)                                          \
    "{\"name\":\"" grouped "\",\"groupName\":\"" group "\",\"clusters\":\"" clusters               \
    "\",\"cacheMillis\":10000,\"hosts\":[" hosts "],\"lastRefTime\":0,\"checksum\":\"\",\"allIPs"  \
    "\":false,\"reachProtectionThreshold\":" protecting ",\"valid\":true}"
#define DEFAULT_INFO(clusters, hosts)                                                              \
    INFO("DEFAULT_GROUP@@i-svc", "DEFAULT_GROUP", clusters, hosts, "false")
#define TIMES                                                                                      \
    "\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":"   \
    "30000"
#define HOST_1                                                                                     \
    "{\"instanceId\":\"10.11.0.1#80#DEFAULT#DEFAULT_GROUP@@i-svc\",\"ip\":\"10.11.0.1\",\"port\":" \
    "80,\"weight\":1.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":"      \
    "\"DEFAULT\",\"serviceName\":\"DEFAULT_GROUP@@i-svc\",\"metadata\":{}," TIMES                  \
    ",\"instanceIdGenerator\":\"simple\"}"
#define HOST_G1                                                                                    \
    "{\"instanceId\":\"10.11.0.2#81#C1#G1@@i-svc\",\"ip\":\"10.11.0.2\",\"port\":81,\"weight\":"   \
    "2.5,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"C1\","             \
    "\"serviceName\":\"G1@@i-svc\",\"metadata\":{\"a\":\"1\",\"b\":\"2\"}," TIMES "}"
#define V2_HOST                                                                                    \
    "{\"ip\":\"10.11.0.1\",\"port\":80,\"weight\":1.0,\"healthy\":true,\"enabled\":true,"          \
    "\"ephemeral\":true,\"clusterName\":\"DEFAULT\",\"serviceName\":\"DEFAULT_GROUP@@v2-svc\","    \
    "\"metadata\":{}," TIMES ",\"instanceIdGenerator\":\"simple\"}"
#define RESULT(data) "{\"code\":0,\"message\":\"success\",\"data\":" data "}"

/* What golden http/naming-instance registers first. */
static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
    expect_http(s, API_POST, V1, "serviceName=i-svc&ip=10.11.0.1&port=80", "ok");
    expect_http(s, API_POST, V1,
                "serviceName=i-svc&ip=10.11.0.2&port=81&weight=2.5&clusterName=C1&groupName=G1&"
                "metadata=%7B%22a%22%3A%221%22%2C%22b%22%3A%222%22%7D",
                "ok");
    expect_http(s, API_POST, V2, "serviceName=v2-svc&ip=10.11.0.1&port=80", RESULT("\"ok\""));
}

static void test_list__is_byte_for_byte_what_nacos_sends(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const char *const g1[] = {"serviceName=G1@@i-svc", "serviceName=i-svc&groupName=G1",
                                     "serviceName=i-svc&groupName=G1&clusters=C1,DEFAULT"};
    expect_http(&s, API_GET, V1_LIST, "serviceName=i-svc", DEFAULT_INFO("", HOST_1));
    expect_http(&s, API_GET, V1_LIST,
                "serviceName=i-svc&clusters=&udpPort=55555&clientIP=10.11.9.9&healthyOnly=false",
                DEFAULT_INFO("", HOST_1));
    expect_http(&s, API_GET, V1_LIST, g1[0], INFO("G1@@i-svc", "G1", "", HOST_G1, "false"));
    expect_http(&s, API_GET, V1_LIST, g1[1], INFO("G1@@i-svc", "G1", "", HOST_G1, "false"));
    expect_http(&s, API_GET, V1_LIST, g1[2],
                INFO("G1@@i-svc", "G1", "C1,DEFAULT", HOST_G1, "false"));
    expect_http(&s, API_GET, V1_LIST, "serviceName=i-svc&clusters=CX", DEFAULT_INFO("CX", ""));
    story_end(&s);
}

static void test_list__v2__stands_in_a_result(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
#define V2_INFO(clusters, hosts)                                                                   \
    RESULT(INFO("DEFAULT_GROUP@@v2-svc", "DEFAULT_GROUP", clusters, hosts, "false"))
    expect_http(&s, API_GET, V2_LIST, "serviceName=v2-svc", V2_INFO("", V2_HOST));
    expect_http(&s, API_GET, V2_LIST, "serviceName=v2-svc&clusterName=DEFAULT&healthyOnly=true",
                V2_INFO("DEFAULT", V2_HOST));
    /* v2 says clusterName where v1 says clusters. */
    expect_http(&s, API_GET, V2_LIST, "serviceName=v2-svc&clusters=CX", V2_INFO("", V2_HOST));
    story_end(&s);
}

static void test_list__unknown_service__is_empty(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_GET, V1_LIST, "serviceName=none&clusters=C1",
                INFO("DEFAULT_GROUP@@none", "DEFAULT_GROUP", "C1", "", "false"));
    expect_http(&s, API_GET, V2_LIST, "serviceName=none",
                RESULT(INFO("DEFAULT_GROUP@@none", "DEFAULT_GROUP", "", "", "false")));
    expect_http(&s, API_GET, V1_LIST, "serviceName=i-svc&namespaceId=other", DEFAULT_INFO("", ""));
    expect_http(&s, API_GET, V1_LIST, "serviceName=i-svc&namespaceId=", DEFAULT_INFO("", HOST_1));
    story_end(&s);
}

static void test_list__disabled_and_unhealthy__are_left_out_as_asked(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, "serviceName=i-svc&ip=10.11.0.9&port=1&healthy=false", "ok");
    expect_http(&s, API_GET, V1_LIST, "serviceName=i-svc&healthyOnly=TRUE",
                DEFAULT_INFO("", HOST_1));
    /* Only the word true is true here (http-api.md 4.0). */
    struct answer a = call_http(&s, API_GET, V1_LIST, "serviceName=i-svc&healthyOnly=yes");
    assert_non_null(strstr(a.text, "10.11.0.9"));
    answer_free(&a);
    expect_http(&s, API_PUT, V1, "serviceName=i-svc&ip=10.11.0.9&port=1&enabled=false", "ok");
    expect_http(&s, API_GET, V1_LIST, "serviceName=i-svc", DEFAULT_INFO("", HOST_1));
    story_end(&s);
}

/* golden http/checks: threshold 0 protects as soon as nobody is healthy, and without a record
 * never. */
static void test_list__protection__shows_everybody_healthy(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const struct {
        const char *threshold; /* NULL: no record */
        const char *healthy[2];
        bool protecting;
    } cases[] = {
        {"0", {"false", "false"}, true},  {"0", {"true", "false"}, false},
        {"0", {"true", "true"}, false},   {"0.5", {"false", "false"}, true},
        {"0.5", {"true", "false"}, true}, {"0.5", {"true", "true"}, false},
        {"1", {"true", "true"}, true},    {NULL, {"false", "false"}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char params[160];
        if (cases[i].threshold) {
            snprintf(params, sizeof(params), "serviceName=thr-%zu&protectThreshold=%s", i,
                     cases[i].threshold);
            expect_http(&s, API_POST, "/v1/ns/service", params, "ok");
        }
        for (int n = 0; n < 2; n++) {
            snprintf(params, sizeof(params),
                     "serviceName=thr-%zu&ip=10.14.0.%d&port=80&ephemeral=%s&healthy=%s", i, n,
                     cases[i].threshold ? "false" : "true", cases[i].healthy[n]);
            expect_http(&s, API_POST, V1, params, "ok");
        }
        snprintf(params, sizeof(params), "serviceName=thr-%zu", i);
        struct answer a = call_http(&s, API_GET, V1_LIST, params);
        const char *flag = cases[i].protecting ? "\"reachProtectionThreshold\":true"
                                               : "\"reachProtectionThreshold\":false";
        assert_non_null(strstr(a.text, flag));
        assert_true(!cases[i].protecting || !strstr(a.text, "\"healthy\":false"));
        answer_free(&a);
    }
    story_end(&s);
}

static void test_list__illegal__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    refuse_http(&s, API_GET, V1_LIST, "", E_MISSING, "Param 'serviceName' is required.");
    refuse_http(&s, API_GET, V2_LIST, "", E_MISSING,
                "Required request parameter 'serviceName' for method parameter type String is not "
                "present");
    assert_int_equal(s.fail.v2, V2_PARAMETER_MISSING);
    refuse_http(&s, API_GET, V1_LIST, "serviceName=i-svc&clusters=a+b", E_PARAM,
                "Param 'cluster' is illegal, illegal characters should not appear in the param.");
    refuse_http(&s, API_GET, V1_LIST, "serviceName=i-svc&clusters=a,,b", E_PARAM,
                "Param 'cluster' is illegal, illegal characters should not appear in the param.");
    story_end(&s);
}

static void test_list__after_a_change__meets_the_core_once(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct answer a = call_http(&s, API_GET, V1_LIST, "serviceName=i-svc");
    assert_false(a.read);
    answer_free(&a);
    a = call_http(&s, API_GET, V2_LIST, "serviceName=i-svc&healthyOnly=true");
    assert_true(a.read);
    answer_free(&a);
    a = call_http(&s, API_GET, V1, "serviceName=i-svc&ip=10.11.0.1&port=80");
    assert_true(a.read);
    answer_free(&a);
    story_end(&s);
}

static void test_detail__is_byte_for_byte_what_nacos_sends(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    /* Once from the core, once from the view. */
    for (int round = 0; round < 2; round++) {
        expect_http(&s, API_GET, V1, "serviceName=i-svc&ip=10.11.0.1&port=80",
                    "{\"service\":\"DEFAULT_GROUP@@i-svc\",\"ip\":\"10.11.0.1\",\"port\":80,"
                    "\"clusterName\":\"DEFAULT\",\"weight\":1.0,\"healthy\":true,\"instanceId\":"
                    "\"10.11.0.1#80#DEFAULT#DEFAULT_GROUP@@i-svc\",\"metadata\":{}}");
        expect_http(&s, API_GET, V1, "serviceName=G1@@i-svc&ip=10.11.0.2&port=81&clusterName=C1",
                    "{\"service\":\"G1@@i-svc\",\"ip\":\"10.11.0.2\",\"port\":81,\"clusterName\":"
                    "\"C1\",\"weight\":2.5,\"healthy\":true,\"instanceId\":"
                    "\"10.11.0.2#81#C1#G1@@i-svc\",\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}");
        expect_http(
            &s, API_GET, V2, "serviceName=v2-svc&ip=10.11.0.1&port=80",
            RESULT("{\"serviceName\":\"DEFAULT_GROUP@@v2-svc\",\"ip\":\"10.11.0.1\",\"port\":80,"
                   "\"clusterName\":\"DEFAULT\",\"weight\":1.0,\"healthy\":true,\"instanceId\":"
                   "null,\"metadata\":{}}"));
    }
    story_end(&s);
}

/* golden "detail of a disabled one": lists leave it out, this route does not. */
static void test_detail__disabled__is_shown(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_PUT, V1, "serviceName=i-svc&enabled=false&ip=10.11.0.1&port=80", "ok");
    struct answer a = call_http(&s, API_GET, V1, "serviceName=i-svc&ip=10.11.0.1&port=80");
    assert_int_equal(a.err, 0);
    answer_free(&a);
    story_end(&s);
}

static void test_detail__unknown__is_404_with_the_texts_of_nacos(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const char *const none[] = {"serviceName=i-svc&ip=10.11.0.99&port=80",
                                       "serviceName=i-svc&ip=10.11.0.1&port=81",
                                       "serviceName=i-svc&clusterName=CX&ip=10.11.0.1&port=80",
                                       /* This route knows no alias of clusterName. */
                                       "serviceName=G1@@i-svc&ip=10.11.0.2&port=81&cluster=C1"};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(none); i++) {
            refuse_http(&s, API_GET, V1, none[i], E_NOT_FOUND, "no matched ip found!");
            refuse_http(&s, API_GET, V2, none[i], E_NOT_FOUND, "no matched ip found!");
            assert_int_equal(s.fail.v2, V2_RESOURCE_NOT_FOUND);
        }
        refuse_http(&s, API_GET, V1, "serviceName=i-none&ip=10.11.0.1&port=80", E_NOT_FOUND,
                    "no ips found for cluster DEFAULT in service DEFAULT_GROUP@@i-none");
    }
    refuse_http(&s, API_GET, V1, "serviceName=i-svc&ip=10.11.0.1", E_MISSING,
                "Param 'port' is required.");
    refuse_http(&s, API_GET, V2, "serviceName=i-svc&port=1", E_MISSING,
                "Required request parameter 'ip' for method parameter type String is not present");
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__is_byte_for_byte_what_nacos_sends),
        cmocka_unit_test(test_list__v2__stands_in_a_result),
        cmocka_unit_test(test_list__unknown_service__is_empty),
        cmocka_unit_test(test_list__disabled_and_unhealthy__are_left_out_as_asked),
        cmocka_unit_test(test_list__protection__shows_everybody_healthy),
        cmocka_unit_test(test_list__illegal__is_refused),
        cmocka_unit_test(test_list__after_a_change__meets_the_core_once),
        cmocka_unit_test(test_detail__is_byte_for_byte_what_nacos_sends),
        cmocka_unit_test(test_detail__disabled__is_shown),
        cmocka_unit_test(test_detail__unknown__is_404_with_the_texts_of_nacos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
