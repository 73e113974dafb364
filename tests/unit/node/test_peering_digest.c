/* Three nodes, and the state of one becomes another than the log says: it is found, and only it. */
#include "peering_rig.h"

#include <dirent.h>

#include "base/json_out.h"
#include "cluster/digests.h"
#include "naming/apply.h"
#include "node/core_digest.h"
#include "node/peering_digest.h"
#include "node/peering_state.h"
#include "node/rebuild.h"

/* On core: an operation that the log does not have. */
static void corrupt_now(struct core *core, void *arg)
{
    const struct instance_data instance = {.ip = SPAN("192.0.2.77"),
                                           .port = 7,
                                           .cluster = SPAN("DEFAULT"),
                                           .weight = 1.0,
                                           .healthy = true,
                                           .enabled = true};
    struct naming_op op = {
        .kind = NAMING_OP_PUBLISH,
        .time_ms = 1,
        .service = {SPAN("public"), SPAN("G"), SPAN("of-nobody")},
        .client = SPAN("192.0.2.77:7#false"),
        .client_kind = CLIENT_PERSISTENT,
        .instances = &instance,
        .instances_count = 1,
    };
    struct changes changes = {0};
    struct fail fail = {0};
    (void)arg;
    (void)!naming_apply(core_naming(core), &op, &changes, &fail);
    changes_close(core_naming(core), &changes);
}

struct look {
    uint64_t index, digest, own_index;
    unsigned long found;
};

static void look_now(struct core *core, void *arg)
{
    struct look *l = arg;
    (void)core_digest(core, &l->index, &l->digest);
    l->found = atomic_load(peering_digest_counter(core->peers));
    l->own_index = peering_digest_diverged(core->peers, core->peers->number);
}

static struct look look(unsigned n)
{
    struct look l = {0};
    rig_look(disks[n].core, look_now, &l);
    return l;
}

static void begin_cluster(void)
{
    set_up();
    for (unsigned i = 0; i < NODES; i++) {
        options[i].secret = "a secret of this test"; /* taken in after three seconds, not ten */
    }
    begin_all();
    write_through(&disks[0], "a");
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 1, 0);
    }
}

/* Until the node wants to start again; entries go on. */
static void await_restart(unsigned n)
{
    for (int i = 0; i < TRIES; i++) {
        (void)look(n); /* what its core wrote is seen */
        if (disks[n].restarts + disks[n].fatals > 0) {
            return;
        }
        if (i % 10 == 0) {
            write_through(&disks[(n + 1) % NODES], "a");
        }
        nap();
    }
    fail_msg("node %u was not told", n);
}

static void expect_agreement(void)
{
    struct look l[NODES] = {{0}};
    for (int i = 0; i < TRIES; i++) {
        bool is_same = true;
        for (unsigned n = 0; n < NODES; n++) {
            l[n] = look(n);
            is_same = is_same && l[n].index == l[0].index && l[n].digest == l[0].digest;
        }
        if (is_same) {
            return;
        }
        nap();
    }
    fail_msg("no agreement");
}

static unsigned count_aside(const char *dir)
{
    unsigned count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        count += strncmp(e->d_name, REBUILD_ASIDE_PREFIX, strlen(REBUILD_ASIDE_PREFIX)) == 0;
    }
    assert_int_equal(closedir(d), 0);
    return count;
}

/* As the process does it: the same program again. */
static void start_again(unsigned n)
{
    struct fail fail = {0};
    uint64_t before = disks[n].core->peers->number;
    disk_stop(&disks[n]);
    disks[n].restarts = 0;
    assert_int_equal(disk_begin(&disks[n], &fail), 0);
    assert_int_equal(count_aside(disks[n].dir), 1);
    assert_true(disks[n].core->peers->number != before);
    disk_await(&disks[n]);
}

static void expect_others_untouched(unsigned odd)
{
    for (unsigned n = 0; n < NODES; n++) {
        if (n != odd) {
            (void)look(n);
            assert_int_equal(disks[n].restarts, 0);
            assert_int_equal(count_aside(disks[n].dir), 0);
        }
    }
}

static void test_follower__is_found_and_made_anew(void **state)
{
    (void)state;
    begin_cluster();
    unsigned odd = (leader() + 1) % NODES;
    rig_look(disks[odd].core, corrupt_now, NULL);
    await_restart(odd);
    assert_true(look(odd).own_index > 0);
    assert_true(look(leader()).found >= 1);
    expect_others_untouched(odd);
    start_again(odd);
    write_through(&disks[odd], "b");
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 2, 0);
    }
    expect_agreement();
    expect_others_untouched(odd);
    close_all();
}

static void test_leader__hands_over_and_is_made_anew(void **state)
{
    (void)state;
    begin_cluster();
    unsigned odd = leader();
    rig_look(disks[odd].core, corrupt_now, NULL);
    await_restart(odd);
    assert_true(leader() != odd);
    expect_others_untouched(odd);
    start_again(odd);
    write_through(&disks[odd], "b");
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 2, 0);
    }
    expect_agreement();
    close_all();
}

