#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver_bed.h"

#include "consensus/raft_member.h"

static struct driver_bed bed;
static struct raft_member member;

static int leader(void **state)
{
    (void)state;
    driver_bed_open(&bed, 3);
    driver_bed_lead(&bed);
    member = (struct raft_member){.silent_ms_max = 2000};
    raft_member_tick(&member, bed.driver, bed.now_ms);
    driver_bed_pass(&bed, 1);
    driver_bed_ack(&bed, 2, 2);
    driver_bed_ack(&bed, 3, 2);
    assert_true(raft_driver_is_settled(bed.driver));
    return 0;
}

static int follower(void **state)
{
    (void)state;
    driver_bed_open(&bed, 3);
    member = (struct raft_member){.silent_ms_max = 2000};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_bed_close(&bed);
    return 0;
}

static void commit_all(void)
{
    driver_bed_pass(&bed, 1);
    uint64_t last = raft_driver_state(bed.driver).last_index;
    driver_bed_ack(&bed, 2, last);
    driver_bed_ack(&bed, 3, last);
    assert_false(raft_driver_is_changing(bed.driver));
}

static int change(enum consensus_change what, uint64_t id, const char *address, struct fail *fail)
{
    return raft_member_change(&member, bed.driver, what, id, address, fail);
}

static void tick(void)
{
    member.retry_ms = 0;
    raft_member_tick(&member, bed.driver, bed.now_ms);
}

static void test_first__any_order__is_the_same(void **state)
{
    (void)state;
    const struct consensus_voter voters[] = {{9, "nine:1"}, {2, "two:1"}, {5, "five:1"}};
    struct raft_configuration conf = {0};
    assert_int_equal(raft_member_first(voters, 3, 5, &conf, NULL), 0);
    assert_int_equal(conf.n, 3);
    assert_int_equal(conf.servers[0].id, 2);
    assert_int_equal(conf.servers[2].id, 9);
    assert_ptr_equal(raft_member_find(&conf, 5), &conf.servers[1]);
    raft_configuration_close(&conf);
    assert_int_equal(raft_member_first(NULL, 0, 5, &conf, NULL), 0);
    assert_int_equal(conf.n, 0);
}

static void check_first_refused(struct consensus_voter second, uint64_t own, const char *word)
{
    const struct consensus_voter voters[] = {{1, "one:1"}, second};
    struct raft_configuration conf = {0};
    struct fail fail = {0};
    assert_int_equal(raft_member_first(voters, 2, own, &conf, &fail), E_INVALID);
    assert_non_null(strstr(fail_text(&fail), word));
    assert_int_equal(conf.n, 0);
}

static void test_first__repeated_empty_or_without_this_node__is_refused(void **state)
{
    (void)state;
    check_first_refused((struct consensus_voter){1, "two:1"}, 1, "twice");
    check_first_refused((struct consensus_voter){0, "two:1"}, 1, "0");
    check_first_refused((struct consensus_voter){2, "one:1"}, 1, "address");
    check_first_refused((struct consensus_voter){2, ""}, 1, "address");
    check_first_refused((struct consensus_voter){2, NULL}, 1, "address");
    check_first_refused((struct consensus_voter){2, "two:1"}, 3, "not among");
}

static void test_change__follower__is_refused(void **state)
{
    (void)state;
    assert_int_equal(change(CONSENSUS_ADD, 4, "four", NULL), E_NOT_LEADER);
    assert_int_equal(change(CONSENSUS_REMOVE, 2, NULL, NULL), E_NOT_LEADER);
    tick();
    assert_int_equal(raft_member_deadline(&member, bed.driver), UINT64_MAX);
}

