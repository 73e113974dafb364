#include "http/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static bool can_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int err = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
    close(fd);
    return err == 0;
}

static void test_open__the_system_picks_a_port(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1", "0.0.0.0", "", NULL};
    for (size_t i = 0; i < 4; i++) {
        int fd = -1;
        uint16_t port = 0;
        assert_int_equal(listen_open(addresses[i], 0, &fd, &port, NULL), 0);
        assert_true(port > 0);
        assert_true(can_connect(port));
        close(fd);
    }
}

static void test_open__port_in_use__says_where_and_why(void **state)
{
    (void)state;
    int fd = -1;
    int second = -1;
    uint16_t port = 0;
    uint16_t other = 0;
    struct fail fail = {0};
    assert_int_equal(listen_open("127.0.0.1", 0, &fd, &port, NULL), 0);
    assert_int_equal(listen_open("127.0.0.1", port, &second, &other, &fail), E_IO);
    char expected[128];
    snprintf(expected, sizeof(expected),
             "cannot listen on 127.0.0.1 port %u: Address already in use", (unsigned)port);
    assert_string_equal(fail_text(&fail), expected);
    assert_int_equal(second, -1);
    close(fd);
}

static void test_open__no_address__is_refused(void **state)
{
    (void)state;
    int fd = -1;
    uint16_t port = 0;
    struct fail fail = {0};
    assert_int_equal(listen_open("300.1.2.3.4", 0, &fd, &port, &fail), E_INVALID);
    assert_non_null(strstr(fail_text(&fail), "bind address '300.1.2.3.4'"));
    assert_int_equal(listen_open("192.0.2.1", 0, &fd, &port, &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "192.0.2.1 port 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open__the_system_picks_a_port),
        cmocka_unit_test(test_open__port_in_use__says_where_and_why),
        cmocka_unit_test(test_open__no_address__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
