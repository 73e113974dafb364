#include "node/core_state.h"

#include "api/dispatch.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "loop/loop.h"
#include "namespace/namespace.h"
#include "naming/naming_snapshot.h"
#include "node/sections.h"

#include <endian.h>

/* How long a snapshot may wait for the tables; then it is given up and begun again later. */
#define TABLES_WAIT_MS 30000

void core_reject(struct core *c, struct api_call *take_call, const struct fail *why)
{
    if (c->config && take_call->admit_self == c->config) {
        config_rejected(c->config, take_call, why, &c->out);
        return;
    }
    dispatch_fail(take_call, why, &c->out);
}

/* An entry of a newer version, or of a part that this node does not run: a no-op. */
static void skip_unknown(struct core *c, enum consensus_kind kind, struct api_call *waiting)
{
    if (waiting) {
        struct fail why = {0};
        fail_set(&why, E_INTERNAL, "operation of unknown kind %d in the log", (int)kind);
        dispatch_fail(waiting, &why, &c->out);
    }
}

static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct core *c = self;
    if (kind == CONSENSUS_NAMING) {
        naming_commit(c->naming, op, 0, cookie, c->now, &c->out);
        return;
    }
    if (!c->tables || (kind != CONSENSUS_CONFIG && kind != CONSENSUS_NAMESPACE)) {
        skip_unknown(c, kind, cookie);
        return;
    }
    if (index <= tables_index(c->tables)) {
        return; /* the tables had it when they were loaded */
    }
    if (kind == CONSENSUS_CONFIG) {
        config_commit(c->config, index, op, cookie, c->now, &c->out);
    } else {
        namespace_commit(c->namespaces, index, op, cookie, c->now, &c->out);
    }
}

static void on_entry_end(void *self, uint64_t index)
{
    struct core *c = self;
    c->entry_index = index;
    if (c->tables && index > tables_index(c->tables)) {
        table_writer_entry_end(tables_writer(c->tables), index);
    }
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    if (cookie) {
        core_reject(self, cookie, why);
    }
}

static void on_wake(void *self)
{
    struct core *c = self;
    loop_wake(c->loop);
}

static void on_fatal(void *self, const struct fail *why)
{
    struct core *c = self;
    c->options.on_fatal(c->options.self, why);
}

/* ---------------------------------------------------------------- snapshots */

struct snapshot {
    struct naming_snapshot *naming;
    struct table_writer *tables; /* NULL: a log in memory */
    uint64_t index;              /* the tables must hold this entry */
};

static void *snapshot_begin(void *self, uint64_t index)
{
    struct core *c = self;
    (void)index; /* what follows the last whole entry is the log's own */
    struct snapshot *s = mem_zalloc(1, sizeof(*s));
    s->naming = naming_snapshot_collect(c->naming);
    s->tables = tables_writer(c->tables);
    s->index = c->entry_index;
    return s;
}

static int sink_write(void *self, struct span bytes, struct fail *fail)
{
    int err = consensus_sink_write(self, bytes);
    return err ? fail_set(fail, err, "the snapshot is larger than the log can hold") : 0;
}

/* The log may be cut at a snapshot, so the tables must be durable up to there before
 * (consensus.md 5.2). */
static int write_sections(const struct snapshot *s, const struct byte_sink *to, struct fail *fail)
{
    struct sections_out out;
    struct byte_sink sink = {0};
    uint64_t index = htole64(s->index);
    int err = sections_begin(&out, to, fail);
    if (!err) {
        err = section_open(&out, SECTION_TABLES, &sink, fail);
    }
    if (!err) {
        err = sink.write(sink.self, span_of((const char *)&index, sizeof(index)), fail);
    }
    if (!err) {
        err = section_close(&out, fail);
    }
    if (!err) {
        err = section_open(&out, SECTION_NAMING, &sink, fail);
    }
    if (!err) {
        err = naming_snapshot_write(s->naming, &sink, fail);
    }
    if (!err) {
        err = section_close(&out, fail);
    }
    return err ? err : sections_finish(&out, fail);
}

static int snapshot_write(void *state, struct consensus_sink *sink)
{
    const struct snapshot *s = state;
    struct fail fail = {0};
    int err = table_writer_wait_durable(s->tables, s->index, TABLES_WAIT_MS, &fail);
    if (!err) {
        struct byte_sink to = {sink, sink_write};
        err = write_sections(s, &to, &fail);
    }
    if (err) {
        LOG_WARN("node", "event=snapshot_given_up index=%llu reason=\"%s\"",
                 (unsigned long long)s->index, fail_text(&fail));
    }
    return err;
}

static void snapshot_end(void *self, void *state)
{
    struct snapshot *s = state;
    (void)self;
    naming_snapshot_free(s->naming);
    mem_free(s);
}

static int source_read(void *self, void *dst, size_t len, struct fail *fail)
{
    int err = consensus_source_read(self, dst, len);
    return err ? fail_set(fail, err, "the snapshot ends too early") : 0;
}

/* The tables must not be older than the snapshot: what lies between is in no log any more. */
static int check_tables(const struct core *c, const struct byte_source *from, struct fail *fail)
{
    uint64_t wire = 0;
    int err = from->read(from->self, &wire, sizeof(wire), fail);
    if (err) {
        return err;
    }
    uint64_t index = le64toh(wire);
    if (tables_index(c->tables) < index) {
        return fail_set(fail, E_CORRUPT,
                        "%s stands at entry %llu and the log begins after entry %llu: the file was "
                        "removed, or is older than the log",
                        tables_path(c->tables), (unsigned long long)tables_index(c->tables),
                        (unsigned long long)index);
    }
    return 0;
}

int core_load_sections(struct core *c, const struct byte_source *from, struct fail *fail)
{
    struct sections_in in;
    struct byte_source section = {0};
    uint32_t kind = 0;
    int err = sections_open(&in, from, fail);
    bool has_naming = false;
    while (!err) {
        err = sections_next(&in, &kind, &section, fail);
        if (err || kind == SECTION_END) {
            break;
        }
        if (kind == SECTION_TABLES) {
            err = check_tables(c, &section, fail);
        } else if (kind == SECTION_NAMING) {
            has_naming = true;
            err = naming_snapshot_load(c->naming, &section, c->now, fail);
        }
    }
    if (!err && !has_naming) {
        err = fail_set(fail, E_PARSE, "the registry is missing in it");
    }
    return err;
}

static int snapshot_load(void *self, uint64_t index, struct consensus_source *source,
                         struct fail *fail)
{
    struct core *c = self;
    struct byte_source from = {source, source_read};
    int err = core_load_sections(c, &from, fail);
    if (!err) {
        c->entry_index = index;
    }
    return err;
}

const struct consensus_ops core_log_ops = {
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
