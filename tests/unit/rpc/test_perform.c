#include "rpc/perform.h"

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

static void set_sends_wait(unsigned count)
{
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        atomic_store(&rig_rpc(rig)->queues[i].sends_wait, count);
    }
}

static void test_push__queue_over_its_limit__drops_and_counts(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    set_sends_wait(QUEUE_SENDS_MAX);
    rig_push(rig, &key, 1, 1, 0);
    rig_accept(rig, key); /* what is no push is never dropped */
    const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_string_equal(m->type, "SetupAckRequest");
    assert_int_equal(rpc_counters(rig_rpc(rig))->push_drops, 1);
    set_sends_wait(0);
    rig_push(rig, &key, 1, 2, 0);
    m = client_stream_next(s, CLIENT_WAIT_MS);
    assert_non_null(m);
    assert_string_equal(client_json_text(m->json, "requestId"), "2");
    client_stream_close(s);
}

static void test_push__one_connection_many_times__gets_one_each(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t keys[3 * RPC_FANOUT_CHUNK];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        keys[i] = rig_key(rig, RIG_OPENED, 1);
    }
    rig_push(rig, keys, ARRAY_LEN(keys), 1, 50);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_non_null(client_stream_next(s, CLIENT_WAIT_MS));
    }
    assert_null(client_stream_next(s, 50));
    client_stream_close(s);
}

static void test_accept__of_a_closed_connection__does_not_revive_it(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_end(rig, key, CONN_END_UNAVAILABLE, "over");
    rig_accept(rig, key);
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    struct client_reply r = client_ask(client, "HealthCheckRequest", "{}");
    assert_non_null(strstr(r.message.json, "301"));
    client_reply_close(&r);
    client_stream_close(s);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    rig_accept(rig, key); /* and none at all is fine */
    rig_end(rig, key, CONN_END_EXHAUSTED, "over");
}

static void test_end__twice__keeps_the_first_status(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_end(rig, key, CONN_END_EXHAUSTED, "first");
    rig_end(rig, key, CONN_END_UNAVAILABLE, "second");
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(why, "first");
    client_stream_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_push__queue_over_its_limit__drops_and_counts),
        TEST(test_push__one_connection_many_times__gets_one_each),
        TEST(test_accept__of_a_closed_connection__does_not_revive_it),
        TEST(test_end__twice__keeps_the_first_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
