/* Unary calls: the order of checks, who the caller is, shapes of failures, answers from the edge
 * and from the core. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc_client.h"
#include "rig.h"

static struct rig *rig;
static struct client *client;
static struct client_stream *stream;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    client = client_open(rig_port(rig), NULL);
    stream = client_register(client, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_stream_close(stream);
    client_close(client);
    rig_stop(rig);
    return 0;
}

static void expect(const char *type, const char *body, const char *reply_type, const char *part)
{
    struct client_reply r = client_ask(client, type, body);
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, reply_type);
    if (!strstr(r.message.json, part)) {
        fail_msg("%s is not in %s", part, r.message.json);
    }
    assert_int_equal(r.message.headers_count, 0); /* R6, K30 */
    assert_string_equal(r.message.client_ip, "");
    client_reply_close(&r);
}

static void test_call__of_the_core__is_answered_with_the_caller_known(void **state)
{
    (void)state;
    struct client_reply r = client_ask(client, "EchoRequest", "{\"text\":\"hello\"}");
    assert_string_equal(r.message.type, "EchoResponse");
    char wanted[256];
    snprintf(wanted, sizeof(wanted),
             "\"text\":\"hello\",\"conn\":\"%s\",\"ip\":\"127.0.0.1\",\"clientIp\":\"10.0.0.9\","
             "\"app\":\"unknown\",\"agent\":\"Nacos-Java-Client:v2.5.1\",\"port\":%d",
             rig_id(rig, 1), client_port(client));
    assert_non_null(strstr(r.message.json, wanted));
    client_reply_close(&r);
}

static void test_call__header_app__wins_over_the_setup(void **state)
{
    (void)state;
    const char *const headers[] = {"app", "shop", "notify", "false"};
    struct client_reply r =
        client_ask_headers(client, "EchoRequest", "{\"text\":\"x\"}", headers, 2);
    assert_non_null(strstr(r.message.json, "\"app\":\"shop\""));
    client_reply_close(&r);
}

static void test_call__that_can_be_read__never_meets_the_core(void **state)
{
    (void)state;
    rig_refuse_mail(rig, E_CLOSED);
    expect("ReadRequest", "{}", "ReadResponse", "\"read\":true");
    rig_refuse_mail(rig, 0);
}

static void test_call__with_a_stale_view__goes_to_the_core(void **state)
{
    (void)state;
    expect("StaleRequest", "{\"text\":\"t\"}", "StaleResponse", "\"text\":\"t\"");
}

static void test_call__large_answer__arrives_whole(void **state)
{
    (void)state;
    struct client_reply r = client_ask(client, "ReadRequest", "{\"pad\":3000000}");
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_true(strlen(r.message.json) > 3000000);
    client_reply_close(&r);
}

/* R3: business failures are typed and carry the row's extra members. */
static void test_failure__of_a_handler__is_typed(void **state)
{
    (void)state;
    expect("FailRequest", "{\"code\":-2}", "FailResponse",
           "{\"resultCode\":500,\"errorCode\":400,\"message\":\"went wrong\",\"count\":0,"
           "\"success\":false}");
    expect("EchoRequest", "{}", "EchoResponse", "\"errorCode\":400");
}

/* grpc-sdk.md 1.4: Go would take a typed internal failure of a read for an empty list. */
static void test_failure__internal_of_a_read__is_an_error_response(void **state)
{
    (void)state;
    expect("FailReadRequest", "{\"code\":-14}", "ErrorResponse", "\"errorCode\":500");
    expect("FailReadRequest", "{\"code\":-6}", "FailReadResponse", "\"errorCode\":403");
}

static void test_failure__broken_body__is_502(void **state)
{
    (void)state;
    expect("EchoRequest", "{", "ErrorResponse", "\"errorCode\":502");
    expect("EchoRequest", "", "ErrorResponse", "\"errorCode\":502");
    expect("EchoRequest", "{\"text\":{}}", "ErrorResponse", "\"errorCode\":502");
    expect("EchoRequest", "{\"text\":\"fine\"}", "EchoResponse", "fine");
}

static void test_core_full__is_a_typed_503(void **state)
{
    (void)state;
    rig_refuse_mail(rig, E_LIMIT);
    expect("EchoRequest", "{\"text\":\"x\"}", "EchoResponse", "\"errorCode\":503");
    rig_refuse_mail(rig, 0);
    expect("EchoRequest", "{\"text\":\"x\"}", "EchoResponse", "\"errorCode\":0");
}

static void test_permission__administration__is_refused_without_a_hook(void **state)
{
    (void)state;
    expect("AdminRequest", "{}", "AdminResponse", "\"errorCode\":403");
}

