/* Operations of this node on their way into the log, what the log says of owners, and who lives. */
#include <endian.h>
#include <stdio.h>

#include "api/call.h"
#include "base/log.h"
#include "cluster/cluster_op.h"
#include "conn/conn.h"
#include "naming/naming.h"
#include "node/peering_state.h"

/* ---------------------------------------------------------------- operations */

static int propose_here(void *self, unsigned kind, struct span envelope, struct fail *fail)
{
    struct peering *p = self;
    if (!p->core->log) {
        return fail_set(fail, E_NOT_LEADER, "the log is not open yet");
    }
    union {
        uintptr_t seq;
        void *cookie;
    } cast = {.seq = (uintptr_t)proposals_seq(p->proposals, envelope)};
    return consensus_propose(p->core->log, (enum consensus_kind)kind, envelope, cast.cookie, fail);
}

int peering_slot_to(const struct peering *p, uint64_t number)
{
    int slot = membership_slot_of(p->membership, number);
    return slot >= 0 && p->slot_up[slot] ? slot : -1;
}

static bool send_operations(void *self, uint64_t leader, struct buf *take_frame)
{
    struct peering *p = self;
    if (peering_slot_to(p, leader) < 0) {
        buf_unref(take_frame);
        return false;
    }
    struct body body = {0};
    body_add_buf(&body, take_frame);
    outbox_peer(&p->core->out, leader, PEER_OPERATIONS, &body);
    return true;
}

static void reject(void *self, void *cookie, const struct fail *why)
{
    struct peering *p = self;
    if (cookie) {
        core_reject(p->core, cookie, why);
    }
}

const struct proposals_ops peering_proposals_ops = {propose_here, send_operations, reject};

void peering_begin_epoch(struct peering *p, struct now now)
{
    struct cluster_op up = {
        .kind = CLUSTER_OWNER_UP, .time_ms = now.wall_ms, .owner = p->number, .epoch = p->epoch};
    struct buf *bytes = cluster_op_encode(&up);
    proposals_set_up(p->proposals, CONSENSUS_CLUSTER | CONSENSUS_OWNED, buf_span(bytes));
    buf_unref(bytes);
}

void peering_wire_send(void *self, uint64_t to, struct buf *take_message)
{
    struct peering *p = self;
    struct body body = {0};
    body_add_buf(&body, take_message);
    outbox_peer(&p->core->out, to, PEER_RAFT, &body);
}

void peering_send(struct peering *p, struct now now)
{
    proposals_turn(p->proposals, now);
}

static void give_up(struct peering *p, const struct owner *owner, struct now now)
{
    struct cluster_op op = {.kind = CLUSTER_OWNER_EXPIRE,
                            .time_ms = now.wall_ms,
                            .owner = owner->id,
                            .epoch = owner->epoch};
    struct fail why = {0};
    struct buf *bytes = cluster_op_encode(&op);
    struct buf *envelope = proposals_unnumbered(buf_span(bytes));
    LOG_WARN("cluster", "event=owner_lost number=%llu silent_ms=%llu",
             (unsigned long long)owner->id,
             (unsigned long long)watch_silence_ms(&p->watch, owner->id, now));
    (void)!propose_here(p, CONSENSUS_CLUSTER | CONSENSUS_OWNED, buf_span(envelope), &why);
    buf_unref(envelope);
    buf_unref(bytes);
}

void peering_watch(struct peering *p, struct now now)
{
    if (watch_speak(&p->watch, now) && p->leader != 0 && !p->leads) {
        uint64_t epoch = htole64(p->epoch);
        struct body body = {0};
        body_add_buf(&body, buf_create(span_of((const char *)&epoch, sizeof(epoch))));
        outbox_peer(&p->core->out, p->leader, PEER_ALIVE, &body);
        peering_digest_report(p, now);
    }
    peering_digest_turn(p, now);
    const struct owner *lost = watch_lost(&p->watch, &p->owners, now);
    if (lost) {
        give_up(p, lost, now);
    }
}

