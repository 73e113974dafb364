#include "cluster/lease_holder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LIFE 77

static struct now at(uint64_t ms)
{
    return (struct now){.mono_ms = ms};
}

static struct lease_msg round_of(uint64_t term, uint64_t round)
{
    return (struct lease_msg){.parts = LEASE_ROUND, .term = term, .round = round};
}

static struct lease_msg grant_of(uint64_t asked_at, uint64_t commit)
{
    return (struct lease_msg){
        .parts = LEASE_GRANT, .term = 5, .asked_at = asked_at, .life = LIFE, .commit = commit};
}

/* Follows node 2 in term 5 and has asked at 1000. */
static struct lease_holder asked(void)
{
    struct lease_holder h;
    struct lease_msg m = round_of(5, 1);
    struct lease_msg ack = {0};
    lease_holder_init(&h, LIFE, at(900));
    assert_true(lease_holder_on_round(&h, 2, &m, 5, at(1000)));
    lease_holder_speak(&h, &ack, false, at(1000));
    assert_int_equal(ack.parts, LEASE_ACK | LEASE_APPLIED);
    assert_int_equal(ack.asked_at, 1000);
    assert_int_equal(ack.round, 1);
    return h;
}

static void test_round__of_an_earlier_term__gets_no_ack(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_msg earlier = round_of(4, 9);
    struct lease_msg same = round_of(5, 2);
    struct lease_msg none = round_of(0, 1);
    struct lease_msg ack = {0};
    assert_false(lease_holder_on_round(&h, 3, &earlier, 4, at(1001)));
    assert_false(lease_holder_on_round(&h, 2, &same, 6, at(1001))); /* the log knows a later one */
    assert_false(lease_holder_on_round(&h, 3, &same, 5, at(1001))); /* not its leader */
    assert_false(lease_holder_on_round(&h, 3, &none, 0, at(1001)));
    lease_holder_speak(&h, &ack, false, at(1001));
    assert_int_equal(ack.parts, 0);
}

static void test_grant__counts_from_the_ask_and_needs_what_was_committed(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_msg grant = grant_of(1000, 20);
    lease_holder_on_grant(&h, &grant, 19, at(1100));
    assert_int_equal(h.until_ms, 0);
    lease_holder_applied(&h, 19);
    assert_int_equal(h.until_ms, 0);
    lease_holder_applied(&h, 20);
    assert_int_equal(h.until_ms, 1000 + LEASE_HOLDER_MS);
    struct lease_holder ready = asked();
    lease_holder_on_grant(&ready, &grant, 20, at(1100));
    assert_int_equal(ready.until_ms, 1000 + LEASE_HOLDER_MS);
}

static void test_grant__while_another_waits__does_not_raise_what_is_demanded(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_msg first = grant_of(1000, 20);
    struct lease_msg next = grant_of(1000, 30);
    lease_holder_on_grant(&h, &first, 10, at(1100));
    lease_holder_on_grant(&h, &next, 15, at(1250));
    lease_holder_applied(&h, 20);
    assert_int_equal(h.until_ms, 1000 + LEASE_HOLDER_MS);
    /* One that has run out is replaced. */
    struct lease_holder late = asked();
    lease_holder_on_grant(&late, &first, 10, at(1100));
    lease_holder_on_grant(&late, &next, 15, at(1000 + LEASE_HOLDER_MS));
    lease_holder_applied(&late, 20);
    assert_int_equal(late.until_ms, 0);
}

static void test_grant__of_another_life_or_never_asked__is_nothing(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_msg other = grant_of(1000, 0);
    other.life = LIFE + 1;
    lease_holder_on_grant(&h, &other, 100, at(1100));
    struct lease_msg future = grant_of(1001, 0);
    lease_holder_on_grant(&h, &future, 100, at(1100));
    struct lease_msg wild = grant_of(UINT64_MAX, 0);
    lease_holder_on_grant(&h, &wild, 100, at(1100));
    assert_int_equal(h.until_ms, 0);
}

static void test_term__another__ends_what_is_held(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_msg grant = grant_of(1000, 0);
    struct lease_msg next = round_of(6, 1);
    struct lease_msg waits = grant_of(1000, 50);
    lease_holder_on_grant(&h, &grant, 0, at(1010));
    lease_holder_on_grant(&h, &waits, 0, at(1010));
    assert_true(lease_holder_follows(&h, 2, 5));
    assert_true(lease_holder_on_round(&h, 3, &next, 6, at(1400)));
    assert_int_equal(h.until_ms, 0);
    lease_holder_applied(&h, 50);
    assert_int_equal(h.until_ms, 0);
    assert_false(lease_holder_follows(&h, 2, 5));
    assert_true(lease_holder_follows(&h, 3, 6));
    struct lease_holder leads = asked();
    lease_holder_on_grant(&leads, &grant, 0, at(1010));
    lease_holder_lead(&leads, 6, 1, at(1020));
    assert_int_equal(leads.until_ms, 0);
}

static void test_ack__tells_how_long_nobody_else_was_acked(void **state)
{
    (void)state;
    struct lease_holder h = asked(); /* acked at 1000 */
    struct lease_msg next = round_of(6, 1);
    struct lease_msg ack = {0};
    assert_true(lease_holder_on_round(&h, 3, &next, 6, at(1400)));
    lease_holder_speak(&h, &ack, false, at(1400));
    assert_int_equal(ack.quiet_ms, 400);
    assert_true(lease_holder_on_round(&h, 3, &next, 6, at(1550)));
    lease_holder_speak(&h, &ack, false, at(1550));
    assert_int_equal(ack.quiet_ms, 550); /* what is acked in this term does not count */
}

