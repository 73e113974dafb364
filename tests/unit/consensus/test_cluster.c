#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "cluster_bed.h"

static struct cluster_bed bed;

static int three(void **state)
{
    (void)state;
    cluster_bed_init(&bed, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        assert_int_equal(bed.nodes[i].fatals, 0);
    }
    cluster_bed_close(&bed);
    return 0;
}

static void start_three(void)
{
    for (unsigned i = 0; i < 3; i++) {
        cluster_bed_start(&bed, i);
    }
}

static bool has_leader(struct cluster_bed *b)
{
    return cluster_bed_leader(b) != NULL;
}

static struct cluster_node *leader(void)
{
    assert_true(cluster_bed_until(&bed, has_leader));
    return cluster_bed_leader(&bed);
}

/* A running node that does not lead. */
static unsigned a_follower(void)
{
    const struct cluster_node *lead = leader();
    for (unsigned i = 0; i < 3; i++) {
        if (bed.nodes[i].log && &bed.nodes[i] != lead) {
            return i;
        }
    }
    fail_msg("no follower");
    return 0;
}

static void check_all(void)
{
    assert_true(cluster_bed_agree(&bed));
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        if (bed.nodes[i].log && consensus_state(bed.nodes[i].log).is_member) {
            assert_true(cluster_bed_has_all(&bed, i));
        }
    }
}

static bool all_know_the_leader(struct cluster_bed *b)
{
    const struct cluster_node *lead = cluster_bed_leader(b);
    for (unsigned i = 0; lead && i < 3; i++) {
        if (b->nodes[i].leader_id != lead->id ||
            b->nodes[i].leader_term != consensus_state(lead->log).term) {
            return false;
        }
    }
    return lead != NULL;
}

static void test_election__three_nodes__one_leads_and_all_are_told(void **state)
{
    (void)state;
    start_three();
    assert_true(cluster_bed_until(&bed, all_know_the_leader));
    assert_true(cluster_bed_write(&bed, 100));
    assert_int_equal(bed.acked, 100);
    check_all();
    struct fail fail = {0};
    const struct cluster_node *follower = &bed.nodes[a_follower()];
    assert_int_equal(
        consensus_propose(follower->log, CONSENSUS_CONFIG, SPAN("12345678"), &bed, &fail),
        E_NOT_LEADER);
    struct consensus_state s = consensus_state(follower->log);
    assert_int_equal(s.leader_id, leader()->id);
    assert_int_equal(s.members, 3);
    assert_true(s.is_voter);
    assert_true(s.is_ready);
    assert_int_equal(s.refused_messages, 0);
}

/* A follower applies what is committed before its own disk has it. */
static bool all_have_all(struct cluster_bed *b)
{
    struct consensus_member members[CONSENSUS_MEMBERS_MAX] = {0};
    const struct cluster_node *lead = cluster_bed_leader(b);
    unsigned n = lead ? consensus_members(lead->log, members, CONSENSUS_MEMBERS_MAX) : 0;
    for (unsigned i = 0; i < n; i++) {
        if (members[i].match_index != consensus_state(lead->log).last_index) {
            return false;
        }
    }
    return n == 3;
}

static void test_members__leader__knows_who_has_what(void **state)
{
    (void)state;
    start_three();
    assert_true(cluster_bed_write(&bed, 10));
    check_all();
    assert_true(cluster_bed_until(&bed, all_have_all));
    struct consensus_member members[CONSENSUS_MEMBERS_MAX] = {0};
    const struct cluster_node *lead = leader();
    assert_int_equal(consensus_members(lead->log, members, CONSENSUS_MEMBERS_MAX), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(members[i].id, i + 1);
        assert_string_equal(members[i].address, bed.nodes[i].address);
        assert_int_equal(members[i].standing, CONSENSUS_VOTER);
        assert_true(members[i].silent_ms < CLUSTER_PATIENCE_MS);
        assert_int_equal(members[i].is_leader, members[i].id == lead->id);
        assert_int_equal(members[i].is_self, members[i].id == lead->id);
    }
    assert_int_equal(consensus_members(lead->log, members, 2), 2);
}

static void test_loss__ten_percent__nothing_acknowledged_is_missing(void **state)
{
    (void)state;
    bed.loss_percent = 10;
    start_three();
    for (unsigned i = 0; i < 20; i++) {
        assert_true(cluster_bed_write(&bed, 50));
    }
    bed.loss_percent = 0;
    check_all();
    assert_true(bed.acked >= 500);
}

