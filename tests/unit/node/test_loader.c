/* Figures of three nodes, and clients that are sent from one to another. */
#include "node/loader.h"

#include "peering_rig.h"

#define MANY (LOADER_PORTION + 50)

static void connect_some(struct disk *d, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct peer *p = peer_create(SPAN("192.0.2.7"), (uint16_t)(1000 + i), 1, clock_mono_ms());
        rig_open_conn(d->core, p, RIG_SETUP);
        peer_unref(p);
    }
}

/* Requests to go that are on their way out now. */
static size_t resets(const struct core *c, const char *part)
{
    size_t count = 0;
    for (size_t i = 0; i < c->out.count; i++) {
        const struct effect *e = &c->out.list[i];
        if (e->kind != EFFECT_PUSH || strcmp(e->u.push.type, "ConnectResetRequest") != 0) {
            continue;
        }
        char text[512] = "";
        assert_true(body_len(&e->u.push.body) < sizeof(text));
        body_copy(&e->u.push.body, text);
        count += strstr(text, part) != NULL;
    }
    return count;
}

static void once(struct core *core, void (*fn)(struct core *core, void *arg), void *arg)
{
    static const struct api_row row = {.name = "once", .admit = rig_admit_look};
    struct rig_look look = {fn, core, arg};
    struct rig_call c;
    rig_call_open(&c, &row, &look);
    rig_post(core, &c);
    assert_int_equal(rig_wait(&c), 1);
    rig_call_close(&c);
}

static void reload_in_portions(struct core *c, void *arg)
{
    struct now now = c->now;
    (void)arg;
    assert_int_equal(conn_count_sdk(c->conns), MANY);
    assert_int_equal(loader_reload(c, MANY, "", 0), 0);
    assert_true(loader_deadline(c) == UINT64_MAX);
    assert_int_equal(loader_reload(c, 10, "n2", 8848), MANY - 10);
    loader_turn(c, now);
    assert_int_equal(resets(c, "\"serverIp\":\"n2\",\"serverPort\":\"8848\""), LOADER_PORTION);
    loader_turn(c, now); /* not before its time */
    assert_int_equal(resets(c, ""), LOADER_PORTION);
    assert_true(loader_deadline(c) == now.mono_ms + LOADER_PACE_MS);
    now.mono_ms += LOADER_PACE_MS;
    loader_turn(c, now);
    assert_int_equal(resets(c, ""), MANY - 10);
    assert_true(loader_deadline(c) == UINT64_MAX);
    /* Another order at once finds only those that were not asked. */
    assert_int_equal(loader_reload(c, 0, "", 0), MANY);
    loader_turn(c, now);
    assert_int_equal(resets(c, ""), MANY);
    assert_true(loader_deadline(c) == UINT64_MAX);
}

static void test_reload__more_than_are_kept__are_asked_in_portions(void **state)
{
    (void)state;
    struct disk d;
    struct fail fail = {0};
    disk_init(&d);
    assert_int_equal(disk_start(&d, &fail), 0);
    connect_some(&d, MANY);
    once(d.core, reload_in_portions, NULL);
    disk_close(&d);
}

static void test_sums__count_only_who_answered(void **state)
{
    (void)state;
    struct loads l = {.count = 4};
    uint64_t sdk[] = {10, 4, 0, 100};
    for (size_t i = 0; i < 4; i++) {
        l.list[i].load.sdk = sdk[i];
        l.list[i].is_known = i < 3;
    }
    struct load_sums s = loader_sums(&l);
    assert_true(s.total == 14 && s.min == 0 && s.max == 10 && s.average == 4 && s.known == 3);
    s = loader_sums(&(struct loads){.count = 1});
    assert_true(s.total == 0 && s.average == 0 && s.known == 0);
}

struct seen {
    struct core *core;
    struct loads loads;
    unsigned told, done;
    bool is_ok;
};

static void on_loads(void *arg, const struct loads *loads)
{
    struct seen *s = arg;
    s->loads = *loads;
    s->told++;
}

static void on_done(void *arg, bool is_ok)
{
    struct seen *s = arg;
    s->is_ok = is_ok;
    s->done++;
}

static void begin_gather(struct core *c, void *arg)
{
    static struct members_view view;
    struct seen *s = arg;
    struct fail fail = {0};
    s->core = c;
    members_view_take(c, c->now, &view);
    assert_int_equal(loader_gather(c, &view, on_loads, s, &fail), 0);
}

