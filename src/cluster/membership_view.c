/* What others ask membership about: the core, and people. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cluster/membership_state.h"

/* For others on core */

enum membership_phase membership_phase(const struct membership *m)
{
    if (m->is_refused) {
        return MEMBERSHIP_REFUSED;
    }
    if (!m->is_pristine) {
        return MEMBERSHIP_MEMBER;
    }
    if (m->wanted.stage == PINS_FORMING) {
        return MEMBERSHIP_FORMING;
    }
    if (m->wanted.stage == PINS_JOINING) {
        return MEMBERSHIP_JOINING;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (s->is_used && s->has_hello && !(s->hello.flags & HELLO_PRISTINE)) {
            return MEMBERSHIP_WAITING;
        }
    }
    return MEMBERSHIP_LOOKING;
}

const uint8_t *membership_cluster_id(const struct membership *m)
{
    return m->durable.cluster_id;
}

static const struct slot *find_slot(const struct membership *m, uint64_t number)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (s->is_used && node_id_is_set(slot_who(s)) && node_id_number(slot_who(s)) == number) {
            return s;
        }
    }
    return NULL;
}

int membership_slot_of(const struct membership *m, uint64_t number)
{
    const struct slot *s = find_slot(m, number);
    return s ? (int)slot_index(m, s) : -1;
}

/* Its cluster is not ours. */
static bool is_foreign(const struct membership *m, const struct slot *s)
{
    static const uint8_t none[CLUSTER_ID_BYTES];
    const uint8_t *own = m->wanted.cluster_id;
    return s->has_hello && !(s->hello.flags & HELLO_PRISTINE) &&
           memcmp(own, none, CLUSTER_ID_BYTES) != 0 &&
           memcmp(s->hello.cluster_id, none, CLUSTER_ID_BYTES) != 0 &&
           memcmp(s->hello.cluster_id, own, CLUSTER_ID_BYTES) != 0;
}

/* A pinned peer of this cluster counts it as a server: a node that was away does not know yet who
 * was taken in meanwhile. */
static bool is_vouched(const struct membership *m, uint64_t number)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (!s->is_used || !node_id_is_set(&s->pin) || !s->has_hello || is_foreign(m, s) ||
            (s->hello.flags & HELLO_PRISTINE)) {
            continue;
        }
        for (size_t j = 0; j < s->hello.server_count; j++) {
            if (s->hello.server[j].number == number) {
                return true;
            }
        }
    }
    return false;
}

bool membership_is_peer(const struct membership *m, const struct node_id *id)
{
    uint64_t number = node_id_number(id);
    const struct slot *s = find_slot(m, number);
    if (m->is_refused || !s || !node_id_eq(slot_who(s), id) || is_foreign(m, s)) {
        return false;
    }
    if (m->has_servers) {
        const struct server *server = server_find(m, number);
        return server ? !node_id_is_set(&server->id) || node_id_eq(&server->id, id)
                      : is_vouched(m, number);
    }
    bool is_formed = m->wanted.stage == PINS_FORMING && form_find(&m->form, id);
    bool is_joined = m->wanted.stage == PINS_JOINING && node_id_is_set(&s->pin) && s->has_hello &&
                     !(s->hello.flags & HELLO_PRISTINE);
    return is_formed || is_joined;
}

/* For people */

struct text {
    char *dst;
    size_t len;
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct text *t, const char *fmt, ...)
{
    size_t room = MEMBERSHIP_WORDS_MAX - t->len;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->dst + t->len, room, fmt, args);
    va_end(args);
    t->len += n < 0 ? 0 : ((size_t)n < room ? (size_t)n : room - 1);
}

static unsigned long long seconds(uint64_t since_ms, struct now now)
{
    return (unsigned long long)(now.mono_ms > since_ms ? now.mono_ms - since_ms : 0) / 1000;
}

/* What it is, when it is up. */
static void put_state(const struct membership *m, const struct slot *s, struct text *t)
{
    const struct server *server = server_find(m, node_id_number(slot_who(s)));
    bool is_empty = s->hello.flags & HELLO_PRISTINE;
    if (!s->has_hello) {
        put(t, "connected, has said nothing yet");
    } else if (s->is_two) {
        put(t, "two processes use its key: its data directory was copied");
    } else if (is_foreign(m, s)) {
        put(t, "has the log of another cluster: empty its data directory to take it in");
    } else if (is_empty && server && server->is_voter) {
        put(t, "has lost its log");
    } else if (is_empty && m->secret_len > 0 && !s->is_proven && !server) {
        put(t, "empty, and does not know the shared secret%s",
            s->hello.flags & HELLO_HAS_SECRET ? ": its secret is another one" : "");
    } else if (is_empty) {
        put(t, m->is_pristine ? "up, empty"
               : server       ? "up, is being taken in"
                              : "up, empty, waits to be taken in");
    } else if (!m->has_servers || server) {
        put(t, server && !server->is_voter ? "up, does not vote yet" : "up");
    } else {
        put(t, "up, has a log, but is no member: empty its data directory to take it in");
    }
}

