/* The registry as node/ sees it: connections come and go, operations come back from the log, turns
 * end. */
#include "naming/naming.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "naming/admit.h"
#include "naming/apply.h"
#include "naming/beat.h"
#include "naming/beat_peer.h"
#include "naming/clean.h"
#include "naming/naming_op.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/react.h"
#include "naming/restore.h"
#include "naming/state.h"

/* Clients that end in one turn: all that do not come back after a restart are due at once, and the
 * log takes a limited number of operations at a time. */
#define GONE_BATCH 1000
/* What a connection says of itself is cut to this; it is only shown. */
#define CONN_TEXT_BYTES_MAX 256

const char *removal_text(enum removal_reason reason)
{
    switch (reason) {
#define X(name, number, text)                                                                      \
    case name:                                                                                     \
        return text;
        REMOVAL_MAP(X)
#undef X
    }
    return "unknown";
}

struct naming *naming_create(const struct naming_options *options, struct view *view)
{
    struct naming *n = mem_zalloc(1, sizeof(*n));
    n->options = *options;
    n->view = view;
    return n;
}

/* The client has no connection (any more). */
static void detach(struct naming *n, struct client *c)
{
    deadline_clear(&n->gones, &c->gone_due);
    if (c->conn) {
        HASH_DELETE(hh_conn, n->by_conn, c);
    }
    c->conn = 0;
    c->gone = false;
}

void naming_destroy(struct naming *n)
{
    if (!n) {
        return;
    }
    push_state_free(n, NULL);
    restore_close(n);
    pending_close(n);
    beat_peer_close(n);
    struct client *c = NULL;
    struct client *next = NULL;
    HASH_ITER(hh_conn, n->by_conn, c, next)
    {
        detach(n, c);
    }
    naming_clear(n);
    deadlines_close(&n->pushes);
    deadlines_close(&n->acks);
    deadlines_close(&n->beats);
    deadlines_close(&n->gones);
    mem_free(n);
}

static void text_set(char **text, struct span s)
{
    size_t len = s.len < CONN_TEXT_BYTES_MAX ? s.len : CONN_TEXT_BYTES_MAX;
    mem_free(*text);
    *text = mem_strndup(s.data ? s.data : "", len);
}

void naming_conn_open(struct naming *n, const struct naming_conn *conn, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(conn->conn != 0);
    ASSERT(!client_of_conn(n, conn->conn));
    struct client *c = client_obtain(n, conn->id, CLIENT_CONNECTION);
    if (c->conn || c->gone) {
        return; /* two connections of one id cannot be; if they were, the first keeps it */
    }
    deadline_clear(&n->gones, &c->gone_due);
    c->conn = conn->conn;
    if (c->publication_count == 0) {
        c->updated_ms = now.wall_ms; /* else it is replicated: apply's */
    }
    text_set(&c->app, conn->app);
    text_set(&c->agent, conn->agent);
    text_set(&c->ip, conn->client_ip);
    HASH_ADD(hh_conn, n->by_conn, conn, sizeof(c->conn), c);
}

static void propose_gone(struct naming *n, struct client *c, struct now now, struct outbox *out)
{
    struct naming_op op = {
        .kind = NAMING_OP_CLIENT_GONE,
        .time_ms = now.wall_ms,
        .client = span_of(c->id, c->id_len),
        .reason = c->gone_reason,
    };
    outbox_propose(out, CONSENSUS_NAMING, naming_op_encode(&op), NULL);
    c->gone = true;
    deadline_set(&n->gones, &c->gone_due, now.mono_ms + naming_retry_ms(n));
}

void naming_conn_closed(struct naming *n, uint64_t conn, enum removal_reason reason, struct now now,
                        struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct client *c = client_of_conn(n, conn);
    if (!c || c->gone) {
        return;
    }
    push_drop_client(n, c);
    if (!c->proposed && c->publication_count == 0) {
        detach(n, c);
        client_release(n, c);
        return;
    }
    c->gone_reason = reason;
    propose_gone(n, c, now, out);
}

void naming_ack(struct naming *n, uint64_t conn, const struct ack *ack, struct now now)
{
    push_ack(n, conn, ack, now);
}

/* An entry of the log. */
struct naming_entry {
    struct span op;
    uint64_t owner;
    struct api_call *waiting;
};

static void refuse_damaged(struct naming *n, struct api_call *waiting, const struct fail *why,
                           struct outbox *out)
{
    atomic_fetch_add_explicit(&n->counters.bad_ops, 1, memory_order_relaxed);
    if (!waiting) {
        return;
    }
    struct fail fail = {0};
    fail_set(&fail, E_INTERNAL, "the operation came back damaged from the log: %s", fail_text(why));
    dispatch_fail(waiting, &fail, out);
}

/* The log may commit a registration of an earlier life when this one is served already; or one of
 * another node, for a client that was awaited here. */
