#include "log_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define PATIENCE_MS 20000

static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct log_bed *b = self;
    (void)index;
    (void)kind;
    ASSERT(b->count < LOG_BED_OPS_MAX);
    ASSERT(op.len >= 8);
    memcpy(&b->values[b->count++], op.data, 8);
    b->acked += cookie != NULL;
}

static void on_entry_end(void *self, uint64_t index)
{
    (void)self;
    (void)index;
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    struct log_bed *b = self;
    b->rejected += cookie != NULL;
    b->last = *why;
}

static void on_wake(void *self)
{
    struct log_bed *b = self;
    b->wakes++;
    uv_stop(&b->loop);
}

static void on_fatal(void *self, const struct fail *why)
{
    struct log_bed *b = self;
    b->fatals++;
    b->last = *why;
}

struct copy {
    struct log_bed *bed;
    unsigned count;
    uint64_t *values;
};

static void *snapshot_begin(void *self, uint64_t index)
{
    struct log_bed *b = self;
    (void)index;
    if (b->is_snapshot_refused) {
        return NULL;
    }
    struct copy *c = mem_zalloc(1, sizeof *c);
    c->bed = b;
    c->count = b->count;
    c->values = mem_zalloc(b->count + 1, sizeof *c->values);
    memcpy(c->values, b->values, b->count * sizeof *c->values);
    return c;
}

static int snapshot_write(void *state, struct consensus_sink *sink)
{
    const struct copy *c = state;
    int err = c->bed->is_snapshot_failing ? E_LIMIT : 0;
    for (unsigned i = 0; i < c->count && !err; i++) {
        err = consensus_sink_write(sink, span_of((const char *)&c->values[i], 8));
    }
    return err;
}

static void snapshot_end(void *self, void *state)
{
    struct log_bed *b = self;
    struct copy *c = state;
    b->snapshots++;
    mem_free(c->values);
    mem_free(c);
}

static int snapshot_load(void *self, uint64_t index, struct consensus_source *source,
                         struct fail *fail)
{
    struct log_bed *b = self;
    (void)index;
    b->loads++;
    b->count = 0;
    while (consensus_source_left(source) > 0) {
        if (consensus_source_read(source, &b->values[b->count++], 8) != 0) {
            return fail_set(fail, E_PARSE, "half a value");
        }
    }
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

static void remove_tree(const char *dir)
{
    char command[256];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    ASSERT(system(command) == 0);
}

void log_bed_init(struct log_bed *b)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(b->dir, sizeof b->dir, "%s/nacre-log-XXXXXX", tmp ? tmp : "/tmp");
    ASSERT(mkdtemp(b->dir));
    ASSERT(uv_loop_init(&b->loop) == 0);
    ASSERT(uv_timer_init(&b->loop, &b->timer) == 0);
}

int log_bed_open(struct log_bed *b, struct fail *fail)
{
    b->options.dir = b->dir;
    b->options.loop = &b->loop;
    b->count = 0;
    return consensus_create_raft(&b->options, &ops, b, &b->log, fail);
}

void log_bed_shut(struct log_bed *b)
{
    consensus_destroy(b->log);
    b->log = NULL;
}

void log_bed_close(struct log_bed *b)
{
    log_bed_shut(b);
    uv_close((uv_handle_t *)&b->timer, NULL);
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&b->loop) == 0);
    remove_tree(b->dir);
}

int log_bed_propose(struct log_bed *b, uint64_t value, size_t len, struct fail *fail)
{
    char *op = mem_zalloc(1, len);
    memcpy(op, &value, sizeof value);
    int err = consensus_propose(b->log, CONSENSUS_CONFIG, span_of(op, len), b, fail);
    mem_free(op);
    return err;
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

bool log_bed_until(struct log_bed *b, bool (*condition)(const struct log_bed *b))
{
    uint64_t deadline = clock_now().mono_ms + PATIENCE_MS;
    while (clock_now().mono_ms < deadline) {
        (void)consensus_turn(b->log, clock_now());
        if (condition(b)) {
            return true;
        }
        ASSERT(uv_timer_start(&b->timer, on_timer, 20, 0) == 0);
        (void)uv_run(&b->loop, UV_RUN_DEFAULT);
        ASSERT(uv_timer_stop(&b->timer) == 0);
    }
    return false;
}

static unsigned wanted;

static bool is_answered(const struct log_bed *b)
{
    return b->acked + b->rejected >= wanted;
}

bool log_bed_answered(struct log_bed *b, unsigned n)
{
    wanted = n;
    return log_bed_until(b, is_answered);
}
