#include "consensus/raft_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_settings__zeros__become_the_defaults(void **state)
{
    (void)state;
    struct consensus_raft_options none = {0};
    struct consensus_raft_options o = raft_settings(&none);
    assert_int_equal(o.id, 1);
    assert_string_equal(o.address, "local");
    assert_int_equal(o.segment_bytes, RAFT_DISK_SEGMENT_BYTES);
    struct raft_driver_options driver = raft_settings_driver(&o);
    assert_int_equal(driver.election_ms, CONSENSUS_ELECTION_MS);
    assert_int_equal(driver.heartbeat_ms, CONSENSUS_HEARTBEAT_MS);
    assert_int_equal(driver.snapshot_entries, CONSENSUS_SNAPSHOT_ENTRIES);
    assert_int_equal(driver.snapshot_bytes, CONSENSUS_SNAPSHOT_BYTES);
    assert_int_equal(driver.trailing, CONSENSUS_TRAILING_ENTRIES);
    assert_int_equal(driver.capacity_kib_min, 1024);
}

static void test_settings__what_is_given__stays(void **state)
{
    (void)state;
    struct consensus_raft_options given = {.id = 7,
                                           .address = "a",
                                           .election_ms = 1,
                                           .heartbeat_ms = 2,
                                           .snapshot_entries = 3,
                                           .snapshot_bytes = 4,
                                           .trailing_entries = 5,
                                           .segment_bytes = 65536,
                                           .seed = 6};
    struct consensus_raft_options o = raft_settings(&given);
    struct raft_driver_options driver = raft_settings_driver(&o);
    assert_int_equal(driver.id, 7);
    assert_int_equal(driver.election_ms, 1);
    assert_int_equal(driver.heartbeat_ms, 2);
    assert_int_equal(driver.snapshot_entries, 3);
    assert_int_equal(driver.snapshot_bytes, 4);
    assert_int_equal(driver.trailing, 5);
    assert_int_equal(driver.seed, 6);
    assert_int_equal(driver.capacity_kib_min, 8);
}

static void test_disk__who_begins_a_cluster(void **state)
{
    (void)state;
    struct raft_configuration first = {0};
    struct consensus_raft_options o = raft_settings(&(struct consensus_raft_options){.dir = "d"});
    assert_true(raft_settings_disk(&o, &first).is_first_voter);
    assert_null(raft_settings_disk(&o, &first).first);
    o.is_joining = true;
    assert_false(raft_settings_disk(&o, &first).is_first_voter);
    raft_configuration_init(&first);
    assert_int_equal(raft_configuration_add(&first, 1, "a", RAFT_VOTER), 0);
    assert_ptr_equal(raft_settings_disk(&o, &first).first, &first);
    raft_configuration_close(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings__zeros__become_the_defaults),
        cmocka_unit_test(test_settings__what_is_given__stays),
        cmocka_unit_test(test_disk__who_begins_a_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
