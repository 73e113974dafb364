#include "http/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

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

static void test_life__answered_on_the_edge_and_by_the_core(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/console/open", "", NULL);
    assert_string_equal(r.body, "OK");
    reply_close(&r);
    r = ask_with(*state, "POST /nacos/v1/ns/core", "", "");
    assert_string_equal(r.body, "ok");
    reply_close(&r);
}

static void test_life__the_core_lets_go_last(void **state)
{
    int fd = client_open(rig_port(*state));
    const char *request = "GET /nacos/v1/ns/later HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(client_send(fd, request, strlen(request)));
    assert_true(rig_wait_held(*state, 1));
    close(fd);
    assert_int_equal(rig_release(*state), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life__answered_on_the_edge_and_by_the_core),
        cmocka_unit_test(test_life__the_core_lets_go_last),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
