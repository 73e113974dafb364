/* The first start: one cluster or none.
 *
 * A node promises a configuration (form.h: every member's id, address and generation) when it sees
 * every member of its list pristine and with the same list. The promise is on disk before it is
 * said. It makes the log when every member has promised that same configuration.
 *
 * Why never two that could both gather a quorum. A node promises one configuration at a time;
 * before it promises another it raises its own generation, on disk. Each configuration names the
 * generation of each member, so a promise of the new one comes only from nodes that have seen the
 * new generation, and hellos of a node arrive in the order in which it made them. Let C and D both
 * be promised by all of their members, and both by the nodes W. If one of W promised C before D,
 * its generation in D is the later one, so all others of W promised D after having seen that, which
 * is after C as well: the order is the same for all of W. And a node makes only what it has
 * promised last, and promises nothing once it has begun to make a log; so no node of W makes C: C
 * is made at most by members that D does not have, and lacks the voices of W.
 *
 * A member that stopped between its promise and the log follows: a peer that made exactly what it
 * promised shows it (hello.form). A node without promise, or with another one, never does. */
#include <stdio.h>
#include <string.h>

#include "cluster/membership_state.h"

#define HOLD_MS 100 /* after a promise taken back, doubled each time */
#define HOLD_DOUBLINGS_MAX 4
#define JITTER_MS 100

/* Which configuration */

static bool add_slot(const struct membership *m, const struct slot *s, struct form *form)
{
    struct form_member member = {.port = s->port};
    memcpy(member.host, s->host, sizeof(member.host));
    if (s->is_self) {
        member.id = m->id;
        member.generation = m->wanted.generation;
        return form_join(form, &member);
    }
    bool is_ready = node_id_is_set(&s->pin) && !s->is_alias && !s->is_two && s->has_hello &&
                    (s->hello.flags & HELLO_PRISTINE) &&
                    memcmp(s->hello.list_hash, m->list_hash, MEMBERS_HASH_BYTES) == 0;
    member.id = s->pin;
    member.generation = s->hello.generation;
    return is_ready && form_join(form, &member);
}

bool membership_view(const struct membership *m, struct form *ret)
{
    *ret = (struct form){0};
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (s->is_used && s->is_listed && !add_slot(m, s, ret)) {
            return false;
        }
    }
    return ret->count > 0 && ret->count == m->list.count && form_find(ret, &m->id);
}

/* What the peers of a view have promised: nothing or the same. all: the same only. */
static bool others_agree(const struct membership *m, const uint8_t digest[FORM_BYTES], bool all)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (!s->is_used || !s->is_listed || s->is_self) {
            continue;
        }
        bool is_same = memcmp(s->hello.agreed, digest, FORM_BYTES) == 0;
        if (!is_same && (all || form_digest_is_set(s->hello.agreed))) {
            return false;
        }
    }
    return true;
}

/* Beginning */

static void begin(struct membership *m, const struct form *form)
{
    uint8_t digest[FORM_BYTES];
    form_digest(form, digest);
    m->form = *form;
    m->wanted.stage = PINS_FORMING;
    memcpy(m->wanted.agreed, digest, FORM_BYTES);
    memcpy(m->wanted.cluster_id, digest, CLUSTER_ID_BYTES);
    m->pins_due = true;
}

static void begin_alone(struct membership *m)
{
    struct form form = {0};
    struct form_member own = {.id = m->id, .generation = m->wanted.generation, .port = m->port};
    memcpy(own.host, m->host, sizeof(own.host));
    const struct slot *listed = NULL;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        listed = s->is_used && s->is_listed && (s->is_self || m->list.count == 1) ? s : listed;
    }
    if (listed) {
        memcpy(own.host, listed->host, sizeof(own.host));
        own.port = listed->port;
    }
    (void)form_join(&form, &own);
    if (m->is_forced) {
        membership_say(m, MEMBERSHIP_WARN,
                       "by order of the operator this node begins a cluster alone; the others of "
                       "the list join it when they are empty");
    }
    begin(m, &form);
}

/* Make what is agreed and on disk. */
static void make(struct membership *m)
{
    struct membership_first list[MEMBERS_MAX];
    for (size_t i = 0; i < m->form.count; i++) {
        const struct form_member *member = &m->form.list[i];
        list[i].number = node_id_number(&member->id);
        membership_address_text(member->host, member->port, &member->id, list[i].address);
    }
    m->is_form_called = true;
    m->hellos_due = true;
    membership_say(m, MEMBERSHIP_INFO, "a new cluster of %zu begins", m->form.count);
    m->ops->form(m->self, list, m->form.count);
}

/* Promising */

