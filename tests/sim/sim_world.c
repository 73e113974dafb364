#include "sim_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/raft_snapshot.h"

void sim_fail(struct sim_world *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "sim: seed %llu, %u nodes, at %llu ms: ", (unsigned long long)w->seed, w->count,
            (unsigned long long)w->now_ms);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nreplay: sim_consensus %llu %llu %u%s\n", (unsigned long long)w->seed,
            (unsigned long long)w->seed, w->voters, w->is_churning ? " churn" : "");
    va_end(args);
    exit(1);
}

uint64_t sim_random(struct sim_world *w, uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (w->random >> 11) % n;
}

/* ---------------------------------------------------------------- the network */

static struct sim_node *node_of(struct sim_world *w, uint64_t id)
{
    uint64_t place = id == 0 ? w->count : (id - 1) % SIM_IDS;
    return place < w->count ? &w->nodes[place] : NULL;
}

static struct raft_buffer copy_buffer(struct raft_buffer from)
{
    struct raft_buffer to = {raft_malloc(from.len + 1), from.len};
    if (from.len > 0) {
        memcpy(to.base, from.base, from.len);
    }
    return to;
}

static void copy_append(struct raft_append_entries *append)
{
    if (append->n_entries == 0) {
        append->entries = NULL;
        return;
    }
    size_t bytes = 0;
    for (unsigned i = 0; i < append->n_entries; i++) {
        bytes += append->entries[i].buf.len;
    }
    struct raft_entry *entries = raft_malloc(append->n_entries * sizeof *entries);
    char *batch = raft_malloc(bytes + 1);
    char *at = batch;
    for (unsigned i = 0; i < append->n_entries; i++) {
        entries[i] = append->entries[i];
        memcpy(at, append->entries[i].buf.base, entries[i].buf.len);
        entries[i].buf.base = at;
        entries[i].batch = batch;
        at += entries[i].buf.len;
    }
    append->entries = entries;
}

static void copy_message(struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES) {
        copy_append(&message->append_entries);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        struct raft_install_snapshot *install = &message->install_snapshot;
        struct raft_configuration conf = {0};
        raft_configuration_init(&conf);
        for (unsigned i = 0; i < install->conf.n; i++) {
            const struct raft_server *s = &install->conf.servers[i];
            ASSERT(raft_configuration_add(&conf, s->id, s->address, s->role) == 0);
        }
        install->conf = conf;
        install->data = copy_buffer(install->data);
    }
}

static void free_mail(struct sim_mail *mail)
{
    struct raft_message *message = &mail->message;
    if (mail->bytes) {
        buf_unref(mail->bytes);
        return;
    }
    if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0) {
        raft_free(message->append_entries.entries[0].batch);
        raft_free(message->append_entries.entries);
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}

static struct sim_mail *post(struct sim_world *w, uint64_t from, uint64_t to)
{
    struct sim_mail *mail = mem_zalloc(1, sizeof *mail);
    mail->from = from;
    mail->to = to;
    mail->due_ms = w->now_ms + 1 + sim_random(w, w->weather.latency_max_ms + 1);
    struct sim_mail **at = &w->mail;
    while (*at) {
        bool is_same_way = (*at)->from == mail->from && (*at)->to == mail->to;
        if (!w->weather.is_unordered && is_same_way && (*at)->due_ms > mail->due_ms) {
            mail->due_ms = (*at)->due_ms;
        }
        at = &(*at)->next;
    }
    *at = mail;
    return mail;
}

static void post_message(struct sim_world *w, uint64_t from, const struct raft_message *message)
{
    struct sim_mail *mail = post(w, from, message->server_id);
    mail->message = *message;
    copy_message(&mail->message);
}

