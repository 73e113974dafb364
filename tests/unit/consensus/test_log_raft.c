#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"
#include "log_bed.h"

static struct log_bed bed;

static int setup(void **state)
{
    (void)state;
    bed = (struct log_bed){0};
    log_bed_init(&bed);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_bed_close(&bed);
    return 0;
}

static void open_ok(void)
{
    struct fail fail = {0};
    int err = log_bed_open(&bed, &fail);
    if (err) {
        print_error("%s\n", fail_text(&fail));
    }
    assert_int_equal(err, 0);
}

static bool is_ready(const struct log_bed *b)
{
    return consensus_state(b->log).is_ready;
}

static void test_create__empty_directory__leads_at_once(void **state)
{
    (void)state;
    open_ok();
    assert_true(log_bed_until(&bed, is_ready));
    struct consensus_state s = consensus_state(bed.log);
    assert_int_equal(s.role, CONSENSUS_LEADER);
    assert_int_equal(s.last_index, 1);
    assert_false(s.is_full);
}

static void test_propose__what_waits__is_one_entry_and_each_cookie_comes_back_once(void **state)
{
    (void)state;
    open_ok();
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(log_bed_propose(&bed, i, 8 + i, NULL), 0);
    }
    assert_int_equal(bed.acked, 0);
    assert_true(log_bed_answered(&bed, 100));
    assert_int_equal(bed.acked, 100);
    assert_int_equal(bed.count, 100);
    assert_int_equal(bed.values[99], 99);
    assert_int_equal(consensus_state(bed.log).last_index, 2);
}

static void test_restart__everything_acknowledged__is_handed_out_again_in_order(void **state)
{
    (void)state;
    open_ok();
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(log_bed_propose(&bed, 7000 + i, 300, NULL), 0);
        assert_true(log_bed_answered(&bed, i + 1));
    }
    for (unsigned round = 0; round < 3; round++) {
        log_bed_shut(&bed);
        open_ok();
        assert_int_equal(bed.count, 0);
        assert_true(log_bed_until(&bed, is_ready));
        assert_int_equal(bed.count, 50);
        assert_int_equal(bed.values[49], 7049);
        assert_int_equal(bed.acked, 50); /* cookies are of one life */
    }
}

static bool has_snapshot(const struct log_bed *b)
{
    return consensus_state(b->log).snapshot_index > 0;
}

static void test_snapshot__after_the_set_number_of_entries__is_taken_and_loaded(void **state)
{
    (void)state;
    bed.options.snapshot_entries = 20;
    bed.options.trailing_entries = 5;
    open_ok();
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(log_bed_propose(&bed, i, 100, NULL), 0);
        assert_true(log_bed_answered(&bed, i + 1));
    }
    assert_true(log_bed_until(&bed, has_snapshot));
    log_bed_shut(&bed);
    open_ok();
    assert_int_equal(bed.loads, 1);
    assert_true(bed.count > 0); /* before the first turn */
    assert_true(log_bed_until(&bed, is_ready));
    assert_int_equal(bed.count, 30);
    assert_int_equal(bed.values[29], 29);
}

static void test_snapshot__after_the_set_number_of_bytes__is_taken(void **state)
{
    (void)state;
    bed.options.snapshot_bytes = 10000;
    open_ok();
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(log_bed_propose(&bed, i, 5000, NULL), 0);
        assert_true(log_bed_answered(&bed, i + 1));
    }
    assert_true(log_bed_until(&bed, has_snapshot));
}

static void test_snapshot__owner_refuses_or_fails__log_goes_on(void **state)
{
    (void)state;
    bed.options.snapshot_entries = 2;
    bed.is_snapshot_refused = true;
    open_ok();
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(log_bed_propose(&bed, i, 8, NULL), 0);
        assert_true(log_bed_answered(&bed, i + 1));
    }
    assert_int_equal(bed.snapshots, 0);
    bed.is_snapshot_refused = false;
    bed.is_snapshot_failing = true;
    log_bed_shut(&bed);
    open_ok();
    assert_int_equal(log_bed_propose(&bed, 5, 8, NULL), 0);
    assert_true(log_bed_answered(&bed, 6));
    log_bed_shut(&bed); /* also while one is being written */
    assert_int_equal(bed.fatals, 0);
    assert_int_equal(bed.loads, 0);
}

