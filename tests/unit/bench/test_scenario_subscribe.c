#include "bench/scenario_subscribe.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"

enum behaviour { PUSHES, LATE, MERGES, SILENT, REFUSES };

static enum behaviour behaviour;
static uint64_t pushed_revision;

/* Pushes a registration to all streams at once: before its answer, since that is written later in
 * the same turn. */
static void on_request(struct fake_grpc *f, struct span type, struct span body, struct frame *reply)
{
    uint64_t revision = 0;
    char push[128];
    if (!span_eq(type, SPAN("InstanceRequest")) || !msg_revision(body, &revision)) {
        return;
    }
    if (behaviour == REFUSES) {
        frame_build(reply, "InstanceResponse",
                    SPAN("{\"resultCode\":500,\"errorCode\":400,\"message\":\"no\"}"), NULL);
        return;
    }
    if (behaviour == SILENT) {
        return;
    }
    pushed_revision = behaviour == MERGES ? revision + 1 : revision;
    if (behaviour == LATE) {
        /* First what was there before: a push that does not show the change yet. */
        fake_grpc_push(f, "NotifySubscriberRequest", "{\"requestId\":\"1\",\"hosts\":[]}");
        fake_grpc_push(f, "NotifySubscriberRequest",
                       "{\"requestId\":\"2\",\"rev\":\"0000000000\"}");
    }
    (void)snprintf(push, sizeof(push), "{\"requestId\":\"9\",\"rev\":\"%010u\"}",
                   (unsigned)pushed_revision);
    fake_grpc_push(f, "NotifySubscriberRequest", push);
}

static int setup(void **state)
{
    int err = fixture_open(state, "subscribe");
    struct fixture *f = *state;
    behaviour = PUSHES;
    f->fake.on_request = on_request;
    f->options.subscribers = 4;
    f->options.interval_ms = 5;
    return err;
}

static void test_subscribe__every_push_of_every_change_is_timed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_subscribe(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    double changes = fixture_extra(f, "changes");
    assert_int_equal(r->errors, 0);
    assert_true(changes >= 1);
    assert_int_equal(r->completed, 4 * (uint64_t)changes);
    assert_int_equal(r->latency.count, r->completed);
    assert_true(fixture_extra(f, "sent_to_push_p50_us") > 0);
    assert_true(fixture_extra(f, "sent_to_last_push_max_us") >=
                fixture_extra(f, "sent_to_last_push_p50_us") * 0.98);
    assert_true(f->fake.acks >= r->completed);
}

static void test_subscribe__pushes_of_earlier_states_do_not_count(void **state)
{
    struct fixture *f = *state;
    behaviour = LATE;
    assert_int_equal(scenario_subscribe(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_int_equal(f->scenario->report.result.completed,
                     4 * (uint64_t)fixture_extra(f, "changes"));
}

static void test_subscribe__a_later_revision_counts(void **state)
{
    struct fixture *f = *state;
    behaviour = MERGES;
    assert_int_equal(scenario_subscribe(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_true(f->scenario->report.result.completed > 0);
}

/* The fake publishes and pushes: what goes to another node does not reach it. */
static void test_subscribe__the_publisher_has_a_node_of_its_own(void **state)
{
    struct fixture *f = *state;
    const struct sockaddr_in *fake =
        (const struct sockaddr_in *)(const void *)f->fake.address->ai_addr;
    f->options.publish_port = ntohs(fake->sin_port);
    assert_int_equal(scenario_subscribe(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    f->options.publish_port = 1; /* nobody is there */
    assert_int_not_equal(scenario_subscribe(f->scenario, &f->fail), 0);
}

static void test_subscribe__missed_pushes_are_errors(void **state)
{
    struct fixture *f = *state;
    behaviour = SILENT;
    assert_int_equal(scenario_subscribe(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 4);
    assert_int_equal(f->scenario->report.result.completed, 0);
    assert_non_null(strstr(fail_text(&f->scenario->report.result.first_error), "missed"));
}

static void test_subscribe__refused_registration_ends_it(void **state)
{
    struct fixture *f = *state;
    behaviour = REFUSES;
    assert_int_equal(scenario_subscribe(f->scenario, &f->fail), E_INTERNAL);
    assert_string_equal(fail_text(&f->fail), "register: resultCode 500, errorCode 400: no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_subscribe__every_push_of_every_change_is_timed, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_subscribe__pushes_of_earlier_states_do_not_count,
                                        setup, fixture_close),
        cmocka_unit_test_setup_teardown(test_subscribe__a_later_revision_counts, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_subscribe__the_publisher_has_a_node_of_its_own, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_subscribe__missed_pushes_are_errors, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_subscribe__refused_registration_ends_it, setup,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
