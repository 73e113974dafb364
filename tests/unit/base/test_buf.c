#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "expect_abort.h"

static void test_buf_create__is_a_copy(void **state)
{
    (void)state;
    char text[] = "abc";
    struct buf *b = buf_create(span_of(text, 3));
    text[0] = 'x';
    assert_true(span_eq(buf_span(b), SPAN("abc")));
    buf_unref(b);
    b = buf_create((struct span){0});
    assert_int_equal(buf_span(b).len, 0);
    buf_unref(b);
    buf_unref(NULL);
    assert_int_equal(buf_span(NULL).len, 0);
}

static void test_buf_take__frees_what_it_took(void **state)
{
    (void)state;
    /* AddressSanitizer sees a leak or a double free. */
    struct buf *b = buf_take(mem_strndup("abc", 3), 3);
    assert_true(span_eq(buf_span(b), SPAN("abc")));
    assert_ptr_equal(buf_ref(b), b);
    buf_unref(b);
    assert_true(span_eq(buf_span(b), SPAN("abc")));
    buf_unref(b);
    buf_unref(buf_take(NULL, 0));
}

static void test_body__slices__read_as_one(void **state)
{
    (void)state;
    struct body body = {0};
    struct buf *b = buf_create(SPAN("0123456789"));
    body_add(&body, buf_ref(b), 2, 3);
    body_add(&body, buf_ref(b), 5, 0);
    body_add(&body, buf_ref(b), 10, 0);
    body_add_buf(&body, buf_create(SPAN("xyz")));
    body_add_buf(&body, buf_create(SPAN("")));
    assert_int_equal(body.parts, 2);
    assert_int_equal(body_len(&body), 6);
    struct body second = body_share(&body);
    body_close(&body);
    assert_int_equal(body_len(&body), 0);
    char text[7] = "";
    body_copy(&second, text);
    assert_string_equal(text, "234xyz");
    body_close(&second);
    body_close(&second);
    buf_unref(b);
}

static void add_outside(void)
{
    struct body body = {0};
    body_add(&body, buf_create(SPAN("abc")), 2, 2);
}

static void add_too_many(void)
{
    struct body body = {0};
    for (unsigned i = 0; i <= BODY_PARTS_MAX; i++) {
        body_add_buf(&body, buf_create(SPAN("abc")));
    }
}

static void add_as_many_as_fit(void)
{
    struct body body = {0};
    for (unsigned i = 0; i < BODY_PARTS_MAX; i++) {
        body_add_buf(&body, buf_create(SPAN("abc")));
    }
    body_close(&body);
}

static void test_body_add__outside_or_too_many__aborts(void **state)
{
    (void)state;
    assert_true(aborts(add_outside));
    assert_true(aborts(add_too_many));
    assert_false(aborts(add_as_many_as_fit));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_create__is_a_copy),
        cmocka_unit_test(test_buf_take__frees_what_it_took),
        cmocka_unit_test(test_body__slices__read_as_one),
        cmocka_unit_test(test_body_add__outside_or_too_many__aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
