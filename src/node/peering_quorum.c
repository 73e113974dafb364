#include "node/peering_quorum.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/peering_state.h"

/* Of the words beside an address: "missing", since when, how many more. */
#define ROOM_FOR_REST 64

void peering_quorum_set(struct peering *p, bool is_led, struct now now)
{
    if (is_led) {
        p->has_been_led = true;
        p->leaderless_since_ms = 0;
        p->has_given_up = false;
    } else if (p->leaderless_since_ms == 0) {
        p->leaderless_since_ms = now.mono_ms ? now.mono_ms : 1; /* 0 means that somebody leads */
    }
}

uint64_t peering_leaderless_ms(const struct peering *p, struct now now)
{
    return p->leaderless_since_ms != 0 && now.mono_ms > p->leaderless_since_ms
               ? now.mono_ms - p->leaderless_since_ms
               : 0;
}

bool peering_is_leaderless(const struct peering *p, struct now now)
{
    return peering_leaderless_ms(p, now) > PEERING_LEADERLESS_MS;
}

bool peering_serves_alone(struct peering *p, struct now now)
{
    if (!consensus_state(p->core->log).is_replayed) {
        return false;
    }
    if (p->replayed_ms == 0) {
        p->replayed_ms = now.mono_ms ? now.mono_ms : 1;
    }
    /* A long replay kept this node from hearing a leader. */
    bool had_time = now.mono_ms > p->replayed_ms + PEERING_LEADERLESS_MS;
    if (!had_time || !peering_is_leaderless(p, now)) {
        return false;
    }
    char words[PEERING_MISSING_MAX];
    peering_missing(p, now, words);
    LOG_WARN("cluster",
             "event=alone quorum=\"%s\" meaning=\"this node serves what it knew when it stopped; "
             "what the others took since then comes with them\"",
             words);
    return true;
}

/* ---------------------------------------------------------------- words */

struct words {
    char *dst;
    size_t len;
    unsigned missing;
    unsigned left_out;
};

static void put(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct words *w, const char *fmt, ...)
{
    size_t room = PEERING_MISSING_MAX - w->len;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->dst + w->len, room, fmt, args);
    va_end(args);
    w->len += n < 0 ? 0 : ((size_t)n < room ? (size_t)n : room - 1);
}

/* How long the log has heard nothing of a member whose link is up: a process that stands still
 * keeps its connections. Without a leader the living ask for votes, so silence says something. */
static uint64_t log_silence_ms(const struct peering *p, const struct node_id *id)
{
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    unsigned count =
        p->core->log ? consensus_members(p->core->log, members, CONSENSUS_MEMBERS_MAX) : 0;
    for (unsigned i = 0; i < count; i++) {
        bool is_known = members[i].silent_ms != UINT64_MAX;
        if (members[i].id == node_id_number(id) && is_known) {
            return members[i].silent_ms;
        }
    }
    return 0;
}

/* Since when a voter is missing, ms; 0: it is not. */
static uint64_t missing_ms(const struct peering *p, const struct membership_status *m,
                           struct now now)
{
    if (m->is_self || !m->is_voter) {
        return 0;
    }
    if (!m->is_up) {
        return now.mono_ms > m->since_ms ? now.mono_ms - m->since_ms : 1;
    }
    uint64_t silent_ms = log_silence_ms(p, &m->id);
    return silent_ms > PEERING_LEADERLESS_MS ? silent_ms : 0;
}

static void put_missing(const struct peering *p, struct words *w, struct now now)
{
    struct membership_status *list = mem_zalloc(MEMBERS_MAX, sizeof(*list));
    size_t count = membership_status(p->membership, list, MEMBERS_MAX, now);
    for (size_t i = 0; i < count; i++) {
        char address[MEMBER_ADDRESS_MAX + 1];
        uint64_t ms = missing_ms(p, &list[i], now);
        if (ms == 0) {
            continue;
        }
        w->missing++;
        member_address(list[i].host, list[i].port, address);
        if (w->len + strlen(address) + ROOM_FOR_REST > PEERING_MISSING_MAX) {
            w->left_out++;
            continue;
        }
        put(w, "%s %s since %llu s", w->missing == 1 ? "missing" : ",", address,
            (unsigned long long)ms / 1000);
    }
    mem_free(list);
}

void peering_missing(const struct peering *p, struct now now, char dst[PEERING_MISSING_MAX])
{
    struct words w = {.dst = dst};
    dst[0] = '\0';
    if (membership_phase(p->membership) != MEMBERSHIP_MEMBER) {
        char words[MEMBERSHIP_WORDS_MAX];
        membership_words(p->membership, words, now);
        put(&w, "%s", words);
        return;
    }
    put_missing(p, &w, now);
    if (w.left_out > 0) {
        put(&w, " and %u more", w.left_out);
    }
    if (w.missing == 0) {
        put(&w, "all members answer, but none has led for %llu s",
            (unsigned long long)peering_leaderless_ms(p, now) / 1000);
    }
}

int peering_refuse_leaderless(const struct peering *p, struct now now, struct fail *fail)
{
    char words[PEERING_MISSING_MAX];
    peering_missing(p, now, words);
    return fail_set(fail, E_NOT_LEADER, "no leader for %llu s, so nothing can be written: %s",
                    (unsigned long long)peering_leaderless_ms(p, now) / 1000, words);
}

int peering_check_quorum(const struct peering *p, struct now now, struct fail *fail)
{
    if (!peering_is_leaderless(p, now)) {
        return 0;
    }
    char words[PEERING_MISSING_MAX];
    peering_missing(p, now, words);
    return fail_set(fail, E_NOT_LEADER, "no quorum: %s", words);
}
