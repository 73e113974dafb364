#include "wire/json_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/mem.h"

#define ARENA_MAX 4096

static struct arena arena;
static struct cJSON *doc;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_MAX);
    doc = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_in_free(doc);
    arena_close(&arena);
    return 0;
}

/* Parses a copy of exactly that size, so that AddressSanitizer sees a read behind it. */
static int parse(struct span text, struct cJSON **ret_doc, struct fail *fail)
{
    char *copy = mem_alloc(text.len);
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    int err = json_in_parse(span_of(copy, text.len), ret_doc, fail);
    mem_free(copy);
    return err;
}

static void use(const char *text)
{
    json_in_free(doc);
    doc = NULL;
    assert_int_equal(parse(span_str(text), &doc, NULL), 0);
}

static void test_json_in_parse__whole_values(void **state)
{
    (void)state;
    static const char *const good[] = {"{}",
                                       "[]",
                                       "1",
                                       "-1.5e3",
                                       "\"a\"",
                                       "true",
                                       "false",
                                       "null",
                                       " {} ",
                                       "\t[1,2]\r\n",
                                       "{\"a\":{\"b\":[null,{}]}}",
                                       "\"\\\"\"",
                                       "\"\\\\\"",
                                       "\"]}\"",
                                       "\"\\u4e2d\\ud83d\\ude00\"",
                                       "{\"a\":\"\\\\u0000\"}"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        use(good[i]);
        assert_non_null(doc);
    }
}

static void test_json_in_parse__anything_else__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      "{]",
                                      "[}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{\"a\":1,",
                                      "{\"1\":1,",
                                      "[1,]",
                                      "[1",
                                      "[1 2]",
                                      "{a:1}",
                                      "'a'",
                                      "\"a",
                                      "\"a\\\"",
                                      "\"\\",
                                      "\"\\x\"",
                                      "tru",
                                      "truex",
                                      "nul",
                                      "-",
                                      "--1",
                                      "1.5.5",
                                      "1e",
                                      "{}{}",
                                      "{} x",
                                      "1 1",
                                      "[]]",
                                      "{}}",
                                      "{\"a\":1}}",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "NaN",
                                      "Infinity",
                                      "\xEF\xBB\xBF",
                                      "/* */{}",
                                      "{\"a\" \"b\"}",
                                      ",",
                                      ":",
                                      "\"a\":1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fail fail = {0};
        struct cJSON *none = NULL;
        assert_int_equal(parse(span_str(bad[i]), &none, &fail), E_PARSE);
        assert_null(none);
        assert_non_null(strstr(fail_text(&fail), "malformed JSON"));
    }
}

static void test_json_in_parse__nul__is_refused(void **state)
{
    (void)state;
    struct cJSON *none = NULL;
    assert_int_equal(parse(SPAN("{\"a\":\"x\\u0000y\"}"), &none, NULL), E_PARSE);
    assert_int_equal(parse(SPAN("{\"a\\u0000\":1}"), &none, NULL), E_PARSE);
    assert_int_equal(parse(SPAN("{\"a\":\"x\0y\"}"), &none, NULL), E_PARSE);
    assert_int_equal(parse(SPAN("{}\0"), &none, NULL), E_PARSE);
    assert_int_equal(parse(SPAN("\0"), &none, NULL), E_PARSE);
    /* A backslash of its own, then u0000 as text. */
    assert_int_equal(parse(SPAN("\"\\\\u0000\""), &doc, NULL), 0);
    assert_string_equal(doc->valuestring, "\\u0000");
}

static struct span nested(char *text, size_t depth, const char *open, const char *close)
{
    size_t step = strlen(open);
    for (size_t i = 0; i < depth; i++) {
        memcpy(text + i * step, open, step);
        text[depth * step + 1 + i] = *close;
    }
    text[depth * step] = '1';
    return span_of(text, depth * step + 1 + depth);
}

