#include "rpc/rpc.h"

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

static void test_create__gives_a_port_and_figures(void **state)
{
    (void)state;
    const struct rpc *r = rig_rpc(rig);
    assert_true(rpc_port(r) > 0);
    assert_int_equal(rpc_counters(r)->requests, 0);
    size_t count = 0;
    assert_non_null(rpc_row_stats(r, &count));
    assert_true(count >= 2);
}

static void test_start__both_methods_are_served(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    struct client_reply r = client_ask(client, "HealthCheckRequest", "{}");
    assert_string_equal(r.message.type, "HealthCheckResponse");
    client_reply_close(&r);
    assert_int_equal(rpc_counters(rig_rpc(rig))->streams_open, 1);
    client_stream_close(s);
}

/* A call that came while the threads were not there yet is answered when they are. */
static void test_start__client_that_came_before__is_served(void **state)
{
    (void)state;
    struct rpc_options options = rig_rpc(rig)->options;
    options.port = 0;
    struct rpc *early = NULL;
    struct fail fail = {0};
    assert_int_equal(rpc_create(&options, &early, &fail), 0);
    struct client *c = client_open(rpc_port(early), NULL);
    struct client_call *call = client_start(c, "ServerCheckRequest", "{}");
    assert_int_equal(rpc_start(early, &fail), 0);
    struct client_reply r = client_finish(call);
    assert_string_equal(r.message.type, "ServerCheckResponse");
    client_reply_close(&r);
    client_close(c);
    rpc_stop(early, 1000);
    rpc_destroy(early);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create__gives_a_port_and_figures),
        TEST(test_start__both_methods_are_served),
        TEST(test_start__client_that_came_before__is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
