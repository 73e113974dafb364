#include "http/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

/* A form of one text, on the heap so that the sanitizer sees its ends. */
struct made {
    struct arena arena;
    char *text;
    struct form form;
    struct fail fail;
    int err;
};

static void make(struct made *m, const char *text)
{
    *m = (struct made){0};
    arena_init(&m->arena, 1 << 20);
    size_t len = strlen(text);
    m->text = mem_alloc(len ? len : 1);
    memcpy(m->text, text, len);
    form_init(&m->form, &m->arena, span_of(m->text, len), (struct span){0});
    m->err = form_add(&m->form, m->text, len, &m->fail);
}

static void unmake(struct made *m)
{
    mem_free(m->text);
    arena_close(&m->arena);
}

static void expect(const char *text, const char *expected)
{
    struct made m;
    make(&m, text);
    assert_int_equal(m.err, 0);
    char got[512] = "";
    size_t len = 0;
    for (unsigned i = 0; i < m.form.count; i++) {
        len += (size_t)snprintf(got + len, sizeof(got) - len, "[%.*s=%.*s]",
                                SPAN_ARG(m.form.list[i].name), SPAN_ARG(m.form.list[i].value));
    }
    assert_string_equal(got, expected);
    unmake(&m);
}

static void test_add__names_and_values_in_order(void **state)
{
    (void)state;
    expect("a=1&b=2&a=3", "[a=1][b=2][a=3]");
    expect("", "");
    expect("a", "[a=]");
    expect("a=", "[a=]");
    expect("a=b=c", "[a=b=c]");
}

static void test_add__nameless_pieces_are_skipped(void **state)
{
    (void)state;
    expect("&&=x&a=1&", "[a=1]");
    expect("&", "");
    expect("=", "");
}

static void test_add__decodes_names_and_values(void **state)
{
    (void)state;
    expect("n%61me=a+b%20c%2B", "[name=a b c+]");
    expect("a%3Db=c%26d", "[a=b=c&d]");
    expect("%E4%BD%A0=%e5%a5%bd", "[你=好]");
}

static void test_add__broken_sequence__loses_that_parameter(void **state)
{
    (void)state;
    expect("a=%&b=1", "[b=1]");
    expect("a=%4&b=1", "[b=1]");
    expect("a=%4g&b=1", "[b=1]");
    expect("%zz=1&b=1", "[b=1]");
    expect("a=%4", "");
}

static void test_add__over_the_maximum__is_refused(void **state)
{
    (void)state;
    char text[(API_PARAMS_MAX + 1) * 2 + 1];
    for (int i = 0; i <= API_PARAMS_MAX; i++) {
        memcpy(text + 2 * i, "a&", 3);
    }
    struct made m;
    make(&m, text);
    assert_int_equal(m.err, E_INVALID);
    assert_string_equal(fail_text(&m.fail), "more than 256 parameters");
    assert_int_equal(m.form.count, API_PARAMS_MAX);
    unmake(&m);
    text[2 * API_PARAMS_MAX] = '\0';
    make(&m, text);
    assert_int_equal(m.err, 0);
    unmake(&m);
}

static void test_add__two_texts_follow_each_other(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    char query[] = "a=1";
    char body[] = "a=2&b=3";
    struct form f;
    form_init(&f, &arena, SPAN("a=1"), SPAN("a=2&b=3"));
    assert_int_equal(form_add(&f, query, 3, NULL), 0);
    assert_int_equal(form_add(&f, body, 7, NULL), 0);
    assert_int_equal(f.count, 3);
    assert_true(span_eq(f.list[1].value, SPAN("2")));
    arena_close(&arena);
}

static void test_add__what_is_no_utf8__stays_as_it_is(void **state)
{
    (void)state;
    struct made m;
    make(&m, "a=%FFb");
    assert_int_equal(m.err, 0);
    assert_true(span_eq(m.form.list[0].value, SPAN("\xFF"
                                                   "b")));
    unmake(&m);
}

static void test_decode__plus_only_where_it_means_a_blank(void **state)
{
    (void)state;
    char text[] = "a+b%2f";
    size_t len = 0;
    assert_true(form_decode(text, 6, false, &len));
    assert_true(span_eq(span_of(text, len), SPAN("a+b/")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add__names_and_values_in_order),
        cmocka_unit_test(test_add__nameless_pieces_are_skipped),
        cmocka_unit_test(test_add__decodes_names_and_values),
        cmocka_unit_test(test_add__broken_sequence__loses_that_parameter),
        cmocka_unit_test(test_add__over_the_maximum__is_refused),
        cmocka_unit_test(test_add__two_texts_follow_each_other),
        cmocka_unit_test(test_add__what_is_no_utf8__stays_as_it_is),
        cmocka_unit_test(test_decode__plus_only_where_it_means_a_blank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
