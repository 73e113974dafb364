#include "cluster/lease.h"

void lease_init(struct lease *l, uint64_t self, uint64_t life, struct now now)
{
    *l = (struct lease){.leader = {.self = self}};
    lease_holder_init(&l->holder, life, now);
}

void lease_on_servers(struct lease *l, const struct lease_server *list, size_t count,
                      const struct lease_log *log)
{
    lease_leader_on_servers(&l->leader, list, count, log);
}

/* Begin or end to lead, as the log says. */
static void follow_log(struct lease *l, const struct lease_log *log, struct now now)
{
    bool leads = log->leads && log->term >= l->holder.term;
    if (leads && l->leader.leads && l->leader.term == log->term) {
        return;
    }
    if (l->leader.leads) {
        lease_leader_end(&l->leader);
    }
    if (leads) {
        uint64_t last_ack_ms = l->holder.acked_ms;
        lease_holder_lead(&l->holder, log->term, l->leader.self, now);
        lease_leader_begin(&l->leader, log, now.mono_ms - last_ack_ms, now);
    }
}

static void on_leader_frame(struct lease *l, uint64_t from, const struct lease_msg *m,
                            const struct lease_log *log, struct now now)
{
    if ((m->parts & LEASE_ROUND) && !lease_holder_on_round(&l->holder, from, m, log->term, now)) {
        return;
    }
    if (!lease_holder_follows(&l->holder, from, m->term)) {
        return;
    }
    if (m->parts & LEASE_GRANT) {
        lease_holder_on_grant(&l->holder, m, log->applied, now);
    }
    if ((m->parts & LEASE_SAFE) && m->safe > l->safe) {
        l->safe = m->safe;
    }
}

int lease_receive(struct lease *l, uint64_t from, struct span frame, const struct lease_log *log,
                  struct now now, struct fail *fail)
{
    struct lease_msg m = {0};
    int err = lease_msg_decode(frame, &m, fail);
    if (err || from == l->leader.self) {
        return err;
    }
    follow_log(l, log, now);
    if (m.parts & (LEASE_ACK | LEASE_APPLIED)) {
        lease_leader_on_follower(&l->leader, from, &m, now);
    } else {
        on_leader_frame(l, from, &m, log, now);
    }
    follow_log(l, log, now); /* a round of a later term than the log knows ends what it leads */
    return 0;
}

void lease_on_write(struct lease *l, uint64_t index)
{
    l->wrote = index > l->wrote ? index : l->wrote;
}

void lease_on_reads(struct lease *l, bool came, bool waits, struct now now)
{
    l->waits = waits;
    if (came || waits) {
        l->wanted_until_ms = now.mono_ms + LEASE_IDLE_MS;
    }
}

/* ---------------------------------------------------------------- turns */

static void tell(struct lease *l, const struct lease_ops *ops, void *self)
{
    bool is_news = l->safe > l->safe_told && l->safe_told < l->wrote;
    for (size_t i = 0; i < l->leader.peer_count; i++) {
        struct lease_peer *p = &l->leader.peers[i];
        if (p->is_gone || (p->due.parts == 0 && !is_news)) {
            continue;
        }
        p->due.parts |= LEASE_SAFE;
        p->due.safe = l->safe;
        p->due.term = l->leader.term;
        ops->send(self, p->id, lease_msg_encode(&p->due));
        p->due.parts = 0;
    }
    if (is_news) {
        l->safe_told = l->safe;
    }
}

static void lead(struct lease *l, const struct lease_log *log, struct now now,
                 const struct lease_ops *ops, void *self)
{
    lease_leader_want(&l->leader, l->wanted_until_ms);
    if (lease_leader_turn(&l->leader, log, now)) {
        lease_holder_lead(&l->holder, log->term, l->leader.self, now);
    }
    uint64_t safe = lease_leader_safe(&l->leader, log, now);
    l->safe = safe > l->safe ? safe : l->safe;
    if (l->leader.is_ready) {
        tell(l, ops, self);
    }
}

static void follow(struct lease *l, const struct lease_log *log, struct now now,
                   const struct lease_ops *ops, void *self)
{
    struct lease_holder *h = &l->holder;
    struct lease_msg m = {0};
    lease_holder_applied(h, log->applied);
    l->again_ms = now.mono_ms + LEASE_ROUND_MS;
    if (l->waits) {
        lease_holder_urge(h, log, now);
    }
    lease_holder_speak(h, &m, now.mono_ms < l->wanted_until_ms, now);
    if (log->applied > l->applied_told && l->applied_told < l->wrote) {
        m.parts |= LEASE_APPLIED;
    }
    if (m.parts == 0 || h->term == 0 || h->leader == l->leader.self) {
        return;
    }
    l->applied_told = log->applied;
    m.term = h->term;
    m.life = h->life;
    m.applied = log->applied;
    ops->send(self, h->leader, lease_msg_encode(&m));
}

void lease_turn(struct lease *l, const struct lease_log *log, struct now now,
                const struct lease_ops *ops, void *self)
{
    follow_log(l, log, now);
    if (l->leader.leads) {
        lead(l, log, now, ops, self);
    } else {
        (void)lease_leader_turn(&l->leader, log, now);
        follow(l, log, now, ops, self);
    }
}

uint64_t lease_until(const struct lease *l)
{
    return l->leader.until_ms > l->holder.until_ms ? l->leader.until_ms : l->holder.until_ms;
}

uint64_t lease_safe(const struct lease *l)
{
    return l->safe;
}

bool lease_may_remove(struct lease *l, uint64_t id, struct now now)
{
    return lease_leader_may_remove(&l->leader, id, now);
}

uint64_t lease_deadline(const struct lease *l)
{
    if (l->leader.leads) {
        return lease_leader_deadline(&l->leader, l->safe < l->wrote);
    }
    return l->waits ? l->again_ms : UINT64_MAX;
}
