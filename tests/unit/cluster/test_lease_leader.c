#include "cluster/lease_leader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T0 10000

static struct now at(uint64_t ms)
{
    return (struct now){.mono_ms = ms};
}

/* Node 1, with 2 and 3; term 5, all up to entry 10 committed and applied. */
struct bed {
    struct lease_leader l;
    struct lease_log log;
};

static const struct lease_server three[] = {{1, true}, {2, true}, {3, true}};

static struct bed begin(void)
{
    struct bed b = {
        .l = {.self = 1},
        .log = {
            .term = 5, .commit = 10, .applied = 10, .last = 10, .leads = true, .is_settled = true}};
    lease_leader_on_servers(&b.l, three, 3, &b.log);
    lease_leader_begin(&b.l, &b.log, 0, at(T0));
    lease_leader_want(&b.l, UINT64_MAX);
    return b;
}

static struct lease_peer *peer(struct bed *b, uint64_t id)
{
    for (size_t i = 0; i < b->l.peer_count; i++) {
        if (b->l.peers[i].id == id) {
            return &b->l.peers[i];
        }
    }
    return NULL;
}

static void ack(struct bed *b, uint64_t from, uint64_t applied, uint64_t ms)
{
    struct lease_msg m = {.parts = LEASE_ACK | LEASE_APPLIED | LEASE_WANT,
                          .term = 5,
                          .round = b->l.round,
                          .asked_at = ms * 2, /* of another clock */
                          .life = from,
                          .applied = applied};
    lease_leader_on_follower(&b->l, from, &m, at(ms));
}

static void applied(struct bed *b, uint64_t from, uint64_t index, uint64_t ms)
{
    struct lease_msg m = {.parts = LEASE_APPLIED, .term = 5, .life = from, .applied = index};
    lease_leader_on_follower(&b->l, from, &m, at(ms));
}

static unsigned take_due(struct bed *b, uint64_t id)
{
    unsigned parts = peer(b, id)->due.parts;
    peer(b, id)->due.parts = 0;
    return parts;
}

/* Two rounds: the second grants. */
static struct bed granted(void)
{
    struct bed b = begin();
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    ack(&b, 2, 10, T0 + 1);
    ack(&b, 3, 10, T0 + 1);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 1));
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_ROUND_MS));
    ack(&b, 2, 10, T0 + LEASE_ROUND_MS + 1);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_ROUND_MS + 1));
    return b;
}

static void test_round__before_an_own_entry_is_applied__does_not_begin(void **state)
{
    (void)state;
    struct bed b = begin();
    b.log.is_settled = false;
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0)));
    b.log.is_settled = true;
    b.log.applied = 9;
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0)));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0)), 0);
    assert_int_equal(lease_leader_deadline(&b.l, true), UINT64_MAX);
    b.log.applied = 10;
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0)));
    assert_int_equal(take_due(&b, 2), LEASE_ROUND);
    assert_int_equal(take_due(&b, 3), LEASE_ROUND);
}

static void test_own_lease__needs_a_quorum_and_counts_from_the_rounds_begin(void **state)
{
    (void)state;
    struct bed b = begin();
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 100));
    assert_int_equal(b.l.until_ms, 0);
    ack(&b, 3, 10, T0 + 120);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 120));
    assert_int_equal(b.l.until_ms, T0 + LEASE_HOLDER_MS);
}

static void test_own_lease__waits_until_what_was_committed_is_applied(void **state)
{
    (void)state;
    struct bed b = begin();
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    ack(&b, 3, 10, T0 + 10);
    b.log.commit = 12;
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 10));
    assert_int_equal(b.l.until_ms, 0);
    b.log.applied = 12;
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 11));
    assert_int_equal(b.l.until_ms, T0 + LEASE_HOLDER_MS);
}

