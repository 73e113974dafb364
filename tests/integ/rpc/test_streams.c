/* Streams: from setup to end, pushes and acks, what the core is told and when. */
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
#include "rpc/edge.h"
#include "rpc/peers.h"
#include "rpc/registry.h"
#include "rpc/stream.h"

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

static void assert_error(struct client *c, const char *code)
{
    struct client_reply r = client_ask(c, "HealthCheckRequest", "{}");
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "ErrorResponse");
    assert_non_null(strstr(r.message.json, code));
    client_reply_close(&r);
}

static void assert_healthy(struct client *c)
{
    struct client_reply r = client_ask(c, "HealthCheckRequest", "{}");
    assert_int_equal(r.status, GRPC_STATUS_OK);
    assert_string_equal(r.message.type, "HealthCheckResponse");
    client_reply_close(&r);
}

static void test_setup__after_server_check__keeps_the_id(void **state)
{
    (void)state;
    struct client_reply r = client_ask(client, "ServerCheckRequest", "{}");
    char id[96];
    snprintf(id, sizeof(id), "%s", client_json_text(r.message.json, "connectionId"));
    client_reply_close(&r);
    struct client_stream *s = client_register(client, NULL);
    assert_string_equal(rig_id(rig, 1), id);
    client_stream_close(s);
}

static void test_setup__without_server_check__registers_too(void **state)
{
    (void)state;
    struct client_stream *s = client_stream_open(client, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{\"abilityTable\":{}}"));
    assert_non_null(client_stream_next(s, CLIENT_WAIT_MS));
    assert_healthy(client);
    client_stream_close(s);
}

static void test_setup__broken__ends_the_stream_with_the_reason(void **state)
{
    (void)state;
    struct client_stream *s = client_stream_open(client, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{\"labels\":3}"));
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_INVALID_ARGUMENT);
    assert_non_null(strstr(why, "labels"));
    client_stream_close(s);
    assert_int_equal(rig_count(rig, RIG_OPENED), 0);
    assert_error(client, "301");
    s = client_register(client, NULL); /* the connection is good for another try */
    assert_healthy(client);
    client_stream_close(s);
}

static void test_setup__core_full__ends_with_unavailable(void **state)
{
    (void)state;
    rig_refuse_mail(rig, E_LIMIT);
    struct client_stream *s = client_stream_open(client, true);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{}"));
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    rig_refuse_mail(rig, 0);
    client_stream_close(s);
    assert_true(rig_wait(rig, RIG_CLOSED, 1)); /* told when there was room */
}

/* What the core must know is never lost, however busy it is. */
static void test_closed__core_full__is_told_later(void **state)
{
    (void)state;
    struct client *others[8];
    struct client_stream *streams[8];
    for (size_t i = 0; i < 8; i++) {
        others[i] = client_open(rig_port(rig), NULL);
        streams[i] = client_register(others[i], NULL);
    }
    rig_refuse_mail(rig, E_LIMIT);
    for (size_t i = 0; i < 8; i++) {
        client_cut(others[i]);
        client_stream_close(streams[i]);
        client_close(others[i]);
    }
    /* All are over for the edge before the core hears of any. */
    struct client_stream *s = client_stream_open(client, true);
    while (rpc_counters(rig_rpc(rig))->streams_open > 1) {
        assert_null(client_stream_next(s, 10));
    }
    assert_int_equal(rig_count(rig, RIG_CLOSED), 0);
    rig_refuse_mail(rig, 0);
    assert_true(rig_wait(rig, RIG_CLOSED, 8));
    assert_true(rig_wait_registered(rig, 0));
    client_stream_close(s);
}

static void test_limit__refused_connection__is_told_why(void **state)
{
    (void)state;
    struct rig *small = rig_start(&(struct rig_options){.max_total = 1});
    struct client *first = client_open(rig_port(small), NULL);
    struct client_stream *one = client_register(first, NULL);
    struct client *second = client_open(rig_port(small), NULL);
    struct client_stream *two = client_stream_open(second, true);
    assert_true(client_stream_send(two, "ConnectionSetupRequest", "{\"abilityTable\":{}}"));
    const char *why = NULL;
    assert_int_equal(client_stream_status(two, &why), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(why, "nacre.connections.max"));
    assert_error(second, "301");
    assert_healthy(first);
    client_stream_close(two);
    client_stream_close(one);
    client_close(second);
    client_close(first);
    rig_stop(small);
}

