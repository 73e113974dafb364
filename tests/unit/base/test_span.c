#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <limits.h>
#include <locale.h>

static void test_span_cmp__orders_by_bytes_then_length(void **state)
{
    (void)state;
    assert_true(span_cmp(SPAN("a"), SPAN("b")) < 0);
    assert_true(span_cmp(SPAN("b"), SPAN("a")) > 0);
    assert_true(span_cmp(SPAN("a"), SPAN("ab")) < 0);
    assert_true(span_cmp(SPAN("ab"), SPAN("a")) > 0);
    assert_true(span_cmp(SPAN("ab"), SPAN("ab")) == 0);
    assert_true(span_cmp((struct span){0}, SPAN("")) == 0);
    assert_true(span_cmp(SPAN("a"), SPAN("\xFF")) < 0);
}

static void test_span_ieq__ascii_only(void **state)
{
    (void)state;
    assert_true(span_ieq(SPAN("TrUe"), SPAN("tRuE")));
    assert_false(span_ieq(SPAN("true"), SPAN("tru")));
    assert_false(span_ieq(SPAN("[a"), SPAN("{a")));
    assert_false(span_ieq(SPAN("\xC4"), SPAN("\xE4")));
    assert_true(span_ieq((struct span){0}, SPAN("")));
}

static void test_span_trim__both_ends(void **state)
{
    (void)state;
    assert_true(span_eq(span_trim(SPAN(" \t\r\n a b \v\f")), SPAN("a b")));
    assert_int_equal(span_trim(SPAN("  ")).len, 0);
    assert_int_equal(span_trim((struct span){0}).len, 0);
}

static void test_span_starts(void **state)
{
    (void)state;
    assert_true(span_starts(SPAN("abc"), SPAN("ab")));
    assert_true(span_starts(SPAN("abc"), (struct span){0}));
    assert_true(span_starts((struct span){0}, (struct span){0}));
    assert_false(span_starts(SPAN("ab"), SPAN("abc")));
    assert_false(span_starts(SPAN("abc"), SPAN("bc")));
}

static void test_span_cut__parts_one_by_one(void **state)
{
    (void)state;
    struct span rest = SPAN("a,,bc");
    assert_true(span_eq(span_cut(&rest, ','), SPAN("a")));
    assert_true(span_eq(span_cut(&rest, ','), SPAN("")));
    assert_true(span_eq(rest, SPAN("bc")));
    assert_true(span_eq(span_cut(&rest, ','), SPAN("bc")));
    assert_true(span_empty(rest));
    assert_true(span_empty(span_cut(&rest, ',')));
    rest = SPAN("a,");
    assert_true(span_eq(span_cut(&rest, ','), SPAN("a")));
    assert_true(span_empty(rest));
}

static void test_span_int__reads_the_whole_range(void **state)
{
    (void)state;
    long long n = 0;
    assert_true(span_int(SPAN("0"), &n) && n == 0);
    assert_true(span_int(SPAN("-0"), &n) && n == 0);
    assert_true(span_int(SPAN("+17"), &n) && n == 17);
    assert_true(span_int(SPAN("0009"), &n) && n == 9);
    assert_true(span_int(SPAN("9223372036854775807"), &n) && n == LLONG_MAX);
    assert_true(span_int(SPAN("-9223372036854775808"), &n) && n == LLONG_MIN);
}

static void test_span_int__anything_else__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      "+-1",
                                      "1 ",
                                      " 1",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "a",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        long long n = 42;
        assert_false(span_int(span_str(bad[i]), &n));
        assert_int_equal(n, 42);
    }
    assert_false(span_int((struct span){0}, &(long long){0}));
}

static void check_double(const char *text, double expected)
{
    double d = -42;
    assert_true(span_double(span_str(text), &d));
    assert_true(d == expected);
}

static void test_span_double__decimal_fractions(void **state)
{
    (void)state;
    check_double("1", 1);
    check_double("1.5", 1.5);
    check_double("-0.25", -0.25);
    check_double("+3.", 3);
    check_double(".5", .5);
    check_double("1e3", 1000);
    check_double("1.5E-2", 0.015);
    check_double("1e-400", 0);
    check_double("0000000000000000000000000000000000000000000000000000000000000000000001", 1);
    double d = 0;
    assert_true(span_double(span_of("1.57", 3), &d));
    assert_true(d == 1.5);
}

static void test_span_double__anything_else__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    ".",         "-",     "+.",    "e3", ".e3",   "1e",
                                      "1e+", "1e3.5",     "1,5",   " 1",    "1 ", "0x1p3", "inf",
                                      "nan", "-Infinity", "1e400", "1.5.5", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double d = 42;
        assert_false(span_double(span_str(bad[i]), &d));
        assert_true(d == 42);
    }
    char many[200];
    memset(many, '0', sizeof many);
    assert_false(span_double(span_of(many, 128), &(double){0}));
    assert_true(span_double(span_of(many, 127), &(double){0}));
    assert_false(span_double(span_of("1\0005", 3), &(double){0}));
}

static void test_span_double__locale_with_comma__changes_nothing(void **state)
{
    (void)state;
    /* Where the locale is not installed this is the plain test again. */
    (void)setlocale(LC_ALL, "de_DE.UTF-8");
    check_double("1.5", 1.5);
    assert_false(span_double(SPAN("1,5"), &(double){0}));
    (void)setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span_cmp__orders_by_bytes_then_length),
        cmocka_unit_test(test_span_ieq__ascii_only),
        cmocka_unit_test(test_span_trim__both_ends),
        cmocka_unit_test(test_span_starts),
        cmocka_unit_test(test_span_cut__parts_one_by_one),
        cmocka_unit_test(test_span_int__reads_the_whole_range),
        cmocka_unit_test(test_span_int__anything_else__is_refused),
        cmocka_unit_test(test_span_double__decimal_fractions),
        cmocka_unit_test(test_span_double__anything_else__is_refused),
        cmocka_unit_test(test_span_double__locale_with_comma__changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
