#include "cluster/lease_holder.h"

void lease_holder_init(struct lease_holder *h, uint64_t life, struct now now)
{
    /* What an earlier life acked it does not know: as late as can be. */
    *h = (struct lease_holder){.life = life, .acked_ms = now.mono_ms, .earlier_ms = now.mono_ms};
}

/* Another term: nothing of earlier ones is held, and nothing of theirs acked any more. */
static void enter(struct lease_holder *h, uint64_t term, uint64_t leader)
{
    h->term = term;
    h->leader = leader;
    h->earlier_ms = h->acked_ms;
    h->until_ms = 0;
    h->wait_until_ms = 0;
    h->urged_ms = 0;
    h->round = 0;
    h->is_ack_due = false;
    h->is_urgent = false;
}

void lease_holder_lead(struct lease_holder *h, uint64_t term, uint64_t self, struct now now)
{
    if (term > h->term) {
        enter(h, term, self);
    }
    h->acked_ms = now.mono_ms;
}

bool lease_holder_on_round(struct lease_holder *h, uint64_t from, const struct lease_msg *m,
                           uint64_t log_term, struct now now)
{
    if (m->term < log_term || m->term < h->term || m->term == 0) {
        return false;
    }
    if (m->term > h->term) {
        enter(h, m->term, from);
    }
    if (from != h->leader) {
        return false; /* a term has one leader */
    }
    if (m->round > h->round) { /* asked again it began no later */
        h->round = m->round;
        h->acked_ms = now.mono_ms;
    }
    h->is_ack_due = true;
    return true;
}

bool lease_holder_follows(const struct lease_holder *h, uint64_t from, uint64_t term)
{
    return h->term == term && h->leader == from && h->term != 0;
}

void lease_holder_on_grant(struct lease_holder *h, const struct lease_msg *m, uint64_t applied,
                           struct now now)
{
    if (m->life != h->life || m->asked_at > h->asked_ms) {
        return; /* not an ask of this life */
    }
    uint64_t until_ms = m->asked_at + LEASE_HOLDER_MS;
    if (applied >= m->commit) {
        h->until_ms = until_ms > h->until_ms ? until_ms : h->until_ms;
        return;
    }
    /* An older grant that still waits asks for less: a node that is behind all the time would never
     * reach the newest. */
    if (h->wait_until_ms <= now.mono_ms) {
        h->wait_until_ms = until_ms;
        h->wait_commit = m->commit;
    }
}

void lease_holder_applied(struct lease_holder *h, uint64_t applied)
{
    if (h->wait_until_ms == 0 || applied < h->wait_commit) {
        return;
    }
    h->until_ms = h->wait_until_ms > h->until_ms ? h->wait_until_ms : h->until_ms;
    h->wait_until_ms = 0;
}

void lease_holder_urge(struct lease_holder *h, const struct lease_log *log, struct now now)
{
    if (h->until_ms > now.mono_ms || h->wait_until_ms > now.mono_ms || log->leader == 0 ||
        log->term < h->term) {
        return; /* it has one, or one that waits for the log; or there is nobody to ask */
    }
    if (log->term > h->term) {
        enter(h, log->term, log->leader);
    }
    if (h->urged_ms != 0 && now.mono_ms < h->urged_ms + LEASE_ROUND_MS) {
        return;
    }
    h->urged_ms = now.mono_ms;
    h->is_ack_due = true;
    h->is_urgent = true;
}

void lease_holder_speak(struct lease_holder *h, struct lease_msg *m, bool wants, struct now now)
{
    if (!h->is_ack_due) {
        return;
    }
    m->parts |= LEASE_ACK | LEASE_APPLIED;
    if (wants || h->is_urgent) {
        m->parts |= LEASE_WANT;
    }
    if (h->is_urgent) {
        m->parts |= LEASE_NOW;
    }
    h->is_ack_due = false;
    h->is_urgent = false;
    h->asked_ms = now.mono_ms;
    m->round = h->round;
    m->asked_at = now.mono_ms;
    m->quiet_ms = now.mono_ms - h->earlier_ms;
}
