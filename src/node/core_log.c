#include "node/core_state.h"

#include "api/dispatch.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "loop/loop.h"
#include "namespace/namespace.h"
#include "naming/naming_snapshot.h"
#include "node/backup.h"
#include "node/filebytes.h"
#include "node/peering.h"
#include "node/peering_digest.h"
#include "node/sections.h"
#include "node/tables.h"
#include "store/db_sqlite.h"

#include <endian.h>
#include <stdio.h>
#include <unistd.h>

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

/* A committed operation, of a node (0: of this one alone) and for a call of this one, if any. */
struct committed {
    uint64_t index;
    enum consensus_kind kind;
    struct span op;
    uint64_t owner;
    struct api_call *waiting;
    uint64_t shown; /* its number, when this node's clients see it already; 0 */
};

static void commit(struct core *c, const struct committed *m)
{
    if (c->played.on_apply) {
        c->played.on_apply(c->played.self, m->index, m->kind, m->op);
    }
    if (m->shown) {
        naming_commit_shown(c->naming, m->shown, m->op, m->owner, c->now, &c->out);
        return;
    }
    if (m->kind == CONSENSUS_NAMING) {
        naming_commit(c->naming, m->op, m->owner, m->waiting, c->now, &c->out);
        return;
    }
    if (!c->tables || (m->kind != CONSENSUS_CONFIG && m->kind != CONSENSUS_NAMESPACE)) {
        skip_unknown(c, m->kind, m->waiting);
        return;
    }
    if (m->index <= tables_index(c->tables)) {
        return; /* the tables had it when they were loaded */
    }
    size_t from = c->out.count;
    if (m->kind == CONSENSUS_CONFIG) {
        config_commit(c->config, m->index, m->op, m->waiting, c->now, &c->out);
    } else {
        namespace_commit(c->namespaces, m->index, m->op, m->waiting, c->now, &c->out);
    }
    if (c->peers) {
        peering_hold(c->peers, m->index, m->waiting, from);
    }
}

static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct core *c = self;
    struct committed m = {.index = index, .kind = kind, .op = op};
    if (!c->peers) {
        m.waiting = cookie;
        commit(c, &m);
        return;
    }
    struct proposal p = {0};
    unsigned inner = (unsigned)kind & ~(unsigned)CONSENSUS_OWNED;
    if (inner == (unsigned)kind || !peering_open(c->peers, inner, op, &p)) {
        return; /* taken before, of a life that is over, or the cluster's own */
    }
    m.kind = (enum consensus_kind)inner;
    m.op = p.op;
    m.owner = p.owner;
    m.waiting = p.cookie;
    m.shown = p.shown;
    commit(c, &m);
}

