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

static int setup(void **state)
{
    (void)state;
    bed_init(&b, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bed_check(&b);
    bed_close(&b);
    return 0;
}

static unsigned changes(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b.count; i++) {
        n += b.node[i].changes;
    }
    return n;
}

/* Three members, and one of them, not the leader, comes back with an empty directory. Returns it.
 */
static unsigned wipe_one(const char *secret, enum membership_repin repin)
{
    bed_cluster(&b, 3);
    for (unsigned i = 0; i < 3; i++) {
        b.node[i].options.secret = span_str(secret);
        b.node[i].options.repin = repin;
    }
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 3000);
    unsigned i = (bed_leader(&b) + 1) % 3;
    bed_kill(&b, i);
    bed_wipe(&b, i);
    bed_start(&b, i);
    return i;
}

static void test_wiped__is_taken_in_by_the_quorums_word_after_ten_seconds(void **state)
{
    (void)state;
    unsigned i = wipe_one(NULL, MEMBERSHIP_REPIN_AUTO);
    uint64_t old_ms = b.now.mono_ms;
    bed_run(&b, MEMBERSHIP_GONE_MS - 1000);
    assert_int_equal(changes(), 0);
    assert_int_equal(membership_phase(b.node[i].m), MEMBERSHIP_WAITING);
    bed_until_whole(&b, 3, 10000);
    assert_true(b.now.mono_ms >= old_ms + MEMBERSHIP_GONE_MS);
    assert_int_equal(changes(), 1);
    assert_int_equal(b.node[i].joins, 1);
    assert_int_equal(b.form_count, 1);
    unsigned leader = bed_leader(&b);
    assert_int_equal(b.node[leader].change.kind, MEMBERSHIP_REPLACE);
    assert_true(b.node[leader].change.number == node_id_number(&b.node[i].id));
    assert_true(bed_has_said(&b, leader, "the old key was not seen for 10 s"));
    bed_run(&b, 30000);
    assert_true(bed_is_whole(&b, 3));
    assert_int_equal(changes(), 1);
}

static void test_wiped__with_the_secret_is_taken_in_sooner(void **state)
{
    (void)state;
    (void)wipe_one("swordfish", MEMBERSHIP_REPIN_AUTO);
    bed_until_whole(&b, 3, MEMBERSHIP_GONE_MS - 1000);
    assert_true(bed_has_said(&b, bed_leader(&b), "it proved the shared secret"));
}

static void test_wiped__without_the_secret_stays_out(void **state)
{
    (void)state;
    unsigned i = wipe_one("swordfish", MEMBERSHIP_REPIN_AUTO);
    bed_kill(&b, i);
    b.node[i].options.secret = (struct span){0};
    bed_start(&b, i);
    bed_run(&b, 60000);
    assert_int_equal(changes(), 0);
    struct membership_status st = bed_status(&b, bed_leader(&b), b.node[i].host);
    assert_string_equal(st.words, "empty, and does not know the shared secret");
}

static void test_wiped__policy_secret_without_one_waits_for_an_operator(void **state)
{
    (void)state;
    unsigned i = wipe_one(NULL, MEMBERSHIP_REPIN_SECRET);
    bed_run(&b, 60000);
    assert_int_equal(changes(), 0);
    assert_int_equal(membership_phase(b.node[i].m), MEMBERSHIP_WAITING);
    struct membership_status st = bed_status(&b, bed_leader(&b), b.node[i].host);
    assert_string_equal(st.words, "up, empty, waits to be taken in");
}

static void test_wiped__policy_never_waits_for_an_operator(void **state)
{
    (void)state;
    (void)wipe_one("swordfish", MEMBERSHIP_REPIN_NEVER);
    bed_run(&b, 60000);
    assert_int_equal(changes(), 0);
}

/* The old node lives, cut off from the leader only: the other one has seen it. */
static void test_replace__not_while_another_voter_sees_the_old_key(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 3000);
    unsigned leader = bed_leader(&b);
    unsigned old = leader == 2 ? 1 : 2;
    unsigned other = 3 - leader - old;
    char host[32];
    memcpy(host, b.node[old].host, sizeof(host));
    /* An impostor with an empty directory answers at its address for the leader; the old node has
     * moved where only the other one finds it. */
    unsigned impostor = bed_add(&b, host, b.node[leader].list);
    (void)snprintf(b.node[old].host, sizeof(b.node[old].host), "m%u", old);
    bed_set_list(&b, other, "n0 n1 n2 m1 m2");
    bed_cut(&b, leader, old, true);
    bed_start(&b, impostor);
    bed_run(&b, 40000);
    assert_int_equal(changes(), 0);
    assert_true(bed_leader(&b) == leader);
    bed_kill(&b, old);
    bed_run(&b, MEMBERSHIP_GONE_MS + 10000);
    assert_true(changes() > 0);
}

static void test_replace__a_node_that_comes_back_in_time_is_itself(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 3000);
    unsigned i = (bed_leader(&b) + 1) % 3;
    for (unsigned round = 0; round < 5; round++) {
        bed_kill(&b, i);
        bed_run(&b, 7000 * (uint64_t)(round + 1));
        bed_start(&b, i);
        bed_until_whole(&b, 3, 3000);
    }
    assert_int_equal(changes(), 0);
}

