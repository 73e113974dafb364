/* Hellos: made for each peer, taken from each peer. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/membership_state.h"

bool membership_is_fresh(const struct slot *s, struct now now)
{
    return s->has_hello && now.mono_ms < s->hello_ms + MEMBERSHIP_FRESH_MS;
}

/* Making */

static uint64_t age_of(struct membership *m, uint64_t number, struct now now)
{
    const struct slot *s = slot_of_number(m, number);
    if (number == m->number || (s && s->is_up)) {
        return 0;
    }
    return now.mono_ms - (s ? s->seen_ms : m->start_ms);
}

static void put_servers(struct membership *m, struct hello *h, struct now now)
{
    for (size_t i = 0; i < m->server_count; i++) {
        uint64_t number = m->server[i].number;
        h->server[i] = (struct hello_server){number, m->server[i].is_voter};
        h->seen[i] = (struct hello_seen){number, age_of(m, number, now)};
    }
    h->server_count = m->server_count;
    h->seen_count = m->server_count;
}

static uint32_t flags_for(struct membership *m, const struct slot *s)
{
    bool has_begun = m->durable.stage == PINS_FORMING || m->wanted.stage == PINS_MEMBER;
    /* Not one that was started since: it may be the only one by now. */
    bool is_twin = s->is_two && (s->lives[0] == s->twin[0] || s->lives[0] == s->twin[1]);
    struct form view;
    uint32_t flags = 0;
    flags |= m->is_pristine && !has_begun ? HELLO_PRISTINE : 0;
    flags |= m->is_leader ? HELLO_LEADER : 0;
    flags |= m->secret_len > 0 ? HELLO_HAS_SECRET : 0;
    flags |= is_twin ? HELLO_YOU_ARE_TWO : 0;
    flags |= m->is_pristine && membership_view(m, &view) ? HELLO_SEES_ALL : 0;
    return flags;
}

static void prove(const struct membership *m, const struct slot *s, struct hello *h)
{
    if (m->secret_len == 0 || !s->has_hello) {
        return;
    }
    struct hello_proof p = {
        .secret = span_of(m->secret, m->secret_len),
        .sender = &m->id,
        .receiver = slot_who(s),
        .sender_nonce = m->nonce,
        .receiver_nonce = s->hello.nonce,
    };
    hello_prove(&p, h->proof);
}

static void make(struct membership *m, const struct slot *s, struct hello *h, struct now now)
{
    h->version = HELLO_VERSION;
    h->id = m->id;
    h->life = m->life;
    h->port = m->port;
    h->flags = flags_for(m, s);
    h->leader = m->leader;
    /* Only what is on disk counts as said. */
    h->generation = m->durable.generation;
    memcpy(h->agreed, m->durable.agreed, FORM_BYTES);
    memcpy(h->list_hash, m->list_hash, MEMBERS_HASH_BYTES);
    memcpy(h->nonce, m->nonce, HELLO_NONCE_BYTES);
    memcpy(h->release, m->release, sizeof(h->release));
    if (!(h->flags & HELLO_PRISTINE)) {
        memcpy(h->cluster_id, m->durable.cluster_id, CLUSTER_ID_BYTES);
    }
    if (s->is_listed && s->is_up) {
        size_t entry = members_find(&m->list, s->host, s->port);
        h->entry = entry < m->list.count ? (unsigned)entry + 1 : 0;
    }
    put_servers(m, h, now);
    prove(m, s, h);
    if (!s->has_hello || memcmp(s->hello.list_hash, m->list_hash, MEMBERS_HASH_BYTES) != 0) {
        h->list = &m->list;
    }
    bool wants_form = !s->has_hello || (s->hello.flags & HELLO_PRISTINE);
    if (wants_form && !(h->flags & HELLO_PRISTINE) && form_makes(&m->form, h->cluster_id)) {
        h->form = &m->form;
    }
}

/* Everything about this peer is as it should be. */
static bool is_settled(const struct membership *m, const struct slot *s)
{
    return !m->is_pristine && s->is_up && s->has_hello && node_id_is_set(&s->pin) &&
           !(s->hello.flags & HELLO_PRISTINE) && s->difference[0] == '\0';
}