static void test_json_in_parse__too_deep__is_refused_before_cjson(void **state)
{
    (void)state;
    char *text = mem_alloc(1 << 20);
    struct fail fail = {0};
    const size_t depths[] = {JSON_IN_DEPTH_MAX, JSON_IN_DEPTH_MAX + 1, 100000};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        struct cJSON *got = NULL;
        int expected = depths[i] > JSON_IN_DEPTH_MAX ? E_PARSE : 0;
        assert_int_equal(parse(nested(text, depths[i], "[", "]"), &got, &fail), expected);
        json_in_free(got);
        got = NULL;
        assert_int_equal(parse(nested(text, depths[i], "{\"a\":", "}"), &got, &fail), expected);
        json_in_free(got);
    }
    assert_string_equal(fail_text(&fail), "JSON nested deeper than 32 levels");
    /* Brackets in strings are no depth. */
    memset(text, '[', 100000);
    text[0] = '"';
    text[99999] = '"';
    assert_int_equal(parse(span_of(text, 100000), &doc, NULL), 0);
    mem_free(text);
}

static void test_json_in_parse__too_large__is_refused(void **state)
{
    (void)state;
    char *text = mem_alloc(JSON_IN_BYTES_MAX + 1ul);
    memset(text, ' ', JSON_IN_BYTES_MAX + 1ul);
    text[0] = '1';
    struct cJSON *none = NULL;
    assert_int_equal(json_in_parse(span_of(text, JSON_IN_BYTES_MAX + 1ul), &none, NULL),
                     E_TOO_LARGE);
    assert_int_equal(json_in_parse(span_of(text, JSON_IN_BYTES_MAX), &doc, NULL), 0);
    mem_free(text);
}

static void test_json_in_parse__too_many_values__is_refused(void **state)
{
    (void)state;
    size_t count = JSON_IN_VALUES_MAX + 1ul;
    char *text = mem_alloc(2 * count + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + 2 * i, i ? ",1" : "[1", 2);
    }
    text[2 * count] = ']';
    struct cJSON *none = NULL;
    assert_int_equal(json_in_parse(span_of(text, 2 * count + 1), &none, NULL), E_TOO_LARGE);
    text[2 * count - 2] = ']';
    assert_int_equal(json_in_parse(span_of(text, 2 * count - 1), &doc, NULL), 0);
    mem_free(text);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void test_json_in_parse__random_tokens__never_break(void **state)
{
    (void)state;
    static const char *const tokens[] = {"{",     "}",  "[",     "]",           ",",   ":",
                                         "\"a\"", "\"", "\\",    "1",           "-",   "true",
                                         "null",  " ",  "\\u12", "\"\\ud83d\"", "1e5", "\x80"};
    uint32_t seed = 7;
    unsigned parsed = 0;
    for (int round = 0; round < 100000; round++) {
        char text[64] = "";
        size_t len = 0;
        for (unsigned i = next_random(&seed) % 8; i > 0; i--) {
            const char *token = tokens[next_random(&seed) % (sizeof tokens / sizeof tokens[0])];
            memcpy(text + len, token, strlen(token));
            len += strlen(token);
        }
        struct cJSON *got = NULL;
        int err = parse(span_of(text, len), &got, NULL);
        assert_true(err == E_PARSE || (err == 0 && got));
        parsed += err == 0;
        json_in_free(got);
    }
    assert_true(parsed > 100);
}

static void test_json_in_object__blank_text__is_an_invalid_request(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct cJSON *none = NULL;
    assert_int_equal(json_in_object((struct span){0}, &none, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "Invalid request");
    assert_int_equal(fail_nacos(&fail), 502);
    assert_int_equal(json_in_object(SPAN(" \n"), &none, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "Invalid request");
}

static void test_json_in_object__other_values__are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]", "1", "\"a\"", "null", "true", "{"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cJSON *none = NULL;
        assert_int_equal(json_in_object(span_str(bad[i]), &none, NULL), E_PARSE);
        assert_null(none);
    }
    assert_int_equal(json_in_object(SPAN("{}"), &doc, NULL), 0);
}

