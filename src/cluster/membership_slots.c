/* Which address is whom. A slot is a listed address, or the last address of a server of the log
 * that no listed address answers for. A key is at one slot only. */
#include <string.h>

#include "base/assert.h"
#include "cluster/membership_state.h"

/* Finding */

const struct node_id *slot_who(const struct slot *s)
{
    return node_id_is_set(&s->pin) ? &s->pin : &s->guest;
}

struct slot *slot_of_id(struct membership *m, const struct node_id *id)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && node_id_is_set(id) && node_id_eq(slot_who(s), id)) {
            return s;
        }
    }
    return NULL;
}

struct slot *slot_of_number(struct membership *m, uint64_t number)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && node_id_is_set(slot_who(s)) && node_id_number(slot_who(s)) == number) {
            return s;
        }
    }
    return NULL;
}

unsigned slot_index(const struct membership *m, const struct slot *s)
{
    return (unsigned)(s - m->slot);
}

void slot_address(const struct slot *s, char dst[MEMBER_ADDRESS_MAX + 1])
{
    member_address(s->host, s->port, dst);
}

const struct server *server_find(const struct membership *m, uint64_t number)
{
    for (size_t i = 0; i < m->server_count; i++) {
        if (m->server[i].number == number) {
            return &m->server[i];
        }
    }
    return NULL;
}

bool server_is_address(const struct server *server, const struct slot *s)
{
    return server->port == s->port && strcmp(server->host, s->host) == 0;
}

static struct slot *find_address(struct membership *m, const char *host, uint16_t port,
                                 bool is_listed)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && s->is_listed == is_listed && s->port == port &&
            strcmp(s->host, host) == 0) {
            return s;
        }
    }
    return NULL;
}

/* Making and leaving */

/* Nobody is at this address as far as we know. */
static void clear(struct slot *s)
{
    s->pin = (struct node_id){0};
    s->guest = (struct node_id){0};
    s->guest_ms = 0;
    s->is_up = false;
    s->has_hello = false;
    s->was_seen = false;
    s->is_proven = false;
    s->is_two = false;
    s->difference[0] = '\0';
    memset(s->lives, 0, sizeof(s->lives));
}

static void leave(struct membership *m, struct slot *s, struct now now)
{
    m->pins_due = m->pins_due || node_id_is_set(&s->pin);
    m->links_due = true;
    *s = (struct slot){.free_ms = now.mono_ms};
}

/* A number that links have forgotten: what they still report about an older address must not be
 * taken for news of this one. NULL: none now. */
static struct slot *take(struct membership *m, const char *host, uint16_t port, struct now now)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used) {
            continue;
        }
        if (s->free_ms != 0 && now.mono_ms < s->free_ms + MEMBERSHIP_REST_MS) {
            membership_wake(m, s->free_ms + MEMBERSHIP_REST_MS);
            continue;
        }
        *s = (struct slot){.is_used = true, .port = port, .seen_ms = now.mono_ms};
        s->since_ms = now.mono_ms;
        memcpy(s->host, host, strlen(host) + 1);
        m->links_due = true;
        return s;
    }
    return NULL;
}

/* What is known about a key goes with it. */
static void carry(struct membership *m, const struct slot *from, struct slot *to, struct now now)
{
    to->pin = from->pin;
    to->guest = from->guest;
    to->guest_ms = now.mono_ms;
    to->is_alias = false;
    to->is_self = false;
    to->is_up = false;
    to->since_ms = now.mono_ms;
    to->seen_ms = from->seen_ms;
    to->was_seen = from->was_seen;
    to->has_hello = from->has_hello;
    to->hello = from->hello;
    to->hello_ms = from->hello_ms;
    to->is_proven = from->is_proven;
    to->is_two = from->is_two;
    memcpy(to->lives, from->lives, sizeof(to->lives));
    memcpy(to->difference, from->difference, sizeof(to->difference));
    memcpy(to->why, from->why, sizeof(to->why));
    m->links_due = true;
    m->pins_due = m->pins_due || node_id_is_set(&to->pin);
}