static void test_ack__of_a_round_asked_again_or_an_urge__is_no_later_ack(void **state)
{
    (void)state;
    struct lease_holder h = asked(); /* acked at 1000 */
    struct lease_msg again = round_of(5, 1);
    struct lease_msg next = round_of(6, 1);
    struct lease_log log = {.term = 5, .leader = 2};
    struct lease_msg ack = {0};
    assert_true(lease_holder_on_round(&h, 2, &again, 5, at(1200)));
    lease_holder_urge(&h, &log, at(1300));
    lease_holder_speak(&h, &ack, true, at(1300));
    assert_true(lease_holder_on_round(&h, 3, &next, 6, at(1400)));
    lease_holder_speak(&h, &ack, false, at(1400));
    assert_int_equal(ack.quiet_ms, 400);
}

static void test_ack__of_a_new_life__knows_nothing_before_it(void **state)
{
    (void)state;
    struct lease_holder h;
    struct lease_msg first = round_of(6, 1);
    struct lease_msg ack = {0};
    lease_holder_init(&h, LIFE, at(5000));
    assert_true(lease_holder_on_round(&h, 3, &first, 6, at(5300)));
    lease_holder_speak(&h, &ack, false, at(5300));
    assert_int_equal(ack.quiet_ms, 300);
}

static void test_ack__after_leading__counts_its_own_rounds(void **state)
{
    (void)state;
    struct lease_holder h;
    struct lease_msg next = round_of(7, 1);
    struct lease_msg ack = {0};
    lease_holder_init(&h, LIFE, at(0));
    lease_holder_lead(&h, 6, 1, at(1000));
    lease_holder_lead(&h, 6, 1, at(2000));
    assert_true(lease_holder_on_round(&h, 3, &next, 7, at(2100)));
    lease_holder_speak(&h, &ack, false, at(2100));
    assert_int_equal(ack.quiet_ms, 100);
}

static struct lease_log log_of(uint64_t term, uint64_t leader)
{
    return (struct lease_log){.term = term, .commit = 10, .applied = 10, .leader = leader};
}

static void test_urge__asks_for_a_round_and_not_again_at_once(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_log log = log_of(5, 2);
    struct lease_msg m = {0};
    lease_holder_urge(&h, &log, at(1010));
    lease_holder_speak(&h, &m, true, at(1010));
    assert_int_equal(m.parts, LEASE_ACK | LEASE_APPLIED | LEASE_WANT | LEASE_NOW);
    assert_int_equal(m.round, 1);
    assert_int_equal(m.asked_at, 1010);
    m = (struct lease_msg){0};
    lease_holder_urge(&h, &log, at(1010 + LEASE_ROUND_MS - 1));
    lease_holder_speak(&h, &m, true, at(1010 + LEASE_ROUND_MS - 1));
    assert_int_equal(m.parts, 0);
    lease_holder_urge(&h, &log, at(1010 + LEASE_ROUND_MS));
    lease_holder_speak(&h, &m, true, at(1010 + LEASE_ROUND_MS));
    assert_int_equal(m.parts, LEASE_ACK | LEASE_APPLIED | LEASE_WANT | LEASE_NOW);
}

static void test_urge__in_a_term_without_rounds__follows_its_leader(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_log log = log_of(6, 3);
    struct lease_msg m = {0};
    lease_holder_urge(&h, &log, at(1010));
    lease_holder_speak(&h, &m, true, at(1010));
    assert_int_equal(m.parts, LEASE_ACK | LEASE_APPLIED | LEASE_WANT | LEASE_NOW);
    assert_int_equal(m.round, 0);
    assert_int_equal(m.quiet_ms, 10); /* since the round of the term before */
    assert_true(lease_holder_follows(&h, 3, 6));
    assert_false(lease_holder_follows(&h, 2, 5));
}

static void test_urge__with_nobody_to_ask_or_nothing_to_ask_for__is_silent(void **state)
{
    (void)state;
    struct lease_holder h = asked();
    struct lease_msg grant = grant_of(1000, 10);
    struct lease_log log = log_of(5, 0);
    struct lease_log earlier = log_of(4, 2);
    struct lease_log led = log_of(5, 2);
    struct lease_msg m = {0};
    lease_holder_urge(&h, &log, at(1010));
    lease_holder_urge(&h, &earlier, at(1010));
    lease_holder_on_grant(&h, &grant, 10, at(1010));
    lease_holder_urge(&h, &led, at(1011));
    lease_holder_speak(&h, &m, true, at(1011));
    assert_int_equal(m.parts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urge__asks_for_a_round_and_not_again_at_once),
        cmocka_unit_test(test_urge__in_a_term_without_rounds__follows_its_leader),
        cmocka_unit_test(test_urge__with_nobody_to_ask_or_nothing_to_ask_for__is_silent),
        cmocka_unit_test(test_round__of_an_earlier_term__gets_no_ack),
        cmocka_unit_test(test_grant__counts_from_the_ask_and_needs_what_was_committed),
        cmocka_unit_test(test_grant__while_another_waits__does_not_raise_what_is_demanded),
        cmocka_unit_test(test_grant__of_another_life_or_never_asked__is_nothing),
        cmocka_unit_test(test_term__another__ends_what_is_held),
        cmocka_unit_test(test_ack__tells_how_long_nobody_else_was_acked),
        cmocka_unit_test(test_ack__of_a_round_asked_again_or_an_urge__is_no_later_ack),
        cmocka_unit_test(test_ack__of_a_new_life__knows_nothing_before_it),
        cmocka_unit_test(test_ack__after_leading__counts_its_own_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
