#include <stddef.h>

#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/consensus_impl.h"
#include "consensus/flight.h"
#include "consensus/raft_driver.h"
#include "consensus/raft_member.h"
#include "consensus/raft_peers.h"
#include "consensus/raft_settings.h"
#include "consensus/raft_snapshot.h"
#include "consensus/raft_store.h"

#define SNAPSHOT_RETRY_MS 1000

struct log_raft {
    struct consensus base;
    struct consensus_ops ops;
    void *self;
    struct raft_store store;
    struct raft_driver *driver;
    struct raft_peers *peers; /* NULL: no wire */
    struct raft_member member;
    uint64_t told_leader; /* to on_leader */
    uint64_t told_term;
    struct flights waiting;
    struct flights submitted;
    uint32_t count; /* operations in both */
    size_t bytes;
    unsigned short capacity_kib_min;
    uint64_t full_since_ms; /* 0: there is room */
    uint64_t broken;
    uint64_t snapshot_retry_ms;
    uv_loop_t *loop;
    uv_work_t work;
    void *snapshot_state; /* being written; NULL: none */
    struct consensus_sink sink;
    int write_err;
    struct now now; /* of this turn */
    bool is_full;   /* refuse */
    bool is_writing;
    bool is_handing_out;
    bool is_closing;
    struct fail fatal; /* code 0: none */
};

static struct log_raft *of(struct consensus *c)
{
    return CONTAINER_OF(c, struct log_raft, base);
}

/* ---------------------------------------------------------------- proposals */

static void flight_free(struct log_raft *l, struct flight *flight)
{
    l->count -= flight->batch.entry.count;
    l->bytes -= flight->batch.entry.len;
    flight_destroy(flight);
}

static void flight_reject(struct log_raft *l, struct flight *flight, const struct fail *why)
{
    for (uint32_t i = 0; i < flight->batch.entry.count; i++) {
        l->ops.on_reject(l->self, flight->batch.cookies[i], why);
    }
    flight_free(l, flight);
}

static int full(struct fail *fail)
{
    return fail_set(fail, E_LIMIT, "the disk that holds the log is full");
}

static int log_propose(struct consensus *c, enum consensus_kind kind, struct span op, void *cookie,
                       struct fail *fail)
{
    struct log_raft *l = of(c);
    if (l->fatal.code) {
        return fail_set(fail, E_CLOSED, "%s", fail_text(&l->fatal));
    }
    if (raft_driver_state(l->driver).role != RAFT_LEADER) {
        return fail_set(fail, E_NOT_LEADER, "this node does not lead");
    }
    if (l->is_full) {
        return full(fail);
    }
    if (l->count >= CONSENSUS_PENDING_MAX || l->bytes + op.len > CONSENSUS_PENDING_BYTES_MAX) {
        return fail_set(fail, E_LIMIT, "%u changes of %zu bytes wait for the log already", l->count,
                        l->bytes);
    }
    struct flight *flight = flights_room(&l->waiting, op.len, CONSENSUS_ENTRY_BYTES);
    size_t before = flight->batch.entry.len;
    batch_add(&flight->batch, kind, op, cookie);
    l->count++;
    l->bytes += flight->batch.entry.len - before;
    return 0;
}

/* A short lack of room is a segment being made: what waits is held. A longer one is a full disk. */
static void hold_or_refuse(struct log_raft *l)
{
    if (l->full_since_ms == 0) {
        l->full_since_ms = l->now.mono_ms;
    }
    if (!l->is_full && l->now.mono_ms - l->full_since_ms < CONSENSUS_FULL_GRACE_MS) {
        return;
    }
    struct fail why = {0};
    (void)full(&why);
    l->is_full = true;
    while (l->waiting.head) {
        flight_reject(l, flights_take(&l->waiting), &why);
    }
}

static bool has_room(struct log_raft *l)
{
    struct raft_storage s = raft_store_storage(&l->store);
    return !raft_store_is_full(&l->store) && s.ops->capacity(s.self) >= l->capacity_kib_min;
}

