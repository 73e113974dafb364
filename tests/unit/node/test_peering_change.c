/* Members that come and go because the list was edited while nodes ran. */
#include "node/peering_change.h"

#include "peering_rig.h"

/* Servers of the log as a node knows them, and how many of them vote. */
struct servers {
    unsigned count, voters;
};

static void count_now(struct core *core, void *arg)
{
    struct servers *s = arg;
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    *s = (struct servers){0};
    if (!core->log) {
        return;
    }
    s->count = consensus_members(core->log, members, CONSENSUS_MEMBERS_MAX);
    for (unsigned i = 0; i < s->count; i++) {
        s->voters += members[i].standing == CONSENSUS_VOTER;
    }
}

static void expect_voters(struct disk *d, unsigned voters)
{
    struct servers s = {0};
    for (int i = 0; i < 2 * TRIES; i++) { /* a removal waits MEMBERSHIP_QUIET_MS */
        rig_look(d->core, count_now, &s);
        if (s.count == voters && s.voters == voters) {
            return;
        }
        nap();
    }
    fail_msg("wanted %u voters, found %u of %u servers", voters, s.voters, s.count);
}

static void tell_all(const struct member_list *now, unsigned nodes)
{
    for (unsigned i = 0; i < nodes; i++) {
        assert_int_equal(core_set_members(disks[i].core, now), 0);
    }
}

static void test_list__edited_while_nodes_run__adds_and_removes_members(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    struct member_list three = list;
    struct member_list two = {.count = 2, .list = {list.list[0], list.list[1]}};
    unsigned third = NODES;
    for (unsigned i = 0; i < NODES; i++) {
        if (options[i].port == three.list[2].port) {
            third = i;
        }
    }
    assert_true(third < NODES);
    struct disk *newcomer = &disks[third];
    struct disk *old = &disks[(third + 1) % NODES];
    struct disk *other = &disks[(third + 2) % NODES];
    options[(third + 1) % NODES].list = &two;
    options[(third + 2) % NODES].list = &two;
    assert_int_equal(disk_begin(old, &fail), 0);
    assert_int_equal(disk_begin(other, &fail), 0);
    disk_await(old);
    disk_await(other);
    write_through(old, "a");
    expect_voters(old, 2);
    assert_int_equal(disk_begin(newcomer, &fail), 0);
    tell_all(&three, NODES);
    disk_await(newcomer);
    expect_voters(old, 3);
    expect_voters(newcomer, 3);
    write_through(newcomer, "b");
    expect(old, 2, 0);
    tell_all(&two, NODES);
    expect_voters(old, 2);
    write_through(other, "c");
    expect(old, 3, 0);
    close_all();
}

static void test_list__without_the_leader__another_one_leads_and_removes_it(void **state)
{
    (void)state;
    struct member_list two = {0};
    set_up();
    begin_all();
    unsigned old = leader();
    unsigned next = (old + 1) % NODES;
    write_through(&disks[next], "a");
    for (size_t i = 0; i < list.count; i++) {
        if (list.list[i].port != options[old].port) {
            two.list[two.count++] = list.list[i];
        }
    }
    tell_all(&two, NODES);
    expect_voters(&disks[next], 2);
    expect_voters(&disks[(old + 2) % NODES], 2);
    assert_int_not_equal(leader(), old);
    close_all(); /* before it is sure that it is out, and ends itself */
}

static void test_list__of_a_node_alone__is_not_taken(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    assert_int_equal(core_set_members(d.core, &list), E_UNSUPPORTED);
    disk_close(&d);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__edited_while_nodes_run__adds_and_removes_members),
        cmocka_unit_test(test_list__without_the_leader__another_one_leads_and_removes_it),
        cmocka_unit_test(test_list__of_a_node_alone__is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
