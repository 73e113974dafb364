#include "http/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_storage ip4(const char *text)
{
    struct sockaddr_storage addr = {0};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
    memcpy(&addr, &in, sizeof(in));
    return addr;
}

static struct sockaddr_storage ip6(const char *text)
{
    struct sockaddr_storage addr = {0};
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(81)};
    assert_int_equal(inet_pton(AF_INET6, text, &in.sin6_addr), 1);
    memcpy(&addr, &in, sizeof(in));
    return addr;
}

#define ADDR(a) ((const struct sockaddr *)&(a))

static void test_enter__limit_of_an_address(void **state)
{
    (void)state;
    struct gate *g = gate_create(10, 2);
    struct sockaddr_storage a = ip4("10.0.0.1");
    struct sockaddr_storage b = ip4("10.0.0.2");
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_OPEN);
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_OPEN);
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_FULL_FOR_IP);
    assert_int_equal(gate_enter(g, ADDR(b)), GATE_OPEN);
    gate_leave(g, ADDR(a));
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_OPEN);
    assert_int_equal(gate_count(g), 3);
    gate_destroy(g);
}

static void test_enter__limit_of_all_comes_first(void **state)
{
    (void)state;
    struct gate *g = gate_create(2, 1);
    struct sockaddr_storage a = ip4("10.0.0.1");
    struct sockaddr_storage b = ip6("2001:db8::1");
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_OPEN);
    assert_int_equal(gate_enter(g, ADDR(b)), GATE_OPEN);
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_FULL);
    gate_leave(g, ADDR(b));
    assert_int_equal(gate_enter(g, ADDR(a)), GATE_FULL_FOR_IP);
    assert_int_equal(gate_count(g), 1);
    gate_destroy(g);
}

static void test_same_ip__whatever_port_and_family(void **state)
{
    (void)state;
    struct sockaddr_storage a = ip4("10.0.0.1");
    struct sockaddr_storage mapped = ip6("::ffff:10.0.0.1");
    struct sockaddr_storage other = ip6("::1");
    assert_true(gate_same_ip(ADDR(a), ADDR(mapped)));
    assert_false(gate_same_ip(ADDR(a), ADDR(other)));
}

static void test_many_addresses__come_and_go(void **state)
{
    (void)state;
    struct gate *g = gate_create(5000, 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000; i++) {
            char text[32];
            snprintf(text, sizeof(text), "10.1.%d.%d", i / 250, i % 250);
            struct sockaddr_storage a = ip4(text);
            if (round == 0) {
                assert_int_equal(gate_enter(g, ADDR(a)), GATE_OPEN);
            } else {
                gate_leave(g, ADDR(a));
            }
        }
    }
    assert_int_equal(gate_count(g), 0);
    gate_destroy(g);
    gate_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enter__limit_of_an_address),
        cmocka_unit_test(test_enter__limit_of_all_comes_first),
        cmocka_unit_test(test_same_ip__whatever_port_and_family),
        cmocka_unit_test(test_many_addresses__come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
