#include "rpc/door_guests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1000000u

static struct guests *guests;

static int setup(void **state)
{
    (void)state;
    const struct guests_limits limits = {
        .max = 6, .per_ip_max = 3, .hellos = {100, 5}, .hellos_all = {10, 40}};
    guests = guests_create(&limits);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int s = 0; s < GUEST_STATES; s++) {
        struct guest *g = NULL;
        while ((g = guests_first(guests, (enum guest_state)s))) {
            guests_remove(guests, g);
        }
    }
    guests_destroy(guests);
    return 0;
}

static struct door_ip ip_of(const char *text)
{
    struct door_ip ip = {0};
    assert_true(door_ip_parse(text, &ip));
    return ip;
}

static struct guest *add(int fd, const char *ip)
{
    struct door_ip from = ip_of(ip);
    return guests_add(guests, fd, &from, NOW + (uint64_t)fd);
}

static struct guest *in_the_way(const char *ip)
{
    struct door_ip from = ip_of(ip);
    return guests_in_the_way(guests, &from);
}

static bool hello(const char *ip, uint64_t now_ms)
{
    struct door_ip from = ip_of(ip);
    return guests_take_hello(guests, &from, now_ms);
}

static void assert_same(const char *a, const char *b, bool same)
{
    struct door_ip left = ip_of(a);
    struct door_ip right = ip_of(b);
    assert_int_equal(door_ip_equal(&left, &right), same);
}

static void test_ip__ipv6__counts_by_its_first_half(void **state)
{
    (void)state;
    assert_same("10.0.0.1", "10.0.0.1", true);
    assert_same("10.0.0.1", "10.0.0.2", false);
    assert_same("10.0.0.1", "::ffff:10.0.0.1", true);
    assert_same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
    assert_same("2001:db8:1:2::1", "2001:db8:1:3::1", false);
    struct door_ip ip = {{7}};
    assert_false(door_ip_parse("node-1", &ip));
    assert_false(door_ip_parse("", &ip));
    assert_int_equal(ip.bytes[0], 7);
    struct sockaddr other = {.sa_family = AF_UNIX};
    struct door_ip none = {0};
    ip = door_ip_of(&other);
    assert_true(door_ip_equal(&ip, &none));
}

static void test_guests__deadlines__come_in_the_order_of_arrival(void **state)
{
    (void)state;
    struct guest *first = add(1, "10.0.0.1");
    struct guest *second = add(2, "10.0.0.2");
    assert_ptr_equal(guests_first(guests, GUEST_UNDECIDED), first);
    guests_leave(guests, first, NOW + 9);
    assert_ptr_equal(guests_first(guests, GUEST_UNDECIDED), second);
    assert_ptr_equal(guests_first(guests, GUEST_LEAVING), first);
    assert_int_equal(first->until_ms, NOW + 9);
    assert_int_equal(guests_count(guests), 2);
    guests_remove(guests, second);
    assert_null(guests_first(guests, GUEST_UNDECIDED));
    assert_int_equal(guests_count(guests), 1);
}

static void test_guests__full_for_an_address__its_own_oldest_is_in_the_way(void **state)
{
    (void)state;
    (void)add(1, "10.0.0.9");
    struct guest *oldest = add(2, "10.0.0.1");
    (void)add(3, "10.0.0.1");
    assert_null(in_the_way("10.0.0.1"));
    (void)add(4, "10.0.0.1");
    assert_ptr_equal(in_the_way("10.0.0.1"), oldest);
    assert_null(in_the_way("10.0.0.2"));
    guests_remove(guests, oldest);
    assert_null(in_the_way("10.0.0.1"));
}

static void test_guests__full__who_leaves_goes_before_who_came_first(void **state)
{
    (void)state;
    struct guest *first = add(1, "10.0.0.1");
    struct guest *list[6] = {first};
    for (int i = 2; i <= 6; i++) {
        char ip[40];
        (void)snprintf(ip, sizeof(ip), "10.0.1.%d", i);
        list[i - 1] = add(i, ip);
    }
    assert_ptr_equal(in_the_way("10.0.2.1"), first);
    guests_leave(guests, list[3], NOW);
    assert_ptr_equal(in_the_way("10.0.2.1"), list[3]);
}

static void test_guests__gone_without_a_hello__are_forgotten(void **state)
{
    (void)state;
    guests_remove(guests, add(1, "10.0.0.1"));
    assert_int_equal(guests_hosts(guests), 0);
}

static void test_hello__over_the_burst__waits_for_the_rate(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(hello("10.0.0.1", NOW));
    }
    assert_false(hello("10.0.0.1", NOW));
    assert_true(hello("10.0.0.2", NOW));
    assert_false(hello("10.0.0.1", NOW + 99));
    assert_true(hello("10.0.0.1", NOW + 100));
    assert_false(hello("10.0.0.1", NOW + 100));
    for (int i = 0; i < 5; i++) {
        assert_true(hello("10.0.0.1", NOW + 10000)); /* a silence gives the burst back, no more */
    }
    assert_false(hello("10.0.0.1", NOW + 10000));
}

static void test_hello__all_addresses_together__are_limited_too(void **state)
{
    (void)state;
    unsigned taken = 0;
    for (int i = 0; i < 100; i++) {
        char ip[40];
        (void)snprintf(ip, sizeof(ip), "10.0.1.%d", i);
        taken += hello(ip, NOW);
    }
    assert_int_equal(taken, 40);
    assert_false(hello("10.0.2.1", NOW + 9));
    assert_true(hello("10.0.2.1", NOW + 10));
}

static void test_hello__counts_while_the_guest_is_there_and_after(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct guest *g = add(i, "10.0.0.1");
        assert_true(hello("10.0.0.1", NOW));
        guests_remove(guests, g);
    }
    assert_int_equal(guests_hosts(guests), 1);
    assert_false(hello("10.0.0.1", NOW));
}

static void test_hosts__that_are_remembered__are_bounded(void **state)
{
    (void)state;
    uint64_t now = NOW;
    for (int i = 0; i < 2 * GUESTS_BUSY_MAX; i++) {
        char ip[40];
        (void)snprintf(ip, sizeof(ip), "10.%d.%d.1", i / 250, i % 250);
        (void)hello(ip, now);
        assert_true(guests_hosts(guests) <= GUESTS_BUSY_MAX + 1);
    }
    assert_true(hello("10.9.9.9", now + 100000));
    assert_int_equal(guests_hosts(guests), 1); /* what is paid for is forgotten */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ip__ipv6__counts_by_its_first_half),
        TEST(test_guests__deadlines__come_in_the_order_of_arrival),
        TEST(test_guests__full_for_an_address__its_own_oldest_is_in_the_way),
        TEST(test_guests__full__who_leaves_goes_before_who_came_first),
        TEST(test_guests__gone_without_a_hello__are_forgotten),
        TEST(test_hello__over_the_burst__waits_for_the_rate),
        TEST(test_hello__all_addresses_together__are_limited_too),
        TEST(test_hello__counts_while_the_guest_is_there_and_after),
        TEST(test_hosts__that_are_remembered__are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