static void move(struct membership *m, struct slot *from, struct slot *to, struct now now)
{
    carry(m, from, to, now);
    if (from->is_listed) {
        clear(from);
    } else {
        leave(m, from, now);
    }
}

void slot_pin(struct membership *m, struct slot *s, const struct node_id *id)
{
    s->pin = *id;
    s->guest = (struct node_id){0};
    m->pins_due = true;
    m->links_due = true;
    m->hellos_due = true;
}

/* A server of the log leaves its listed address to whoever answers there; it is still dialled and
 * let in under a slot of its own. False: no slot for it now. */
static bool set_aside(struct membership *m, struct slot *s, struct now now)
{
    if (node_id_is_set(&s->pin) && server_find(m, node_id_number(&s->pin))) {
        struct slot *aside = take(m, s->host, s->port, now);
        if (!aside) {
            return false;
        }
        uint64_t since_ms = s->is_up ? now.mono_ms : s->since_ms;
        carry(m, s, aside, now);
        aside->since_ms = since_ms; /* it is told for how long it has been gone */
        aside->guest_ms = 0;
    }
    m->pins_due = m->pins_due || node_id_is_set(&s->pin);
    m->links_due = true;
    clear(s);
    return true;
}

/* Answers */

/* An address that was ours may be another's by now: it is asked again. */
static void doubt_self(struct membership *m, const struct slot *found, struct now now)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        bool is_old = now.mono_ms >= s->alias_ms + MEMBERSHIP_GUEST_MS;
        if (s->is_used && s->is_self && s != found && is_old) {
            s->is_self = false;
        }
    }
}

void slot_self(struct membership *m, struct slot *s, struct now now)
{
    if (s->is_self || (node_id_is_set(slot_who(s)) && !set_aside(m, s, now))) {
        return;
    }
    if (!s->is_listed) {
        leave(m, s, now); /* a server's last address is ours now: nobody to dial there */
        return;
    }
    clear(s);
    doubt_self(m, s, now);
    s->is_self = true;
    s->is_alias = false;
    s->alias_ms = now.mono_ms;
    m->links_due = true;
    m->hellos_due = true;
}

void slot_learned(struct membership *m, struct slot *s, const struct node_id *id, struct now now)
{
    if (s->is_self || node_id_is_set(slot_who(s)) || !node_id_is_set(id)) {
        return;
    }
    struct slot *other = slot_of_id(m, id);
    bool is_settled = other && other->is_listed &&
                      (other->is_up || (other->guest_ms != 0 &&
                                        now.mono_ms < other->guest_ms + MEMBERSHIP_GUEST_MS));
    if (is_settled) {
        s->is_alias = true;
        s->alias_ms = now.mono_ms;
        m->links_due = true;
        return;
    }
    if (other) {
        move(m, other, s, now);
        return;
    }
    clear(s);
    s->guest = *id;
    s->guest_ms = now.mono_ms;
    s->seen_ms = now.mono_ms;
    s->was_seen = true;
    m->links_due = true;
}

/* The list */

void slot_unlist(struct membership *m, struct slot *s, struct now now)
{
    bool is_server = node_id_is_set(&s->pin) && !m->is_pristine;
    if (!is_server) {
        leave(m, s, now);
        return;
    }
    s->is_listed = false;
    m->links_due = true;
}

/* The file's pin of an address, unless its key is at another one already. */
static void restore(struct membership *m, struct slot *s)
{
    for (size_t i = 0; i < m->known.count; i++) {
        const struct pin *p = &m->known.list[i];
        bool is_here = p->port == s->port && strcmp(p->host, s->host) == 0;
        if (is_here && !p->is_self && !node_id_eq(&p->id, &m->id) && !slot_of_id(m, &p->id)) {
            s->pin = p->id;
            return;
        }
    }
}

