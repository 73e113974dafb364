/* Who may ask: requests before the setup, after the end, beside somebody else's setup; types that
 * nobody serves; bytes that are no Payload; setups that are none; limits of connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bad.h"
#include "base/macros.h"
#include "rig.h"

#define UNARY "/Request/request"
#define UNREGISTERED                                                                               \
    "{\"resultCode\":500,\"errorCode\":301,\"message\":\"Connection is unregistered.\","           \
    "\"success\":false}"
#define NO_HANDLER                                                                                 \
    "{\"resultCode\":500,\"errorCode\":302,\"message\":\"RequestHandler Not Found\","              \
    "\"success\":false}"
#define REGISTER                                                                                   \
    "{\"namespace\":\"n\",\"groupName\":\"G\",\"serviceName\":\"s\",\"type\":\"registerInstance\"" \
    ",\"instance\":{\"ip\":\"1.2.3.4\",\"port\":80},\"subscribe\":true}"

static struct rig *rig;

static int start(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_stop(rig);
    return 0;
}

static struct guest welcome(void)
{
    return guest_open(rig_grpc(rig), rig_http(rig));
}

static void expect(struct client *c, const char *type, const char *body, const char *reply,
                   const char *part)
{
    struct client_reply r = client_ask(c, type, body);
    assert_int_equal(r.status, GRPC_STATUS_OK);
    if (strcmp(r.message.type, reply) != 0 || !strstr(r.message.json, part)) {
        fail_msg("%s: wanted %s %s, came %s %s", type, reply, part, r.message.type, r.message.json);
    }
    client_reply_close(&r);
}

static const char *const served_types[] = {
    "InstanceRequest",     "PersistentInstanceRequest", "BatchInstanceRequest",
    "ServiceQueryRequest", "SubscribeServiceRequest",   "ServiceListRequest",
    "HealthCheckRequest",  "ConfigQueryRequest",        "ConfigPublishRequest",
    "ConfigRemoveRequest", "ConfigBatchListenRequest",
};

static void expect_unregistered(struct client *c)
{
    for (size_t i = 0; i < ARRAY_LEN(served_types); i++) {
        expect(c, served_types[i], REGISTER, "ErrorResponse", UNREGISTERED);
        expect(c, served_types[i], "{", "ErrorResponse", UNREGISTERED); /* 301 before 502 */
    }
}

static void expect_nothing_is_held(void)
{
    struct figures held = figures_read(rig_http(rig));
    assert_int_equal(held.services, 0);
    assert_int_equal(held.instances, 0);
    assert_int_equal(held.clients, 0);
    assert_int_equal(held.subscriptions, 0);
}

/* K2. */
static void test_request__before_the_setup__is_301(void **state)
{
    (void)state;
    struct client *c = client_open(rig_grpc(rig), NULL);
    expect_unregistered(c);
    expect(c, "ServerCheckRequest", "{}", "ServerCheckResponse", "\"connectionId\":\"");
    expect_unregistered(c); /* a check is no setup */
    struct client_stream *s = client_stream_open(c, true);
    expect_unregistered(c); /* nor is a stream */
    client_stream_close(s);
    client_close(c);
    expect_nothing_is_held();
}

static void test_request__after_the_stream_ended__is_301(void **state)
{
    (void)state;
    struct guest g = welcome();
    expect(g.client, "InstanceRequest", REGISTER, "InstanceResponse", "\"errorCode\":0");
    client_stream_half_close(g.stream);
    (void)client_stream_status(g.stream, NULL);
    expect_unregistered(g.client);
    guest_close(&g);
    /* The instance went with its connection. */
    uint64_t until = now_ms() + CLIENT_WAIT_MS;
    while (figures_read(rig_http(rig)).instances > 0) {
        assert_true(wait_a_little(until));
    }
}

