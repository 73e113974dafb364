/* Orders of an operator: who is to be taken in or let go, whatever the lists say. */
#include <stdio.h>
#include <string.h>

#include "cluster/membership_state.h"

static bool is_open(const struct membership *m)
{
    return m->order.state == MEMBERSHIP_ORDER_WAITS || m->order.state == MEMBERSHIP_ORDER_RUNS;
}

bool membership_is_ordered(const struct membership *m, const char *host, uint16_t port)
{
    return is_open(m) && m->order.adds && m->order.port == port && strcmp(m->order.host, host) == 0;
}

/* Where a server is: where it was found, else what the log says. */
static bool is_at(struct membership *m, const struct server *server, const char *host,
                  uint16_t port)
{
    const struct slot *s = slot_of_number(m, server->number);
    bool is_found = s && s->port == port && strcmp(s->host, host) == 0;
    return is_found || (server->port == port && strcmp(server->host, host) == 0);
}

static bool is_own_address(const struct membership *m, const char *host, uint16_t port)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &m->slot[i];
        if (s->is_used && s->is_self && s->port == port && strcmp(s->host, host) == 0) {
            return true;
        }
    }
    return false;
}

static const struct server *server_at(struct membership *m, const char *host, uint16_t port)
{
    for (size_t i = 0; i < m->server_count; i++) {
        bool is_self = m->server[i].number == m->number && is_own_address(m, host, port);
        if (is_self || is_at(m, &m->server[i], host, port)) {
            return &m->server[i];
        }
    }
    return NULL;
}

static int check(const struct membership *m, struct fail *fail)
{
    if (!m->is_leader || !m->has_servers) {
        return fail_set(fail, E_NOT_LEADER, "this node does not lead");
    }
    if (is_open(m) || m->is_changing) {
        return fail_set(fail, E_CONFLICT,
                        "another change of members is not finished; try again when it is");
    }
    return 0;
}

static void begin(struct membership *m, bool adds, const char *host, uint16_t port)
{
    m->order = (struct order){.state = MEMBERSHIP_ORDER_WAITS, .adds = adds, .port = port};
    (void)snprintf(m->order.host, sizeof(m->order.host), "%s", host);
    m->is_dirty = true;
}

int membership_order_add(struct membership *m, const char *host, uint16_t port, struct now now,
                         struct fail *fail)
{
    char address[MEMBER_ADDRESS_MAX + 1];
    member_address(host, port, address);
    int err = check(m, fail);
    if (err) {
        return err;
    }
    const struct server *server = server_at(m, host, port);
    const struct slot *s = server ? slot_of_number(m, server->number) : NULL;
    if (server && (server->number == m->number || (s && s->is_up))) {
        return fail_set(fail, E_CONFLICT, "%s is a member already", address);
    }
    if (m->server_count >= MEMBERS_MAX) {
        return fail_set(fail, E_LIMIT, "a cluster has at most %d members", MEMBERS_MAX);
    }
    (void)now;
    begin(m, true, host, port);
    return 0;
}

int membership_order_remove(struct membership *m, const char *host, uint16_t port, struct now now,
                            struct fail *fail)
{
    char address[MEMBER_ADDRESS_MAX + 1];
    member_address(host, port, address);
    int err = check(m, fail);
    if (err) {
        return err;
    }
    (void)now;
    const struct server *server = server_at(m, host, port);
    if (!server) {
        return fail_set(fail, E_NOT_FOUND, "%s is no member; nacre cluster shows who is", address);
    }
    if (server->number == m->number) {
        return fail_set(fail, E_CONFLICT,
                        "%s leads: hand leadership over first (nacre cluster transfer)", address);
    }
    begin(m, false, host, port);
    return 0;
}

/* What is known of who should be taken in. */
static void put_waits(const struct membership *m, char words[MEMBERSHIP_WORDS_MAX], struct now now)
{
    struct membership_status list[SLOTS_MAX];
    size_t count = membership_status(m, list, SLOTS_MAX, now);
    char address[MEMBER_ADDRESS_MAX + 1];
    member_address(m->order.host, m->order.port, address);
    for (size_t i = 0; i < count; i++) {
        if (list[i].is_listed && list[i].port == m->order.port &&
            strcmp(list[i].host, m->order.host) == 0) {
            (void)snprintf(words, MEMBERSHIP_WORDS_MAX, "%.120s: %.250s", address, list[i].words);
            return;
        }
    }
    (void)snprintf(words, MEMBERSHIP_WORDS_MAX, "%.120s: is being looked for", address);
}

enum membership_order membership_order(const struct membership *m, char words[MEMBERSHIP_WORDS_MAX],
                                       struct now now)
{
    words[0] = '\0';
    switch (m->order.state) {
    case MEMBERSHIP_ORDER_WAITS:
        put_waits(m, words, now);
        break;
    case MEMBERSHIP_ORDER_FAILED:
        (void)snprintf(words, MEMBERSHIP_WORDS_MAX, "%.*s", MEMBERSHIP_WORDS_MAX - 1,
                       m->order.why.text);
        break;
    case MEMBERSHIP_ORDER_NONE:
    case MEMBERSHIP_ORDER_RUNS:
    case MEMBERSHIP_ORDER_DONE:
        break;
    }
    return m->order.state;
}

void membership_order_end(struct membership *m)
{
    m->order = (struct order){0};
    m->is_dirty = true;
}

bool membership_obey(struct membership *m, struct now now)
{
    struct order *o = &m->order;
    if (o->state != MEMBERSHIP_ORDER_WAITS) {
        return false;
    }
    if (!o->adds) {
        const struct server *server = server_at(m, o->host, o->port);
        if (!server) {
            membership_order_over(m, NULL); /* somebody was quicker */
            return false;
        }
        o->state = MEMBERSHIP_ORDER_RUNS;
        membership_let_go(m, server, true);
        return true;
    }
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &m->slot[i];
        if (s->is_used && membership_is_ordered(m, s->host, s->port) &&
            membership_take_in(m, s, now)) {
            o->state = MEMBERSHIP_ORDER_RUNS;
            return true;
        }
    }
    return false;
}

void membership_order_over(struct membership *m, const struct fail *why)
{
    struct order *o = &m->order;
    if (!is_open(m)) {
        return;
    }
    o->state = why ? MEMBERSHIP_ORDER_FAILED : MEMBERSHIP_ORDER_DONE;
    if (why) {
        o->why = *why;
        (void)snprintf(o->why.text, sizeof(o->why.text), "%s", fail_text(why));
    }
    m->is_dirty = true;
}
