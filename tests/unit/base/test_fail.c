#include "base/fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

static void test_fail_set__returns_the_code_and_keeps_the_text(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(fail_set(&fail, E_INVALID, "port %d", 70000), E_INVALID);
    assert_int_equal(fail.code, E_INVALID);
    assert_string_equal(fail_text(&fail), "port 70000");
    assert_int_equal(fail_nacos(&fail), 400);
}

static void test_fail_set__nobody_asks__returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(fail_set(NULL, E_PARSE, "x"), E_PARSE);
    assert_int_equal(fail_set_codes(NULL, E_PARSE, 1, 2, "x"), E_PARSE);
    assert_string_equal(fail_text(NULL), "server error");
}

static void test_fail_set_codes__own_codes__win_over_the_table(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(fail_set_codes(&fail, E_CONFLICT, 410, 20005, "exists"), E_CONFLICT);
    assert_int_equal(fail_nacos(&fail), 410);
    assert_int_equal(fail.v2, 20005);
    /* A later plain fail_set does not inherit them. */
    assert_int_equal(fail_set(&fail, E_CONFLICT, "exists"), E_CONFLICT);
    assert_int_equal(fail_nacos(&fail), 409);
    assert_int_equal(fail.v2, 0);
}

static void test_fail_text__empty__is_the_default(void **state)
{
    (void)state;
    struct fail fail = {.code = E_TIMEOUT};
    assert_string_equal(fail_text(&fail), "timed out");
}

static void test_fail_set__too_long__ends_in_dots(void **state)
{
    (void)state;
    char text[2 * FAIL_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct fail fail = {0};
    assert_int_equal(fail_set(&fail, E_INVALID, "%s", text), E_INVALID);
    assert_int_equal(strlen(fail.text), FAIL_TEXT_MAX - 1);
    assert_string_equal(fail.text + FAIL_TEXT_MAX - 4, "...");
}

static void test_fail_set__too_long__is_cut_between_characters(void **state)
{
    (void)state;
    /* Every offset of the cut within a 3-byte character. */
    for (size_t shift = 0; shift < 3; shift++) {
        char text[2 * FAIL_TEXT_MAX] = "ab";
        for (size_t at = shift; at + 4 < sizeof text; at += 3) {
            memcpy(text + at, "\xE4\xB8\xAD", 4);
        }
        struct fail fail = {0};
        assert_int_equal(fail_set(&fail, E_INVALID, "%s", text), E_INVALID);
        assert_true(utf8_valid(fail.text, strlen(fail.text)));
        assert_true(strlen(fail.text) > FAIL_TEXT_MAX - 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_set__returns_the_code_and_keeps_the_text),
        cmocka_unit_test(test_fail_set__nobody_asks__returns_the_code),
        cmocka_unit_test(test_fail_set_codes__own_codes__win_over_the_table),
        cmocka_unit_test(test_fail_text__empty__is_the_default),
        cmocka_unit_test(test_fail_set__too_long__ends_in_dots),
        cmocka_unit_test(test_fail_set__too_long__is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
