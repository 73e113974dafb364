/* Clients of the registry, as SDKs are: what they want registered is registered again until it is
 * answered, and again on every new connection; lists come by subscription and push. */
#include "cluster_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "naming/naming_op.h"

#define REDO_MS 1000
#define ACT_MS 1500 /* between two of a client's wishes, on average half of it */
#define JSON_BYTES 512
#define HOST "\"ip\":\"10.2.0."

/* A client's instance of a service: its address names the client. */
static void instance_json(char json[JSON_BYTES], const struct naming_client *c, unsigned service,
                          bool is_up)
{
    (void)snprintf(json, JSON_BYTES,
                   "{\"serviceName\":\"s%u\",\"groupName\":\"G\",\"type\":\"%s\",\"instance\":{"
                   "\"ip\":\"10.2.0.%u\",\"port\":%u,\"ephemeral\":true}}",
                   service, is_up ? "registerInstance" : "deregisterInstance", c->place,
                   8000 + service);
}

uint64_t json_number(const char *text, const char *key)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "\"%s\":", key);
    const char *at = strstr(text, name);
    if (!at) {
        return 0;
    }
    at += strlen(name);
    return strtoull(*at == '"' ? at + 1 : at, NULL, 10);
}

unsigned naming_hosts(const char *text)
{
    unsigned hosts = 0;
    for (const char *at = strstr(text, HOST); at; at = strstr(at, HOST)) {
        at += strlen(HOST);
        hosts |= 1u << strtoul(at, NULL, 10);
    }
    return hosts;
}

/* ---------------------------------------------------------------- what the log says */

void naming_on_apply(struct world *w, uint64_t index, struct span op)
{
    struct arena arena;
    struct naming_op o = {0};
    struct fail fail = {0};
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    if (naming_op_decode(op, &arena, &o, &fail) != 0) {
        world_fail(w, "an operation of the log is damaged: %s", fail_text(&fail));
    }
    world_note(w, "entry %llu: %s %.*s, client %.*s", (unsigned long long)index,
               o.kind == NAMING_OP_PUBLISH       ? "publish"
               : o.kind == NAMING_OP_UNPUBLISH   ? "unpublish"
               : o.kind == NAMING_OP_CLIENT_GONE ? "gone"
                                                 : "other",
               SPAN_ARG(o.service.name), SPAN_ARG(o.client));
    arena_close(&arena);
}

/* ---------------------------------------------------------------- registrations */

static void on_registered(struct world *w, void *arg, uint64_t number, const struct result *r)
{
    struct naming_client *c = arg;
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        if (c->flight[s] != number) {
            continue;
        }
        c->flight[s] = 0;
        bool is_up = strstr(r->text, "\"registerInstance\"") != NULL;
        c->is_unsure[s] = r->err != 0;
        if (r->err == 0) {
            c->known[s] = is_up;
            c->known_conn[s] = conn_key(&c->conn);
            c->known_ms[s] = w->now_ms;
            w->writes_done++;
        }
        world_note(w, "client n%u service %u: %s, %d", c->place, s,
                   r->err ? r->text : (is_up ? "registered" : "deregistered"), r->err);
    }
}

static bool is_settled(const struct naming_client *c, unsigned s)
{
    uint64_t key = conn_key(&c->conn);
    if (c->is_unsure[s]) {
        return false;
    }
    if (c->known_conn[s] == key) {
        return c->known[s] == c->wants[s];
    }
    return !c->wants[s]; /* a new connection has nothing */
}

static void on_subscribed(struct world *w, void *arg, uint64_t number, const struct result *r);

static void redo(struct world *w, struct naming_client *c)
{
    char json[JSON_BYTES];
    uint64_t key = conn_key(&c->conn);
    for (unsigned s = 0; key && s < SERVICES_MAX; s++) {
        if (!c->flight[s] && !is_settled(c, s)) {
            instance_json(json, c, s, c->wants[s]);
            c->is_unsure[s] = true;
            world_note(w, "client n%u asks node %u to %s service %u", c->place, c->conn.place,
                       c->wants[s] ? "register" : "deregister", s);
            c->flight[s] =
                call_send(w, c->conn.place, &c->conn, "InstanceRequest", json, on_registered, c);
        }
        if (!c->subscribe_flight[s] && c->subscribes[s] && c->subscribed_conn[s] != key) {
            (void)snprintf(json, sizeof(json),
                           "{\"serviceName\":\"s%u\",\"groupName\":\"G\",\"subscribe\":true,"
                           "\"clusters\":\"\"}",
                           s);
            c->subscribe_flight[s] = call_send(w, c->conn.place, &c->conn,
                                               "SubscribeServiceRequest", json, on_subscribed, c);
        }
    }
}

static void on_redo(struct world *w, void *arg, uint64_t number)
{
    struct naming_client *c = arg;
    (void)number;
    if (!w->is_closing) {
        redo(w, c);
        world_after(w, REDO_MS / 2 + world_random(w, REDO_MS), on_redo, c, 0);
    }
}

/* ---------------------------------------------------------------- lists */

