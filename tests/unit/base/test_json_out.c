#include "base/json_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "expect_abort.h"

/* Frees the writer. */
static void check_text(struct json_out *j, const char *expected)
{
    struct span text = json_text(j);
    char *copy = mem_strndup(text.data, text.len);
    assert_string_equal(copy, expected);
    mem_free(copy);
    json_close(j);
}

static void test_json_out__nesting__puts_commas_and_colons(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 1);
    json_object(&j);
    json_kint(&j, "a", 1);
    json_key(&j, "b");
    json_array(&j);
    json_object(&j);
    json_object_end(&j);
    json_array(&j);
    json_array_end(&j);
    json_null(&j);
    json_bool(&j, true);
    json_raw(&j, SPAN("{\"r\":1}"));
    json_array_end(&j);
    json_key_span(&j, SPAN("c\""));
    json_object(&j);
    json_kstr(&j, "d", SPAN("x"));
    json_kbool(&j, "e", false);
    json_kdouble(&j, "f", 0.5);
    json_object_end(&j);
    json_object_end(&j);
    check_text(&j, "{\"a\":1,\"b\":[{},[],null,true,{\"r\":1}],\"c\\\"\":{\"d\":\"x\",\"e\":false,"
                   "\"f\":0.5}}");
}

static void check_str(struct span s, const char *expected)
{
    struct json_out j;
    json_init(&j, 0);
    json_str(&j, s);
    check_text(&j, expected);
}

