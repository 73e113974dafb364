#include "http/send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

static int setup(void **state)
{
    *state = rig_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    rig_stop(*state);
    return 0;
}

static void test_send__headers_of_every_answer(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/console/open", "", NULL);
    assert_string_equal(reply_header(&r, "Content-Security-Policy"), "script-src 'self'");
    assert_non_null(reply_header(&r, "Vary"));
    assert_non_null(reply_header(&r, "Date"));
    assert_null(reply_header(&r, "Allow"));
    reply_close(&r);
}

static void test_send__empty_body(void **state)
{
    struct reply r = ask_with(*state, "OPTIONS /nacos/v1/console/open", "", NULL);
    assert_string_equal(reply_header(&r, "Content-Length"), "0");
    assert_null(reply_header(&r, "Content-Type"));
    reply_close(&r);
}

static void test_send__slices_in_order(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/ns/parts?n=2", "", NULL);
    assert_string_equal(r.body, "aabbcc");
    reply_close(&r);
}

static void test_send__headers_of_the_row__empty_ones_too(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/cs/own", "", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-MD5"), "abc");
    assert_non_null(strstr(r.head, "\r\nEncrypted-Data-Key:"));
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json;charset=UTF-8");
    reply_close(&r);
}

static void test_send__a_header_with_a_line_break__is_left_out(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/cs/own", "", NULL);
    assert_null(reply_header(&r, "X-Broken"));
    assert_null(reply_header(&r, "X-Injected"));
    reply_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send__headers_of_every_answer),
        cmocka_unit_test(test_send__empty_body),
        cmocka_unit_test(test_send__slices_in_order),
        cmocka_unit_test(test_send__headers_of_the_row__empty_ones_too),
        cmocka_unit_test(test_send__a_header_with_a_line_break__is_left_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
