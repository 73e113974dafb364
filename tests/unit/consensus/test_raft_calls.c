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

static int submit(const char *text)
{
    uint64_t index = 0;
    uint64_t term = 0;
    return raft_driver_submit(bed.driver, raft_block_wrap(span_str(text)), &index, &term, NULL);
}

static void commit(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(submit("entry"), 0);
    }
    driver_bed_pass(&bed, 1);
    (void)driver_bed_take(&bed);
}

static void put_snapshot(void)
{
    struct raft_buffer *bufs = raft_calloc(1, sizeof *bufs);
    bufs[0] = (struct raft_buffer){raft_calloc(1, 8), 8};
    raft_driver_snapshot_begin(bed.driver);
    raft_driver_snapshot_put(bed.driver, bufs, 1);
    driver_bed_pass(&bed, 1);
}

static void test_submit__follower__is_refused(void **state)
{
    (void)state;
    assert_int_equal(submit("a"), E_NOT_LEADER);
}

static void test_submit__disks_of_a_majority_full__is_refused_and_accepted_again(void **state)
{
    (void)state;
    raft_memory_faults(bed.disk)->is_full = true;
    assert_int_equal(submit("a"), E_LIMIT);
    raft_memory_faults(bed.disk)->is_full = false;
    assert_int_equal(submit("b"), 0);
    driver_bed_pass(&bed, 1);
    assert_int_equal(driver_bed_take(&bed), 2);
}

static void test_g5__leader_elected_with_a_full_disk__still_writes_its_no_op(void **state)
{
    (void)state;
    driver_bed_append(&bed, 2, 1, 1, 0, 3, NULL); /* something not committed */
    driver_bed_pass(&bed, 1);
    raft_memory_faults(bed.disk)->is_full = true;
    driver_bed_lead(&bed);
    assert_int_equal(bed.fatals, 0);
    assert_int_equal(raft_driver_state(bed.driver).last_index, 5);
}

static void test_submit__too_many_not_committed__is_refused(void **state)
{
    (void)state;
    raft_memory_faults(bed.disk)->delay_min_ms = 1000;
    raft_memory_faults(bed.disk)->delay_max_ms = 1000;
    unsigned n = 0;
    while (submit("a") == 0) {
        n++;
    }
    assert_int_equal(n, RAFT_DRIVER_INFLIGHT_MAX / 2);
}

static void test_next__one_by_one__counts_as_applied_and_a_broken_one_is_named(void **state)
{
    (void)state;
    struct raft_item item = {0};
    uint64_t index = 0;
    uint64_t term = 0;
    uint64_t raw[2] = {99, 0};
    assert_int_equal(submit("hello"), 0);
    assert_int_equal(
        raft_driver_submit(bed.driver, raft_block_copy(raw, sizeof raw), &index, &term, NULL), 0);
    driver_bed_pass(&bed, 1);
    assert_true(raft_driver_next(bed.driver, &item));
    assert_int_equal(item.kind, RAFT_ITEM_OTHER);
    assert_true(raft_driver_next(bed.driver, &item));
    assert_int_equal(item.kind, RAFT_ITEM_COMMAND);
    assert_true(span_eq(item.bytes, SPAN("hello")));
    assert_int_equal(raft_driver_state(bed.driver).applied_index, 2);
    assert_true(raft_driver_next(bed.driver, &item));
    assert_int_equal(item.kind, RAFT_ITEM_BROKEN);
    assert_int_equal(item.index, index);
    assert_false(raft_driver_next(bed.driver, &item));
}

