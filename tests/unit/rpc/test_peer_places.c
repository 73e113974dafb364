/* Addresses that are known to be members'. */
#include "rpc/peer_places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct peer_places places;
static char found[PLACES_MAX][ADDRESS_IP_MAX];

static int setup(void **state)
{
    (void)state;
    places = (struct peer_places){0};
    return 0;
}

static struct node_id id_of(unsigned char n)
{
    struct node_id id = {{n}};
    return id;
}

static size_t of(unsigned char n)
{
    struct node_id ids[2] = {{{0}}, id_of(n)};
    return peer_places_of(&places, ids, 2, found, PLACES_MAX);
}

static void test_add__what_is_an_address__is_its_keys(void **state)
{
    (void)state;
    struct node_id a = id_of(1);
    struct node_id b = id_of(2);
    peer_places_add(&places, &a, SPAN("ipv4:10.0.0.1:41234"));
    peer_places_add(&places, &a, SPAN("ipv4:10.0.0.1:9849"));
    peer_places_add(&places, &a, SPAN("ipv6:%5B2001:db8::1%5D:9849"));
    peer_places_add(&places, &b, SPAN("ipv4:10.0.0.2:9849"));
    assert_int_equal(of(1), 2);
    assert_string_equal(found[0], "10.0.0.1");
    assert_string_equal(found[1], "2001:db8::1");
    assert_int_equal(of(2), 1);
    assert_int_equal(of(3), 0);
}

static void test_add__what_is_none__is_ignored(void **state)
{
    (void)state;
    struct node_id a = id_of(1);
    peer_places_add(&places, &a, SPAN("unix:/tmp/x"));
    peer_places_add(&places, &a, SPAN("fd:9"));
    peer_places_add(&places, &a, SPAN(""));
    assert_int_equal(of(1), 0);
}

static void test_of__two_keys_at_one_address__is_one(void **state)
{
    (void)state;
    struct node_id ids[2] = {id_of(1), id_of(2)};
    peer_places_add(&places, &ids[0], SPAN("ipv4:10.0.0.1:1"));
    peer_places_add(&places, &ids[1], SPAN("ipv4:10.0.0.1:2"));
    assert_int_equal(peer_places_of(&places, ids, 2, found, PLACES_MAX), 1);
    assert_int_equal(peer_places_of(&places, ids, 2, found, 0), 0);
}

static void test_add__more_than_fit__forgets_the_oldest(void **state)
{
    (void)state;
    struct node_id a = id_of(1);
    struct node_id b = id_of(2);
    peer_places_add(&places, &b, SPAN("ipv4:10.9.9.9:1"));
    for (unsigned i = 0; i < PLACES_MAX - 1; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "ipv4:10.0.0.%u:1", i);
        peer_places_add(&places, &a, span_str(text));
    }
    assert_int_equal(of(2), 1);
    assert_int_equal(of(1), PLACES_MAX - 1);
    peer_places_add(&places, &a, SPAN("ipv4:10.1.0.0:1"));
    assert_int_equal(of(2), 0);
    assert_int_equal(of(1), PLACES_MAX);
    peer_places_add(&places, &b, SPAN("ipv4:10.9.9.9:1"));
    assert_int_equal(of(2), 1);
    assert_int_equal(of(1), PLACES_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_add__what_is_an_address__is_its_keys, setup),
        cmocka_unit_test_setup(test_add__what_is_none__is_ignored, setup),
        cmocka_unit_test_setup(test_of__two_keys_at_one_address__is_one, setup),
        cmocka_unit_test_setup(test_add__more_than_fit__forgets_the_oldest, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
