#include "bench/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "bench/messages.h"
#include "fake_grpc.h"
#include "fake_socket.h"

struct fixture {
    struct poller *poller;
    struct fake_grpc fake;
    struct fleet fleet;
    unsigned pushed;
    unsigned last_index;
};

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
    fleet_init(&f->fleet, f->poller, f->fake.address, false);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fleet_close(&f->fleet);
    fake_grpc_close(&f->fake);
    poller_destroy(f->poller);
    free(f);
    return 0;
}

static void on_push(void *self, unsigned index, struct span body, uint64_t now_ns)
{
    (void)body;
    (void)now_ns;
    struct fixture *f = self;
    f->pushed++;
    f->last_index = index;
}

/* More than may be opening at once. */
static void test_open__all_become_ready(void **state)
{
    struct fixture *f = *state;
    struct fail fail = {0};
    assert_int_equal(fleet_open(&f->fleet, FLEET_OPENING_MAX + 20, &fail), 0);
    assert_int_equal(f->fleet.ready, FLEET_OPENING_MAX + 20);
    assert_int_equal(f->fake.setups, FLEET_OPENING_MAX + 20);
}

static void test_open__first_failure_is_reported(void **state)
{
    struct fixture *f = *state;
    struct fail fail = {0};
    (void)close(f->fake.listen.fd);
    assert_int_equal(fleet_open(&f->fleet, 3, &fail), E_CLOSED);
    assert_non_null(strstr(fail_text(&fail), "0 of 3 connections ready"));
    assert_non_null(strstr(fail_text(&fail), "refused"));
    unsigned port = 0;
    f->fake.listen.fd = fake_listen(&port);
}

static void test_ask__copies_the_reply(void **state)
{
    struct fixture *f = *state;
    struct fail fail = {0};
    struct frame frame = {0};
    struct bytes reply = {0};
    assert_int_equal(fleet_open(&f->fleet, 2, &fail), 0);
    msg_health_check(&frame);
    assert_int_equal(fleet_ask(&f->fleet, 1, &frame, &reply, &fail), 0);
    assert_non_null(memmem(reply.data, reply.len, "HealthCheckResponse", 19));
    assert_int_equal(f->fake.healths, 1);
    assert_int_equal(fleet_ask(&f->fleet, 1, &frame, NULL, &fail), 0);
    bytes_close(&reply);
    frame_close(&frame);
}

static void test_ask_all__reaches_everyone(void **state)
{
    struct fixture *f = *state;
    struct fail fail = {0};
    struct frame frame = {0};
    assert_int_equal(fleet_open(&f->fleet, 5, &fail), 0);
    frame_build(&frame, "AnyRequest", SPAN("{}"), NULL);
    assert_int_equal(fleet_ask_all(&f->fleet, &frame, &fail), 0);
    assert_int_equal(f->fake.requests, 5);
    f->fake.reply_body = "{\"resultCode\":500,\"errorCode\":400,\"message\":\"no\"}";
    assert_int_equal(fleet_ask_all(&f->fleet, &frame, &fail), E_INTERNAL);
    assert_string_equal(fail_text(&fail), "resultCode 500, errorCode 400: no");
    frame_close(&frame);
}

static void test_ask__on_a_lost_connection_fails(void **state)
{
    struct fixture *f = *state;
    struct fail fail = {0};
    struct frame frame = {0};
    assert_int_equal(fleet_open(&f->fleet, 1, &fail), 0);
    fake_grpc_drop(&f->fake);
    assert_true(turn_until(f->poller, &f->fleet.lost, 1));
    frame_build(&frame, "AnyRequest", SPAN("{}"), NULL);
    assert_int_equal(fleet_ask(&f->fleet, 0, &frame, NULL, &fail), E_CLOSED);
    frame_close(&frame);
}

static void test_push__says_which_session(void **state)
{
    struct fixture *f = *state;
    struct fail fail = {0};
    f->fleet.self = f;
    f->fleet.on_push = on_push;
    assert_int_equal(fleet_open(&f->fleet, 1, &fail), 0);
    f->last_index = 77;
    fake_grpc_push(&f->fake, "NotifySubscriberRequest", "{\"requestId\":\"1\"}");
    assert_true(turn_until(f->poller, &f->pushed, 1));
    assert_int_equal(f->last_index, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open__all_become_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__first_failure_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__copies_the_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask_all__reaches_everyone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ask__on_a_lost_connection_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_push__says_which_session, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
