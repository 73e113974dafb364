#include "node/peering_pending.h"

#include "api/call.h"
#include "base/clock.h"
#include "base/log.h"
#include "naming/naming.h"
#include "node/peering_state.h"

/* DIFF(registration-quorum): Nacos answers when the node that took it has it. */
#define KIND_NAMING ((unsigned)CONSENSUS_NAMING | (unsigned)CONSENSUS_OWNED)

static bool is_late(const struct peering *p, struct now now)
{
    return peering_leaderless_ms(p, now) >= PEERING_PENDING_WAIT_MS ||
           proposals_wait_ms(p->proposals, now) >= PEERING_PENDING_WAIT_MS;
}

/* ---------------------------------------------------------------- what is said of it */

static void begin_degraded(struct peering *p, struct now now)
{
    char words[PEERING_MISSING_MAX] = "";
    uint64_t leaderless_ms = peering_leaderless_ms(p, now);
    if (leaderless_ms > 0) {
        peering_missing(p, now, words);
    }
    p->pending.is_degraded = true;
    p->pending.since_ms = now.mono_ms;
    p->pending.shown = 0;
    LOG_WARN(
        "cluster",
        "event=degraded leaderless_ms=%llu oldest_ms=%llu quorum=\"%s\" meaning=\"the log does "
        "not take registrations in time: this node shows them to its own clients and answers "
        "before a majority has them\"",
        (unsigned long long)leaderless_ms, (unsigned long long)proposals_wait_ms(p->proposals, now),
        words);
}

static size_t shown_now(const struct peering *p)
{
    return naming_stats(p->core->naming).shown;
}

/* With PEERING_LOCAL something is shown all the time. */
static void end_degraded(struct peering *p, struct now now)
{
    bool is_over = p->leader != 0 && !is_late(p, now) &&
                   (p->pending.policy == PEERING_LOCAL || shown_now(p) == 0);
    if (!p->pending.is_degraded || !is_over) {
        return;
    }
    p->pending.is_degraded = false;
    LOG_INFO("cluster",
             "event=taken_over operations=%zu after_ms=%llu meaning=\"the log has all that was "
             "shown before\"",
             p->pending.shown, (unsigned long long)(now.mono_ms - p->pending.since_ms));
}

/* ---------------------------------------------------------------- one operation */

/* Whether something becomes of the oldest one now. */
static bool is_due(const struct peering *p, const struct proposals_waiting *w, struct now now)
{
    switch (p->pending.policy) {
    case PEERING_LOCAL:
        return true;
    case PEERING_STRICT:
        return peering_is_leaderless(p, now) || now.mono_ms - w->since_ms > PEERING_LEADERLESS_MS;
    case PEERING_QUORUM:
        break;
    }
    return is_late(p, now);
}

static int refuse(const struct peering *p, const struct proposals_waiting *w, struct now now,
                  struct fail *fail)
{
    if (peering_leaderless_ms(p, now) > 0) {
        return peering_refuse_leaderless(p, now, fail);
    }
    return fail_set(fail, E_NOT_LEADER,
                    "no majority has taken the change within %llu ms, and "
                    "nacos.naming.registration=strict: it may still be made",
                    (unsigned long long)(now.mono_ms - w->since_ms));
}

/* It is not shown. Whoever waits for it is told when nobody leads; what nobody waits for stays. */
static void hold(struct peering *p, const struct proposals_waiting *w, struct now now)
{
    struct fail why = {0};
    bool is_over = peering_is_leaderless(p, now) || p->pending.policy == PEERING_STRICT;
    if (!w->cookie || !is_over) {
        proposals_pass(p->proposals, w->seq);
        return;
    }
    (void)refuse(p, w, now, &why);
    proposals_refuse(p->proposals, w->seq, &why);
}

static void show(struct peering *p, const struct proposals_waiting *w, struct now now)
{
    struct core *c = p->core;
    struct naming_waiting n = {.id = w->seq, .op = w->op, .waiting = w->cookie};
    struct fail why = {0};
    switch (naming_show(c->naming, &n, now, &c->out, &why)) {
    case NAMING_SHOWN:
        proposals_shown(p->proposals, w->seq);
        p->pending.shown++;
        return;
    case NAMING_WAITS:
        hold(p, w, now);
        return;
    case NAMING_REFUSED:
        proposals_refuse(p->proposals, w->seq, &why);
        return;
    }
}

/* False: it is too early, and so it is for all behind it. */
static bool take(struct peering *p, const struct proposals_waiting *w, struct now now)
{
    if (w->kind != KIND_NAMING) {
        proposals_pass(p->proposals, w->seq);
        return true;
    }
    if (!is_due(p, w, now)) {
        return false;
    }
    if (p->pending.policy == PEERING_STRICT) {
        hold(p, w, now);
        return true;
    }
    if (!p->pending.is_degraded && is_late(p, now)) {
        begin_degraded(p, now);
    }
    show(p, w, now);
    return true;
}

/* ---------------------------------------------------------------- turns */

void peering_pending_turn(struct peering *p, struct now now)
{
    struct proposals_waiting w = {0};
    if (!p->core->is_ready) {
        return; /* the registry is still what earlier lives made of it */
    }
    while (proposals_look(p->proposals, &w) && take(p, &w, now)) {
    }
    end_degraded(p, now);
}

uint64_t peering_pending_deadline(const struct peering *p, struct now now)
{
    struct proposals_waiting w = {0};
    if (!p->core->is_ready || !proposals_look(p->proposals, &w)) {
        return UINT64_MAX;
    }
    if (w.kind != KIND_NAMING || is_due(p, &w, now)) {
        return now.mono_ms;
    }
    /* One millisecond more: what is counted from here has passed then. */
    uint64_t wait_ms =
        (p->pending.policy == PEERING_STRICT ? PEERING_LEADERLESS_MS : PEERING_PENDING_WAIT_MS) + 1;
    uint64_t at = w.since_ms + wait_ms;
    if (p->leaderless_since_ms != 0) {
        at = clock_earlier(at, p->leaderless_since_ms + wait_ms);
    }
    return at;
}

static void end_covered(struct peering *p, const struct proposals_waiting *w, bool is_shown,
                        struct now now)
{
    struct core *c = p->core;
    struct fail why = {0};
    if (is_shown) {
        naming_commit_shown(c->naming, w->seq, (struct span){0}, p->number, now, &c->out);
        return;
    }
    if (!w->cookie) {
        return;
    }
    if (w->kind == KIND_NAMING) {
        outbox_reply(&c->out, w->cookie); /* it says what is so, not whether that is news */
        return;
    }
    fail_set(&why, E_CLOSED,
             "the change is in the log, but this node has only seen a snapshot of what came of it");
    core_reject(c, w->cookie, &why);
}

void peering_pending_covered(struct peering *p, struct now now)
{
    const struct owner *self = owners_find(&p->owners, p->number);
    struct proposals_waiting w = {0};
    bool is_shown = false;
    if (!self || self->epoch != p->epoch) {
        return;
    }
    while (proposals_covered(p->proposals, self->last_seq, &w, &is_shown)) {
        end_covered(p, &w, is_shown, now);
    }
}

struct peering_pending_figures peering_pending_figures(const struct peering *p, struct now now)
{
    return (struct peering_pending_figures){
        .is_degraded = p->pending.is_degraded,
        .shown = shown_now(p),
        .oldest_ms = proposals_wait_ms(p->proposals, now),
    };
}
