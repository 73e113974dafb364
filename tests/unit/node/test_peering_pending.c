/* Registrations while the log takes none: shown, answered, taken over; or refused. */
#include "node/peering_pending.h"

#include "client_rig.h"
#include "node/peering_quorum.h"
#include "peering_rig.h"

#define STAYS 1

/* The answer comes after PEERING_PENDING_WAIT_MS at the latest, and this: of a busy machine. */
#define SLACK_MS 600

struct pending_sight {
    struct peering_pending_figures figures;
    unsigned long shown, empty_pushes, pushes;
    bool is_leaderless;
};

static void look_pending(struct core *core, void *arg)
{
    struct pending_sight *s = arg;
    naming_check(core_naming(core));
    s->figures = peering_pending_figures(core->peers, core->now);
    s->shown = atomic_load(&naming_counters(core_naming(core))->shown);
    s->empty_pushes = atomic_load(&naming_counters(core_naming(core))->empty_pushes);
    s->pushes = atomic_load(&naming_counters(core_naming(core))->pushes);
    s->is_leaderless = peering_leaderless_ms(core->peers, core->now) > 0;
}

static struct pending_sight sight(struct disk *d)
{
    struct pending_sight s = {0};
    rig_look(d->core, look_pending, &s);
    return s;
}

static void await_nothing_pending(struct disk *d)
{
    struct pending_sight s = {0};
    for (int i = 0; i < TRIES; i++) {
        s = sight(d);
        if (s.figures.shown == 0 && !s.figures.is_degraded) {
            return;
        }
        nap();
    }
    fail_msg("%zu still pending, degraded %d", s.figures.shown, s.figures.is_degraded);
}

static void await_hosts(struct rig_client *c, unsigned count)
{
    unsigned found = 0;
    for (int i = 0; i < TRIES; i++) {
        found = client_hosts(c);
        if (found == count) {
            return;
        }
        nap();
    }
    fail_msg("wanted %u instances, found %u: %s", count, found, c->text);
}

/* A node that was away lists what it knew until it has caught up. */
static void await_ports(struct rig_client *c, unsigned count, const char *one, const char *two)
{
    for (int i = 0; i < TRIES; i++) {
        if (client_hosts(c) == count && strstr(c->text, one) && strstr(c->text, two)) {
            return;
        }
        nap();
    }
    fail_msg("wanted %u instances with %s and %s: %s", count, one, two, c->text);
}

static void await_leader(struct disk *d)
{
    for (int i = 0; i < TRIES && sight(d).is_leaderless; i++) {
        nap();
    }
    assert_false(sight(d).is_leaderless);
}

static void begin_with(enum peering_registration policy)
{
    set_up();
    for (unsigned i = 0; i < NODES; i++) {
        options[i].registration = policy;
    }
    begin_all();
    await_leader(&disks[STAYS]);
}

/* All but one go. */
static void lose_quorum(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (i != STAYS) {
            disk_stop(&disks[i]);
        }
    }
}

