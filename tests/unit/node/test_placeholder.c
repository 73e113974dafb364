#include "node/placeholder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static char *const environment[] = {
    "A=1", "LONG_NAME=two words", "EMPTY=", "ODD=x=${A}", "=nameless", "NOVALUE", NULL};

static void check(const char *value, const char *want)
{
    struct json_out text;
    json_init(&text, 0);
    placeholder_resolve(environment, span_str(value), &text);
    struct span got = json_text(&text);
    if (!span_eq(got, span_str(want))) {
        fail_msg("%s: expected \"%s\", got \"%.*s\"", value, want, SPAN_ARG(got));
    }
    json_close(&text);
}

static void test_environment__by_name__is_found(void **state)
{
    (void)state;
    assert_true(span_eq(environment_get(environment, SPAN("A")), SPAN("1")));
    assert_true(span_eq(environment_get(environment, SPAN("ODD")), SPAN("x=${A}")));
    struct span empty = environment_get(environment, SPAN("EMPTY"));
    assert_true(empty.data && empty.len == 0);
    assert_null(environment_get(environment, SPAN("LONG")).data);
    assert_null(environment_get(environment, SPAN("a")).data);
    assert_null(environment_get(NULL, SPAN("A")).data);
}

static void test_placeholder__variable_or_default__is_filled_in(void **state)
{
    (void)state;
    check("", "");
    check("plain", "plain");
    check("${A}", "1");
    check("<${A}-${LONG_NAME}>", "<1-two words>");
    check("${A:default}", "1");
    check("${EMPTY:default}", "");
    check("${NONE:default}", "default");
    check("${NONE:}", "");
    check("${NONE:a:b}", "a:b");
    check("${NONE:${A}}!", "1!");
    check("${NONE:<${NEITHER:${LONG_NAME}}>}", "<two words>");
    /* What the environment holds is no text to be resolved. */
    check("${ODD}", "x=${A}");
}

static void test_placeholder__unknown_or_not_closed__stays(void **state)
{
    (void)state;
    check("${NONE}", "${NONE}");
    check("${A", "${A");
    check("$A {A} $", "$A {A} $");
    check("${A}${", "1${");
    check("${NONE:${A}", "${NONE:${A}");
    check("}${A}{", "}1{");
}

static void test_placeholder__nested_to_the_limit_and_beyond__ends(void **state)
{
    (void)state;
    check("${N:${N:${N:${N:${N:${N:${N:${N:x}}}}}}}}", "x");
    check("${N:${N:${N:${N:${N:${N:${N:${N:${N:x}}}}}}}}}", "${N:x}");
}

static void test_placeholder__result_too_long__stops_soon_after(void **state)
{
    (void)state;
    size_t count = 20000;
    char *value = mem_zalloc(count * 12 + 1, 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(value + i * 12, "${LONG_NAME}", 12);
    }
    struct json_out text;
    json_init(&text, 0);
    placeholder_resolve(environment, span_str(value), &text);
    assert_true(json_text(&text).len > PLACEHOLDER_TEXT_MAX);
    assert_true(json_text(&text).len < PLACEHOLDER_TEXT_MAX + 100);
    json_close(&text);
    mem_free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment__by_name__is_found),
        cmocka_unit_test(test_placeholder__variable_or_default__is_filled_in),
        cmocka_unit_test(test_placeholder__unknown_or_not_closed__stays),
        cmocka_unit_test(test_placeholder__nested_to_the_limit_and_beyond__ends),
        cmocka_unit_test(test_placeholder__result_too_long__stops_soon_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
