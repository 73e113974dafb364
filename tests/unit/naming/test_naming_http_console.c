/* What the page under /nacos shows, against recordings of Nacos 2.5.1 (golden http/naming-service,
 * naming-v2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "naming/naming_http.h"
#include "naming_calls.h"

#define SERVICES "/v1/ns/catalog/services"
#define INSTANCES "/v1/ns/catalog/instances"
#define SUBSCRIBERS "/v1/ns/service/subscribers"
#define CLIENTS "/v2/ns/client/list"
#define CLIENT "/v2/ns/client"
#define PUBLISHED "/v2/ns/client/publish/list"
#define SUBSCRIBED "/v2/ns/client/subscribe/list"
#define REMOVALS "/v1/nacre/removals"
#define ROW(name, group, clusters, ips, healthy, trigger)                                          \
    "{\"name\":\"" name "\",\"groupName\":\"" group "\",\"clusterCount\":" clusters                \
    ",\"ipCount\":" ips ",\"healthyInstanceCount\":" healthy ",\"triggerFlag\":\"" trigger "\"}"
#define RESULT(data) "{\"code\":0,\"message\":\"success\",\"data\":" data "}"

/* i-svc twice, in two groups, and an empty s-svc: as the recordings begin. */
static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
    expect_http(s, API_POST, "/v1/ns/service", "serviceName=s-svc", "ok");
    expect_http(s, API_POST, "/v1/ns/instance",
                "serviceName=i-svc&ip=10.11.0.2&port=81&enabled=false", "ok");
    expect_http(s, API_POST, "/v1/ns/instance",
                "serviceName=i-svc&ip=10.11.0.1&port=80&healthy=false", "ok");
    expect_http(s, API_POST, "/v1/ns/instance",
                "serviceName=i-svc&groupName=G1&clusterName=C1&ip=10.11.0.3&port=82&weight=2.5",
                "ok");
}

#define DEFAULT_ROW ROW("i-svc", "DEFAULT_GROUP", "1", "2", "1", "false")
#define G1_ROW ROW("i-svc", "G1", "1", "1", "1", "false")
#define EMPTY_ROW ROW("s-svc", "DEFAULT_GROUP", "0", "0", "0", "false")

static void test_services__filters_and_pages__are_sorted(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const struct {
        const char *params;
        const char *body;
    } cases[] = {
        {"pageNo=1&pageSize=5",
         "{\"count\":3,\"serviceList\":[" DEFAULT_ROW "," EMPTY_ROW "," G1_ROW "]}"},
        {"", "{\"count\":3,\"serviceList\":[" DEFAULT_ROW "," EMPTY_ROW "," G1_ROW "]}"},
        {"pageNo=2&pageSize=2", "{\"count\":3,\"serviceList\":[" G1_ROW "]}"},
        {"pageNo=9&pageSize=2", "{\"count\":3,\"serviceList\":[]}"},
        {"hasIpCount=true&withInstances=false&pageNo=1&pageSize=10&serviceNameParam=&"
         "groupNameParam=&namespaceId=",
         "{\"count\":2,\"serviceList\":[" DEFAULT_ROW "," G1_ROW "]}"},
        {"serviceNameParam=s-&groupNameParam=DEF", "{\"count\":1,\"serviceList\":[" EMPTY_ROW "]}"},
        {"groupNameParam=G1", "{\"count\":1,\"serviceList\":[" G1_ROW "]}"},
        {"serviceNameParam=nothing", "{\"count\":0,\"serviceList\":[]}"},
        {"namespaceId=nope", "{\"count\":0,\"serviceList\":[]}"},
        {"pageSize=2147483647&pageNo=-1",
         "{\"count\":3,\"serviceList\":[" DEFAULT_ROW "," EMPTY_ROW "," G1_ROW "]}"},
        {"pageSize=-1", "{\"count\":3,\"serviceList\":[]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        expect_http(&s, API_GET, SERVICES, cases[i].params, cases[i].body);
    }
    refuse_http(&s, API_GET, SERVICES, "pageNo=x", E_INVALID, "For input string: \"x\"");
    story_end(&s);
}

static void test_services__below_their_threshold__are_flagged(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_PUT, "/v1/ns/service", "serviceName=i-svc&protectThreshold=0.5", "ok");
    expect_http(
        &s, API_GET, SERVICES, "serviceNameParam=i-svc&groupNameParam=DEFAULT",
        "{\"count\":1,\"serviceList\":[" ROW("i-svc", "DEFAULT_GROUP", "1", "2", "1", "true") "]}");
    story_end(&s);
}

