#include "api/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct api_param list[] = {
    {{"a", 1}, {"first", 5}},    {{"a", 1}, {"second", 6}},
    {{"empty", 5}, {"", 0}},     {{"null", 4}, {NULL, 0}},
    {{"blank", 5}, {" \t ", 3}}, {{"pad", 3}, {"  v ", 4}},
    {{"n", 1}, {"42", 2}},       {{"neg", 3}, {" -7 ", 4}},
    {{"hex", 3}, {"0x10", 4}},   {{"big", 3}, {"99999999999999999999", 20}},
    {{"w", 1}, {"1.5", 3}},      {{"nan", 3}, {"NaN", 3}},
    {{"yes", 3}, {"Yes", 3}},    {{"t", 1}, {"T", 1}},
    {{"y", 1}, {"y", 1}},        {{"on", 2}, {" ON ", 4}},
    {{"true", 4}, {"tRue", 4}},  {{"one", 3}, {"1", 1}},
    {{"no", 2}, {"no", 2}},
};
static const struct api_param headers[] = {{{"app", 3}, {"shop", 4}}};
static const struct api_params p = {
    .list = list,
    .count = sizeof(list) / sizeof(list[0]),
    .headers = headers,
    .headers_count = 1,
};

static void test_get__the_first_value_wins(void **state)
{
    (void)state;
    assert_true(span_eq(params_get(&p, "a"), SPAN("first")));
}

static void test_get__absent_and_empty_differ(void **state)
{
    (void)state;
    assert_null(params_get(&p, "none").data);
    assert_non_null(params_get(&p, "empty").data);
    assert_int_equal(params_get(&p, "empty").len, 0);
    assert_non_null(params_get(&p, "null").data);
    assert_null(params_get(&p, "A").data);
    assert_null(params_get(&p, "").data);
}

static void test_get__is_not_trimmed(void **state)
{
    (void)state;
    assert_true(span_eq(params_get(&p, "pad"), SPAN("  v ")));
}

static void test_or__blank_is_absent_and_the_rest_is_trimmed(void **state)
{
    (void)state;
    assert_true(span_eq(params_or(&p, "none", SPAN("d")), SPAN("d")));
    assert_true(span_eq(params_or(&p, "empty", SPAN("d")), SPAN("d")));
    assert_true(span_eq(params_or(&p, "blank", SPAN("d")), SPAN("d")));
    assert_true(span_eq(params_or(&p, "pad", SPAN("d")), SPAN("v")));
}

static void test_header__by_its_lower_case_name(void **state)
{
    (void)state;
    assert_true(span_eq(params_header(&p, "app"), SPAN("shop")));
    assert_null(params_header(&p, "user-agent").data);
}

static void test_require__absent_or_blank__names_the_parameter(void **state)
{
    (void)state;
    struct span value = SPAN("kept");
    struct fail fail = {0};
    assert_int_equal(params_require(&p, "none", &value, &fail), E_MISSING);
    assert_string_equal(fail_text(&fail), "Param 'none' is required.");
    assert_int_equal(params_require(&p, "blank", &value, &fail), E_MISSING);
    assert_string_equal(fail_text(&fail), "Param 'blank' is required.");
    assert_true(span_eq(value, SPAN("kept")));
    assert_int_equal(params_require(&p, "pad", &value, &fail), 0);
    assert_true(span_eq(value, SPAN("v")));
}

static bool read_bool(const char *name, bool dflt)
{
    params_bool(&p, name, &dflt);
    return dflt;
}

static void test_bool__the_helpers_words(void **state)
{
    (void)state;
    assert_true(read_bool("yes", false));
    assert_true(read_bool("t", false));
    assert_true(read_bool("y", false));
    assert_true(read_bool("on", false));
    assert_true(read_bool("true", false));
    assert_false(read_bool("no", true));
    /* The helper knows no numbers: 1 is some other text, so it is false. */
    assert_false(read_bool("one", true));
    assert_false(read_bool("a", true));
}

static void test_bool__absent_or_blank__keeps_the_default(void **state)
{
    (void)state;
    assert_true(read_bool("none", true));
    assert_false(read_bool("none", false));
    assert_true(read_bool("blank", true));
}

static void test_int__in_range(void **state)
{
    (void)state;
    int64_t n = 5;
    struct fail fail = {0};
    assert_int_equal(params_int(&p, "n", 0, 65535, &n, &fail), 0);
    assert_int_equal(n, 42);
    assert_int_equal(params_int(&p, "neg", -10, 10, &n, &fail), 0);
    assert_int_equal(n, -7);
    assert_int_equal(params_int(&p, "none", 0, 1, &n, &fail), 0);
    assert_int_equal(params_int(&p, "blank", 0, 1, &n, &fail), 0);
    assert_int_equal(n, -7);
}

static void test_int__no_number_or_out_of_range__says_what_it_read(void **state)
{
    (void)state;
    int64_t n = 5;
    struct fail fail = {0};
    assert_int_equal(params_int(&p, "a", 0, 9, &n, &fail), E_INVALID);
    assert_string_equal(fail_text(&fail), "For input string: \"first\"");
    assert_int_equal(params_int(&p, "hex", 0, 99, &n, &fail), E_INVALID);
    assert_int_equal(params_int(&p, "big", 0, INT64_MAX, &n, &fail), E_INVALID);
    assert_int_equal(params_int(&p, "n", 0, 41, &n, &fail), E_INVALID);
    assert_int_equal(params_int(&p, "n", 43, 99, &n, &fail), E_INVALID);
    assert_int_equal(params_int(&p, "w", 0, 99, &n, &fail), E_INVALID);
    assert_int_equal(n, 5);
}

static void test_double__finite_only(void **state)
{
    (void)state;
    double d = 0;
    struct fail fail = {0};
    assert_int_equal(params_double(&p, "w", &d, &fail), 0);
    assert_true(d > 1.49 && d < 1.51);
    assert_int_equal(params_double(&p, "none", &d, &fail), 0);
    assert_true(d > 1.49 && d < 1.51);
    assert_int_equal(params_double(&p, "nan", &d, &fail), E_INVALID);
    assert_string_equal(fail_text(&fail), "For input string: \"NaN\"");
    assert_int_equal(params_double(&p, "hex", &d, &fail), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get__the_first_value_wins),
        cmocka_unit_test(test_get__absent_and_empty_differ),
        cmocka_unit_test(test_get__is_not_trimmed),
        cmocka_unit_test(test_or__blank_is_absent_and_the_rest_is_trimmed),
        cmocka_unit_test(test_header__by_its_lower_case_name),
        cmocka_unit_test(test_require__absent_or_blank__names_the_parameter),
        cmocka_unit_test(test_bool__the_helpers_words),
        cmocka_unit_test(test_bool__absent_or_blank__keeps_the_default),
        cmocka_unit_test(test_int__in_range),
        cmocka_unit_test(test_int__no_number_or_out_of_range__says_what_it_read),
        cmocka_unit_test(test_double__finite_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
