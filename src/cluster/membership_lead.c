/* What a leader does to the log's configuration, one change at a time. */
#include <stdio.h>
#include <string.h>

#include "cluster/membership_state.h"

static bool is_majority(const struct membership *m, unsigned count)
{
    unsigned voters = 0;
    for (size_t i = 0; i < m->server_count; i++) {
        voters += m->server[i].is_voter;
    }
    return voters > 0 && count > voters / 2;
}

/* Most voters, this node among them, were given this list: one node's edit is not the cluster's. */
static bool list_holds(struct membership *m, struct now now)
{
    unsigned same = 0;
    for (size_t i = 0; i < m->server_count; i++) {
        const struct server *server = &m->server[i];
        const struct slot *s = slot_of_number(m, server->number);
        bool is_same = server->number == m->number ||
                       (s && membership_is_fresh(s, now) &&
                        memcmp(s->hello.list_hash, m->list_hash, MEMBERS_HASH_BYTES) == 0);
        same += server->is_voter && is_same;
    }
    return is_majority(m, same);
}

/* How long h's sender has not seen a server; 0 when it does not say. */
static uint64_t age_in(const struct hello *h, uint64_t number)
{
    for (size_t i = 0; i < h->seen_count; i++) {
        if (h->seen[i].number == number) {
            return h->seen[i].age_ms;
        }
    }
    return 0;
}

/* Nobody who can be asked has seen the server for so long, and most voters could be asked. */
static bool is_gone(struct membership *m, uint64_t number, uint64_t gone_ms, struct now now)
{
    const struct slot *old = slot_of_number(m, number);
    uint64_t seen_ms = old ? old->seen_ms : m->start_ms;
    unsigned asked = 1; /* this node */
    if ((old && old->is_up) || now.mono_ms < seen_ms + gone_ms) {
        return false;
    }
    for (size_t i = 0; i < m->server_count; i++) {
        const struct server *server = &m->server[i];
        const struct slot *s = slot_of_number(m, server->number);
        bool can_ask = server->number != m->number && server->number != number &&
                       server->is_voter && s && membership_is_fresh(s, now);
        if (!can_ask) {
            continue;
        }
        if (age_in(&s->hello, number) < gone_ms) {
            return false;
        }
        asked++;
    }
    return is_majority(m, asked);
}

/* The guest may be taken in as far as it is concerned. */
static bool is_welcome(const struct membership *m, const struct slot *s, struct now now)
{
    bool is_empty = membership_is_fresh(s, now) && (s->hello.flags & HELLO_PRISTINE);
    bool is_trusted = m->secret_len == 0 || s->is_proven;
    return s->is_used && s->is_listed && s->is_up && node_id_is_set(&s->guest) && is_empty &&
           is_trusted && !s->is_two;
}

static bool may_replace(struct membership *m, uint64_t old, bool is_ordered, struct now now)
{
    bool has_secret = m->secret_len > 0;
    if (is_ordered) {
        return is_gone(m, old, MEMBERSHIP_GONE_PROVEN_MS, now);
    }
    if (m->repin == MEMBERSHIP_REPIN_NEVER ||
        (m->repin == MEMBERSHIP_REPIN_SECRET && !has_secret)) {
        return false;
    }
    return is_gone(m, old, has_secret ? MEMBERSHIP_GONE_PROVEN_MS : MEMBERSHIP_GONE_MS, now);
}

static void order(struct membership *m, const struct membership_change *change)
{
    m->is_changing = true;
    m->is_told = false;
    m->ops->change(m->self, change);
}

/* Without room for the mark the lists decide, as for a host name that is too long for the id. */
static void mark_ordered(char address[MEMBERSHIP_ADDRESS_MAX + 1])
{
    size_t len = strlen(address);
    if (strchr(address, '#') && len < MEMBERSHIP_ADDRESS_MAX) {
        address[len] = MEMBERSHIP_ORDERED;
        address[len + 1] = '\0';
    }
}

