/* A server starts again: what its earlier lives committed is applied once more, and those who
 * published it get time to come back. */
#include "base/assert.h"
#include "base/thread.h"
#include "naming/beat.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/restore.h"
#include "naming/state.h"

void naming_replay(struct naming *n)
{
    ASSERT(!n->is_replaying);
    ASSERT(!n->services);
    ASSERT(!n->clients);
    n->is_replaying = true;
}

void naming_await(struct naming *n, struct client *c, struct now now)
{
    ASSERT(c->kind == CLIENT_CONNECTION);
    ASSERT(c->conn == 0);
    if (deadline_is_set(&c->gone_due)) {
        return;
    }
    c->gone_reason = REMOVAL_NOT_BACK;
    deadline_set(&n->gones, &c->gone_due, now.mono_ms + n->options.restart_grace_ms);
}

/* Another node watches it. What this one has proposed for a connection of its own goes on. */
static void leave(struct naming *n, struct client *c)
{
    if (c->conn == 0) {
        deadline_clear(&n->gones, &c->gone_due);
    }
}

static void show_services(struct naming *n, struct now now)
{
    for (struct service *s = n->services; s; s = s->hh.next) {
        if (!service_is_visible(s)) {
            continue;
        }
        s->stale = true;
        view_spoil(n->view, span_of(s->key, s->key_len));
        if (s->subscriber_count > 0 && !restore_holds(n, s)) {
            push_changed(n, s, now);
        }
    }
}

void naming_watch(struct naming *n, struct now now, struct naming_recovery *ret)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(!n->is_replaying);
    show_services(n, now);
    for (struct client *c = n->clients; c; c = c->hh.next) {
        if (!client_is_watched(n, c)) {
            leave(n, c);
            continue;
        }
        if (c->kind == CLIENT_CONNECTION && c->conn == 0) {
            naming_await(n, c, now);
            ret->awaited_clients++;
        }
        if (c->kind != CLIENT_HTTP) {
            continue;
        }
        ret->http_clients++;
        for (struct publication *p = c->publications; p; p = p->hh.next) {
            beat_watch(n, p, now);
        }
    }
}

struct naming_recovery naming_recovered(struct naming *n, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    struct naming_recovery figures = {
        .operations = n->replayed,
        .services = n->service_count,
        .instances = n->instance_count,
    };
    n->is_replaying = false;
    n->clean_from_ms = now.mono_ms + n->options.restart_grace_ms;
    naming_watch(n, now, &figures);
    return figures;
}
