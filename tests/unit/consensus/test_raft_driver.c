/* The rules of the driver, one test each; the numbers are those of the list in docs/adr/0002. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "driver_bed.h"

static struct driver_bed bed;

static int alone(void **state)
{
    (void)state;
    driver_bed_open(&bed, 1);
    return 0;
}

static int three(void **state)
{
    (void)state;
    driver_bed_open(&bed, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    driver_bed_close(&bed);
    return 0;
}

static void submit(const char *text, int expected)
{
    uint64_t index = 0;
    uint64_t term = 0;
    assert_int_equal(
        raft_driver_submit(bed.driver, raft_block_wrap(span_str(text)), &index, &term, NULL),
        expected);
}

static void test_alone__submit__is_committed_when_the_disk_has_it_and_not_before(void **state)
{
    (void)state;
    raft_memory_faults(bed.disk)->delay_min_ms = 5;
    raft_memory_faults(bed.disk)->delay_max_ms = 5;
    assert_int_equal(raft_driver_state(bed.driver).role, RAFT_LEADER);
    (void)driver_bed_take(&bed);
    submit("a", 0);
    driver_bed_pass(&bed, 4);
    assert_int_equal(driver_bed_take(&bed), 0);
    driver_bed_pass(&bed, 1);
    assert_int_equal(driver_bed_take(&bed), 2);
    assert_int_equal(raft_memory_mark(bed.disk), 2);
}

static void test_rule_1__term_and_vote__are_stored_before_the_vote_is_sent(void **state)
{
    (void)state;
    struct raft_message m = {.type = RAFT_REQUEST_VOTE, .server_id = 2, .server_address = "two"};
    m.request_vote = (struct raft_request_vote){
        .version = 2, .term = 9, .candidate_id = 2, .last_log_index = 1, .last_log_term = 1};
    raft_driver_receive(bed.driver, &m);
    assert_int_equal(driver_bed_sent(&bed, RAFT_REQUEST_VOTE_RESULT), 1);
    assert_true(bed.sent[0].is_granted);
    driver_bed_restart(&bed); /* at once: it must have been durable */
    assert_int_equal(raft_driver_state(bed.driver).term, 9);
    bed.sent_count = 0;
    m.server_id = 3;
    m.server_address = "three";
    m.request_vote.candidate_id = 3;
    raft_driver_receive(bed.driver, &m);
    assert_int_equal(bed.sent_count, 1);
    assert_false(bed.sent[0].is_granted); /* one vote a term */
}

static void test_rule_1__configuration_event_of_a_commit__is_queued_behind_it(void **state)
{
    (void)state;
    static const enum raft_entry_type types[] = {RAFT_CHANGE, RAFT_COMMAND};
    driver_bed_append(&bed, 2, 1, 1, 3, 2, types);
    driver_bed_pass(&bed, 1);
    assert_int_equal(bed.events[0].type, RAFT_START);
    assert_int_equal(driver_bed_stepped(&bed, RAFT_CONFIGURATION), 2); /* of entry 1, and of 2 */
    assert_int_equal(raft_driver_members(bed.driver)->n, 2);
}

static void test_rule_6_g2__append_that_ends_before_the_commit__does_not_take_it_back(void **state)
{
    (void)state;
    driver_bed_append(&bed, 2, 1, 1, 0, 8, NULL);
    driver_bed_pass(&bed, 1);
    driver_bed_append(&bed, 2, 9, 2, 5, 0, NULL);
    assert_int_equal(raft_driver_state(bed.driver).commit_index, 5);
    driver_bed_append(&bed, 2, 3, 2, 9, 0, NULL); /* late, and covers 3 only */
    assert_int_equal(raft_driver_state(bed.driver).commit_index, 5);
    assert_int_equal(bed.events[bed.events_count - 1].leader_commit, 5);
}

static void
test_rule_6_g3__configuration_inside_a_message__is_stepped_first_of_its_own(void **state)
{
    (void)state;
    static const enum raft_entry_type types[] = {RAFT_COMMAND, RAFT_COMMAND, RAFT_CHANGE,
                                                 RAFT_COMMAND};
    driver_bed_append(&bed, 2, 1, 1, 0, 4, types);
    assert_int_equal(bed.events_count, 4); /* start, configuration 1, two parts */
    assert_int_equal(bed.events[2].n_entries, 2);
    assert_int_equal(bed.events[2].first_type, RAFT_COMMAND);
    assert_int_equal(bed.events[3].n_entries, 2);
    assert_int_equal(bed.events[3].first_type, RAFT_CHANGE);
    assert_int_equal(bed.events[3].prev_index, 3);
    driver_bed_pass(&bed, 1);
    assert_int_equal(raft_driver_state(bed.driver).last_index, 5);
}