/* One vote per term, as the world sees it. */
static void check_vote(struct sim_node *n, const struct raft_message *message)
{
    const struct raft_request_vote_result *result = &message->request_vote_result;
    if (message->type != RAFT_REQUEST_VOTE_RESULT || !result->vote_granted || result->pre_vote) {
        return;
    }
    ASSERT(result->term < SIM_TERMS_MAX);
    uint64_t *vote = &n->world->vote_of[(n->id - 1) % SIM_IDS][result->term];
    if (*vote != 0 && *vote != message->server_id) {
        sim_fail(n->world, "node %llu votes twice in term %llu", (unsigned long long)n->id,
                 (unsigned long long)result->term);
    }
    *vote = message->server_id;
}

static bool is_cut(const struct sim_world *w, uint64_t from, uint64_t to)
{
    return w->weather.is_cut[(from - 1) % SIM_IDS][(to - 1) % SIM_IDS];
}

static bool is_lost(struct sim_world *w, uint64_t from, uint64_t to)
{
    return is_cut(w, from, to) || sim_random(w, 100) < w->weather.loss_percent;
}

static void on_send(void *self, const struct raft_message *message)
{
    struct sim_node *n = self;
    struct sim_world *w = n->world;
    check_vote(n, message);
    if (n->peers) {
        struct raft_wire wire = raft_peers_wire(n->peers);
        wire.ops->send(wire.self, message);
        return;
    }
    if (is_lost(w, n->id, message->server_id)) {
        return;
    }
    post_message(w, n->id, message);
    if (sim_random(w, 100) < w->weather.duplicate_percent) {
        post_message(w, n->id, message);
    }
}

static void on_snapshot(void *self, const struct raft_message *message)
{
    struct sim_node *n = self;
    struct raft_wire wire = raft_peers_wire(n->peers);
    wire.ops->snapshot(wire.self, message);
}

static void on_bytes(void *self, uint64_t to, struct buf *take_message)
{
    struct sim_node *n = self;
    struct sim_world *w = n->world;
    if (!is_lost(w, n->id, to)) {
        post(w, n->id, to)->bytes = buf_ref(take_message);
        if (sim_random(w, 100) < w->weather.duplicate_percent) {
            post(w, n->id, to)->bytes = buf_ref(take_message);
        }
    }
    buf_unref(take_message);
}

static void receive(struct sim_node *to, const struct sim_node *from, struct sim_mail *mail)
{
    if (!mail->bytes) {
        mail->message.server_id = mail->from;
        mail->message.server_address = from->address;
        raft_driver_receive(to->driver, &mail->message);
        return;
    }
    raft_peers_receive(to->peers, mail->from, buf_span(mail->bytes));
    buf_unref(mail->bytes);
    if (raft_peers_refused(to->peers) > 0) {
        sim_fail(to->world, "a message between %llu and %llu was refused",
                 (unsigned long long)mail->from, (unsigned long long)mail->to);
    }
}

static void deliver(struct sim_world *w)
{
    struct sim_mail **at = &w->mail;
    while (*at) {
        struct sim_mail *mail = *at;
        if (mail->due_ms > w->now_ms) {
            at = &mail->next;
            continue;
        }
        *at = mail->next;
        struct sim_node *to = node_of(w, mail->to);
        struct sim_node *from = node_of(w, mail->from);
        if (to->driver && to->id == mail->to && !is_cut(w, mail->from, mail->to)) {
            receive(to, from, mail);
        } else {
            free_mail(mail);
        }
        mem_free(mail);
        at = &w->mail;
    }
}

/* ---------------------------------------------------------------- nodes */

static uint64_t now_ms(void *self)
{
    return ((struct sim_node *)self)->world->now_ms;
}

static void on_wake(void *self)
{
    (void)self; /* every node is looked at every millisecond */
}

static void on_fatal(void *self, const struct fail *why)
{
    struct sim_node *n = self;
    sim_fail(n->world, "node %llu: %s", (unsigned long long)n->id, fail_text(why));
}

