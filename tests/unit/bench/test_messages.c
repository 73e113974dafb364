#include "bench/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_out.h"

static const struct msg_place place = {"public", "DEFAULT_GROUP", "bench"};

/* The body of a frame, to be compared; the caller closes the view. */
static struct frame_view body_of(const struct frame *f)
{
    struct frame_view view = {0};
    struct span message = {0};
    struct fail fail = {0};
    assert_int_equal(frame_message(frame_span(f), &message, &fail), 0);
    assert_int_equal(frame_view_open(message, &view, &fail), 0);
    return view;
}

static void assert_body(struct frame *f, const char *type, const char *body)
{
    struct frame_view view = body_of(f);
    char *text = strndup(view.body.data, view.body.len);
    assert_string_equal(text, body);
    free(text);
    assert_true(span_eq(view.type, span_str(type)));
    frame_view_close(&view);
    frame_close(f);
}

/* grpc-sdk.md 8.1, 8.3: the bodies of a Java client. */
static void test_internal_messages__as_java(void **state)
{
    (void)state;
    struct frame f = {0};
    msg_server_check(&f);
    assert_body(&f, "ServerCheckRequest", "{\"headers\":{},\"module\":\"internal\"}");
    msg_health_check(&f);
    assert_body(&f, "HealthCheckRequest", "{\"headers\":{},\"module\":\"internal\"}");
    msg_setup(&f, "naming");
    assert_body(&f, "ConnectionSetupRequest",
                "{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"labels\":{"
                "\"source\":\"sdk\",\"module\":\"naming\","
                "\"AppName\":\"nacre-bench\"},\"abilityTable\":{},\"module\":\"internal\"}");
    msg_ack(&f, "NotifySubscriberResponse", SPAN("9"));
    assert_body(&f, "NotifySubscriberResponse",
                "{\"resultCode\":200,\"errorCode\":0,\"requestId\":\"9\",\"success\":true}");
}

static void test_naming_messages__as_java(void **state)
{
    (void)state;
    struct frame f = {0};
    msg_instance(&f, &place, true, 3, 0x010203);
    assert_body(&f, "InstanceRequest",
                "{\"headers\":{},\"namespace\":\"public\",\"serviceName\":\"bench-0000000003\","
                "\"groupName\":\"DEFAULT_GROUP\","
                "\"type\":\"registerInstance\",\"instance\":{\"ip\":\"10.1.2.3\",\"port\":8080,"
                "\"weight\":1.0,\"healthy\":true,"
                "\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"DEFAULT\",\"metadata\":{"
                "\"rev\":\"0000000000\"},"
                "\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"
                "\"ipDeleteTimeout\":30000},"
                "\"module\":\"naming\"}");
    msg_query(&f, &place, 0);
    assert_body(&f, "ServiceQueryRequest",
                "{\"headers\":{},\"namespace\":\"public\",\"serviceName\":\"bench-0000000000\","
                "\"groupName\":\"DEFAULT_GROUP\","
                "\"cluster\":\"\",\"healthyOnly\":false,\"udpPort\":0,\"module\":\"naming\"}");
    msg_subscribe(&f, &place, 0);
    assert_body(&f, "SubscribeServiceRequest",
                "{\"headers\":{},\"namespace\":\"public\",\"serviceName\":\"bench-0000000000\","
                "\"groupName\":\"DEFAULT_GROUP\","
                "\"subscribe\":true,\"clusters\":\"\",\"module\":\"naming\"}");
}

static void test_instance__deregister_differs_by_its_type(void **state)
{
    (void)state;
    struct frame f = {0};
    msg_instance(&f, &place, false, 0, 1);
    assert_non_null(memmem(f.data, f.len, "\"type\":\"deregisterInstance\"", 27));
    frame_close(&f);
}