static void regain_quorum(void)
{
    struct fail fail = {0};
    for (unsigned i = 0; i < NODES; i++) {
        if (i != STAYS) {
            assert_int_equal(disk_begin(&disks[i], &fail), 0);
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        if (i != STAYS) {
            disk_await(&disks[i]);
        }
    }
}

static void test_quorum__lost__registrations_are_shown_and_taken_over(void **state)
{
    (void)state;
    static struct rig_client before, during, ended, watcher, other;
    begin_with(PEERING_QUORUM);
    client_open(&before, &disks[STAYS], 4001);
    client_open(&during, &disks[STAYS], 4002);
    client_open(&ended, &disks[STAYS], 4003);
    client_open(&watcher, &disks[STAYS], 4004);
    assert_int_equal(client_register(&before, 1), 0);
    assert_int_equal(sight(&disks[STAYS]).shown, 0); /* with a quorum nothing is pending */
    assert_int_equal(client_subscribe(&watcher), 0);
    lose_quorum();
    assert_int_equal(client_register(&during, 2), 0);
    assert_in_range(during.ms, 0, PEERING_PENDING_WAIT_MS + SLACK_MS);
    assert_int_equal(client_hosts(&watcher), 2);
    assert_int_equal(client_register(&ended, 3), 0); /* the log is late already */
    assert_in_range(ended.ms, 0, SLACK_MS);
    assert_int_equal(client_hosts(&watcher), 3);
    struct pending_sight s = sight(&disks[STAYS]);
    assert_true(s.figures.is_degraded);
    assert_int_equal(s.figures.shown, 2);
    assert_int_equal(s.shown, 2);
    assert_true(s.figures.oldest_ms > 0);
    assert_true(s.pushes > 0);
    client_close(&ended); /* its end is pending, too */
    await_hosts(&watcher, 2);
    assert_int_equal(client_deregister(&before, 1), 0);
    assert_int_equal(client_hosts(&watcher), 1);
    assert_int_equal(client_register(&before, 4), 0);
    assert_int_equal(client_hosts(&watcher), 2);
    regain_quorum();
    await_nothing_pending(&disks[STAYS]);
    assert_int_equal(client_hosts(&watcher), 2);
    client_open(&other, &disks[STAYS + 1], 4001);
    await_ports(&other, 2, "\"port\":2,", "\"port\":4,");
    assert_int_equal(sight(&disks[STAYS]).empty_pushes, 0);
    client_close(&other);
    client_close(&before);
    client_close(&during);
    client_close(&watcher);
    close_all();
}

static void test_strict__lost__is_refused_with_who_is_missing(void **state)
{
    (void)state;
    static struct rig_client c;
    begin_with(PEERING_STRICT);
    client_open(&c, &disks[STAYS], 4001);
    assert_int_equal(client_register(&c, 1), 0);
    lose_quorum();
    assert_int_equal(client_register(&c, 2), E_NOT_LEADER);
    assert_non_null(strstr(c.text, "missing 127.0.0.1:"));
    assert_in_range(c.ms, 0, PEERING_LEADERLESS_MS + 2 * SLACK_MS); /* an election more at most */
    assert_int_equal(client_register(&c, 2), E_NOT_LEADER);         /* it may be known by now */
    assert_int_equal(client_register(&c, 2), E_NOT_LEADER);         /* it is */
    assert_in_range(c.ms, 0, SLACK_MS);
    assert_int_equal(client_hosts(&c), 1);
    assert_int_equal(sight(&disks[STAYS]).shown, 0);
    client_close(&c); /* what nobody waits for is kept */
    regain_quorum();
    client_open(&c, &disks[STAYS], 4002);
    await_hosts(&c, 0);
    client_close(&c);
    close_all();
}

static void test_local__is_answered_at_once(void **state)
{
    (void)state;
    static struct rig_client c;
    static struct rig_client other;
    begin_with(PEERING_LOCAL);
    client_open(&c, &disks[STAYS], 4001);
    assert_int_equal(client_register(&c, 1), 0);
    assert_int_equal(sight(&disks[STAYS]).shown, 1);
    await_nothing_pending(&disks[STAYS]);
    lose_quorum();
    assert_int_equal(client_register(&c, 2), 0); /* nobody has noticed yet */
    assert_in_range(c.ms, 0, SLACK_MS);
    assert_int_equal(client_hosts(&c),
                     1); /* the registration of a connection takes the other's place */
    regain_quorum();
    await_nothing_pending(&disks[STAYS]);
    client_open(&other, &disks[STAYS + 1], 4001);
    await_ports(&other, 1, "\"port\":2,", "");
    client_close(&other);
    client_close(&c);
    close_all();
}

static void test_persistent__lost__is_refused_like_a_config_write(void **state)
{
    (void)state;
    static struct rig_client c;
    begin_with(PEERING_QUORUM);
    client_open(&c, &disks[STAYS], 4001);
    lose_quorum();
    for (int i = 0; i < 2; i++) { /* before it is noticed, and then at once */
        assert_int_equal(client_ask(&c, "PersistentInstanceRequest",
                                    "{\"serviceName\":\"s\",\"groupName\":\"G\",\"type\":"
                                    "\"registerInstance\",\"instance\":{\"ip\":\"192.0.2.9\","
                                    "\"port\":9,\"ephemeral\":false}}"),
                         E_NOT_LEADER);
        assert_non_null(strstr(c.text, "missing 127.0.0.1:"));
    }
    assert_in_range(c.ms, 0, SLACK_MS);
    assert_int_equal(client_register(&c, 1), 0);
    assert_int_equal(client_hosts(&c), 1);
    client_close(&c);
    close_all();
}

/* What was on its way when its leader went: answered once, there once. */
static void test_leader__goes_with_registrations_in_doubt__each_is_there_once(void **state)
{
    (void)state;
    static struct rig_client many[20];
    struct fail fail = {0};
    begin_with(PEERING_QUORUM);
    unsigned old = leader();
    struct disk *d = &disks[(old + 1) % NODES];
    for (unsigned i = 0; i < ARRAY_LEN(many); i++) {
        client_open(&many[i], d, (uint16_t)(4001 + i));
        if (i == ARRAY_LEN(many) / 2) {
            disk_stop(&disks[old]);
        }
        assert_int_equal(client_register(&many[i], i + 1), 0);
        assert_in_range(many[i].ms, 0, PEERING_PENDING_WAIT_MS + SLACK_MS);
        assert_int_equal(client_hosts(&many[i]), i + 1);
    }
    assert_int_equal(disk_begin(&disks[old], &fail), 0);
    disk_await(&disks[old]);
    await_nothing_pending(d);
    for (unsigned n = 0; n < NODES; n++) {
        static struct rig_client reader;
        client_open(&reader, &disks[n], 5000);
        await_hosts(&reader, ARRAY_LEN(many));
        client_close(&reader);
    }
    for (unsigned i = 0; i < ARRAY_LEN(many); i++) {
        client_close(&many[i]);
    }
    expect(&disks[old], 0, 0);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorum__lost__registrations_are_shown_and_taken_over),
        cmocka_unit_test(test_strict__lost__is_refused_with_who_is_missing),
        cmocka_unit_test(test_local__is_answered_at_once),
        cmocka_unit_test(test_persistent__lost__is_refused_like_a_config_write),
        cmocka_unit_test(test_leader__goes_with_registrations_in_doubt__each_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
