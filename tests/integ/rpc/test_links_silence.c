/* Members that do not answer: dead ones with open connections, and ports that take and say nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "links_rig.h"

#define CUTS 10

static void test_silent__both_ends_know_within_the_limit(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    struct relay *relay = relay_open(b->port);
    node_list(a, 0, relay_port(relay), 0, &b->identity.id);
    node_list(b, 0, rig_free_port(), 0, &a->identity.id);
    node_apply(a);
    node_apply(b);
    SOON(3000, a->slots[0].number > 0);
    assert_int_equal(node_send(a, 0, 1, "x"), 0);
    SOON(1000, b->frames == 1);
    relay_freeze(relay);
    uint64_t begun_ms = clock_mono_ms();
    SOON(LINK_DEAD_MS + 500, a->slots[0].downs == 1);
    print_message("down after %lu ms: %s\n", (unsigned long)(clock_mono_ms() - begun_ms),
                  node_why(a, 0));
    node_close(a);
    node_close(b);
    relay_close(relay);
}

/* What is on the way when a connection breaks may be lost, but nothing comes twice, and nothing of
 * an older stream after a newer one has begun. */
static void test_cut__again_and_again__nothing_comes_twice_or_late(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    struct relay *relay = relay_open(b->port);
    node_list(a, 0, relay_port(relay), 0, &b->identity.id);
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(b);
    node_apply(a);
    uint64_t number = 0;
    for (unsigned round = 1; round <= CUTS; round++) {
        SOON(5000, a->slots[0].ups == round);
        unsigned long before = b->frames;
        for (unsigned i = 0; i < 300; i++) {
            (void)node_send_numbered(a, 0, number++, 5000);
        }
        SOON(2000, b->frames > before);
        uint64_t begun_ms = clock_mono_ms();
        relay_cut(relay);
        while (a->slots[0].downs < round) {
            (void)node_send_numbered(a, 0, number++, 5000);
            assert_true(rig_tick(begun_ms + 2000));
        }
    }
    assert_int_equal(b->backwards, 0);
    assert_true(b->frames > CUTS);
    node_close(a);
    node_close(b);
    relay_close(relay);
}

static void test_silent__idle_link__lives(void **state)
{
    (void)state;
    struct node *a = NULL;
    struct node *b = NULL;
    nodes_meet(&a, &b);
    uint64_t until_ms = clock_mono_ms() + 2 * LINK_DEAD_MS;
    while (rig_tick(until_ms)) {
    }
    assert_int_equal(a->slots[0].downs + b->slots[0].downs, 0);
    assert_int_equal(node_send(a, 0, 1, "x"), 0);
    SOON(1000, b->frames == 1);
    node_close(a);
    node_close(b);
}

/* The kernel takes the connection, nobody answers the hello. */
static void test_silent__first_port_takes_and_says_nothing__second_is_used(void **state)
{
    (void)state;
    struct node *a = node_open();
    struct node *b = node_open();
    node_start(a, 0);
    node_start(b, 0);
    struct relay *relay = relay_open(b->port);
    relay_freeze(relay);
    node_list(b, 0, a->port, 0, &a->identity.id);
    node_apply(b);
    node_list(a, 0, relay_port(relay), b->port, &b->identity.id);
    node_apply(a);
    SOON(4000, a->slots[0].number > 0);
    node_close(a);
    node_close(b);
    relay_close(relay);
}

static void test_silent__name_that_does_not_resolve__does_not_hinder_the_stop(void **state)
{
    (void)state;
    struct node *a = node_open();
    node_start(a, 0);
    node_list(a, 0, 9849, 0, NULL);
    a->members[0].host = "no-such-name.invalid";
    node_list(a, 1, 9849, 9848, NULL);
    a->members[1].host = "not a name, [but] %25 / something";
    node_list(a, 2, 1, 0, NULL);
    a->members[2].host = "::1";
    node_apply(a);
    uint64_t until_ms = clock_mono_ms() + 300;
    while (rig_tick(until_ms)) {
    }
    uint64_t begun_ms = clock_mono_ms();
    node_close(a);
    assert_true(clock_mono_ms() - begun_ms < 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent__both_ends_know_within_the_limit),
        cmocka_unit_test(test_cut__again_and_again__nothing_comes_twice_or_late),
        cmocka_unit_test(test_silent__idle_link__lives),
        cmocka_unit_test(test_silent__first_port_takes_and_says_nothing__second_is_used),
        cmocka_unit_test(test_silent__name_that_does_not_resolve__does_not_hinder_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
