/* gRPC requests from their JSON to their answer: byte for byte what a Nacos 2.5.1 sent the same
 * clients (golden grpc: refused, instance-ephemeral, services). */
#include "naming/naming_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "naming_calls.h"

#define NAMED "\"namespace\":\"public\",\"serviceName\":\"demo\",\"groupName\":\"DEFAULT_GROUP\""
#define ONE                                                                                        \
    "{\"ip\":\"10.5.0.1\",\"port\":80,\"weight\":1.0,\"healthy\":true,\"enabled\":true,"           \
    "\"ephemeral\":true,\"metadata\":{\"version\":\"1\",\"zone\":\"a\"}}"
#define REGISTER "{" NAMED ",\"type\":\"registerInstance\",\"instance\":" ONE "}"
#define DEREGISTER "{" NAMED ",\"type\":\"deregisterInstance\",\"instance\":" ONE "}"
#define QUERY "{" NAMED ",\"cluster\":\"\",\"healthyOnly\":false,\"udpPort\":0}"
#define REGISTERED                                                                                 \
    "{\"resultCode\":200,\"errorCode\":0,\"type\":\"registerInstance\",\"success\":true}"
#define DEREGISTERED                                                                               \
    "{\"resultCode\":200,\"errorCode\":0,\"type\":\"deregisterInstance\",\"success\":true}"
#define HOST                                                                                       \
    "{\"instanceId\":\"10.5.0.1#80#null#DEFAULT_GROUP@@demo\",\"ip\":\"10.5.0.1\",\"port\":80,"    \
    "\"weight\":1.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":"         \
    "\"DEFAULT\",\"serviceName\":\"DEFAULT_GROUP@@demo\",\"metadata\":{\"version\":\"1\","         \
    "\"zone\":\"a\"},\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"       \
    "\"ipDeleteTimeout\":30000}"
#define INFO(clusters, hosts)                                                                      \
    "\"serviceInfo\":{\"name\":\"demo\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"" clusters  \
    "\",\"cacheMillis\":10000,\"hosts\":[" hosts "],\"lastRefTime\":0,\"checksum\":\"\","          \
    "\"allIPs\":false,\"reachProtectionThreshold\":false,\"valid\":true},\"success\":true}"
#define ANSWER(clusters, hosts) "{\"resultCode\":200,\"errorCode\":0," INFO(clusters, hosts)
#define SUBSCRIBED(clusters, hosts)                                                                \
    "{\"resultCode\":200,\"errorCode\":0,\"message\":\"success\"," INFO(clusters, hosts)

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void test_register__answers_and_is_queried_as_nacos_does(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
    expect_rpc(&s, conn, "ServiceQueryRequest", QUERY, ANSWER("", HOST));
    expect_rpc(&s, conn, "InstanceRequest", DEREGISTER, DEREGISTERED);
    expect_rpc(&s, conn, "ServiceQueryRequest", QUERY, ANSWER("", ""));
    story_end(&s);
}

static void test_deregister__what_never_was__is_a_success(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "InstanceRequest", DEREGISTER, DEREGISTERED);
    expect_rpc(&s, conn, "PersistentInstanceRequest", DEREGISTER, DEREGISTERED);
    expect_rpc(&s, 4711, "InstanceRequest", DEREGISTER, DEREGISTERED);
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

static void test_query__unknown_service__is_empty_and_echoes_the_clusters(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "ServiceQueryRequest", "{" NAMED ",\"cluster\":\"C1,C2\"}",
               ANSWER("C1,C2", ""));
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

/* The core is asked once after a change; then the edge answers alone. */
static void test_query__after_a_change__meets_the_core_once(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    struct answer a = call_rpc(&s, conn, "ServiceQueryRequest", QUERY);
    assert_true(a.read);
    answer_free(&a);
    for (int round = 0; round < 3; round++) {
        expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
        a = call_rpc(&s, conn, "ServiceQueryRequest", QUERY);
        assert_int_equal(a.err, 0);
        assert_false(a.read);
        answer_free(&a);
        a = call_rpc(&s, conn, "ServiceQueryRequest", QUERY);
        assert_int_equal(a.err, 0);
        assert_true(a.read);
        answer_free(&a);
    }
    story_end(&s);
}

