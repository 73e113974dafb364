#include "cluster/lease_leader.h"

#define NEVER UINT64_MAX

static struct lease_peer *find(struct lease_leader *l, uint64_t id)
{
    for (size_t i = 0; i < l->peer_count; i++) {
        if (l->peers[i].id == id) {
            return &l->peers[i];
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- servers */

static const struct lease_server *server_of(const struct lease_server *list, size_t count,
                                            uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == id) {
            return &list[i];
        }
    }
    return NULL;
}

static void add(struct lease_leader *l, const struct lease_server *server, uint64_t last)
{
    if (l->peer_count == LEASE_SERVERS_MAX) {
        return; /* it gets no grant, so nobody has to wait for it */
    }
    l->peers[l->peer_count++] = (struct lease_peer){
        .id = server->id,
        .since_index = last,
        .earlier_until_ms = NEVER, /* it acked no earlier leader's rounds that would count */
        .is_voter = server->is_voter,
    };
}

void lease_leader_on_servers(struct lease_leader *l, const struct lease_server *list, size_t count,
                             const struct lease_log *log)
{
    for (size_t i = 0; i < l->peer_count; i++) {
        struct lease_peer *p = &l->peers[i];
        const struct lease_server *server = server_of(list, count, p->id);
        if (server && p->is_gone) {
            p->since_index = log->last;
        }
        p->is_gone = !server;
        p->is_voter = server && server->is_voter;
    }
    l->is_voter = false;
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == l->self) {
            l->is_voter = list[i].is_voter;
        } else if (!find(l, list[i].id)) {
            add(l, &list[i], log->last);
        }
    }
}

/* What time has ended; and those that are no servers any more go when they hold nothing. */
static void expire(struct lease_leader *l, struct now now)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->peer_count; i++) {
        struct lease_peer *p = &l->peers[i];
        p->is_unknown = p->is_unknown && l->earlier_until_ms > now.mono_ms;
        p->holds_until_ms = p->holds_until_ms > now.mono_ms ? p->holds_until_ms : 0;
        if (!p->is_gone || p->is_unknown || p->holds_until_ms > 0) {
            l->peers[kept++] = *p;
        }
    }
    l->peer_count = kept;
}

bool lease_leader_may_remove(struct lease_leader *l, uint64_t id, struct now now)
{
    struct lease_peer *p = find(l, id);
    if (!l->leads || !p) {
        return true;
    }
    p->barred_until_ms = now.mono_ms + LEASE_MS;
    return p->holds_until_ms <= now.mono_ms &&
           (!p->is_unknown || l->earlier_until_ms <= now.mono_ms);
}

/* ---------------------------------------------------------------- terms */

void lease_leader_begin(struct lease_leader *l, const struct lease_log *log, uint64_t quiet_ms,
                        struct now now)
{
    uint64_t until_ms = now.mono_ms + LEASE_MS;
    for (size_t i = 0; i < l->peer_count; i++) {
        struct lease_peer *p = &l->peers[i];
        *p = (struct lease_peer){
            .id = p->id,
            .since_index = p->since_index,
            .is_voter = p->is_voter,
            .is_gone = p->is_gone,
            .earlier_until_ms = until_ms,
            .is_unknown = true,
        };
    }
    l->leads = true;
    l->is_ready = false;
    l->term = log->term;
    l->own_index = 0;
    l->earlier_until_ms = until_ms;
    l->own_earlier_ms = quiet_ms < LEASE_MS ? until_ms - quiet_ms : now.mono_ms;
    l->wanted_until_ms = 0;
    l->is_urged = false;
    l->round = 0;
    l->is_open = false;
    l->began_ms = 0;
    l->sent_ms = 0;
    l->again_ms = NEVER;
    l->until_ms = 0;
    l->wait_until_ms = 0;
}

void lease_leader_end(struct lease_leader *l)
{
    l->leads = false;
    l->until_ms = 0;
    for (size_t i = 0; i < l->peer_count; i++) {
        l->peers[i].due.parts = 0;
        l->peers[i].holds_until_ms = 0;
        l->peers[i].is_unknown = false;
    }
}

static size_t quorum(const struct lease_leader *l)
{
    size_t voters = l->is_voter;
    for (size_t i = 0; i < l->peer_count; i++) {
        voters += l->peers[i].is_voter;
    }
    return voters / 2 + 1;
}