static void test_batch__has_all_instances(void **state)
{
    (void)state;
    struct frame f = {0};
    msg_batch(&f, &place, 7, 300);
    assert_non_null(memmem(f.data, f.len, "\"ip\":\"10.0.0.0\"", 15));
    assert_non_null(memmem(f.data, f.len, "\"ip\":\"10.0.1.43\"", 16));
    assert_null(memmem(f.data, f.len, "\"ip\":\"10.0.1.44\"", 16));
    frame_close(&f);
}

static void test_offsets__patched_numbers_come_back(void **state)
{
    (void)state;
    struct frame f = {0};
    uint64_t revision = 0;
    msg_instance(&f, &place, true, 0, 1);
    frame_patch(&f, msg_service_offset(&f, &place), 999);
    frame_patch(&f, msg_revision_offset(&f), 123456);
    assert_non_null(memmem(f.data, f.len, "\"bench-0000000999\"", 18));
    assert_true(msg_revision(frame_span(&f), &revision));
    assert_int_equal(revision, 123456);
    frame_close(&f);
}

static void test_push_fields__absent_or_cut_are_not_found(void **state)
{
    (void)state;
    uint64_t revision = 5;
    assert_false(msg_revision(SPAN("{\"hosts\":[]}"), &revision));
    assert_false(msg_revision(SPAN("{\"rev\":\"12"), &revision));
    assert_false(msg_revision(SPAN("{\"rev\":\"-1\"}"), &revision));
    assert_int_equal(revision, 5);
    assert_int_equal(msg_request_id(SPAN("{\"x\":1}")).len, 0);
    assert_true(span_eq(msg_request_id(SPAN("{\"requestId\":\"41\"}")), SPAN("41")));
}

static void test_http__register_and_beat_name_the_same_instance(void **state)
{
    (void)state;
    char text[MSG_HTTP_MAX];
    size_t len = msg_http_register(text, "localhost:8848", &place, 2, 258);
    text[len] = '\0';
    assert_string_equal(
        text, "POST "
              "/nacos/v1/ns/"
              "instance?namespaceId=public&serviceName=bench-0000000002&groupName=DEFAULT_GROUP"
              "&ip=10.0.1.2&port=8080&clusterName=DEFAULT&ephemeral=true HTTP/1.1\r\nHost: "
              "localhost:8848\r\n"
              "User-Agent: Nacos-Java-Client:v1.4.7\r\nContent-Length: 0\r\n\r\n");
    len = msg_http_beat(text, "localhost:8848", &place, 2, 258);
    text[len] = '\0';
    assert_string_equal(
        text, "PUT "
              "/nacos/v1/ns/instance/"
              "beat?namespaceId=public&serviceName=DEFAULT_GROUP%40%40bench-0000000002"
              "&ip=10.0.1.2&port=8080&clusterName=DEFAULT HTTP/1.1\r\nHost: localhost:8848\r\n"
              "User-Agent: Nacos-Java-Client:v1.4.7\r\nContent-Length: 0\r\n\r\n");
}

/* The longest names that options.c lets through must fit. */
static void test_http__longest_names_fit(void **state)
{
    (void)state;
    char name[128];
    char host[MSG_HOST_MAX];
    char text[MSG_HTTP_MAX];
    memset(name, 'n', sizeof(name));
    memset(host, 'h', sizeof(host));
    name[sizeof(name) - 1] = '\0';
    host[sizeof(host) - 1] = '\0';
    const struct msg_place longest = {name, name, name};
    assert_true(msg_http_register(text, host, &longest, UINT32_MAX, UINT32_MAX) < MSG_HTTP_MAX);
    assert_true(msg_http_beat(text, host, &longest, UINT32_MAX, UINT32_MAX) < MSG_HTTP_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_internal_messages__as_java),
        cmocka_unit_test(test_naming_messages__as_java),
        cmocka_unit_test(test_instance__deregister_differs_by_its_type),
        cmocka_unit_test(test_batch__has_all_instances),
        cmocka_unit_test(test_offsets__patched_numbers_come_back),
        cmocka_unit_test(test_push_fields__absent_or_cut_are_not_found),
        cmocka_unit_test(test_http__register_and_beat_name_the_same_instance),
        cmocka_unit_test(test_http__longest_names_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
