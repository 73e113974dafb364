/* What updates bring for the disk. The numbers of the rules are those of the list in docs/adr/0002.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "driver_bed.h"

static struct driver_bed bed;

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

static void test_rule_5__appends_that_libraft_keeps_or_drops__leak_nothing(void **state)
{
    (void)state;
    driver_bed_append(&bed, 2, 1, 1, 0, 5, NULL);  /* kept */
    driver_bed_append(&bed, 2, 1, 1, 0, 5, NULL);  /* all there already */
    driver_bed_append(&bed, 2, 1, 1, 0, 9, NULL);  /* the end is new */
    driver_bed_append(&bed, 2, 50, 2, 0, 3, NULL); /* does not match */
    driver_bed_append(&bed, 1, 1, 1, 0, 3, NULL);  /* of an old term */
    driver_bed_pass(&bed, 2);
    assert_int_equal(raft_driver_state(bed.driver).stored_index, 10);
    /* The sanitizers judge the rest. */
}

static void test_rule_7__written_entries_that_were_replaced__are_not_reported(void **state)
{
    (void)state;
    raft_memory_faults(bed.disk)->delay_min_ms = 10;
    raft_memory_faults(bed.disk)->delay_max_ms = 10;
    driver_bed_append(&bed, 2, 1, 1, 0, 4, NULL); /* 2 to 5 */
    driver_bed_append(&bed, 3, 2, 2, 0, 1, NULL); /* 3 is another entry now */
    driver_bed_pass(&bed, 10);
    for (unsigned i = 0; i < bed.events_count; i++) {
        if (bed.events[i].type == RAFT_PERSISTED_ENTRIES) {
            assert_true(bed.events[i].index <= 3);
        }
    }
    assert_int_equal(raft_driver_state(bed.driver).stored_index, 3);
    assert_int_equal(raft_memory_last(bed.disk), 3);
}

static void test_rule_7__writes_that_end_during_an_install__are_not_reported(void **state)
{
    (void)state;
    raft_memory_faults(bed.disk)->delay_min_ms = 10;
    raft_memory_faults(bed.disk)->delay_max_ms = 10;
    driver_bed_append(&bed, 2, 1, 1, 0, 4, NULL);
    driver_bed_install(&bed, 2, 100, 2);
    driver_bed_pass(&bed, 10);
    assert_int_equal(driver_bed_stepped(&bed, RAFT_PERSISTED_ENTRIES), 0);
    assert_int_equal(raft_driver_state(bed.driver).stored_index, 100);
}

/* Entries or a snapshot that come with a newer term are ours, though nobody looks at them. */
static void test_rule_9__term_that_cannot_be_written__leaks_nothing_of_what_came(void **state)
{
    (void)state;
    for (int is_snapshot = 0; is_snapshot < 2; is_snapshot++) {
        struct driver_bed b;
        driver_bed_open(&b, 3);
        raft_memory_faults(b.disk)->stop_at_meta = 1;
        if (is_snapshot) {
            driver_bed_install(&b, 5, 10, 4);
        } else {
            driver_bed_append(&b, 5, 1, 1, 0, 3, NULL);
        }
        assert_int_equal(b.fatals, 1);
        assert_true(raft_memory_faults(b.disk)->is_stopped);
        driver_bed_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_rule_5__appends_that_libraft_keeps_or_drops__leak_nothing, three, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_7__written_entries_that_were_replaced__are_not_reported, three, teardown),
        cmocka_unit_test_setup_teardown(
            test_rule_7__writes_that_end_during_an_install__are_not_reported, three, teardown),
        cmocka_unit_test(test_rule_9__term_that_cannot_be_written__leaks_nothing_of_what_came),
    };
    return cmocka_run_group_tests_name("consensus.raft_update", tests, NULL, NULL);
}