bool membership_take_in(struct membership *m, struct slot *s, struct now now)
{
    if (!is_welcome(m, s, now)) {
        return false;
    }
    bool is_ordered = membership_is_ordered(m, s->host, s->port);
    struct membership_change change = {
        .kind = MEMBERSHIP_ADD,
        .slot = slot_index(m, s),
        .number = node_id_number(&s->guest),
        .id = s->guest,
        .is_ordered = is_ordered,
    };
    char address[MEMBER_ADDRESS_MAX + 1];
    slot_address(s, address);
    if (server_find(m, change.number)) {
        return false; /* membership_sync pins it */
    }
    for (size_t i = 0; i < m->server_count; i++) {
        const struct server *server = &m->server[i];
        const struct slot *home = slot_of_number(m, server->number);
        bool is_elsewhere = server->number == m->number || (home && home->is_listed);
        if (server_is_address(server, s) && !is_elsewhere) {
            change.kind = MEMBERSHIP_REPLACE;
            change.old_number = server->number;
        }
    }
    if (change.kind == MEMBERSHIP_REPLACE && !may_replace(m, change.old_number, is_ordered, now)) {
        return false;
    }
    if (change.kind == MEMBERSHIP_ADD && !is_ordered && !list_holds(m, now)) {
        return false;
    }
    if (change.kind == MEMBERSHIP_REPLACE) {
        membership_say(m, MEMBERSHIP_WARN,
                       "%s has a new key and an empty directory: it replaces the server that was "
                       "there (%s)",
                       address,
                       m->secret_len > 0 ? "it proved the shared secret"
                                         : "the old key was not seen for 10 s, and most nodes say "
                                           "so; nacos.core.cluster.secret makes this safe against "
                                           "a stranger at that address");
    } else {
        membership_say(m, MEMBERSHIP_INFO, "%s joins the cluster", address);
    }
    membership_address_text(s->host, s->port, &s->guest, change.address);
    if (members_find(&m->list, s->host, s->port) == m->list.count) {
        mark_ordered(change.address);
    }
    order(m, &change);
    return true;
}

void membership_let_go(struct membership *m, const struct server *server, bool is_ordered)
{
    struct membership_change change = {
        .kind = MEMBERSHIP_REMOVE, .old_number = server->number, .is_ordered = is_ordered};
    member_address(server->host, server->port, change.address);
    membership_say(m, MEMBERSHIP_WARN, "%s is %s: it is removed", change.address,
                   is_ordered ? "to go by order of the operator"
                              : "not in the list of members any more");
    order(m, &change);
}

/* Every listed address is known to be somebody: an unlisted server has not just moved to one that
 * nobody has reached yet. */
static bool all_known(const struct membership *m)
{
    size_t listed = 0;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        bool is_known = s->is_self || s->is_alias || node_id_is_set(&s->pin) ||
                        (node_id_is_set(&s->guest) && s->has_hello);
        if (s->is_used && s->is_listed) {
            listed += members_find(&m->list, s->host, s->port) < m->list.count;
            if (!is_known) {
                return false;
            }
        }
    }
    return listed == m->list.count;
}

static bool is_listed_address(const struct membership *m, const struct server *server)
{
    return membership_is_wanted(m, server->host, server->port);
}

static bool is_self_listed(const struct membership *m)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (m->slot[i].is_used && m->slot[i].is_self) {
            return true;
        }
    }
    return false;
}

/* A server that the list does not have any more; this node itself comes last. */
static const struct server *find_unlisted(struct membership *m)
{
    const struct server *own = NULL;
    for (size_t i = 0; i < m->server_count; i++) {
        const struct server *server = &m->server[i];
        if (server->number == m->number) {
            own = is_self_listed(m) || is_listed_address(m, server) ? NULL : server;
            continue;
        }
        const struct slot *s = slot_of_number(m, server->number);
        if (!(s && s->is_listed) && !is_listed_address(m, server)) {
            return server;
        }
    }
    return own;
}

static void remove_unlisted(struct membership *m, struct now now)
{
    const struct server *server = find_unlisted(m);
    if (!server || m->list.count == 0 || !all_known(m) || !list_holds(m, now)) {
        return;
    }
    if (now.mono_ms < m->list_ms + MEMBERSHIP_QUIET_MS) {
        membership_wake(m, m->list_ms + MEMBERSHIP_QUIET_MS);
        return;
    }
    membership_let_go(m, server, false);
}

void membership_lead(struct membership *m, struct now now)
{
    if (!m->is_leader || !m->has_servers || m->is_changing || !m->has_list) {
        return;
    }
    if (membership_obey(m, now)) {
        return;
    }
    if (now.mono_ms < m->change_ms) {
        membership_wake(m, m->change_ms);
        return;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (membership_take_in(m, s, now)) {
            return;
        }
    }
    remove_unlisted(m, now);
}
