#include "cluster_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/mem.h"

#define ELECTION_MS 300
#define HEARTBEAT_MS 50
#define IN_FLIGHT_MAX 4096
#define ROUND_MS 5

/* ---------------------------------------------------------------- owners */

static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct cluster_node *n = self;
    struct cluster_bed *b = n->bed;
    uint64_t value = 0;
    (void)index;
    (void)kind;
    ASSERT(n->count < CLUSTER_VALUES_MAX);
    ASSERT(op.len >= sizeof value);
    memcpy(&value, op.data, sizeof value);
    n->values[n->count++] = value;
    if (cookie) {
        b->is_acked[value] = true;
        b->acked++;
        b->under_way--;
    }
}

static void on_entry_end(void *self, uint64_t index)
{
    (void)self;
    (void)index;
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    struct cluster_node *n = self;
    ASSERT(cookie);
    n->bed->rejected++;
    n->bed->under_way--;
    n->last = *why;
}

static void on_wake(void *self)
{
    struct cluster_node *n = self;
    uv_stop(&n->bed->loop);
}

static void on_fatal(void *self, const struct fail *why)
{
    struct cluster_node *n = self;
    n->fatals++;
    n->last = *why;
    fprintf(stderr, "node %llu: %s\n", (unsigned long long)n->id, fail_text(why));
}

struct copy {
    struct cluster_node *node;
    unsigned count;
    uint64_t *values;
};

static void *snapshot_begin(void *self, uint64_t index)
{
    struct cluster_node *n = self;
    (void)index;
    struct copy *c = mem_zalloc(1, sizeof *c);
    c->node = n;
    c->count = n->count;
    c->values = mem_zalloc(n->count + 1, sizeof *c->values);
    memcpy(c->values, n->values, n->count * sizeof *c->values);
    return c;
}

static int snapshot_write(void *state, struct consensus_sink *sink)
{
    const struct copy *c = state;
    static const char pad[65536];
    uint64_t count = c->count;
    int err = consensus_sink_write(sink, span_of((const char *)&count, sizeof count));
    if (!err) {
        err = consensus_sink_write(sink, span_of((const char *)c->values, c->count * 8ul));
    }
    for (size_t left = c->node->bed->pad_len; left >= sizeof pad && !err; left -= sizeof pad) {
        err = consensus_sink_write(sink, span_of(pad, sizeof pad));
    }
    return err;
}

static void snapshot_end(void *self, void *state)
{
    struct copy *c = state;
    (void)self;
    mem_free(c->values);
    mem_free(c);
}

static int snapshot_load(void *self, uint64_t index, struct consensus_source *source,
                         struct fail *fail)
{
    struct cluster_node *n = self;
    uint64_t count = 0;
    struct stat st = {0};
    (void)index;
    n->loads++;
    n->companions += stat(n->companion_in, &st) == 0 && st.st_size == CLUSTER_COMPANION_BYTES;
    if (consensus_source_read(source, &count, sizeof count) != 0 || count > CLUSTER_VALUES_MAX ||
        consensus_source_read(source, n->values, count * 8) != 0) {
        return fail_set(fail, E_PARSE, "no snapshot of this bed");
    }
    n->count = (unsigned)count;
    return 0;
}

static int companion_make(void *self, const char *path, const atomic_bool *is_stopping)
{
    FILE *file = fopen(path, "we");
    (void)self;
    if (!file) {
        return E_IO;
    }
    int err = fseek(file, CLUSTER_COMPANION_BYTES - 1, SEEK_SET) == 0 && fputc('x', file) == 'x' &&
                      !atomic_load(is_stopping)
                  ? 0
                  : E_IO;
    return fclose(file) == 0 ? err : E_IO;
}

static void on_leader(void *self, uint64_t id, uint64_t term)
{
    struct cluster_node *n = self;
    n->leader_id = id;
    n->leader_term = term;
    n->leader_calls++;
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
    .companion_make = companion_make,
    .on_leader = on_leader,
};

/* ---------------------------------------------------------------- the wire */

static uint64_t random_below(struct cluster_bed *b, uint64_t n)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return (b->random >> 11) % n;
}

static void on_send(void *self, uint64_t to, struct buf *take_message)
{
    struct cluster_node *n = self;
    struct cluster_bed *b = n->bed;
    b->messages++;
    b->largest = take_message->len > b->largest ? take_message->len : b->largest;
    if (to == 0 || to > CLUSTER_NODES_MAX || b->is_cut[n->id - 1][to - 1] ||
        random_below(b, 100) < b->loss_percent) {
        buf_unref(take_message);
        return;
    }
    struct cluster_mail *mail = mem_zalloc(1, sizeof *mail);
    *mail = (struct cluster_mail){NULL, n->id, to, take_message};
    *b->mail_tail = mail;
    b->mail_tail = &mail->next;
    uv_stop(&b->loop);
}

