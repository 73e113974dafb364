/* Requests as an edge makes them: decoded by their row, read from the view or mailed to the core,
 * answered. The network may be slow, the node may be gone; who waits too long gives up. */
#include "cluster_world.h"

#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "api/row.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/config_rows.h"
#include "conn/peer.h"
#include "naming/naming_rows.h"

#define PATIENCE_MS 3000 /* of an SDK */

struct call {
    struct api_call api; /* first */
    struct call *prev, *next;
    struct call *stalled_prev, *stalled_next; /* in node->stalled */
    struct world *w;
    unsigned place;
    uint64_t boot;
    uint64_t number;
    unsigned refs; /* events, and the core */
    bool is_over;  /* its client has heard of it */
    struct peer *peer;
    const char *type;
    struct buf *json;
    result_fn fn;
    void *arg;
    struct buf *text;
    bool is_degraded;
    int err;
};

static void call_unref(struct call *c)
{
    if (--c->refs > 0) {
        return;
    }
    DL_DELETE(c->w->calls, c);
    body_close(&c->api.reply.body);
    arena_close(&c->api.arena);
    peer_unref(c->peer);
    buf_unref(c->json);
    buf_unref(c->text);
    mem_free(c);
}

static void tell(struct call *c, int err, const char *text)
{
    if (c->is_over) {
        return;
    }
    c->is_over = true;
    struct result r = {err, text, c->boot, c->is_degraded};
    c->fn(c->w, c->arg, c->number, &r);
}

static void on_home(struct world *w, void *arg, uint64_t number)
{
    struct call *c = arg;
    (void)w;
    (void)number;
    tell(c, c->err, c->text ? c->text->data : "");
    call_unref(c);
}

/* The answer sets out for the client. */
static void send_home(struct call *c, int err)
{
    c->err = err;
    c->refs++;
    world_after(c->w, client_latency(c->w), on_home, c, 0);
}

static void on_timeout(struct world *w, void *arg, uint64_t number)
{
    struct call *c = arg;
    (void)w;
    (void)number;
    tell(c, E_TIMEOUT, "the client gave up");
    call_unref(c);
}

/* From the core, or from the edge itself. */
static void deliver(struct api_call *api)
{
    struct call *c = CONTAINER_OF(api, struct call, api);
    const struct node *n = &c->w->nodes[c->place];
    int err = api->reply.fail.code;
    c->is_degraded = n->core && check_is_degraded(n);
    if (!n->core || n->boot != c->boot) {
        err = E_CLOSED; /* the process is gone, and with it the connection */
    } else if (err) {
        const char *why = fail_text(&api->reply.fail);
        c->text = buf_create(span_of(why, strlen(why) + 1));
    } else {
        c->text = world_flatten(&api->reply.body);
    }
    send_home(c, err);
    call_unref(c);
}

/* The row of a type, and what its functions are given. */
static const struct api_row *find_row(struct node *n, const char *type, void **ret_read,
                                      void **ret_admit)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, type) == 0) {
            *ret_read = core_view(n->core);
            *ret_admit = core_naming(n->core);
            return &rows[i];
        }
    }
    rows = config_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, type) == 0) {
            *ret_read = core_config_edge(n->core);
            *ret_admit = core_config(n->core);
            return &rows[i];
        }
    }
    ASSERT(!"a row");
    return NULL;
}

static void set_caller(struct call *c)
{
    c->api.caller = (struct api_caller){
        .source = API_GRPC,
        .conn = c->peer ? c->peer->key : 0,
        .conn_id = span_str(c->peer ? c->peer->id : ""),
        .remote_ip = SPAN("10.1.0.1"),
        .client_ip = SPAN("10.1.0.1"),
    };
}