static void test_rule_6__snapshot_arrives_while_one_is_taken_or_installed__is_dropped(void **state)
{
    (void)state;
    driver_bed_append(&bed, 2, 1, 1, 12, 11, NULL);
    driver_bed_pass(&bed, 1);
    assert_int_equal(driver_bed_take(&bed), 12);
    assert_true(raft_driver_wants_snapshot(bed.driver));
    raft_driver_snapshot_begin(bed.driver);
    unsigned before = bed.events_count;
    driver_bed_install(&bed, 2, 100, 2);
    assert_int_equal(bed.events_count, before);
    raft_driver_snapshot_abort(bed.driver);
    driver_bed_install(&bed, 2, 100, 2);
    assert_int_equal(bed.events_count, before + 1);
    driver_bed_install(&bed, 2, 200, 2); /* the first is being written */
    assert_int_equal(bed.events_count, before + 1);
    driver_bed_pass(&bed, 1);
    struct raft_item item = {0};
    assert_true(raft_driver_next(bed.driver, &item));
    assert_int_equal(item.kind, RAFT_ITEM_RESTORE);
    assert_int_equal(item.index, 100);
    assert_int_equal(raft_driver_state(bed.driver).commit_index, 100);
}

static void test_rule_9__failing_disk__is_fatal_once_and_ends_everything(void **state)
{
    (void)state;
    raft_memory_faults(bed.disk)->fail_after = 2; /* after the truncation before it */
    submit("a", 0);
    driver_bed_pass(&bed, 3);
    assert_int_equal(bed.fatals, 1);
    assert_non_null(strstr(fail_text(&bed.why), "writing entries"));
    submit("b", E_NOT_LEADER);
    assert_true(raft_driver_state(bed.driver).is_dead);
    struct raft_item item = {0};
    assert_false(raft_driver_next(bed.driver, &item));
    driver_bed_pass(&bed, 3000);
    assert_int_equal(bed.fatals, 1);
}

static void test_rule_10__candidate__asks_in_pre_vote_and_keeps_its_term(void **state)
{
    (void)state;
    driver_bed_pass(&bed, 2100);
    assert_int_equal(driver_bed_sent(&bed, RAFT_REQUEST_VOTE) % 2, 0);
    assert_true(driver_bed_sent(&bed, RAFT_REQUEST_VOTE) > 0);
    assert_int_equal(raft_driver_state(bed.driver).term, 1);
}

static void test_create__loaded_log_that_contradicts_itself__is_refused(void **state)
{
    (void)state;
    struct raft_driver *d = NULL;
    struct fail fail = {0};
    struct raft_loaded loaded = {.term = 1, .start_index = 5}; /* no snapshot before it */
    assert_int_equal(raft_driver_create(&bed.options, &loaded, &d, &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "contradicts"));
    loaded = (struct raft_loaded){.start_index = 1, .n = 1};
    loaded.entries = raft_calloc(1, sizeof *loaded.entries); /* an entry in term 0 */
    loaded.entries[0] = (struct raft_entry){.term = 1, .type = RAFT_COMMAND};
    assert_int_equal(raft_driver_create(&bed.options, &loaded, &d, &fail), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_alone__submit__is_committed_when_the_disk_has_it_and_not_before, alone, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_1__term_and_vote__are_stored_before_the_vote_is_sent, three, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_1__configuration_event_of_a_commit__is_queued_behind_it, three, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_6_g2__append_that_ends_before_the_commit__does_not_take_it_back, three,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_6_g3__configuration_inside_a_message__is_stepped_first_of_its_own, three,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_6__snapshot_arrives_while_one_is_taken_or_installed__is_dropped, three,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_9__failing_disk__is_fatal_once_and_ends_everything, alone, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_10__candidate__asks_in_pre_vote_and_keeps_its_term, three, teardown),
        cmocka_unit_test_setup_teardown(test_create__loaded_log_that_contradicts_itself__is_refused,
                                        three, teardown),
    };
    return cmocka_run_group_tests_name("consensus.raft_driver", tests, NULL, NULL);
}
