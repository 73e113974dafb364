#include "bench/scenario_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_config.h"
#include "fixture.h"

static struct fake_config server;

static int setup_command(void **state, char *command)
{
    int err = fixture_open(state, command);
    struct fixture *f = *state;
    server = (struct fake_config){.fault = FAKE_NO_FAULT};
    f->fake.on_request = fake_config_request;
    f->fake.arg = &server;
    f->options.inflight = 2;
    return err;
}

static int setup_publish(void **state)
{
    return setup_command(state, "config-publish");
}

static int setup_get(void **state)
{
    return setup_command(state, "config-get");
}

static void test_publish__each_request_has_its_own_config_and_is_read_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->errors, 0);
    assert_true(r->completed > 6);
    assert_int_equal(server.highest, 5); /* 3 connections x 2 */
    assert_int_equal((unsigned)fixture_extra(f, "read_back"), 6);
    assert_int_equal(server.queries, 6);
    assert_true(r->usage.has_server);
    assert_true(fixture_extra(f, "request_bytes") > 36);
    assert_true(fixture_extra(f, "reply_body_bytes") > 0);
}

static void test_publish__count_fills_that_many_configs(void **state)
{
    struct fixture *f = *state;
    f->options.configs = 40;
    f->options.count = 40;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    assert_int_equal(server.publishes, 40);
    assert_int_equal(server.highest, 39);
    assert_int_equal(f->scenario->report.result.completed, 40);
    assert_int_equal((unsigned)fixture_extra(f, "read_back"), 40);
}

static void test_publish__a_hot_config_is_one(void **state)
{
    struct fixture *f = *state;
    f->options.configs = 1;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    assert_int_equal(server.highest, 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_int_equal((unsigned)fixture_extra(f, "read_back"), 1);
}

static void test_publish__refusals_are_errors_with_their_text(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_REFUSES;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->completed, 0);
    assert_true(r->errors > 0);
    assert_string_equal(fail_text(&r->first_error), "resultCode 500, errorCode 500: full");
}

/* A server that answers and does not write must not look fast. */
static void test_publish__what_was_not_kept_is_an_error(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_FORGETS;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->errors, 6);
    assert_non_null(strstr(fail_text(&r->first_error), "published config 0, read back: "));
}

static void test_get__reads_what_it_published_first(void **state)
{
    struct fixture *f = *state;
    f->options.configs = 5;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(server.publishes, 5);
    assert_int_equal(r->errors, 0);
    assert_true(r->completed > 5);
    assert_true(fixture_extra(f, "reply_body_bytes") > 36);
}

static void test_get__needs_its_configs(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_REFUSES;
    assert_int_equal(scenario_config(f->scenario, &f->fail), E_INTERNAL);
    assert_string_equal(fail_text(&f->fail), "resultCode 500, errorCode 500: full");
}

static void test_get__short_contents_are_errors(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_CUTS;
    f->options.content_bytes = 500;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->completed, 0);
    assert_non_null(strstr(fail_text(&r->first_error), "expected a content of 500 bytes"));
}

static void test_get__missing_configs_are_errors(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_FORGETS;
    assert_int_equal(scenario_config(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    assert_int_equal(r->completed, 0);
    assert_non_null(strstr(fail_text(&r->first_error), "config data not exist"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_publish__each_request_has_its_own_config_and_is_read_back, setup_publish,
            fixture_close),
        cmocka_unit_test_setup_teardown(test_publish__count_fills_that_many_configs, setup_publish,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_publish__a_hot_config_is_one, setup_publish,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_publish__refusals_are_errors_with_their_text,
                                        setup_publish, fixture_close),
        cmocka_unit_test_setup_teardown(test_publish__what_was_not_kept_is_an_error, setup_publish,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_get__reads_what_it_published_first, setup_get,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_get__needs_its_configs, setup_get, fixture_close),
        cmocka_unit_test_setup_teardown(test_get__short_contents_are_errors, setup_get,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_get__missing_configs_are_errors, setup_get,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