static void test_round__not_acked__is_asked_again_under_its_number(void **state)
{
    (void)state;
    struct bed b = begin();
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0)));
    (void)take_due(&b, 2);
    assert_int_equal(lease_leader_deadline(&b.l, false), T0 + LEASE_ROUND_MS);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_ROUND_MS)));
    assert_int_equal(take_due(&b, 2), LEASE_ROUND);
    assert_int_equal(b.l.round, 1);
    ack(&b, 2, 10, T0 + 400);
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0 + 400)));
    assert_int_equal(b.l.until_ms, T0 + LEASE_HOLDER_MS);
    assert_int_equal(b.l.round, 2);
    /* One that is too old to be worth a lease is replaced. */
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + 400 + LEASE_MS - 1)));
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0 + 400 + LEASE_MS)));
    assert_int_equal(b.l.round, 3);
}

/* An ack as it comes from a follower without reads. */
static void ack_unread(struct bed *b, uint64_t from, uint64_t ms)
{
    struct lease_msg m = {.parts = LEASE_ACK | LEASE_APPLIED,
                          .term = 5,
                          .round = b->l.round,
                          .asked_at = ms,
                          .life = from,
                          .quiet_ms = LEASE_MS,
                          .applied = 10};
    lease_leader_on_follower(&b->l, from, &m, at(ms));
}

static struct bed unread(void)
{
    struct bed b = begin();
    lease_leader_begin(&b.l, &b.log, LEASE_MS, at(T0));
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0))); /* who is there? */
    ack_unread(&b, 2, T0 + 1);
    ack_unread(&b, 3, T0 + 1);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + 1)));
    return b;
}

static void test_rounds__wanted_by_nobody__end_when_everybody_is_known(void **state)
{
    (void)state;
    struct bed b = unread();
    assert_int_equal(lease_leader_deadline(&b.l, true), UINT64_MAX);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + 10000)));
    assert_int_equal(b.l.round, 1);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0 + 1)), 10);
}

static void test_rounds__while_an_earlier_leaders_leases_may_last__go_on(void **state)
{
    (void)state;
    struct bed b = begin();
    lease_leader_begin(&b.l, &b.log, 0, at(T0));
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0)));
    assert_int_equal(lease_leader_deadline(&b.l, false), T0 + LEASE_ROUND_MS);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_MS)));
    assert_int_equal(lease_leader_deadline(&b.l, false), UINT64_MAX);
}

static void test_read__that_waits_at_a_follower__begins_a_round_that_grants_it_alone(void **state)
{
    (void)state;
    struct bed b = unread();
    struct lease_msg m = {.parts = LEASE_ACK | LEASE_APPLIED | LEASE_WANT | LEASE_NOW,
                          .term = 5,
                          .round = b.l.round,
                          .asked_at = 77,
                          .life = 3,
                          .applied = 10};
    (void)take_due(&b, 2);
    (void)take_due(&b, 3);
    lease_leader_on_follower(&b.l, 3, &m, at(T0 + 2)); /* sooner than a round would come */
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0 + 2)));
    assert_int_equal(take_due(&b, 2), LEASE_ROUND);
    assert_int_equal(take_due(&b, 3), LEASE_ROUND);
    ack_unread(&b, 2, T0 + 3);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 3));
    assert_int_equal(take_due(&b, 2), 0);
    assert_int_equal(peer(&b, 3)->due.asked_at, 77);
    assert_int_equal(take_due(&b, 3), LEASE_GRANT);
    assert_int_equal(lease_leader_deadline(&b.l, false), T0 + 2 + LEASE_ROUND_MS);
}

static void test_read__at_the_leader_after_a_pause__begins_a_round_at_once(void **state)
{
    (void)state;
    struct bed b = unread();
    assert_int_equal(b.l.until_ms, T0 + LEASE_HOLDER_MS);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_HOLDER_MS)));
    lease_leader_want(&b.l, T0 + 5000);
    assert_true(lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_HOLDER_MS)));
    ack_unread(&b, 2, T0 + LEASE_HOLDER_MS + 1);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_HOLDER_MS + 1)));
    assert_int_equal(b.l.until_ms, T0 + 2 * LEASE_HOLDER_MS);
}

