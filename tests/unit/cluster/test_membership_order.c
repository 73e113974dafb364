/* What an operator orders, against what the lists say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/membership_state.h"
#include "membership_bed.h"

static struct bed b;
static struct fail why;
static char words[MEMBERSHIP_WORDS_MAX];

static int setup(void **state)
{
    (void)state;
    bed_init(&b, 1);
    why = (struct fail){0};
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 3000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_check(&b);
    bed_close(&b);
    return 0;
}

/* Two clusters are meant. */
static int teardown_two(void **state)
{
    (void)state;
    bed_close(&b);
    return 0;
}

static struct membership *lead(void)
{
    return b.node[bed_leader(&b)].m;
}

static enum membership_order state_of(struct membership *m)
{
    return membership_order(m, words, b.now);
}

static void until(struct membership *m, enum membership_order wanted)
{
    for (int i = 0; i < 200 && state_of(m) != wanted; i++) {
        bed_run(&b, 100);
    }
    if (state_of(m) != wanted) {
        fail_msg("order: %s", words);
    }
}

/* A fourth node whose list has itself; the others' lists do not. */
static void add_fourth(void)
{
    struct membership *m = lead();
    (void)bed_add(&b, "n3", "n0 n1 n2 n3");
    bed_start(&b, 3);
    assert_int_equal(membership_order_add(m, "n3", 8848, b.now, &why), 0);
    until(m, MEMBERSHIP_ORDER_DONE);
    membership_order_end(m);
    bed_until_whole(&b, 4, 10000);
}

static unsigned follower(void)
{
    return (bed_leader(&b) + 1) % 3;
}

static void test_add__an_unlisted_node__joins_and_stays(void **state)
{
    (void)state;
    add_fourth();
    bed_run(&b, 60000);
    assert_true(bed_is_whole(&b, 4));
    /* Every leader knows; after a restart, too. */
    unsigned old = bed_leader(&b);
    bed_kill(&b, old);
    bed_run(&b, 30000);
    bed_start(&b, old);
    bed_until_whole(&b, 4, 10000);
    bed_run(&b, 60000);
    assert_true(bed_is_whole(&b, 4));
}

static void test_add__one_that_came_back_empty__is_taken_in_again(void **state)
{
    (void)state;
    add_fourth();
    if (bed_leader(&b) == 3) {
        return; /* seed 1 does not */
    }
    bed_kill(&b, 3);
    bed_wipe(&b, 3);
    bed_start(&b, 3);
    bed_until_whole(&b, 4, 60000);
    bed_run(&b, 60000);
    assert_true(bed_is_whole(&b, 4));
}

static void test_remove__what_an_order_added__goes(void **state)
{
    (void)state;
    add_fourth();
    struct membership *m = lead();
    assert_true(m != b.node[3].m);
    assert_int_equal(membership_order_remove(m, "n3", 8848, b.now, &why), 0);
    until(m, MEMBERSHIP_ORDER_DONE);
    membership_order_end(m);
    bed_run(&b, 10000);
    assert_int_equal(b.node[3].refusals, 1);
    assert_non_null(strstr(fail_text(&b.node[3].refusal), "was removed from its cluster"));
    bed_kill(&b, 3); /* as the process ends */
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 30000);
    assert_true(bed_is_whole(&b, 3));
    assert_int_equal(membership_slot_of(lead(), node_id_number(&b.node[3].id)), -1);
}

static void test_remove__a_listed_member__stays_out_until_it_comes_back_empty(void **state)
{
    (void)state;
    struct membership *m = lead();
    unsigned gone = follower();
    assert_int_equal(membership_order_remove(m, b.node[gone].host, 8848, b.now, &why), 0);
    until(m, MEMBERSHIP_ORDER_DONE);
    membership_order_end(m);
    bed_run(&b, 10000);
    assert_int_equal(b.node[gone].refusals, 1);
    bed_kill(&b, gone);
    bed_until_whole(&b, 2, 10000);
    bed_start(&b, gone); /* again with what it had */
    bed_run(&b, 20000);
    assert_int_equal(b.node[gone].refusals, 2);
    bed_kill(&b, gone);
    bed_until_whole(&b, 2, 10000);
    bed_wipe(&b, gone);
    bed_start(&b, gone);
    bed_until_whole(&b, 3, 30000);
}