void membership_hellos(struct membership *m, struct now now)
{
    bool all_settled = true;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        all_settled = all_settled && (!s->is_used || s->is_self || is_settled(m, s));
    }
    uint64_t period = all_settled ? MEMBERSHIP_HELLO_SETTLED_MS : MEMBERSHIP_HELLO_MS;
    struct hello *h = mem_alloc(sizeof(*h));
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (!s->is_used || !s->is_up) {
            continue;
        }
        if (m->hellos_due || now.mono_ms >= s->hello_due_ms) {
            *h = (struct hello){0};
            make(m, s, h, now);
            s->hello_due_ms = now.mono_ms + period;
            m->ops->send(m->self, i, hello_encode(h));
        }
        if (s->hello_due_ms > now.mono_ms + period) {
            s->hello_due_ms = now.mono_ms + period;
        }
        membership_wake(m, s->hello_due_ms);
    }
    m->hellos_due = false;
    mem_free(h);
}

/* Taking */

/* What people should know about two lists. */
static void compare_lists(const struct membership *m, const struct hello *h, struct slot *s)
{
    s->difference[0] = '\0';
    if (!m->has_list || memcmp(h->list_hash, m->list_hash, MEMBERS_HASH_BYTES) == 0) {
        return;
    }
    const char *what = "its list of members differs from ours";
    char address[MEMBER_ADDRESS_MAX + 1] = "";
    for (size_t i = 0; h->list && i < h->list->count && !address[0]; i++) {
        const struct member *e = &h->list->list[i];
        if (members_find(&m->list, e->host, e->port) == m->list.count) {
            member_address(e->host, e->port, address);
            what = "its list of members has one that ours has not: ";
        }
    }
    for (size_t i = 0; h->list && i < m->list.count && !address[0]; i++) {
        const struct member *e = &m->list.list[i];
        if (members_find(h->list, e->host, e->port) == h->list->count) {
            member_address(e->host, e->port, address);
            what = "its list of members lacks one that ours has: ";
        }
    }
    (void)snprintf(s->difference, sizeof(s->difference), "%s%.*s", what, (int)(WHY_MAX - 64),
                   address);
}

static bool proves(const struct membership *m, const struct node_id *from, const struct hello *h)
{
    struct hello_proof p = {
        .secret = span_of(m->secret, m->secret_len),
        .sender = from,
        .receiver = &m->id,
        .sender_nonce = h->nonce,
        .receiver_nonce = m->nonce,
    };
    return m->secret_len > 0 && hello_is_proven(&p, h->proof);
}

/* A life that comes back after another one: two processes have the key. */
static void watch_lives(struct membership *m, struct slot *s, uint64_t life, struct now now)
{
    if (s->lives[0] == life) {
        bool is_over = now.mono_ms >= s->two_ms + MEMBERSHIP_TWO_MS;
        s->is_two = s->is_two && !is_over;
        return;
    }
    for (size_t i = 1; i < LIVES_MAX; i++) {
        if (s->lives[i] != life) {
            continue;
        }
        if (!s->is_two) {
            char address[MEMBER_ADDRESS_MAX + 1];
            slot_address(s, address);
            membership_say(m, MEMBERSHIP_ERROR,
                           "two processes use the key of %s: its data directory was copied; stop "
                           "one of them and empty its directory",
                           address);
        }
        s->is_two = true;
        s->two_ms = now.mono_ms;
        s->twin[0] = life;
        s->twin[1] = s->lives[0];
    }
    memmove(&s->lives[1], &s->lives[0], (LIVES_MAX - 1) * sizeof(s->lives[0]));
    s->lives[0] = life;
}

/* The peer reached us at this entry of a list that is ours too: that entry is this node. For nodes
 * that cannot reach their own address from inside. */
static void told_self(struct membership *m, const struct hello *h, struct now now)
{
    if (h->entry == 0 || h->entry > m->list.count ||
        memcmp(h->list_hash, m->list_hash, MEMBERS_HASH_BYTES) != 0) {
        return;
    }
    const struct member *e = &m->list.list[h->entry - 1];
    struct slot *own = NULL;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && s->is_self) {
            return;
        }
        if (s->is_used && s->is_listed && s->port == e->port && strcmp(s->host, e->host) == 0) {
            own = s;
        }
    }
    if (own && !node_id_is_set(slot_who(own)) && !own->is_alias) {
        slot_self(m, own, now);
    }
}

/* A guest of a node without a log is pinned when its hello holds; with a log, when the log has it.
 */