static void test_grant__for_an_ask_before_the_round__makes_a_holder(void **state)
{
    (void)state;
    struct bed b = begin();
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    ack(&b, 2, 10, T0 + 1);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 1));
    assert_int_equal(take_due(&b, 2), LEASE_ROUND); /* its ask came after the round began */
    assert_int_equal(peer(&b, 2)->holds_until_ms, 0);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_ROUND_MS));
    (void)take_due(&b, 2);
    ack(&b, 2, 10, T0 + LEASE_ROUND_MS + 1);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_ROUND_MS + 1));
    assert_int_equal(peer(&b, 2)->due.asked_at, 2 * (T0 + 1)); /* the first, not the second */
    assert_int_equal(peer(&b, 2)->due.commit, 10);
    assert_int_equal(take_due(&b, 2), LEASE_GRANT);
    assert_int_equal(take_due(&b, 3), LEASE_ROUND);
    assert_int_equal(peer(&b, 2)->holds_until_ms, T0 + LEASE_ROUND_MS + 1 + LEASE_MS);
}

static void test_grant__of_a_follower_far_behind__is_not_given(void **state)
{
    (void)state;
    struct bed b = begin();
    for (uint64_t r = 0; r < 4; r++) {
        uint64_t ms = T0 + r * LEASE_ROUND_MS;
        (void)lease_leader_turn(&b.l, &b.log, at(ms));
        ack(&b, 2, b.log.applied, ms + 1);
        ack(&b, 3, 9, ms + 1);
        (void)lease_leader_turn(&b.l, &b.log, at(ms + 1));
        b.log.commit = b.log.applied = b.log.commit + 1;
    }
    assert_true(peer(&b, 2)->holds_until_ms > 0); /* one behind, as all are on the way */
    assert_int_equal(peer(&b, 3)->holds_until_ms, 0);
}

static void test_safe__is_what_all_holders_have(void **state)
{
    (void)state;
    struct bed b = granted();
    uint64_t ms = T0 + 2 * LEASE_ROUND_MS - 10;
    b.log.commit = b.log.applied = 15;
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(ms)), 10);
    applied(&b, 2, 15, ms);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(ms)), 10); /* 3 was granted, too */
    applied(&b, 3, 14, ms);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(ms)), 14);
    applied(&b, 3, 20, ms);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(ms)), 15); /* not past its own */
}

static void test_safe__holder_that_is_silent__counts_until_its_time_is_over(void **state)
{
    (void)state;
    struct bed b = granted();
    uint64_t end = peer(&b, 3)->holds_until_ms;
    b.log.commit = b.log.applied = 15;
    applied(&b, 2, 15, T0 + LEASE_ROUND_MS + 2);
    (void)lease_leader_turn(&b.l, &b.log, at(end - 1));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(end - 1)), 10);
    assert_true(lease_leader_deadline(&b.l, true) <= end);
    (void)lease_leader_turn(&b.l, &b.log, at(end));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(end)), 15);
    assert_true(lease_leader_deadline(&b.l, true) > end); /* nothing that is over wakes it */
}

static void test_safe__new_leader__waits_for_what_others_may_hold(void **state)
{
    (void)state;
    struct bed b = begin();
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    ack(&b, 2, 10, T0 + 1); /* it acked somebody else just now: nothing is shorter for it */
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 1));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0 + 1)), 0);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_MS - 1));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0 + LEASE_MS - 1)), 0);
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + LEASE_MS));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0 + LEASE_MS)), 10);
    struct bed all = begin();
    (void)lease_leader_turn(&all.l, &all.log, at(T0));
    ack(&all, 2, 10, T0 + 1);
    ack(&all, 3, 10, T0 + 1); /* who acked holds nothing else any more */
    assert_int_equal(lease_leader_safe(&all.l, &all.log, at(T0 + 1)), 10);
}

