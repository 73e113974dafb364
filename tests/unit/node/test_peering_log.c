/* What becomes of operations when leaders change or nobody leads. */
#include "peering_rig.h"

static void test_leader__stops__another_leads_and_it_catches_up(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    write_through(&disks[0], "before");
    unsigned old = leader();
    expect(&disks[old], 1, 0);
    disk_stop(&disks[old]);
    unsigned other = (old + 1) % NODES;
    write_through(&disks[other], "away");
    disk_register(&disks[other], 7);
    expect(&disks[(old + 2) % NODES], 2, 1);
    assert_int_equal(disk_begin(&disks[old], &fail), 0);
    disk_await(&disks[old]);
    expect(&disks[old], 2, 1);
    close_all();
}

static void test_quorum__lost__config_writes_are_refused_with_the_reason(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    expect(&disks[1], 1, 0);
    disk_stop(&disks[0]);
    disk_stop(&disks[2]);
    /* What came before the loss was noticed is refused when it lasts; what comes then, at once. */
    assert_int_equal(disk_publish(&disks[1], "b", "x"), E_NOT_LEADER);
    assert_int_equal(disk_publish(&disks[1], "b", "x"), E_NOT_LEADER);
    expect(&disks[1], 1, 0); /* reads go on */
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader__stops__another_leads_and_it_catches_up),
        cmocka_unit_test(test_quorum__lost__config_writes_are_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