/* A page never holds more than 500, whatever is asked for. */
static void test_services__many__are_cut_to_a_page(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    for (int i = 0; i < 510; i++) {
        char params[64];
        snprintf(params, sizeof(params), "serviceName=many-%d", i);
        expect_http(&s, API_POST, "/v1/ns/service", params, "ok");
    }
    struct answer a = call_http(&s, API_GET, SERVICES, "pageSize=100000");
    assert_true(strncmp(a.text, "{\"count\":513,", 13) == 0);
    size_t rows = 0;
    for (const char *at = a.text; (at = strstr(at, "\"triggerFlag\"")); at++) {
        rows++;
    }
    assert_int_equal(rows, 500);
    answer_free(&a);
    story_end(&s);
}

static void test_instances__disabled_too__are_sorted_by_address(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct answer a = call_http(&s, API_GET, INSTANCES,
                                "serviceName=i-svc&clusterName=DEFAULT&pageNo=1&pageSize=10");
    const char *first = strstr(a.text, "\"ip\":\"10.11.0.1\"");
    const char *second = strstr(a.text, "\"ip\":\"10.11.0.2\"");
    assert_true(first && second && first < second);
    assert_non_null(strstr(a.text, "\"enabled\":false"));
    assert_non_null(strstr(a.text, "],\"count\":2}"));
    answer_free(&a);
    a = call_http(&s, API_GET, INSTANCES, "serviceName=i-svc&pageNo=2&pageSize=1");
    assert_null(strstr(a.text, "10.11.0.1"));
    assert_non_null(strstr(a.text, "10.11.0.2"));
    assert_non_null(strstr(a.text, "\"count\":2}"));
    answer_free(&a);
    expect_http(
        &s, API_GET, INSTANCES,
        "serviceName=i-svc&groupName=G1&clusterName=C1&pageNo=1&pageSize=10",
        "{\"list\":[{\"instanceId\":\"10.11.0.3#82#C1#G1@@i-svc\",\"ip\":\"10.11.0.3\",\"port\":82,"
        "\"weight\":2.5,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":"
        "\"C1\","
        "\"serviceName\":\"G1@@i-svc\",\"metadata\":{},\"instanceHeartBeatInterval\":5000,"
        "\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000,\"instanceIdGenerator\":"
        "\"simple\"}],\"count\":1}");
    expect_http(&s, API_GET, INSTANCES, "serviceName=s-svc", "{\"list\":[],\"count\":0}");
    story_end(&s);
}

static void test_instances__unknown__is_404_with_the_texts_of_nacos(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    refuse_http(&s, API_GET, INSTANCES,
                "serviceName=s-none&clusterName=DEFAULT&pageNo=1&pageSize=10", E_NOT_FOUND,
                "service DEFAULT_GROUP@@s-none is not found!");
    refuse_http(&s, API_GET, INSTANCES, "serviceName=i-svc&clusterName=CX&pageNo=1&pageSize=10",
                E_NOT_FOUND, "cluster CX is not found!");
    refuse_http(&s, API_GET, INSTANCES, "", E_MISSING, "Parameter 'serviceName' is missing");
    story_end(&s);
}

/* ---------------------------------------------------------------- clients */

static void test_clients__of_every_kind__are_listed_and_described(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    story_begin(&s, &options);
    expect_http(&s, API_GET, CLIENTS, "", RESULT("[]"));
    expect_http(&s, API_POST, "/v1/ns/instance", "serviceName=a&ip=10.11.0.1&port=80", "ok");
    expect_http(&s, API_POST, "/v1/ns/instance",
                "serviceName=b&ip=10.11.0.1&port=80&ephemeral=false", "ok");
    (void)story_connect(&s, "10.0.0.9");
    struct answer a = call_http(&s, API_GET, CLIENTS, "");
    assert_non_null(strstr(a.text, "\"10.11.0.1:80#true\""));
    assert_non_null(strstr(a.text, "\"10.11.0.1:80#false\""));
    assert_non_null(strstr(a.text, "\"1700000000000_10.0.0.9_40001\""));
    answer_free(&a);
    expect_http(&s, API_GET, CLIENT, "clientId=10.11.0.1:80%23true",
                RESULT("{\"clientId\":\"10.11.0.1:80#true\",\"ephemeral\":true,\"lastUpdatedTime\":"
                       "1700000000000,\"clientType\":\"ipPort\",\"clientIp\":\"10.11.0.1\","
                       "\"clientPort\":\"80\"}"));
    expect_http(&s, API_GET, CLIENT, "clientId=10.11.0.1:80%23false",
                RESULT("{\"clientId\":\"10.11.0.1:80#false\",\"ephemeral\":false,"
                       "\"lastUpdatedTime\":1700000000000,\"clientType\":\"ipPort\",\"clientIp\":"
                       "\"10.11.0.1\",\"clientPort\":\"80\"}"));
    expect_http(
        &s, API_GET, CLIENT, "clientId=1700000000000_10.0.0.9_40001",
        RESULT(
            "{\"clientId\":\"1700000000000_10.0.0.9_40001\",\"ephemeral\":true,"
            "\"lastUpdatedTime\":1700000000000,\"clientType\":\"connection\",\"connectType\":"
            "\"GRPC\",\"appName\":\"app-of-connection\",\"version\":\"Nacos-Java-Client:v2.5.1\","
            "\"clientIp\":\"10.0.0.9\",\"clientPort\":\"40001\"}"));
    story_end(&s);
}

