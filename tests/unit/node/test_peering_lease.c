/* Reads through every node, right after writes through any. */
#include "node/peering_lease.h"

#include "config/config_rows.h"
#include "node/peering_state.h"
#include "peering_rig.h"

#define ROUNDS 1000
#define BODY_MAX 4096

/* What a read gave. */
struct got {
    int err;
    bool is_from_edge;
    char body[BODY_MAX];
};

static const struct api_row *query_row(void)
{
    size_t count = 0;
    const struct api_row *rows = config_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, "ConfigQueryRequest") == 0) {
            return &rows[i];
        }
    }
    abort();
}

/* As an edge does it: from the view, or through core. */
static struct got get(struct disk *d, const char *data_id)
{
    char json[256];
    struct rig_call c;
    struct fail fail = {0};
    struct got got = {0};
    const struct api_row *row = query_row();
    snprintf(json, sizeof(json), "{\"dataId\":\"%s\",\"group\":\"g\",\"tenant\":\"\"}", data_id);
    rig_call_open(&c, row, core_config(d->core));
    assert_int_equal(row->decode_rpc(&c.call, span_str(json), &fail), 0);
    int next = row->read(core_config_edge(d->core), &c.call, clock_now(), &fail);
    got.is_from_edge = next != API_TO_CORE;
    got.err = next < 0 ? next : 0;
    if (next == API_TO_CORE) {
        rig_post(d->core, &c);
        assert_int_equal(rig_wait(&c), 1);
        got.err = c.call.reply.fail.code;
    }
    assert_true(body_len(&c.call.reply.body) < BODY_MAX);
    body_copy(&c.call.reply.body, got.body);
    rig_call_close(&c);
    return got;
}

static void expect_content(struct disk *d, const char *data_id, const char *content)
{
    char want[64];
    struct got got = get(d, data_id);
    assert_int_equal(got.err, 0);
    snprintf(want, sizeof(want), "\"content\":\"%s\"", content);
    if (!strstr(got.body, want)) {
        fail_msg("node %td: wanted %s, got %s", d - disks, want, got.body);
    }
}

static void figures_now(struct core *core, void *arg)
{
    struct peering_lease_figures *f = arg;
    *f = peering_lease_figures(core->peers, core->now);
}

static uint64_t degraded(struct disk *d)
{
    struct peering_lease_figures f = {0};
    rig_look(d->core, figures_now, &f);
    return f.reads_degraded;
}

/* Until the node answers from the view: it has its lease. */
static void await_lease(struct disk *d, const char *data_id)
{
    for (int i = 0; i < TRIES; i++) {
        if (get(d, data_id).is_from_edge) {
            return;
        }
        nap();
    }
    fail_msg("node %td gets no lease", d - disks);
}

static void test_read__through_any_node_right_after_a_publish__is_never_old(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    for (unsigned i = 0; i < NODES; i++) {
        await_lease(&disks[i], "a");
    }
    unsigned from_edges = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char content[16];
        snprintf(content, sizeof(content), "v%u", round);
        assert_int_equal(disk_publish(&disks[round % NODES], "a", content), 0);
        for (unsigned i = 0; i < NODES; i++) {
            expect_content(&disks[i], "a", content);
        }
        from_edges += get(&disks[round % NODES], "a").is_from_edge;
    }
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(degraded(&disks[i]), 0);
    }
    assert_true(from_edges > ROUNDS / 2); /* leases are what answers */
    close_all();
}

struct writer {
    struct disk *d;
    atomic_bool is_over;
};

static void *write_all_the_time(void *arg)
{
    struct writer *w = arg;
    thread_become(THREAD_MAIN, "writer");
    for (unsigned n = 0; !atomic_load(&w->is_over); n++) {
        char content[16];
        snprintf(content, sizeof(content), "v%u", n);
        assert_int_equal(disk_publish(w->d, "a", content), 0);
    }
    return NULL;
}

static void test_read__of_a_config_that_changes_all_the_time__is_answered(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    for (unsigned i = 0; i < NODES; i++) {
        await_lease(&disks[i], "a");
    }
    pthread_t threads[2];
    struct writer writers[2] = {{.d = &disks[0]}, {.d = &disks[1]}};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_all_the_time, &writers[i]), 0);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(get(&disks[i % NODES], "a").err, 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&writers[i].is_over, true);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < NODES; i++) {
        assert_int_equal(degraded(&disks[i]), 0);
    }
    close_all();
}

static void test_read__after_the_leader_is_gone__is_never_old(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    for (unsigned i = 0; i < NODES; i++) {
        await_lease(&disks[i], "a");
    }
    unsigned old = leader();
    disk_stop(&disks[old]);
    struct disk *one = &disks[(old + 1) % NODES];
    struct disk *other = &disks[(old + 2) % NODES];
    int tries = 0;
    while (disk_publish(one, "a", "next") != 0 && tries++ < TRIES) {
        nap();
    }
    expect_content(other, "a", "next");
    expect_content(one, "a", "next");
    assert_int_equal(degraded(one) + degraded(other), 0);
    close_all();
}

