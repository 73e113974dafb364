#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver_bed.h"

static struct driver_bed bed;

static int alone(void **state)
{
    (void)state;
    driver_bed_open(&bed, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_bed_close(&bed);
    return 0;
}

/* Begin anew as a member that finds these roles on its disk. */
static void become(int own_role, int other_role, uint64_t vote)
{
    driver_bed_close(&bed);
    driver_bed_open_as(&bed, own_role, other_role, vote);
}

static void ask_for_vote(uint64_t term)
{
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = 2, .server_address = "two"};
    m.request_vote = (struct raft_request_vote){2, term, 2, 9, 1, false, false};
    raft_driver_receive(bed.driver, &m);
}

static bool is_granted(void)
{
    return bed.sent_count > 0 && bed.sent[bed.sent_count - 1].type == RAFT_REQUEST_VOTE_RESULT &&
           bed.sent[bed.sent_count - 1].is_granted;
}

static void test_g6__learner_is_asked__votes(void **state)
{
    (void)state;
    become(RAFT_SPARE, RAFT_VOTER, 0);
    ask_for_vote(2);
    assert_true(is_granted());
    assert_int_equal(raft_driver_members(bed.driver)->servers[0].role, RAFT_SPARE);
}

static void test_g6__learner_hears_a_leader__does_not_vote_until_it_is_silent(void **state)
{
    (void)state;
    become(RAFT_SPARE, RAFT_VOTER, 0);
    driver_bed_append(&bed, 2, 1, 1, 1, 0, NULL);
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 2);
    ask_for_vote(3);
    assert_false(is_granted());
    driver_bed_pass(&bed, 1000);
    ask_for_vote(3);
    assert_true(is_granted());
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 0);
    assert_int_equal(raft_driver_state(bed.driver).term, 3);
}

static void test_voter__hears_a_leader__keeps_its_vote_for_the_shortest_election_time(void **state)
{
    (void)state;
    become(RAFT_VOTER, RAFT_VOTER, 0);
    driver_bed_append(&bed, 2, 1, 1, 1, 0, NULL);
    driver_bed_pass(&bed, 999);
    ask_for_vote(3);
    assert_false(is_granted());
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 2);
    driver_bed_pass(&bed, 1);
    assert_int_equal(raft_driver_state(bed.driver).role, RAFT_FOLLOWER); /* its own time runs on */
    ask_for_vote(3);
    assert_true(is_granted());
    assert_int_equal(raft_driver_state(bed.driver).term, 3);
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 0);
}

static void test_voter__grants_a_pre_vote__still_knows_its_leader(void **state)
{
    (void)state;
    become(RAFT_VOTER, RAFT_VOTER, 0);
    driver_bed_append(&bed, 2, 1, 1, 1, 0, NULL);
    driver_bed_pass(&bed, 1000);
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = 2, .server_address = "two"};
    m.request_vote = (struct raft_request_vote){2, 3, 2, 9, 1, false, true};
    raft_driver_receive(bed.driver, &m);
    assert_true(is_granted());
    assert_int_equal(raft_driver_state(bed.driver).term, 2);
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 2);
}

static void test_learner__leader_silent__is_not_named_any_more(void **state)
{
    (void)state;
    become(RAFT_SPARE, RAFT_VOTER, 0);
    driver_bed_append(&bed, 2, 1, 1, 1, 0, NULL);
    driver_bed_pass(&bed, 1999);
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 2);
    driver_bed_pass(&bed, 1);
    assert_int_equal(raft_driver_state(bed.driver).leader_id, 0);
}

static void test_g7__only_voter_that_voted_for_another__begins_another_term(void **state)
{
    (void)state;
    become(RAFT_VOTER, RAFT_SPARE, 2);
    assert_int_equal(raft_driver_state(bed.driver).role, RAFT_LEADER);
    assert_int_equal(raft_driver_state(bed.driver).term, 2);
    driver_bed_restart(&bed); /* what it sent to others may be lost here */
    assert_int_equal(raft_driver_state(bed.driver).term, 3);
}

static void test_g7__node_alone_all_its_life__stays_in_its_term(void **state)
{
    (void)state;
    driver_bed_restart(&bed);
    assert_int_equal(raft_driver_state(bed.driver).term, 1);
}

#define VOTE_TEST(f) cmocka_unit_test_setup_teardown(f, alone, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VOTE_TEST(test_g6__learner_is_asked__votes),
        VOTE_TEST(test_g6__learner_hears_a_leader__does_not_vote_until_it_is_silent),
        VOTE_TEST(test_voter__hears_a_leader__keeps_its_vote_for_the_shortest_election_time),
        VOTE_TEST(test_voter__grants_a_pre_vote__still_knows_its_leader),
        VOTE_TEST(test_learner__leader_silent__is_not_named_any_more),
        VOTE_TEST(test_g7__only_voter_that_voted_for_another__begins_another_term),
        VOTE_TEST(test_g7__node_alone_all_its_life__stays_in_its_term),
    };
    return cmocka_run_group_tests_name("consensus.raft_vote", tests, NULL, NULL);
}