static void test_restart__each_in_turn__goes_on(void **state)
{
    (void)state;
    start_three();
    for (unsigned i = 0; i < 3; i++) {
        assert_true(cluster_bed_write(&bed, 50));
        cluster_bed_stop(&bed, i);
        assert_true(cluster_bed_write(&bed, 50));
        cluster_bed_start(&bed, i);
        check_all();
    }
    for (unsigned i = 0; i < 3; i++) {
        cluster_bed_stop(&bed, i);
    }
    start_three();
    assert_true(cluster_bed_write(&bed, 50));
    check_all();
}

static void test_kill__leader_under_load__the_others_go_on_and_it_comes_back(void **state)
{
    (void)state;
    start_three();
    for (unsigned round = 0; round < 4; round++) {
        assert_true(cluster_bed_write(&bed, 500));
        unsigned i = (unsigned)leader()->id - 1;
        uint64_t at = clock_now().mono_ms;
        cluster_bed_kill(&bed, i);
        assert_true(cluster_bed_until(&bed, has_leader));
        printf("new leader after %llu ms\n", (unsigned long long)(clock_now().mono_ms - at));
        assert_true(cluster_bed_write(&bed, 500));
        cluster_bed_start(&bed, i);
        check_all();
    }
}

static bool leader_has_snapshot(struct cluster_bed *b)
{
    const struct cluster_node *lead = cluster_bed_leader(b);
    return lead && consensus_state(lead->log).snapshot_index > 0;
}

static void test_snapshot__follower_far_behind__gets_it_in_pieces(void **state)
{
    (void)state;
    bed.pad_len = 12u << 20;
    for (unsigned i = 0; i < 3; i++) {
        bed.nodes[i].options.snapshot_entries = 100;
        bed.nodes[i].options.trailing_entries = 10;
    }
    start_three();
    assert_true(cluster_bed_write(&bed, 10));
    unsigned behind = a_follower();
    cluster_bed_stop(&bed, behind);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(cluster_bed_write(&bed, 1));
    }
    assert_true(cluster_bed_until(&bed, leader_has_snapshot));
    uint64_t term = consensus_state(leader()->log).term;
    bed.loss_percent = 5;
    bed.largest = 0;
    cluster_bed_start(&bed, behind);
    assert_true(cluster_bed_agree(&bed));
    bed.loss_percent = 0;
    check_all();
    assert_true(bed.nodes[behind].loads >= 1); /* twice, when the leader took another meanwhile */
    assert_true(bed.largest > 1u << 20);       /* it did go in pieces ... */
    assert_true(bed.largest < 2u << 20);       /* ... and not whole */
    assert_int_equal(consensus_state(leader()->log).term, term);
}

static bool fourth_votes(struct cluster_bed *b)
{
    struct consensus_state s = consensus_state(b->nodes[3].log);
    return s.is_voter && s.members == 4;
}

/* NACRE_SNAPSHOT_MB=500: an empty node gets it, and nobody is elected meanwhile. */
static void test_snapshot__as_large_as_asked__reaches_an_empty_node(void **state)
{
    (void)state;
    const char *asked = getenv("NACRE_SNAPSHOT_MB");
    struct fail why = {0};
    bed.pad_len = asked ? strtoul(asked, NULL, 10) << 20 : 8u << 20;
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        bed.nodes[i].options.snapshot_entries = 1000;
        bed.nodes[i].options.trailing_entries = 10;
    }
    start_three();
    while (!leader_has_snapshot(&bed)) {
        assert_true(cluster_bed_write(&bed, 1));
    }
    uint64_t term = consensus_state(leader()->log).term;
    cluster_bed_start(&bed, 3);
    uint64_t at = clock_now().mono_ms;
    assert_int_equal(consensus_change(leader()->log, CONSENSUS_ADD, 4, bed.nodes[3].address, &why),
                     0);
    assert_true(cluster_bed_until(&bed, fourth_votes));
    printf("%zu MB reached an empty node after %llu ms\n", bed.pad_len >> 20,
           (unsigned long long)(clock_now().mono_ms - at));
    assert_int_equal(consensus_state(leader()->log).term, term);
    assert_true(bed.nodes[3].loads >= 1);
    assert_true(bed.nodes[3].companions >= 1);
    check_all();
}

static void test_append__many_large_entries__are_split_into_messages(void **state)
{
    (void)state;
    bed.op_len = 900000;
    start_three();
    assert_true(cluster_bed_write(&bed, 5));
    unsigned behind = a_follower();
    cluster_bed_stop(&bed, behind);
    bed.largest = 0;
    assert_true(cluster_bed_write(&bed, 20));
    cluster_bed_start(&bed, behind);
    check_all();
    assert_true(bed.largest <= CONSENSUS_MESSAGE_SPLIT);
    bed.op_len = CONSENSUS_OP_BYTES_MAX;
    assert_true(cluster_bed_write(&bed, 1));
    check_all();
    assert_true(bed.largest <= CONSENSUS_MESSAGE_MAX);
}