static void on_entry_end(void *self, uint64_t index)
{
    struct core *c = self;
    c->entry_index = index;
    if (c->tables && index > tables_index(c->tables)) {
        table_writer_entry_end(tables_writer(c->tables), index);
    }
    if (c->peers) {
        peering_digest_entry(c->peers);
    }
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    struct core *c = self;
    if (!cookie) {
        return;
    }
    if (c->peers) {
        peering_on_reject(c->peers, cookie, why);
    } else {
        core_reject(c, cookie, why);
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

static void on_leader(void *self, uint64_t id, uint64_t term)
{
    struct core *c = self;
    (void)term;
    if (c->peers) {
        peering_on_leader(c->peers, id, c->now);
    }
}

/* ---------------------------------------------------------------- snapshots */

struct snapshot {
    struct naming_snapshot *naming;
    struct table_writer *tables;
    uint64_t index; /* the tables must hold this entry */
    bool is_shared; /* with other nodes: */
    struct owners owners;
};

static void *snapshot_begin(void *self, uint64_t index)
{
    struct core *c = self;
    (void)index; /* what follows the last whole entry is the log's own */
    struct snapshot *s = mem_zalloc(1, sizeof(*s));
    s->naming = naming_snapshot_collect(c->naming);
    s->tables = tables_writer(c->tables);
    s->index = c->entry_index;
    if (c->peers) {
        s->is_shared = true;
        s->owners = *peering_owners(c->peers);
    }
    return s;
}

static int sink_write(void *self, struct span bytes, struct fail *fail)
{
    int err = consensus_sink_write(self, bytes);
    return err ? fail_set(fail, err, "the snapshot is larger than the log can hold") : 0;
}

static int write_index(struct sections_out *out, uint64_t index, struct fail *fail)
{
    struct byte_sink sink = {0};
    uint64_t wire = htole64(index);
    int err = section_open(out, SECTION_TABLES, &sink, fail);
    if (!err) {
        err = sink.write(sink.self, span_of((const char *)&wire, sizeof(wire)), fail);
    }
    return err ? err : section_close(out, fail);
}

static int write_owners(struct sections_out *out, const struct snapshot *s, struct fail *fail)
{
    struct byte_sink sink = {0};
    int err = section_open(out, SECTION_OWNERS, &sink, fail);
    if (!err) {
        err = owners_save(&s->owners, &sink, fail);
    }
    return err ? err : section_close(out, fail);
}

/* The log may be cut at a snapshot, so the tables must be durable up to there before
 * (consensus.md 5.2). */
static int write_sections(const struct snapshot *s, const struct byte_sink *to, struct fail *fail)
{
    struct sections_out out;
    struct byte_sink sink = {0};
    int err = sections_begin(&out, to, fail);
    if (!err) {
        err = write_index(&out, s->index, fail);
    }
    if (!err && s->is_shared) {
        err = write_owners(&out, s, fail);
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
    if (err && err != E_BUSY) { /* a played core is asked again */
        LOG_WARN("node", "event=snapshot_given_up index=%llu reason=\"%s\"",
                 (unsigned long long)s->index, fail_text(&fail));
    }
    return err;
}

/* The tables, which snapshots leave out: they are large, and a node has its own. A copy made later
 * than the snapshot is as good, because entries that tables hold already are not applied to them
 * again. */
static int companion_make(void *self, const char *path, const atomic_bool *is_stopping)
{
    const struct core *c = self;
    struct fail fail = {0};
    int err = backup_copy_tables(tables_path(c->tables), path, is_stopping, &fail);
    if (err && err != E_CLOSED) {
        LOG_WARN("node", "event=tables_not_copied reason=\"%s\"", fail_text(&fail));
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

/* What is read from sections. Plain data. */
struct loading {
    uint64_t index; /* the tables must hold it */
    bool has_index, has_naming;
};

static int read_index(const struct byte_source *from, struct loading *l, struct fail *fail)
{
    uint64_t wire = 0;
    int err = from->read(from->self, &wire, sizeof(wire), fail);
    if (!err) {
        l->index = le64toh(wire);
        l->has_index = true;
    }
    return err;
}

/* What came with the snapshot (companion_make of another node), if anything did. */
static bool find_companion(const struct core *c, char path[FILEBYTES_PATH_MAX])
{
    (void)snprintf(path, FILEBYTES_PATH_MAX, "%s/" TABLES_INCOMING, c->options.dir);
    return access(path, F_OK) == 0;
}

/* Another node's tables take the place of ours, which lack what no log has any more. Only while
 * nothing runs on them. */
static int take_tables(struct core *c, const struct loading *l, struct fail *fail)
{
    char fresh[FILEBYTES_PATH_MAX];
    if (tables_index(c->tables) >= l->index || !find_companion(c, fresh)) {
        return 0; /* check_loaded looks whether that is enough */
    }
    if (c->running) {
        LOG_WARN("node", "event=restart reason=\"the log brought another node's tables\"");
        c->options.on_restart(c->options.self);
        return fail_set(fail, E_CLOSED, "the node starts again to take over another one's tables");
    }
    int err = db_sqlite_verify(fresh, fail);
    return err ? err : core_replace_tables(c, fresh, fail);
}

static int load_section(struct core *c, uint32_t kind, const struct byte_source *section,
                        struct loading *l, struct fail *fail)
{
    int err = 0;
    switch (kind) {
    case SECTION_TABLES:
        err = read_index(section, l, fail);
        return err ? err : take_tables(c, l, fail);
    case SECTION_OWNERS:
        return c->peers ? owners_load(peering_owners(c->peers), section, fail) : 0;
    case SECTION_NAMING:
        l->has_naming = true;
        return naming_snapshot_load(c->naming, section, c->now, fail);
    default:
        return 0; /* of a newer version: skipped */
    }
}

/* The tables must not be older than the snapshot: what lies between is in no log any more. */
static int check_loaded(const struct core *c, const struct loading *l, struct fail *fail)
{
    if (!l->has_naming) {
        return fail_set(fail, E_PARSE, "the registry is missing in it");
    }
    if (l->has_index && tables_index(c->tables) < l->index) {
        return fail_set(fail, E_CORRUPT,
                        "%s stands at entry %llu and the log begins after entry %llu: the file was "
                        "removed, or is older than the log",
                        tables_path(c->tables), (unsigned long long)tables_index(c->tables),
                        (unsigned long long)l->index);
    }
    return 0;
}

int core_load_sections(struct core *c, const struct byte_source *from, struct fail *fail)
{
    struct sections_in in;
    struct byte_source section = {0};
    struct loading l = {0};
    uint32_t kind = 0;
    int err = sections_open(&in, from, fail);
    while (!err) {
        err = sections_next(&in, &kind, &section, fail);
        if (err || kind == SECTION_END) {
            break;
        }
        err = load_section(c, kind, &section, &l, fail);
    }
    return err ? err : check_loaded(c, &l, fail);
}

static int snapshot_load(void *self, uint64_t index, struct consensus_source *source,
                         struct fail *fail)
{
    struct core *c = self;
    struct byte_source from = {source, source_read};
    int err = core_load_sections(c, &from, fail);
    if (!err) {
        c->entry_index = index;
        if (c->peers) {
            peering_pending_covered(c->peers, c->now);
        }
    }
    if (!err && c->peers) {
        peering_digest_forget(c->peers);
    }
    return err;
}

const struct consensus_ops core_log_ops = {
    .on_commit = on_commit,
    .on_entry_end = on_entry_end,
    .on_reject = on_reject,
    .on_wake = on_wake,
    .on_fatal = on_fatal,
    .on_leader = on_leader,
    .snapshot_begin = snapshot_begin,
    .snapshot_write = snapshot_write,
    .snapshot_end = snapshot_end,
    .snapshot_load = snapshot_load,
    .companion_make = companion_make,
};