static void test_push__reaches_the_client_and_its_ack_the_core(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_push(rig, &key, 1, 7, 10);
    const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_string_equal(m->type, "NotifySubscriberRequest");
    assert_int_equal(m->headers_count, 0);
    assert_string_equal(client_json_text(m->json, "requestId"), "7");
    assert_true(client_stream_ack(s, "7"));
    assert_true(rig_wait(rig, RIG_ACKED, 1));
    assert_int_equal(rig_last_ack(rig).request_id, 7);
    assert_true(rig_last_ack(rig).ok);
    /* Go's ack (vector C14): success false, resultCode 200. */
    assert_true(client_stream_send(
        s, "NotifySubscriberResponse",
        "{\"resultCode\":200,\"errorCode\":0,\"success\":false,\"message\":\"\",\"requestId\":"
        "\"41\"}"));
    assert_true(rig_wait(rig, RIG_ACKED, 2));
    assert_true(rig_last_ack(rig).ok);
    assert_int_equal(rpc_counters(rig_rpc(rig))->pushes, 1);
    client_stream_close(s);
}

static void test_push__large__arrives_whole(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_push(rig, &key, 1, 7, 5000000);
    const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_true(strlen(m->json) > 5000000);
    client_stream_close(s);
}

static void test_push__to_unknown_connections__is_dropped_and_counted(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t keys[] = {rig_key(rig, RIG_OPENED, 1) + 1000, rig_key(rig, RIG_OPENED, 1)};
    rig_push(rig, keys, 2, 1, 0);
    assert_non_null(client_stream_next(s, CLIENT_WAIT_MS));
    assert_int_equal(rpc_counters(rig_rpc(rig))->push_drops, 1);
    client_stream_close(s);
}

#define MANY 300

/* More subscribers than two chunks of one queue, several messages: each gets each, in order. */
static void test_push__to_many__reaches_each_in_order(void **state)
{
    (void)state;
    struct client *clients[MANY];
    struct client_stream *streams[MANY];
    uint64_t keys[MANY];
    for (size_t i = 0; i < MANY; i++) {
        clients[i] = client_open(rig_port(rig), NULL);
        streams[i] = client_register(clients[i], NULL);
        keys[i] = rig_key(rig, RIG_OPENED, i + 1);
    }
    for (uint64_t id = 1; id <= 5; id++) {
        rig_push(rig, keys, MANY, id, 2000);
    }
    for (size_t i = 0; i < MANY; i++) {
        for (unsigned id = 1; id <= 5; id++) {
            const struct client_message *m = client_stream_next(streams[i], CLIENT_WAIT_MS);
            assert_non_null(m);
            assert_int_equal(strtoul(client_json_text(m->json, "requestId"), NULL, 10), id);
        }
        client_stream_close(streams[i]);
        client_close(clients[i]);
    }
    assert_true(rig_wait(rig, RIG_CLOSED, MANY));
}

static void test_end__by_the_core__has_the_status_and_the_reason(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    rig_end(rig, rig_key(rig, RIG_OPENED, 1), CONN_END_UNAVAILABLE, "an admin said so");
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_UNAVAILABLE);
    assert_string_equal(why, "an admin said so");
    assert_error(client, "301"); /* R11 */
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
}

static void test_end__waits_for_what_was_pushed_before(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    for (uint64_t id = 1; id <= 20; id++) {
        rig_push(rig, &key, 1, id, 1000);
    }
    rig_end(rig, key, CONN_END_UNAVAILABLE, "bye");
    for (int i = 0; i < 20; i++) {
        assert_non_null(client_stream_next(s, CLIENT_WAIT_MS));
    }
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    client_stream_close(s);
}

static void test_end__unary_calls_after_it__are_unregistered(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    assert_healthy(client);
    client_stream_close(s); /* reset by the client, the TCP connection stays */
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_error(client, "301");
}

