#include "rpc/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "grpc_client.h"
#include "raw.h"
#include "rig.h"
#include "rpc/edge.h"

static struct rig *rig;
static struct client *client;

/* The times that are minutes in life. */
static int setup(void **state)
{
    (void)state;
    rig = rig_start(&(struct rig_options){.setup_ms = 100, .send_ms = 200, .linger_ms = 100});
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

static void test_stream__without_a_setup__is_ended_in_time(void **state)
{
    (void)state;
    struct client_stream *s = client_stream_open(client, true);
    const char *why = NULL;
    assert_int_equal(client_stream_status(s, &why), GRPC_STATUS_UNAVAILABLE);
    assert_non_null(strstr(why, "no ConnectionSetupRequest"));
    client_stream_close(s);
    assert_int_equal(rig_count(rig, RIG_CLOSED), 0); /* the core never knew of it */
}

static void test_stream__with_a_setup__may_be_idle(void **state)
{
    (void)state;
    struct client_stream *s = client_register(client, NULL);
    assert_false(client_stream_ended(s, 400));
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    rig_push(rig, &key, 1, 1, 0);
    assert_non_null(client_stream_next(s, CLIENT_WAIT_MS));
    assert_false(client_stream_ended(s, 400)); /* a send that was taken sets no clock */
    client_stream_close(s);
}

/* Few enough not to go over the bounds: time alone ends it. */
static void test_stream__send_is_not_taken__is_cancelled_in_time(void **state)
{
    (void)state;
    struct client *deaf =
        client_open(rig_port(rig), &(struct client_options){.small_window = true});
    struct client_stream *s = client_stream_open(deaf, false);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{}"));
    uint64_t key = rig_key(rig, RIG_OPENED, 1);
    for (uint64_t id = 1; id <= 20; id++) {
        rig_push(rig, &key, 1, id, 1u << 20);
    }
    assert_true(rig_wait(rig, RIG_CLOSED, 1));
    client_stream_close(s);
    client_close(deaf);
}

/* The end waits for a send that is not taken, but only so long. */
static void test_end__behind_a_stuck_send__is_cancelled_after_the_linger(void **state)
{
    (void)state;
    struct rig *patient = rig_start(&(struct rig_options){.linger_ms = 100});
    struct client *deaf =
        client_open(rig_port(patient), &(struct client_options){.small_window = true});
    struct client_stream *s = client_stream_open(deaf, false);
    assert_true(client_stream_send(s, "ConnectionSetupRequest", "{}"));
    uint64_t key = rig_key(patient, RIG_OPENED, 1);
    for (uint64_t id = 1; id <= 20; id++) {
        rig_push(patient, &key, 1, id, 1u << 20);
    }
    uint64_t begun_ms = clock_mono_ms();
    rig_end(patient, key, CONN_END_UNAVAILABLE, "enough");
    assert_true(rig_wait(patient, RIG_CLOSED, 1));
    assert_true(clock_mono_ms() - begun_ms < 2000);
    client_stream_close(s);
    client_close(deaf);
    rig_stop(patient);
}

static void test_half_close__before_the_setup__is_answered(void **state)
{
    (void)state;
    struct client_stream *s = client_stream_open(client, true);
    client_stream_half_close(s);
    assert_int_equal(client_stream_status(s, NULL), GRPC_STATUS_OK);
    client_stream_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stream__without_a_setup__is_ended_in_time),
        TEST(test_stream__with_a_setup__may_be_idle),
        TEST(test_stream__send_is_not_taken__is_cancelled_in_time),
        TEST(test_end__behind_a_stuck_send__is_cancelled_after_the_linger),
        TEST(test_half_close__before_the_setup__is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
