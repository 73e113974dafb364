/* A whole core without a thread: time, disk and turns are the test's. */
#include "disk_rig.h"

#include "base/thread.h"
#include "consensus/raft_memory.h"
#include "node/effects.h"
#include "store/db_worker.h"

struct played {
    struct disk disk; /* its directory */
    struct raft_memory *log;
    struct core *core;
    uint64_t now_ms;
    unsigned ready;
    unsigned effects;
};

static void on_ready(void *self)
{
    struct played *p = self;
    p->ready++;
}

static void perform(void *self, struct effect *e)
{
    struct played *p = self;
    (void)e;
    p->effects++;
}

static struct now now_of(const struct played *p)
{
    return (struct now){p->now_ms, 1700000000000 + (int64_t)p->now_ms};
}

static void boot(struct played *p)
{
    struct fail fail = {0};
    const struct effects_edge edge = {p, perform};
    const struct core_played played = {.disk = p->log, .now = now_of(p), .seed = 1};
    struct core_options options = rig_options();
    options.config = (struct config_options){
        .memory_bytes_max = 1u << 20, .content_chars_max = 10485760, .gray_max = 10};
    options.dir = p->disk.dir;
    options.played = &played;
    options.on_ready = on_ready;
    options.on_fatal = disk_on_fatal;
    options.self = p;
    p->ready = 0;
    assert_int_equal(core_create(&options, &p->core, &fail), 0);
    assert_int_equal(core_begin(p->core, &edge, &fail), 0);
    assert_int_equal(core_due(p->core), 0); /* the first turn needs no message */
}

static void halt(struct played *p)
{
    core_stop(p->core);
    core_destroy(p->core);
    p->core = NULL;
}

static void run(struct played *p, unsigned ms)
{
    for (uint64_t end = p->now_ms + ms; p->now_ms < end;) {
        p->now_ms++;
        raft_memory_run(p->log, p->now_ms);
        while (db_worker_step(core_db_worker(p->core), true, p->now_ms)) {
        }
        core_step(p->core, now_of(p));
    }
}

static void set_up(struct played *p)
{
    *p = (struct played){.now_ms = 1000};
    disk_init(&p->disk);
    p->log = raft_memory_create(1);
}

static void tear_down(struct played *p)
{
    raft_memory_destroy(p->log);
    disk_close(&p->disk);
}

static void test_core_step__serves_and_keeps_what_it_answered_over_a_crash(void **state)
{
    (void)state;
    static const struct api_row row = {.name = "publish", .admit = disk_admit};
    struct disk_publish publish = {"d", "content"};
    struct played p;
    struct rig_call c;
    set_up(&p);
    boot(&p);
    run(&p, 20);
    assert_int_equal(p.ready, 1);
    rig_call_open(&c, &row, core_config(p.core));
    c.call.msg = &publish;
    rig_post(p.core, &c);
    assert_int_equal(core_due(p.core), 0);
    run(&p, 20);
    assert_int_equal(c.delivered, 1);
    assert_int_equal(c.call.reply.fail.code, 0);
    rig_call_close(&c);
    halt(&p);
    boot(&p);
    run(&p, 20);
    assert_int_equal(p.ready, 1);
    assert_int_equal(config_stats(core_config(p.core)).configs, 1);
    halt(&p);
    tear_down(&p);
}

static void test_core_step__time_is_the_callers(void **state)
{
    (void)state;
    struct played p;
    set_up(&p);
    boot(&p);
    run(&p, 20);
    uint64_t due = core_due(p.core);
    assert_true(due > p.now_ms);
    core_step(p.core, now_of(&p));
    assert_true(core_due(p.core) >= due); /* no time has passed for it */
    halt(&p);
    tear_down(&p);
}

static void test_core_stop__call_under_way__is_answered_once(void **state)
{
    (void)state;
    static const struct api_row row = {.name = "publish", .admit = disk_admit};
    struct disk_publish publish = {"d", "content"};
    struct played p;
    struct rig_call c;
    set_up(&p);
    boot(&p);
    run(&p, 20);
    raft_memory_faults(p.log)->delay_min_ms = 1000;
    raft_memory_faults(p.log)->delay_max_ms = 1000;
    rig_call_open(&c, &row, core_config(p.core));
    c.call.msg = &publish;
    rig_post(p.core, &c);
    run(&p, 20);
    assert_int_equal(c.delivered, 0);
    halt(&p);
    assert_int_equal(c.delivered, 1);
    assert_int_equal(c.call.reply.fail.code, E_CLOSED);
    rig_call_close(&c);
    tear_down(&p);
}

static void test_connection__effects_go_to_the_edge(void **state)
{
    (void)state;
    struct played p;
    struct peer *peer = peer_create(SPAN("10.0.0.1"), 4001, 1700000000000, 1);
    set_up(&p);
    boot(&p);
    run(&p, 20);
    rig_open_conn(p.core, peer, RIG_SETUP);
    run(&p, 5);
    assert_int_equal(p.effects, 1); /* accepted */
    halt(&p);
    peer_unref(peer);
    tear_down(&p);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_core_step__serves_and_keeps_what_it_answered_over_a_crash),
        cmocka_unit_test(test_core_step__time_is_the_callers),
        cmocka_unit_test(test_core_stop__call_under_way__is_answered_once),
        cmocka_unit_test(test_connection__effects_go_to_the_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