static void test_add__learner_first_then_voter(void **state)
{
    (void)state;
    struct consensus_member list[8] = {0};
    assert_int_equal(change(CONSENSUS_ADD, 4, "four", NULL), 0);
    commit_all();
    assert_int_equal(raft_member_list(&member, bed.driver, list, 8), 4);
    assert_int_equal(list[3].standing, CONSENSUS_LEARNER);
    assert_int_equal(list[3].match_index, 0);
    assert_int_equal(list[3].silent_ms, UINT64_MAX);
    bed.sent_count = 0;
    tick();
    assert_true(driver_bed_sent(&bed, RAFT_APPEND_ENTRIES) > 0); /* it gets the log */
    assert_int_equal(bed.sent[0].to, 4);
    tick();
    assert_false(raft_driver_is_changing(bed.driver));
    driver_bed_ack(&bed, 4, raft_driver_state(bed.driver).last_index);
    tick();
    assert_true(raft_driver_is_changing(bed.driver));
    driver_bed_pass(&bed, 1);
    driver_bed_ack(&bed, 4, raft_driver_state(bed.driver).last_index);
    commit_all();
    assert_int_equal(raft_member_list(&member, bed.driver, list, 8), 4);
    assert_int_equal(list[3].standing, CONSENSUS_VOTER);
    assert_int_equal(raft_member_deadline(&member, bed.driver), UINT64_MAX);
}

static void test_add__what_cannot_be__is_refused_with_the_reason(void **state)
{
    (void)state;
    struct fail fail = {0};
    char longest[CONSENSUS_ADDRESS_MAX + 2];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(change(CONSENSUS_ADD, 0, "four", &fail), E_INVALID);
    assert_int_equal(change(CONSENSUS_ADD, 4, "", &fail), E_INVALID);
    assert_int_equal(change(CONSENSUS_ADD, 4, NULL, &fail), E_INVALID);
    assert_int_equal(change(CONSENSUS_ADD, 4, longest, &fail), E_INVALID);
    assert_int_equal(change(CONSENSUS_ADD, 2, "four", &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "two"));
    assert_int_equal(change(CONSENSUS_ADD, 4, "three", &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "member 3"));
    assert_int_equal(change(CONSENSUS_ADD, 4, "four", &fail), 0);
    assert_int_equal(change(CONSENSUS_REMOVE, 2, NULL, &fail), E_CONFLICT); /* not committed */
    commit_all();
    assert_int_equal(change(CONSENSUS_ADD, 5, "five", &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "four"));
}

static void test_remove__learner_that_gets_the_log__is_let_go(void **state)
{
    (void)state;
    assert_int_equal(change(CONSENSUS_ADD, 4, "four", NULL), 0);
    commit_all();
    tick();
    assert_int_equal(change(CONSENSUS_REMOVE, 4, NULL, NULL), 0);
    commit_all();
    assert_int_equal(raft_driver_members(bed.driver)->n, 3);
}

static void test_remove__leader_stranger_or_quorum__is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(change(CONSENSUS_REMOVE, 1, NULL, &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "transfer"));
    assert_int_equal(change(CONSENSUS_REMOVE, 0, NULL, &fail), E_NOT_FOUND);
    for (unsigned i = 0; i < 30; i++) { /* three falls silent */
        driver_bed_pass(&bed, 100);
        driver_bed_ack(&bed, 2, raft_driver_state(bed.driver).last_index);
    }
    assert_int_equal(change(CONSENSUS_REMOVE, 2, NULL, &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "quorum"));
    assert_non_null(strstr(fail_text(&fail), "three"));
    assert_int_equal(change(CONSENSUS_REMOVE, 3, NULL, &fail), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first__any_order__is_the_same),
        cmocka_unit_test(test_first__repeated_empty_or_without_this_node__is_refused),
        cmocka_unit_test_setup_teardown(test_change__follower__is_refused, follower, teardown),
        cmocka_unit_test_setup_teardown(test_add__learner_first_then_voter, leader, teardown),
        cmocka_unit_test_setup_teardown(test_add__what_cannot_be__is_refused_with_the_reason,
                                        leader, teardown),
        cmocka_unit_test_setup_teardown(test_remove__learner_that_gets_the_log__is_let_go, leader,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_remove__leader_stranger_or_quorum__is_refused, leader,
                                        teardown),
    };
    return cmocka_run_group_tests_name("consensus.raft_member", tests, NULL, NULL);
}
