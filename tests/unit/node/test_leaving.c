/* Nodes that stop in order. */
#include "node/leaving.h"

#include "peering_rig.h"

static uint64_t goodbye(struct disk *d)
{
    uint64_t begun_ms = clock_mono_ms();
    core_say_goodbye(d->core);
    return clock_mono_ms() - begun_ms;
}

static bool leads(struct disk *d)
{
    return disk_look(d).log.role == CONSENSUS_LEADER;
}

static void test_leader__leaves__another_leads_before_it_is_gone(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    unsigned old = leader();
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 1, 0);
    }
    uint64_t took_ms = goodbye(&disks[old]);
    print_message("handed over in %lu ms\n", (unsigned long)took_ms);
    assert_true(took_ms < LEAVE_TRANSFER_MS + LEAVE_LINGER_MS);
    assert_false(leads(&disks[old]));
    assert_true(leads(&disks[(old + 1) % NODES]) || leads(&disks[(old + 2) % NODES]));
    /* It still serves, and what it takes goes through the new leader. */
    assert_int_equal(disk_publish(&disks[old], "b", "content"), 0);
    disk_stop(&disks[old]);
    assert_int_equal(disk_publish(&disks[(old + 1) % NODES], "c", "content"), 0);
    expect(&disks[(old + 2) % NODES], 3, 0);
    close_all();
}

static void test_last_of_a_majority__leaves__without_waiting_for_long(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    for (unsigned i = 0; i < NODES; i++) {
        assert_true(goodbye(&disks[i]) < LEAVE_MS_MAX);
        disk_stop(&disks[i]);
    }
    close_all();
}

static void ask_register(struct disk *d, struct peer *peer)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    const struct api_row *row = NULL;
    struct rig_call c;
    struct fail fail = {0};
    for (size_t i = 0; i < count; i++) {
        row = strcmp(rows[i].name, "InstanceRequest") == 0 ? &rows[i] : row;
    }
    assert_non_null(row);
    rig_call_open(&c, row, core_naming(d->core));
    c.call.caller.conn = peer->key;
    c.call.caller.conn_id = span_str(peer->id);
    assert_int_equal(row->decode_rpc(&c.call,
                                     SPAN("{\"serviceName\":\"s\",\"groupName\":\"G\",\"type\":"
                                          "\"registerInstance\",\"instance\":{\"ip\":\"10.0.0.1\","
                                          "\"port\":80,\"ephemeral\":true}}"),
                                     &fail),
                     0);
    rig_post(d->core, &c);
    assert_int_equal(rig_wait(&c), 1);
    assert_int_equal(c.call.reply.fail.code, 0);
    rig_call_close(&c);
}

static void test_clients__that_lose_a_leaving_node__keep_their_instances(void **state)
{
    (void)state;
    set_up();
    begin_all();
    struct peer *first = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    rig_open_conn(disks[0].core, first, RIG_SETUP);
    ask_register(&disks[0], first);
    expect(&disks[1], 0, 1);
    /* It has not moved when its time is over; its stream ends with the node. */
    uint64_t took_ms = goodbye(&disks[0]);
    assert_true(took_ms >= LEAVE_LINGER_MS - 50 && took_ms < LEAVE_MS_MAX);
    rig_close_conn(disks[0].core, first);
    assert_int_equal(disk_look(&disks[0]).instances, 1);
    disk_stop(&disks[0]);
    expect(&disks[1], 0, 1);
    struct peer *second = peer_create(SPAN("10.0.0.1"), 4002, 1700000000001, 1);
    rig_open_conn(disks[1].core, second, RIG_SETUP);
    ask_register(&disks[1], second);
    expect(&disks[2], 0, 1);
    close_all();
    peer_unref(first);
    peer_unref(second);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader__leaves__another_leads_before_it_is_gone),
        cmocka_unit_test(test_last_of_a_majority__leaves__without_waiting_for_long),
        cmocka_unit_test(test_clients__that_lose_a_leaving_node__keep_their_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
