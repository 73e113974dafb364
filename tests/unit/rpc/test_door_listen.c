#include "rpc/door_listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw.h"

static struct door_sockets sockets;

static int teardown(void **state)
{
    (void)state;
    door_listen_close(&sockets);
    door_listen_close(&sockets); /* again is fine */
    return 0;
}

static void open_at(const char *bind, uint16_t port)
{
    struct fail fail = {0};
    if (door_listen(bind, port, 20000, &sockets, &fail) != 0) {
        fail_msg("%s", fail_text(&fail));
    }
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void test_listen__connections__inherit_what_c_core_would_set(void **state)
{
    (void)state;
    open_at("127.0.0.1", 0);
    assert_int_equal(sockets.count, 1);
    assert_int_equal(option(sockets.fds[0], SOL_SOCKET, SO_REUSEPORT), 0);
    assert_int_equal(option(sockets.fds[0], SOL_SOCKET, SO_REUSEADDR), 1);
    int client = raw_open(sockets.port);
    int server = accept(sockets.fds[0], NULL, NULL);
    assert_true(client >= 0 && server >= 0);
    assert_int_equal(option(server, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(server, IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
    (void)close(client);
    (void)close(server);
}

/* A client of both families reaches it. */
static void test_listen__any__is_both_families(void **state)
{
    static const char *const anys[] = {"0.0.0.0", "::"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_at(anys[i], 0);
        int client = raw_open(sockets.port);
        assert_true(client >= 0);
        (void)close(client);
        struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                                  .sin6_port = htons(sockets.port),
                                  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client >= 0 && option(sockets.fds[0], SOL_SOCKET, SO_DOMAIN) == AF_INET6) {
            int err = connect(client, (struct sockaddr *)(void *)&to, sizeof(to));
            assert_true(err == 0 || sockets.count == 1); /* a host without ::1 */
        }
        (void)close(client);
        door_listen_close(&sockets);
    }
}

static void test_listen__a_name__is_all_its_addresses_at_one_port(void **state)
{
    (void)state;
    open_at("localhost", 0);
    assert_true(sockets.count >= 1);
    int client = raw_open(sockets.port);
    assert_true(client >= 0);
    (void)close(client);
}

static void refuse(const char *bind, uint16_t port, const char *part)
{
    struct door_sockets none = {.port = 7};
    struct fail fail = {0};
    assert_int_equal(door_listen(bind, port, 0, &none, &fail), E_IO);
    assert_int_equal(none.port, 7);
    if (!strstr(fail_text(&fail), part)) {
        fail_msg("%s is not in %s", part, fail_text(&fail));
    }
}

static void test_listen__refused__says_address_and_reason(void **state)
{
    (void)state;
    open_at("127.0.0.1", 0);
    char part[64];
    (void)snprintf(part, sizeof(part), "127.0.0.1:%u: Address already in use", sockets.port);
    refuse("127.0.0.1", sockets.port, part);
    refuse("0.0.0.0", sockets.port, "Address already in use");
    refuse("192.0.2.77", 7, "192.0.2.77:7: Cannot assign requested address");
    refuse("not an address", 0, "not an IPv4 or IPv6 address");
    refuse("2001:db8::77", 9, "[2001:db8::77]:9");
}

static void test_listen__closed__the_port_is_free(void **state)
{
    (void)state;
    open_at("127.0.0.1", 0);
    uint16_t port = sockets.port;
    door_listen_close(&sockets);
    open_at("127.0.0.1", port);
    assert_int_equal(sockets.port, port);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_listen__connections__inherit_what_c_core_would_set),
        TEST(test_listen__any__is_both_families),
        TEST(test_listen__a_name__is_all_its_addresses_at_one_port),
        TEST(test_listen__refused__says_address_and_reason),
        TEST(test_listen__closed__the_port_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