static void test_second_stream__of_one_address__replaces_the_first(void **state)
{
    (void)state;
    struct client_stream *one = client_register(client, NULL);
    struct client_stream *two = client_register(client, NULL);
    const char *why = NULL;
    assert_int_equal(client_stream_status(one, &why), GRPC_STATUS_UNAVAILABLE);
    assert_non_null(strstr(why, "another stream"));
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    assert_true(rig_key(rig, RIG_OPENED, 1) != rig_key(rig, RIG_OPENED, 2));
    assert_true(rig_key(rig, RIG_CLOSED, 1) == rig_key(rig, RIG_OPENED, 1));
    char first[96];
    snprintf(first, sizeof(first), "%s", rig_id(rig, 1));
    assert_string_not_equal(first, rig_id(rig, 2));
    assert_healthy(client); /* the close of the first does not take the second with it */
    client_stream_close(one);
    client_stream_close(two);
}

static void test_stream__not_a_payload__is_ended(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    assert_true(client_stream_send_raw(s, "\xff\xff\xff\xff", 4));
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_INVALID_ARGUMENT);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
}

static void test_stream__acks_that_are_none__are_ignored(void **state)
{
    (void)state;
    struct client_stream *early = client_stream_open(client, true);
    assert_true(client_stream_ack(early, "1")); /* before the setup */
    client_stream_close(early);
    struct client_stream *s = client_register(client, NULL);
    assert_true(client_stream_send(s, "NotifySubscriberResponse", "{"));
    assert_true(client_stream_send(s, "NotifySubscriberResponse", ""));
    assert_true(client_stream_send(s, "NotifySubscriberResponse", "{\"requestId\":\"abc\"}"));
    assert_true(client_stream_send(s, "", "{}"));
    assert_true(client_stream_ack(s, "5"));
    assert_true(rig_wait(rig, RIG_ACKED, 1));
    assert_int_equal(rig_last_ack(rig).request_id, 5);
    assert_int_equal(rig_count(rig, RIG_ACKED), 1);
    assert_healthy(client);
    client_stream_close(s);
}

static void test_activity__of_calls_and_acks__is_noted(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    struct stream *own = NULL;
    registry_take(rig_rpc(rig)->registry, &key, 1, &own);
    struct peer *peer = stream_peer(own);
    atomic_store(&peer->active_ms, 1);
    assert_healthy(client);
    assert_true(atomic_load(&peer->active_ms) > 1);
    atomic_store(&peer->active_ms, 1);
    struct client_reply r = client_ask(client, "ServerCheckRequest", "{}");
    client_reply_close(&r);
    assert_true(atomic_load(&peer->active_ms) == 1); /* grpc-sdk.md 3.5: this one does not count */
    assert_true(client_stream_ack(s, "9"));
    assert_true(rig_wait(rig, RIG_ACKED, 1));
    assert_true(atomic_load(&peer->active_ms) > 1);
    stream_unref(own);
    client_stream_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_setup__after_server_check__keeps_the_id),
        TEST(test_setup__without_server_check__registers_too),
        TEST(test_setup__broken__ends_the_stream_with_the_reason),
        TEST(test_setup__core_full__ends_with_unavailable),
        TEST(test_closed__core_full__is_told_later),
        TEST(test_limit__refused_connection__is_told_why),
        TEST(test_push__reaches_the_client_and_its_ack_the_core),
        TEST(test_push__large__arrives_whole),
        TEST(test_push__to_unknown_connections__is_dropped_and_counted),
        TEST(test_push__to_many__reaches_each_in_order),
        TEST(test_end__by_the_core__has_the_status_and_the_reason),
        TEST(test_end__waits_for_what_was_pushed_before),
        TEST(test_end__unary_calls_after_it__are_unregistered),
        TEST(test_second_stream__of_one_address__replaces_the_first),
        TEST(test_stream__not_a_payload__is_ended),
        TEST(test_stream__acks_that_are_none__are_ignored),
        TEST(test_activity__of_calls_and_acks__is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