static void await_absent(struct naming *n, const struct naming_op *op, struct now now)
{
    struct client *c = client_find(n, op->client);
    if (!c || c->kind != CLIENT_CONNECTION || c->conn != 0) {
        return;
    }
    if (client_is_watched(n, c)) {
        naming_await(n, c, now);
    } else {
        deadline_clear(&n->gones, &c->gone_due);
    }
}

/* Returns what apply did. */
static int commit(struct naming *n, const struct naming_op *op, struct api_call *waiting,
                  struct now now, struct outbox *out)
{
    bool gone = op->kind == NAMING_OP_CLIENT_GONE;
    struct client *c = gone ? client_find(n, op->client) : NULL;
    if (c && c->gone && op->owner == n->options.self) {
        detach(n, c); /* apply frees it with the last publication */
    }
    struct changes changes = {0};
    struct fail fail = {0};
    int err = naming_apply(n, op, &changes, &fail);
    struct naming_applied applied = {op, &changes, err, &fail, waiting};
    naming_react(n, &applied, now, out);
    changes_close(n, &changes);
    c = gone ? client_find(n, op->client) : NULL;
    if (c) {
        client_release(n, c);
    }
    if (n->is_replaying) {
        return err;
    }
    if (op->kind == NAMING_OP_PUBLISH) {
        await_absent(n, op, now);
    }
    restore_committed(n, op, now);
    return err;
}

static int commit_bytes(struct naming *n, const struct naming_entry *e, struct now now,
                        struct outbox *out)
{
    int err = 0;
    struct arena arena;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    struct naming_op op = {0};
    struct fail fail = {0};
    n->replayed += n->is_replaying;
    if (naming_op_decode(e->op, &arena, &op, &fail) == 0) {
        op.owner = e->owner;
        err = commit(n, &op, e->waiting, now, out);
    } else {
        refuse_damaged(n, e->waiting, &fail, out);
    }
    arena_close(&arena);
    return err;
}

void naming_commit(struct naming *n, struct span bytes, uint64_t owner, struct api_call *waiting,
                   struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct naming_entry e = {bytes, owner, waiting};
    (void)commit_bytes(n, &e, now, out);
}

void naming_commit_shown(struct naming *n, uint64_t id, struct span bytes, uint64_t owner,
                         struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct naming_entry e = {.op = bytes, .owner = owner};
    if (bytes.len > 0 && commit_bytes(n, &e, now, out) != 0) {
        atomic_fetch_add_explicit(&n->counters.shown_vain, 1, memory_order_relaxed);
        outbox_trace(
            out, "naming",
            "event=shown_in_vain meaning=\"a registration that was answered below a quorum "
            "cannot be: its service became one of the other kind meanwhile\"");
    }
    pending_end(n, id, now);
}

static void gone_turn(struct naming *n, struct now now, struct outbox *out)
{
    struct deadline *d = NULL;
    for (int i = 0; i < GONE_BATCH && (d = deadlines_pop(&n->gones, now.mono_ms)); i++) {
        struct client *c = CONTAINER_OF(d, struct client, gone_due);
        if (pending_is_leaving(n, c)) {
            deadline_set(&n->gones, &c->gone_due, now.mono_ms + naming_retry_ms(n));
            continue; /* it is not lost: this node shows it until the log takes it */
        }
        if (c->gone || client_is_watched(n, c)) {
            propose_gone(n, c, now, out);
        }
    }
}

void naming_turn(struct naming *n, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    n->turn++;
    if (n->is_replaying) {
        return;
    }
    beat_peer_turn(n, out);
    gone_turn(n, now, out);
    restore_turn(n, now, out);
    beat_turn(n, now, out);
    pending_beat_turn(n, now, out);
    clean_turn(n, now, out);
    push_turn(n, now, out);
}

uint64_t naming_deadline(const struct naming *n)
{
    if (n->is_replaying) {
        return UINT64_MAX;
    }
    const uint64_t all[] = {push_deadline(n),          beat_deadline(n),
                            clean_deadline(n),         restore_deadline(n),
                            deadlines_next(&n->gones), pending_beat_deadline(n)};
    uint64_t next = all[0];
    for (size_t i = 1; i < ARRAY_LEN(all); i++) {
        next = all[i] < next ? all[i] : next;
    }
    return next;
}

const struct naming_counters *naming_counters(const struct naming *n)
{
    return &n->counters;
}

struct naming_stats naming_stats(const struct naming *n)
{
    struct naming_stats stats = {
        .services = n->service_count,
        .instances = n->instance_count,
        .subscriptions = n->subscription_count,
        .clients = HASH_COUNT(n->clients),
        .connection_clients = n->client_counts[CLIENT_CONNECTION],
        .http_clients = n->client_counts[CLIENT_HTTP],
        .persistent_clients = n->client_counts[CLIENT_PERSISTENT],
        .pushes_pending = n->pushes.count + n->acks.count,
        .shown = n->pending ? HASH_COUNT(n->pending->ops) : 0,
    };
    return stats;
}
