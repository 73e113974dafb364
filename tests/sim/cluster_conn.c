/* Connections of clients: setups, acks and pushes on them, and their ends. */
#include "cluster_world.h"

#include <stdio.h>
#include <string.h>

#include "api/call.h"
#include "base/assert.h"
#include "base/mem.h"
#include "conn/conn.h"

#define SETUP                                                                                      \
    "{\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"tenant\":\"public\",\"labels\":{"           \
    "\"source\":\"sdk\",\"module\":\"%s\",\"AppName\":\"app\"},\"abilityTable\":{}}"
#define ACCEPT_MS 1500 /* a setup that nobody acks is given up */
#define AGAIN_MS 600   /* pause before another node is tried, on average half of it */
#define BEAT_MS 5000   /* an SDK's health check */
#define SETUP_BYTES 256
#define PUSH_TYPE_BYTES 40

static void try_node(struct world *w, void *arg, uint64_t number);

uint64_t client_latency(struct world *w)
{
    return 1 + world_random(w, w->is_calm ? 3 : 15);
}

uint64_t conn_key(const struct client_conn *c)
{
    return c->peer && c->is_up ? c->peer->key : 0;
}

static void post(struct node *n, struct core_mail *take_mail)
{
    struct core_port port = core_port(n->core);
    if (port.post(port.self, take_mail) != 0) {
        world_fail(n->w, "node %u takes no mail", n->place);
    }
}

static bool is_alive(const struct node *n, uint64_t boot)
{
    return n->core && n->boot == boot;
}

/* ---------------------------------------------------------------- the end of one */

/* The stream is over: the node's edge sees it, unless it is gone itself. */
struct ending {
    struct peer *peer;
    unsigned place;
    uint64_t boot;
};

static void on_ended(struct world *w, void *arg, uint64_t number)
{
    struct ending *e = arg;
    struct node *n = &w->nodes[e->place];
    (void)number;
    atomic_store(&e->peer->state, PEER_CLOSED);
    if (is_alive(n, e->boot)) {
        struct conn_closed *closed = mem_zalloc(1, sizeof(*closed));
        closed->mail.kind = CORE_CONN_CLOSED;
        closed->peer = peer_ref(e->peer);
        post(n, &closed->mail);
    }
    peer_unref(e->peer);
    mem_free(e);
}

static void drop(struct client_conn *c)
{
    peer_unref(c->peer);
    c->peer = NULL;
    c->is_up = false;
    c->tries++; /* what is under way for it finds another */
}

/* The client closes: the node hears of it. */
static void hang_up(struct world *w, struct client_conn *c)
{
    struct ending *e = mem_zalloc(1, sizeof(*e));
    *e = (struct ending){peer_ref(c->peer), c->place, c->boot};
    world_after(w, client_latency(w), on_ended, e, 0);
    drop(c);
}

static void open_later(struct world *w, struct client_conn *c)
{
    if (c->is_kept) {
        world_after(w, 1 + world_random(w, AGAIN_MS), try_node, c, ++c->tries);
    }
}

void conn_again(struct world *w, struct client_conn *c)
{
    if (c->peer) {
        hang_up(w, c);
    }
    open_later(w, c);
}

void conn_end(struct world *w, struct client_conn *c)
{
    c->is_kept = false;
    if (c->peer) {
        hang_up(w, c);
    }
}

/* ---------------------------------------------------------------- the begin of one */

static void on_not_accepted(struct world *w, void *arg, uint64_t number)
{
    struct client_conn *c = arg;
    if (number == c->tries && !c->is_up) {
        conn_again(w, c);
    }
}