static void quiet_ack(struct bed *b, uint64_t from, uint64_t quiet_ms, uint64_t ms)
{
    struct lease_msg m = {.parts = LEASE_ACK | LEASE_APPLIED,
                          .term = 5,
                          .round = 1,
                          .life = from,
                          .quiet_ms = quiet_ms,
                          .applied = 10};
    lease_leader_on_follower(&b->l, from, &m, at(ms));
}

static void test_safe__quorum_that_was_quiet__shortens_the_wait(void **state)
{
    (void)state;
    struct bed b = begin();
    lease_leader_begin(&b.l, &b.log, 200, at(T0)); /* itself acked the old one 200 ms ago */
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    quiet_ack(&b, 2, 100, T0 + 10);
    uint64_t end = T0 + 10 + LEASE_MS - 100; /* the younger of the two */
    assert_int_equal(b.l.earlier_until_ms, end);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(end - 1)), 0);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(end)), 10);
    assert_int_equal(lease_leader_deadline(&b.l, true), T0 + LEASE_ROUND_MS);
    /* Its own word alone is none. */
    struct bed alone = begin();
    lease_leader_begin(&alone.l, &alone.log, LEASE_MS, at(T0));
    (void)lease_leader_turn(&alone.l, &alone.log, at(T0));
    assert_int_equal(alone.l.earlier_until_ms, T0 + LEASE_MS);
}

static void test_server__that_was_not_committed_yet__is_granted_nothing(void **state)
{
    (void)state;
    static const struct lease_server four[] = {{1, true}, {2, true}, {3, true}, {4, false}};
    struct bed b = granted();
    b.log.last = 11; /* the entry that takes it in */
    lease_leader_on_servers(&b.l, four, 4, &b.log);
    for (uint64_t r = 2; r < 5; r++) {
        uint64_t ms = T0 + r * LEASE_ROUND_MS;
        (void)lease_leader_turn(&b.l, &b.log, at(ms));
        ack(&b, 2, 10, ms + 1);
        ack(&b, 4, 10, ms + 1);
        (void)lease_leader_turn(&b.l, &b.log, at(ms + 1));
        assert_int_equal(peer(&b, 4)->holds_until_ms != 0, r == 4);
        if (r == 3) {
            b.log.commit = b.log.applied = 11;
        }
    }
}

static void test_server__to_be_removed__is_granted_nothing_and_waited_for(void **state)
{
    (void)state;
    struct bed b = granted();
    uint64_t end = peer(&b, 3)->holds_until_ms;
    uint64_t ms = T0 + LEASE_ROUND_MS + 2;
    assert_false(lease_leader_may_remove(&b.l, 3, at(ms)));
    for (; ms < end; ms += 10) {
        (void)lease_leader_turn(&b.l, &b.log, at(ms));
        ack(&b, 2, 10, ms);
        ack(&b, 3, 10, ms);
        assert_false(lease_leader_may_remove(&b.l, 3, at(ms)));
    }
    (void)lease_leader_turn(&b.l, &b.log, at(end));
    assert_true(lease_leader_may_remove(&b.l, 3, at(end)));
    assert_true(peer(&b, 2)->holds_until_ms > end);
    assert_true(lease_leader_may_remove(&b.l, 99, at(end)));
}

static void test_server__removed_while_it_holds__still_counts(void **state)
{
    (void)state;
    struct bed b = granted();
    uint64_t end = peer(&b, 3)->holds_until_ms;
    lease_leader_on_servers(&b.l, three, 2, &b.log);
    b.log.commit = b.log.applied = 15;
    applied(&b, 2, 15, T0 + LEASE_ROUND_MS + 2);
    (void)lease_leader_turn(&b.l, &b.log, at(end - 1));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(end - 1)), 10);
    (void)lease_leader_turn(&b.l, &b.log, at(end));
    assert_null(peer(&b, 3));
}

