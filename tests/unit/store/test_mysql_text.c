#include "store/mysql_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_decode__as_java(void **state)
{
    (void)state;
    char dst[64];
    assert_true(mysql_text_decode(SPAN("a%41%c3%A4+b=%2B%25"), dst));
    assert_string_equal(dst, "aA\xc3\xa4 b=+%");
    assert_true(mysql_text_decode((struct span){0}, dst));
    assert_string_equal(dst, "");
    static const char *const wrong[] = {"%",   "%4",  "a%",  "%4g", "%g4",
                                        "%00", "%0a", "%7f", "%ff", "%c3"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (mysql_text_decode(span_str(wrong[i]), dst)) {
            fail_msg("%s was taken", wrong[i]);
        }
    }
    /* Behind the end nothing is read. */
    assert_false(mysql_text_decode(span_of("%41", 2), dst));
}

static void test_text__questions(void **state)
{
    (void)state;
    assert_true(mysql_text_has(SPAN("a,b"), ','));
    assert_false(mysql_text_has(SPAN("ab"), ','));
    assert_false(mysql_text_has((struct span){0}, ','));
    assert_true(mysql_text_is_clean(SPAN("\xe4\xb8\xad ~")));
    assert_true(mysql_text_is_clean((struct span){0}));
    assert_false(mysql_text_is_clean(SPAN("a\tb")));
    assert_false(mysql_text_is_clean(SPAN("a\0b")));
    assert_false(mysql_text_is_clean(SPAN("\xe4\xb8")));
    assert_true(mysql_text_is_name(SPAN("a.B-c_9")));
    assert_false(mysql_text_is_name(SPAN("")));
    assert_false(mysql_text_is_name(SPAN("a:b")));
    struct span rest = SPAN("FILE:/x");
    assert_true(mysql_text_skip(&rest, SPAN("file:")));
    assert_true(span_eq(rest, SPAN("/x")));
    assert_false(mysql_text_skip(&rest, SPAN("/xy")));
    assert_true(span_eq(rest, SPAN("/x")));
}

static void test_shown__is_cut_between_characters(void **state)
{
    (void)state;
    char text[MYSQL_TEXT_SHOWN + 2];
    memset(text, 'x', sizeof(text));
    memcpy(text + MYSQL_TEXT_SHOWN - 1, "\xe4\xb8\xad", 3);
    assert_int_equal(mysql_text_shown(span_of(text, sizeof(text))).len, MYSQL_TEXT_SHOWN - 1);
    assert_int_equal(mysql_text_shown(SPAN("abc")).len, 3);
}

static void test_put__has_a_limit(void **state)
{
    (void)state;
    struct fail fail = {0};
    char dst[4] = "old";
    assert_int_equal(mysql_text_put(&fail, "k", "user", SPAN("abcd"), dst, sizeof(dst)), E_LIMIT);
    assert_string_equal(dst, "old");
    assert_string_equal(fail.text, "k: user: expected at most 3 bytes");
    assert_int_equal(mysql_text_put(&fail, "k", "user", SPAN("abc"), dst, sizeof(dst)), 0);
    assert_string_equal(dst, "abc");
    assert_int_equal(mysql_text_put(&fail, "k", "user", (struct span){0}, dst, sizeof(dst)), 0);
    assert_string_equal(dst, "");
}

static void test_refuse__says_how_to_escape(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(mysql_text_refuse(&fail, "db.url.0", "database"), E_INVALID);
    assert_string_equal(fail.text, "db.url.0: database: expected text with %XX for what means "
                                   "something in a URL (% itself is %25)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode__as_java),
        cmocka_unit_test(test_text__questions),
        cmocka_unit_test(test_shown__is_cut_between_characters),
        cmocka_unit_test(test_put__has_a_limit),
        cmocka_unit_test(test_refuse__says_how_to_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
