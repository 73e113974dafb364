/* A log on a played disk; on a real one: test_raft_disk.c. */
#include "consensus/raft_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "consensus/consensus.h"

/* What the owner of a log saw. */
struct owner {
    unsigned commits;
    unsigned rejects;
    unsigned snapshots;
    unsigned busy; /* how often snapshot_write says so */
    unsigned loads;
};

static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct owner *o = self;
    (void)index;
    (void)kind;
    (void)op;
    (void)cookie;
    o->commits++;
}

static void on_entry_end(void *self, uint64_t index)
{
    (void)self;
    (void)index;
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    struct owner *o = self;
    (void)cookie;
    (void)why;
    o->rejects++;
}

static void on_wake(void *self)
{
    (void)self;
}

static void on_fatal(void *self, const struct fail *why)
{
    (void)self;
    fail_msg("%s", fail_text(why));
}

static void *snapshot_begin(void *self, uint64_t index)
{
    (void)index;
    return self;
}

static int snapshot_write(void *state, struct consensus_sink *sink)
{
    struct owner *o = state;
    if (o->busy > 0) {
        o->busy--;
        return E_BUSY;
    }
    return consensus_sink_write(sink, SPAN("state"));
}

static void snapshot_end(void *self, void *state)
{
    struct owner *o = self;
    assert_ptr_equal(state, self);
    o->snapshots++;
}

static int snapshot_load(void *self, uint64_t index, struct consensus_source *source,
                         struct fail *fail)
{
    struct owner *o = self;
    char text[8] = "";
    (void)index;
    (void)fail;
    assert_int_equal(consensus_source_left(source), 5);
    assert_int_equal(consensus_source_read(source, text, 5), 0);
    assert_string_equal(text, "state");
    o->loads++;
    return 0;
}

static const struct consensus_ops ops = {
    .on_commit = on_commit,
    .on_entry_end = on_entry_end,
    .on_reject = on_reject,
    .on_wake = on_wake,
    .on_fatal = on_fatal,
    .snapshot_begin = snapshot_begin,
    .snapshot_write = snapshot_write,
    .snapshot_end = snapshot_end,
    .snapshot_load = snapshot_load,
};

static struct consensus *open_log(struct raft_memory *m, struct owner *o)
{
    struct consensus_raft_options options = {
        .played = m, .seed = 1, .snapshot_entries = 4, .trailing_entries = 1};
    struct consensus *log = NULL;
    struct fail fail = {0};
    *o = (struct owner){0};
    assert_int_equal(consensus_create_raft(&options, &ops, o, &log, &fail), 0);
    return log;
}

static uint64_t clock_ms;

static void run(struct raft_memory *m, struct consensus *log, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        raft_memory_run(m, ++clock_ms);
        (void)consensus_turn(log, (struct now){.mono_ms = clock_ms});
    }
}

static void write_some(struct raft_memory *m, struct consensus *log, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(consensus_propose(log, CONSENSUS_NAMING, SPAN("op"), NULL, NULL), 0);
        run(m, log, 3);
    }
}

static void test_log__on_a_played_disk__continues_after_a_crash(void **state)
{
    (void)state;
    struct owner o;
    struct raft_memory *m = raft_memory_create(1);
    assert_false(consensus_played_is_begun(m));
    struct consensus *log = open_log(m, &o);
    assert_true(consensus_played_is_begun(m));
    run(m, log, 5);
    write_some(m, log, 2);
    assert_int_equal(o.commits, 2);
    consensus_destroy(log);
    log = open_log(m, &o);
    run(m, log, 5);
    assert_int_equal(o.commits, 2);
    consensus_destroy(log);
    raft_memory_destroy(m);
}

