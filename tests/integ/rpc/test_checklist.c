/* The conformance checklist of grpc-sdk.md 9, the lines that this edge decides. K10 is
 * tests/unit/conn/test_conn (virtual time), K9 and K24 are among the rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "grpc_client.h"
#include "rig.h"

/* Vector B01: a ServerCheckRequest as Java sends it, byte for byte. */
static const char B01[] = "121e1a12536572766572436865636b52657175657374420831302e302e302e39"
                          "1a2412227b2268656164657273223a7b7d2c226d6f64756c65223a22696e7465"
                          "726e616c227d";

#define STARTING                                                                                   \
    "{\"resultCode\":500,\"errorCode\":300,\"message\":\"Server is starting,please try later.\","  \
    "\"success\":false}"
#define UNREGISTERED                                                                               \
    "{\"resultCode\":500,\"errorCode\":301,\"message\":\"Connection is unregistered.\","           \
    "\"success\":false}"
#define NO_HANDLER                                                                                 \
    "{\"resultCode\":500,\"errorCode\":302,\"message\":\"RequestHandler Not Found\","              \
    "\"success\":false}"
#define HEALTHY "{\"resultCode\":200,\"errorCode\":0,\"success\":true}"

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

static void expect_from(struct client *c, const char *type, const char *body,
                        const char *reply_type, const char *json)
{
    struct client_reply r = client_ask(c, type, body);
    assert_int_equal(r.status, GRPC_STATUS_OK); /* R1 */
    assert_string_equal(r.message.type, reply_type);
    if (json) {
        assert_string_equal(r.message.json, json);
    }
    client_reply_close(&r);
}

static void expect(const char *type, const char *body, const char *reply_type, const char *json)
{
    expect_from(client, type, body, reply_type, json);
}

static size_t unhex(const char *hex, char *dst)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        dst[i] = (char)strtol(pair, NULL, 16);
    }
    return len;
}

static struct client_reply ask_b01(void)
{
    char bytes[sizeof(B01)];
    return client_ask_raw(client, "/Request/request", bytes, unhex(B01, bytes));
}

static void test_k01__server_check_on_a_fresh_connection__has_the_base_fields(void **state)
{
    (void)state;
    struct client_reply r = ask_b01();
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "ServerCheckResponse");
    char ending[64];
    snprintf(ending, sizeof(ending), "_127.0.0.1_%d", client_port(client));
    assert_non_null(strstr(client_json_text(r.message.json, "connectionId"), ending));
    char wanted[256];
    snprintf(wanted, sizeof(wanted),
             "{\"resultCode\":200,\"errorCode\":0,\"connectionId\":\"%s\","
             "\"supportAbilityNegotiation\":true,\"success\":true}",
             client_json_text(r.message.json, "connectionId"));
    assert_string_equal(r.message.json, wanted);
    client_reply_close(&r);
    expect("ServerCheckRequest", "{\"requestId\":\"\",\"module\":\"internal\"}",
           "ServerCheckResponse", NULL);
    expect("ServerCheckRequest", "{", "ServerCheckResponse", NULL); /* its body is not looked at */
}

static void test_k02__request_before_the_setup__is_301(void **state)
{
    (void)state;
    expect("EchoRequest", "{\"text\":\"x\"}", "ErrorResponse", UNREGISTERED);
    expect("HealthCheckRequest", "{}", "ErrorResponse", UNREGISTERED);
    expect("ServerCheckRequest", "{}", "ServerCheckResponse", NULL);
    expect("EchoRequest", "{\"text\":\"x\"}", "ErrorResponse", UNREGISTERED);
    expect("EchoRequest", "{", "ErrorResponse", UNREGISTERED); /* 301 comes before 502 */
}