/* How many voters acked nothing of an earlier term whose leases would outlast at_ms. */
static size_t count_over(const struct lease_leader *l, uint64_t at_ms)
{
    size_t over = l->is_voter && l->own_earlier_ms <= at_ms;
    for (size_t i = 0; i < l->peer_count; i++) {
        over += l->peers[i].is_voter && l->peers[i].earlier_until_ms <= at_ms;
    }
    return over;
}

/* What earlier leaders granted is over at the first time at which a quorum says so of its acks: any
 * round of theirs was acked by a member of that quorum. */
static void shorten_earlier(struct lease_leader *l)
{
    size_t enough = quorum(l);
    if (l->is_voter && l->own_earlier_ms < l->earlier_until_ms &&
        count_over(l, l->own_earlier_ms) >= enough) {
        l->earlier_until_ms = l->own_earlier_ms;
    }
    for (size_t i = 0; i < l->peer_count; i++) {
        uint64_t at_ms = l->peers[i].earlier_until_ms;
        if (l->peers[i].is_voter && at_ms < l->earlier_until_ms && count_over(l, at_ms) >= enough) {
            l->earlier_until_ms = at_ms;
        }
    }
}

/* ---------------------------------------------------------------- followers */

void lease_leader_want(struct lease_leader *l, uint64_t until_ms)
{
    l->wanted_until_ms = until_ms > l->wanted_until_ms ? until_ms : l->wanted_until_ms;
}

static void on_ack(struct lease_leader *l, struct lease_peer *p, const struct lease_msg *m,
                   struct now now)
{
    if (m->round > l->round) {
        return; /* never asked */
    }
    p->round = m->round > p->round ? m->round : p->round;
    if (m->parts & LEASE_WANT) {
        p->ask = (struct lease_ask){m->life, m->asked_at, true};
        lease_leader_want(l, now.mono_ms + LEASE_MS);
    }
    l->is_urged = l->is_urged || (m->parts & LEASE_NOW);
    if (p->is_unknown) {
        p->is_unknown = false;
        p->earlier_until_ms =
            m->quiet_ms < LEASE_MS ? now.mono_ms + LEASE_MS - m->quiet_ms : now.mono_ms;
        shorten_earlier(l);
    }
}

void lease_leader_on_follower(struct lease_leader *l, uint64_t from, const struct lease_msg *m,
                              struct now now)
{
    struct lease_peer *p = find(l, from);
    if (!l->leads || m->term != l->term || !p) {
        return;
    }
    if (m->life != p->life) {
        /* It started again: what it held and had applied is gone with its memory. */
        p->life = m->life;
        p->applied = m->applied;
        p->ask.is_there = false;
        p->ask_first.is_there = false;
    }
    p->applied = m->applied > p->applied ? m->applied : p->applied;
    if (m->parts & LEASE_ACK) {
        on_ack(l, p, m, now);
    }
}

/* ---------------------------------------------------------------- rounds */

/* Ask, or ask again. */
static void send_round(struct lease_leader *l, struct now now)
{
    l->sent_ms = now.mono_ms;
    for (size_t i = 0; i < l->peer_count; i++) {
        struct lease_peer *p = &l->peers[i];
        if (!p->is_gone) {
            p->due.parts |= LEASE_ROUND;
            p->due.round = l->round;
        }
    }
}

static void begin_round(struct lease_leader *l, const struct lease_log *log, struct now now)
{
    l->round++;
    l->is_urged = false;
    l->is_open = true;
    l->began_ms = now.mono_ms;
    l->commits[2] = l->commits[1];
    l->commits[1] = l->commits[0];
    l->commits[0] = log->commit;
    for (size_t i = 0; i < l->peer_count; i++) {
        l->peers[i].ask_first = l->peers[i].ask;
        l->peers[i].ask.is_there = false;
    }
    send_round(l, now);
}

static bool is_acked(const struct lease_leader *l)
{
    size_t acks = l->is_voter;
    for (size_t i = 0; i < l->peer_count; i++) {
        acks += l->peers[i].is_voter && l->peers[i].round == l->round;
    }
    return acks >= quorum(l);
}

static bool may_grant(const struct lease_leader *l, const struct lease_peer *p,
                      const struct lease_log *log, struct now now)
{
    return p->ask_first.is_there && !p->is_gone && p->barred_until_ms <= now.mono_ms &&
           p->since_index <= log->commit && p->applied >= l->commits[2];
}

