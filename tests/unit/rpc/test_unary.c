#include "rpc/unary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/edge.h"

static struct rig *rig;
static struct client *client;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    client = client_open(rig_port(rig), NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    client_close(client);
    rig_stop(rig);
    return 0;
}

static struct client_reply echo(const char *text)
{
    char json[64];
    snprintf(json, sizeof(json), "{\"text\":\"%s\"}", text);
    return client_ask(client, "EchoRequest", json);
}

/* An object that served a failure, a read and a core call starts each from nothing. */
static void test_object__used_again__keeps_nothing(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    for (int i = 0; i < 3 * RPC_ARMED * RPC_QUEUES; i++) {
        struct client_reply r = client_ask(client, i % 3 ? "FailRequest" : "ReadRequest",
                                           i % 3 == 1 ? "{" : "{\"code\":-6}");
        assert_string_equal(r.message.type, i % 3 == 0   ? "ReadResponse"
                                            : i % 3 == 1 ? "ErrorResponse"
                                                         : "FailResponse");
        client_reply_close(&r);
    }
    struct client_reply r = echo("clean");
    assert_non_null(strstr(r.message.json, "clean"));
    client_reply_close(&r);
    client_stream_close(s);
}

/* More at once than slots and spares: the rest are made and given back. */
static void test_many_at_once__more_than_are_kept__are_all_answered(void **state)
{
    (void)state;
    struct client *clients[4];
    struct client_stream *streams[4];
    static struct client_call *calls[4][700];
    for (size_t i = 0; i < 4; i++) {
        clients[i] = client_open(rig_port(rig), NULL);
        streams[i] = client_register(clients[i], NULL);
        for (size_t k = 0; k < 700; k++) {
            calls[i][k] = client_start(clients[i], "LaterRequest", "{}");
        }
    }
    assert_true(rig_wait(rig, RIG_HELD, 2800));
    assert_int_equal(rig_release(rig), 2800);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 700; k++) {
            struct client_reply r = client_finish(calls[i][k]);
            assert_int_equal(r.status, GRPC_STATUS_OK);
            client_reply_close(&r);
        }
        client_stream_close(streams[i]);
        client_close(clients[i]);
    }
    assert_true(life_wait(&rig_rpc(rig)->life, 5000));
}

static void test_core_bytes__over_the_limit__is_503_and_recovers(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        rig_rpc(rig)->queues[i].core_bytes = UNARY_CORE_BYTES_MAX;
    }
    struct client_reply r = echo("x");
    assert_string_equal(r.message.type, "EchoResponse");
    assert_non_null(strstr(r.message.json, "\"errorCode\":503"));
    client_reply_close(&r);
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        rig_rpc(rig)->queues[i].core_bytes = 0;
    }
    r = echo("x");
    assert_non_null(strstr(r.message.json, "\"errorCode\":0"));
    client_reply_close(&r);
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        assert_int_equal(rig_rpc(rig)->queues[i].core_bytes, 0);
    }
    client_stream_close(s);
}

static void test_core_stopping__is_said(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    rig_refuse_mail(rig, E_CLOSED);
    struct client_reply r = echo("x");
    assert_string_equal(r.message.type, "EchoResponse");
    assert_non_null(strstr(r.message.json, "the server is stopping"));
    client_reply_close(&r);
    rig_refuse_mail(rig, 0);
    client_stream_close(s);
}

#define SETUP_WITH_TAG                                                                             \
    "{\"clientVersion\":\"v\",\"labels\":{\"module\":\"config\","                                  \
    "\"app_Vipserver-Tag\":\"from-label\"},\"abilityTable\":{}}"

static void expect_caller(const char *const *pairs, size_t count, const char *wanted)
{
    struct client_reply r =
        client_ask_headers(client, "EchoRequest", "{\"text\":\"x\"}", pairs, count);
    assert_non_null(strstr(r.message.json, wanted));
    client_reply_close(&r);
}

/* grpc-sdk.md 5.3.1: the request's header goes before the connection's label. */
static void test_caller__tag_is_the_header_then_the_label(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, SETUP_WITH_TAG);
    const char *const tag[] = {"Vipserver-Tag", "from-header"};
    expect_caller(NULL, 0, "\"tag\":\"from-label\",\"notified\":false");
    expect_caller(tag, 1, "\"tag\":\"from-header\"");
    client_stream_close(s);
}

static void test_caller__notified_is_true_in_any_case_alone(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    const char *const java[] = {"notify", "true"};
    const char *const python[] = {"notify", "True"};
    const char *const not_python[] = {"notify", "False"};
    const char *const odd[] = {"notify", "1"};
    expect_caller(java, 1, "\"tag\":\"\",\"notified\":true");
    expect_caller(python, 1, "\"notified\":true");
    expect_caller(not_python, 1, "\"notified\":false");
    expect_caller(odd, 1, "\"notified\":false");
    client_stream_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_object__used_again__keeps_nothing),
        TEST(test_many_at_once__more_than_are_kept__are_all_answered),
        TEST(test_core_bytes__over_the_limit__is_503_and_recovers),
        TEST(test_core_stopping__is_said),
        TEST(test_caller__tag_is_the_header_then_the_label),
        TEST(test_caller__notified_is_true_in_any_case_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