/* As rpc/unary.c serves a row. Answered here: 0 or a code; API_TO_CORE: it is the core's. */
static int serve(struct node *n, struct call *c)
{
    struct fail *fail = &c->api.reply.fail;
    void *read_self = NULL;
    const struct api_row *row = find_row(n, c->type, &read_self, &c->api.admit_self);
    c->api.row = row;
    set_caller(c);
    int next = row->decode_rpc(&c->api, buf_span(c->json), fail);
    next = next ? next : API_TO_CORE;
    if (next == API_TO_CORE && row->read) {
        next = row->read(read_self, &c->api, node_now(n), fail);
    }
    if (next < 0 && fail->code == 0) {
        fail->code = next;
    }
    return next;
}

static int check_served(const struct node *n, const struct call *c)
{
    if (!n->core) {
        return E_CLOSED;
    }
    if (!n->is_ready) {
        return E_STARTING;
    }
    if (c->peer && (n->boot != c->boot || atomic_load(&c->peer->state) != PEER_REGISTERED)) {
        return E_UNREGISTERED;
    }
    return 0;
}

static void arrive(struct node *n, struct call *c)
{
    int err = check_served(n, c);
    if (err) {
        send_home(c, err);
        call_unref(c);
        return;
    }
    c->boot = n->boot;
    if (c->peer) {
        atomic_store(&c->peer->active_ms, node_now(n).mono_ms);
    }
    int next = serve(n, c);
    if (next != API_TO_CORE) {
        deliver(&c->api);
        return;
    }
    struct core_port port = core_port(n->core);
    if (port.post(port.self, &c->api.mail) != 0) {
        world_fail(n->w, "node %u takes no mail", n->place);
    }
}

/* A connection is a stream: what came first is served first, however often a node stops. */
static void on_wake(struct world *w, void *arg, uint64_t number)
{
    struct node *n = arg;
    (void)number;
    if (n->core && n->paused_ms > w->now_ms) {
        world_after(w, n->paused_ms - w->now_ms, on_wake, n, 0);
        return;
    }
    while (n->stalled) {
        struct call *c = n->stalled;
        DL_DELETE2(n->stalled, c, stalled_prev, stalled_next);
        arrive(n, c);
    }
}

static void on_arrive(struct world *w, void *arg, uint64_t number)
{
    struct call *c = arg;
    struct node *n = &w->nodes[c->place];
    (void)number;
    bool is_paused = n->core && n->paused_ms > w->now_ms;
    if (!n->stalled && !is_paused) {
        arrive(n, c);
        return;
    }
    if (!n->stalled) {
        world_after(w, n->paused_ms - w->now_ms, on_wake, n, 0);
    }
    DL_APPEND2(n->stalled, c, stalled_prev, stalled_next);
}

uint64_t call_send(struct world *w, unsigned place, struct client_conn *conn, const char *type,
                   const char *json, result_fn fn, void *arg)
{
    struct call *c = mem_zalloc(1, sizeof(*c));
    c->api.mail.kind = CORE_CALL;
    c->api.deliver = deliver;
    arena_init(&c->api.arena, API_ARENA_MAX);
    c->w = w;
    c->place = place;
    c->number = world_number(w);
    c->type = type;
    c->json = buf_create(span_str(json));
    c->fn = fn;
    c->arg = arg;
    if (conn) {
        c->peer = peer_ref(conn->peer);
        c->boot = conn->boot;
    }
    c->refs = 2;
    DL_APPEND(w->calls, c);
    w->calls_made++;
    world_after(w, client_latency(w), on_arrive, c, 0);
    world_after(w, PATIENCE_MS, on_timeout, c, 0);
    return c->number;
}

struct buf *call_now(struct world *w, unsigned place, const char *type, const char *json)
{
    struct node *n = &w->nodes[place];
    struct call c = {.w = w, .type = type, .json = buf_create(span_str(json))};
    struct outbox out = {0};
    arena_init(&c.api.arena, API_ARENA_MAX);
    int next = serve(n, &c);
    if (next == API_TO_CORE) {
        next = c.api.row->admit(c.api.admit_self, &c.api, node_now(n), &out, &c.api.reply.fail);
    }
    ASSERT(next == API_ANSWERED);
    struct buf *text = world_flatten(&c.api.reply.body);
    outbox_close(&out);
    arena_close(&c.api.arena);
    buf_unref(c.json);
    return text;
}