static int nobody(void *self, const struct api_call *call, struct fail *fail)
{
    (void)self;
    assert_non_null(call->msg); /* what is asked for is known */
    return fail_set(fail, E_FORBIDDEN, "user not found!");
}

static void test_permission__hook_decides__after_decoding(void **state)
{
    (void)state;
    struct rig *guarded = rig_start(&(struct rig_options){.permit = nobody});
    struct client *c = client_open(rig_port(guarded), NULL);
    struct client_stream *s = client_register(c, NULL);
    struct client_reply r = client_ask(c, "ReadRequest", "{}");
    assert_string_equal(r.message.type, "ReadResponse");
    assert_non_null(strstr(r.message.json, "\"errorCode\":403,\"message\":\"user not found!\""));
    client_reply_close(&r);
    r = client_ask(c, "HealthCheckRequest", "{}"); /* needs no permission */
    assert_string_equal(r.message.type, "HealthCheckResponse");
    client_reply_close(&r);
    client_stream_close(s);
    client_close(c);
    rig_stop(guarded);
}

/* The Go SDK stays where it is healthy, and 3xx is healthy to it (grpc-sdk.md 3.7). */
static void test_health__of_a_node_that_leaves__fails_but_not_with_3xx(void **state)
{
    (void)state;
    struct rig *old = rig_start(NULL);
    struct client *c = client_open(rig_port(old), NULL);
    struct client_stream *s = client_register(c, NULL);
    rig_set_leaving(old);
    struct client_reply r = client_ask(c, "HealthCheckRequest", "{}");
    assert_string_equal(r.message.type, "ErrorResponse");
    assert_non_null(
        strstr(r.message.json, "\"errorCode\":500,\"message\":\"this node is stopping"));
    client_reply_close(&r);
    r = client_ask(c, "EchoRequest", "{\"text\":\"x\"}"); /* everything else is served */
    assert_string_equal(r.message.type, "EchoResponse");
    client_reply_close(&r);
    client_stream_close(s);
    client_close(c);
    rig_stop(old);
}

static void test_late_answers__come_back_each_to_its_own_call(void **state)
{
    (void)state;
    struct client_call *calls[200];
    for (size_t i = 0; i < 200; i++) {
        calls[i] = client_start(client, "LaterRequest", "{}");
    }
    assert_true(rig_wait(rig, RIG_HELD, 200));
    expect("ReadRequest", "{}", "ReadResponse", "read");
    assert_int_equal(rig_release(rig), 200);
    for (size_t i = 0; i < 200; i++) {
        struct client_reply r = client_finish(calls[i]);
        assert_int_equal(r.status, GRPC_STATUS_OK);
        assert_string_equal(r.message.type, "LaterResponse");
        client_reply_close(&r);
    }
}

static void test_figures__count_by_type(void **state)
{
    (void)state;
    expect("ReadRequest", "{}", "ReadResponse", "read");
    expect("FailRequest", "{\"code\":-2}", "FailResponse", "400");
    size_t count = 0;
    const struct rpc_row_stats *stats = rpc_row_stats(rig_rpc(rig), &count);
    bool seen = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stats[i].type, "ReadRequest") == 0) {
            seen = true;
            assert_int_equal(stats[i].ok, 1);
            assert_int_equal(stats[i].failed, 0);
            assert_true(stats[i].nanos > 0);
        }
        if (strcmp(stats[i].type, "FailRequest") == 0) {
            assert_int_equal(stats[i].failed, 1);
        }
    }
    assert_true(seen);
    assert_true(rpc_counters(rig_rpc(rig))->requests >= 3);
    assert_int_equal(rpc_counters(rig_rpc(rig))->failures, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call__of_the_core__is_answered_with_the_caller_known),
        TEST(test_call__header_app__wins_over_the_setup),
        TEST(test_call__that_can_be_read__never_meets_the_core),
        TEST(test_call__with_a_stale_view__goes_to_the_core),
        TEST(test_call__large_answer__arrives_whole),
        TEST(test_failure__of_a_handler__is_typed),
        TEST(test_failure__internal_of_a_read__is_an_error_response),
        TEST(test_failure__broken_body__is_502),
        TEST(test_core_full__is_a_typed_503),
        TEST(test_permission__administration__is_refused_without_a_hook),
        TEST(test_permission__hook_decides__after_decoding),
        TEST(test_health__of_a_node_that_leaves__fails_but_not_with_3xx),
        TEST(test_late_answers__come_back_each_to_its_own_call),
        TEST(test_figures__count_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
