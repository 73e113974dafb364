#include "base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT 500

/* A small generator of its own: the test is the same every time. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void test_deadlines__empty__has_none(void **state)
{
    (void)state;
    struct deadlines d = {0};
    struct deadline n = {0};
    assert_true(deadlines_next(&d) == DEADLINE_NONE);
    assert_null(deadlines_pop(&d, UINT64_MAX));
    deadline_clear(&d, &n);
    assert_false(deadline_is_set(&n));
    deadlines_close(&d);
}

static void test_deadlines_pop__takes_only_what_is_due(void **state)
{
    (void)state;
    struct deadlines d = {0};
    struct deadline a = {0};
    struct deadline b = {0};
    deadline_set(&d, &a, 20);
    deadline_set(&d, &b, 10);
    assert_int_equal(deadlines_next(&d), 10);
    assert_null(deadlines_pop(&d, 9));
    assert_ptr_equal(deadlines_pop(&d, 10), &b);
    assert_false(deadline_is_set(&b));
    assert_null(deadlines_pop(&d, 10));
    assert_true(deadline_is_set(&a));
    assert_ptr_equal(deadlines_pop(&d, 100), &a);
    deadlines_close(&d);
}

static void test_deadline_set__again__moves_it(void **state)
{
    (void)state;
    struct deadlines d = {0};
    struct deadline a = {0};
    struct deadline b = {0};
    deadline_set(&d, &a, 10);
    deadline_set(&d, &b, 20);
    deadline_set(&d, &a, 30);
    assert_int_equal(deadlines_next(&d), 20);
    deadline_set(&d, &a, 5);
    assert_int_equal(deadlines_next(&d), 5);
    assert_int_equal(d.count, 2);
    deadlines_close(&d);
}

static void test_deadlines__random_moves__come_out_in_order(void **state)
{
    (void)state;
    struct deadlines d = {0};
    static struct deadline nodes[COUNT];
    uint32_t seed = 1;
    for (int step = 0; step < 20000; step++) {
        struct deadline *n = &nodes[next_random(&seed) % COUNT];
        if (next_random(&seed) % 3 == 0) {
            deadline_clear(&d, n);
        } else {
            deadline_set(&d, n, next_random(&seed) % 1000);
        }
    }
    size_t set = 0;
    for (size_t i = 0; i < COUNT; i++) {
        set += deadline_is_set(&nodes[i]);
    }
    assert_int_equal(d.count, set);
    uint64_t before = 0;
    for (struct deadline *n = NULL; (n = deadlines_pop(&d, UINT64_MAX - 1)); set--) {
        assert_true(n->at_ms >= before);
        before = n->at_ms;
    }
    assert_int_equal(set, 0);
    deadlines_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines__empty__has_none),
        cmocka_unit_test(test_deadlines_pop__takes_only_what_is_due),
        cmocka_unit_test(test_deadline_set__again__moves_it),
        cmocka_unit_test(test_deadlines__random_moves__come_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
