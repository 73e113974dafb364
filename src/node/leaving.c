#include "node/leaving.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/core_state.h"

/* Living members. */
struct leaving_targets {
    size_t count;
    struct conn_target list[MEMBERS_MAX];
    struct membership_status members[MEMBERS_MAX]; /* the texts */
};

static struct leaving_targets *find_targets(const struct core *c, struct now now)
{
    struct leaving_targets *t = mem_zalloc(1, sizeof(*t));
    size_t count = membership_status(peering_membership(c->peers), t->members, MEMBERS_MAX, now);
    for (size_t i = 0; i < count; i++) {
        const struct membership_status *m = &t->members[i];
        if (!m->is_self && m->is_up && m->is_voter) {
            t->list[t->count++] = (struct conn_target){span_str(m->host), m->port};
        }
    }
    return t;
}

/* Another node that has all of the log leads from now on; writes wait for milliseconds instead of
 * an election. */
static void hand_over(struct core *c)
{
    struct fail why = {0};
    if (!c->log || consensus_state(c->log).role != CONSENSUS_LEADER) {
        return;
    }
    if (consensus_transfer(c->log, 0, &why) != 0) {
        LOG_WARN("cluster", "event=no_transfer reason=\"%s\"", fail_text(&why));
    }
}

void leaving_begin(struct core *c, struct now now)
{
    struct leaving *l = &c->leaving;
    if (l->is_on) {
        return;
    }
    *l = (struct leaving){.is_on = true, .begun_ms = now.mono_ms, .next_ms = now.mono_ms};
    if (!c->peers) {
        conn_reset_all(c->conns, &c->out);
        return;
    }
    l->targets = find_targets(c, now);
    LOG_INFO("cluster", "event=leaving connections=%zu targets=%zu", conn_count_sdk(c->conns),
             l->targets->count);
    hand_over(c);
}

/* Ask a portion of clients to go; newcomers are asked as well. */
static void send_away(struct core *c, struct now now)
{
    struct leaving *l = &c->leaving;
    struct conn_reset_plan plan = {
        .targets = l->targets->list,
        .targets_count = l->targets->count,
        .max = LEAVE_PORTION,
        .again_ms = LEAVE_MS_MAX,
    };
    size_t asked = conn_reset_some(c->conns, &plan, now, &c->out);
    l->told_ms = asked > 0 || !l->is_told ? now.mono_ms : l->told_ms;
    l->is_told = asked < LEAVE_PORTION;
}

/* End a portion of those who are still there. */
static void end_some(struct core *c, struct now now)
{
    struct leaving *l = &c->leaving;
    if (l->portion == 0) {
        size_t needed = conn_count_sdk(c->conns) * LEAVE_PACE_MS / LEAVE_END_MS;
        l->portion = needed > LEAVE_END_PORTION ? needed : LEAVE_END_PORTION;
    }
    size_t ended = conn_end_some(c->conns, l->portion, SPAN("this node is stopping"), &c->out);
    l->ended_ms = ended > 0 || !l->is_over ? now.mono_ms : l->ended_ms;
    l->is_over = ended < l->portion;
}

/* The next step, when it is time. */
static void step(struct core *c, struct now now)
{
    struct leaving *l = &c->leaving;
    if (now.mono_ms < l->next_ms) {
        return;
    }
    l->next_ms = now.mono_ms + LEAVE_PACE_MS;
    if (l->is_told && now.mono_ms >= l->told_ms + LEAVE_LINGER_MS) {
        end_some(c, now);
    } else {
        send_away(c, now);
    }
}

static bool is_led_by_another(const struct core *c)
{
    struct consensus_state log = core_log_state(c);
    return log.role != CONSENSUS_LEADER && log.leader_id != 0;
}

/* Clients have moved, or were ended. */
static bool are_gone(const struct core *c, struct now now)
{
    const struct leaving *l = &c->leaving;
    bool is_over = l->is_over && now.mono_ms >= l->ended_ms + LEAVE_ENDED_MS;
    return l->is_told && (is_over || conn_count_sdk(c->conns) == 0);
}

bool leaving_turn(struct core *c, struct now now)
{
    struct leaving *l = &c->leaving;
    if (!l->is_on) {
        return false;
    }
    bool is_done = true;
    if (l->targets) {
        uint64_t age_ms = now.mono_ms - l->begun_ms;
        step(c, now);
        bool is_led = is_led_by_another(c) || age_ms >= LEAVE_TRANSFER_MS;
        is_done = age_ms >= LEAVE_MS_MAX || (is_led && are_gone(c, now));
    }
    if (is_done) {
        leaving_close(l);
    }
    return is_done;
}

uint64_t leaving_deadline(const struct core *c)
{
    return c->leaving.is_on ? c->leaving.next_ms : UINT64_MAX;
}

void leaving_close(struct leaving *l)
{
    mem_free(l->targets);
    *l = (struct leaving){0};
}
