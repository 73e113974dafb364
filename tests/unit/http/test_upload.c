#include "http/upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/http.h"

static void test_add__pieces_in_order(void **state)
{
    (void)state;
    struct upload u = {0};
    atomic_size_t total = 0;
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(upload_add(&u, SPAN("abc"), &total, NULL), 0);
    }
    assert_int_equal(u.len, 15000);
    assert_memory_equal(u.data + 14994, "abcabc", 6);
    assert_int_equal(atomic_load(&total), u.cap);
    upload_close(&u);
    assert_int_equal(atomic_load(&total), 0);
    assert_null(u.data);
}

static void test_add__over_the_limit_of_a_body(void **state)
{
    (void)state;
    struct upload u = {0};
    atomic_size_t total = 0;
    struct fail fail = {0};
    char *all = calloc(1, HTTP_FORM_MAX);
    assert_int_equal(upload_add(&u, span_of(all, HTTP_FORM_MAX), &total, &fail), 0);
    assert_int_equal(upload_add(&u, SPAN("x"), &total, &fail), E_TOO_LARGE);
    assert_string_equal(fail_text(&fail), "the request body is over 33554432 bytes");
    assert_int_equal(u.len, HTTP_FORM_MAX);
    upload_close(&u);
    free(all);
}

static void test_add__over_the_limit_of_all__leaves_the_total_as_it_was(void **state)
{
    (void)state;
    struct upload u = {0};
    atomic_size_t total = UPLOAD_TOTAL_MAX - 100;
    struct fail fail = {0};
    assert_int_equal(upload_add(&u, SPAN("x"), &total, &fail), E_LIMIT);
    assert_int_equal(atomic_load(&total), UPLOAD_TOTAL_MAX - 100);
    upload_close(&u);
    assert_int_equal(atomic_load(&total), UPLOAD_TOTAL_MAX - 100);
}

static void test_close__of_nothing(void **state)
{
    (void)state;
    struct upload u = {0};
    upload_close(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add__pieces_in_order),
        cmocka_unit_test(test_add__over_the_limit_of_a_body),
        cmocka_unit_test(test_add__over_the_limit_of_all__leaves_the_total_as_it_was),
        cmocka_unit_test(test_close__of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