static void test_list__a_member_added_on_most_nodes_joins(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    (void)bed_add(&b, "n3", "n0 n1 n2 n3");
    bed_start(&b, 3);
    unsigned leader = bed_leader(&b);
    bed_set_list(&b, leader, "n0 n1 n2 n3");
    bed_run(&b, 20000);
    assert_int_equal(changes(), 0); /* one node's edit is not the cluster's */
    bed_set_list(&b, (leader + 1) % 3, "n0 n1 n2 n3");
    bed_until_whole(&b, 4, 10000);
    assert_int_equal(b.node[3].joins, 1);
    bed_set_list(&b, (leader + 2) % 3, "n0 n1 n2 n3");
    bed_run(&b, 20000);
    assert_true(bed_is_whole(&b, 4));
    assert_int_equal(changes(), 1);
}

static void test_list__a_member_removed_on_most_nodes_goes(void **state)
{
    (void)state;
    bed_cluster(&b, 4);
    bed_start_all(&b);
    bed_until_whole(&b, 4, 10000);
    unsigned leader = bed_leader(&b);
    unsigned gone = leader == 3 ? 2 : 3;
    char list[32] = "";
    for (unsigned i = 0; i < 4; i++) {
        size_t len = strlen(list);
        if (i != gone) {
            (void)snprintf(list + len, sizeof(list) - len, "n%u ", i);
        }
    }
    bed_kill(&b, gone);
    bed_set_list(&b, leader, list);
    bed_run(&b, 10000);
    assert_int_equal(changes(), 0);
    for (unsigned i = 0; i < 4; i++) {
        bed_set_list(&b, i, list);
    }
    bed_until_whole(&b, 3, 20000);
    assert_int_equal(changes(), 1);
    assert_int_equal(b.node[bed_leader(&b)].change.kind, MEMBERSHIP_REMOVE);
}

/* It is listed under another address that nobody has reached yet: perhaps it has moved. */
static void test_list__nobody_is_removed_while_a_listed_address_is_unknown(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 2000);
    unsigned i = (bed_leader(&b) + 1) % 3;
    bed_kill(&b, i);
    char list[64] = "m9";
    for (unsigned k = 0; k < 3; k++) {
        size_t len = strlen(list);
        if (k != i) {
            (void)snprintf(list + len, sizeof(list) - len, " n%u", k);
        }
    }
    for (unsigned k = 0; k < 3; k++) {
        bed_set_list(&b, k, list);
    }
    bed_run(&b, 60000);
    assert_int_equal(changes(), 0);
    (void)snprintf(b.node[i].host, sizeof(b.node[i].host), "m9");
    bed_start(&b, i);
    bed_until_whole(&b, 3, 10000);
    assert_int_equal(changes(), 0);
}

/* A machine was replaced by another one under another address. */
static void test_list__an_exchanged_member_is_removed_and_the_new_one_joins(void **state)
{
    (void)state;
    bed_cluster(&b, 3);
    bed_start_all(&b);
    bed_until_whole(&b, 3, 10000);
    bed_run(&b, 2000);
    unsigned i = (bed_leader(&b) + 1) % 3;
    char list[64] = "m9";
    for (unsigned k = 0; k < 3; k++) {
        size_t len = strlen(list);
        if (k != i) {
            (void)snprintf(list + len, sizeof(list) - len, " n%u", k);
        }
    }
    bed_kill(&b, i);
    for (unsigned k = 0; k < 3; k++) {
        bed_set_list(&b, k, list);
    }
    bed_start(&b, bed_add(&b, "m9", list));
    bed_until_whole(&b, 3, 30000);
    assert_int_equal(changes(), 2);
}

static void test_failed_change__is_asked_for_again_later_and_said_once(void **state)
{
    (void)state;
    unsigned i = wipe_one("s", MEMBERSHIP_REPIN_AUTO);
    (void)i;
    unsigned leader = bed_leader(&b);
    struct bed_node *l = &b.node[leader];
    while (l->changes == 0) {
        bed_run(&b, BED_STEP_MS);
    }
    struct fail why = {0};
    (void)fail_set(&why, E_CONFLICT, "another change is not finished");
    l->change_ms = 0;
    membership_on_change_done(l->m, &why, b.now);
    bed_run(&b, MEMBERSHIP_RETRY_MS - 100);
    assert_int_equal(l->changes, 1);
    assert_true(bed_has_said(&b, leader, "cannot be changed now: another change is not finished"));
    bed_until_whole(&b, 3, 5000);
    assert_int_equal(l->changes, 2);
}

static void test_foreign__the_log_of_another_cluster_is_not_taken_in(void **state)
{
    (void)state;
    (void)bed_add(&b, "n0", "");
    (void)bed_add(&b, "n1", "");
    bed_start_all(&b);
    bed_run(&b, 2000);
    b.form_count = 0; /* two clusters, as ordered */
    bed_set_list(&b, 0, "n0 n1");
    bed_set_list(&b, 1, "n0 n1");
    bed_run(&b, 30000);
    assert_int_equal(changes(), 0);
    struct membership_status st = bed_status(&b, 0, "n1");
    assert_non_null(strstr(st.words, "has the log of another cluster"));
    assert_false(membership_is_peer(b.node[0].m, &b.node[1].id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_wiped__is_taken_in_by_the_quorums_word_after_ten_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wiped__with_the_secret_is_taken_in_sooner, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_wiped__without_the_secret_stays_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wiped__policy_secret_without_one_waits_for_an_operator,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_wiped__policy_never_waits_for_an_operator, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_replace__not_while_another_voter_sees_the_old_key,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace__a_node_that_comes_back_in_time_is_itself,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_list__a_member_added_on_most_nodes_joins, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_list__a_member_removed_on_most_nodes_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_list__nobody_is_removed_while_a_listed_address_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_list__an_exchanged_member_is_removed_and_the_new_one_joins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_change__is_asked_for_again_later_and_said_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign__the_log_of_another_cluster_is_not_taken_in,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
