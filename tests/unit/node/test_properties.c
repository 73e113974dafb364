#include "node/properties.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

/* Parse text and compare with want: key, value, line triples, NULL at the end. */
struct want {
    const char *key;
    const char *value;
    unsigned line;
};

static void check(struct span text, const struct want *want, size_t want_count)
{
    struct arena a;
    arena_init(&a, 16u << 20);
    struct property *list = NULL;
    size_t count = 0;
    struct fail fail = {0};
    assert_int_equal(properties_parse(text, &a, &list, &count, &fail), 0);
    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_eq(list[i].key, span_str(want[i].key)));
        assert_true(span_eq(list[i].value, span_str(want[i].value)));
        assert_int_equal(list[i].line, want[i].line);
    }
    arena_close(&a);
}

static int parse_fails(struct span text, struct fail *fail)
{
    struct arena a;
    arena_init(&a, 16u << 20);
    struct property *list = NULL;
    size_t count = 0;
    int err = properties_parse(text, &a, &list, &count, fail);
    arena_close(&a);
    return err;
}

static void test_entries__any_separator__are_read(void **state)
{
    (void)state;
    static const struct want want[] = {
        {"a", "1", 1}, {"b", "2", 2}, {"c", "3 4", 3}, {"d", "", 4}, {"e", "x=y", 5}};
    check(SPAN("a=1\nb : 2\nc   3 4\nd\ne = x=y"), want, 5);
}

static void test_text__empty_or_none_at_all__has_no_entries(void **state)
{
    (void)state;
    check(SPAN(""), NULL, 0);
    check((struct span){0}, NULL, 0);
    check(SPAN(" \n\t\r\n#"), NULL, 0);
}

static void test_comments_and_blank_lines__are_skipped(void **state)
{
    (void)state;
    static const struct want want[] = {{"a", "1", 4}};
    check(SPAN("# one\n  ! two\r\n\n   a=1\n#a=2"), want, 1);
}

static void test_continuation__joins_lines_and_keeps_the_first_number(void **state)
{
    (void)state;
    static const struct want want[] = {{"list", "a,b,c", 1}, {"next", "1", 4}};
    check(SPAN("list=a,\\\n   b,\\\r\n\tc\nnext=1"), want, 2);
}

static void test_escapes__are_decoded(void **state)
{
    (void)state;
    static const struct want want[] = {{"a b", "\t=\xc3\xa9\xe2\x82\xac", 1}, {"c:d", "\\", 2}};
    check(SPAN("a\\ b=\\t\\=\\u00e9\\u20AC\nc\\:d=\\\\"), want, 2);
}

static void test_escape__broken_unicode__names_the_line(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(parse_fails(SPAN("a=1\nb=\\u12x4"), &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "line 2"));
}

static void test_nul__is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(parse_fails(SPAN("a=\0b"), &fail), E_PARSE);
    assert_int_equal(parse_fails(SPAN("a=\\\0b"), &fail), E_PARSE);
    assert_int_equal(parse_fails(SPAN("a\\\0=b"), &fail), E_PARSE);
    assert_int_equal(parse_fails(SPAN("a=\\u0000"), &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "line 1"));
    /* An escaped one would cut the value short where it becomes a C string. */
    assert_int_equal(parse_fails(SPAN("a=1\nb=x\\u0000y"), &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "line 2"));
}

static void test_line__too_long__is_refused(void **state)
{
    (void)state;
    size_t len = PROPERTIES_LINE_MAX + 100;
    char *text = mem_alloc(len);
    memset(text, 'x', len);
    text[1] = '=';
    struct fail fail = {0};
    assert_int_equal(parse_fails(span_of(text, len), &fail), E_LIMIT);
    mem_free(text);
}

static void test_entries__too_many__are_refused(void **state)
{
    (void)state;
    size_t count = PROPERTIES_MAX + 1;
    char *text = mem_alloc(count * 4);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * 4, "a=1\n", 4);
    }
    struct fail fail = {0};
    assert_int_equal(parse_fails(span_of(text, count * 4), &fail), E_LIMIT);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries__any_separator__are_read),
        cmocka_unit_test(test_text__empty_or_none_at_all__has_no_entries),
        cmocka_unit_test(test_comments_and_blank_lines__are_skipped),
        cmocka_unit_test(test_continuation__joins_lines_and_keeps_the_first_number),
        cmocka_unit_test(test_escapes__are_decoded),
        cmocka_unit_test(test_escape__broken_unicode__names_the_line),
        cmocka_unit_test(test_nul__is_refused),
        cmocka_unit_test(test_line__too_long__is_refused),
        cmocka_unit_test(test_entries__too_many__are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
