#include "http/screen.h"

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

static void expect(void **state, const char *line, int status)
{
    struct reply r = ask_with(*state, line, "", NULL);
    assert_int_equal(r.status, status);
    reply_close(&r);
}

static void test_screen__what_no_row_is_asked_for(void **state)
{
    expect(state, "GET /nacos/", 200);
    expect(state, "GET /nacos", 302);
    expect(state, "GET /nacos/none", 404);
    expect(state, "GET /nacos/v1/ns/none", 501);
    expect(state, "PUT /nacos/v1/console/open", 500);
    expect(state, "OPTIONS /nacos/v1/console/open", 200);
    expect(state, "OPTIONS /nacos/none", 404);
}

static void test_screen__a_row_is_left_to_answer(void **state)
{
    expect(state, "GET /nacos/v1/console/open", 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_screen__what_no_row_is_asked_for),
        cmocka_unit_test(test_screen__a_row_is_left_to_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
