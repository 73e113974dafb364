/* Links between nodes as rpc/links makes them: one outgoing stream to every listed member, frames
 * in order or lost with their stream; nothing is doubled, because TCP doubles nothing. */
#include "cluster_world.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/mem.h"

#define DIAL_MS 3
#define RETRANSMIT_MS 200
/* A dead peer is found by keep-alive after (LINK_PING_MS, LINK_DEAD_MS). */
#define PATIENCE_MIN_MS 1000
#define PATIENCE_MS 2000

static struct node *node_of(struct net *net)
{
    return CONTAINER_OF(net, struct node, net);
}

static bool is_up(const struct node *n)
{
    return n->core && n->net.is_running;
}

/* Nothing gets through from one to the other and back. */
static bool is_stalled(const struct world *w, const struct node *a, const struct node *b)
{
    return w->weather.is_cut[a->place][b->place] || w->weather.is_cut[b->place][a->place] ||
           a->paused_ms > w->now_ms || b->paused_ms > w->now_ms;
}

static void free_frames(struct link *l)
{
    while (l->head) {
        struct frame *f = l->head;
        l->head = f->next;
        buf_unref(f->bytes);
        mem_free(f);
    }
    l->tail = NULL;
}

static void dial_later(struct world *w, struct link *l)
{
    l->backoff_ms = l->backoff_ms ? 2 * l->backoff_ms : LINK_BACKOFF_MS;
    if (l->backoff_ms > LINK_BACKOFF_MAX_MS) {
        l->backoff_ms = LINK_BACKOFF_MAX_MS;
    }
    l->state = LINK_DIALING;
    l->due_ms = w->now_ms + l->backoff_ms / 2 + world_random(w, l->backoff_ms);
}

void net_break(struct node *from, struct link *l, const char *why)
{
    struct net *net = &from->net;
    if (l->state != LINK_UP) {
        return;
    }
    free_frames(l);
    l->stalled_ms = 0;
    dial_later(from->w, l);
    world_note(from->w, "link %u-%d down: %s", from->place, l->to, why);
    net->options.ops->on_down(net->options.self, (unsigned)(l - net->links), why);
}

/* ---------------------------------------------------------------- what peering calls */

int net_create(void *self, const struct links_options *options, struct peer_net *ret,
               struct fail *fail)
{
    struct node *n = self;
    (void)fail;
    n->net = (struct net){.options = *options};
    *ret = (struct peer_net){&net_ops, &n->net};
    return 0;
}

static void destroy(void *self)
{
    struct net *net = self;
    for (unsigned i = 0; i < LINKS_MEMBERS_MAX; i++) {
        free_frames(&net->links[i]);
    }
    *net = (struct net){0};
}

static int start(void *self, struct fail *fail)
{
    struct net *net = self;
    (void)fail;
    net->is_running = true;
    return 0;
}

static void stop(void *self, uint32_t grace_ms)
{
    struct net *net = self;
    (void)grace_ms;
    net->is_running = false;
}

static struct door_way *way(void *self)
{
    (void)self;
    return NULL;
}

static struct door *door(const void *self)
{
    (void)self;
    return NULL;
}

/* The place of who is at 10.0.0.N; -1: nobody. */
static int place_of(const struct world *w, const char *host)
{
    unsigned n = 0;
    if (sscanf(host, "10.0.0.%u", &n) != 1 || n == 0 || n > w->count) { /* NOLINT(cert-err34-c) */
        return -1;
    }
    return (int)n - 1;
}

static bool is_pinned(const struct net *net, const struct node_id *id)
{
    for (unsigned i = 0; i < net->pins_count; i++) {
        if (node_id_eq(&net->pins[i], id)) {
            return true;
        }
    }
    return false;
}

static void drop_link(struct net *net, unsigned slot, const char *why)
{
    struct link *l = &net->links[slot];
    bool was_up = l->state == LINK_UP;
    free_frames(l);
    *l = (struct link){0};
    if (was_up) {
        net->options.ops->on_down(net->options.self, slot, why);
    }
}

