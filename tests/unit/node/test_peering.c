/* Nodes that find each other, write through any of them, and come back. */
#include "node/peering.h"

#include "peering_rig.h"

static void test_cluster__writes_through_any_node_are_on_all(void **state)
{
    (void)state;
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        char id[8];
        snprintf(id, sizeof(id), "d%u", i);
        write_through(&disks[i], id);
        disk_register(&disks[i], 1 + i);
    }
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], NODES, NODES);
    }
    close_all();
}

static void test_all__stop_and_start__nothing_is_lost(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[1], "a");
    disk_register(&disks[2], 9);
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 1, 1);
    }
    for (unsigned i = 0; i < NODES; i++) {
        disk_stop(&disks[i]);
    }
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 1, 1);
    }
    write_through(&disks[2], "b");
    expect(&disks[0], 2, 1);
    close_all();
}

static void test_directory__of_a_member__is_refused_alone_and_the_other_way_round(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        disk_stop(&disks[i]);
        disks[i].peers = NULL;
    }
    assert_int_equal(disk_begin(&disks[0], &fail), E_CONFLICT);
    assert_non_null(strstr(fail.text, "a member of a cluster"));
    close_all();
    disk_init(&disks[0]);
    disks[0].peers = NULL;
    assert_int_equal(disk_start(&disks[0], &fail), 0);
    disk_stop(&disks[0]);
    options[0].dir = disks[0].dir;
    disks[0].peers = &options[0];
    assert_int_equal(disk_begin(&disks[0], &fail), E_CONFLICT);
    assert_non_null(strstr(fail.text, "a node that was alone"));
    disk_close(&disks[0]);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster__writes_through_any_node_are_on_all),
        cmocka_unit_test(test_all__stop_and_start__nothing_is_lost),
        cmocka_unit_test(test_directory__of_a_member__is_refused_alone_and_the_other_way_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