static void test_client__unknown_or_missing__is_refused_as_nacos_does(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const char *const paths[] = {CLIENT, PUBLISHED, SUBSCRIBED};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        refuse_http(&s, API_GET, paths[i], "clientId=x", E_NOT_FOUND, "clientId [ x ] not exist");
        assert_int_equal(s.fail.v2, V2_RESOURCE_NOT_FOUND);
        refuse_http(&s, API_GET, paths[i], "", E_MISSING,
                    "Required request parameter 'clientId' for method parameter type String is not "
                    "present");
        assert_int_equal(s.fail.v2, V2_PARAMETER_MISSING);
    }
    story_end(&s);
}

static void test_client_publishes__each_instance__is_listed(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(
        &s, API_GET, PUBLISHED, "clientId=10.11.0.3:82%23true",
        RESULT("[{\"namespace\":\"public\",\"group\":\"G1\",\"serviceName\":\"i-svc\","
               "\"registeredInstance\":{\"ip\":\"10.11.0.3\",\"port\":82,\"cluster\":\"C1\"}"
               "}]"));
    uint64_t conn = story_connect(&s, "10.0.0.9");
    struct instance_data two[] = {story_instance("10.0.0.9", 1), story_instance("10.0.0.9", 2)};
    assert_int_equal(story_register_batch(&s, conn, "batch", two, 2), 0);
    struct answer a = call_http(&s, API_GET, PUBLISHED, "clientId=1700000000000_10.0.0.9_40001");
    assert_non_null(strstr(a.text, "\"port\":1,"));
    assert_non_null(strstr(a.text, "\"port\":2,"));
    answer_free(&a);
    expect_http(&s, API_GET, SUBSCRIBED, "clientId=10.11.0.3:82%23true", RESULT("[]"));
    story_end(&s);
}

#define SUBSCRIPTION(service)                                                                      \
    "{\"namespace\":\"public\",\"group\":\"DEFAULT_GROUP\",\"serviceName\":\"" service             \
    "\",\"subscriberInfo\":{\"app\":\"app-of-connection\",\"agent\":\"Nacos-Java-Client:v2.5.1\"," \
    "\"addr\":\"10.0.0.9\"}}"

static void test_client_subscribes__its_own_and_no_others__are_listed(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.9");
    uint64_t other = story_connect(&s, "10.0.0.8");
    assert_int_equal(story_subscribe(&s, conn, "i-svc", "C1,C2"), 0);
    assert_int_equal(story_subscribe(&s, other, "i-svc", ""), 0);
    assert_int_equal(story_subscribe(&s, other, "s-svc", ""), 0);
    expect_http(&s, API_GET, SUBSCRIBED, "clientId=1700000000000_10.0.0.9_40001",
                RESULT("[" SUBSCRIPTION("i-svc") "]"));
    assert_int_equal(story_subscribe(&s, conn, "yet-unknown", ""), 0);
    struct answer a = call_http(&s, API_GET, SUBSCRIBED, "clientId=1700000000000_10.0.0.9_40001");
    assert_non_null(strstr(a.text, SUBSCRIPTION("yet-unknown")));
    assert_null(strstr(a.text, "s-svc"));
    answer_free(&a);
    story_end(&s);
}

/* ---------------------------------------------------------------- subscribers, removals */

