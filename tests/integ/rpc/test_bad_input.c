/* Whatever a client or a stranger sends: a clear refusal, nothing else disturbed, the server lives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/macros.h"
#include "grpc_client.h"
#include "raw.h"
#include "rig.h"

#define HALF_OPEN 300

static struct rig *rig;
static struct client *client;
static struct client_stream *stream;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(&(struct rig_options){.handshake_timeout_ms = 1000});
    client = client_open(rig_port(rig), NULL);
    stream = client_register(client, NULL);
    return 0;
}

/* Every test ends with a client that registered before it and never noticed. */
static int teardown(void **state)
{
    (void)state;
    struct client_reply r = client_ask(client, "HealthCheckRequest", "{}");
    int bad = r.status != GRPC_STATUS_OK || strcmp(r.message.type, "HealthCheckResponse") != 0;
    client_reply_close(&r);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_push(rig, &key, 1, 123, 0);
    const struct client_message *m = client_stream_next(stream, CLIENT_WAIT_MS);
    bad = bad || !m || strcmp(client_json_text(m->json, "requestId"), "123") != 0;
    client_stream_close(stream);
    client_close(client);
    rig_stop(rig);
    return bad;
}

static void assert_502(struct client_reply r, const char *part)
{
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "ErrorResponse");
    assert_non_null(strstr(r.message.json, "\"resultCode\":500,\"errorCode\":502"));
    if (!strstr(r.message.json, part)) {
        fail_msg("%s is not in %s", part, r.message.json);
    }
    client_reply_close(&r);
}

static struct client_reply ask_bytes(const char *bytes, size_t len)
{
    return client_ask_raw(client, "/Request/request", bytes, len);
}

/* grpc-sdk.md 1.4: the one gRPC status that a known method may have. */
static void test_message_of_11_mb__is_exhausted_and_the_connection_lives(void **state)
{
    (void)state;
    char *bytes = calloc(1, 11u << 20);
    for (int i = 0; i < 3; i++) {
        struct client_reply r = ask_bytes(bytes, 11u << 20);
        assert_int_equal(r.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
        assert_non_null(strstr(r.details, "larger than max"));
        client_reply_close(&r);
    }
    free(bytes);
}

static void test_message_of_9_mb__is_served(void **state)
{
    (void)state;
    size_t len = 9u << 20;
    char *json = malloc(len + 32);
    memcpy(json, "{\"text\":\"", 9);
    memset(json + 9, 'a', len);
    memcpy(json + 9 + len, "\"}", 3);
    struct client_reply r = client_ask(client, "EchoRequest", json);
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "EchoResponse");
    assert_true(strlen(r.message.json) > len);
    client_reply_close(&r);
    free(json);
}

static void test_stream_message_of_11_mb__ends_that_stream(void **state)
{
    (void)state;
    struct client *other = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_register(other, NULL);
    char *bytes = calloc(1, 11u << 20);
    (void)client_stream_send_raw(s, bytes, 11u << 20);
    free(bytes);
    assert_int_not_equal(client_stream_status(s, NULL), GRPC_STATUS_OK);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
    client_close(other);
}

static void test_call__without_a_message__is_502(void **state)
{
    (void)state;
    assert_502(ask_bytes(NULL, 0), "names no type");
    assert_502(ask_bytes("", 0), "names no type");
}

static void test_call__not_a_payload__is_502(void **state)
{
    (void)state;
    assert_502(ask_bytes("\xff\xff\xff\xff\xff", 5), "not a Payload");
    assert_502(ask_bytes("\x12\x7f", 2), "not a Payload"); /* longer than there is */
    char random[4096];
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof(random); i++) {
        seed = seed * 1664525u + 1013904223u;
        random[i] = (char)(seed >> 24);
    }
    random[0] = '\x07'; /* no such wire type */
    assert_502(ask_bytes(random, sizeof(random)), "");
}

static void test_call__payload_without_type__is_502(void **state)
{
    (void)state;
    assert_502(client_ask(client, "", "{}"), "names no type");
}

static void test_call__over_long_type__is_502(void **state)
{
    (void)state;
    char type[300];
    memset(type, 'T', sizeof(type));
    type[sizeof(type) - 1] = '\0';
    assert_502(client_ask(client, type, "{}"), "type");
}