static void list_link(struct net *net, const struct link_member *m)
{
    struct node *n = node_of(net);
    struct link *l = &net->links[m->slot];
    bool is_same = l->state != LINK_NONE && strcmp(l->host, m->host) == 0 && l->port == m->port &&
                   (node_id_eq(&l->pin, &m->pin) || node_id_eq(&l->learned, &m->pin));
    if (is_same) {
        l->pin = m->pin;
        return;
    }
    drop_link(net, m->slot, "the list names another member here");
    (void)snprintf(l->host, sizeof(l->host), "%s", m->host);
    l->port = m->port;
    l->pin = m->pin;
    l->to = place_of(n->w, m->host);
    l->state = LINK_DIALING;
    l->due_ms = n->w->now_ms + DIAL_MS;
}

static void set_members(void *self, const struct link_member *list, size_t count)
{
    struct net *net = self;
    bool is_listed[LINKS_MEMBERS_MAX] = {0};
    net->pins_count = 0;
    for (size_t i = 0; i < count; i++) {
        is_listed[list[i].slot] = true;
        if (node_id_is_set(&list[i].pin)) {
            net->pins[net->pins_count++] = list[i].pin;
        }
    }
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        if (!is_listed[slot] && net->links[slot].state != LINK_NONE) {
            drop_link(net, slot, "the list does not name it any more");
        }
    }
    for (size_t i = 0; i < count; i++) {
        list_link(net, &list[i]);
    }
}

static uint64_t latency(struct world *w)
{
    const struct weather *weather = &w->weather;
    uint64_t ms = weather->latency_min_ms +
                  world_random(w, weather->latency_max_ms - weather->latency_min_ms + 1);
    return world_chance(w, weather->loss_percent) ? ms + RETRANSMIT_MS : ms;
}

static int send_frame(void *self, unsigned slot, unsigned kind, struct body *take_body)
{
    struct net *net = self;
    struct link *l = &net->links[slot];
    struct world *w = node_of(net)->w;
    if (l->state != LINK_UP) {
        body_close(take_body);
        return E_CLOSED;
    }
    struct frame *f = mem_zalloc(1, sizeof(*f));
    f->kind = kind;
    f->bytes = world_flatten(take_body);
    f->due_ms = w->now_ms + latency(w);
    f->due_ms = f->due_ms > l->last_due_ms ? f->due_ms : l->last_due_ms;
    l->last_due_ms = f->due_ms;
    if (l->tail) {
        l->tail->next = f;
    } else {
        l->head = f;
    }
    l->tail = f;
    return 0;
}

static size_t addresses(void *self, char (*ret)[LINK_IP_MAX], size_t max)
{
    (void)self;
    (void)ret;
    (void)max;
    return 0;
}

static const struct links_counters *counters(const void *self)
{
    return &((const struct net *)self)->counters;
}

const struct peer_net_ops net_ops = {
    .destroy = destroy,
    .start = start,
    .stop = stop,
    .way = way,
    .door = door,
    .set_members = set_members,
    .send = send_frame,
    .addresses = addresses,
    .counters = counters,
};

/* ---------------------------------------------------------------- time */

static void come_up(struct node *n, struct link *l, const struct node *to)
{
    struct net *net = &n->net;
    unsigned slot = (unsigned)(l - net->links);
    if (!node_id_is_set(&l->pin) && !node_id_eq(&l->learned, &to->id)) {
        l->learned = to->id;
        net->options.ops->on_learned(net->options.self, slot, &to->id);
    }
    if (!is_pinned(&to->net, &n->id)) {
        dial_later(n->w, l); /* the other side does not know us */
        return;
    }
    l->state = LINK_UP;
    l->id = to->id;
    l->boot = to->boot;
    l->backoff_ms = 0;
    l->stalled_ms = 0;
    l->last_due_ms = 0;
    world_note(n->w, "link %u-%u up", n->place, to->place);
    net->options.ops->on_up(net->options.self, slot, &to->id, ++l->number);
}