static int64_t stamp_of(const char *json)
{
    const char *at = strstr(json, "\"lastRefTime\":");
    assert_non_null(at);
    return strtoll(at + strlen("\"lastRefTime\":"), NULL, 10);
}

/* Go drops what is not newer than what it has (grpc-sdk.md 5.4.1, R10). */
static void test_query__same_millisecond__stamps_grow(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    int64_t last = 0;
    for (int i = 0; i < 5; i++) {
        if (i % 2 == 0) {
            expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
        }
        struct answer a = call_rpc(&s, conn, "ServiceQueryRequest", QUERY);
        assert_true(stamp_of(a.text) > last);
        last = stamp_of(a.text);
        answer_free(&a);
    }
    story_end(&s);
}

static void test_query__filters__clusters_health_and_disabled(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "BatchInstanceRequest",
               "{" NAMED ",\"type\":\"batchRegisterInstance\",\"instances\":["
               "{\"ip\":\"10.0.0.1\",\"clusterName\":\"A\"},"
               "{\"ip\":\"10.0.0.2\",\"clusterName\":\"B\",\"healthy\":false},"
               "{\"ip\":\"10.0.0.3\",\"clusterName\":\"B\",\"enabled\":false}]}",
               "{\"resultCode\":200,\"errorCode\":0,\"type\":\"batchRegisterInstance\",\"success\":"
               "true}");
    static const struct {
        const char *query;
        const char *seen;
    } cases[] = {
        {"{" NAMED "}", "12"},
        {"{" NAMED ",\"cluster\":\"A\"}", "1"},
        {"{" NAMED ",\"cluster\":\"B\"}", "2"},
        {"{" NAMED ",\"clusters\":\"B,A\"}", "12"},
        {"{" NAMED ",\"cluster\":\"C\"}", ""},
        {"{" NAMED ",\"healthyOnly\":true}", "1"},
        {"{" NAMED ",\"cluster\":\"B\",\"healthyOnly\":\"true\"}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer a = call_rpc(&s, conn, "ServiceQueryRequest", cases[i].query);
        char seen[8] = "";
        for (char c = '1'; c <= '3'; c++) {
            char host[32];
            snprintf(host, sizeof(host), "\"ip\":\"10.0.0.%c\"", c);
            size_t len = strlen(seen);
            snprintf(seen + len, sizeof(seen) - len, "%s",
                     strstr(a.text, host) ? (char[]){c, '\0'} : "");
        }
        assert_string_equal(seen, cases[i].seen);
        answer_free(&a);
    }
    story_end(&s);
}

static void test_persistent__outlives_its_connection(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "PersistentInstanceRequest", REGISTER, REGISTERED);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_listed(&s, "demo"), 1);
    assert_false(story_service(&s, "demo")->ephemeral);
    conn = story_connect(&s, "10.5.0.2");
    expect_rpc(&s, conn, "PersistentInstanceRequest", DEREGISTER, DEREGISTERED);
    assert_int_equal(story_listed(&s, "demo"), 0);
    story_end(&s);
}

