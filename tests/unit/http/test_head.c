#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum head_kind look(const char *text)
{
    return head_look(span_str(text));
}

static void test_look__complete(void **state)
{
    (void)state;
    assert_int_equal(look("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), HEAD_SMALL);
    assert_int_equal(look("GET / HTTP/1.1\r\n\r\n"), HEAD_SMALL);
    assert_int_equal(look("GET / HTTP/1.1\nHost: x\n\nbody"), HEAD_SMALL);
    assert_int_equal(look("\r\nGET / HTTP/1.1\r\n\r\n"), HEAD_SMALL);
}

static void test_look__not_yet(void **state)
{
    (void)state;
    assert_int_equal(look(""), HEAD_MORE);
    assert_int_equal(look("G"), HEAD_MORE);
    assert_int_equal(look("GET / HTTP/1.1\r\n"), HEAD_MORE);
    assert_int_equal(look("GET / HTTP/1.1\r\nHost: x\r\n"), HEAD_MORE);
    assert_int_equal(look("GET / HTTP/1.1\r\nHost: x\r\n\r"), HEAD_MORE);
    assert_int_equal(look("\r\n\r\n\r\n"), HEAD_MORE);
}

static void test_look__no_http__is_known_at_once(void **state)
{
    (void)state;
    assert_int_equal(look("\x16\x03\x01"), HEAD_ALIEN);
    assert_int_equal(head_look(span_of("\0\0", 2)), HEAD_ALIEN);
    assert_int_equal(look("{"), HEAD_ALIEN);
    assert_int_equal(look("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HEAD_ALIEN);
    assert_int_equal(look("PRI"), HEAD_MORE);
}

static void test_look__large(void **state)
{
    (void)state;
    char *text = malloc(HEAD_SMALL_MAX + 1);
    memset(text, 'a', HEAD_SMALL_MAX + 1);
    assert_int_equal(head_look(span_of(text, HEAD_SMALL_MAX)), HEAD_MORE);
    assert_int_equal(head_look(span_of(text, HEAD_SMALL_MAX + 1)), HEAD_LARGE);
    memcpy(text + HEAD_SMALL_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(head_look(span_of(text, HEAD_SMALL_MAX)), HEAD_SMALL);
    assert_int_equal(head_look(span_of(text, HEAD_SMALL_MAX + 1)), HEAD_SMALL);
    memset(text, '\n', HEAD_SMALL_MAX + 1);
    assert_int_equal(head_look(span_of(text, HEAD_SMALL_MAX + 1)), HEAD_LARGE);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look__complete),
        cmocka_unit_test(test_look__not_yet),
        cmocka_unit_test(test_look__no_http__is_known_at_once),
        cmocka_unit_test(test_look__large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
