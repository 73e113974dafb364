#include "bench/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fake_socket.h"

static void test_resolve__addresses_and_names(void **state)
{
    (void)state;
    struct addrinfo *address = NULL;
    struct fail fail = {0};
    assert_int_equal(net_resolve("127.0.0.1", 8848, &address, &fail), 0);
    assert_int_equal(address->ai_family, AF_INET);
    freeaddrinfo(address);
    assert_int_equal(net_resolve("::1", 8848, &address, &fail), 0);
    assert_int_equal(address->ai_family, AF_INET6);
    freeaddrinfo(address);
}

static void test_resolve__unknown_name_is_told(void **state)
{
    (void)state;
    struct addrinfo *address = NULL;
    struct fail fail = {0};
    assert_int_equal(net_resolve("no such host", 8848, &address, &fail), E_NOT_FOUND);
    assert_non_null(strstr(fail_text(&fail), "no such host"));
}

static void test_connect__reaches_a_listener(void **state)
{
    (void)state;
    struct addrinfo *address = NULL;
    struct fail fail = {0};
    unsigned port = 0;
    int fd = -1;
    int listener = fake_listen(&port);
    assert_int_equal(net_resolve("127.0.0.1", port, &address, &fail), 0);
    assert_int_equal(net_connect(address, &fd, &fail), 0);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(net_connect_error(fd), 0);
    (void)close(fd);
    (void)close(listener);
    freeaddrinfo(address);
}

static void test_connect__refused_is_seen_later(void **state)
{
    (void)state;
    struct addrinfo *address = NULL;
    struct fail fail = {0};
    unsigned port = 0;
    int fd = -1;
    (void)close(fake_listen(&port));
    assert_int_equal(net_resolve("127.0.0.1", port, &address, &fail), 0);
    assert_int_equal(net_connect(address, &fd, &fail), 0);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(net_connect_error(fd), ECONNREFUSED);
    (void)close(fd);
    assert_int_not_equal(net_connect_error(fd), 0);
    freeaddrinfo(address);
}

static void test_allow_sockets__names_the_limit(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct rlimit limit = {0};
    assert_int_equal(net_allow_sockets(10, &fail), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
    if (limit.rlim_max < UINT32_MAX - 100) {
        assert_int_equal(net_allow_sockets(UINT32_MAX - 64, &fail), E_LIMIT);
        assert_non_null(strstr(fail_text(&fail), "ulimit"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve__addresses_and_names),
        cmocka_unit_test(test_resolve__unknown_name_is_told),
        cmocka_unit_test(test_connect__reaches_a_listener),
        cmocka_unit_test(test_connect__refused_is_seen_later),
        cmocka_unit_test(test_allow_sockets__names_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