static void test_json_in_get__case_sensitive_and_null_is_absent(void **state)
{
    (void)state;
    use("{\"a\":1,\"B\":null,\"c\":{\"d\":2}}");
    assert_non_null(json_in_get(doc, "a"));
    assert_null(json_in_get(doc, "A"));
    assert_null(json_in_get(doc, "B"));
    assert_null(json_in_get(doc, "x"));
    assert_null(json_in_get(NULL, "a"));
    assert_true(json_in_has(json_in_get(doc, "c"), "d"));
    assert_false(json_in_has(doc, "B"));
    assert_false(json_in_has(NULL, "B"));
    assert_null(json_in_get(json_in_get(doc, "a"), "a"));
}

static void check_str(const char *key, const char *expected)
{
    struct span s = SPAN("before");
    assert_int_equal(json_in_str(doc, key, &arena, &s, NULL), 0);
    assert_int_equal(s.len, strlen(expected));
    assert_string_equal(s.data, expected);
}

static void test_json_in_str__scalars_become_text(void **state)
{
    (void)state;
    use("{\"s\":\"a\\n\\u4e2d\",\"e\":\"\",\"i\":3,\"n\":-9007199254740993,\"d\":1.5,\"t\":true,"
        "\"f\":false,\"z\":null,"
        "\"h\":1e300,\"m\":0.0001}");
    check_str("s", "a\n\xE4\xB8\xAD");
    check_str("e", "");
    check_str("i", "3");
    check_str("n", "-9007199254740992");
    check_str("d", "1.5");
    check_str("t", "true");
    check_str("f", "false");
    check_str("h", "1.0E300");
    check_str("m", "1.0E-4");
    check_str("z", "before");
    check_str("absent", "before");
}

static void test_json_in_str__infinite_number__is_text_too(void **state)
{
    (void)state;
    use("{\"p\":1e999,\"n\":-1e999}");
    check_str("p", "Infinity");
    check_str("n", "-Infinity");
}