static void test_read__of_a_node_cut_off__is_answered_and_counted(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    expect(&disks[1], 1, 0);
    disk_stop(&disks[0]);
    disk_stop(&disks[2]);
    /* Until its lease has run out; the first reads without one wait, later ones do not. */
    for (int i = 0; i < TRIES && degraded(&disks[1]) == 0; i++) {
        expect_content(&disks[1], "a", "content");
        nap();
    }
    uint64_t before = degraded(&disks[1]);
    assert_true(before > 0);
    expect_content(&disks[1], "a", "content");
    assert_int_equal(degraded(&disks[1]), before + 1);
    assert_int_equal(get(&disks[1], "b").err, E_NOT_FOUND);
    close_all();
}

/* A node that starts needs longer to hear of a leader than one that lost its: what its disk has may
 * be old, and the others are perhaps a moment away. */
static void test_read__of_a_node_that_just_started__waits_for_a_leader(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    expect(&disks[1], 1, 0);
    for (unsigned i = 0; i < NODES; i++) {
        disk_stop(&disks[i]);
    }
    uint64_t begun_ms = clock_mono_ms();
    assert_int_equal(disk_begin(&disks[1], &fail), 0);
    disk_await(&disks[1]);
    uint64_t asked_ms = clock_mono_ms();
    expect_content(&disks[1], "a", "content");
    uint64_t answered_ms = clock_mono_ms();
    assert_true(answered_ms - asked_ms >= PEERING_READ_WAIT_MS ||
                answered_ms - begun_ms > PEERING_FIRST_LEADER_READ_MS);
    assert_int_equal(degraded(&disks[1]), 1);
    close_all();
}

static void test_read__when_it_is_local__asks_for_no_lease(void **state)
{
    (void)state;
    set_up();
    for (unsigned i = 0; i < NODES; i++) {
        options[i].is_read_local = true;
    }
    begin_all();
    write_through(&disks[0], "a");
    expect(&disks[1], 1, 0);
    disk_stop(&disks[0]);
    disk_stop(&disks[2]);
    nap();
    assert_true(get(&disks[1], "a").is_from_edge);
    assert_int_equal(degraded(&disks[1]), 0);
    close_all();
}

static void test_read__that_waits_when_the_node_stops__is_answered(void **state)
{
    (void)state;
    struct fail fail = {0};
    set_up();
    assert_int_equal(disk_begin(&disks[0], &fail), 0); /* it looks for the others: no lease */
    const struct api_row *row = query_row();
    struct rig_call c;
    rig_call_open(&c, row, core_config(disks[0].core));
    assert_int_equal(row->decode_rpc(&c.call, SPAN("{\"dataId\":\"a\",\"group\":\"g\"}"), &fail),
                     0);
    rig_post(disks[0].core, &c);
    disk_stop(&disks[0]);
    assert_int_equal(rig_wait(&c), 1);
    assert_int_equal(c.call.reply.fail.code, E_CLOSED);
    rig_call_close(&c);
    close_all();
}

struct fill {
    size_t count;
    int err;
};

static void fill_now(struct core *core, void *arg)
{
    struct fill *f = arg;
    struct fail fail = {0};
    struct peering *p = core->peers;
    size_t was = p->lease.writes_count;
    p->lease.writes_count = f->count;
    f->err = peering_propose(p, CONSENSUS_CONFIG, SPAN("x"), NULL, core->now, &fail);
    p->lease.writes_count = was;
    if (f->err) {
        assert_non_null(strstr(fail.text, "until every node has them"));
    }
}

static void test_writes__more_held_than_may_be__are_refused_before_they_are_proposed(void **state)
{
    (void)state;
    set_up();
    begin_all();
    write_through(&disks[0], "a");
    struct fill f = {.count = PEERING_WRITES_MAX};
    rig_look(disks[0].core, fill_now, &f);
    assert_int_equal(f.err, E_LIMIT);
    assert_int_equal(disk_publish(&disks[0], "a", "x"), 0);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__through_any_node_right_after_a_publish__is_never_old),
        cmocka_unit_test(test_read__of_a_config_that_changes_all_the_time__is_answered),
        cmocka_unit_test(test_read__after_the_leader_is_gone__is_never_old),
        cmocka_unit_test(test_read__of_a_node_cut_off__is_answered_and_counted),
        cmocka_unit_test(test_read__of_a_node_that_just_started__waits_for_a_leader),
        cmocka_unit_test(test_read__when_it_is_local__asks_for_no_lease),
        cmocka_unit_test(test_read__that_waits_when_the_node_stops__is_answered),
        cmocka_unit_test(test_writes__more_held_than_may_be__are_refused_before_they_are_proposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