#define SUBSCRIBER(ip, clusters)                                                                   \
    "{\"addrStr\":\"" ip "\",\"agent\":\"Nacos-Java-Client:v2.5.1\",\"app\":\"app-of-connection\"" \
    ",\"ip\":\"" ip "\",\"port\":0,\"namespaceId\":\"public\",\"serviceName\":"                    \
    "\"DEFAULT_GROUP@@i-svc\",\"cluster\":\"" clusters "\"}"

static void test_subscribers__pages__have_all_or_some(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_GET, SUBSCRIBERS, "serviceName=i-svc", "{\"subscribers\":[],\"count\":0}");
    expect_http(&s, API_GET, SUBSCRIBERS, "serviceName=none", "{\"subscribers\":[],\"count\":0}");
    uint64_t one = story_connect(&s, "10.0.0.8");
    uint64_t two = story_connect(&s, "10.0.0.9");
    assert_int_equal(story_subscribe(&s, one, "i-svc", ""), 0);
    assert_int_equal(story_subscribe(&s, two, "i-svc", "C1"), 0);
    expect_http(&s, API_GET, SUBSCRIBERS, "serviceName=i-svc&pageNo=1&pageSize=10",
                "{\"subscribers\":[" SUBSCRIBER("10.0.0.8", "") "," SUBSCRIBER(
                    "10.0.0.9", "C1") "],\"count\":2}");
    expect_http(&s, API_GET, SUBSCRIBERS, "serviceName=i-svc&pageNo=2&pageSize=1",
                "{\"subscribers\":[" SUBSCRIBER("10.0.0.9", "C1") "],\"count\":2}");
    expect_http(&s, API_GET, SUBSCRIBERS, "serviceName=i-svc&pageNo=9&pageSize=10",
                "{\"subscribers\":[],\"count\":2}");
    refuse_http(&s, API_GET, SUBSCRIBERS, "", E_MISSING, "Param 'serviceName' is required.");
    refuse_http(&s, API_GET, SUBSCRIBERS, "serviceName=i-svc&pageSize=x", E_INVALID,
                "For input string: \"x\"");
    story_end(&s);
}

static void test_removals__newest_first__keep_their_reasons(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_GET, REMOVALS, "serviceName=none", "{\"removals\":[]}");
    expect_http(&s, API_DELETE, "/v1/ns/instance", "serviceName=i-svc&ip=10.11.0.1&port=80", "ok");
    story_advance(&s, 1000);
    uint64_t conn = story_connect(&s, "10.0.0.9");
    assert_int_equal(story_register(&s, conn, "i-svc", "10.0.0.9", 7), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    expect_http(&s, API_GET, REMOVALS, "serviceName=i-svc",
                "{\"removals\":[{\"time\":1700000001000,\"instance\":\"10.0.0.9:7#DEFAULT\","
                "\"client\":\"1700000001000_10.0.0.9_40001\",\"reason\":\"its connection closed\"},"
                "{\"time\":1700000000000,\"instance\":\"10.11.0.1:80#DEFAULT\",\"client\":"
                "\"10.11.0.1:80#true\",\"reason\":\"deregistered over HTTP\"}]}");
    for (int i = 0; i < 20; i++) {
        expect_http(&s, API_POST, "/v1/ns/instance", "serviceName=i-svc&ip=10.11.0.1&port=80",
                    "ok");
        expect_http(&s, API_DELETE, "/v1/ns/instance", "serviceName=i-svc&ip=10.11.0.1&port=80",
                    "ok");
    }
    struct answer a = call_http(&s, API_GET, REMOVALS, "serviceName=i-svc");
    size_t kept = 0;
    for (const char *at = a.text; (at = strstr(at, "\"reason\"")); at++) {
        kept++;
    }
    assert_int_equal(kept, SERVICE_REMOVALS_KEPT);
    answer_free(&a);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services__filters_and_pages__are_sorted),
        cmocka_unit_test(test_services__below_their_threshold__are_flagged),
        cmocka_unit_test(test_services__many__are_cut_to_a_page),
        cmocka_unit_test(test_instances__disabled_too__are_sorted_by_address),
        cmocka_unit_test(test_instances__unknown__is_404_with_the_texts_of_nacos),
        cmocka_unit_test(test_clients__of_every_kind__are_listed_and_described),
        cmocka_unit_test(test_client__unknown_or_missing__is_refused_as_nacos_does),
        cmocka_unit_test(test_client_publishes__each_instance__is_listed),
        cmocka_unit_test(test_client_subscribes__its_own_and_no_others__are_listed),
        cmocka_unit_test(test_subscribers__pages__have_all_or_some),
        cmocka_unit_test(test_removals__newest_first__keep_their_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
