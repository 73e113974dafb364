#include "rpc/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/rpc.h"

static struct peers *peers;
static struct now now;

static const struct conn_label LABELS[] = {{{"AppName", 7}, {"shop", 4}},
                                           {{"app_Vipserver-Tag", 17}, {"canary", 6}}};
static const struct conn_setup SETUP = {.client_version = {"Nacos-Java-Client:v2.5.1", 24},
                                        .client_ip = {"10.9.9.9", 8},
                                        .labels = LABELS,
                                        .labels_count = 2};

static int setup(void **state)
{
    (void)state;
    now = (struct now){.mono_ms = 500000, .wall_ms = 1712000000000};
    peers = peers_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peers_destroy(peers);
    return 0;
}

static struct span address(unsigned port)
{
    static char text[32];
    snprintf(text, sizeof(text), "ipv4:10.0.0.7:%u", port);
    return span_str(text);
}

/* Both drop their reference: the table's is enough while the entry is there. */
static struct origin *meet(unsigned port)
{
    struct origin *o = peers_meet(peers, address(port), now);
    origin_unref(o);
    return o;
}

static struct origin *find(unsigned port)
{
    struct origin *o = peers_find(peers, address(port));
    origin_unref(o);
    return o;
}

static struct origin *bind(unsigned port, uint64_t *ret_replaced)
{
    struct origin *o = NULL;
    assert_int_equal(peers_bind(peers, address(port), &SETUP, now, &o, ret_replaced), 0);
    return o;
}

static void test_find__unknown__is_null_and_makes_nothing(void **state)
{
    (void)state;
    assert_null(find(1));
    assert_int_equal(peers_count(peers), 0);
}

static void test_meet__again__is_the_same(void **state)
{
    (void)state;
    struct origin *o = meet(51234);
    assert_string_equal(o->peer->id, "1712000000000_10.0.0.7_51234");
    assert_string_equal(o->peer->remote_ip, "10.0.0.7");
    assert_int_equal(o->peer->remote_port, 51234);
    assert_int_equal(o->client_ip.len + o->app.len + o->agent.len + o->tag.len, 0);
    now.wall_ms += 5;
    assert_ptr_equal(meet(51234), o);
    assert_ptr_equal(find(51234), o);
    assert_ptr_not_equal(meet(51235), o);
    assert_int_equal(peers_count(peers), 2);
}

static void test_bind__keeps_the_peer_and_adds_the_setup(void **state)
{
    (void)state;
    struct peer *peer = meet(1)->peer;
    uint64_t replaced = 99;
    struct origin *o = bind(1, &replaced);
    assert_ptr_equal(o->peer, peer);
    assert_int_equal(replaced, 0);
    assert_true(span_eq(o->client_ip, SPAN("10.9.9.9")));
    assert_true(span_eq(o->app, SPAN("shop")));
    assert_true(span_eq(o->tag, SPAN("canary")));
    assert_true(span_eq(o->agent, SPAN("Nacos-Java-Client:v2.5.1")));
    assert_ptr_equal(find(1), o);
    origin_unref(o);
}

static void test_bind__without_a_meeting__makes_the_peer(void **state)
{
    (void)state;
    uint64_t replaced = 0;
    struct origin *o = bind(1, &replaced);
    assert_string_equal(o->peer->id, "1712000000000_10.0.0.7_1");
    origin_unref(o);
}

/* grpc-sdk.md 3.2: the one before is dead; its late close must not take the new one with it. */
static void test_bind__again__replaces_with_another_id(void **state)
{
    (void)state;
    uint64_t replaced = 0;
    struct origin *one = bind(1, &replaced);
    struct origin *two = bind(1, &replaced);
    assert_true(replaced == one->peer->key);
    struct origin *three = bind(1, &replaced);
    assert_true(replaced == two->peer->key);
    assert_string_not_equal(one->peer->id, two->peer->id);
    assert_string_not_equal(two->peer->id, three->peer->id);
    assert_string_not_equal(one->peer->id, three->peer->id);
    assert_int_equal(peers_count(peers), 1);
    peers_unbind(peers, address(1), one->peer->key);
    peers_unbind(peers, address(1), two->peer->key);
    assert_ptr_equal(find(1), three);
    peers_unbind(peers, address(1), three->peer->key);
    assert_null(find(1));
    origin_unref(one);
    origin_unref(two);
    origin_unref(three);
}

static void test_unbind__of_what_was_never_bound__does_nothing(void **state)
{
    (void)state;
    struct origin *o = meet(1);
    peers_unbind(peers, address(1), o->peer->key);
    peers_unbind(peers, address(2), 7);
    assert_ptr_equal(find(1), o);
}

static void test_sweep__forgets_who_never_opened_a_stream(void **state)
{
    (void)state;
    meet(1);
    uint64_t replaced = 0;
    struct origin *bound = bind(2, &replaced);
    now.mono_ms += RPC_PEER_IDLE_MS - 1;
    meet(3);
    peers_sweep(peers, now.mono_ms);
    assert_int_equal(peers_count(peers), 3);
    now.mono_ms++;
    peers_sweep(peers, now.mono_ms);
    assert_null(find(1));
    assert_ptr_equal(find(2), bound);
    assert_non_null(find(3));
    now.mono_ms += 10ull * RPC_PEER_IDLE_MS;
    peers_sweep(peers, now.mono_ms);
    assert_int_equal(peers_count(peers), 1);
    origin_unref(bound);
}

static void test_meet__after_it_was_forgotten__is_another_peer(void **state)
{
    (void)state;
    uint64_t key = meet(1)->peer->key;
    now.mono_ms += RPC_PEER_IDLE_MS;
    assert_true(meet(1)->peer->key != key);
}

static void test_full__the_oldest_without_a_stream_makes_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RPC_PEERS_MAX + 1000; i++) {
        assert_non_null(meet(i));
    }
    assert_int_equal(peers_count(peers), RPC_PEERS_MAX);
}

static void test_full_of_streams__nobody_else_is_taken(void **state)
{
    (void)state;
    uint64_t replaced = 0;
    for (unsigned i = 0; i < RPC_PEERS_MAX; i++) {
        origin_unref(bind(i, &replaced));
    }
    assert_null(peers_meet(peers, address(RPC_PEERS_MAX), now));
    struct origin *o = NULL;
    assert_int_equal(peers_bind(peers, address(RPC_PEERS_MAX), &SETUP, now, &o, &replaced),
                     E_LIMIT);
    assert_null(o);
    peers_unbind(peers, address(5), find(5)->peer->key);
    assert_non_null(meet(RPC_PEERS_MAX));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_find__unknown__is_null_and_makes_nothing),
        TEST(test_meet__again__is_the_same),
        TEST(test_bind__keeps_the_peer_and_adds_the_setup),
        TEST(test_bind__without_a_meeting__makes_the_peer),
        TEST(test_bind__again__replaces_with_another_id),
        TEST(test_unbind__of_what_was_never_bound__does_nothing),
        TEST(test_sweep__forgets_who_never_opened_a_stream),
        TEST(test_meet__after_it_was_forgotten__is_another_peer),
        TEST(test_full__the_oldest_without_a_stream_makes_room),
        TEST(test_full_of_streams__nobody_else_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