static void test_add__nobody_there__waits_and_says_so(void **state)
{
    (void)state;
    struct membership *m = lead();
    assert_int_equal(membership_order_add(m, "n9", 8848, b.now, &why), 0);
    bed_run(&b, 5000);
    assert_int_equal(state_of(m), MEMBERSHIP_ORDER_WAITS);
    assert_non_null(strstr(words, "n9:8848: has not answered"));
    assert_int_equal(membership_order_add(m, "n8", 8848, b.now, &why), E_CONFLICT);
    membership_order_end(m);
    bed_run(&b, 1000);
    struct membership_status list[MEMBERS_MAX];
    assert_int_equal(membership_status(m, list, MEMBERS_MAX, b.now), 3);
    assert_int_equal(state_of(m), MEMBERSHIP_ORDER_NONE);
}

static void test_add__one_of_another_cluster__is_not_taken_in(void **state)
{
    (void)state;
    struct membership *m = lead();
    (void)bed_add(&b, "n3", "n3");
    bed_start(&b, 3);
    bed_run(&b, 3000);
    bed_set_list(&b, 3, "n0 n1 n2 n3");
    assert_int_equal(membership_order_add(m, "n3", 8848, b.now, &why), 0);
    bed_run(&b, 20000);
    assert_int_equal(state_of(m), MEMBERSHIP_ORDER_WAITS);
    assert_non_null(strstr(words, "the log of another cluster"));
    membership_order_end(m);
    bed_kill(&b, 3);
    assert_true(bed_is_whole(&b, 3));
}

static void test_orders__that_cannot_be__are_refused(void **state)
{
    (void)state;
    struct membership *m = lead();
    const char *own = b.node[bed_leader(&b)].host;
    const char *other = b.node[follower()].host;
    assert_int_equal(membership_order_add(m, own, 8848, b.now, &why), E_CONFLICT);
    assert_int_equal(membership_order_add(m, other, 8848, b.now, &why), E_CONFLICT);
    assert_non_null(strstr(why.text, "is a member already"));
    assert_int_equal(membership_order_remove(m, own, 8848, b.now, &why), E_CONFLICT);
    assert_non_null(strstr(why.text, "nacre cluster transfer"));
    assert_int_equal(membership_order_remove(m, "n9", 8848, b.now, &why), E_NOT_FOUND);
    struct membership *f = b.node[follower()].m;
    assert_int_equal(membership_order_remove(f, own, 8848, b.now, &why), E_NOT_LEADER);
    assert_int_equal(membership_order_add(f, "n9", 8848, b.now, &why), E_NOT_LEADER);
    assert_int_equal(state_of(m), MEMBERSHIP_ORDER_NONE);
}

static void test_order__the_leader_changes__has_failed(void **state)
{
    (void)state;
    struct membership *m = lead();
    unsigned old = bed_leader(&b);
    assert_int_equal(membership_order_add(m, "n9", 8848, b.now, &why), 0);
    bed_cut_off(&b, old, true);
    bed_run(&b, 10000);
    assert_int_equal(state_of(m), MEMBERSHIP_ORDER_FAILED);
    assert_non_null(strstr(words, "another node leads"));
    bed_cut_off(&b, old, false);
    bed_until_whole(&b, 3, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define BED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        BED(test_add__an_unlisted_node__joins_and_stays),
        BED(test_add__one_that_came_back_empty__is_taken_in_again),
        BED(test_remove__what_an_order_added__goes),
        BED(test_remove__a_listed_member__stays_out_until_it_comes_back_empty),
        BED(test_add__nobody_there__waits_and_says_so),
        cmocka_unit_test_setup_teardown(test_add__one_of_another_cluster__is_not_taken_in, setup,
                                        teardown_two),
        BED(test_orders__that_cannot_be__are_refused),
        BED(test_order__the_leader_changes__has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