static void confirm(struct membership *m, struct slot *s)
{
    bool is_trusted = m->secret_len == 0 || s->is_proven;
    if (!m->has_servers && node_id_is_set(&s->guest) && is_trusted &&
        m->wanted.stage != PINS_FORMING) {
        slot_pin(m, s, &s->guest);
    }
}

/* A member whose file was removed asks the others for the cluster's id. */
static void adopt(struct membership *m, const struct slot *s, const struct hello *h)
{
    static const uint8_t none[CLUSTER_ID_BYTES];
    bool is_open = !m->is_pristine && memcmp(m->wanted.cluster_id, none, sizeof(none)) == 0;
    if (is_open && node_id_is_set(&s->pin) && m->has_servers &&
        memcmp(h->cluster_id, none, sizeof(none)) != 0) {
        memcpy(m->wanted.cluster_id, h->cluster_id, CLUSTER_ID_BYTES);
        m->pins_due = true;
    }
}

/* What it says of itself is other than before, in what we answer to. */
static bool is_news(const struct slot *s, const struct hello *h)
{
    return !s->has_hello || s->hello.life != h->life || s->hello.flags != h->flags ||
           s->hello.generation != h->generation ||
           memcmp(s->hello.agreed, h->agreed, FORM_BYTES) != 0 ||
           memcmp(s->hello.list_hash, h->list_hash, MEMBERS_HASH_BYTES) != 0;
}

static bool is_in(const struct hello *h, uint64_t number)
{
    for (size_t i = 0; i < h->server_count; i++) {
        if (h->server[i].number == number) {
            return true;
        }
    }
    return false;
}

/* A leader does not count this node any more. Nothing else tells a server that was removed: it gets
 * no entries, and would go on answering reads from what it has. */
static void removed_heard(struct membership *m, const struct slot *s, const struct hello *h,
                          struct now now)
{
    bool is_leader = (h->flags & HELLO_LEADER) && h->server_count > 0 && node_id_is_set(&s->pin) &&
                     memcmp(h->cluster_id, m->wanted.cluster_id, CLUSTER_ID_BYTES) == 0;
    if (!is_leader || m->is_pristine || !m->has_servers || !server_find(m, m->number)) {
        return;
    }
    if (is_in(h, m->number)) {
        m->removed_ms = 0;
        return;
    }
    m->removed_ms = m->removed_ms ? m->removed_ms : now.mono_ms;
    if (now.mono_ms >= m->removed_ms + MEMBERSHIP_LOST_MS) {
        membership_refuse(m, "this node was removed from its cluster. To bring it back, empty its "
                             "data directory and start it with the list of members; otherwise "
                             "leave it stopped");
    }
}

static void take(struct membership *m, struct slot *s, struct hello *h, struct now now)
{
    bool is_new = is_news(s, h);
    s->is_proven = proves(m, slot_who(s), h);
    watch_lives(m, s, h->life, now);
    compare_lists(m, h, s);
    s->hello = *h;
    s->hello.list = NULL;
    s->hello.form = NULL;
    s->has_hello = true;
    s->hello_ms = now.mono_ms;
    s->seen_ms = now.mono_ms;
    s->was_seen = true;
    confirm(m, s);
    adopt(m, s, h);
    told_self(m, h, now);
    membership_first_heard(m, s, h, now);
    removed_heard(m, s, h, now);
    if ((h->flags & HELLO_YOU_ARE_TWO) && node_id_is_set(&s->pin)) {
        membership_refuse(m, "another process uses this node's key: the data directory was copied. "
                             "Stop one of the two, empty its directory and start it again");
    }
    if (is_new) {
        s->hello_due_ms = now.mono_ms;
        m->is_dirty = true;
    }
}

bool membership_on_hello(struct membership *m, const struct node_id *from, struct span bytes,
                         struct now now, struct fail *fail)
{
    struct hello *h = mem_zalloc(1, sizeof(*h));
    bool ok = hello_decode(bytes, h, fail) == 0;
    if (ok && !node_id_eq(&h->id, from)) {
        (void)fail_set(fail, E_INVALID, "hello: expected the id that TLS proved, found another");
        ok = false;
    }
    struct slot *s = ok ? slot_of_id(m, from) : NULL;
    if (s && !m->is_refused) {
        take(m, s, h, now);
        m->is_dirty = true;
    }
    hello_close(h);
    mem_free(h);
    return ok;
}