static void put_slot(const struct membership *m, const struct slot *s, struct text *t,
                     struct now now)
{
    if (s->is_self) {
        put(t, "this node");
    } else if (s->is_alias) {
        put(t, "is the same node as at another address of the list: remove one of the two");
    } else if (s->is_up) {
        put_state(m, s, t);
    } else if (!s->was_seen) {
        put(t, "has not answered for %llu s", seconds(s->since_ms, now));
    } else {
        put(t, "down for %llu s", seconds(s->since_ms, now));
    }
    if (!s->is_self && !s->is_alias && !s->is_up && s->why[0]) {
        put(t, " (%s)", s->why);
    }
    if (!s->is_listed) {
        put(t, "; not in the list of members");
    }
    if (s->difference[0]) {
        put(t, "; %s", s->difference);
    }
}

size_t membership_status(const struct membership *m, struct membership_status *ret, size_t max,
                         struct now now)
{
    size_t count = 0;
    for (unsigned i = 0; i < SLOTS_MAX && count < max; i++) {
        const struct slot *s = &m->slot[i];
        if (!s->is_used) {
            continue;
        }
        struct membership_status *st = &ret[count++];
        *st = (struct membership_status){
            .slot = i,
            .port = s->port,
            .id = s->is_self ? m->id : *slot_who(s),
            .is_listed = s->is_listed,
            .is_self = s->is_self,
            .is_up = s->is_up || s->is_self,
            .since_ms = s->since_ms,
        };
        memcpy(st->host, s->host, sizeof(st->host));
        const struct server *server =
            node_id_is_set(&st->id) ? server_find(m, node_id_number(&st->id)) : NULL;
        st->is_server = server != NULL;
        st->is_voter = server && server->is_voter;
        (void)snprintf(st->release, sizeof(st->release), "%s",
                       s->is_self ? m->release : (s->has_hello ? s->hello.release : ""));
        struct text t = {st->words, 0};
        put_slot(m, s, &t, now);
    }
    return count;
}

/* The first reasons why a pristine node waits; times are left out, so that the sentence changes
 * only with what it says. */
static void put_reasons(const struct membership *m, struct text *t)
{
    unsigned selves = 0;
    unsigned waits = 0;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        char address[MEMBER_ADDRESS_MAX + 1];
        if (!s->is_used || !s->is_listed) {
            continue;
        }
        slot_address(s, address);
        selves += s->is_self;
        bool is_empty = s->has_hello && (s->hello.flags & HELLO_PRISTINE);
        if (s->is_self || (is_empty && s->is_up && node_id_is_set(&s->pin) && !s->is_two &&
                           s->difference[0] == '\0')) {
            continue;
        }
        put(t, "%s%.80s ", waits++ ? "; " : ": ", address);
        if (s->difference[0]) {
            put(t, "%s", s->difference);
        } else if (s->is_up || s->is_alias) {
            put_slot(m, s, t, (struct now){0});
        } else {
            put(t, "%s%s%.100s", s->was_seen ? "is down" : "has not answered yet",
                s->why[0] ? ", " : "", s->why);
        }
    }
    if (selves == 0 && waits == 0) {
        put(t, ": this node is not in its own list");
    }
    if (selves > 1) {
        put(t, "; this node answers at two addresses of the list: it is listed twice, or its data "
               "directory was copied");
    }
}

void membership_words(const struct membership *m, char dst[MEMBERSHIP_WORDS_MAX], struct now now)
{
    struct text t = {dst, 0};
    (void)now;
    dst[0] = '\0';
    switch (membership_phase(m)) {
    case MEMBERSHIP_REFUSED:
        put(&t, "%s", m->refusal.text);
        break;
    case MEMBERSHIP_MEMBER:
        put(&t, "member of a cluster of %zu", m->server_count);
        break;
    case MEMBERSHIP_FORMING:
        put(&t, "a new cluster of %zu begins", m->form.count);
        break;
    case MEMBERSHIP_JOINING:
        put(&t, "the cluster takes this node in");
        break;
    case MEMBERSHIP_WAITING:
        put(&t, "waits to be taken in by the cluster that answers");
        break;
    case MEMBERSHIP_LOOKING:
        put(&t, "waits for all members of the list to answer, empty and with the same list");
        put_reasons(m, &t);
        break;
    }
}
