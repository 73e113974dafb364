#include "http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static int parse(const char *text, const char *context, struct target *ret)
{
    char *uri = arena_str(&arena, span_str(text));
    return target_parse(uri, strlen(text), span_str(context), &arena, ret, NULL);
}

static void expect(const char *text, const char *path, const char *below, const char *query)
{
    struct target t = {0};
    assert_int_equal(parse(text, "/nacos", &t), 0);
    assert_true(t.inside);
    assert_true(span_eq(t.path, span_str(path)));
    assert_true(span_eq(t.below, span_str(below)));
    assert_true(span_eq(span_of(t.query, t.query_len), span_str(query)));
}

static void test_parse__path_and_query(void **state)
{
    (void)state;
    expect("/nacos/v1/ns?a=1", "/nacos/v1/ns", "/v1/ns", "a=1");
    expect("/nacos/v1/ns?a=1?b", "/nacos/v1/ns", "/v1/ns", "a=1?b");
    expect("/nacos", "/nacos", "", "");
    expect("/nacos/", "/nacos/", "/", "");
    expect("/nacos?", "/nacos", "", "");
}

static void test_parse__decodes_below_but_keeps_the_path_as_sent(void **state)
{
    (void)state;
    expect("/nac%6Fs/v1/a+b%2Bc", "/nac%6Fs/v1/a+b%2Bc", "/v1/a+b+c", "");
}

static void test_parse__path_parameters_are_left_out(void **state)
{
    (void)state;
    expect("/nacos;x=1/v1;y/ns;z?q", "/nacos;x=1/v1;y/ns;z", "/v1/ns", "q");
}

static void test_parse__absolute_form(void **state)
{
    (void)state;
    expect("http://host:8848/nacos/v1?a", "/nacos/v1", "/v1", "a");
    expect("https://host/nacos/v1", "/nacos/v1", "/v1", "");
}

static void test_parse__outside_the_context(void **state)
{
    (void)state;
    struct target t = {0};
    assert_int_equal(parse("/nacosx", "/nacos", &t), 0);
    assert_false(t.inside);
    assert_int_equal(t.below.len, 0);
    assert_int_equal(parse("/", "/nacos", &t), 0);
    assert_false(t.inside);
    assert_int_equal(parse("/x", "", &t), 0);
    assert_true(t.inside);
    assert_true(span_eq(t.below, SPAN("/x")));
}

static void test_parse__no_path_or_a_broken_one__is_refused(void **state)
{
    (void)state;
    struct target t = {0};
    static const char *const bad[] = {"",     "?a",     "nacos",       "*",      "/%",
                                      "/%zz", "/a%00b", "http://host", "http://"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i], "/nacos", &t), E_INVALID);
    }
    assert_null(t.path.data);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse__path_and_query),
        cmocka_unit_test(test_parse__decodes_below_but_keeps_the_path_as_sent),
        cmocka_unit_test(test_parse__path_parameters_are_left_out),
        cmocka_unit_test(test_parse__absolute_form),
        cmocka_unit_test(test_parse__outside_the_context),
        cmocka_unit_test(test_parse__no_path_or_a_broken_one__is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
