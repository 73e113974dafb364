#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

static void test_clock_mono__never_goes_back(void **state)
{
    (void)state;
    uint64_t before_ns = clock_mono_ns();
    uint64_t before_ms = clock_mono_ms();
    for (int i = 0; i < 1000; i++) {
        uint64_t now_ns = clock_mono_ns();
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
    assert_true(clock_mono_ms() >= before_ms);
}

static void test_clock_wall_ms__is_the_time_of_day(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL);
    int64_t now_ms = clock_wall_ms();
    int64_t after = (int64_t)time(NULL);
    /* time() may lag by one tick of the kernel's coarse clock. */
    assert_in_range(now_ms, (before - 1) * 1000, (after + 2) * 1000);
}

static void test_clock_now__is_both(void **state)
{
    (void)state;
    uint64_t mono_ms = clock_mono_ms();
    int64_t wall_ms = clock_wall_ms();
    struct now now = clock_now();
    assert_in_range(now.mono_ms, mono_ms, mono_ms + 60000);
    assert_in_range(now.wall_ms, wall_ms - 60000, wall_ms + 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_mono__never_goes_back),
        cmocka_unit_test(test_clock_wall_ms__is_the_time_of_day),
        cmocka_unit_test(test_clock_now__is_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