static void test_snapshot__while_something_is_not_applied__is_not_wanted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(submit("a"), 0);
    }
    driver_bed_pass(&bed, 1);
    assert_false(raft_driver_wants_snapshot(bed.driver));
    (void)driver_bed_take(&bed);
    assert_true(raft_driver_wants_snapshot(bed.driver));
    put_snapshot();
    assert_false(raft_driver_wants_snapshot(bed.driver));
    assert_int_equal(raft_driver_state(bed.driver).snapshot_index, 21);
    driver_bed_restart(&bed);
    struct raft_item item = {0};
    assert_true(raft_driver_next(bed.driver, &item));
    assert_int_equal(item.kind, RAFT_ITEM_RESTORE);
    assert_int_equal(item.index, 21);
}

static void test_snapshot__entries_that_follow_while_it_is_built__stay(void **state)
{
    (void)state;
    commit(15);
    raft_driver_snapshot_begin(bed.driver);
    commit(5);
    struct raft_buffer *bufs = raft_calloc(1, sizeof *bufs);
    bufs[0] = (struct raft_buffer){raft_calloc(1, 8), 8};
    raft_driver_snapshot_put(bed.driver, bufs, 1);
    driver_bed_pass(&bed, 1);
    assert_int_equal(raft_driver_state(bed.driver).snapshot_index, 16);
    assert_int_equal(raft_driver_state(bed.driver).last_index, 21);
    driver_bed_restart(&bed);
    assert_int_equal(driver_bed_take(&bed), 21);
}

static void test_change__before_bytes_are_kept__is_refused_and_then_not(void **state)
{
    (void)state;
    struct fail fail = {0};
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    assert_int_equal(raft_configuration_add(&conf, 1, "one", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&conf, 2, "two", RAFT_SPARE), 0);
    commit(3);
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "snapshot"));
    raft_driver_keep(bed.driver);
    commit(1);
    assert_true(raft_driver_wants_snapshot(bed.driver));
    put_snapshot();
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), 0);
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), E_CONFLICT);
    driver_bed_pass(&bed, 1);
    assert_int_equal(raft_driver_members(bed.driver)->n, 2);
    raft_configuration_close(&conf);
}

static void test_rule_8__voter_that_lacks_the_last_change__blocks_the_next(void **state)
{
    (void)state;
    struct fail fail = {0};
    driver_bed_lead(&bed);
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    static const char *const names[] = {"one", "two", "three", "four"};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            raft_configuration_add(&conf, i + 1, names[i], i < 3 ? RAFT_VOTER : RAFT_SPARE), 0);
    }
    /* Nothing of its own term is committed yet. */
    driver_bed_ack(&bed, 2, 1);
    driver_bed_ack(&bed, 3, 1);
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "begun to lead"));
    raft_driver_settle(bed.driver);
    raft_driver_settle(bed.driver);
    assert_int_equal(raft_driver_state(bed.driver).last_index, 2);
    driver_bed_pass(&bed, 1);
    driver_bed_ack(&bed, 2, 2);
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), 0);
    uint64_t last = raft_driver_state(bed.driver).last_index;
    driver_bed_pass(&bed, 1);
    driver_bed_ack(&bed, 2, last);
    assert_int_equal(raft_driver_state(bed.driver).commit_index, last);
    conf.servers[3].role = RAFT_STANDBY;
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), E_CONFLICT);
    assert_non_null(strstr(fail_text(&fail), "three"));
    driver_bed_ack(&bed, 3, last);
    assert_int_equal(raft_driver_change(bed.driver, &conf, &fail), 0);
    raft_configuration_close(&conf);
}

