#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_cut(const char *s, size_t len, size_t expected)
{
    assert_int_equal(utf8_cut(s, len), expected);
}

static void test_utf8_cut__inside_a_character__goes_back_to_its_start(void **state)
{
    (void)state;
    const char *s = "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80z"; /* 1, 2, 3, 4 and 1 bytes */
    const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t len = 0; len < sizeof expected / sizeof expected[0]; len++) {
        check_cut(s, len, expected[len]);
    }
}

static void test_utf8_cut__garbage__stays_within_bounds(void **state)
{
    (void)state;
    check_cut("\x80\x80\x80\x80\x80", 5, 5);
    check_cut("\x80", 1, 1);
    check_cut("\xFF", 1, 0);
    check_cut("", 0, 0);
}

static void check_step(const char *s, size_t left, size_t step, bool valid)
{
    bool is_valid = !valid;
    assert_int_equal(utf8_step(s, left, &is_valid), step);
    assert_int_equal(is_valid, valid);
}

static void test_utf8_step__well_formed__is_one_character(void **state)
{
    (void)state;
    check_step("a", 1, 1, true);
    check_step("\0", 1, 1, true);
    check_step("\x7F", 1, 1, true);
    check_step("\xC2\x80", 2, 2, true);
    check_step("\xE0\xA0\x80", 3, 3, true);
    check_step("\xED\x9F\xBF", 3, 3, true);
    check_step("\xEE\x80\x80", 3, 3, true);
    check_step("\xF0\x90\x80\x80", 4, 4, true);
    check_step("\xF4\x8F\xBF\xBF", 4, 4, true);
}

static void test_utf8_step__ill_formed__covers_the_longest_beginning(void **state)
{
    (void)state;
    check_step("\x80", 1, 1, false);             /* continuation without a lead */
    check_step("\xC0\xAF", 2, 1, false);         /* overlong */
    check_step("\xC1\xBF", 2, 1, false);         /* overlong */
    check_step("\xE0\x9F\xBF", 3, 1, false);     /* overlong */
    check_step("\xF0\x8F\xBF\xBF", 4, 1, false); /* overlong */
    check_step("\xED\xA0\x80", 3, 1, false);     /* surrogate */
    check_step("\xF4\x90\x80\x80", 4, 1, false); /* above U+10FFFF */
    check_step("\xF5\x80\x80\x80", 4, 1, false); /* no such lead */
    check_step("\xFF", 1, 1, false);             /* no such lead */
    check_step("\xC2", 1, 1, false);             /* ends too early */
    check_step("\xE4\xB8", 2, 2, false);         /* ends too early */
    check_step("\xF0\x9F\x98", 3, 3, false);     /* ends too early */
    check_step("\xF0\x9F\x98z", 4, 3, false);    /* broken off */
    check_step("\xE4z\xAD", 3, 1, false);        /* broken off */
}

static void test_utf8_valid__reads_to_the_end(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a\xE4\xB8\xAD", 4));
    assert_false(utf8_valid("a\xE4\xB8\xAD\xE4", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_cut__inside_a_character__goes_back_to_its_start),
        cmocka_unit_test(test_utf8_cut__garbage__stays_within_bounds),
        cmocka_unit_test(test_utf8_step__well_formed__is_one_character),
        cmocka_unit_test(test_utf8_step__ill_formed__covers_the_longest_beginning),
        cmocka_unit_test(test_utf8_valid__reads_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