static void look_at_room(struct log_raft *l)
{
    if (has_room(l)) {
        l->full_since_ms = 0;
        l->is_full = false;
    } else if (l->waiting.head || l->full_since_ms != 0 || raft_store_is_full(&l->store)) {
        hold_or_refuse(l);
    }
}

static void submit_waiting(struct log_raft *l)
{
    while (l->waiting.head && has_room(l)) {
        struct flight *flight = l->waiting.head;
        struct fail why = {0};
        if (!raft_store_has_room_for(&l->store, flight->batch.entry.len)) {
            (void)full(&why);
            flight_reject(l, flights_take(&l->waiting), &why);
            continue;
        }
        struct raft_block *block = raft_block_wrap(entry_bytes(&flight->batch.entry));
        int err = raft_driver_submit(l->driver, block, &flight->index, &flight->term, &why);
        if (err == E_LIMIT) {
            return; /* the next turn tries again */
        }
        (void)flights_take(&l->waiting);
        if (err) {
            flight_reject(l, flight, &why);
            continue;
        }
        flights_add(&l->submitted, flight);
    }
}

/* ---------------------------------------------------------------- what is committed */

/* Whose proposal stands at this place of the log: NULL when another node's. */
static struct flight *flight_at(struct log_raft *l, const struct raft_item *item)
{
    struct flight *f = l->submitted.head;
    if (!f || f->index != item->index || f->term != item->term) {
        return NULL;
    }
    return flights_take(&l->submitted);
}

/* An entry that cannot be read is a no-op on every node alike, and counted. */
static void skip_broken(struct log_raft *l, const struct raft_item *item, struct flight *flight,
                        const struct fail *why)
{
    l->broken++;
    if (flight) {
        flight_reject(l, flight, why);
    }
    l->ops.on_entry_end(l->self, item->index);
}

static void apply(struct log_raft *l, const struct raft_item *item)
{
    struct flight *flight = flight_at(l, item);
    struct entry_reader reader = {0};
    struct fail why = {0};
    if (item->kind == RAFT_ITEM_OTHER) {
        return;
    }
    if (item->kind == RAFT_ITEM_BROKEN || entry_open(item->bytes, &reader, &why) != 0) {
        (void)fail_set(&why, E_INTERNAL, "entry %llu of the log cannot be read",
                       (unsigned long long)item->index);
        skip_broken(l, item, flight, &why);
        return;
    }
    unsigned kind = 0;
    struct span op = {0};
    for (size_t i = 0; entry_next(&reader, &kind, &op); i++) {
        l->ops.on_commit(l->self, item->index, (enum consensus_kind)kind, op,
                         flight ? flight->batch.cookies[i] : NULL);
    }
    l->ops.on_entry_end(l->self, item->index);
    if (flight) {
        flight_free(l, flight);
    }
}

static int restore(struct log_raft *l, const struct raft_item *item, struct fail *fail)
{
    struct consensus_source source = {0};
    int err = raft_snapshot_open(item->bytes, &source, fail);
    if (!err) {
        err = l->ops.snapshot_load(l->self, item->index, &source, fail);
    }
    return err;
}

static void on_fatal(void *self, const struct fail *why)
{
    struct log_raft *l = self;
    if (l->fatal.code) {
        return;
    }
    l->fatal = *why;
    l->ops.on_fatal(l->self, why);
}

static void hand_out(struct log_raft *l)
{
    struct raft_item item = {0};
    while (!l->fatal.code && raft_driver_next(l->driver, &item)) {
        struct fail why = {0};
        if (item.kind != RAFT_ITEM_RESTORE) {
            apply(l, &item);
        } else if (restore(l, &item, &why) != 0) {
            on_fatal(l, &why);
        }
    }
}

/* What this node put into the log while it led, and does not lead any more: nobody tells it whether
 * it will be committed. */