/* A dead voter could not be replaced else. */
static void test_rule_8__voter_that_leaves_or_is_long_gone__does_not_block(void **state)
{
    (void)state;
    driver_bed_lead(&bed);
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    static const char *const names[] = {"one", "two", "three", "four"};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            raft_configuration_add(&conf, i + 1, names[i], i < 3 ? RAFT_VOTER : RAFT_SPARE), 0);
    }
    raft_driver_settle(bed.driver);
    for (unsigned i = 0; i < RAFT_DRIVER_GONE_MS / 100; i++) {
        driver_bed_pass(&bed, 100);
        driver_bed_ack(&bed, 2, raft_driver_state(bed.driver).last_index);
    }
    assert_int_equal(raft_driver_change(bed.driver, &conf, NULL), 0);
    uint64_t last = raft_driver_state(bed.driver).last_index;
    driver_bed_pass(&bed, 1);
    driver_bed_ack(&bed, 2, last);
    raft_configuration_close(&conf);
    raft_configuration_init(&conf);
    assert_int_equal(raft_configuration_add(&conf, 1, "one", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&conf, 2, "two", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&conf, 4, "four", RAFT_SPARE), 0);
    assert_int_equal(raft_driver_change(bed.driver, &conf, NULL), 0);
    assert_true(raft_driver_is_changing(bed.driver));
    raft_configuration_close(&conf);
}

static void test_transfer__not_leader_or_no_voter__is_refused(void **state)
{
    (void)state;
    assert_int_equal(raft_driver_transfer(bed.driver, 2, NULL), E_NOT_LEADER);
    driver_bed_lead(&bed);
    assert_int_equal(raft_driver_transfer(bed.driver, 9, NULL), E_INVALID);
    assert_int_equal(raft_driver_transfer(bed.driver, 2, NULL), 0);
    assert_int_equal(submit("a"), E_NOT_LEADER); /* while it is handed over */
}

static void test_restart__nobody_leads__what_was_known_is_handed_out_and_no_more(void **state)
{
    (void)state;
    assert_false(raft_driver_state(bed.driver).is_replayed); /* there was nothing before */
    driver_bed_append(&bed, 2, 1, 1, 5, 8, NULL);            /* 2 to 9, committed up to 5 */
    driver_bed_pass(&bed, 1);
    assert_int_equal(driver_bed_take(&bed), 5);
    driver_bed_restart(&bed);
    assert_false(raft_driver_state(bed.driver).is_replayed);
    assert_int_equal(driver_bed_take(&bed), 5);
    struct raft_driver_state s = raft_driver_state(bed.driver);
    assert_true(s.is_replayed);
    assert_false(s.is_ready);
    assert_int_equal(s.commit_index, 5);
    assert_false(raft_driver_wants_snapshot(bed.driver)); /* libraft does not know of it */
    driver_bed_append(&bed, 2, 3, 2, 3, 0, NULL); /* who leads now knows less for a moment */
    assert_int_equal(driver_bed_take(&bed), 0);
    driver_bed_append(&bed, 2, 9, 2, 9, 0, NULL);
    driver_bed_pass(&bed, 1);
    assert_int_equal(driver_bed_take(&bed), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_submit__follower__is_refused, three, teardown),
        cmocka_unit_test_setup_teardown(
            test_submit__disks_of_a_majority_full__is_refused_and_accepted_again, alone, teardown),
        cmocka_unit_test_setup_teardown(
            test_g5__leader_elected_with_a_full_disk__still_writes_its_no_op, three, teardown),
        cmocka_unit_test_setup_teardown(test_submit__too_many_not_committed__is_refused, alone,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_next__one_by_one__counts_as_applied_and_a_broken_one_is_named, alone, teardown),
        cmocka_unit_test_setup_teardown(
            test_snapshot__while_something_is_not_applied__is_not_wanted, alone, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot__entries_that_follow_while_it_is_built__stay,
                                        alone, teardown),
        cmocka_unit_test_setup_teardown(test_change__before_bytes_are_kept__is_refused_and_then_not,
                                        alone, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_8__voter_that_lacks_the_last_change__blocks_the_next, three, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_8__voter_that_leaves_or_is_long_gone__does_not_block, three, teardown),
        cmocka_unit_test_setup_teardown(test_transfer__not_leader_or_no_voter__is_refused, three,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_restart__nobody_leads__what_was_known_is_handed_out_and_no_more, three, teardown),
    };
    return cmocka_run_group_tests_name("consensus.raft_calls", tests, NULL, NULL);
}
