/* What the log gives back: after a restart, from a snapshot. */
#include "disk_rig.h"

#include <unistd.h>

#include "node/core_state.h"
#include "node/tables.h"

#define SNAPSHOT_ENTRIES 64

static void test_restart__everything_acknowledged_is_there(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    for (unsigned life = 1; life <= 3; life++) {
        assert_int_equal(disk_start(&d, &fail), 0);
        char id[16];
        snprintf(id, sizeof(id), "d%u", life);
        assert_int_equal(disk_publish(&d, id, "content"), 0);
        disk_register(&d, life);
        struct disk_sight s = disk_look(&d);
        assert_int_equal(s.configs, life);
        assert_int_equal(s.instances, life);
        disk_stop(&d);
    }
    disk_close(&d);
}

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

static void test_snapshot__the_log_is_cut_and_nothing_is_missing(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    d.snapshot_entries = SNAPSHOT_ENTRIES;
    assert_int_equal(disk_start(&d, &fail), 0);
    cut_log(&d);
    assert_int_equal(disk_publish(&d, "last", "z"), 0);
    disk_stop(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    struct disk_sight s = disk_look(&d);
    assert_int_equal(s.configs, 2);
    assert_int_equal(s.instances, 3);
    assert_true(s.log.snapshot_index > 0);
    disk_close(&d);
}

static void test_reject__of_a_call_that_waits__answers_it(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    char *large = mem_zalloc(1, (CONFIG_CONTENT_BYTES_MAX) + 2);
    memset(large, 'x', (CONFIG_CONTENT_BYTES_MAX) + 1);
    assert_int_equal(disk_publish(&d, "a", large), E_INVALID);
    large[CONFIG_CONTENT_BYTES_MAX] = '\0';
    assert_int_equal(disk_publish(&d, "a", large), 0);
    mem_free(large);
    disk_close(&d);
}

/* As a node is that another one's snapshot came to, with the tables that belong to it: its own are
 * older than the log begins. */
static void test_snapshot__of_another_node__its_tables_are_taken_over(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    char tables[128];
    char incoming[128];
    disk_init(&d);
    d.snapshot_entries = SNAPSHOT_ENTRIES;
    assert_int_equal(disk_start(&d, &fail), 0);
    cut_log(&d);
    assert_int_equal(disk_publish(&d, "last", "z"), 0);
    disk_stop(&d);
    snprintf(tables, sizeof(tables), "%s/" TABLES_FILE, d.dir);
    snprintf(incoming, sizeof(incoming), "%s/" TABLES_INCOMING, d.dir);
    assert_int_equal(rename(tables, incoming), 0);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(disk_look(&d).configs, 2);
    assert_int_not_equal(access(incoming, F_OK), 0);
    disk_stop(&d);
    /* Without them it says what is missing; damaged ones are not taken. */
    assert_int_equal(unlink(tables), 0);
    assert_int_not_equal(disk_start(&d, &fail), 0);
    assert_non_null(strstr(fail_text(&fail), "the log begins after"));
    FILE *f = fopen(incoming, "we");
    assert_non_null(f);
    assert_true(fputs("no tables", f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_not_equal(disk_start(&d, &fail), 0);
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart__everything_acknowledged_is_there),
        cmocka_unit_test(test_snapshot__the_log_is_cut_and_nothing_is_missing),
        cmocka_unit_test(test_snapshot__of_another_node__its_tables_are_taken_over),
        cmocka_unit_test(test_reject__of_a_call_that_waits__answers_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