static void test_destroy__write_under_way__is_lost_as_in_a_crash(void **state)
{
    (void)state;
    struct owner o;
    struct raft_memory *m = raft_memory_create(1);
    struct consensus *log = open_log(m, &o);
    run(m, log, 5);
    raft_memory_faults(m)->delay_min_ms = 100;
    raft_memory_faults(m)->delay_max_ms = 100;
    assert_int_equal(consensus_propose(log, CONSENSUS_NAMING, SPAN("op"), &o, NULL), 0);
    run(m, log, 3);
    assert_int_equal(o.commits, 0);
    consensus_destroy(log);
    assert_int_equal(o.rejects, 1);
    raft_memory_destroy(m);
}

static void test_snapshot__owner_is_busy__is_asked_again_and_loaded_at_the_next_start(void **state)
{
    (void)state;
    struct owner o;
    struct raft_memory *m = raft_memory_create(1);
    struct consensus *log = open_log(m, &o);
    o.busy = 3;
    run(m, log, 5);
    write_some(m, log, 6);
    run(m, log, 10);
    assert_int_equal(o.busy, 0);
    assert_int_equal(o.snapshots, 1);
    assert_true(consensus_state(log).snapshot_index > 0);
    consensus_destroy(log);
    log = open_log(m, &o);
    assert_int_equal(o.loads, 1);
    consensus_destroy(log);
    raft_memory_destroy(m);
}

static void test_destroy__snapshot_not_written__is_given_up(void **state)
{
    (void)state;
    struct owner o;
    struct raft_memory *m = raft_memory_create(1);
    struct consensus *log = open_log(m, &o);
    o.busy = 1000000;
    run(m, log, 5);
    write_some(m, log, 6);
    assert_int_equal(o.snapshots, 0);
    consensus_destroy(log);
    assert_int_equal(o.snapshots, 1);
    raft_memory_destroy(m);
}

static void test_open__joining__begins_without_members(void **state)
{
    (void)state;
    struct raft_memory *m = raft_memory_create(1);
    struct raft_disk_options options = {.id = 3};
    struct raft_loaded loaded = {0};
    struct raft_store s = {0};
    struct fail fail = {0};
    assert_int_equal(raft_store_open(&s, &options, m, &loaded, &fail), 0);
    assert_int_equal(loaded.n, 0);
    assert_int_equal(loaded.term, 0);
    raft_free(loaded.entries);
    assert_true(raft_memory_is_made(m));
    assert_true(raft_store_has_room_for(&s, SIZE_MAX));
    raft_memory_faults(m)->is_full = true;
    assert_true(raft_store_is_full(&s));
    raft_memory_run(m, 77);
    assert_int_equal(raft_store_now_ms(&s), 77);
    raft_store_close(&s);
    raft_memory_destroy(m);
}

static void test_open__less_than_it_had__is_refused(void **state)
{
    (void)state;
    struct raft_memory *m = raft_memory_create(1);
    struct raft_disk_options options = {.id = 3, .address = "a", .is_first_voter = true};
    struct raft_loaded loaded = {0};
    struct raft_store s = {0};
    struct fail fail = {0};
    struct raft_storage storage = raft_memory_storage(m);
    raft_memory_make(m);
    static char bytes[8];
    const struct raft_entry entry = {.term = 1, .type = RAFT_COMMAND, .buf = {bytes, 8}};
    assert_int_equal(storage.ops->append(storage.self, 1, &entry, 1, NULL, NULL), 0);
    raft_memory_run(m, 1);
    storage.ops->reached(storage.self, 1);
    assert_int_equal(storage.ops->truncate(storage.self, 1), 0);
    raft_memory_run(m, 2);
    assert_int_equal(raft_store_open(&s, &options, m, &loaded, &fail), E_IO);
    raft_store_close(&s);
    raft_memory_destroy(m);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__on_a_played_disk__continues_after_a_crash),
        cmocka_unit_test(test_destroy__write_under_way__is_lost_as_in_a_crash),
        cmocka_unit_test(test_snapshot__owner_is_busy__is_asked_again_and_loaded_at_the_next_start),
        cmocka_unit_test(test_destroy__snapshot_not_written__is_given_up),
        cmocka_unit_test(test_open__joining__begins_without_members),
        cmocka_unit_test(test_open__less_than_it_had__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