static void test_follower__started_again__is_believed_what_it_has_now(void **state)
{
    (void)state;
    struct bed b = granted();
    struct lease_msg m = {.parts = LEASE_ACK | LEASE_APPLIED,
                          .term = 5,
                          .round = b.l.round,
                          .life = 1234,
                          .applied = 4};
    lease_leader_on_follower(&b.l, 3, &m, at(T0 + 160));
    assert_int_equal(peer(&b, 3)->applied, 4);
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0 + 160)), 4);
}

static void test_frames__of_another_term_or_of_strangers__change_nothing(void **state)
{
    (void)state;
    struct bed b = begin();
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    struct lease_msg m = {.parts = LEASE_ACK | LEASE_APPLIED, .term = 4, .round = 1, .life = 1};
    lease_leader_on_follower(&b.l, 2, &m, at(T0 + 1));
    m.term = 5;
    lease_leader_on_follower(&b.l, 42, &m, at(T0 + 1));
    m.round = 2; /* never asked */
    lease_leader_on_follower(&b.l, 2, &m, at(T0 + 1));
    (void)lease_leader_turn(&b.l, &b.log, at(T0 + 1));
    assert_int_equal(b.l.until_ms, 0);
    assert_true(b.l.is_open);
    lease_leader_end(&b.l);
    ack(&b, 2, 10, T0 + 2);
    assert_false(lease_leader_turn(&b.l, &b.log, at(T0 + 2)));
    assert_int_equal(lease_leader_safe(&b.l, &b.log, at(T0 + 2)), 0);
}

static void test_alone__in_the_list__needs_nobody(void **state)
{
    (void)state;
    struct bed b = begin();
    lease_leader_on_servers(&b.l, three, 1, &b.log);
    lease_leader_begin(&b.l, &b.log, 0, at(T0));
    (void)lease_leader_turn(&b.l, &b.log, at(T0));
    assert_int_equal(b.l.until_ms, T0 + LEASE_HOLDER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round__before_an_own_entry_is_applied__does_not_begin),
        cmocka_unit_test(test_own_lease__needs_a_quorum_and_counts_from_the_rounds_begin),
        cmocka_unit_test(test_own_lease__waits_until_what_was_committed_is_applied),
        cmocka_unit_test(test_round__not_acked__is_asked_again_under_its_number),
        cmocka_unit_test(test_rounds__wanted_by_nobody__end_when_everybody_is_known),
        cmocka_unit_test(test_rounds__while_an_earlier_leaders_leases_may_last__go_on),
        cmocka_unit_test(test_read__that_waits_at_a_follower__begins_a_round_that_grants_it_alone),
        cmocka_unit_test(test_read__at_the_leader_after_a_pause__begins_a_round_at_once),
        cmocka_unit_test(test_grant__for_an_ask_before_the_round__makes_a_holder),
        cmocka_unit_test(test_grant__of_a_follower_far_behind__is_not_given),
        cmocka_unit_test(test_safe__is_what_all_holders_have),
        cmocka_unit_test(test_safe__holder_that_is_silent__counts_until_its_time_is_over),
        cmocka_unit_test(test_safe__new_leader__waits_for_what_others_may_hold),
        cmocka_unit_test(test_safe__quorum_that_was_quiet__shortens_the_wait),
        cmocka_unit_test(test_server__that_was_not_committed_yet__is_granted_nothing),
        cmocka_unit_test(test_server__to_be_removed__is_granted_nothing_and_waited_for),
        cmocka_unit_test(test_server__removed_while_it_holds__still_counts),
        cmocka_unit_test(test_follower__started_again__is_believed_what_it_has_now),
        cmocka_unit_test(test_frames__of_another_term_or_of_strangers__change_nothing),
        cmocka_unit_test(test_alone__in_the_list__needs_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