static void reject_lost(struct log_raft *l)
{
    struct raft_driver_state state = raft_driver_state(l->driver);
    struct fail why = {0};
    if (l->fatal.code) {
        why = l->fatal;
    } else {
        (void)fail_set(&why, E_NOT_LEADER, "this node lost the lead; the change may still be made");
    }
    while (l->submitted.head &&
           (l->fatal.code || state.role != RAFT_LEADER || l->submitted.head->term != state.term)) {
        flight_reject(l, flights_take(&l->submitted), &why);
    }
    while (l->waiting.head && (l->fatal.code || state.role != RAFT_LEADER)) {
        flight_reject(l, flights_take(&l->waiting), &why);
    }
}

/* ---------------------------------------------------------------- snapshots */

static void write_work(uv_work_t *work)
{
    struct log_raft *l = work->data;
    l->write_err = l->ops.snapshot_write(l->snapshot_state, &l->sink);
}

static void write_done(uv_work_t *work, int status)
{
    struct log_raft *l = work->data;
    void *state = l->snapshot_state;
    l->snapshot_state = NULL;
    l->is_writing = false;
    l->ops.snapshot_end(l->self, state);
    if (status != 0 || l->write_err != 0 || l->is_closing) {
        raft_snapshot_drop(&l->sink);
        raft_driver_snapshot_abort(l->driver);
        return;
    }
    struct raft_buffer *bufs = NULL;
    unsigned n = 0;
    raft_snapshot_finish(&l->sink, &bufs, &n);
    raft_driver_snapshot_put(l->driver, bufs, n);
}

/* On a played disk nothing runs beside the core: it is written in its turns. */
static void write_here(struct log_raft *l)
{
    if (!l->store.played || !l->is_writing) {
        return;
    }
    l->write_err = l->ops.snapshot_write(l->snapshot_state, &l->sink);
    if (l->write_err != E_BUSY) {
        write_done(&l->work, 0);
    }
}

static void snapshot(struct log_raft *l)
{
    write_here(l);
    if (!l->ops.snapshot_begin || l->now.mono_ms < l->snapshot_retry_ms || l->fatal.code ||
        !raft_driver_wants_snapshot(l->driver)) {
        return;
    }
    l->snapshot_retry_ms = l->now.mono_ms + SNAPSHOT_RETRY_MS;
    void *state = l->ops.snapshot_begin(l->self, raft_driver_state(l->driver).applied_index);
    if (!state) {
        return;
    }
    raft_driver_snapshot_begin(l->driver);
    l->snapshot_state = state;
    l->is_writing = true;
    l->work.data = l;
    if (l->store.played) {
        write_here(l);
        return;
    }
    ASSERT(uv_queue_work(l->loop, &l->work, write_work, write_done) == 0);
}

/* ---------------------------------------------------------------- other members */

static void tell_leader(struct log_raft *l)
{
    struct raft_driver_state s = raft_driver_state(l->driver);
    bool is_same = s.leader_id == l->told_leader && (s.term == l->told_term || s.leader_id == 0);
    if (is_same) {
        return;
    }
    l->told_leader = s.leader_id;
    l->told_term = s.term;
    if (l->ops.on_leader) {
        l->ops.on_leader(l->self, s.leader_id, s.term);
    }
}

static void log_receive(struct consensus *c, uint64_t from, struct span message)
{
    struct log_raft *l = of(c);
    ASSERT(!l->is_handing_out);
    if (l->peers && !l->fatal.code) {
        raft_peers_receive(l->peers, from, message);
    }
}

static unsigned log_members(const struct consensus *c, struct consensus_member *ret, unsigned max)
{
    const struct log_raft *l = (const struct log_raft *)(const void *)c;
    return raft_member_list(&l->member, l->driver, ret, max);
}

static int log_change(struct consensus *c, enum consensus_change change, uint64_t id,
                      const char *address, struct fail *fail)
{
    struct log_raft *l = of(c);
    if (!l->peers) {
        return fail_set(fail, E_CONFLICT, "this node has no way to reach other members");
    }
    return raft_member_change(&l->member, l->driver, change, id, address, fail);
}

static int log_transfer(struct consensus *c, uint64_t id, struct fail *fail)
{
    return raft_driver_transfer(of(c)->driver, id, fail);
}