static void test_propose__largest_operation__survives_a_restart(void **state)
{
    (void)state;
    open_ok();
    assert_int_equal(log_bed_propose(&bed, 1, CONSENSUS_OP_BYTES_MAX, NULL), 0);
    assert_int_equal(log_bed_propose(&bed, 2, 8, NULL), 0);
    assert_int_equal(log_bed_propose(&bed, 3, CONSENSUS_OP_BYTES_MAX, NULL), 0);
    assert_true(log_bed_answered(&bed, 3));
    assert_int_equal(bed.acked, 3);
    log_bed_shut(&bed);
    open_ok();
    assert_true(log_bed_until(&bed, is_ready));
    assert_int_equal(bed.count, 3);
    assert_int_equal(bed.values[2], 3);
}

static void test_propose__over_a_limit__is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    open_ok();
    assert_int_equal(log_bed_propose(&bed, 1, CONSENSUS_OP_BYTES_MAX + 1, &fail), E_TOO_LARGE);
    unsigned n = 0;
    while (log_bed_propose(&bed, n, CONSENSUS_OP_BYTES_MAX, &fail) == 0) {
        n++;
    }
    assert_int_equal(n, CONSENSUS_PENDING_BYTES_MAX / CONSENSUS_OP_BYTES_MAX);
    assert_int_equal(fail.code, E_LIMIT);
    assert_true(log_bed_answered(&bed, n));
    assert_int_equal(log_bed_propose(&bed, 1, 8, &fail), 0);
}

static void test_recovering__another_id__keeps_all_entries(void **state)
{
    (void)state;
    open_ok();
    assert_int_equal(log_bed_propose(&bed, 42, 8, NULL), 0);
    assert_true(log_bed_answered(&bed, 1));
    log_bed_shut(&bed);
    bed.options.id = 77;
    open_ok();
    (void)consensus_turn(bed.log, clock_now());
    assert_int_equal(consensus_state(bed.log).role, CONSENSUS_FOLLOWER);
    assert_int_equal(log_bed_propose(&bed, 1, 8, NULL), E_NOT_LEADER);
    log_bed_shut(&bed);
    bed.options.is_recovering = true;
    open_ok();
    assert_true(log_bed_until(&bed, is_ready));
    assert_int_equal(bed.count, 1);
    assert_int_equal(bed.values[0], 42);
}

static void
test_destroy__with_writes_under_way__closes_and_keeps_what_was_acknowledged(void **state)
{
    (void)state;
    open_ok();
    assert_int_equal(log_bed_propose(&bed, 1, 8, NULL), 0);
    assert_true(log_bed_answered(&bed, 1));
    assert_int_equal(log_bed_propose(&bed, 2, 8, NULL), 0);
    (void)consensus_turn(bed.log, clock_now());
    assert_int_equal(log_bed_propose(&bed, 3, 8, NULL), 0);
    log_bed_shut(&bed);
    open_ok();
    assert_true(log_bed_until(&bed, is_ready));
    assert_true(bed.count >= 1 && bed.count <= 2);
    assert_int_equal(bed.values[0], 1);
}

static void test_create__no_directory__says_so(void **state)
{
    (void)state;
    struct fail fail = {0};
    char real[sizeof bed.dir];
    (void)snprintf(real, sizeof real, "%s", bed.dir);
    (void)snprintf(bed.dir, sizeof bed.dir, "%.100s/missing", real);
    assert_int_equal(log_bed_open(&bed, &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "missing"));
    (void)snprintf(bed.dir, sizeof bed.dir, "%s", real);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create__empty_directory__leads_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_propose__what_waits__is_one_entry_and_each_cookie_comes_back_once, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            test_restart__everything_acknowledged__is_handed_out_again_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_snapshot__after_the_set_number_of_entries__is_taken_and_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot__after_the_set_number_of_bytes__is_taken,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot__owner_refuses_or_fails__log_goes_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_propose__largest_operation__survives_a_restart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_propose__over_a_limit__is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovering__another_id__keeps_all_entries, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_destroy__with_writes_under_way__closes_and_keeps_what_was_acknowledged, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_create__no_directory__says_so, setup, teardown),
    };
    return cmocka_run_group_tests_name("consensus.log_raft", tests, NULL, NULL);
}
