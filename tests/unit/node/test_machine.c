#include "node/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_meter__looked_at_twice_at_once__says_the_same(void **state)
{
    (void)state;
    struct cpu_meter m = {0};
    double first = cpu_meter_look(&m);
    assert_true(first >= 0 && m.at_ns > 0);
    assert_true(cpu_meter_look(&m) == first);
    m.at_ns -= 2 * (uint64_t)MACHINE_LOOK_NS; /* two seconds pass */
    m.used_ns = 0;
    assert_true(cpu_meter_look(&m) >= 0);
    assert_true(m.used_ns > 0);
}

static void test_load__is_no_less_than_nothing(void **state)
{
    (void)state;
    assert_true(machine_load() >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meter__looked_at_twice_at_once__says_the_same),
        cmocka_unit_test(test_load__is_no_less_than_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
