#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/flight.h"

static void test_take__several__in_the_order_they_came(void **state)
{
    (void)state;
    struct flights f = {0};
    struct flight *a = flights_room(&f, 10, 100);
    batch_add(&a->batch, 1, SPAN("0123456789"), NULL);
    assert_ptr_equal(flights_room(&f, 10, 100), a);
    struct flight *b = flights_room(&f, 100, 100);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(flights_take(&f), a);
    assert_ptr_equal(flights_take(&f), b);
    assert_null(f.head);
    flights_add(&f, a); /* empty again, and again filled */
    flights_add(&f, b);
    assert_ptr_equal(flights_take(&f), a);
    assert_ptr_equal(flights_take(&f), b);
    flight_destroy(a);
    flight_destroy(b);
}

static void test_room__operation_larger_than_max__gets_a_flight_of_its_own(void **state)
{
    (void)state;
    struct flights f = {0};
    struct flight *a = flights_room(&f, 1000, 100);
    batch_add(&a->batch, 1, SPAN("0123456789"), NULL);
    assert_ptr_not_equal(flights_room(&f, 1000, 100), a);
    while (f.head) {
        flight_destroy(flights_take(&f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take__several__in_the_order_they_came),
        cmocka_unit_test(test_room__operation_larger_than_max__gets_a_flight_of_its_own),
    };
    return cmocka_run_group_tests_name("consensus.flight", tests, NULL, NULL);
}