static void begin_balance(struct core *c, void *arg)
{
    struct seen *s = arg;
    struct fail fail = {0};
    assert_int_equal(loader_balance(c, &s->loads, 0.1, on_done, s, &fail), 0);
}

static void look(struct core *c, void *arg)
{
    (void)c;
    (void)arg;
}

static void gather(struct disk *d, struct seen *s)
{
    *s = (struct seen){0};
    once(d->core, begin_gather, s);
    for (int i = 0; i < TRIES && s->told == 0; i++) {
        nap();
        rig_look(d->core, look, NULL);
    }
    assert_int_equal(s->told, 1);
}

struct target {
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port;
    size_t gathers;
};

static void see_target(struct core *c, void *arg)
{
    struct target *t = arg;
    memcpy(t->host, c->loader.host, sizeof(t->host));
    t->port = c->loader.port;
    t->gathers = c->loader.gathers;
}

static void test_balance__ordered_at_any_node__the_fullest_gives_a_tenth(void **state)
{
    (void)state;
    static struct seen s;
    struct target t = {0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        write_through(&disks[i], "a");
    }
    connect_some(&disks[0], 40);
    connect_some(&disks[1], 5);
    gather(&disks[1], &s);
    struct load_sums sums = loader_sums(&s.loads);
    assert_int_equal(s.loads.count, NODES);
    assert_true(sums.known == NODES && sums.total == 45 && sums.max == 40 && sums.min == 0);
    once(disks[1].core, begin_balance, &s);
    for (int i = 0; i < TRIES && s.done == 0; i++) {
        nap();
        rig_look(disks[1].core, look, NULL);
    }
    assert_int_equal(s.done, 1);
    assert_true(s.is_ok);
    rig_look(disks[0].core, see_target, &t);
    assert_string_equal(t.host, "127.0.0.1");
    assert_int_equal(t.port, options[2].port); /* the emptiest */
    rig_look(disks[1].core, see_target, &t);
    assert_string_equal(t.host, "");
    assert_int_equal(t.gathers, 0);
    disk_stop(&disks[2]);
    for (int i = 0; i < 3; i++) { /* who does not answer is not known, and nobody waits for long */
        uint64_t begun_ms = clock_mono_ms();
        gather(&disks[1], &s);
        assert_true(clock_mono_ms() - begun_ms < 2 * LOADER_PATIENCE_MS);
    }
    assert_true(loader_sums(&s.loads).known == NODES - 1);
    close_all();
}

static void ask_too_much(struct core *c, void *arg)
{
    static struct members_view view;
    struct seen *s = arg;
    struct fail fail = {0};
    members_view_take(c, c->now, &view);
    for (int i = 0; i < LOADER_GATHERS_MAX; i++) {
        assert_int_equal(loader_gather(c, &view, on_loads, s, &fail), 0);
    }
    assert_int_equal(loader_gather(c, &view, on_loads, s, &fail), E_LIMIT);
    assert_int_equal(loader_balance(c, &s->loads, 0.1, on_done, s, &fail), E_LIMIT);
    assert_int_equal(s->told, 0);
    struct now later = c->now;
    later.mono_ms += LOADER_PATIENCE_MS;
    queries_turn(c, later);
    assert_int_equal(s->told, LOADER_GATHERS_MAX);
    assert_int_equal(loader_sums(&s->loads).known, 1);
    assert_int_equal(c->loader.gathers, 0);
}

static void test_gather__too_many__are_refused_and_late_answers_are_nobodys(void **state)
{
    (void)state;
    static struct seen s;
    s = (struct seen){0};
    set_up();
    begin_all();
    for (unsigned i = 0; i < NODES; i++) {
        write_through(&disks[i], "a");
    }
    once(disks[0].core, ask_too_much, &s);
    rig_look(disks[0].core, look, NULL);
    assert_int_equal(s.told, LOADER_GATHERS_MAX);
    close_all();
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload__more_than_are_kept__are_asked_in_portions),
        cmocka_unit_test(test_sums__count_only_who_answered),
        cmocka_unit_test(test_balance__ordered_at_any_node__the_fullest_gives_a_tenth),
        cmocka_unit_test(test_gather__too_many__are_refused_and_late_answers_are_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
