#include "node/peering_change.h"

#include "node/peering_state.h"

void peering_change_begin(struct peering *p, const struct membership_change *wanted)
{
    p->change = *wanted;
    p->change_since_ms = p->core->now.mono_ms;
    p->change_index = 0;
    p->is_changing = true;
}

static const struct consensus_member *find_member(const struct peering *p, uint64_t number)
{
    for (unsigned i = 0; i < p->member_count; i++) {
        if (p->members[i].id == number) {
            return &p->members[i];
        }
    }
    return NULL;
}

static bool is_voter(const struct peering *p, uint64_t number)
{
    const struct consensus_member *m = find_member(p, number);
    return m && m->standing == CONSENSUS_VOTER;
}

/* Nothing is to be waited for any more. A newcomer that answers is on its way, however large the
 * log is that it gets; who ordered a change waits only for what can come true in moments. */
static bool is_late(const struct peering *p, bool is_refused, struct now now)
{
    const struct membership_change *c = &p->change;
    uint64_t age_ms = now.mono_ms - p->change_since_ms;
    const struct consensus_member *newcomer =
        c->kind == MEMBERSHIP_REMOVE ? NULL : find_member(p, c->number);
    if (newcomer && !is_refused && newcomer->silent_ms < CHANGE_SILENT_MS) {
        return age_ms > CHANGE_MS_MAX;
    }
    return age_ms > (c->is_ordered && is_refused ? CHANGE_ORDERED_MS : CHANGE_PATIENCE_MS);
}

/* A leader that is to go hands leadership over first; whoever leads then removes it. */
static int yield(struct peering *p, struct now now, struct fail *why)
{
    if (now.mono_ms < p->yield_ms) {
        return 0;
    }
    p->yield_ms = now.mono_ms + CHANGE_YIELD_MS;
    return consensus_transfer(p->core->log, 0, why);
}

/* Ask the log for the next step. */
static int step(struct peering *p, bool removes, struct now now, struct fail *why)
{
    const struct membership_change *c = &p->change;
    if (removes && c->old_number == p->number) {
        return yield(p, now, why);
    }
    if (removes) {
        if (!peering_lease_may_remove(p, c->old_number, now)) {
            return 0; /* it may still answer reads, for a second at most */
        }
        return consensus_change(p->core->log, CONSENSUS_REMOVE, c->old_number, "", why);
    }
    if (!find_member(p, c->number)) {
        return consensus_change(p->core->log, CONSENSUS_ADD, c->number, c->address, why);
    }
    return 0;
}

/* The configuration is as wanted; whether it stays so is known when the log has committed it. */
static bool is_committed(struct peering *p)
{
    struct consensus_state log = consensus_state(p->core->log);
    if (p->change_index == 0) {
        p->change_index = log.last_index;
    }
    return log.commit_index >= p->change_index;
}

static void end(struct peering *p, const struct fail *why, struct now now)
{
    p->is_changing = false;
    membership_on_change_done(p->membership, why, now);
}

void peering_change_turn(struct peering *p, struct now now)
{
    const struct membership_change *c = &p->change;
    struct fail why = {0};
    if (!p->is_changing) {
        return;
    }
    bool removes = c->kind != MEMBERSHIP_ADD && find_member(p, c->old_number);
    bool adds = c->kind != MEMBERSHIP_REMOVE && !is_voter(p, c->number);
    bool is_wanted = !removes && !adds;
    if (is_wanted && is_committed(p)) {
        end(p, NULL, now);
        return;
    }
    int err = is_wanted ? 0 : step(p, removes, now, &why);
    bool is_over = is_late(p, err != 0, now);
    if (is_over && !err) {
        err = fail_set(&why, E_TIMEOUT, "the change of members is not done after %llu s",
                       (unsigned long long)(now.mono_ms - p->change_since_ms) / 1000);
    }
    if (!err || (err == E_CONFLICT && !is_over)) {
        return;
    }
    if (adds && find_member(p, c->number)) {
        if (!peering_lease_may_remove(p, c->number, now)) {
            return;
        }
        struct fail ignored = {0}; /* what never came is not waited for */
        (void)!consensus_change(p->core->log, CONSENSUS_REMOVE, c->number, "", &ignored);
    }
    end(p, &why, now);
}