static void on_read_failed(void *self, int err)
{
    struct sim_node *n = self;
    sim_fail(n->world, "node %llu cannot read a snapshot: %d", (unsigned long long)n->id, err);
}

static const struct raft_wire_ops wire_ops = {.send = on_send};
static const struct raft_wire_ops bytes_ops = {on_send, on_snapshot};
static const struct raft_driver_ops driver_ops = {on_wake, on_fatal, NULL};

static void boot_peers(struct sim_node *n)
{
    n->member = (struct raft_member){.silent_ms_max = 1000};
    if (n->world->is_churning) {
        n->peers = raft_peers_create(&(struct raft_peers_options){
            .id = n->id,
            .wire = {n, on_bytes},
            .storage = raft_memory_storage(n->disk),
            .now_ms = now_ms,
            .on_fail = on_read_failed,
            .self = n,
        });
    }
}

void sim_boot(struct sim_node *n)
{
    struct sim_world *w = n->world;
    boot_peers(n);
    struct raft_loaded loaded = {0};
    if (raft_memory_last(n->disk) < raft_memory_mark(n->disk)) {
        sim_fail(w, "node %llu lost entries that were stored", (unsigned long long)n->id);
    }
    raft_memory_load(n->disk, &loaded);
    struct raft_driver_options options = {
        .id = n->id,
        .address = n->address,
        .storage = raft_memory_storage(n->disk),
        .wire = {n->peers ? &bytes_ops : &wire_ops, n},
        .now_ms = now_ms,
        .ops = &driver_ops,
        .self = n,
        .seed = (unsigned)sim_random(w, 1u << 30),
        .election_ms = 500,
        .heartbeat_ms = 50,
        .capacity_kib_min = 4096,
        .snapshot_entries = 100,
        .snapshot_bytes = 1u << 30,
        .trailing = 20,
    };
    struct fail fail = {0};
    n->applied = 0;
    n->digest = 0;
    n->submitted_count = 0;
    n->snapshot_at_ms = 0;
    if (raft_driver_create(&options, &loaded, &n->driver, &fail) != 0) {
        sim_fail(w, "node %llu does not start: %s", (unsigned long long)n->id, fail_text(&fail));
    }
    if (n->peers) {
        raft_peers_attach(n->peers, n->driver);
    }
}

void sim_crash(struct sim_node *n)
{
    if (!n->driver) {
        return;
    }
    if (n->snapshot_at_ms) {
        raft_driver_snapshot_abort(n->driver);
    }
    raft_memory_crash(n->disk);
    raft_peers_destroy(n->peers);
    n->peers = NULL;
    raft_driver_destroy(n->driver);
    n->driver = NULL;
    n->world->crashes++;
}

void sim_init(struct sim_world *w, uint64_t seed, unsigned voters, bool is_churning)
{
    *w = (struct sim_world){.seed = seed,
                            .random = seed * 0x9e3779b97f4a7c15u + 7,
                            .count = is_churning ? SIM_NODES_MAX : voters,
                            .voters = voters,
                            .is_churning = is_churning};
    w->chosen = mem_zalloc(SIM_ENTRIES_MAX, sizeof *w->chosen);
    w->now_ms = 1000;
    struct raft_configuration conf = {0};
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < w->count; i++) {
        struct sim_node *n = &w->nodes[i];
        n->world = w;
        n->id = i + 1;
        (void)snprintf(n->address, sizeof n->address, "node%u", i + 1);
        if (i < voters) {
            ASSERT(raft_configuration_add(&conf, n->id, n->address, RAFT_VOTER) == 0);
        }
    }
    for (unsigned i = 0; i < w->count; i++) {
        w->nodes[i].disk = raft_memory_create(seed * 8 + i);
        if (i < voters) {
            raft_memory_bootstrap(w->nodes[i].disk, &conf);
        }
        raft_memory_run(w->nodes[i].disk, w->now_ms);
        sim_boot(&w->nodes[i]);
    }
    raft_configuration_close(&conf);
}