/* It was away, and comes back far behind, with an empty ring. */
static void test_lagging__nobody_is_accused(void **state)
{
    (void)state;
    struct fail fail = {0};
    begin_cluster();
    unsigned away = (leader() + 1) % NODES;
    disk_stop(&disks[away]);
    for (int i = 0; i < 2 * DIGESTS_STEP; i++) {
        assert_int_equal(disk_publish(&disks[leader()], "a", i % 2 ? "x" : "y"), 0);
    }
    assert_int_equal(disk_start(&disks[away], &fail), 0);
    write_through(&disks[away], "b");
    for (unsigned i = 0; i < NODES; i++) {
        expect(&disks[i], 2, 0);
    }
    expect_agreement();
    /* Time for reports of all. */
    for (int i = 0; i < 3 * WATCH_ALIVE_MS / 50; i++) {
        nap();
    }
    for (unsigned n = 0; n < NODES; n++) {
        assert_int_equal(look(n).found, 0);
        assert_int_equal(disks[n].restarts, 0);
    }
    close_all();
}

static void test_second_time_or_not_welcome__ends_with_a_sentence(void **state)
{
    (void)state;
    begin_cluster();
    unsigned odd = (leader() + 1) % NODES;
    disk_stop(&disks[odd]);
    options[odd].repin = MEMBERSHIP_REPIN_NEVER;
    disks[odd].may_die = true;
    struct fail fail = {0};
    assert_int_equal(disk_start(&disks[odd], &fail), 0);
    rig_look(disks[odd].core, corrupt_now, NULL);
    await_restart(odd);
    assert_int_equal(disks[odd].restarts, 0);
    assert_int_equal(disks[odd].fatals, 1);
    assert_int_equal(count_aside(disks[odd].dir), 0);
    disk_stop(&disks[odd]);
    /* Now it may, but it was made anew a moment ago. */
    char path[128];
    options[odd].repin = MEMBERSHIP_REPIN_AUTO;
    disks[odd].fatals = 0;
    snprintf(path, sizeof(path), "%s/" REBUILD_ASIDE_PREFIX "%lld", disks[odd].dir,
             (long long)clock_now().wall_ms - 1000);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(disk_start(&disks[odd], &fail), 0);
    rig_look(disks[odd].core, corrupt_now, NULL);
    await_restart(odd);
    assert_int_equal(disks[odd].restarts, 0);
    assert_int_equal(disks[odd].fatals, 1);
    close_all();
}

/* Frames that nobody should believe; on core. */
struct evil {
    struct span bytes;
    uint64_t from;
    bool is_well_formed;
};

static void receive_now(struct core *core, void *arg)
{
    struct evil *e = arg;
    e->is_well_formed = peering_digest_receive(core->peers, e->from, e->bytes, core->now);
}

static bool receive(unsigned n, uint64_t from, const struct digests_frame *frame)
{
    struct buf *bytes = digests_encode(frame);
    struct evil e = {.bytes = buf_span(bytes), .from = from};
    rig_look(disks[n].core, receive_now, &e);
    buf_unref(bytes);
    return e.is_well_formed;
}

static void test_word_that_does_not_fit__is_not_believed(void **state)
{
    (void)state;
    begin_cluster();
    unsigned first = leader();
    unsigned other = (first + 1) % NODES;
    uint64_t lead = disks[first].core->peers->number;
    struct look l = look(other);
    struct digests_frame f = {.kind = DIGESTS_DIVERGED,
                              .count = 2,
                              .list = {{l.index, l.digest}, {l.index, l.digest + 1}}};
    assert_true(receive(other, lead + 1, &f)); /* not of the leader */
    f.list[0].digest++;
    assert_true(receive(other, lead, &f)); /* not what it had */
    f.list[0] = (struct digest_at){l.index + 1000, 1};
    f.list[1] = (struct digest_at){l.index + 1000, 2};
    assert_true(receive(other, lead, &f)); /* of an entry it has not seen */
    f.list[0] = (struct digest_at){l.index, l.digest};
    f.list[1] = (struct digest_at){l.index, l.digest};
    assert_true(receive(other, lead, &f));                             /* the same */
    assert_true(receive(first, disks[other].core->peers->number, &f)); /* to the leader */
    struct evil e = {.bytes = SPAN("x"), .from = lead};
    rig_look(disks[other].core, receive_now, &e);
    assert_false(e.is_well_formed);
    assert_int_equal(look(other).own_index, 0);
    assert_int_equal(disks[other].restarts, 0);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follower__is_found_and_made_anew),
        cmocka_unit_test(test_leader__hands_over_and_is_made_anew),
        cmocka_unit_test(test_lagging__nobody_is_accused),
        cmocka_unit_test(test_second_time_or_not_welcome__ends_with_a_sentence),
        cmocka_unit_test(test_word_that_does_not_fit__is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
