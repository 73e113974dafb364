#include "bench/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/clock.h"
#include "fake_grpc.h"

#define NS_PER_MS UINT64_C(1000000)

struct fixture {
    struct poller *poller;
    struct fake_grpc fake;
    struct session_frames frames;
    struct session session;
    unsigned ready;
    unsigned pushed;
    unsigned lost;
    char push[64];
    char why[256];
};

static void on_ready(struct session *s)
{
    struct fixture *f = s->self;
    f->ready++;
}

static void on_push(struct session *s, struct span body, uint64_t now_ns)
{
    struct fixture *f = s->self;
    f->pushed++;
    assert_int_equal(now_ns, poller_now(f->poller));
    (void)snprintf(f->push, sizeof(f->push), "%.*s", SPAN_ARG(body));
}

static void on_lost(struct session *s, const struct fail *why)
{
    struct fixture *f = s->self;
    f->lost++;
    (void)snprintf(f->why, sizeof(f->why), "%s", fail_text(why));
}

static const struct session_ops ops = {on_ready, on_push, on_lost};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct fail fail;
    if (poller_create(&f->poller, &fail)) {
        return -1;
    }
    f->fake.negotiates = true;
    f->fake.acks_setup = true;
    fake_grpc_open(&f->fake, f->poller);
    session_frames_init(&f->frames, "naming");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    session_close(&f->session);
    fake_grpc_close(&f->fake);
    poller_destroy(f->poller);
    session_frames_close(&f->frames);
    free(f);
    return 0;
}

static void begin(struct fixture *f, bool raw)
{
    struct fail fail;
    const struct session_config config = {f->poller, f->fake.address, &f->frames, &ops, f, raw};
    assert_int_equal(session_init(&f->session, &config, &fail), 0);
}

static void open_ready(struct fixture *f)
{
    begin(f, false);
    assert_true(turn_until(f->poller, &f->ready, 1));
}

static void test_open__check_setup_ack(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    assert_int_equal(f->fake.checks, 1);
    assert_int_equal(f->fake.setups, 1);
    assert_int_equal(f->session.state, SESSION_READY);
}

/* A server that will not negotiate sends no ack: ready after the quiet time, not before. */
static void test_open__without_negotiation_waits_quietly(void **state)
{
    struct fixture *f = *state;
    f->fake.negotiates = false;
    f->fake.acks_setup = false;
    begin(f, false);
    assert_true(turn_until(f->poller, &f->fake.setups, 1));
    session_tick(&f->session, f->session.setup_ns + SESSION_QUIET_MS * NS_PER_MS - 1);
    assert_int_equal(f->ready, 0);
    session_tick(&f->session, f->session.setup_ns + SESSION_QUIET_MS * NS_PER_MS);
    assert_int_equal(f->ready, 1);
}

static void test_open__promised_ack_that_never_comes_is_a_failure(void **state)
{
    struct fixture *f = *state;
    f->fake.acks_setup = false;
    begin(f, false);
    assert_true(turn_until(f->poller, &f->fake.setups, 1));
    session_tick(&f->session, f->session.setup_ns + 1000 * NS_PER_MS);
    assert_int_equal(f->ready + f->lost, 0);
    session_tick(&f->session, f->session.begun_ns + SESSION_SETUP_MS * NS_PER_MS);
    assert_int_equal(f->lost, 1);
    assert_non_null(strstr(f->why, "SetupAckRequest"));
    session_tick(&f->session, f->session.begun_ns + 2 * SESSION_SETUP_MS * NS_PER_MS);
    assert_int_equal(f->lost, 1);
}

static void test_open__raw_is_a_connection_only(void **state)
{
    struct fixture *f = *state;
    begin(f, true);
    assert_true(turn_until(f->poller, &f->ready, 1));
    session_tick(&f->session, clock_mono_ns() + 60000 * NS_PER_MS);
    poller_turn(f->poller, clock_mono_ns() + NS_PER_MS);
    assert_int_equal(f->fake.checks + f->fake.setups + f->fake.healths, 0);
}

static void test_push__is_acknowledged_with_its_type(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    fake_grpc_push(&f->fake, "NotifySubscriberRequest", "{\"requestId\":\"41\",\"x\":1}");
    assert_true(turn_until(f->poller, &f->fake.acks, 1));
    assert_int_equal(f->pushed, 1);
    assert_string_equal(f->push, "{\"requestId\":\"41\",\"x\":1}");
    assert_string_equal(f->fake.last_ack_type, "NotifySubscriberResponse");
    assert_non_null(strstr(f->fake.last_ack_body, "\"requestId\":\"41\""));
    fake_grpc_push(&f->fake, "ClientDetectionRequest", "{\"requestId\":\"42\"}");
    assert_true(turn_until(f->poller, &f->fake.acks, 2));
    assert_string_equal(f->fake.last_ack_type, "ClientDetectionResponse");
    assert_int_equal(f->pushed, 1);
    assert_int_equal(f->session.pushes, 2);
}

/* No id, or no request: there is nothing to acknowledge. */
static void test_push__without_id_is_not_acknowledged(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    fake_grpc_push(&f->fake, "NotifySubscriberRequest", "{}");
    fake_grpc_push(&f->fake, "Request", "{\"requestId\":\"1\"}");
    fake_grpc_push(&f->fake, "SetupAckRequest", "{\"requestId\":\"1\"}");
    fake_grpc_push(&f->fake, "ClientDetectionRequest", "{\"requestId\":\"42\"}");
    assert_true(turn_until(f->poller, &f->fake.acks, 1));
    assert_non_null(strstr(f->fake.last_ack_body, "42"));
    assert_int_equal(f->ready, 1);
}

static void test_health__is_checked_after_five_silent_seconds(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    uint64_t heard_ns = f->session.heard_ns;
    session_tick(&f->session, heard_ns + SESSION_HEALTH_MS * NS_PER_MS - 1);
    assert_false(f->session.internal_busy);
    session_tick(&f->session, heard_ns + SESSION_HEALTH_MS * NS_PER_MS);
    assert_true(turn_until(f->poller, &f->fake.healths, 1));
    assert_int_equal(f->lost, 0);
}

static void test_health__refused_check_loses_the_session(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    f->fake.grpc_status = 14;
    session_tick(&f->session, f->session.heard_ns + SESSION_HEALTH_MS * NS_PER_MS);
    assert_true(turn_until(f->poller, &f->lost, 1));
    assert_string_equal(f->why, "health check: gRPC status 14: because");
}

static void test_lost__when_the_server_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    fake_grpc_end_streams(&f->fake, 14);
    assert_true(turn_until(f->poller, &f->lost, 1));
    assert_int_equal(f->session.state, SESSION_LOST);
}

static void test_lost__by_a_push_that_is_no_payload(void **state)
{
    struct fixture *f = *state;
    open_ready(f);
    fake_grpc_raw(&f->fake, span_of("\0\0\0\0\3xyz", 8));
    assert_true(turn_until(f->poller, &f->lost, 1));
    assert_non_null(strstr(f->why, "not a Payload"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open__check_setup_ack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__without_negotiation_waits_quietly, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open__promised_ack_that_never_comes_is_a_failure,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__raw_is_a_connection_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_push__is_acknowledged_with_its_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_push__without_id_is_not_acknowledged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health__is_checked_after_five_silent_seconds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_health__refused_check_loses_the_session, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lost__when_the_server_ends_the_stream, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lost__by_a_push_that_is_no_payload, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
