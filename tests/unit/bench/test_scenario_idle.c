#include "bench/scenario_idle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static int setup(void **state)
{
    return fixture_open(state, "idle");
}

static void test_idle__holds_and_reports_memory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_idle(f->scenario, &f->fail), 0);
    assert_int_equal(f->fake.setups, 3);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_true(fixture_extra(f, "open_s") >= 0);
    assert_true(fixture_extra(f, "rss_kb_before") > 100);
    assert_true(f->scenario->report.result.usage.elapsed_ns >= 100000000);
}

static void test_idle__without_pid_has_no_memory(void **state)
{
    struct fixture *f = *state;
    f->options.pid = 0;
    assert_int_equal(scenario_idle(f->scenario, &f->fail), 0);
    assert_true(fixture_extra(f, "rss_kb_per_connection") < 0);
}

static void test_idle__unknown_pid_is_refused_before_connecting(void **state)
{
    struct fixture *f = *state;
    f->options.pid = INT32_MAX;
    assert_int_equal(scenario_idle(f->scenario, &f->fail), E_NOT_FOUND);
    assert_int_equal(f->fake.opened, 0);
}

static struct fake_grpc *dropped;

static void drop_all(struct poll_timer *timer, uint64_t now_ns)
{
    if (dropped->setups < 3) {
        timer->at_ns = now_ns + 1000000;
        return;
    }
    fake_grpc_end_streams(dropped, 14);
}

static void test_idle__lost_connections_are_errors(void **state)
{
    struct fixture *f = *state;
    struct poll_timer timer = {.at_ns = 0, .fn = drop_all};
    dropped = &f->fake;
    f->options.warmup_s = 0.1;
    poller_know(f->poller, &timer);
    int err = scenario_idle(f->scenario, &f->fail);
    /* Lost while the last one opened, or while they were held: told either way. */
    assert_true(err == E_CLOSED || f->scenario->report.result.errors == 3);
    poller_forget(f->poller, &timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle__holds_and_reports_memory, setup, fixture_close),
        cmocka_unit_test_setup_teardown(test_idle__without_pid_has_no_memory, setup, fixture_close),
        cmocka_unit_test_setup_teardown(test_idle__unknown_pid_is_refused_before_connecting, setup,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(test_idle__lost_connections_are_errors, setup,
                                        fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
