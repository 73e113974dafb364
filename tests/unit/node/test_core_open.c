/* Log and tables that do not belong together end the start. */
#include "disk_rig.h"

#include "node/core_state.h"

#define SNAPSHOT_ENTRIES 64

/* Publishes until the log was cut. */
static void cut_log(struct disk *d)
{
    struct disk_sight s = {0};
    for (unsigned i = 0; i < 5000 && s.log.snapshot_index == 0; i++) {
        assert_int_equal(disk_publish(d, "a", i % 2 ? "x" : "y"), 0);
        disk_register(d, 1 + i % 3);
        s = disk_look(d);
    }
    assert_true(s.log.snapshot_index > 0);
}

static void test_start__tables_older_than_the_snapshot__one_sentence(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char path[128];
    disk_init(&d);
    d.snapshot_entries = SNAPSHOT_ENTRIES;
    assert_int_equal(disk_start(&d, &fail), 0);
    cut_log(&d);
    disk_stop(&d);
    assert_int_equal(unlink(disk_path(&d, TABLES_FILE, path)), 0);
    assert_int_not_equal(disk_start(&d, &fail), 0);
    assert_non_null(strstr(fail.text, "stands at entry 0"));
    assert_non_null(strstr(fail.text, "was removed"));
    disk_close(&d);
}

static void test_start__log_removed__one_sentence(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char path[128];
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(disk_publish(&d, "a", "x"), 0);
    }
    /* The tables have it: so they are ahead of an empty log. */
    assert_int_equal(
        table_writer_wait_durable(core_tables(d.core), d.core->entry_index, 10000, &fail), 0);
    disk_stop(&d);
    disk_remove(disk_path(&d, "log", path));
    (void)unlink(disk_path(&d, "log.mark", path));
    assert_int_equal(disk_start(&d, &fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, "the log was removed"));
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start__tables_older_than_the_snapshot__one_sentence),
        cmocka_unit_test(test_start__log_removed__one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