static void on_setup(struct world *w, void *arg, uint64_t number)
{
    struct client_conn *c = arg;
    struct node *n = &w->nodes[c->place];
    if (number != c->tries || !c->peer) {
        return;
    }
    if (!n->core || !n->is_ready || n->paused_ms > w->now_ms) {
        return; /* nobody answers */
    }
    char json[SETUP_BYTES];
    struct fail fail = {0};
    c->boot = n->boot;
    struct conn_open *open = mem_zalloc(1, sizeof(*open));
    open->mail.kind = CORE_CONN_OPEN;
    open->peer = peer_ref(c->peer);
    arena_init(&open->arena, API_ARENA_MAX);
    (void)snprintf(json, sizeof(json), SETUP, c->is_config ? "config" : "naming");
    char *kept = arena_str(&open->arena, span_str(json));
    ASSERT(conn_setup_decode(span_str(kept), SPAN("10.1.0.1"), &open->arena, &open->setup, &fail) ==
           0);
    post(n, &open->mail);
}

static void try_node(struct world *w, void *arg, uint64_t number)
{
    struct client_conn *c = arg;
    if (number != c->tries || c->peer || !c->is_kept) {
        return;
    }
    c->place = (unsigned)world_random(w, w->count);
    const struct node *n = &w->nodes[c->place];
    struct now now = node_now(n);
    char ip[32];
    (void)snprintf(ip, sizeof(ip), "10.1.%u.%u", c->is_config, c->client);
    uint16_t port = (uint16_t)(1024 + world_number(w) % 60000);
    c->peer = peer_create(span_str(ip), port, now.wall_ms, now.mono_ms);
    c->boot = n->boot;
    c->last_due_ms = 0;
    uint64_t this_try = ++c->tries;
    world_after(w, client_latency(w), on_setup, c, this_try);
    world_after(w, ACCEPT_MS, on_not_accepted, c, this_try);
}

/* A sign of life, as an SDK gives it. */
static void on_beat(struct world *w, void *arg, uint64_t number)
{
    struct client_conn *c = arg;
    if (number != c->tries || !c->peer) {
        return;
    }
    const struct node *n = &w->nodes[c->place];
    if (is_alive(n, c->boot)) {
        atomic_store(&c->peer->active_ms, node_now(n).mono_ms);
    }
    world_after(w, BEAT_MS, on_beat, c, number);
}

void conn_keep(struct world *w, struct client_conn *c)
{
    c->is_kept = true;
    open_later(w, c);
}

/* ---------------------------------------------------------------- what the node does */

/* The client that has this connection; NULL: it is over. */
static struct client_conn *find(struct world *w, uint64_t key)
{
    for (unsigned i = 0; i < w->naming_count + w->config_count; i++) {
        struct client_conn *c =
            i < w->naming_count ? &w->naming[i].conn : &w->config[i - w->naming_count].conn;
        if (c->peer && c->peer->key == key) {
            return c;
        }
    }
    return NULL;
}

static void on_accepted(struct world *w, void *arg, uint64_t number)
{
    struct client_conn *c = arg;
    if (number != c->tries || c->is_up) {
        return;
    }
    c->is_up = true;
    world_note(w, "client %c%u is at node %u", c->is_config ? 'c' : 'n', c->client, c->place);
    world_after(w, BEAT_MS, on_beat, c, c->tries);
    if (c->is_config) {
        config_on_up(w, &w->config[c->client]);
    } else {
        naming_on_up(w, &w->naming[c->client]);
    }
}

static void on_gone(struct world *w, void *arg, uint64_t number)
{
    struct client_conn *c = arg;
    if (number == c->tries && c->peer) {
        conn_again(w, c);
    }
}

/* A message on its way to a client. */
struct push {
    struct client_conn *conn;
    uint64_t tries;
    char type[PUSH_TYPE_BYTES];
    struct buf *text;
};

struct answered {
    struct peer *peer;
    unsigned place;
    uint64_t boot;
    uint64_t request_id;
};