void sim_close(struct sim_world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        sim_crash(&w->nodes[i]);
        raft_memory_destroy(w->nodes[i].disk);
    }
    while (w->mail) {
        struct sim_mail *mail = w->mail;
        w->mail = mail->next;
        free_mail(mail);
        mem_free(mail);
    }
    mem_free(w->chosen);
}

/* ---------------------------------------------------------------- what is committed */

static uint64_t mix(uint64_t digest, uint64_t value)
{
    return (digest ^ value) * 0x100000001b3u + 1;
}

static void check_ack(struct sim_node *n, const struct raft_item *item, uint64_t value)
{
    struct sim_world *w = n->world;
    for (unsigned i = 0; i < n->submitted_count; i++) {
        const struct sim_submitted *s = &n->submitted[i];
        if (s->index != item->index || s->term != item->term) {
            continue;
        }
        if (s->value != value) {
            sim_fail(w, "entry %llu of term %llu is not what was submitted",
                     (unsigned long long)item->index, (unsigned long long)item->term);
        }
        w->acked++;
        w->acked_last = item->index > w->acked_last ? item->index : w->acked_last;
    }
}

static void check_chosen(struct sim_node *n, const struct raft_item *item, uint64_t value)
{
    struct sim_world *w = n->world;
    struct sim_chosen *c = &w->chosen[item->index];
    if (item->index >= SIM_ENTRIES_MAX) {
        sim_fail(w, "more entries than the world holds");
    }
    if (c->term == 0) {
        *c = (struct sim_chosen){item->term, value, n->digest};
        w->chosen_last = item->index > w->chosen_last ? item->index : w->chosen_last;
    } else if (c->term != item->term || c->value != value || c->digest != n->digest) {
        sim_fail(w, "node %llu differs at entry %llu: term %llu value %llu, others had %llu %llu",
                 (unsigned long long)n->id, (unsigned long long)item->index,
                 (unsigned long long)item->term, (unsigned long long)value,
                 (unsigned long long)c->term, (unsigned long long)c->value);
    }
}

static void apply(struct sim_node *n, const struct raft_item *item)
{
    struct sim_world *w = n->world;
    uint64_t value = 0;
    if (item->index != n->applied + 1) {
        sim_fail(w, "node %llu applies %llu after %llu", (unsigned long long)n->id,
                 (unsigned long long)item->index, (unsigned long long)n->applied);
    }
    if (item->kind == RAFT_ITEM_BROKEN) {
        sim_fail(w, "entry %llu is broken", (unsigned long long)item->index);
    }
    if (item->kind == RAFT_ITEM_COMMAND) {
        memcpy(&value, item->bytes.data, sizeof value);
    }
    n->applied = item->index;
    n->digest = mix(mix(n->digest, item->term), value);
    check_chosen(n, item, value);
    check_ack(n, item, value);
}

static void restore(struct sim_node *n, const struct raft_item *item)
{
    struct sim_world *w = n->world;
    uint64_t state[8] = {0};
    struct consensus_source source = {0};
    if (raft_snapshot_open(item->bytes, &source, NULL) != 0 ||
        consensus_source_left(&source) != sizeof state ||
        consensus_source_read(&source, state, sizeof state) != 0) {
        sim_fail(w, "a snapshot of %zu bytes", item->bytes.len);
    }
    if (state[0] != item->index || state[1] != w->chosen[item->index].digest ||
        item->term != w->chosen[item->index].term) {
        sim_fail(w, "node %llu restores a snapshot at %llu that holds another state",
                 (unsigned long long)n->id, (unsigned long long)item->index);
    }
    n->applied = state[0];
    n->digest = state[1];
    w->restores++;
}