static void retreat(struct membership *m, struct now now)
{
    unsigned doublings = m->retreats < HOLD_DOUBLINGS_MAX ? m->retreats : HOLD_DOUBLINGS_MAX;
    m->jitter = m->jitter * 6364136223846793005u + 1442695040888963407u;
    m->hold_ms = now.mono_ms + ((uint64_t)HOLD_MS << doublings) + (m->jitter >> 33) % JITTER_MS;
    m->retreats++;
    m->wanted.generation++;
    memset(m->wanted.agreed, 0, FORM_BYTES);
    m->pins_due = true;
}

static void agree(struct membership *m, struct now now)
{
    struct form view;
    uint8_t digest[FORM_BYTES];
    if (!membership_view(m, &view)) {
        return;
    }
    form_digest(&view, digest);
    bool has_promised = form_digest_is_set(m->wanted.agreed);
    bool is_same = memcmp(m->wanted.agreed, digest, FORM_BYTES) == 0;
    if (has_promised && !is_same) {
        retreat(m, now);
        return;
    }
    if (!has_promised && now.mono_ms < m->hold_ms) {
        membership_wake(m, m->hold_ms);
        return;
    }
    if (!has_promised && others_agree(m, digest, false)) {
        memcpy(m->wanted.agreed, digest, FORM_BYTES);
        m->pins_due = true;
        return;
    }
    bool is_said = memcmp(m->durable.agreed, digest, FORM_BYTES) == 0;
    if (has_promised && is_said && others_agree(m, digest, true)) {
        begin(m, &view);
    }
}

/* Peers that have a log */

static const struct hello_server *find_us(const struct membership *m, const struct hello *h)
{
    for (size_t i = 0; i < h->server_count; i++) {
        if (h->server[i].number == m->number) {
            return &h->server[i];
        }
    }
    return NULL;
}

/* The peer made what we promised. */
static bool may_follow(const struct membership *m, const struct hello *h)
{
    uint8_t digest[FORM_BYTES];
    if (!h->form || !form_makes(h->form, h->cluster_id)) {
        return false;
    }
    const struct form_member *us = form_find(h->form, &m->id);
    form_digest(h->form, digest);
    return us && us->generation == m->durable.generation && form_find(h->form, &h->id) &&
           memcmp(digest, m->durable.agreed, FORM_BYTES) == 0 &&
           memcmp(digest, m->wanted.agreed, FORM_BYTES) == 0;
}

void membership_first_heard(struct membership *m, const struct slot *s, const struct hello *h,
                            struct now now)
{
    static const uint8_t none[CLUSTER_ID_BYTES];
    bool is_cluster =
        !(h->flags & HELLO_PRISTINE) && memcmp(h->cluster_id, none, CLUSTER_ID_BYTES) != 0;
    bool is_open = m->wanted.stage == PINS_NEW || m->wanted.stage == PINS_JOINING;
    if (!m->is_pristine || !is_open || !is_cluster || !node_id_is_set(&s->pin)) {
        return;
    }
    const struct hello_server *us = find_us(m, h);
    if (m->wanted.stage == PINS_NEW && may_follow(m, h)) {
        begin(m, h->form);
        return;
    }
    if (!us || !(h->flags & HELLO_LEADER)) {
        return;
    }
    if (us->is_voter) {
        m->lost_ms = m->lost_ms ? m->lost_ms : now.mono_ms;
        bool is_sure = now.mono_ms >= m->lost_ms + MEMBERSHIP_LOST_MS;
        if (is_sure) {
            membership_refuse(m, "this node votes in its cluster, but its log is not in the data "
                                 "directory: restore it, or remove node.key, node.crt and peers "
                                 "too, so that it comes back as a new node");
        }
        return;
    }
    m->lost_ms = 0;
    if (m->wanted.stage == PINS_NEW ||
        memcmp(m->wanted.cluster_id, h->cluster_id, CLUSTER_ID_BYTES) != 0) {
        m->wanted.stage = PINS_JOINING;
        memcpy(m->wanted.cluster_id, h->cluster_id, CLUSTER_ID_BYTES);
        m->pins_due = true;
    }
}

/* A turn */

void membership_first(struct membership *m, struct now now)
{
    if (!m->is_pristine) {
        return;
    }
    if (m->durable.stage == PINS_FORMING && !m->is_form_called) {
        make(m);
    }
    bool is_joining = m->durable.stage == PINS_JOINING && m->wanted.stage == PINS_JOINING;
    if (is_joining && !m->is_join_called) {
        m->is_join_called = true;
        membership_say(m, MEMBERSHIP_INFO, "the cluster takes this node in");
        m->ops->join(m->self);
    }
    if (m->wanted.stage != PINS_NEW) {
        return;
    }
    if (m->is_forced || (m->has_list && m->list.count <= 1)) {
        begin_alone(m);
        return;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (s->is_used && s->has_hello && !(s->hello.flags & HELLO_PRISTINE)) {
            return; /* there is a cluster: it takes us in, or somebody's log must go first */
        }
    }
    agree(m, now);
}
