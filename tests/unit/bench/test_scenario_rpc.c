#include "bench/scenario_rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "fixture.h"

/* What the fake server saw. */
struct seen {
    unsigned registers;
    unsigned deregisters;
    unsigned queries;
    unsigned batches;
    unsigned others;
    uint64_t revision_max;
    unsigned hosts; /* in a query's reply */
};

static struct seen seen;

static void on_request(struct fake_grpc *f, struct span type, struct span body, struct frame *reply)
{
    (void)f;
    uint64_t revision = 0;
    if (span_eq(type, SPAN("InstanceRequest"))) {
        bool reg = memmem(body.data, body.len, "\"registerInstance\"", 18) != NULL;
        seen.registers += reg;
        seen.deregisters += !reg;
        if (msg_revision(body, &revision) && revision > seen.revision_max) {
            seen.revision_max = revision;
        }
    } else if (span_eq(type, SPAN("BatchInstanceRequest"))) {
        seen.batches++;
    } else if (span_eq(type, SPAN("ServiceQueryRequest"))) {
        char text[512] = "{\"resultCode\":200,\"hosts\":[";
        for (unsigned i = 0; i < seen.hosts; i++) {
            strncat(text, "{\"ip\":\"10.0.0.1\"}", sizeof(text) - strlen(text) - 1);
        }
        seen.queries++;
        frame_build(reply, "QueryServiceResponse", span_str(text), NULL);
    } else {
        seen.others++;
    }
}

static int setup_command(void **state, char *command)
{
    int err = fixture_open(state, command);
    struct fixture *f = *state;
    seen = (struct seen){.hosts = 10};
    f->fake.on_request = on_request;
    return err;
}

static int setup_register(void **state)
{
    return setup_command(state, "register");
}

static int setup_deregister(void **state)
{
    return setup_command(state, "deregister");
}

static int setup_query(void **state)
{
    return setup_command(state, "query");
}

static int setup_raw(void **state)
{
    return setup_command(state, "raw");
}

static void test_register__every_request_is_a_change(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->errors, 0);
    assert_true(r->completed > 3);
    assert_true(seen.registers >= r->completed);
    assert_true(seen.revision_max > 0);
    assert_int_equal(f->fake.setups, 3);
    assert_true(r->usage.has_server);
    assert_true(fixture_extra(f, "request_bytes") > 300);
}

static void test_register__same_means_same(void **state)
{
    struct fixture *f = *state;
    f->options.same = true;
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    assert_true(seen.registers > 3);
    assert_int_equal(seen.revision_max, 0);
}

static void test_register__refusals_are_errors_with_their_text(void **state)
{
    struct fixture *f = *state;
    f->fake.on_request = NULL;
    f->fake.reply_body = "{\"resultCode\":500,\"errorCode\":503,\"message\":\"full\"}";
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->completed, 0);
    assert_true(r->errors > 3);
    assert_string_equal(fail_text(&r->first_error), "resultCode 500, errorCode 503: full");
}

static void drop_after_some(struct fake_grpc *f, struct span type, struct span body,
                            struct frame *reply)
{
    (void)type;
    (void)body;
    (void)reply;
    if (f->requests == 5) {
        f->silent = true;
        fake_grpc_end_streams(f, 14);
    }
}

static void test_register__lost_connections_end_it(void **state)
{
    struct fixture *f = *state;
    f->options.seconds = 600;
    f->fake.on_request = drop_after_some;
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), E_CLOSED);
    assert_non_null(strstr(fail_text(&f->fail), "all connections were lost"));
    assert_non_null(strstr(fail_text(&f->fail), "grpc-status 14"));
    assert_true(fixture_extra(f, "connections_lost") > 0);
}

static void test_deregister__alternates(void **state)
{
    struct fixture *f = *state;
    f->options.inflight = 2;
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_true(seen.registers >= seen.deregisters);
    assert_true(seen.registers - seen.deregisters <= 6);
    assert_true(seen.deregisters > 0);
}

static void test_query__registers_first_and_measures_the_reply(void **state)
{
    struct fixture *f = *state;
    f->options.services = 2;
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    assert_int_equal(seen.batches, 2);
    assert_true(seen.queries > 3);
    assert_int_equal(f->fake.setups, 4);
    assert_true(fixture_extra(f, "reply_body_bytes") > 150);
}

/* Fewer instances than were registered: five seconds of patience, then an error. */
static void test_query__missing_instances_are_an_error(void **state)
{
    struct fixture *f = *state;
    seen.hosts = 9;
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), E_INTERNAL);
    assert_string_equal(fail_text(&f->fail), "expected 10 instances in the reply, found 9");
}

static void test_raw__sends_type_and_body_without_setup(void **state)
{
    struct fixture *f = *state;
    f->options.type = "AnyRequest";
    f->options.body = "{\"a\":1}";
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    assert_true(seen.others > 3);
    assert_int_equal(f->fake.checks + f->fake.setups, 0);
}

static void test_raw__default_is_a_registration_and_setup_is_a_choice(void **state)
{
    struct fixture *f = *state;
    f->options.setup = true;
    f->options.expect = "success";
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    assert_true(seen.registers > 3);
    assert_int_equal(seen.revision_max, 0);
    assert_int_equal(f->fake.setups, 3);
    assert_int_equal(f->scenario->report.result.errors, 0);
}

static void test_raw__unexpected_reply_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->options.expect = "nonsense";
    assert_int_equal(scenario_rpc(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.completed, 0);
    assert_true(f->scenario->report.result.errors > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_register__every_request_is_a_change, setup_register,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_register__same_means_same, setup_register,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_register__refusals_are_errors_with_their_text,
                                        setup_register, fixture_close),
        cmocka_unit_test_setup_teardown(test_register__lost_connections_end_it, setup_register,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_deregister__alternates, setup_deregister,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_query__registers_first_and_measures_the_reply,
                                        setup_query, fixture_close),
        cmocka_unit_test_setup_teardown(test_query__missing_instances_are_an_error, setup_query,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_raw__sends_type_and_body_without_setup, setup_raw,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_raw__default_is_a_registration_and_setup_is_a_choice,
                                        setup_raw, fixture_close),
        cmocka_unit_test_setup_teardown(test_raw__unexpected_reply_is_an_error, setup_raw,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
