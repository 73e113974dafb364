#include "conn/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_peer_create__makes_the_id_of_time_address_and_port(void **state)
{
    (void)state;
    struct peer *p = peer_create(SPAN("10.1.2.3"), 53412, 1712000000000, 77);
    assert_string_equal(p->id, "1712000000000_10.1.2.3_53412");
    assert_string_equal(p->remote_ip, "10.1.2.3");
    assert_int_equal(p->remote_port, 53412);
    assert_int_equal(p->active_ms, 77);
    assert_int_equal(p->state, PEER_TRANSPORT);
    peer_unref(p);
}

static void test_peer_create__same_address_again__gets_another_key(void **state)
{
    (void)state;
    struct peer *a = peer_create(SPAN("10.1.2.3"), 1, 5, 5);
    struct peer *b = peer_create(SPAN("10.1.2.3"), 1, 5, 5);
    assert_true(a->key != 0);
    assert_true(b->key > a->key);
    peer_unref(a);
    peer_unref(b);
}

static void test_peer_create__over_long_address__is_cut(void **state)
{
    (void)state;
    char ip[200];
    memset(ip, 'x', sizeof(ip));
    struct peer *p = peer_create(span_of(ip, sizeof(ip)), UINT16_MAX, INT64_MAX, 0);
    assert_int_equal(strlen(p->remote_ip), sizeof(p->remote_ip) - 1);
    assert_int_equal(strlen(p->id), 19 + 1 + 63 + 1 + 5);
    peer_unref(p);
}

static void test_peer_unref__last_reference__frees(void **state)
{
    (void)state;
    struct peer *p = peer_create((struct span){0}, 0, 0, 0);
    assert_ptr_equal(peer_ref(p), p);
    peer_unref(p);
    assert_int_equal(p->refs, 1);
    peer_unref(p); /* the sanitizer would see a leak or a double free */
    peer_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_create__makes_the_id_of_time_address_and_port),
        cmocka_unit_test(test_peer_create__same_address_again__gets_another_key),
        cmocka_unit_test(test_peer_create__over_long_address__is_cut),
        cmocka_unit_test(test_peer_unref__last_reference__frees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