/* Unknown, known to Nacos but not here yet, and those that travel on the stream only. */
static void test_k03__types_without_a_handler__are_302_before_and_after_the_setup(void **state)
{
    (void)state;
    static const char *const types[] = {
        "NoSuchRequest",        "ConfigQueryRequest",     "ConfigPublishRequest",
        "LockOperationRequest", "QueryMcpServerRequest",  "NamingFuzzyWatchRequest",
        "PushAckRequest",       "ConnectionSetupRequest", "serverCheckRequest",
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        expect(types[i], "{}", "ErrorResponse", NO_HANDLER);
    }
    struct client_stream *s = client_register(client, NULL);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        expect(types[i], "{}", "ErrorResponse", NO_HANDLER);
    }
    client_stream_close(s);
}

static void test_k04__setup_with_ability_table__is_acked_first(void **state)
{
    (void)state;
    struct client_stream *s = client_stream_open(client, true);
    assert_true(client_stream_send(
        s, "ConnectionSetupRequest",
        "{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"labels\":{\"source\":"
        "\"sdk\",\"module\":\"naming\",\"AppName\":\"unknown\",\"tls.enable\":\"false\"},"
        "\"abilityTable\":{},\"module\":\"internal\"}"));
    const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_string_equal(m->type, "SetupAckRequest");
    assert_string_equal(m->json, "{\"headers\":{},\"abilityTable\":{"
                                 "\"supportPersistentInstanceByGrpc\":true},\"module\":"
                                 "\"internal\"}");
    assert_int_equal(m->headers_count, 0);                              /* K30 */
    expect("HealthCheckRequest", "{}", "HealthCheckResponse", HEALTHY); /* at once: no 301 */
    client_stream_close(s);
}

static void quiet(const char *body)
{
    struct client *c = client_open(rig_port(rig), NULL);
    size_t before = rig_count(rig, RIG_OPENED);
    struct client_stream *s = client_stream_open(c, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", body));
    assert_true(rig_wait(rig, RIG_OPENED, before + 1));
    /* Whatever would come after the setup would have come before the answer of a later call. */
    uint64_t key = rig_key(rig, RIG_OPENED, before + 1);
    rig_push(rig, &key, 1, 77, 0);
    const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_string_equal(client_json_text(m->json, "requestId"), "77");
    assert_null(client_stream_next(s, 100));
    expect_from(c, "HealthCheckRequest", "{}", "HealthCheckResponse", HEALTHY);
    client_stream_close(s);
    client_close(c);
}

/* C06, C06b, C07. The list says 15 s; the next push shows at once that nothing came before it. */
static void test_k05__old_clients__hear_nothing_on_the_stream(void **state)
{
    (void)state;
    quiet("{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.0.4\",\"abilities\":{"
          "\"remoteAbility\":{\"supportRemoteConnection\":true}},\"tenant\":\"\",\"labels\":{"
          "\"source\":\"sdk\",\"module\":\"config\"},\"module\":\"internal\"}");
    quiet("{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.0.4\",\"labels\":{\"source\":"
          "\"sdk\",\"module\":\"naming\"},\"module\":\"internal\"}");
    quiet("{\"requestId\":\"\",\"module\":\"internal\",\"clientVersion\":"
          "\"Nacos-Go-Client:v2.3.5\",\"tenant\":\"\",\"labels\":{\"module\":\"naming\","
          "\"source\":\"sdk\"},\"clientAbilities\":{}}");
}

static void test_k06__setup_without_labels__registers(void **state)
{
    (void)state;
    quiet("{\"clientVersion\":\"x\"}");
}

static void test_k07__broken_body__is_502_and_the_connection_lives(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    static const char *const bodies[] = {"{", "", " ", "[]", "7", "{}x"};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct client_reply r = client_ask(client, "HealthCheckRequest", bodies[i]);
        assert_int_equal(r.status, GRPC_STATUS_OK);
        assert_string_equal(r.message.type, "ErrorResponse");
        assert_non_null(strstr(r.message.json, "\"resultCode\":500,\"errorCode\":502"));
        client_reply_close(&r);
    }
    expect("HealthCheckRequest", "{\"headers\":{},\"module\":\"internal\"}", "HealthCheckResponse",
           HEALTHY);
    client_stream_close(s);
}