static void test_request__after_the_stream_was_cancelled__is_301(void **state)
{
    (void)state;
    struct guest g = welcome();
    client_stream_close(g.stream);
    struct client_reply r = {0};
    uint64_t until = now_ms() + CLIENT_WAIT_MS;
    bool refused = false;
    while (!refused) {
        r = client_ask(g.client, "HealthCheckRequest", "{}");
        refused = strcmp(r.message.type, "ErrorResponse") == 0;
        client_reply_close(&r);
        assert_true(refused || wait_a_little(until));
    }
    expect_unregistered(g.client);
    g.stream = client_register(g.client, NULL); /* the same connection may begin again */
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

/* K8. */
static void test_request__beside_the_connection_that_was_set_up__is_301(void **state)
{
    (void)state;
    struct guest g = welcome();
    struct client *stranger = client_open(rig_grpc(rig), NULL);
    expect(stranger, "ServerCheckRequest", "{}", "ServerCheckResponse", "");
    for (int i = 0; i < 20; i++) {
        expect(stranger, "InstanceRequest", REGISTER, "ErrorResponse", UNREGISTERED);
        expect(g.client, "HealthCheckRequest", "{}", "HealthCheckResponse", "\"errorCode\":0");
    }
    expect_unregistered(stranger);
    /* Nor does it help to claim the other's id: no request has one (grpc-sdk.md 3.1). */
    struct client_reply r = client_ask(g.client, "ServerCheckRequest", "{}");
    char id[128];
    (void)snprintf(id, sizeof(id), "%s", client_json_text(r.message.json, "connectionId"));
    client_reply_close(&r);
    const char *const claims[] = {"connectionId", id, "connection_id", id};
    r = client_ask_headers(stranger, "InstanceRequest", REGISTER, claims, 2);
    assert_string_equal(r.message.json, UNREGISTERED);
    client_reply_close(&r);
    assert_int_equal(figures_read(rig_http(rig)).instances, 0);
    assert_true(guest_is_well(&g));
    client_close(stranger);
    guest_close(&g);
}

/* K3, K28: by type alone, whoever asks and whatever the body is. */
static void expect_types_are_refused(struct client *c)
{
    static const char *const nobodys[] = {
        "",
        "NoSuchRequest",
        "instancerequest",
        "InstanceResponse",
        "ConnectionSetupRequest",
        "NotifySubscriberRequest",
        "PushAckRequest",
        "ConfigFuzzyWatchRequest",
        "NamingFuzzyWatchRequest",
        "LockOperationRequest",
        "QueryMcpServerRequest",
        "\xff\xfe",
    };
    static const char *const of_servers[] = {
        "MemberReportRequest",     "DistroDataRequest",   "ConfigChangeClusterSyncRequest",
        "ServerLoaderInfoRequest", "ServerReloadRequest",
    };
    for (size_t i = 1; i < ARRAY_LEN(nobodys); i++) {
        expect(c, nobodys[i], "{}", "ErrorResponse", NO_HANDLER);
        expect(c, nobodys[i], "{", "ErrorResponse", NO_HANDLER); /* 302 before 502 */
    }
    expect(c, nobodys[0], "{}", "ErrorResponse", "\"errorCode\":502,\"message\":\"Invalid request");
    for (size_t i = 0; i < ARRAY_LEN(of_servers); i++) {
        char wanted[160];
        (void)snprintf(wanted, sizeof(wanted),
                       "{\"resultCode\":500,\"errorCode\":502,\"message\":\" invoke %s from sdk is "
                       "forbidden\",\"success\":false}",
                       of_servers[i]);
        expect(c, of_servers[i], "{}", "ErrorResponse", wanted);
        expect(c, of_servers[i], "{", "ErrorResponse", wanted);
    }
    char *name = expand("<129:x>");
    expect(c, name, "{}", "ErrorResponse", "payload type of 129 bytes, at most 128");
    free(name);
}

static void test_type__that_nobody_serves_here__is_302_and_of_servers_502(void **state)
{
    (void)state;
    struct client *stranger = client_open(rig_grpc(rig), NULL);
    expect_types_are_refused(stranger);
    client_close(stranger);
    struct guest g = welcome();
    expect_types_are_refused(g.client);
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

static void test_bytes__that_are_no_payload__are_502(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"", 0}, /* an empty message is a Payload, without a type */
        {"\xff\xff\xff\xff", 4},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"\x12\xff\xff\xff\xff\x0f", 6}, /* metadata of 4 GiB */
        {"\x12\x04\x1a\x7fxx", 6},       /* a type longer than the rest */
        {"\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12} /* a length of eleven bytes */,
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 8}, /* groups that do not end */
        {"\x13", 1},
    };
    (void)state;
    struct guest g = welcome();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client_reply r = client_ask_raw(g.client, UNARY, rows[i].bytes, rows[i].len);
        assert_int_equal(r.status, GRPC_STATUS_OK);
        assert_string_equal(r.message.type, "ErrorResponse");
        if (!strstr(r.message.json, "\"errorCode\":502,\"message\":\"")) {
            fail_msg("row %zu: %s", i, r.message.json);
        }
        client_reply_close(&r);
        assert_true(guest_is_well(&g));
    }
    struct client_reply r = client_ask_raw(g.client, UNARY, NULL, 0); /* no message at all */
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_non_null(strstr(r.message.json, "\"errorCode\":502"));
    client_reply_close(&r);
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