static void test_json_in_str__object_or_array__is_refused(void **state)
{
    (void)state;
    use("{\"o\":{},\"a\":[1]}");
    struct span s = SPAN("before");
    struct fail fail = {0};
    assert_int_equal(json_in_str(doc, "o", &arena, &s, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "field 'o': expected a string, got an object");
    assert_int_equal(json_in_str(doc, "a", &arena, &s, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "field 'a': expected a string, got an array");
    assert_true(span_eq(s, SPAN("before")));
}

static void test_json_in_str__arena_is_full__is_too_large(void **state)
{
    (void)state;
    char text[2 * ARENA_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + sizeof text - 2, "\"}", 2);
    assert_int_equal(parse(span_of(text, sizeof text), &doc, NULL), 0);
    struct span s = SPAN("before");
    struct fail fail = {0};
    assert_int_equal(json_in_str(doc, "a", &arena, &s, &fail), E_TOO_LARGE);
    assert_true(span_eq(s, SPAN("before")));
}

static void check_int(const char *key, int64_t expected)
{
    int64_t n = -42;
    assert_int_equal(json_in_int(doc, key, INT64_MIN, INT64_MAX, &n, NULL), 0);
    assert_true(n == expected);
}

static void test_json_in_int__numbers_and_text(void **state)
{
    (void)state;
    use("{\"i\":3,\"s\":\" 3 \",\"e\":\"\",\"b\":\"  "
        "\",\"z\":null,\"n\":-7,\"w\":3.0,\"x\":1e3,\"t\":\"9007199254740993\","
        "\"big\":9007199254740993,\"min\":-9223372036854775808}");
    check_int("i", 3);
    check_int("s", 3);
    check_int("e", -42);
    check_int("b", -42);
    check_int("z", -42);
    check_int("absent", -42);
    check_int("n", -7);
    check_int("w", 3);
    check_int("x", 1000);
    check_int("t", 9007199254740993);
    check_int("big", 9007199254740992); /* as far as a double carries */
    check_int("min", INT64_MIN);
}

static void test_json_in_int__no_whole_number__is_refused(void **state)
{
    (void)state;
    use("{\"d\":1.5,\"s\":\"x\",\"t\":true,\"o\":{},\"a\":[],\"f\":\"1.5\",\"h\":\"0x1\"}");
    static const char *const keys[] = {"d", "s", "t", "o", "a", "f", "h"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        int64_t n = -42;
        struct fail fail = {0};
        assert_int_equal(json_in_int(doc, keys[i], 0, 10, &n, &fail), E_PARSE);
        assert_int_equal(n, -42);
        assert_non_null(strstr(fail_text(&fail), "expected a whole number, got "));
    }
}

static void test_json_in_int__out_of_range__names_the_range(void **state)
{
    (void)state;
    use("{\"a\":65536,\"b\":-1,\"c\":\"65536\",\"d\":1e19,\"e\":-1e300,\"f\":1e999,\"g\":"
        "\"99999999999999999999\","
        "\"h\":9223372036854775808}");
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        int64_t n = -42;
        struct fail fail = {0};
        assert_int_equal(json_in_int(doc, keys[i], 0, 65535, &n, &fail), E_INVALID);
        assert_int_equal(n, -42);
        assert_non_null(strstr(fail_text(&fail), "expected 0 to 65535, got "));
        assert_int_equal(fail_nacos(&fail), 400);
    }
    int64_t n = 0;
    assert_int_equal(json_in_int(doc, "h", INT64_MIN, INT64_MAX, &n, NULL), E_INVALID);
    assert_int_equal(json_in_int(doc, "a", 65536, 65536, &n, NULL), 0);
}

static void test_json_in_double(void **state)
{
    (void)state;
    use("{\"d\":1.5,\"i\":2,\"s\":\"1.5\",\"e\":\"\",\"z\":null,\"x\":\"abc\",\"inf\":1e999,\"t\":"
        "true,\"o\":{},"
        "\"sinf\":\"1e999\"}");
    double d = 7;
    assert_int_equal(json_in_double(doc, "e", &d, NULL), 0);
    assert_int_equal(json_in_double(doc, "z", &d, NULL), 0);
    assert_int_equal(json_in_double(doc, "absent", &d, NULL), 0);
    assert_true(d == 7);
    assert_int_equal(json_in_double(doc, "d", &d, NULL), 0);
    assert_true(d == 1.5);
    assert_int_equal(json_in_double(doc, "i", &d, NULL), 0);
    assert_true(d == 2);
    assert_int_equal(json_in_double(doc, "s", &d, NULL), 0);
    assert_true(d == 1.5);
    static const char *const bad[] = {"x", "inf", "t", "o", "sinf"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fail fail = {0};
        assert_int_equal(json_in_double(doc, bad[i], &d, &fail), E_PARSE);
        assert_non_null(strstr(fail_text(&fail), "expected a finite number, got "));
        assert_true(d == 1.5);
    }
}

static void test_json_in_bool(void **state)
{
    (void)state;
    use("{\"t\":true,\"f\":false,\"st\":\"TRUE\",\"sf\":\"False\",\"one\":1,\"zero\":0,\"e\":\"\","
        "\"z\":null,"
        "\"two\":2,\"x\":\"yes\",\"o\":{},\"a\":[]}");
    static const char *const yes[] = {"t", "st", "one"};
    static const char *const no[] = {"f", "sf", "zero"};
    static const char *const same[] = {"e", "z", "absent"};
    static const char *const bad[] = {"two", "x", "o", "a"};
    for (size_t i = 0; i < 3; i++) {
        bool b = false;
        assert_int_equal(json_in_bool(doc, yes[i], &b, NULL), 0);
        assert_true(b);
        assert_int_equal(json_in_bool(doc, same[i], &b, NULL), 0);
        assert_true(b);
        assert_int_equal(json_in_bool(doc, no[i], &b, NULL), 0);
        assert_false(b);
    }
    for (size_t i = 0; i < 4; i++) {
        bool b = true;
        struct fail fail = {0};
        assert_int_equal(json_in_bool(doc, bad[i], &b, &fail), E_PARSE);
        assert_non_null(strstr(fail_text(&fail), "expected true or false, got "));
        assert_true(b);
    }
}

static void test_json_in_pairs__scalars_in_order_and_later_wins(void **state)
{
    (void)state;
    use("{\"a\":\"1\",\"n\":null,\"b\":2,\"c\":true,\"a\":\"3\",\"\":\"\"}");
    struct json_pair *pairs = NULL;
    size_t count = 99;
    assert_int_equal(json_in_pairs(doc, 5, &arena, &pairs, &count, NULL), 0);
    json_in_free(doc);
    doc = NULL;
    const char *const expected[][2] = {{"a", "3"}, {"b", "2"}, {"c", "true"}, {"", ""}};
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(pairs[i].key.data, expected[i][0]);
        assert_string_equal(pairs[i].value.data, expected[i][1]);
    }
}