static void take_snapshot(struct sim_node *n)
{
    struct sim_world *w = n->world;
    if (n->snapshot_at_ms && w->now_ms >= n->snapshot_at_ms) {
        struct raft_buffer *bufs = NULL;
        unsigned bufs_count = 0;
        struct consensus_sink sink = {0};
        ASSERT(consensus_sink_write(&sink,
                                    span_of((const char *)n->snapshot, sizeof n->snapshot)) == 0);
        raft_snapshot_finish(&sink, &bufs, &bufs_count);
        n->snapshot_at_ms = 0;
        raft_driver_snapshot_put(n->driver, bufs, bufs_count);
        w->snapshots++;
        return;
    }
    if (!n->snapshot_at_ms && raft_driver_wants_snapshot(n->driver)) {
        uint64_t state[2] = {n->applied, n->digest};
        memcpy(n->snapshot, state, sizeof state);
        raft_driver_snapshot_begin(n->driver);
        n->snapshot_at_ms = w->now_ms + 1 + sim_random(w, 200);
    }
}

static void check_leader(struct sim_node *n)
{
    struct sim_world *w = n->world;
    struct raft_driver_state state = raft_driver_state(n->driver);
    if (state.role != RAFT_LEADER) {
        return;
    }
    ASSERT(state.term < SIM_TERMS_MAX);
    uint64_t *leader = &w->leader_of[state.term];
    if (*leader != 0 && *leader != n->id) {
        sim_fail(w, "two leaders in term %llu", (unsigned long long)state.term);
    }
    *leader = n->id;
}

static void look_at(struct sim_node *n)
{
    struct sim_world *w = n->world;
    struct raft_item item = {0};
    while (raft_driver_next(n->driver, &item)) {
        if (item.kind == RAFT_ITEM_RESTORE) {
            restore(n, &item);
        } else {
            apply(n, &item);
        }
    }
    check_leader(n);
    if (n->peers) {
        raft_peers_tick(n->peers);
    }
    raft_member_tick(&n->member, n->driver, w->now_ms);
    /* Half-taken snapshots end with the driver. */
    take_snapshot(n);
}

void sim_step(struct sim_world *w)
{
    w->now_ms++;
    for (unsigned i = 0; i < w->count; i++) {
        struct sim_node *n = &w->nodes[i];
        raft_memory_run(n->disk, w->now_ms);
        if (n->driver) {
            raft_driver_tick(n->driver);
        } else if (w->now_ms >= n->up_at_ms) {
            sim_boot(n);
        }
    }
    deliver(w);
    for (unsigned i = 0; i < w->count; i++) {
        if (w->nodes[i].driver) {
            look_at(&w->nodes[i]);
        }
    }
}

struct sim_node *sim_leader(struct sim_world *w)
{
    struct sim_node *best = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < w->count; i++) {
        struct sim_node *n = &w->nodes[i];
        if (!n->driver) {
            continue;
        }
        struct raft_driver_state state = raft_driver_state(n->driver);
        if (state.role == RAFT_LEADER && state.term > term) {
            best = n;
            term = state.term;
        }
    }
    return best;
}

void sim_submit(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[sim_random(w, w->count)];
    if (!n->driver || raft_driver_state(n->driver).role != RAFT_LEADER) {
        return;
    }
    uint64_t value[4] = {++w->next_value, 0, 0, 0};
    size_t len = sizeof value[0] + sim_random(w, sizeof value - sizeof value[0]);
    struct sim_submitted s = {.value = value[0]};
    struct raft_block *block = raft_block_wrap(span_of((const char *)value, len));
    if (raft_driver_submit(n->driver, block, &s.index, &s.term, NULL) != 0) {
        return;
    }
    if (n->submitted_count == SIM_SUBMITTED_MAX) {
        n->submitted_count = SIM_SUBMITTED_MAX / 2;
        memmove(n->submitted, n->submitted + SIM_SUBMITTED_MAX / 2,
                SIM_SUBMITTED_MAX / 2 * sizeof *n->submitted);
    }
    n->submitted[n->submitted_count++] = s;
}
