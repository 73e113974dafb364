#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = calloc(2, sizeof(struct histogram));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_quantile__empty_is_zero(void **state)
{
    const struct histogram *h = *state;
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    assert_int_equal(histogram_quantile(h, 1), 0);
    assert_true(histogram_mean(h) <= 0);
}

static void test_quantile__small_values_are_exact(void **state)
{
    struct histogram *h = *state;
    for (uint64_t v = 1; v <= 100; v++) {
        histogram_add(h, v);
    }
    assert_int_equal(histogram_quantile(h, 0), 1);
    assert_int_equal(histogram_quantile(h, 0.01), 1);
    assert_int_equal(histogram_quantile(h, 0.5), 50);
    assert_int_equal(histogram_quantile(h, 0.99), 99);
    assert_int_equal(histogram_quantile(h, 1), 100);
    assert_int_equal(h->count, 100);
    assert_true(histogram_mean(h) > 50.4 && histogram_mean(h) < 50.6);
}

/* The promise of the header, over the whole range: never below the value, at most 1/64 above it. */
static void test_quantile__error_is_bounded_everywhere(void **state)
{
    struct histogram *h = *state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t part = 0; part < 8; part++) {
            uint64_t value = (UINT64_C(1) << bit) + (UINT64_C(1) << bit) / 8 * part;
            memset(h, 0, sizeof(*h));
            histogram_add(h, value);
            histogram_add(h, UINT64_MAX);
            uint64_t found = histogram_quantile(h, 0.5);
            assert_true(found >= value);
            assert_true(found - value <= value / 64);
        }
    }
}

static void test_quantile__never_above_the_maximum(void **state)
{
    struct histogram *h = *state;
    histogram_add(h, 1000001);
    assert_int_equal(histogram_quantile(h, 0.999), 1000001);
    assert_int_equal(h->min, 1000001);
    assert_int_equal(h->max, 1000001);
}

static void test_quantile__one_slow_in_a_thousand_is_in_the_tail_only(void **state)
{
    struct histogram *h = *state;
    for (unsigned i = 0; i < 999; i++) {
        histogram_add(h, 50);
    }
    histogram_add(h, 5000000);
    assert_int_equal(histogram_quantile(h, 0.999), 50);
    assert_int_equal(histogram_quantile(h, 0.9995), 5000000);
}

static void test_merge__is_as_if_added_to_one(void **state)
{
    struct histogram *h = *state;
    struct histogram *other = h + 1;
    histogram_add(h, 10);
    histogram_add(other, 5);
    histogram_add(other, 70000);
    histogram_merge(h, other);
    assert_int_equal(h->count, 3);
    assert_int_equal(h->min, 5);
    assert_int_equal(h->max, 70000);
    assert_int_equal(histogram_quantile(h, 0.5), 10);
    memset(other, 0, sizeof(*other));
    histogram_merge(h, other);
    assert_int_equal(h->min, 5);
    histogram_merge(other, h);
    assert_int_equal(other->min, 5);
    assert_int_equal(other->count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_quantile__empty_is_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quantile__small_values_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quantile__error_is_bounded_everywhere, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_quantile__never_above_the_maximum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quantile__one_slow_in_a_thousand_is_in_the_tail_only,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_merge__is_as_if_added_to_one, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