static void on_read_failed(void *self, int err)
{
    struct fail why = {0};
    (void)fail_set(&why, E_IO, "the log cannot go on: reading a snapshot failed: %s",
                   raft_strerror(err));
    on_fatal(self, &why);
}

/* ---------------------------------------------------------------- the interface */

static bool log_turn(struct consensus *c, struct now now)
{
    struct log_raft *l = of(c);
    ASSERT(!l->is_handing_out);
    l->is_handing_out = true;
    l->now = now;
    raft_driver_tick(l->driver);
    if (l->peers) {
        raft_peers_tick(l->peers);
        raft_member_tick(&l->member, l->driver, now.mono_ms);
    }
    hand_out(l);
    reject_lost(l);
    tell_leader(l);
    look_at_room(l);
    submit_waiting(l);
    snapshot(l);
    l->is_handing_out = false;
    return false; /* what was proposed is committed when the disk has it: on_wake */
}

static uint64_t log_deadline(const struct consensus *c)
{
    const struct log_raft *l = (const struct log_raft *)(const void *)c;
    uint64_t deadline = raft_driver_deadline(l->driver);
    uint64_t grace = l->full_since_ms + CONSENSUS_FULL_GRACE_MS;
    if (l->full_since_ms && grace > l->now.mono_ms && grace < deadline) {
        deadline = grace;
    }
    if (l->peers) {
        uint64_t peers = raft_peers_deadline(l->peers);
        uint64_t member = raft_member_deadline(&l->member, l->driver);
        deadline = peers < deadline ? peers : deadline;
        deadline = member < deadline ? member : deadline;
    }
    return deadline;
}

static struct consensus_state log_state(const struct consensus *c)
{
    const struct log_raft *l = (const struct log_raft *)(const void *)c;
    struct raft_driver_state s = raft_driver_state(l->driver);
    const struct raft_configuration *conf = raft_driver_members(l->driver);
    const struct raft_server *own = raft_member_find(conf, raft_driver_id(l->driver));
    return (struct consensus_state){
        .role = s.role == RAFT_LEADER      ? CONSENSUS_LEADER
                : s.role == RAFT_CANDIDATE ? CONSENSUS_CANDIDATE
                                           : CONSENSUS_FOLLOWER,
        .term = s.term,
        .last_index = s.last_index,
        .commit_index = s.commit_index,
        .applied_index = s.applied_index,
        .snapshot_index = s.snapshot_index,
        .broken_entries = l->broken,
        .is_settled = s.role == RAFT_LEADER && raft_driver_is_settled(l->driver),
        .is_ready = s.is_ready && !l->fatal.code,
        .is_replayed = s.is_replayed && !l->fatal.code,
        .is_full = l->is_full,
        .leader_id = s.leader_id,
        .members = conf->n,
        .is_member = own != NULL,
        .is_voter = own && own->role == RAFT_VOTER,
        .refused_messages = l->peers ? raft_peers_refused(l->peers) : 0,
    };
}

static void log_destroy(struct consensus *c)
{
    struct log_raft *l = of(c);
    ASSERT(!l->is_handing_out);
    l->is_closing = true;
    if (l->peers) {
        raft_peers_mute(l->peers);
    }
    if (l->is_writing && l->store.played) {
        write_done(&l->work, -1);
    }
    while (l->is_writing) {
        (void)uv_run(l->loop, UV_RUN_ONCE);
    }
    raft_store_close(&l->store);
    raft_peers_destroy(l->peers);
    raft_driver_destroy(l->driver);
    struct fail why = {0};
    (void)fail_set(&why, E_CLOSED, "the server is stopping; the change may still be made");
    while (l->waiting.head) {
        flight_reject(l, flights_take(&l->waiting), &why);
    }
    while (l->submitted.head) {
        flight_reject(l, flights_take(&l->submitted), &why);
    }
    mem_free(l);
}

static const struct consensus_impl impl = {
    .destroy = log_destroy,
    .propose = log_propose,
    .turn = log_turn,
    .deadline = log_deadline,
    .state = log_state,
    .receive = log_receive,
    .members = log_members,
    .change = log_change,
    .transfer = log_transfer,
};