static void confirm(struct lease_leader *l, const struct lease_log *log, struct now now)
{
    l->is_open = false;
    if (l->wait_until_ms <= now.mono_ms) {
        l->wait_until_ms = l->began_ms + LEASE_HOLDER_MS;
        l->wait_commit = log->commit;
    }
    for (size_t i = 0; i < l->peer_count; i++) {
        struct lease_peer *p = &l->peers[i];
        if (may_grant(l, p, log, now)) {
            p->due.parts |= LEASE_GRANT;
            p->due.life = p->ask_first.life;
            p->due.asked_at = p->ask_first.asked_at;
            p->due.commit = log->commit;
            p->holds_until_ms = now.mono_ms + LEASE_MS;
        }
        p->ask_first.is_there = false;
    }
}

/* Its own lease demands what it demands of others: a write may be answered when time alone says
 * that nobody can contradict it, and then this node must have applied it, too. */
static void hold_own(struct lease_leader *l, const struct lease_log *log)
{
    if (l->wait_until_ms > 0 && log->applied >= l->wait_commit) {
        l->until_ms = l->wait_until_ms;
        l->wait_until_ms = 0;
    }
}

static void become_ready(struct lease_leader *l, const struct lease_log *log)
{
    if (l->own_index == 0 && log->is_settled) {
        l->own_index = log->commit;
        for (size_t i = 0; i < 3; i++) {
            l->commits[i] = log->commit;
        }
    }
    l->is_ready = log->is_settled && log->applied >= l->own_index;
}

/* Somebody wants leases, or an earlier leader's are to be asked away. */
static bool is_needed(const struct lease_leader *l, struct now now)
{
    if (now.mono_ms < l->wanted_until_ms) {
        return true;
    }
    for (size_t i = 0; i < l->peer_count; i++) {
        if (l->peers[i].is_unknown) {
            return true;
        }
    }
    return false;
}

/* When something is to be sent again: a round, or the same one. */
static uint64_t next_ms(const struct lease_leader *l)
{
    if (l->is_open) {
        uint64_t again_ms = l->sent_ms + LEASE_ROUND_MS;
        uint64_t stale_ms = l->began_ms + LEASE_MS;
        return again_ms < stale_ms ? again_ms : stale_ms;
    }
    return l->is_urged || l->round == 0 ? 0 : l->began_ms + LEASE_ROUND_MS;
}

/* True: a round began. */
static bool ask_on(struct lease_leader *l, const struct lease_log *log, struct now now)
{
    if (!is_needed(l, now) || now.mono_ms < next_ms(l)) {
        return false;
    }
    if (l->is_open && now.mono_ms < l->began_ms + LEASE_MS) {
        send_round(l, now);
        return false;
    }
    begin_round(l, log, now);
    return true;
}

bool lease_leader_turn(struct lease_leader *l, const struct lease_log *log, struct now now)
{
    expire(l, now);
    if (!l->leads) {
        return false;
    }
    if (!l->is_ready) {
        become_ready(l, log);
    }
    if (!l->is_ready) {
        return false;
    }
    if (l->is_open && is_acked(l)) {
        confirm(l, log, now);
    }
    bool begins = ask_on(l, log, now);
    if (l->is_open && is_acked(l)) {
        confirm(l, log, now); /* alone in the list it needs nobody */
    }
    hold_own(l, log);
    l->again_ms = is_needed(l, now) ? next_ms(l) : NEVER;
    return begins;
}

uint64_t lease_leader_safe(const struct lease_leader *l, const struct lease_log *log,
                           struct now now)
{
    if (!l->leads || !l->is_ready) {
        return 0;
    }
    uint64_t safe = log->applied;
    for (size_t i = 0; i < l->peer_count; i++) {
        const struct lease_peer *p = &l->peers[i];
        if (p->is_unknown && l->earlier_until_ms > now.mono_ms) {
            return 0;
        }
        if (p->holds_until_ms > now.mono_ms && p->applied < safe) {
            safe = p->applied;
        }
    }
    return safe;
}

uint64_t lease_leader_deadline(const struct lease_leader *l, bool is_waiting)
{
    if (!l->leads || !l->is_ready) {
        return NEVER;
    }
    uint64_t at = l->again_ms;
    for (size_t i = 0; is_waiting && i < l->peer_count; i++) {
        const struct lease_peer *p = &l->peers[i];
        at = p->is_unknown ? clock_earlier(at, l->earlier_until_ms) : at;
        at = p->holds_until_ms > 0 ? clock_earlier(at, p->holds_until_ms) : at;
    }
    return at;
}