static void test_k08__call_on_one_connection__stream_on_another__is_301(void **state)
{
    (void)state;
    struct client *other = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_register(other, NULL);
    expect("EchoRequest", "{\"text\":\"x\"}", "ErrorResponse", UNREGISTERED);
    expect_from(other, "EchoRequest", "{\"text\":\"x\"}", "EchoResponse", NULL);
    client_stream_close(s);
    client_close(other);
}

static void test_k27__not_ready__is_300_for_everything_and_ends_streams(void **state)
{
    (void)state;
    rig_set_ready(rig, false);
    struct client_reply r = ask_b01();
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "ErrorResponse");
    assert_string_equal(r.message.json, STARTING);
    client_reply_close(&r);
    expect("HealthCheckRequest", "{}", "ErrorResponse", STARTING);
    expect("NoSuchRequest", "{}", "ErrorResponse", STARTING);
    struct client_stream *s = client_stream_open(client, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{\"abilityTable\":{}}"));
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    client_stream_close(s);
    assert_int_equal(rig_count(rig, RIG_OPENED), 0);
    rig_set_ready(rig, true);
    s = client_register(client, NULL);
    expect("HealthCheckRequest", "{}", "HealthCheckResponse", HEALTHY);
    client_stream_close(s);
}

static void test_k28__cluster_only_types__are_502(void **state)
{
    (void)state;
    static const char *const types[] = {"MemberReportRequest", "DistroDataRequest",
                                        "ConfigChangeClusterSyncRequest", "ServerLoaderInfoRequest",
                                        "ServerReloadRequest"};
    for (int ready = 1; ready >= 0; ready--) {
        rig_set_ready(rig, ready != 0); /* this check comes first */
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
            char wanted[256];
            snprintf(wanted, sizeof(wanted),
                     "{\"resultCode\":500,\"errorCode\":502,\"message\":\" invoke %s from sdk is "
                     "forbidden\",\"success\":false}",
                     types[i]);
            expect(types[i], "{}", "ErrorResponse", wanted);
        }
    }
}

/* Through a half-close as Java does it. */
static void test_k31__half_closed_stream__is_finished_and_unregistered(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    client_stream_half_close(s);
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_OK);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_true(rig_wait_registered(rig, 0));
    expect("HealthCheckRequest", "{}", "ErrorResponse", UNREGISTERED);
    client_stream_close(s);
}

static void test_k32__second_setup_on_a_stream__is_acked_and_changes_nothing(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{\"abilityTable\":{}}"));
    const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_string_equal(m->type, "SetupAckRequest");
    assert_true(rig_key(rig, RIG_OPENED, 1) == rig_key(rig, RIG_OPENED, 2));
    assert_true(rig_wait_registered(rig, 1));
    assert_int_equal(rig_count(rig, RIG_CLOSED), 0);
    expect("HealthCheckRequest", "{}", "HealthCheckResponse", HEALTHY);
    client_stream_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_k01__server_check_on_a_fresh_connection__has_the_base_fields),
        TEST(test_k02__request_before_the_setup__is_301),
        TEST(test_k03__types_without_a_handler__are_302_before_and_after_the_setup),
        TEST(test_k04__setup_with_ability_table__is_acked_first),
        TEST(test_k05__old_clients__hear_nothing_on_the_stream),
        TEST(test_k06__setup_without_labels__registers),
        TEST(test_k07__broken_body__is_502_and_the_connection_lives),
        TEST(test_k08__call_on_one_connection__stream_on_another__is_301),
        TEST(test_k27__not_ready__is_300_for_everything_and_ends_streams),
        TEST(test_k28__cluster_only_types__are_502),
        TEST(test_k31__half_closed_stream__is_finished_and_unregistered),
        TEST(test_k32__second_setup_on_a_stream__is_acked_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
