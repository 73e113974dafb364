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
    const struct api_row *row = &rows[0];
    struct rig_call c;
    struct fail fail = {0};
    for (size_t i = 0; i < count; i++) {
        row = strcmp(rows[i].name, "InstanceRequest") == 0 ? &rows[i] : row;
    }
    assert_string_equal(row->name, "InstanceRequest");
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
    assert_true(took_ms >= LEAVE_LINGER_MS + LEAVE_ENDED_MS - 50 && took_ms < LEAVE_MS_MAX);
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

static void connect_many(struct disk *d, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        struct peer *p = peer_create(SPAN("10.0.0.2"), (uint16_t)(5000 + i), 1, clock_mono_ms());
        rig_open_conn(d->core, p, RIG_SETUP);
        peer_unref(p);
    }
}

/* What a turn of the leaving emits, and when the next one is due. */
struct steps {
    unsigned asked, ended, turns;
    unsigned most; /* ended in one turn */
};

static void leave_by_hand(struct core *c, void *arg)
{
    struct steps *s = arg;
    struct now now = c->now;
    leaving_begin(c, now);
    for (bool is_done = false; !is_done && s->turns < 1000; s->turns++) {
        size_t before = c->out.count;
        unsigned ended = 0;
        is_done = leaving_turn(c, now);
        for (size_t i = before; i < c->out.count; i++) {
            s->asked += c->out.list[i].kind == EFFECT_PUSH;
            ended += c->out.list[i].kind == EFFECT_CONN_CLOSE;
        }
        s->ended += ended;
        s->most = ended > s->most ? ended : s->most;
        now.mono_ms = c->leaving.is_on ? leaving_deadline(c) : now.mono_ms;
    }
    assert_true(now.mono_ms - c->now.mono_ms < LEAVE_MS_MAX);
}

static void test_clients__that_do_not_move__are_ended_in_portions(void **state)
{
    (void)state;
    static const struct api_row row = {.name = "leave", .admit = rig_admit_look};
    struct steps s = {0};
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    connect_many(&disks[0], 300);
    struct rig_look look = {leave_by_hand, disks[0].core, &s};
    struct rig_call call;
    rig_call_open(&call, &row, &look);
    rig_post(disks[0].core, &call);
    assert_int_equal(rig_wait(&call), 1);
    rig_call_close(&call);
    assert_int_equal(s.asked, 300);
    assert_int_equal(s.ended, 300);
    assert_int_equal(s.most, LEAVE_END_PORTION);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader__leaves__another_leads_before_it_is_gone),
        cmocka_unit_test(test_last_of_a_majority__leaves__without_waiting_for_long),
        cmocka_unit_test(test_clients__that_lose_a_leaving_node__keep_their_instances),
        cmocka_unit_test(test_clients__that_do_not_move__are_ended_in_portions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