static void deliver(struct cluster_bed *b)
{
    struct cluster_mail *mail = b->mail;
    b->mail = NULL;
    b->mail_tail = &b->mail;
    while (mail) {
        struct cluster_mail *next = mail->next;
        struct cluster_node *to = &b->nodes[mail->to - 1];
        if (to->log && !b->is_cut[mail->from - 1][mail->to - 1]) {
            consensus_receive(to->log, mail->from, buf_span(mail->message));
        }
        buf_unref(mail->message);
        mem_free(mail);
        mail = next;
    }
}

static void drop_mail(struct cluster_bed *b)
{
    bool cut[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX];
    memcpy(cut, b->is_cut, sizeof cut);
    memset(b->is_cut, true, sizeof b->is_cut);
    deliver(b);
    memcpy(b->is_cut, cut, sizeof cut);
}

/* ---------------------------------------------------------------- life */

static void run(const char *command, const char *from, const char *to)
{
    char line[512];
    (void)snprintf(line, sizeof line, "%s '%s' %s%s%s", command, from, to ? "'" : "", to ? to : "",
                   to ? "'" : "");
    ASSERT(system(line) == 0);
}

void cluster_bed_init(struct cluster_bed *b, unsigned n)
{
    static struct consensus_voter voters[CLUSTER_NODES_MAX];
    const char *tmp = getenv("TMPDIR");
    *b = (struct cluster_bed){.count = n, .random = 88172645463325252u, .op_len = 8};
    b->mail_tail = &b->mail;
    b->is_acked = mem_zalloc(CLUSTER_VALUES_MAX, sizeof *b->is_acked);
    (void)snprintf(b->dir, sizeof b->dir, "%s/nacre-cluster-XXXXXX", tmp ? tmp : "/tmp");
    ASSERT(mkdtemp(b->dir));
    ASSERT(uv_loop_init(&b->loop) == 0);
    ASSERT(uv_timer_init(&b->loop, &b->timer) == 0);
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        struct cluster_node *node = &b->nodes[i];
        node->bed = b;
        node->id = i + 1;
        node->values = mem_zalloc(CLUSTER_VALUES_MAX, sizeof *node->values);
        (void)snprintf(node->address, sizeof node->address, "node%u:9849", i + 1);
        (void)snprintf(node->dir, sizeof node->dir, "%s/%u", b->dir, i + 1);
        (void)snprintf(node->companion_out, sizeof node->companion_out, "%s/%u/out", b->dir, i + 1);
        (void)snprintf(node->companion_in, sizeof node->companion_in, "%s/%u/in", b->dir, i + 1);
        run("mkdir", node->dir, NULL);
        voters[i] = (struct consensus_voter){node->id, node->address};
        node->wire = (struct consensus_wire){node, on_send};
        node->options = (struct consensus_raft_options){.dir = node->dir,
                                                        .loop = &b->loop,
                                                        .id = node->id,
                                                        .address = node->address,
                                                        .companion_out = node->companion_out,
                                                        .companion_in = node->companion_in,
                                                        .wire = &node->wire,
                                                        .bootstrap = i < n ? voters : NULL,
                                                        .bootstrap_count = i < n ? n : 0,
                                                        .is_joining = i >= n,
                                                        .election_ms = ELECTION_MS,
                                                        .heartbeat_ms = HEARTBEAT_MS,
                                                        .segment_bytes = 1u << 20};
    }
}

void cluster_bed_close(struct cluster_bed *b)
{
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        cluster_bed_stop(b, i);
        mem_free(b->nodes[i].values);
    }
    drop_mail(b);
    uv_close((uv_handle_t *)&b->timer, NULL);
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&b->loop) == 0);
    run("rm -rf", b->dir, NULL);
    mem_free(b->is_acked);
}

void cluster_bed_start(struct cluster_bed *b, unsigned i)
{
    struct cluster_node *n = &b->nodes[i];
    struct fail fail = {0};
    ASSERT(!n->log);
    n->count = 0;
    if (consensus_create_raft(&n->options, &ops, n, &n->log, &fail) != 0) {
        fprintf(stderr, "node %u: %s\n", i + 1, fail_text(&fail));
        abort();
    }
}

