#include "bench/scenario_listen.h"

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

static int setup(void **state)
{
    int err = fixture_open(state, "listen-to-notify");
    struct fixture *f = *state;
    server = (struct fake_config){.fault = FAKE_NO_FAULT};
    f->fake.on_request = fake_config_request;
    f->fake.arg = &server;
    f->options.subscribers = 4;
    f->options.configs = 2;
    f->options.interval_ms = 5;
    return err;
}

static void test_listen__every_notice_and_every_read_is_timed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_listen(f->scenario, &f->fail), 0);
    const struct load_result *r = &f->scenario->report.result;
    double changes = fixture_extra(f, "changes");
    assert_int_equal(r->errors, 0);
    assert_true(changes >= 2);
    assert_int_equal(r->completed, 2 * (uint64_t)changes); /* 2 listeners on each config */
    assert_int_equal(r->latency.count, r->completed);
    assert_true(fixture_extra(f, "sent_to_notice_p50_us") > 0);
    assert_true(fixture_extra(f, "answered_to_read_p99_us") > 0);
    assert_true(fixture_extra(f, "notice_to_read_p50_us") > 0);
    assert_true(f->fake.acks >= r->completed);
    assert_int_equal(f->fake.setups, 4 + 2);
    assert_int_equal(server.highest, 1);
}

static void test_listen__missed_notices_are_errors(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_SAYS_NONE;
    assert_int_equal(scenario_listen(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 4);
    assert_int_equal(f->scenario->report.result.completed, 0);
    assert_non_null(strstr(fail_text(&f->scenario->report.result.first_error), "missed"));
}

/* A notice before the node serves the change: the listener learns nothing new. */
static void test_listen__a_notice_without_a_change_does_not_count(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_SAYS_OLD;
    assert_int_equal(scenario_listen(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 4);
    assert_int_equal(f->scenario->report.result.completed, 0);
}

static void test_listen__refused_publish_ends_it(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_REFUSES;
    assert_int_equal(scenario_listen(f->scenario, &f->fail), E_INTERNAL);
    assert_string_equal(fail_text(&f->fail), "resultCode 500, errorCode 500: full");
}

static void test_listen__a_reply_without_md5_ends_it(void **state)
{
    struct fixture *f = *state;
    server.fault = FAKE_NO_MD5;
    assert_int_equal(scenario_listen(f->scenario, &f->fail), E_INTERNAL);
    assert_non_null(strstr(fail_text(&f->fail), "query: expected a content of ours and its md5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listen__every_notice_and_every_read_is_timed, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_listen__missed_notices_are_errors, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_listen__a_notice_without_a_change_does_not_count,
                                        setup, fixture_close),
        cmocka_unit_test_setup_teardown(test_listen__refused_publish_ends_it, setup, fixture_close),
        cmocka_unit_test_setup_teardown(test_listen__a_reply_without_md5_ends_it, setup,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