static void test_register__refused__has_texts_and_codes_of_nacos(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    refuse_rpc(&s, conn, "InstanceRequest",
               "{" NAMED ",\"type\":\"registerInstance\",\"instance\":{\"clusterName\":\"a_b\"}}",
               E_INVALID,
               "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)");
    assert_int_equal(fail_nacos(&s.fail), 400);
    refuse_rpc(&s, conn, "InstanceRequest",
               "{" NAMED ",\"type\":\"registerInstance\",\"instance\":{\"metadata\":{"
               "\"preserved.heart.beat.interval\":\"9000\",\"preserved.heart.beat.timeout\":"
               "\"3000\"}}}",
               E_INVALID,
               "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete "
               "timeout'.");
    assert_int_equal(fail_nacos(&s.fail), 400);
    refuse_rpc(&s, conn, "InstanceRequest",
               "{" NAMED ",\"type\":\"registerInstance\",\"instance\":{\"port\":70000}}", E_PARAM,
               "Param check invalid:Param 'port' is illegal, the value should be between 0 and "
               "65535.");
    assert_int_equal(fail_nacos(&s.fail), 400);
    refuse_rpc(&s, 4711, "InstanceRequest", REGISTER, E_CLIENT_GONE,
               "errCode: -401, errMsg: Client [id-of-the-caller] connection already disconnect, "
               "can't register ephemeral instance. ");
    assert_int_equal(fail_nacos(&s.fail), -401);
    expect_rpc(&s, conn, "PersistentInstanceRequest", REGISTER, REGISTERED);
    refuse_rpc(&s, conn, "InstanceRequest", REGISTER, E_INVALID,
               "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is persistent service, "
               "can't register ephemeral instance. ");
    refuse_rpc(&s, conn, "BatchInstanceRequest",
               "{" NAMED ",\"type\":\"batchRegisterInstance\",\"instances\":[" ONE "]}", E_INVALID,
               "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is persistent service, "
               "can't batch register ephemeral instance. ");
    assert_int_equal(fail_nacos(&s.fail), 400);
    story_end(&s);
}

static void test_register__persistent_into_ephemeral__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
    refuse_rpc(&s, conn, "PersistentInstanceRequest", REGISTER, E_INVALID,
               "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is ephemeral service, "
               "can't register persistent instance. ");
    assert_int_equal(fail_nacos(&s.fail), 400);
    story_end(&s);
}

/* DIFF(weight-range): a recording of Nacos answers 200 to both. */
static void test_register__weight_out_of_range__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    static const char *const weights[] = {"-1.0", "20000.0", "1e308", "-1e-9"};
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{" NAMED ",\"type\":\"registerInstance\",\"instance\":{\"weight\":%s}}",
                 weights[i]);
        refuse_rpc(&s, conn, "InstanceRequest", json, E_INVALID,
                   "instance format invalid: The weights range from 0.0 to 10000.0");
    }
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

static void test_batch__empty__takes_everything_away(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
    expect_rpc(&s, conn, "BatchInstanceRequest",
               "{" NAMED ",\"type\":\"batchRegisterInstance\",\"instances\":[]}",
               "{\"resultCode\":200,\"errorCode\":0,\"type\":\"batchRegisterInstance\",\"success\":"
               "true}");
    assert_int_equal(story_listed(&s, "demo"), 0);
    story_end(&s);
}

static void test_subscribe__answers_with_the_list_and_is_pushed(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t watcher = story_connect(&s, "10.5.0.9");
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, watcher, "SubscribeServiceRequest",
               "{" NAMED ",\"subscribe\":true,\"clusters\":\"\"}", SUBSCRIBED("", ""));
    expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
    struct story_push *push = story_take(&s, watcher);
    assert_non_null(push);
    assert_non_null(strstr(push->json, HOST));
    story_push_free(push);
    expect_rpc(&s, watcher, "SubscribeServiceRequest",
               "{" NAMED ",\"subscribe\":false,\"clusters\":\"\"}", SUBSCRIBED("", HOST));
    assert_int_equal(story_service(&s, "demo")->subscriber_count, 0);
    story_end(&s);
}

static void test_subscribe__no_naming_connection__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const char *const both[] = {"{" NAMED ",\"subscribe\":true}",
                                       "{" NAMED ",\"subscribe\":false}"};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        struct answer a = call_rpc(&s, 4711, "SubscribeServiceRequest", both[i]);
        assert_int_equal(a.err, E_CLIENT_GONE);
        assert_int_equal(fail_nacos(&a.fail), -401);
        assert_non_null(strstr(a.text, "Client [id-of-the-caller] connection already disconnect"));
        answer_free(&a);
    }
    story_end(&s);
}

