#include "consensus/raft_memory.h"

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/raft_log.h"

#define CAPACITY_KIB 16384

enum op_kind { OP_APPEND, OP_TRUNCATE, OP_PUT, OP_GET };

struct op {
    struct op *next;
    enum op_kind kind;
    uint64_t due_ms;
    uint64_t index;
    const struct raft_entry *entries;
    unsigned n;
    const struct raft_snapshot *snapshot;
    unsigned trailing;
    raft_done_fn done;
    raft_got_fn got;
    void *arg;
};

/* Operations of a lane complete in order. Snapshots of one's own are written beside the log. */
enum lane { LANE_LOG, LANE_SNAPSHOT, LANES };

struct raft_memory {
    uint64_t random;
    uint64_t now_ms;
    uint64_t term;
    uint64_t vote;
    uint64_t mark;
    bool is_made;
    struct raft_log log;
    struct raft_snapshot_metadata meta; /* index 0: no snapshot */
    struct raft_buffer data;
    struct op *lanes[LANES];
    struct raft_memory_faults faults;
};

static uint64_t next_random(struct raft_memory *m)
{
    /* xorshift64: the same sequence from the same seed everywhere. */
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static void *must(void *memory)
{
    ASSERT(memory);
    return memory;
}

static void copy_conf(const struct raft_configuration *from, struct raft_configuration *to)
{
    raft_configuration_init(to);
    for (unsigned i = 0; i < from->n; i++) {
        const struct raft_server *s = &from->servers[i];
        int err = raft_configuration_add(to, s->id, s->address, s->role);
        ASSERT(!err);
    }
}

struct raft_memory *raft_memory_create(uint64_t seed)
{
    struct raft_memory *m = mem_zalloc(1, sizeof *m);
    m->random = seed * 0x9e3779b97f4a7c15u + 1;
    raft_log_start(&m->log, 0, 0, 1);
    return m;
}

void raft_memory_destroy(struct raft_memory *m)
{
    if (!m) {
        return;
    }
    raft_memory_crash(m);
    raft_log_close(&m->log);
    raft_configuration_close(&m->meta.configuration);
    mem_free(m->data.base);
    mem_free(m);
}

struct raft_memory_faults *raft_memory_faults(struct raft_memory *m)
{
    return &m->faults;
}

bool raft_memory_is_made(const struct raft_memory *m)
{
    return m->is_made;
}

void raft_memory_make(struct raft_memory *m)
{
    m->is_made = true;
}

void raft_memory_bootstrap(struct raft_memory *m, const struct raft_configuration *conf)
{
    m->is_made = true;
    struct raft_buffer buf = {0};
    int err = raft_configuration_encode(conf, &buf);
    ASSERT(!err);
    m->term = 1;
    raft_log_append(&m->log, 1, RAFT_CHANGE, raft_block_copy(buf.base, buf.len));
    raft_free(buf.base);
}

static struct raft_buffer copy_data(struct raft_buffer from)
{
    struct raft_buffer to = {must(raft_malloc(from.len + 1)), from.len};
    if (from.len > 0) {
        memcpy(to.base, from.base, from.len);
    }
    return to;
}

void raft_memory_load(struct raft_memory *m, struct raft_loaded *ret)
{
    *ret = (struct raft_loaded){
        .term = m->term,
        .vote = m->vote,
        .start_index = m->log.first,
        .reached = m->mark,
    };
    if (m->meta.index > 0) {
        ret->has_snapshot = true;
        ret->meta = m->meta;
        copy_conf(&m->meta.configuration, &ret->meta.configuration);
        ret->data = copy_data(m->data);
    }
    ret->n = m->log.count;
    ret->entries = must(raft_calloc(ret->n + 1, sizeof *ret->entries));
    for (size_t i = 0; i < ret->n; i++) {
        const struct raft_slot *slot = raft_log_get(&m->log, m->log.first + i);
        struct raft_buffer raw = {slot->block->bytes, slot->block->len};
        struct raft_buffer copy = copy_data(raw);
        ret->entries[i] = (struct raft_entry){slot->term, slot->type, copy, copy.base};
    }
}

/* ---------------------------------------------------------------- what a driver calls */

static struct op *push(struct raft_memory *m, enum lane lane, enum op_kind kind)
{
    unsigned spread = m->faults.delay_max_ms - m->faults.delay_min_ms;
    struct op *op = mem_zalloc(1, sizeof *op);
    op->kind = kind;
    op->due_ms = m->now_ms + m->faults.delay_min_ms + (spread ? next_random(m) % (spread + 1) : 0);
    struct op **at = &m->lanes[lane];
    while (*at) {
        /* In order; a disk writes what waits at once, so delays do not add up. */
        op->due_ms = (*at)->due_ms > op->due_ms ? (*at)->due_ms : op->due_ms;
        at = &(*at)->next;
    }
    *at = op;
    return op;
}

/* The machine stops in a write of term or vote: what was before or what comes is on disk. */
static int write_meta(struct raft_memory *m, uint64_t term, uint64_t vote)
{
    bool stops = m->faults.stop_at_meta > 0 && --m->faults.stop_at_meta == 0;
    m->faults.is_stopped = m->faults.is_stopped || stops;
    if (!stops || next_random(m) % 2 == 0) {
        m->term = term;
        m->vote = vote;
    }
    return stops ? RAFT_IOERR : 0;
}

static int set_term(void *self, uint64_t term)
{
    return write_meta(self, term, 0);
}

static int set_vote(void *self, uint64_t id)
{
    struct raft_memory *m = self;
    return write_meta(m, m->term, id);
}

static int truncate_from(void *self, uint64_t index)
{
    push(self, LANE_LOG, OP_TRUNCATE)->index = index;
    return 0;
}

static int append(void *self, uint64_t index, const struct raft_entry *entries, unsigned n,
                  raft_done_fn done, void *arg)
{
    struct op *op = push(self, LANE_LOG, OP_APPEND);
    op->index = index;
    op->entries = entries;
    op->n = n;
    op->done = done;
    op->arg = arg;
    return 0;
}

static int put_snapshot(void *self, const struct raft_snapshot *snapshot, unsigned trailing,
                        raft_done_fn done, void *arg)
{
    struct op *op = push(self, trailing ? LANE_SNAPSHOT : LANE_LOG, OP_PUT);
    op->snapshot = snapshot;
    op->trailing = trailing;
    op->done = done;
    op->arg = arg;
    return 0;
}

static int get_snapshot(void *self, raft_got_fn got, void *arg)
{
    struct op *op = push(self, LANE_SNAPSHOT, OP_GET);
    op->got = got;
    op->arg = arg;
    return 0;
}

static unsigned short capacity(void *self)
{
    const struct raft_memory *m = self;
    return m->faults.is_full ? 0 : CAPACITY_KIB;
}

static void reached(void *self, uint64_t index)
{
    struct raft_memory *m = self;
    ASSERT(index <= raft_log_last(&m->log));
    m->mark = index > m->mark ? index : m->mark;
}

static const char *error(void *self)
{
    (void)self;
    return "the played disk fails";
}

static const struct raft_storage_ops ops = {set_term, set_vote,     truncate_from,
                                            append,   put_snapshot, get_snapshot,
                                            capacity, reached,      error};

struct raft_storage raft_memory_storage(struct raft_memory *m)
{
    return (struct raft_storage){&ops, m};
}

/* ---------------------------------------------------------------- time and crashes */

static void store_entries(struct raft_memory *m, const struct op *op, unsigned n)
{
    ASSERT(op->index == raft_log_last(&m->log) + 1);
    for (unsigned i = 0; i < n; i++) {
        const struct raft_entry *e = &op->entries[i];
        raft_log_append(&m->log, e->term, e->type, raft_block_copy(e->buf.base, e->buf.len));
    }
}

static void store_snapshot(struct raft_memory *m, const struct op *op)
{
    const struct raft_snapshot *s = op->snapshot;
    size_t len = 0;
    for (unsigned i = 0; i < s->n_bufs; i++) {
        len += s->bufs[i].len;
    }
    mem_free(m->data.base);
    m->data = (struct raft_buffer){mem_alloc(len + 1), len};
    char *at = m->data.base;
    for (unsigned i = 0; i < s->n_bufs; i++) {
        memcpy(at, s->bufs[i].base, s->bufs[i].len);
        at += s->bufs[i].len;
    }
    raft_configuration_close(&m->meta.configuration);
    m->meta = (struct raft_snapshot_metadata){
        .index = s->index, .term = s->term, .configuration_index = s->configuration_index};
    copy_conf(&s->configuration, &m->meta.configuration);
    if (op->trailing) {
        raft_log_snapshot(&m->log, s->index, op->trailing);
    } else {
        raft_log_restore(&m->log, s->index, s->term);
    }
}

static void answer_get(struct raft_memory *m, const struct op *op)
{
    struct raft_snapshot_metadata meta = m->meta;
    if (m->meta.index == 0) {
        op->got(op->arg, RAFT_NOTFOUND, NULL, NULL);
        return;
    }
    copy_conf(&m->meta.configuration, &meta.configuration);
    struct raft_buffer data = copy_data(m->data);
    op->got(op->arg, 0, &meta, &data);
}

/* The operation's effect, of one that writes. */
static void store(struct raft_memory *m, const struct op *op)
{
    if (op->kind == OP_APPEND) {
        store_entries(m, op, op->n);
    } else if (op->kind == OP_PUT) {
        store_snapshot(m, op);
    } else if (op->index <= raft_log_last(&m->log)) {
        raft_log_truncate(&m->log, op->index);
    }
}

/* The operation's effect and its answer; op is off its lane already. */
static void complete(struct raft_memory *m, struct op *op)
{
    bool is_failed = op->kind != OP_GET && m->faults.fail_after > 0 && --m->faults.fail_after == 0;
    if (op->kind == OP_GET) {
        answer_get(m, op);
        return;
    }
    if (!is_failed) {
        store(m, op);
    }
    if (op->done) {
        op->done(op->arg, is_failed ? RAFT_IOERR : 0);
    }
}

static bool is_due(const struct raft_memory *m, const struct op *op)
{
    return op && op->due_ms <= m->now_ms && !(m->faults.is_full && op->kind != OP_GET);
}

void raft_memory_run(struct raft_memory *m, uint64_t now_ms)
{
    m->now_ms = now_ms;
    for (unsigned lane = 0; lane < LANES; lane++) {
        while (is_due(m, m->lanes[lane])) {
            struct op *op = m->lanes[lane];
            m->lanes[lane] = op->next;
            complete(m, op);
            mem_free(op);
        }
    }
}

uint64_t raft_memory_now_ms(const struct raft_memory *m)
{
    return m->now_ms;
}

uint64_t raft_memory_next(const struct raft_memory *m)
{
    uint64_t next = UINT64_MAX;
    for (unsigned lane = 0; lane < LANES; lane++) {
        const struct op *op = m->lanes[lane];
        if (op && op->due_ms < next && !(m->faults.is_full && op->kind != OP_GET)) {
            next = op->due_ms;
        }
    }
    return next;
}

static unsigned count(const struct op *op)
{
    unsigned n = 0;
    for (; op; op = op->next) {
        n++;
    }
    return n;
}

/* Of what nobody was told of a prefix is on disk: whole writes, and of an append its first entries.
 * (Half an entry is what a disk's checksum cuts off.) */
static void tear(struct raft_memory *m)
{
    const struct op *op = m->lanes[LANE_LOG];
    unsigned whole = (unsigned)(next_random(m) % (count(op) + 1));
    for (; whole > 0; whole--) {
        store(m, op);
        op = op->next;
    }
    if (op && op->kind == OP_APPEND) {
        store_entries(m, op, (unsigned)(next_random(m) % (op->n + 1)));
    }
    const struct op *put = m->lanes[LANE_SNAPSHOT];
    bool is_put = put && put->kind == OP_PUT && next_random(m) % 2 == 0;
    /* What stands in the log behind it may have gone, or be there no more. */
    if (is_put && put->snapshot->index > m->meta.index &&
        raft_log_term(&m->log, put->snapshot->index) > 0) {
        store_snapshot(m, put);
    }
}

void raft_memory_crash(struct raft_memory *m)
{
    tear(m);
    for (unsigned lane = 0; lane < LANES; lane++) {
        while (m->lanes[lane]) {
            struct op *op = m->lanes[lane];
            m->lanes[lane] = op->next;
            if (op->done) {
                op->done(op->arg, RAFT_CANCELED);
            }
            if (op->got) {
                op->got(op->arg, RAFT_CANCELED, NULL, NULL);
            }
            mem_free(op);
        }
    }
}

uint64_t raft_memory_mark(const struct raft_memory *m)
{
    return m->mark;
}

uint64_t raft_memory_last(const struct raft_memory *m)
{
    return raft_log_last(&m->log);
}