/* A living client that has been registered on one connection all the time, with nothing wrong
 * around it, is in the list; so no push takes the last such one out of it. NULL: there is none. */
static const struct naming_client *find_witness(const struct world *w,
                                                const struct naming_client *c, unsigned s)
{
    for (unsigned i = 0; i < w->naming_count; i++) {
        const struct naming_client *other = &w->naming[i];
        uint64_t key = conn_key(&other->conn);
        bool is_there = (c->list[s] >> i & 1) == 1 && other->is_alive && other->wants[s] &&
                        other->known[s] && key && other->known_conn[s] == key;
        if (is_there && w->now_ms - other->known_ms[s] > 2000 &&
            w->nodes[other->conn.place].doubt_ms < w->now_ms &&
            w->nodes[c->conn.place].doubt_ms <= w->now_ms) {
            return other;
        }
    }
    return NULL;
}

/* The newest list wins, as in an SDK. */
static void take_list(struct world *w, struct naming_client *c, unsigned s, const char *text,
                      bool is_push)
{
    uint64_t stamp = json_number(text, "lastRefTime");
    const struct naming_client *witness = is_push ? find_witness(w, c, s) : NULL;
    unsigned hosts = witness && w->falsehood == FALSE_PUSH ? 0 : naming_hosts(text);
    if (stamp < c->stamp[s]) {
        return;
    }
    if (witness && hosts == 0) {
        world_fail(w, "client n%u is pushed an empty list of service %u, and client n%u lives",
                   c->place, s, witness->place);
    }
    c->stamp[s] = stamp;
    c->list[s] = hosts;
}

static void on_subscribed(struct world *w, void *arg, uint64_t number, const struct result *r)
{
    struct naming_client *c = arg;
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        if (c->subscribe_flight[s] != number) {
            continue;
        }
        c->subscribe_flight[s] = 0;
        if (r->err == 0) {
            c->subscribed_conn[s] = conn_key(&c->conn);
            take_list(w, c, s, r->text, false);
            world_note(w, "client n%u subscribes service %u: %x", c->place, s, c->list[s]);
        }
    }
}

void naming_on_push(struct world *w, struct naming_client *c, const char *type, const char *text)
{
    if (strcmp(type, "NotifySubscriberRequest") != 0) {
        return;
    }
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        char plain[16];
        char grouped[16];
        (void)snprintf(plain, sizeof(plain), "\"name\":\"s%u\"", s);
        (void)snprintf(grouped, sizeof(grouped), "\"name\":\"G@@s%u\"", s);
        if (strstr(text, plain) || strstr(text, grouped)) {
            take_list(w, c, s, text, true);
            world_note(w, "client n%u is pushed service %u: %x", c->place, s, c->list[s]);
        }
    }
}

/* ---------------------------------------------------------------- wishes */

static void die(struct world *w, struct naming_client *c)
{
    world_note(w, "client n%u dies", c->place);
    conn_end(w, &c->conn);
    c->is_alive = false;
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        c->wants[s] = false;
        c->known[s] = false;
        c->subscribes[s] = false;
    }
}

static void live(struct world *w, struct naming_client *c)
{
    c->is_alive = true;
    c->wants[world_random(w, SERVICES_MAX)] = true;
    c->subscribes[world_random(w, SERVICES_MAX)] = true;
    conn_keep(w, &c->conn);
}

static void wish(struct world *w, struct naming_client *c)
{
    unsigned s = (unsigned)world_random(w, SERVICES_MAX);
    if (!c->is_alive) {
        live(w, c);
        return;
    }
    switch (world_random(w, 10)) {
    case 0:
        die(w, c);
        return;
    case 1:
        conn_again(w, &c->conn); /* a client's own network */
        return;
    case 2:
    case 3:
        c->subscribes[s] = true;
        return;
    default:
        if (!c->flight[s]) {
            c->wants[s] = !c->wants[s];
            redo(w, c);
        }
        return;
    }
}

static void on_wish(struct world *w, void *arg, uint64_t number)
{
    struct naming_client *c = arg;
    (void)number;
    if (w->is_calm || w->is_closing) {
        return;
    }
    wish(w, c);
    world_after(w, 1 + world_random(w, ACT_MS), on_wish, c, 0);
}

/* What is still under way belongs to the connection of before. */
void naming_on_up(struct world *w, struct naming_client *c)
{
    for (unsigned s = 0; s < SERVICES_MAX; s++) {
        c->flight[s] = 0;
        c->subscribe_flight[s] = 0;
        c->is_unsure[s] = false;
        c->stamp[s] = 0; /* of another node's clock, maybe */
    }
    redo(w, c);
}

void naming_begin(struct world *w)
{
    w->naming_count = 2 + (unsigned)world_random(w, NAMING_MAX - 1);
    for (unsigned i = 0; i < w->naming_count; i++) {
        struct naming_client *c = &w->naming[i];
        c->place = i;
        c->conn = (struct client_conn){.client = i};
        live(w, c);
        world_after(w, world_random(w, ACT_MS), on_wish, c, 0);
        world_after(w, world_random(w, REDO_MS), on_redo, c, 0);
    }
}