static void test_add__empty_node__learns_and_then_votes(void **state)
{
    (void)state;
    struct fail why = {0};
    start_three();
    cluster_bed_start(&bed, 3);
    assert_true(cluster_bed_write(&bed, 200));
    assert_int_equal(consensus_state(bed.nodes[3].log).members, 0);
    struct cluster_node *lead = leader();
    assert_int_equal(consensus_change(lead->log, CONSENSUS_ADD, 4, bed.nodes[3].address, &why), 0);
    assert_int_equal(consensus_change(lead->log, CONSENSUS_ADD, 5, bed.nodes[4].address, &why),
                     E_CONFLICT);
    assert_true(cluster_bed_until(&bed, fourth_votes));
    assert_true(cluster_bed_write(&bed, 100));
    check_all();
    /* It counts: with one of the four gone, three are a quorum. */
    cluster_bed_kill(&bed, a_follower());
    assert_true(cluster_bed_write(&bed, 100));
    check_all();
}

static bool fourth_is_learner(struct cluster_bed *b)
{
    struct cluster_node *lead = cluster_bed_leader(b);
    struct consensus_member members[CONSENSUS_MEMBERS_MAX] = {0};
    if (!lead || consensus_members(lead->log, members, CONSENSUS_MEMBERS_MAX) != 4) {
        return false;
    }
    return members[3].standing == CONSENSUS_LEARNER;
}

static void test_add__leader_dies_meanwhile__the_next_one_goes_on(void **state)
{
    (void)state;
    struct fail why = {0};
    start_three();
    assert_true(cluster_bed_write(&bed, 50));
    assert_int_equal(consensus_change(leader()->log, CONSENSUS_ADD, 4, bed.nodes[3].address, &why),
                     0);
    assert_true(cluster_bed_until(&bed, fourth_is_learner)); /* it does not run yet */
    assert_true(cluster_bed_write(&bed, 50));
    cluster_bed_kill(&bed, (unsigned)leader()->id - 1);
    assert_true(cluster_bed_until(&bed, has_leader));
    cluster_bed_start(&bed, 3);
    assert_true(cluster_bed_until(&bed, fourth_votes));
    assert_true(cluster_bed_write(&bed, 50));
    check_all();
}

static void test_add__learner_that_never_comes__can_be_removed(void **state)
{
    (void)state;
    struct fail why = {0};
    start_three();
    assert_true(cluster_bed_write(&bed, 50));
    struct cluster_node *lead = leader();
    assert_int_equal(consensus_change(lead->log, CONSENSUS_ADD, 4, bed.nodes[3].address, &why), 0);
    assert_true(cluster_bed_until(&bed, fourth_is_learner));
    assert_true(cluster_bed_write(&bed, 10));
    assert_true(cluster_bed_agree(&bed));
    assert_int_equal(consensus_change(lead->log, CONSENSUS_REMOVE, 4, NULL, &why), 0);
    assert_true(cluster_bed_write(&bed, 10));
    assert_int_equal(consensus_state(lead->log).members, 3);
    check_all();
}

static void test_remove__follower__the_rest_goes_on(void **state)
{
    (void)state;
    struct fail why = {0};
    start_three();
    assert_true(cluster_bed_write(&bed, 50));
    unsigned gone = a_follower();
    struct cluster_node *lead = leader();
    assert_int_equal(consensus_change(lead->log, CONSENSUS_REMOVE, lead->id, NULL, &why),
                     E_CONFLICT);
    assert_non_null(strstr(fail_text(&why), "transfer"));
    assert_int_equal(consensus_change(lead->log, CONSENSUS_REMOVE, 9, NULL, &why), E_NOT_FOUND);
    assert_int_equal(consensus_change(bed.nodes[gone].log, CONSENSUS_REMOVE, 1, NULL, &why),
                     E_NOT_LEADER);
    assert_int_equal(consensus_change(lead->log, CONSENSUS_REMOVE, bed.nodes[gone].id, NULL, &why),
                     0);
    assert_true(cluster_bed_write(&bed, 50));
    cluster_bed_stop(&bed, gone);
    assert_true(cluster_bed_write(&bed, 50));
    check_all();
    assert_int_equal(consensus_state(lead->log).members, 2);
}