void cluster_bed_stop(struct cluster_bed *b, unsigned i)
{
    consensus_destroy(b->nodes[i].log);
    b->nodes[i].log = NULL;
}

void cluster_bed_kill(struct cluster_bed *b, unsigned i)
{
    struct cluster_node *n = &b->nodes[i];
    char copy[192];
    (void)snprintf(copy, sizeof copy, "%s.killed", n->dir);
    run("cp -r", n->dir, copy);
    cluster_bed_stop(b, i);
    run("rm -rf", n->dir, NULL);
    run("mv", copy, n->dir);
}

void cluster_bed_cut(struct cluster_bed *b, unsigned i, bool is_cut)
{
    for (unsigned k = 0; k < CLUSTER_NODES_MAX; k++) {
        b->is_cut[i][k] = is_cut;
        b->is_cut[k][i] = is_cut;
    }
}

/* ---------------------------------------------------------------- running */

struct cluster_node *cluster_bed_leader(struct cluster_bed *b)
{
    struct cluster_node *best = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        struct cluster_node *n = &b->nodes[i];
        struct consensus_state s = {0};
        if (n->log) {
            s = consensus_state(n->log);
        }
        if (s.role == CONSENSUS_LEADER && s.term > term) {
            best = n;
            term = s.term;
        }
    }
    return best;
}

static void on_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

void cluster_bed_step(struct cluster_bed *b)
{
    deliver(b);
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        if (b->nodes[i].log) {
            (void)consensus_turn(b->nodes[i].log, clock_now());
        }
    }
    if (b->mail) {
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
        return;
    }
    ASSERT(uv_timer_start(&b->timer, on_timer, ROUND_MS, 0) == 0);
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    ASSERT(uv_timer_stop(&b->timer) == 0);
}

bool cluster_bed_until(struct cluster_bed *b, bool (*condition)(struct cluster_bed *b))
{
    uint64_t deadline = clock_now().mono_ms + CLUSTER_PATIENCE_MS;
    while (clock_now().mono_ms < deadline) {
        cluster_bed_step(b);
        if (condition(b)) {
            return true;
        }
    }
    return false;
}

bool cluster_bed_write(struct cluster_bed *b, unsigned n)
{
    uint64_t deadline = clock_now().mono_ms + CLUSTER_PATIENCE_MS;
    char *op = mem_zalloc(1, b->op_len);
    unsigned begun = 0;
    while ((begun < n || b->under_way > 0) && clock_now().mono_ms < deadline) {
        struct cluster_node *leader = cluster_bed_leader(b);
        while (leader && begun < n && b->under_way < IN_FLIGHT_MAX) {
            uint64_t value = b->next_value + 1;
            memcpy(op, &value, sizeof value);
            b->under_way++;
            if (consensus_propose(leader->log, CONSENSUS_CONFIG, span_of(op, b->op_len), b, NULL) !=
                0) {
                b->under_way--;
                break;
            }
            b->next_value = value;
            begun++;
        }
        cluster_bed_step(b);
    }
    mem_free(op);
    return begun == n && b->under_way == 0;
}

static bool is_agreed(struct cluster_bed *b)
{
    const struct cluster_node *leader = cluster_bed_leader(b);
    if (!leader) {
        return false;
    }
    struct consensus_state lead = consensus_state(leader->log);
    for (unsigned i = 0; i < CLUSTER_NODES_MAX; i++) {
        const struct cluster_node *n = &b->nodes[i];
        struct consensus_state s = {0};
        if (n->log) {
            s = consensus_state(n->log);
        }
        bool is_same = n->count == leader->count &&
                       memcmp(n->values, leader->values, n->count * sizeof *n->values) == 0;
        if (s.is_member && (s.applied_index != lead.last_index || !is_same)) {
            return false;
        }
    }
    return lead.applied_index == lead.last_index;
}

bool cluster_bed_agree(struct cluster_bed *b)
{
    return cluster_bed_until(b, is_agreed);
}

bool cluster_bed_has_all(struct cluster_bed *b, unsigned i)
{
    const struct cluster_node *n = &b->nodes[i];
    bool *is_there = mem_zalloc(CLUSTER_VALUES_MAX, sizeof *is_there);
    bool is_good = true;
    for (unsigned k = 0; k < n->count; k++) {
        is_good = is_good && !is_there[n->values[k]];
        is_there[n->values[k]] = true;
    }
    for (uint64_t v = 0; v <= b->next_value; v++) {
        is_good = is_good && (is_there[v] || !b->is_acked[v]);
    }
    mem_free(is_there);
    return is_good;
}