static void test_call__too_many_headers__is_502(void **state)
{
    (void)state;
    const char *pairs[200];
    char keys[100][8];
    for (size_t i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        pairs[2 * i] = keys[i];
        pairs[2 * i + 1] = "v";
    }
    assert_502(client_ask_headers(client, "EchoRequest", "{\"text\":\"x\"}", pairs, 100),
               "headers");
}

static void test_call__json_of_depth_100000__is_502(void **state)
{
    (void)state;
    char *json = malloc(100001 + 16);
    memcpy(json, "{\"text\":", 8);
    memset(json + 8, '[', 100000);
    json[100008] = '\0';
    assert_502(client_ask(client, "EchoRequest", json), "");
    assert_502(client_ask(client, "HealthCheckRequest", json), "");
    free(json);
}

static void test_setup__json_of_depth_100000__ends_that_stream(void **state)
{
    (void)state;
    struct client *other = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_stream_open(other, true);
    char *json = calloc(1, 100001);
    memset(json, '[', 100000);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", json));
    free(json);
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_INVALID_ARGUMENT);
    client_stream_close(s);
    client_close(other);
}

static void test_port__garbage__is_closed(void **state)
{
    (void)state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        int fd = raw_open(rig_port(rig));
        assert_true(raw_send(fd, garbage[i], strlen(garbage[i])));
        assert_true(raw_closed(fd, CLIENT_WAIT_MS));
        (void)close(fd);
    }
    /* Garbage after a proper beginning. */
    int fd = raw_open(rig_port(rig));
    assert_true(raw_hello(fd));
    char frame[64];
    memset(frame, 0x5a, sizeof(frame));
    for (int i = 0; i < 100 && raw_send(fd, frame, sizeof(frame)); i++) {
    }
    assert_true(raw_closed(fd, CLIENT_WAIT_MS));
    (void)close(fd);
}

/* The 10,000 in small: the same path, fewer descriptors. */
static void test_port__half_open_sockets__are_closed_after_the_handshake_time(void **state)
{
    (void)state;
    int fds[HALF_OPEN];
    for (size_t i = 0; i < HALF_OPEN; i++) {
        fds[i] = raw_open(rig_port(rig));
        assert_true(fds[i] >= 0);
        if (i % 2) {
            assert_true(raw_send(fds[i], "PRI * HT", 8));
        }
    }
    struct client *other = client_open(rig_port(rig), NULL);
    client_stream_close(client_register(other, NULL));
    client_close(other);
    for (size_t i = 0; i < HALF_OPEN; i++) {
        assert_true(raw_closed(fds[i], CLIENT_WAIT_MS));
        (void)close(fds[i]);
    }
}

static void test_call__after_the_connection_was_ended__is_301(void **state)
{
    (void)state;
    struct client *other = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_register(other, NULL);
    rig_end(rig, rig_key(rig, RIG_OPENED, 2), CONN_END_UNAVAILABLE, "enough");
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    struct client_reply r = client_ask(other, "EchoRequest", "{\"text\":\"x\"}");
    assert_string_equal(r.message.type, "ErrorResponse");
    assert_non_null(strstr(r.message.json, "\"errorCode\":301"));
    client_reply_close(&r);
    client_stream_close(s);
    client_close(other);
}

/* Open and reset, again and again: what HTTP/2 makes cheap for the client must stay cheap here. */
static void test_streams__opened_and_reset__leave_nothing(void **state)
{
    (void)state;
    struct client *other = client_open(rig_port(rig), NULL);
    for (int i = 0; i < 500; i++) {
        client_stream_close(client_stream_open(other, true));
    }
    client_stream_close(client_register(other, NULL));
    client_close(other);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_int_equal(rpc_counters(rig_rpc(rig))->streams_open, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_message_of_11_mb__is_exhausted_and_the_connection_lives),
        TEST(test_message_of_9_mb__is_served),
        TEST(test_stream_message_of_11_mb__ends_that_stream),
        TEST(test_call__without_a_message__is_502),
        TEST(test_call__not_a_payload__is_502),
        TEST(test_call__payload_without_type__is_502),
        TEST(test_call__over_long_type__is_502),
        TEST(test_call__too_many_headers__is_502),
        TEST(test_call__json_of_depth_100000__is_502),
        TEST(test_setup__json_of_depth_100000__ends_that_stream),
        TEST(test_port__garbage__is_closed),
        TEST(test_port__half_open_sockets__are_closed_after_the_handshake_time),
        TEST(test_call__after_the_connection_was_ended__is_301),
        TEST(test_streams__opened_and_reset__leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