static void test_method__that_is_unknown__is_unimplemented_by_name(void **state)
{
    (void)state;
    struct guest g = welcome();
    struct client_reply r = client_ask_raw(g.client, "/Request/rekwest", "x", 1);
    assert_int_equal(r.status, GRPC_STATUS_UNIMPLEMENTED);
    assert_string_equal(r.details, "unknown method /Request/rekwest");
    client_reply_close(&r);
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

/* grpc-sdk.md 1.4: the one refusal that comes from the transport. */
static void test_message__of_11_megabytes__is_refused_and_the_connection_lives(void **state)
{
    (void)state;
    struct guest g = welcome();
    char *body = expand("{\"namespace\":\"<11000000:n>\"}");
    for (size_t i = 0; i < ARRAY_LEN(served_types); i += 3) {
        struct client_reply r = client_ask(g.client, served_types[i], body);
        assert_int_equal(r.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
        if (!strstr(r.details, "10485760")) {
            fail_msg("%s", r.details);
        }
        client_reply_close(&r);
        assert_true(guest_is_well(&g));
    }
    free(body);
    body = expand("{\"groupName\":\"G\",\"serviceName\":\"s\",\"namespace\":\"<10000000:n>\"}");
    expect(g.client, "ServiceQueryRequest", body, "QueryServiceResponse", "'namespaceId/tenant'");
    free(body);
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

/* On a stream nothing can be answered: the message ends it. */
static void test_stream__message_of_11_megabytes__ends_this_stream_only(void **state)
{
    (void)state;
    struct guest g = welcome();
    struct guest other = welcome();
    char *body = expand("{\"requestId\":\"<11000000:1>\"}");
    (void)client_stream_send(g.stream, "NotifySubscriberResponse", body);
    free(body);
    assert_int_not_equal(client_stream_status(g.stream, NULL), GRPC_STATUS_OK);
    expect(g.client, "HealthCheckRequest", "{}", "ErrorResponse", UNREGISTERED);
    assert_true(guest_is_well(&other));
    guest_close(&g);
    guest_close(&other);
}

static void test_setup__bad_body__ends_the_stream_with_the_reason(void **state)
{
    static const struct {
        const char *body;
        const char *why;
    } rows[] = {
        {"", "Invalid request"},
        {"{", "malformed JSON"},
        {"[]", "expected an object"},
        {"null", "expected an object"},
        {"\xff", "malformed JSON"},
        {"<100000:[>", "nested deeper than"},
        {"{\"clientVersion\":{}}", "field 'clientVersion': expected a string, got an object"},
        {"{\"clientVersion\":\"<1025:v>\"}", "field 'clientVersion': expected at most 1024 bytes"},
        {"{\"tenant\":[1]}", "field 'tenant'"},
        {"{\"tenant\":\"<1025:t>\"}", "field 'tenant': expected at most 1024 bytes, got 1025"},
        {"{\"labels\":\"module=naming\"}", "field 'labels': expected an object of strings"},
        {"{\"labels\":[]}", "field 'labels'"},
        {"{\"labels\":{\"module\":{}}}", "field 'labels'"},
        {"{\"labels\":{\"module\":\"<1025:m>\"}}", "field 'labels': expected at most 1024 bytes"},
        {"{\"labels\":{\"<1025:m>\":\"\"}}", "field 'labels': expected at most 1024 bytes"},
        {"{\"labels\":{<64:\"k\":\"v\",>\"l\":\"v\"}}", "field 'labels': 65 pairs, at most 64"},
    };
    (void)state;
    struct client *c = client_open(rig_grpc(rig), NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client_stream *s = client_stream_open(c, true);
        char *body = expand(rows[i].body);
        assert_true(client_stream_send(s, "ConnectionSetupRequest", body));
        free(body);
        const char *why = NULL;
        assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_INVALID_ARGUMENT);
        if (!strstr(why, rows[i].why)) {
            fail_msg("%s: wanted %s, came %s", rows[i].body, rows[i].why, why);
        }
        client_stream_close(s);
        expect(c, "HealthCheckRequest", "{}", "ErrorResponse", UNREGISTERED);
    }
    expect_nothing_is_held();
    struct guest g = {.client = c, .stream = client_register(c, NULL), .http = rig_http(rig)};
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

static void test_stream__bytes_that_are_no_payload__end_it_with_the_reason(void **state)
{
    (void)state;
    struct client *c = client_open(rig_grpc(rig), NULL);
    struct client_stream *s = client_stream_open(c, true);
    assert_true(client_stream_send_raw(s, "\xff\xff\xff\xff", 4));
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_INVALID_ARGUMENT);
    assert_string_equal(why, "the message is not a Payload");
    client_stream_close(s);
    struct guest g = {.client = c, .stream = client_register(c, NULL), .http = rig_http(rig)};
    assert_true(guest_is_well(&g));
    guest_close(&g);
}

/* Late and wrong acks are common (grpc-sdk.md 3.6): they change nothing. */
static void test_stream__acks_of_nothing__are_ignored(void **state)
{
    static const char *const acks[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"requestId\":\"\"}",
        "{\"requestId\":{}}",
        "{\"requestId\":\"-1\",\"resultCode\":200}",
        "{\"requestId\":\"99999999999999999999999999\",\"resultCode\":200}",
        "{\"requestId\":\"1\",\"resultCode\":200}",
        "{\"requestId\":1e300,\"resultCode\":{}}",
        "<100000:[>",
    };
    (void)state;
    struct client *c = client_open(rig_grpc(rig), NULL);
    struct client_stream *s = client_stream_open(c, true);
    for (size_t i = 0; i < ARRAY_LEN(acks); i++) { /* before the setup, too */
        char *body = expand(acks[i]);
        assert_true(client_stream_send(s, "NotifySubscriberResponse", body));
        free(body);
    }
    client_stream_close(s);
    struct guest g = {.client = c, .stream = client_register(c, NULL), .http = rig_http(rig)};
    for (size_t i = 0; i < ARRAY_LEN(acks); i++) {
        char *body = expand(acks[i]);
        assert_true(client_stream_send(g.stream, "NoSuchResponse", body));
        free(body);
    }
    assert_true(guest_is_well(&g));
    assert_false(client_stream_ended(g.stream, 0));
    guest_close(&g);
}

/* Try to enter a full node: the stream must end with this reason. */
static void expect_full(uint16_t grpc, const char *reason)
{
    struct client *c = client_open(grpc, NULL);
    struct client_stream *s = client_stream_open(c, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{\"abilityTable\":{}}"));
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(why, reason);
    assert_null(client_stream_next(s, 0)); /* nor was it told before that it is in */
    expect(c, "InstanceRequest", REGISTER, "ErrorResponse", UNREGISTERED);
    client_stream_close(s);
    client_close(c);
}

static void play_limit(const char *setting, const char *reason)
{
    const char *settings[] = {setting, NULL};
    struct rig *r = rig_start(settings);
    struct guest guests[3];
    for (size_t i = 0; i < 3; i++) {
        guests[i] = guest_open(rig_grpc(r), rig_http(r));
    }
    for (int i = 0; i < 5; i++) {
        expect_full(rig_grpc(r), reason);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(guest_is_well(&guests[i]));
        assert_false(client_stream_ended(guests[i].stream, 0));
    }
    guest_close(&guests[1]); /* one leaves, one comes */
    uint64_t until = now_ms() + CLIENT_WAIT_MS;
    while (figures_read(rig_http(r)).clients > 2) {
        assert_true(wait_a_little(until));
    }
    guests[1] = guest_open(rig_grpc(r), rig_http(r));
    assert_true(guest_is_well(&guests[1]));
    expect_full(rig_grpc(r), reason);
    for (size_t i = 0; i < 3; i++) {
        guest_close(&guests[i]);
    }
    rig_stop(r);
}

static void test_connections_max__one_too_many__is_sent_away_with_the_reason(void **state)
{
    (void)state;
    play_limit("nacre.connections.max=3",
               "this node holds 3 connections, its limit is 3 (nacre.connections.max)");
}

static void test_connections_max_per_ip__one_too_many__is_sent_away_with_the_reason(void **state)
{
    (void)state;
    play_limit("nacre.connections.max-per-ip=3", "address 127.0.0.1 holds 3 connections, the limit "
                                                 "is 3 (nacre.connections.max-per-ip)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_request__before_the_setup__is_301),
        TEST(test_request__after_the_stream_ended__is_301),
        TEST(test_request__after_the_stream_was_cancelled__is_301),
        TEST(test_request__beside_the_connection_that_was_set_up__is_301),
        TEST(test_type__that_nobody_serves_here__is_302_and_of_servers_502),
        TEST(test_bytes__that_are_no_payload__are_502),
        TEST(test_method__that_is_unknown__is_unimplemented_by_name),
        TEST(test_message__of_11_megabytes__is_refused_and_the_connection_lives),
        TEST(test_stream__message_of_11_megabytes__ends_this_stream_only),
        TEST(test_setup__bad_body__ends_the_stream_with_the_reason),
        TEST(test_stream__bytes_that_are_no_payload__end_it_with_the_reason),
        TEST(test_stream__acks_of_nothing__are_ignored),
        cmocka_unit_test(test_connections_max__one_too_many__is_sent_away_with_the_reason),
        cmocka_unit_test(test_connections_max_per_ip__one_too_many__is_sent_away_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