static bool is_silent(struct cluster_bed *b)
{
    struct cluster_node *lead = cluster_bed_leader(b);
    struct consensus_member members[CONSENSUS_MEMBERS_MAX] = {0};
    if (!lead) {
        return false;
    }
    unsigned n = consensus_members(lead->log, members, CONSENSUS_MEMBERS_MAX);
    for (unsigned i = 0; i < n; i++) {
        if (members[i].silent_ms > 1000) {
            return true;
        }
    }
    return false;
}

/* Of three, one is down: to remove another one leaves one of two. */
static void test_remove__quorum_would_be_lost__is_refused_with_the_reason(void **state)
{
    (void)state;
    struct fail why = {0};
    start_three();
    assert_true(cluster_bed_write(&bed, 50));
    assert_true(cluster_bed_agree(&bed));
    unsigned down = a_follower();
    struct cluster_node *lead = leader();
    uint64_t other = 6 - lead->id - bed.nodes[down].id;
    cluster_bed_stop(&bed, down);
    assert_true(cluster_bed_until(&bed, is_silent));
    assert_int_equal(consensus_change(lead->log, CONSENSUS_REMOVE, other, NULL, &why), E_CONFLICT);
    assert_non_null(strstr(fail_text(&why), "quorum"));
    assert_non_null(strstr(fail_text(&why), bed.nodes[down].address));
    /* The dead one may go. */
    assert_int_equal(consensus_change(lead->log, CONSENSUS_REMOVE, bed.nodes[down].id, NULL, &why),
                     0);
    assert_true(cluster_bed_write(&bed, 50));
    check_all();
}

static uint64_t wanted_leader;

static bool is_wanted_leader(struct cluster_bed *b)
{
    const struct cluster_node *lead = cluster_bed_leader(b);
    return lead && lead->id == wanted_leader && all_know_the_leader(b);
}

static void test_transfer__to_a_follower__it_leads_soon(void **state)
{
    (void)state;
    struct fail why = {0};
    start_three();
    assert_true(cluster_bed_write(&bed, 50));
    wanted_leader = bed.nodes[a_follower()].id;
    assert_int_equal(consensus_transfer(leader()->log, 7, &why), E_INVALID);
    uint64_t at = clock_now().mono_ms;
    assert_int_equal(consensus_transfer(leader()->log, wanted_leader, &why), 0);
    assert_true(cluster_bed_until(&bed, is_wanted_leader));
    printf("transfer took %llu ms\n", (unsigned long long)(clock_now().mono_ms - at));
    assert_true(cluster_bed_write(&bed, 50));
    check_all();
}

static bool first_has_two(struct cluster_bed *b)
{
    return consensus_state(b->nodes[3].log).is_voter;
}

static bool first_has_learner(struct cluster_bed *b)
{
    struct consensus_member members[CONSENSUS_MEMBERS_MAX] = {0};
    return consensus_members(b->nodes[0].log, members, CONSENSUS_MEMBERS_MAX) == 2 &&
           members[1].standing == CONSENSUS_LEARNER;
}

static bool is_first_ready(struct cluster_bed *b)
{
    return consensus_state(b->nodes[0].log).role == CONSENSUS_LEADER;
}

/* A node that was alone has let go of what it applied: it takes a snapshot first. */
static void test_add__to_a_node_alone__after_a_snapshot(void **state)
{
    (void)state;
    struct fail why = {0};
    bed.nodes[0].options.bootstrap_count = 0;
    cluster_bed_start(&bed, 0);
    assert_true(cluster_bed_until(&bed, is_first_ready));
    assert_true(cluster_bed_write(&bed, 100));
    cluster_bed_start(&bed, 3);
    assert_int_equal(
        consensus_change(bed.nodes[0].log, CONSENSUS_ADD, 4, bed.nodes[3].address, &why), 0);
    struct consensus_member members[CONSENSUS_MEMBERS_MAX] = {0};
    assert_int_equal(consensus_members(bed.nodes[0].log, members, CONSENSUS_MEMBERS_MAX), 2);
    assert_int_equal(members[1].standing, CONSENSUS_PENDING);
    assert_true(cluster_bed_write(&bed, 1));
    assert_true(cluster_bed_until(&bed, first_has_two));
    assert_true(cluster_bed_write(&bed, 100));
    check_all();
    assert_int_equal(bed.nodes[3].loads, 1);
}

