/* The stop, in the order of grpc-core-in-c.md 13, and starts that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "base/thread.h"
#include "grpc_client.h"
#include "rig.h"
#include "rpc/edge.h"
#include "rpc/peers.h"
#include "rpc/registry.h"

#define STREAMS 50

static struct rig *rig;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_stop(rig);
    return 0;
}

static uint64_t stop(uint32_t grace_ms)
{
    uint64_t begun_ms = clock_mono_ms();
    rig_stop_edge(rig, grace_ms);
    return clock_mono_ms() - begun_ms;
}

static void test_stop__nobody_there__is_quick(void **state)
{
    (void)state;
    assert_true(stop(10000) < 2000);
}

static void test_stop__open_streams__all_end_with_unavailable_within_the_grace(void **state)
{
    (void)state;
    struct client *clients[STREAMS];
    struct client_stream *streams[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        clients[i] = client_open(rig_port(rig), NULL);
        streams[i] = client_register(clients[i], NULL);
    }
    assert_true(stop(3000) < 5000);
    for (size_t i = 0; i < STREAMS; i++) {
        const char *why = NULL;
        assert_int_equal(client_stream_status(streams[i], &why), GRPC_STATUS_UNAVAILABLE);
        assert_string_equal(why, "this node is stopping");
        client_stream_close(streams[i]);
        client_close(clients[i]);
    }
    assert_true(rig_wait(rig, RIG_CLOSED, STREAMS));
    assert_int_equal(peers_count(rig_rpc(rig)->peers), 0);
    assert_int_equal(registry_count(rig_rpc(rig)->registry), 0);
}

/* Neither reads nor answers: the grace runs out, the rest is cancelled. */
static void test_stop__client_that_never_reads__does_not_hold_it(void **state)
{
    (void)state;
    struct client *c = client_open(rig_port(rig), &(struct client_options){.small_window = true});
    struct client_stream *s = client_stream_open(c, false);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{}"));
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    for (uint64_t id = 1; id <= 20; id++) {
        rig_push(rig, &key, 1, id, 1u << 20);
    }
    while (rpc_counters(rig_rpc(rig))->pushes < 20) {
        assert_false(client_stream_ended(s, 10)); /* they wait on the stream's queue */
    }
    uint64_t took_ms = stop(300);
    assert_true(took_ms >= 300);
    assert_true(took_ms < 5000);
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
    client_close(c);
}

static void *stopper(void *arg)
{
    rig_stop_edge(arg, 100);
    return NULL;
}

/* The core still has a call when the grace is over: the edge waits for it, because it owns the
 * call. */
static void test_stop__call_in_the_core__is_waited_for(void **state)
{
    (void)state;
    struct client *c = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_register(c, NULL);
    struct client_call *call = client_start(c, "LaterRequest", "{}");
    assert_true(rig_wait(rig, RIG_HELD, 1));
    pthread_t thread;
    assert_int_equal(thread_start(&thread, stopper, rig), 0);
    /* The stream is told at once, the call is cancelled after the grace, the stop waits. */
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_UNAVAILABLE);
    struct client_reply r = client_finish(call);
    assert_int_not_equal(r.status, GRPC_STATUS_OK);
    client_reply_close(&r);
    assert_true(atomic_load(&rig_rpc(rig)->life.held) > 0);
    assert_int_equal(rig_release(rig), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    client_stream_close(s);
    client_close(c);
}

/* The core goes on pushing to connections that are no more. */
static void test_perform__after_the_stop__does_nothing(void **state)
{
    (void)state;
    struct client *c = client_open(rig_port(rig), NULL);
    struct client_stream *s = client_register(c, NULL);
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    assert_true(stop(1000) < 5000);
    rig_push(rig, &key, 1, 1, 100);
    rig_end(rig, key, CONN_END_UNAVAILABLE, "late");
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
    client_close(c);
}

static void test_stop__under_load__loses_nobody(void **state)
{
    (void)state;
    struct client *clients[8];
    struct client_stream *streams[8];
    struct client_call *calls[8][50];
    for (size_t i = 0; i < 8; i++) {
        clients[i] = client_open(rig_port(rig), NULL);
        streams[i] = client_register(clients[i], NULL);
    }
    for (size_t k = 0; k < 50; k++) {
        for (size_t i = 0; i < 8; i++) {
            calls[i][k] = client_start(clients[i], "EchoRequest", "{\"text\":\"x\"}");
        }
    }
    assert_true(stop(2000) < 8000);
    for (size_t i = 0; i < 8; i++) {
        for (size_t k = 0; k < 50; k++) {
            struct client_reply r = client_finish(calls[i][k]);
            assert_true(r.status == GRPC_STATUS_OK || r.status == GRPC_STATUS_UNAVAILABLE ||
                        r.status == GRPC_STATUS_CANCELLED);
            client_reply_close(&r);
        }
        client_stream_close(streams[i]);
        client_close(clients[i]);
    }
    assert_true(rig_wait(rig, RIG_CLOSED, 8));
}

static void test_destroy__never_started__frees_the_port(void **state)
{
    (void)state;
    struct rpc_options options = rig_rpc(rig)->options;
    struct rpc *r = NULL;
    struct fail fail = {0};
    options.port = 0;
    assert_int_equal(rpc_create(&options, &r, &fail), 0);
    uint16_t port = rpc_port(r);
    assert_true(port > 0);
    rpc_destroy(r);
    options.port = port;
    assert_int_equal(rpc_create(&options, &r, &fail), 0);
    rpc_destroy(r);
    rpc_destroy(NULL);
}

static void test_start_and_stop__again_and_again__leaves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct rig *other = rig_start(NULL);
        struct client *c = client_open(rig_port(other), NULL);
        client_stream_close(client_register(c, NULL));
        client_close(c);
        rig_stop(other);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stop__nobody_there__is_quick),
        TEST(test_stop__open_streams__all_end_with_unavailable_within_the_grace),
        TEST(test_stop__client_that_never_reads__does_not_hold_it),
        TEST(test_stop__call_in_the_core__is_waited_for),
        TEST(test_perform__after_the_stop__does_nothing),
        TEST(test_stop__under_load__loses_nobody),
        TEST(test_destroy__never_started__frees_the_port),
        TEST(test_start_and_stop__again_and_again__leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