static void on_ack(struct world *w, void *arg, uint64_t number)
{
    struct answered *a = arg;
    struct node *n = &w->nodes[a->place];
    (void)number;
    if (is_alive(n, a->boot)) {
        struct conn_ack *ack = mem_zalloc(1, sizeof(*ack));
        ack->mail.kind = CORE_CONN_ACK;
        ack->peer = peer_ref(a->peer);
        ack->ack = (struct ack){a->request_id, true};
        atomic_store(&a->peer->active_ms, node_now(n).mono_ms);
        post(n, &ack->mail);
    }
    peer_unref(a->peer);
    mem_free(a);
}

static void send_ack(struct world *w, const struct client_conn *c, const char *text)
{
    if (!w->is_calm && world_chance(w, 5)) {
        return; /* its client is busy */
    }
    struct answered *a = mem_zalloc(1, sizeof(*a));
    *a = (struct answered){peer_ref(c->peer), c->place, c->boot, json_number(text, "requestId")};
    world_after(w, client_latency(w), on_ack, a, 0);
}

static void on_push(struct world *w, void *arg, uint64_t number)
{
    struct push *p = arg;
    struct client_conn *c = p->conn;
    (void)number;
    if (p->tries == c->tries && c->peer) {
        send_ack(w, c, p->text->data);
        if (strcmp(p->type, "ConnectResetRequest") == 0) {
            conn_again(w, c);
        } else if (c->is_config) {
            config_on_push(w, &w->config[c->client], p->type, p->text->data);
        } else {
            naming_on_push(w, &w->naming[c->client], p->type, p->text->data);
        }
    }
    buf_unref(p->text);
    mem_free(p);
}

static void push_to(struct world *w, uint64_t key, const char *type, struct buf *text)
{
    struct client_conn *c = find(w, key);
    if (!c) {
        return;
    }
    struct push *p = mem_zalloc(1, sizeof(*p));
    *p = (struct push){.conn = c, .tries = c->tries, .text = buf_ref(text)};
    (void)snprintf(p->type, sizeof(p->type), "%s", type);
    uint64_t due = w->now_ms + client_latency(w);
    due = due > c->last_due_ms ? due : c->last_due_ms;
    c->last_due_ms = due;
    world_after(w, due - w->now_ms, on_push, p, 0);
    w->pushes++;
}

static void perform_push(struct world *w, struct effect *e)
{
    struct buf *text = world_flatten(&e->u.push.body);
    for (size_t i = 0; i < e->u.push.count; i++) {
        push_to(w, e->u.push.conns[i], e->u.push.type, text);
    }
    buf_unref(text);
}

void edge_perform(void *self, struct effect *e)
{
    struct node *n = self;
    struct world *w = n->w;
    struct client_conn *c = NULL;
    if (!n->core) {
        return; /* it is ending */
    }
    switch (e->kind) {
    case EFFECT_PUSH:
        perform_push(w, e);
        return;
    case EFFECT_CONN_ACCEPT:
        c = find(w, e->u.accept.conn);
        if (c) {
            atomic_store(&c->peer->state, PEER_REGISTERED);
            world_after(w, client_latency(w), on_accepted, c, c->tries);
        }
        return;
    case EFFECT_CONN_CLOSE:
        c = find(w, e->u.close.conn);
        if (c) {
            atomic_store(&c->peer->state, PEER_CLOSED);
            world_after(w, client_latency(w), on_gone, c, c->tries);
        }
        return;
    case EFFECT_REPLY:
    case EFFECT_PROPOSE:
    case EFFECT_PEER:
    case EFFECT_TRACE:
        ASSERT(!"an effect of connections");
    }
}

void conn_node_down(struct world *w, unsigned place)
{
    for (unsigned i = 0; i < w->naming_count + w->config_count; i++) {
        struct client_conn *c =
            i < w->naming_count ? &w->naming[i].conn : &w->config[i - w->naming_count].conn;
        if (c->peer && c->place == place) {
            world_after(w, 1 + world_random(w, world_chance(w, 80) ? 50 : 2000), on_gone, c,
                        c->tries);
        }
    }
}
