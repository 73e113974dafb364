#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver_bed.h"

static struct driver_bed bed;

static int leader(void **state)
{
    (void)state;
    driver_bed_open(&bed, 3);
    driver_bed_lead(&bed);
    driver_bed_ack(&bed, 2, 1);
    driver_bed_ack(&bed, 3, 1);
    driver_bed_pass(&bed, 1);
    (void)driver_bed_take(&bed);
    bed.sent_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_bed_close(&bed);
    return 0;
}

static void submit(void)
{
    uint64_t index = 0;
    uint64_t term = 0;
    assert_int_equal(
        raft_driver_submit(bed.driver, raft_block_wrap(SPAN("x")), &index, &term, NULL), 0);
}

static void test_append__new_entry__goes_to_both_followers_with_its_bytes(void **state)
{
    (void)state;
    submit();
    assert_int_equal(bed.sent_count, 2);
    assert_int_equal(bed.sent[0].n_entries, 1);
    assert_int_equal(bed.sent[1].n_entries, 1);
}

static void test_append__follower_that_is_silent__gets_heartbeats_only(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        driver_bed_pass(&bed, 100);
        driver_bed_ack(&bed, 2, 1);
    }
    bed.sent_count = 0;
    submit();
    driver_bed_pass(&bed, 100);
    for (unsigned i = 0; i < bed.sent_count; i++) {
        assert_true(bed.sent[i].to == 2 || bed.sent[i].n_entries == 0);
    }
    driver_bed_ack(&bed, 3, 1);
    bed.sent_count = 0;
    driver_bed_pass(&bed, 100);
    unsigned entries = 0;
    for (unsigned i = 0; i < bed.sent_count; i++) {
        entries += bed.sent[i].to == 3 ? bed.sent[i].n_entries : 0;
    }
    assert_true(entries > 0);
}

static void test_commit__follower_has_everything__is_told_at_once_and_once(void **state)
{
    (void)state;
    submit();
    driver_bed_pass(&bed, 1);
    uint64_t last = raft_driver_state(bed.driver).last_index;
    bed.sent_count = 0;
    driver_bed_ack(&bed, 2, last);
    assert_int_equal(bed.sent_count, 1);
    assert_int_equal(bed.sent[0].to, 2);
    assert_int_equal(bed.sent[0].n_entries, 0);
    assert_int_equal(bed.sent[0].prev_index, last);
    assert_int_equal(bed.sent[0].leader_commit, last);
    driver_bed_ack(&bed, 2, last);
    assert_int_equal(bed.sent_count, 1);
    driver_bed_ack(&bed, 3, last);
    assert_int_equal(bed.sent_count, 2);
}

/* Both followers fall silent at 1 while the log moves on and is cut behind them. */
static void test_snapshot__follower_behind_the_log__gets_the_one_that_was_read(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        submit();
    }
    driver_bed_pass(&bed, 1);
    driver_bed_ack(&bed, 2, 21);
    uint64_t last = driver_bed_take(&bed);
    assert_true(raft_driver_wants_snapshot(bed.driver));
    raft_driver_snapshot_begin(bed.driver);
    struct raft_buffer *bufs = raft_calloc(1, sizeof *bufs);
    bufs[0] = (struct raft_buffer){raft_calloc(1, 8), 8};
    raft_driver_snapshot_put(bed.driver, bufs, 1);
    driver_bed_pass(&bed, 1);
    /* Member 3 says that it has nothing of that. */
    for (unsigned i = 0; i < 30; i++) {
        driver_bed_pass(&bed, 100);
        driver_bed_ack(&bed, 2, last);
        struct raft_message m = {
            .type = RAFT_APPEND_ENTRIES_RESULT, .server_id = 3, .server_address = "three"};
        m.append_entries_result = (struct raft_append_entries_result){
            .version = 2,
            .term = raft_driver_state(bed.driver).term,
            .rejected = raft_driver_state(bed.driver).snapshot_index,
            .last_log_index = 1,
            .features = 1,
            .capacity = 60000};
        raft_driver_receive(bed.driver, &m);
    }
    driver_bed_pass(&bed, 1);
    assert_true(driver_bed_sent(&bed, RAFT_INSTALL_SNAPSHOT) > 0);
    for (unsigned i = 0; i < bed.sent_count; i++) {
        if (bed.sent[i].type == RAFT_INSTALL_SNAPSHOT) {
            assert_int_equal(bed.sent[i].to, 3);
            assert_int_equal(bed.sent[i].last_index, last);
            assert_true(bed.sent[i].last_term > 0);
        }
    }
    assert_int_equal(bed.fatals, 0);
}

static void test_g9__pre_vote_of_an_older_term__is_answered_with_the_newer(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = 3, .server_address = "three"};
    m.request_vote = (struct raft_request_vote){2, 9, 3, 1, 1, false, false};
    driver_bed_pass(&bed, 3000); /* it leads no more, and knows no leader */
    raft_driver_receive(bed.driver, &m);
    uint64_t term = raft_driver_state(bed.driver).term;
    assert_true(term >= 9);
    m.request_vote = (struct raft_request_vote){2, 5, 3, 50, 4, false, true};
    bed.sent_count = 0;
    raft_driver_receive(bed.driver, &m);
    assert_int_equal(bed.sent[0].type, RAFT_REQUEST_VOTE_RESULT);
    assert_false(bed.sent[0].is_granted);
    assert_int_equal(bed.sent[0].term, term);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_g9__pre_vote_of_an_older_term__is_answered_with_the_newer, leader, teardown),
        cmocka_unit_test_setup_teardown(test_append__follower_that_is_silent__gets_heartbeats_only,
                                        leader, teardown),
        cmocka_unit_test_setup_teardown(
            test_append__new_entry__goes_to_both_followers_with_its_bytes, leader, teardown),
        cmocka_unit_test_setup_teardown(
            test_commit__follower_has_everything__is_told_at_once_and_once, leader, teardown),
        cmocka_unit_test_setup_teardown(
            test_snapshot__follower_behind_the_log__gets_the_one_that_was_read, leader, teardown),
    };
    return cmocka_run_group_tests_name("consensus.raft_send", tests, NULL, NULL);
}