/* G7 on real files: the only voter of several members begins a term of its own. */
static void test_restart__only_voter_with_a_learner__leads_in_another_term(void **state)
{
    (void)state;
    struct fail why = {0};
    bed.nodes[0].options.bootstrap_count = 0;
    cluster_bed_start(&bed, 0);
    assert_true(cluster_bed_until(&bed, is_first_ready));
    assert_true(cluster_bed_write(&bed, 20));
    cluster_bed_stop(&bed, 0);
    cluster_bed_start(&bed, 0);
    assert_true(cluster_bed_until(&bed, is_first_ready));
    assert_int_equal(consensus_state(bed.nodes[0].log).term, 1); /* alone: nothing to fear */
    assert_int_equal(
        consensus_change(bed.nodes[0].log, CONSENSUS_ADD, 4, bed.nodes[3].address, &why), 0);
    assert_true(cluster_bed_write(&bed, 1));
    assert_true(cluster_bed_until(&bed, first_has_learner));
    assert_true(cluster_bed_write(&bed, 1)); /* behind the change: that is on the disk, too */
    cluster_bed_kill(&bed, 0);
    cluster_bed_start(&bed, 0);
    assert_true(cluster_bed_until(&bed, is_first_ready));
    assert_int_equal(consensus_state(bed.nodes[0].log).term, 2);
    cluster_bed_start(&bed, 3);
    assert_true(cluster_bed_until(&bed, first_has_two));
    assert_true(cluster_bed_write(&bed, 20));
    check_all();
}

static void test_receive__garbage_and_wrong_names__are_counted(void **state)
{
    (void)state;
    start_three();
    assert_true(cluster_bed_write(&bed, 5));
    consensus_receive(bed.nodes[0].log, 2, SPAN("garbage"));
    consensus_receive(bed.nodes[0].log, 2, (struct span){0});
    assert_int_equal(consensus_state(bed.nodes[0].log).refused_messages, 2);
    assert_true(cluster_bed_write(&bed, 5));
    check_all();
}

static void test_throughput__three_nodes__is_printed(void **state)
{
    (void)state;
    bed.op_len = 300;
    for (unsigned i = 0; i < 3; i++) {
        bed.nodes[i].options.segment_bytes = 8u << 20;
    }
    start_three();
    assert_true(cluster_bed_write(&bed, 1000));
    uint64_t at = clock_now().mono_ms;
    assert_true(cluster_bed_write(&bed, 50000));
    uint64_t ms = clock_now().mono_ms - at;
    printf("50000 operations of 300 bytes, 4096 at a time, on three nodes: %llu ms, %llu/s\n",
           (unsigned long long)ms, (unsigned long long)(50000ull * 1000 / (ms ? ms : 1)));
    at = clock_now().mono_ms;
    for (unsigned i = 0; i < 500; i++) {
        assert_true(cluster_bed_write(&bed, 1));
    }
    ms = clock_now().mono_ms - at;
    printf("one by one: %llu/s\n", (unsigned long long)(500ull * 1000 / (ms ? ms : 1)));
    check_all();
}

#define CLUSTER_TEST(f) cmocka_unit_test_setup_teardown(f, three, teardown)

/* test_cluster PATTERN runs those whose name it matches. */
int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(test_election__three_nodes__one_leads_and_all_are_told),
        CLUSTER_TEST(test_members__leader__knows_who_has_what),
        CLUSTER_TEST(test_loss__ten_percent__nothing_acknowledged_is_missing),
        CLUSTER_TEST(test_restart__each_in_turn__goes_on),
        CLUSTER_TEST(test_kill__leader_under_load__the_others_go_on_and_it_comes_back),
        CLUSTER_TEST(test_snapshot__follower_far_behind__gets_it_in_pieces),
        CLUSTER_TEST(test_snapshot__as_large_as_asked__reaches_an_empty_node),
        CLUSTER_TEST(test_append__many_large_entries__are_split_into_messages),
        CLUSTER_TEST(test_add__empty_node__learns_and_then_votes),
        CLUSTER_TEST(test_add__leader_dies_meanwhile__the_next_one_goes_on),
        CLUSTER_TEST(test_add__learner_that_never_comes__can_be_removed),
        CLUSTER_TEST(test_add__to_a_node_alone__after_a_snapshot),
        CLUSTER_TEST(test_remove__follower__the_rest_goes_on),
        CLUSTER_TEST(test_remove__quorum_would_be_lost__is_refused_with_the_reason),
        CLUSTER_TEST(test_transfer__to_a_follower__it_leads_soon),
        CLUSTER_TEST(test_restart__only_voter_with_a_learner__leads_in_another_term),
        CLUSTER_TEST(test_receive__garbage_and_wrong_names__are_counted),
        CLUSTER_TEST(test_throughput__three_nodes__is_printed),
    };
    return cmocka_run_group_tests_name("consensus.cluster", tests, NULL, NULL);
}