static void dial(struct node *n, struct link *l)
{
    struct net *net = &n->net;
    struct world *w = n->w;
    const struct node *to = l->to >= 0 ? &w->nodes[l->to] : NULL;
    if (!to || !is_up(to) || is_stalled(w, n, to)) {
        dial_later(w, l);
        return;
    }
    if (to == n) {
        l->backoff_ms = LINK_BACKOFF_MAX_MS;
        dial_later(w, l);
        net->options.ops->on_self(net->options.self, (unsigned)(l - net->links));
        return;
    }
    if (node_id_is_set(&l->pin) && !node_id_eq(&l->pin, &to->id)) {
        dial_later(w, l); /* another key is there */
        return;
    }
    come_up(n, l, to);
}

static void deliver(struct node *n, struct link *l, struct node *to)
{
    struct world *w = n->w;
    while (l->head && l->head->due_ms <= w->now_ms) {
        struct frame *f = l->head;
        l->head = f->next;
        if (!l->head) {
            l->tail = NULL;
        }
        to->net.options.ops->on_frame(to->net.options.self, &n->id, f->kind, f->bytes);
        mem_free(f);
    }
}

/* A stream that is up: broken, silent, or it carries. */
static void carry(struct node *n, struct link *l)
{
    struct world *w = n->w;
    struct node *to = &w->nodes[l->to];
    bool is_gone = !is_up(to) || to->boot != l->boot;
    bool is_one_way = w->weather.is_cut[to->place][n->place] &&
                      !w->weather.is_cut[n->place][to->place] && to->paused_ms <= w->now_ms;
    if (is_gone && !w->weather.is_cut[to->place][n->place]) {
        net_break(n, l, "the other end is gone");
        return;
    }
    if (!is_gone && !is_pinned(&to->net, &n->id)) {
        net_break(n, l, "the other end refuses our key");
        return;
    }
    if (is_gone || is_stalled(w, n, to)) {
        if (l->stalled_ms == 0) {
            l->stalled_ms = w->now_ms;
            l->patience_ms = PATIENCE_MIN_MS + world_random(w, PATIENCE_MS);
        } else if (w->now_ms - l->stalled_ms >= l->patience_ms) {
            net_break(n, l, "no answer to a ping");
            return;
        }
    } else {
        l->stalled_ms = 0;
    }
    /* With the way back cut, what is sent arrives until the stream is given up. */
    if (!is_gone && (l->stalled_ms == 0 || is_one_way)) {
        deliver(n, l, to);
    }
}

void net_run(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];
        if (!is_up(n) || n->paused_ms > w->now_ms) {
            continue;
        }
        for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
            struct link *l = &n->net.links[slot];
            if (l->state == LINK_UP) {
                carry(n, l);
            } else if (l->state == LINK_DIALING && l->due_ms <= w->now_ms) {
                dial(n, l);
            }
        }
    }
}

static uint64_t link_next(const struct world *w, const struct link *l)
{
    if (l->state == LINK_DIALING) {
        return l->due_ms;
    }
    if (l->state != LINK_UP) {
        return UINT64_MAX;
    }
    if (l->stalled_ms != 0) {
        return w->now_ms + 5; /* it may carry again, or be given up */
    }
    return l->head ? l->head->due_ms : UINT64_MAX;
}

uint64_t net_next(const struct world *w)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < w->count; i++) {
        const struct node *n = &w->nodes[i];
        for (unsigned slot = 0; is_up(n) && slot < LINKS_MEMBERS_MAX; slot++) {
            uint64_t next = link_next(w, &n->net.links[slot]);
            at = next < at ? next : at;
        }
    }
    return at;
}