static void test_json_in_pairs__nothing__is_none(void **state)
{
    (void)state;
    struct json_pair *pairs = NULL;
    size_t count = 99;
    assert_int_equal(json_in_pairs(NULL, 5, &arena, &pairs, &count, NULL), 0);
    assert_int_equal(count, 0);
    use("{\"a\":null}");
    count = 99;
    assert_int_equal(json_in_pairs(doc, 0, &arena, &pairs, &count, NULL), 0);
    assert_int_equal(count, 0);
}

static void test_json_in_pairs__no_object_of_scalars__is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]", "1", "\"a\"", "{\"a\":{}}", "{\"a\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct json_pair *pairs = NULL;
        size_t count = 99;
        use(bad[i]);
        assert_int_equal(json_in_pairs(doc, 5, &arena, &pairs, &count, NULL), E_PARSE);
        assert_int_equal(count, 99);
    }
}

static void test_json_in_pairs__too_many__is_refused(void **state)
{
    (void)state;
    struct json_pair *pairs = NULL;
    size_t count = 99;
    struct fail fail = {0};
    use("{\"a\":1,\"b\":2,\"c\":3}");
    assert_int_equal(json_in_pairs(doc, 2, &arena, &pairs, &count, &fail), E_LIMIT);
    assert_string_equal(fail_text(&fail), "3 pairs, at most 2");
    assert_int_equal(json_in_pairs(doc, 3, &arena, &pairs, &count, &fail), 0);
    struct arena small;
    for (size_t max = 16; max < 256; max += 16) {
        arena_init(&small, max);
        int err = json_in_pairs(doc, 3, &small, &pairs, &count, NULL);
        assert_true(err == 0 || err == E_TOO_LARGE);
        arena_close(&small);
    }
}

#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(test_json_in_parse__whole_values),
        IN_ARENA(test_json_in_parse__anything_else__is_refused),
        IN_ARENA(test_json_in_parse__nul__is_refused),
        IN_ARENA(test_json_in_parse__too_deep__is_refused_before_cjson),
        IN_ARENA(test_json_in_parse__too_large__is_refused),
        IN_ARENA(test_json_in_parse__too_many_values__is_refused),
        IN_ARENA(test_json_in_parse__random_tokens__never_break),
        IN_ARENA(test_json_in_object__blank_text__is_an_invalid_request),
        IN_ARENA(test_json_in_object__other_values__are_refused),
        IN_ARENA(test_json_in_get__case_sensitive_and_null_is_absent),
        IN_ARENA(test_json_in_str__scalars_become_text),
        IN_ARENA(test_json_in_str__infinite_number__is_text_too),
        IN_ARENA(test_json_in_str__object_or_array__is_refused),
        IN_ARENA(test_json_in_str__arena_is_full__is_too_large),
        IN_ARENA(test_json_in_int__numbers_and_text),
        IN_ARENA(test_json_in_int__no_whole_number__is_refused),
        IN_ARENA(test_json_in_int__out_of_range__names_the_range),
        IN_ARENA(test_json_in_double),
        IN_ARENA(test_json_in_bool),
        IN_ARENA(test_json_in_pairs__scalars_in_order_and_later_wins),
        IN_ARENA(test_json_in_pairs__nothing__is_none),
        IN_ARENA(test_json_in_pairs__no_object_of_scalars__is_refused),
        IN_ARENA(test_json_in_pairs__too_many__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