static void test_json_str__controls_quote_backslash__are_escaped(void **state)
{
    (void)state;
    check_str(SPAN(""), "\"\"");
    check_str((struct span){0}, "\"\"");
    check_str(SPAN("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
    check_str(SPAN("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    check_str(SPAN("\0\x01\x0F\x10\x1F\x7F"), "\"\\u0000\\u0001\\u000F\\u0010\\u001F\x7F\"");
}

static void test_json_str__every_byte_at_every_place__is_right(void **state)
{
    (void)state;
    /* The run scanner looks at eight bytes at once: the odd byte wanders through them. */
    for (int c = 0; c < 0x80; c++) {
        struct json_out one;
        json_init(&one, 0);
        char byte = (char)c;
        json_str(&one, span_of(&byte, 1));
        struct span escaped = json_text(&one);
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            memset(text, 'x', sizeof text);
            text[at] = byte;
            char expected[64] = "\"";
            memset(expected + 1, 'x', at);
            memcpy(expected + 1 + at, escaped.data + 1, escaped.len - 2);
            memset(expected + 1 + at + escaped.len - 2, 'x', 19 - at);
            expected[escaped.len + 18] = '"';
            check_str(span_of(text, sizeof text), expected);
        }
        json_close(&one);
    }
}

static void test_json_str__utf8__is_raw(void **state)
{
    (void)state;
    check_str(SPAN("\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80"),
              "\"\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80\"");
    check_str(SPAN("0123456789\xE4\xB8\xAD"
                   "0123456789"),
              "\"0123456789\xE4\xB8\xAD"
              "0123456789\"");
}

static void test_json_str__invalid_utf8__becomes_replacement(void **state)
{
    (void)state;
    check_str(SPAN("a\x80z"), "\"a\xEF\xBF\xBDz\"");
    check_str(SPAN("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    check_str(SPAN("\xE4\xB8"), "\"\xEF\xBF\xBD\"");
    check_str(SPAN("\xF0\x9F\x98\"x"), "\"\xEF\xBF\xBD\\\"x\"");
    /* Whatever comes in, what goes out is UTF-8. */
    char any[256];
    for (size_t i = 0; i < sizeof any; i++) {
        any[i] = (char)i;
    }
    struct json_out j;
    json_init(&j, 0);
    json_str(&j, span_of(any, sizeof any));
    assert_true(utf8_valid(json_text(&j).data, json_text(&j).len));
    json_close(&j);
}

static void check_int(int64_t n, const char *expected)
{
    struct json_out j;
    json_init(&j, 0);
    json_int(&j, n);
    check_text(&j, expected);
}

static void test_json_int__whole_range(void **state)
{
    (void)state;
    check_int(0, "0");
    check_int(-1, "-1");
    check_int(1712000000000, "1712000000000");
    check_int(INT64_MAX, "9223372036854775807");
    check_int(INT64_MIN, "-9223372036854775808");
}

static void check_double(double d, const char *expected)
{
    struct json_out j;
    json_init(&j, 0);
    json_double(&j, d);
    check_text(&j, expected);
}

static void test_json_double__as_java_writes_them(void **state)
{
    (void)state;
    check_double(1, "1.0");
    check_double(0, "0.0");
    check_double(-0.0, "-0.0");
    check_double(0.5, "0.5");
    check_double(-2.25, "-2.25");
    check_double(0.1, "0.1");
    check_double(100, "100.0");
    check_double(123456.789, "123456.789");
    check_double(0.001, "0.001");
    check_double(0.0123, "0.0123");
    check_double(9999999, "9999999.0");
    check_double(9999999.5, "9999999.5");
    check_double(1e7, "1.0E7");
    check_double(12345678.9, "1.23456789E7");
    check_double(1e10, "1.0E10");
    check_double(0.00099, "9.9E-4");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(DBL_MAX, "1.7976931348623157E308");
    check_double(-DBL_MIN, "-2.2250738585072014E-308");
}

static void test_json_double__reads_back_the_same(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double d = 0;
        memcpy(&d, &seed, sizeof d);
        if (d != d || d > DBL_MAX || d < -DBL_MAX) {
            continue;
        }
        struct json_out j;
        json_init(&j, 64);
        json_double(&j, d);
        char *copy = mem_strndup(json_text(&j).data, json_text(&j).len);
        assert_true(strtod(copy, NULL) == d);
        mem_free(copy);
        json_close(&j);
    }
}

static void test_json_take__gives_the_bytes_away(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 4096);
    json_str(&j, SPAN("abc"));
    struct buf *b = json_take(&j);
    assert_int_equal(json_text(&j).len, 0);
    json_str(&j, SPAN("again"));
    assert_true(span_eq(buf_span(b), SPAN("\"abc\"")));
    check_text(&j, "\"again\"");
    buf_unref(buf_ref(b));
    buf_unref(b);
    json_init(&j, 0);
    b = json_take(&j);
    assert_int_equal(buf_span(b).len, 0);
    buf_unref(b);
    json_close(&j);
}

static void test_json_take__half_a_document__is_a_head(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    json_kint(&j, "a", 1);
    json_key(&j, "b");
    struct buf *head = json_take(&j);
    assert_true(span_eq(buf_span(head), SPAN("{\"a\":1,\"b\":")));
    buf_unref(head);
    json_bytes(&j, SPAN(",\"c\":2}"));
    json_bytes(&j, (struct span){0});
    check_text(&j, ",\"c\":2}");
}

static void test_json_out__large__grows(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    json_array(&j);
    for (int i = 0; i < 100000; i++) {
        json_int(&j, 7);
    }
    json_array_end(&j);
    struct buf *b = json_take(&j);
    assert_int_equal(buf_span(b).len, 200001);
    buf_unref(b);
}

static void nest(unsigned depth)
{
    struct json_out j;
    json_init(&j, 0);
    for (unsigned i = 0; i < depth; i++) {
        json_array(&j);
    }
    json_close(&j);
}

static void too_deep(void)
{
    nest(JSON_OUT_DEPTH_MAX + 1);
}

static void just_deep_enough(void)
{
    nest(JSON_OUT_DEPTH_MAX);
}

static void not_finite(void)
{
    check_double(DBL_MAX * 10, "");
}

static void test_json_out__our_own_mistakes__abort(void **state)
{
    (void)state;
    assert_true(aborts(too_deep));
    assert_false(aborts(just_deep_enough));
    assert_true(aborts(not_finite));
}

/* The fast writer and the slow one agree on every valid text, wherever what must be escaped stands
 * and however long it is. */
static void test_json_str_utf8__is_json_str(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a",    "\"", "\\",           "\n", "\x01",     "\x1f",
        "\x7f", " ",  "\xE4\xB8\xAD", "z",  "\xC3\xA9", "\xF0\x9F\x98\x80"};
    uint64_t seed = 42;
    for (int round = 0; round < 20000; round++) {
        char text[256];
        size_t len = 0;
        size_t count = (size_t)round % 50;
        for (size_t i = 0; i < count; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const char *piece = round % 3 ? pieces[(seed >> 33) % 12] : "ab";
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        struct json_out slow;
        struct json_out fast;
        json_init(&slow, 0);
        json_init(&fast, (size_t)round % 7);
        json_str(&slow, span_of(text, len));
        json_str_utf8(&fast, span_of(text, len));
        assert_true(span_eq(json_text(&slow), json_text(&fast)));
        bool plain = json_text(&slow).len == len + 2;
        assert_int_equal(json_plain(span_of(text, len)) == len, plain);
        json_close(&slow);
        json_close(&fast);
    }
}

static void test_json_plain__stops_at_the_first(void **state)
{
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        for (size_t at = 0; at < len; at++) {
            char text[40];
            memset(text, 'x', sizeof(text));
            text[at] = "\"\\\n"[at % 3];
            text[len - 1] = at == len - 1 ? text[at] : '\x1f';
            assert_int_equal(json_plain(span_of(text, len)), at);
        }
    }
    assert_int_equal(json_plain((struct span){0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_out__nesting__puts_commas_and_colons),
        cmocka_unit_test(test_json_str__controls_quote_backslash__are_escaped),
        cmocka_unit_test(test_json_str__every_byte_at_every_place__is_right),
        cmocka_unit_test(test_json_str__utf8__is_raw),
        cmocka_unit_test(test_json_str__invalid_utf8__becomes_replacement),
        cmocka_unit_test(test_json_str_utf8__is_json_str),
        cmocka_unit_test(test_json_plain__stops_at_the_first),
        cmocka_unit_test(test_json_int__whole_range),
        cmocka_unit_test(test_json_double__as_java_writes_them),
        cmocka_unit_test(test_json_double__reads_back_the_same),
        cmocka_unit_test(test_json_take__gives_the_bytes_away),
        cmocka_unit_test(test_json_take__half_a_document__is_a_head),
        cmocka_unit_test(test_json_out__large__grows),
        cmocka_unit_test(test_json_out__our_own_mistakes__abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