static uint64_t now_ms(void *self)
{
    const struct log_raft *l = self;
    return raft_store_now_ms(&l->store);
}

static void on_wake(void *self)
{
    struct log_raft *l = self;
    if (l->driver && !l->is_closing && !l->is_handing_out) {
        l->ops.on_wake(l->self);
    }
}

static const struct raft_driver_ops driver_ops = {on_wake, on_fatal, NULL};

static struct raft_driver_options driver_options(struct log_raft *l,
                                                 const struct consensus_raft_options *filled)
{
    struct raft_driver_options o = raft_settings_driver(filled);
    o.storage = raft_store_storage(&l->store);
    o.wire = l->peers ? raft_peers_wire(l->peers) : (struct raft_wire){0};
    o.now_ms = now_ms;
    o.ops = &driver_ops;
    o.self = l;
    return o;
}

/* The snapshot is taken over before anybody asks for a thing, so that a damaged one ends the start
 * with its sentence. */
static int restore_first(struct log_raft *l, const char *dir, struct fail *fail)
{
    struct raft_item item = {0};
    struct fail why = {0};
    if (!raft_driver_next(l->driver, &item)) {
        return 0;
    }
    int err = restore(l, &item, &why);
    if (err) {
        return fail_set(fail, E_IO,
                        "%s/log: snapshot at entry %llu: %s; restore a backup, or let this node "
                        "join its cluster empty",
                        dir, (unsigned long long)item.index, fail_text(&why));
    }
    return 0;
}

static void create_peers(struct log_raft *l, const struct consensus_raft_options *filled)
{
    if (!filled->wire) {
        return;
    }
    l->peers = raft_peers_create(&(struct raft_peers_options){
        .id = filled->id,
        .wire = *filled->wire,
        .storage = raft_store_storage(&l->store),
        .now_ms = now_ms,
        .on_fail = on_read_failed,
        .self = l,
        .companion = {.loop = filled->played ? NULL : l->loop,
                      .outgoing = l->ops.companion_make ? filled->companion_out : NULL,
                      .incoming = filled->companion_in,
                      .make = l->ops.companion_make,
                      .make_self = l->self,
                      .wake = on_wake,
                      .wake_self = l},
    });
    l->member.silent_ms_max = 2 * filled->election_ms;
}

static int open_log(struct log_raft *l, const struct consensus_raft_options *filled,
                    const struct raft_configuration *first, struct fail *fail)
{
    l->capacity_kib_min = raft_settings_capacity_kib(filled);
    struct raft_disk_options disk = raft_settings_disk(filled, first);
    disk.on_fail = on_fatal;
    disk.self = l;
    struct raft_loaded loaded = {0};
    int err = raft_store_open(&l->store, &disk, filled->played, &loaded, fail);
    if (err) {
        return err;
    }
    bool has_snapshot = loaded.has_snapshot;
    create_peers(l, filled);
    struct raft_driver_options o = driver_options(l, filled);
    err = raft_driver_create(&o, &loaded, &l->driver, fail);
    if (!err && l->peers) {
        raft_peers_attach(l->peers, l->driver);
    }
    if (!err && has_snapshot) {
        err = restore_first(l, filled->dir, fail);
    }
    return err;
}

int consensus_create_raft(const struct consensus_raft_options *options,
                          const struct consensus_ops *ops, void *self, struct consensus **ret,
                          struct fail *fail)
{
    struct consensus_raft_options filled = raft_settings(options);
    struct raft_configuration first = {0};
    struct log_raft *l = mem_zalloc(1, sizeof *l);
    l->base.impl = &impl;
    l->ops = *ops;
    l->self = self;
    l->loop = filled.loop;
    int err = raft_member_first(filled.bootstrap, filled.bootstrap_count, filled.id, &first, fail);
    if (!err) {
        err = open_log(l, &filled, &first, fail);
    }
    raft_configuration_close(&first);
    if (err) {
        log_destroy(&l->base);
        return err;
    }
    *ret = &l->base;
    return 0;
}