bool membership_is_wanted(const struct membership *m, const char *host, uint16_t port)
{
    bool is_wanted =
        members_find(&m->list, host, port) < m->list.count || membership_is_ordered(m, host, port);
    for (size_t i = 0; i < m->server_count && !is_wanted; i++) {
        const struct server *server = &m->server[i];
        is_wanted = server->is_ordered && server->port == port && strcmp(server->host, host) == 0;
    }
    return is_wanted;
}

static void place(struct membership *m, const char *host, uint16_t port, struct now now)
{
    if (find_address(m, host, port, true)) {
        return;
    }
    struct slot *s = find_address(m, host, port, false);
    if (!s) {
        s = take(m, host, port, now);
        if (!s) {
            return;
        }
        restore(m, s);
    }
    s->is_listed = true;
    s->guest_ms = 0;
    m->links_due = true;
}

void membership_place(struct membership *m, struct now now)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && s->is_listed && !membership_is_wanted(m, s->host, s->port)) {
            slot_unlist(m, s, now); /* an order is over, or its server gone */
        }
    }
    for (size_t i = 0; i < m->list.count; i++) {
        place(m, m->list.list[i].host, m->list.list[i].port, now);
    }
    for (size_t i = 0; i < m->server_count; i++) {
        const struct server *server = &m->server[i];
        if (server->is_ordered && server->host[0] != '\0') {
            place(m, server->host, server->port, now);
        }
    }
    if (membership_is_ordered(m, m->order.host, m->order.port)) {
        place(m, m->order.host, m->order.port, now);
    }
}

/* The log's configuration */

static const struct node_id *known_id(const struct membership *m, const struct server *server)
{
    if (node_id_is_set(&server->id)) {
        return &server->id;
    }
    for (size_t i = 0; i < m->known.count; i++) {
        if (node_id_number(&m->known.list[i].id) == server->number) {
            return &m->known.list[i].id;
        }
    }
    return NULL;
}

/* A server that is at no slot: at its address, if that is listed and nobody else is there. */
static void seat(struct membership *m, const struct server *server, const struct node_id *id,
                 struct now now)
{
    if (server->host[0] == '\0') {
        return;
    }
    struct slot *s = find_address(m, server->host, server->port, true);
    bool is_open = s && !s->is_self && !s->is_alias && !node_id_is_set(slot_who(s));
    if (!is_open) {
        s = take(m, server->host, server->port, now);
    }
    if (s) {
        slot_pin(m, s, id);
    }
}

static void follow_server(struct membership *m, struct server *server, struct now now)
{
    struct slot *s = slot_of_number(m, server->number);
    if (s && node_id_is_set(&server->id) && !node_id_eq(&server->id, slot_who(s))) {
        return; /* another key of the same number: made to deceive, never pinned */
    }
    if (s && !node_id_is_set(&s->pin)) {
        slot_pin(m, s, slot_who(s));
    }
    if (s) {
        server->id = s->pin;
        return;
    }
    const struct node_id *id = known_id(m, server);
    if (id) {
        server->id = *id;
        seat(m, server, id, now);
    }
}

void membership_sync(struct membership *m, struct now now)
{
    if (!m->has_servers) {
        return;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (!s->is_used || !node_id_is_set(&s->pin) || server_find(m, node_id_number(&s->pin))) {
            continue;
        }
        s->guest = s->pin; /* a guest until the log has it, or until it has heard that it is out */
        s->guest_ms = now.mono_ms;
        s->pin = (struct node_id){0};
        m->pins_due = true;
    }
    for (size_t i = 0; i < m->server_count; i++) {
        if (m->server[i].number != m->number) {
            follow_server(m, &m->server[i], now);
        }
    }
}

/* Time */

/* A server of the log that does not answer at its address may have moved, and another may be there:
 * the address is asked soon and whatever the policy says, because the server is set aside and stays
 * dialled and let in; a stranger that answers is a guest and no more. Without a log there is
 * nothing to set aside, so the policy decides. */
