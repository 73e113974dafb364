#include "rpc/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "raw.h"

/* A door without anybody behind it: what is decided before a server is needed. The rest is
 * tests/integ/rpc/test_door.c. */
static struct door *door;

static void open_with(const struct door_options *options)
{
    struct fail fail = {0};
    struct door_options o = *options;
    o.bind = "127.0.0.1";
    assert_int_equal(door_create(&o, &door, &fail), 0);
    assert_int_equal(door_start(door, &fail), 0);
}

static int teardown(void **state)
{
    (void)state;
    door_destroy(door);
    door = NULL;
    return 0;
}

static int come(void)
{
    int fd = raw_open(door_port(door));
    assert_true(fd >= 0);
    return fd;
}

static void wait_for(const atomic_ulong *figure, unsigned long wanted)
{
    uint64_t until_ms = clock_mono_ms() + 5000;
    while (atomic_load(figure) != wanted) {
        if (clock_mono_ms() > until_ms) {
            fail_msg("waited for %lu, is %lu", wanted, atomic_load(figure));
        }
        (void)poll(NULL, 0, 1);
    }
}

static void test_create__port_in_use__says_so(void **state)
{
    (void)state;
    open_with(&(struct door_options){0});
    struct door *second = NULL;
    struct fail fail = {0};
    struct door_options o = {.bind = "127.0.0.1", .port = door_port(door)};
    assert_int_equal(door_create(&o, &second, &fail), E_IO);
    assert_null(second);
    assert_non_null(strstr(fail_text(&fail), "Address already in use"));
}

static void test_plain__nobody_behind_the_door__is_closed(void **state)
{
    (void)state;
    open_with(&(struct door_options){0});
    int fd = come();
    assert_true(raw_hello(fd));
    assert_true(raw_closed(fd, 5000));
    (void)close(fd);
    wait_for(&door_counters(door)->refused_ready, 1);
    wait_for(&door_counters(door)->guests, 0);
}

static void test_guests__too_many_of_an_address__the_oldest_goes(void **state)
{
    (void)state;
    open_with(&(struct door_options){.guests_max = 8, .guests_per_ip_max = 3});
    int fds[10];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = come();
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_int_equal(raw_closed(fds[i], i < 7 ? 5000 : 1), i < 7);
        (void)close(fds[i]);
    }
    wait_for(&door_counters(door)->crowded, 7);
    wait_for(&door_counters(door)->gone, 3);
}

static void test_deadline__is_from_accept__and_bytes_do_not_extend_it(void **state)
{
    (void)state;
    open_with(&(struct door_options){.decide_ms = 300});
    int silent = come();
    int slow = come();
    uint64_t began_ms = clock_mono_ms();
    size_t sent = 0;
    while (clock_mono_ms() < began_ms + 2000 && sent < 20 &&
           raw_send(slow, "PRI * HTTP/2.0\r\n\r\nSM" + sent, 1)) {
        sent++;
        (void)poll(NULL, 0, 25);
    }
    assert_true(raw_closed(slow, 1000));
    assert_true(raw_closed(silent, 1000));
    uint64_t took_ms = clock_mono_ms() - began_ms;
    assert_true(took_ms >= 250);
    assert_true(took_ms < 2500);
    wait_for(&door_counters(door)->late, 2);
    (void)close(silent);
    (void)close(slow);
}

static void test_stop__closes_guests_and_port(void **state)
{
    (void)state;
    open_with(&(struct door_options){0});
    int fd = come();
    wait_for(&door_counters(door)->guests, 1);
    uint16_t port = door_port(door);
    door_stop(door);
    door_stop(door);
    assert_true(raw_closed(fd, 1000));
    assert_int_equal(raw_open(port), -1);
    assert_int_equal(door_port(door), port); /* for whoever still asks */
    (void)close(fd);
}

static void test_members__only_addresses_are_taken(void **state)
{
    static const char *const list[] = {"10.0.0.1", "node-2", "::1", "10.0.0.300", ""};
    (void)state;
    open_with(&(struct door_options){0});
    assert_int_equal(door_set_members(door, list, ARRAY_LEN(list)), 2);
    const char *many[DOOR_MEMBERS_MAX + 5];
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        many[i] = "10.0.0.1";
    }
    assert_int_equal(door_set_members(door, many, ARRAY_LEN(many)), DOOR_MEMBERS_MAX);
    assert_int_equal(door_set_members(door, NULL, 0), 0);
}

static void test_destroy__never_started__frees_the_port(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct door_options o = {.bind = "127.0.0.1"};
    struct door *d = NULL;
    assert_int_equal(door_create(&o, &d, &fail), 0);
    o.port = door_port(d);
    door_destroy(d);
    assert_int_equal(door_create(&o, &d, &fail), 0);
    assert_int_equal(door_port(d), o.port);
    door_destroy(d);
    door_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create__port_in_use__says_so),
        TEST(test_plain__nobody_behind_the_door__is_closed),
        TEST(test_guests__too_many_of_an_address__the_oldest_goes),
        TEST(test_deadline__is_from_accept__and_bytes_do_not_extend_it),
        TEST(test_stop__closes_guests_and_port),
        TEST(test_members__only_addresses_are_taken),
        TEST(test_destroy__never_started__frees_the_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