/* ---------------------------------------------------------------- the log */

int peering_propose(struct peering *p, enum consensus_kind kind, struct span op, void *cookie,
                    struct now now, struct fail *fail)
{
    if (kind != CONSENSUS_NAMING && peering_is_leaderless(p, now)) {
        return peering_refuse_leaderless(p, now, fail);
    }
    int err = kind == CONSENSUS_NAMING ? 0 : peering_lease_admit(p, fail);
    if (err) {
        return err;
    }
    return proposals_add(p->proposals, (unsigned)kind | CONSENSUS_OWNED, op, cookie, now, fail);
}

void peering_on_reject(struct peering *p, void *cookie, const struct fail *why)
{
    proposals_on_reject(p->proposals, (uint64_t)(uintptr_t)cookie, why);
}

void peering_on_leader(struct peering *p, uint64_t leader, struct now now)
{
    p->leader = leader;
    p->leads = leader == p->number;
    peering_quorum_set(p, leader != 0, now);
    LOG_INFO("cluster", "event=leader number=%llu self=%d", (unsigned long long)leader, p->leads);
    proposals_on_leader(p->proposals, leader, now);
    watch_lead(&p->watch, p->leads, now);
    peering_digest_on_leader(p);
    membership_on_leader(p->membership, leader, p->leads, now);
}

/* This life is over in the log: another begins, and clients bring what they publish again. */
static void reborn(struct peering *p, uint64_t known)
{
    struct now now = p->core->now;
    uint64_t epoch = (uint64_t)now.wall_ms * 1000 + 1;
    p->epoch = epoch > known ? epoch : known + 1;
    LOG_WARN("cluster",
             "event=new_epoch epoch=%llu meaning=\"the leader had given this node up, or "
             "its clock went back; its clients are asked to connect again\"",
             (unsigned long long)p->epoch);
    proposals_reborn(p->proposals, p->epoch, now);
    peering_begin_epoch(p, now);
}

static void apply_cluster(struct peering *p, struct span bytes)
{
    struct cluster_op op = {0};
    struct fail why = {0};
    struct core *c = p->core;
    if (cluster_op_decode(bytes, &op, &why) != 0) {
        LOG_WARN("cluster", "event=bad_operation reason=\"%s\"", fail_text(&why));
        return;
    }
    bool is_mine = op.owner == p->number && op.epoch == p->epoch;
    switch (op.kind) {
    case CLUSTER_OWNER_UP:
        if (owners_up(&p->owners, op.owner, op.epoch)) {
            watch_heard(&p->watch, op.owner, c->now);
            if (is_mine) {
                proposals_on_up(p->proposals, c->now);
            }
        } else if (is_mine) {
            const struct owner *known = owners_find(&p->owners, op.owner);
            if (known && known->epoch > op.epoch) {
                reborn(p, known->epoch);
            }
        }
        return;
    case CLUSTER_OWNER_EXPIRE:
        if (!owners_expire(&p->owners, op.owner, op.epoch)) {
            return;
        }
        naming_owner_gone(c->naming, op.owner, op.time_ms, c->now, &c->out);
        if (is_mine) {
            reborn(p, op.epoch);
            conn_reset_all(c->conns, &c->out);
        }
        return;
    case CLUSTER_OWNER_FORGET:
        owners_forget(&p->owners, op.owner);
        naming_owner_gone(c->naming, op.owner, op.time_ms, c->now, &c->out);
        return;
    }
}

bool peering_open(struct peering *p, unsigned kind, struct span bytes, struct proposal *ret)
{
    struct fail why = {0};
    if (proposals_open(p->proposals, &p->owners, bytes, ret, &why) != 0) {
        LOG_WARN("cluster", "event=bad_operation reason=\"%s\"", fail_text(&why));
        return false;
    }
    if (ret->verdict != OWNERS_TAKE) {
        return false;
    }
    if (kind == CONSENSUS_CLUSTER) {
        apply_cluster(p, ret->op);
        return false;
    }
    return true;
}