static bool may_open(const struct membership *m, const struct slot *s, uint64_t *ret_ms)
{
    if (server_find(m, node_id_number(&s->pin))) {
        *ret_ms = s->since_ms + MEMBERSHIP_OPEN_MS;
        return true;
    }
    bool has_secret = m->secret_len > 0;
    uint64_t last = s->seen_ms > s->since_ms ? s->seen_ms : s->since_ms;
    *ret_ms = last + (has_secret ? MEMBERSHIP_GONE_PROVEN_MS : MEMBERSHIP_GONE_MS);
    return m->repin == MEMBERSHIP_REPIN_AUTO || (m->repin == MEMBERSHIP_REPIN_SECRET && has_secret);
}

static void open_slot(struct membership *m, struct slot *s, struct now now)
{
    uint64_t open_ms = 0;
    bool is_due = s->is_listed && !s->is_self && node_id_is_set(&s->pin) && !s->is_up;
    if (!is_due || m->wanted.stage == PINS_FORMING || !may_open(m, s, &open_ms)) {
        return;
    }
    if (now.mono_ms < open_ms) {
        membership_wake(m, open_ms);
        return;
    }
    (void)set_aside(m, s, now);
}

/* A server that was removed and is not listed stays long enough to be told (removed_heard). */
static void part(struct membership *m, struct slot *s, struct now now)
{
    if (s->is_listed || !node_id_is_set(&s->guest)) {
        return;
    }
    if (now.mono_ms < s->guest_ms + MEMBERSHIP_PART_MS) {
        membership_wake(m, s->guest_ms + MEMBERSHIP_PART_MS);
        return;
    }
    leave(m, s, now);
}

static void age_guest(struct membership *m, struct slot *s, struct now now)
{
    uint64_t last = s->has_hello && s->hello_ms > s->guest_ms ? s->hello_ms : s->guest_ms;
    uint64_t wait = s->has_hello ? 2 * MEMBERSHIP_HELLO_SETTLED_MS : MEMBERSHIP_GUEST_MS;
    if (!node_id_is_set(&s->guest)) {
        return;
    }
    if (now.mono_ms < last + wait) {
        membership_wake(m, last + wait);
        return;
    }
    clear(s);
    m->links_due = true;
}

static void ask_again(struct membership *m, struct slot *s, struct now now, unsigned selves)
{
    if (!s->is_alias && !(s->is_self && selves > 1)) {
        return;
    }
    if (now.mono_ms < s->alias_ms + MEMBERSHIP_ALIAS_MS) {
        membership_wake(m, s->alias_ms + MEMBERSHIP_ALIAS_MS);
        return;
    }
    s->is_alias = false;
    s->is_self = false;
    m->links_due = true;
}

void membership_age(struct membership *m, struct now now)
{
    unsigned selves = 0;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        selves += m->slot[i].is_used && m->slot[i].is_self;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used) {
            part(m, s, now);
            age_guest(m, s, now);
            ask_again(m, s, now, selves);
            open_slot(m, s, now);
        }
    }
}

/* Links */

void membership_links(struct membership *m)
{
    struct membership_link list[SLOTS_MAX];
    size_t count = 0;
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (!s->is_used || s->is_self || s->is_alias) {
            continue;
        }
        list[count++] = (struct membership_link){
            .slot = i, .host = s->host, .port = s->port, .pin = *slot_who(s)};
    }
    m->links_due = false;
    m->ops->set_links(m->self, list, count);
}

void slot_home(struct membership *m, struct slot *s, struct now now)
{
    struct slot *listed = find_address(m, s->host, s->port, true);
    if (s->is_listed || !listed || (!listed->is_self && node_id_is_set(slot_who(listed)))) {
        return;
    }
    leave(m, listed, now);
    s->is_listed = true;
}
