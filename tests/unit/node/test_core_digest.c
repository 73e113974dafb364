/* One digest whether the state comes from the log, from a snapshot, or from tables that are ahead
 * of both; and on every node. */
#include "peering_rig.h"

#include "node/core_digest.h"

#define SNAPSHOT_ENTRIES 64

struct look {
    bool is_valid;
    uint64_t index, digest;
};

static void look_now(struct core *core, void *arg)
{
    struct look *l = arg;
    l->is_valid = core_digest(core, &l->index, &l->digest);
}

static struct look look(struct disk *d)
{
    struct look l = {0};
    rig_look(d->core, look_now, &l);
    return l;
}

static void test_life__after_life__is_the_same(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    d.snapshot_entries = SNAPSHOT_ENTRIES;
    assert_int_equal(disk_start(&d, &fail), 0);
    struct disk_sight s = {0};
    for (unsigned i = 0; i < 5000 && s.log.snapshot_index == 0; i++) {
        assert_int_equal(disk_publish(&d, i % 3 ? "a" : "b", i % 2 ? "x" : "y"), 0);
        disk_register(&d, 1 + i % 3);
        s = disk_look(&d);
    }
    assert_true(s.log.snapshot_index > 0);
    assert_int_equal(disk_publish(&d, "last", "z"), 0);
    struct look before = look(&d);
    assert_true(before.is_valid);
    for (int life = 0; life < 2; life++) {
        disk_stop(&d);
        assert_int_equal(disk_start(&d, &fail), 0);
        struct look after = look(&d);
        assert_true(after.is_valid);
        assert_true(after.index == before.index);
        assert_true(after.digest == before.digest);
    }
    assert_int_equal(disk_publish(&d, "last", "zz"), 0);
    assert_true(look(&d).digest != before.digest);
    disk_close(&d);
}

/* Before the log is handed out, main is the core's thread. */
static void test_tables_ahead_of_the_log__says_nothing(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    uint64_t index = 0;
    uint64_t digest = 0;
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(disk_publish(&d, "a", i % 2 ? "x" : "y"), 0);
    }
    disk_stop(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    uint64_t held = tables_index(d.core->tables);
    disk_stop(&d);
    assert_true(held > 0);
    struct core_options alone = rig_options();
    alone.config.memory_bytes_max = 1u << 20;
    alone.dir = d.dir;
    alone.on_fatal = disk_on_fatal;
    struct core *still = NULL;
    assert_int_equal(core_create(&alone, &still, &fail), 0);
    assert_true(tables_index(still->tables) >= held);
    assert_true(still->entry_index < tables_index(still->tables));
    assert_false(core_digest(still, &index, &digest));
    core_destroy(still);
    disk_close(&d);
}

/* All have applied the same entry, and agree about it. */
static void expect_agreement(void)
{
    struct look l[NODES] = {{0}};
    for (int i = 0; i < TRIES; i++) {
        bool is_same = true;
        for (unsigned n = 0; n < NODES; n++) {
            l[n] = look(&disks[n]);
            is_same = is_same && l[n].is_valid && l[n].index == l[0].index;
        }
        if (is_same) {
            for (unsigned n = 1; n < NODES; n++) {
                assert_true(l[n].digest == l[0].digest);
            }
            return;
        }
        nap();
    }
    fail_msg("entries %llu %llu %llu", (unsigned long long)l[0].index,
             (unsigned long long)l[1].index, (unsigned long long)l[2].index);
}

static void test_three__agree__also_after_one_was_away(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        char id[16];
        snprintf(id, sizeof(id), "c%u", i);
        write_through(&disks[i], id);
        disk_register(&disks[i], 80 + i);
    }
    expect_agreement();
    unsigned away = (leader() + 1) % NODES;
    disk_stop(&disks[away]);
    write_through(&disks[leader()], "meanwhile");
    assert_int_equal(disk_start(&disks[away], &fail), 0);
    expect(&disks[away], 4, 3);
    expect_agreement();
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life__after_life__is_the_same),
        cmocka_unit_test(test_tables_ahead_of_the_log__says_nothing),
        cmocka_unit_test(test_three__agree__also_after_one_was_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
