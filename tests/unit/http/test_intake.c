#include "http/intake.h"

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

static void test_read__query_then_form_then_caller(void **state)
{
    struct reply r =
        ask_with(*state, "POST /nacos/v1/ns/echo?a=1",
                 "App: shop\r\nContent-Type: application/x-www-form-urlencoded\r\n", "a=2");
    assert_string_equal(r.body,
                        "{\"params\":[\"a\",\"1\",\"a\",\"2\"],\"body\":\"\",\"ip\":\"127.0.0.1\","
                        "\"port\":true,\"app\":\"shop\",\"agent\":\"\"}");
    reply_close(&r);
}

static void test_read__other_body_is_raw(void **state)
{
    struct reply r = ask_with(*state, "POST /nacos/v1/ns/echo?a=1", "", "a=2");
    assert_non_null(strstr(r.body, "\"params\":[\"a\",\"1\"],\"body\":\"a=2\""));
    reply_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__query_then_form_then_caller),
        cmocka_unit_test(test_read__other_body_is_raw),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
