#include "node/peering_change.h"

#include "node/peering_state.h"

#define CHANGE_PATIENCE_MS 30000

void peering_change_begin(struct peering *p, const struct membership_change *wanted)
{
    p->change = *wanted;
    p->change_since_ms = p->core->now.mono_ms;
    p->is_changing = true;
}

static bool has_member(const struct peering *p, uint64_t number, bool as_voter)
{
    for (unsigned i = 0; i < p->member_count; i++) {
        if (p->members[i].id == number) {
            return !as_voter || p->members[i].standing == CONSENSUS_VOTER;
        }
    }
    return false;
}

void peering_change_turn(struct peering *p, struct now now)
{
    struct membership_change *c = &p->change;
    struct fail why = {0};
    if (!p->is_changing) {
        return;
    }
    bool removes = c->kind != MEMBERSHIP_ADD && has_member(p, c->old_number, false);
    bool adds = c->kind != MEMBERSHIP_REMOVE && !has_member(p, c->number, true);
    int err = 0;
    if (!removes && !adds) {
        p->is_changing = false;
        membership_on_change_done(p->membership, NULL, now);
        return;
    }
    if (removes) {
        err = consensus_change(p->core->log, CONSENSUS_REMOVE, c->old_number, "", &why);
    } else if (!has_member(p, c->number, false)) {
        err = consensus_change(p->core->log, CONSENSUS_ADD, c->number, c->address, &why);
    }
    bool is_late = now.mono_ms - p->change_since_ms > CHANGE_PATIENCE_MS;
    if (is_late && !err) {
        err = fail_set(&why, E_TIMEOUT, "the change of members is not done after %d s",
                       CHANGE_PATIENCE_MS / 1000);
    }
    if (!err || (err == E_CONFLICT && !is_late)) {
        return;
    }
    if (adds && has_member(p, c->number, false)) {
        struct fail ignored = {0}; /* what never came is not waited for */
        (void)!consensus_change(p->core->log, CONSENSUS_REMOVE, c->number, "", &ignored);
    }
    p->is_changing = false;
    membership_on_change_done(p->membership, &why, now);
}
