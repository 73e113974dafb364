/* After apply, on this node: the view, the pushes, the beats, the log line, the answer. */
#include "naming/react.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/thread.h"
#include "naming/beat.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/restore.h"

/* Removals of one operation that get a line each; a large batch that goes must not flood the log.
 */
#define REACT_TRACE_MAX 32

static struct span key_of(const struct service *s)
{
    return span_of(s->key, s->key_len);
}

void service_changed(struct naming *n, struct service *s, struct now now)
{
    if (service_is_visible(s)) {
        s->stale = true;
        view_spoil(n->view, key_of(s));
    } else {
        view_remove(n->view, key_of(s));
    }
    if (s->subscriber_count > 0 && !restore_holds(n, s)) {
        push_changed(n, s, now);
    }
}

#define INSTANCE "%.*s:%u#%.*s"
#define INSTANCE_ARG(i) SPAN_ARG((i)->ip), (unsigned)(i)->port, SPAN_ARG((i)->cluster)
#define SERVICE "namespace=%.*s service=%.*s"
#define SERVICE_ARG(s) SPAN_ARG((s)->name.namespace_id), SPAN_ARG((s)->grouped)

/* semantics.md 8.2 N1: an instance that its own connection overwrote by another address is what
 * users look for. */
static bool is_replaced(const struct naming_op *op, const struct change_removal *r)
{
    return r->reason == REMOVAL_REPLACED && op->kind == NAMING_OP_PUBLISH && !op->batch &&
           op->instances_count == 1;
}

static void trace(const struct naming_op *op, const struct change_removal *r, struct outbox *out)
{
    const struct instance *i = r->instance;
    if (!is_replaced(op, r)) {
        outbox_trace(
            out, "naming",
            "event=instance_removed " SERVICE " instance=" INSTANCE " client=%.*s reason=\"%s\"",
            SERVICE_ARG(r->service), INSTANCE_ARG(i), SPAN_ARG(i->client), removal_text(r->reason));
        return;
    }
    const struct instance_data *by = &op->instances[0];
    outbox_trace(out, "naming",
                 "event=instance_replaced " SERVICE " instance=" INSTANCE
                 " by=%.*s:%lld#%.*s client=%.*s reason=\"%s\"",
                 SERVICE_ARG(r->service), INSTANCE_ARG(i), SPAN_ARG(by->ip), (long long)by->port,
                 SPAN_ARG(by->cluster), SPAN_ARG(i->client), removal_text(r->reason));
}

static void count_and_trace(struct naming *n, const struct naming_op *op,
                            const struct changes *changes, struct outbox *out)
{
    for (size_t i = 0; i < changes->removed_count; i++) {
        const struct change_removal *r = &changes->removed[i];
        ASSERT((size_t)r->reason < ARRAY_LEN(n->counters.removals));
        atomic_fetch_add_explicit(&n->counters.removals[r->reason], 1, memory_order_relaxed);
        if (i < REACT_TRACE_MAX) {
            trace(op, r, out);
        }
    }
    if (changes->removed_count > REACT_TRACE_MAX) {
        outbox_trace(out, "naming", "event=instances_removed more=%zu",
                     changes->removed_count - REACT_TRACE_MAX);
    }
}

/* The publication that op changed, when an HTTP client has it; NULL otherwise. */
static struct publication *http_publication(struct naming *n, const struct naming_op *op,
                                            struct span client_id)
{
    struct client *c = client_find(n, client_id);
    if (!c || c->kind != CLIENT_HTTP) {
        return NULL;
    }
    struct service *s = service_find(n, &op->service);
    return s ? publication_find(c, s) : NULL;
}

static void overlay_applied(struct naming *n, const struct naming_op *op)
{
    char id[BEAT_CLIENT_ID_MAX];
    struct span http_id = beat_client_id(op->ip, op->port, id);
    struct publication *p = http_publication(n, op, http_id);
    if (p) {
        beat_changed(n, p);
    }
}

/* A client that moved is watched, or left alone, with all that it publishes. */
static void publish_applied(struct naming *n, const struct naming_applied *a, struct now now)
{
    const struct client *c = a->changes->client;
    if (c->kind != CLIENT_HTTP) {
        return;
    }
    if (a->changes->moved) {
        for (struct publication *p = c->publications; p; p = p->hh.next) {
            beat_watch(n, p, now);
        }
        return;
    }
    struct publication *p = http_publication(n, a->op, a->op->client);
    if (p) {
        beat_watch(n, p, now);
    }
}

static void follow_beats(struct naming *n, const struct naming_applied *a, struct now now)
{
    const struct naming_op *op = a->op;
    struct publication *p = NULL;
    switch (op->kind) {
    case NAMING_OP_PUBLISH:
        publish_applied(n, a, now);
        break;
    case NAMING_OP_HEALTH:
        p = http_publication(n, op, op->client);
        if (p) {
            beat_health_applied(n, p, op->healthy);
        }
        break;
    case NAMING_OP_OVERLAY:
        overlay_applied(n, op);
        break;
    case NAMING_OP_UNPUBLISH:
    case NAMING_OP_CLIENT_GONE:
    case NAMING_OP_SERVICE_PUT:
    case NAMING_OP_SERVICE_REMOVE:
    case NAMING_OP_FENCE:
        break;
    }
}

/* Deregistering what is not there is a success (grpc-sdk.md 5.4.3). */
static void answer(const struct naming_applied *a, struct outbox *out)
{
    if (a->err == 0 || a->op->kind == NAMING_OP_UNPUBLISH) {
        outbox_reply(out, a->waiting);
        return;
    }
    dispatch_fail(a->waiting, a->fail, out);
}

/* While the log is replayed nobody is served yet: naming_recovered does all this once. */
static void follow(struct naming *n, const struct naming_applied *a, struct now now,
                   struct outbox *out)
{
    for (struct service *s = a->changes->touched; s; s = s->touched_next) {
        service_changed(n, s, now);
    }
    for (size_t i = 0; i < a->changes->behind_count; i++) {
        service_changed(n, a->changes->behind[i], now);
    }
    count_and_trace(n, a->op, a->changes, out);
    if (a->err != 0) {
        return;
    }
    follow_beats(n, a, now);
    if (a->op->kind == NAMING_OP_PUBLISH) {
        atomic_fetch_add_explicit(&n->counters.registrations, 1, memory_order_relaxed);
    }
}

void naming_react(struct naming *n, const struct naming_applied *a, struct now now,
                  struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    if (!n->is_replaying) {
        follow(n, a, now, out);
    }
    if (a->waiting) {
        answer(a, out);
    }
}

const struct service_value *service_refresh(struct naming *n, struct service *s, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    if (!s || !service_is_visible(s)) {
        return NULL;
    }
    struct view_value *current = NULL;
    int64_t stamp = 0;
    if (!s->stale && view_take(n->view, key_of(s), now.wall_ms, &current, &stamp) == VIEW_FRESH) {
        /* The view keeps its own reference until the next change, which happens on this thread. */
        view_value_unref(current);
        return CONTAINER_OF(current, struct service_value, base);
    }
    struct service_value *built = s->pending ? pending_value(n, s) : service_value_build(s);
    view_publish(n->view, key_of(s), now.wall_ms, &built->base);
    s->stale = false;
    return built;
}