static void test_list__pages_are_sorted_and_count_all(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    static const char *const names[] = {"svc-2", "svc-0", "svc-1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{\"serviceName\":\"%s\",\"groupName\":\"G\",\"type\":\"registerInstance\","
                 "\"instance\":{\"ip\":\"10.0.0.1\"}}",
                 names[i]);
        expect_rpc(&s, conn, "InstanceRequest", json, REGISTERED);
    }
#define NAMES(names)                                                                               \
    "{\"resultCode\":200,\"errorCode\":0,\"count\":3,\"serviceNames\":[" names "],\"success\":"    \
    "true}"
    static const struct {
        const char *json;
        const char *body;
    } pages[] = {
        {"{\"groupName\":\"G\",\"pageNo\":1,\"pageSize\":2}", NAMES("\"svc-0\",\"svc-1\"")},
        {"{\"groupName\":\"G\",\"pageNo\":2,\"pageSize\":2}", NAMES("\"svc-2\"")},
        {"{\"groupName\":\"G\",\"pageNo\":9,\"pageSize\":2}", NAMES("")},
        {"{\"groupName\":\"G\",\"pageNo\":0,\"pageSize\":1}", NAMES("\"svc-0\"")},
        {"{\"groupName\":\"G\",\"pageNo\":1,\"pageSize\":2147483647}",
         NAMES("\"svc-0\",\"svc-1\",\"svc-2\"")},
        {"{\"groupName\":\"G\"}", NAMES("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        expect_rpc(&s, conn, "ServiceListRequest", pages[i].json, pages[i].body);
    }
    expect_rpc(&s, conn, "ServiceListRequest",
               "{\"groupName\":\"no-such\",\"pageNo\":1,\"pageSize\":10}",
               "{\"resultCode\":200,\"errorCode\":0,\"count\":0,\"serviceNames\":[],\"success\":"
               "true}");
    story_end(&s);
}

/* One namespace: gRPC's "" and HTTP's default (DIFF(blank-namespace)). */
static void test_namespace__blank_and_public__are_one_and_others_are_not(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    expect_rpc(&s, conn, "InstanceRequest", REGISTER, REGISTERED);
    expect_rpc(&s, conn, "ServiceQueryRequest",
               "{\"namespace\":\"\",\"serviceName\":\"demo\",\"groupName\":\"DEFAULT_GROUP\"}",
               ANSWER("", HOST));
    expect_rpc(&s, conn, "ServiceQueryRequest",
               "{\"namespace\":\"dev\",\"serviceName\":\"demo\",\"groupName\":\"DEFAULT_GROUP\"}",
               ANSWER("", ""));
    story_end(&s);
}

/* The log takes a call and keeps it until the commit, which may be long after. */
static void test_register__log_is_stuck__is_answered_when_it_moves(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    s.log_stuck = true;
    const struct api_row *row = row_of_rpc("InstanceRequest");
    struct story_call c = {0};
    struct fail fail = {0};
    arena_init(&c.call.arena, API_ARENA_MAX);
    c.call.row = row;
    c.call.caller.conn = conn;
    assert_int_equal(row->decode_rpc(&c.call, SPAN(REGISTER), &fail), 0);
    assert_int_equal(row->admit(s.naming, &c.call, s.now, &s.out, &fail), API_LATER);
    story_turn(&s);
    assert_false(c.answered);
    s.log_stuck = false;
    story_turn(&s);
    assert_true(c.answered);
    assert_int_equal(c.call.reply.fail.code, 0);
    assert_int_equal(body_len(&c.call.reply.body), strlen(REGISTERED));
    body_close(&c.call.reply.body);
    arena_close(&c.call.arena);
    story_end(&s);
}

static void test_requests__arena_filled_to_the_brim__are_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.5.0.1");
    static const struct {
        const char *type;
        const char *json;
    } requests[] = {
        {"InstanceRequest", REGISTER},
        {"PersistentInstanceRequest", REGISTER},
        {"BatchInstanceRequest",
         "{" NAMED ",\"type\":\"batchRegisterInstance\",\"instances\":[" ONE "]}"},
        {"ServiceQueryRequest", QUERY},
        {"SubscribeServiceRequest", "{" NAMED ",\"subscribe\":true}"},
        {"ServiceListRequest", "{" NAMED ",\"pageNo\":1,\"pageSize\":1}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct answer a = call_rpc_full(&s, conn, requests[i].type, requests[i].json);
        assert_int_equal(a.err, E_TOO_LARGE);
        answer_free(&a);
    }
    story_end(&s);
}

static void test_rows__each__has_what_its_clients_need(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *reply;
        enum api_permission permission;
        enum api_shape shape;
        const char *extra;
    } want[] = {
        {"InstanceRequest", "InstanceResponse", API_NAMING_WRITE, API_SHAPE_TYPED, NULL},
        {"BatchInstanceRequest", "BatchInstanceResponse", API_NAMING_WRITE, API_SHAPE_TYPED, NULL},
        {"PersistentInstanceRequest", "InstanceResponse", API_NAMING_WRITE, API_SHAPE_TYPED, NULL},
        {"ServiceQueryRequest", "QueryServiceResponse", API_NAMING_READ, API_SHAPE_READ, NULL},
        {"SubscribeServiceRequest", "SubscribeServiceResponse", API_NAMING_READ, API_SHAPE_READ,
         NULL},
        {"ServiceListRequest", "ServiceListResponse", API_NAMING_READ, API_SHAPE_READ,
         "\"count\":0,\"serviceNames\":[]"},
    };
    size_t count = 0;
    (void)naming_rpc_rows(&count);
    assert_int_equal(count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const struct api_row *row = row_of_rpc(want[i].type);
        assert_string_equal(row->reply_type, want[i].reply);
        assert_int_equal(row->permission, want[i].permission);
        assert_int_equal(row->shape, want[i].shape);
        assert_int_equal(row->fail_extra != NULL, want[i].extra != NULL);
        assert_true(!want[i].extra || strcmp(row->fail_extra, want[i].extra) == 0);
        assert_non_null(row->decode_rpc);
        assert_non_null(row->admit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register__answers_and_is_queried_as_nacos_does),
        cmocka_unit_test(test_deregister__what_never_was__is_a_success),
        cmocka_unit_test(test_query__unknown_service__is_empty_and_echoes_the_clusters),
        cmocka_unit_test(test_query__after_a_change__meets_the_core_once),
        cmocka_unit_test(test_query__same_millisecond__stamps_grow),
        cmocka_unit_test(test_query__filters__clusters_health_and_disabled),
        cmocka_unit_test(test_persistent__outlives_its_connection),
        cmocka_unit_test(test_register__refused__has_texts_and_codes_of_nacos),
        cmocka_unit_test(test_register__persistent_into_ephemeral__is_refused),
        cmocka_unit_test(test_register__weight_out_of_range__is_refused),
        cmocka_unit_test(test_batch__empty__takes_everything_away),
        cmocka_unit_test(test_subscribe__answers_with_the_list_and_is_pushed),
        cmocka_unit_test(test_subscribe__no_naming_connection__is_refused),
        cmocka_unit_test(test_list__pages_are_sorted_and_count_all),
        cmocka_unit_test(test_namespace__blank_and_public__are_one_and_others_are_not),
        cmocka_unit_test(test_register__log_is_stuck__is_answered_when_it_moves),
        cmocka_unit_test(test_requests__arena_filled_to_the_brim__are_refused),
        cmocka_unit_test(test_rows__each__has_what_its_clients_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
