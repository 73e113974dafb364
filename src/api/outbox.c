/* A growing array of effects; node/ empties it at the end of every turn, so its memory settles at
 * the size of the busiest one. */
#include "api/outbox.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

#define OUTBOX_CAP_FIRST 64

static struct effect *add(struct outbox *o, enum effect_kind kind)
{
    if (o->count == o->cap) {
        o->cap = o->cap ? o->cap * 2 : OUTBOX_CAP_FIRST;
        o->list = mem_realloc(o->list, o->cap, sizeof(*o->list));
    }
    struct effect *e = &o->list[o->count++];
    *e = (struct effect){.kind = kind};
    return e;
}

void outbox_reply(struct outbox *o, struct api_call *take_call)
{
    ASSERT(take_call != NULL);
    add(o, EFFECT_REPLY)->u.reply.call = take_call;
}

bool outbox_take_reply(struct outbox *o, size_t from, const struct api_call *call)
{
    for (size_t i = from; i < o->count; i++) {
        const struct effect *e = &o->list[i];
        if (e->kind == EFFECT_REPLY && e->u.reply.call == call) {
            o->count--;
            memmove(&o->list[i], &o->list[i + 1], (o->count - i) * sizeof(*o->list));
            return true;
        }
    }
    return false;
}

void outbox_take_replies(struct outbox *o, bool (*take)(void *self, struct api_call *call),
                         void *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->count; i++) {
        const struct effect *e = &o->list[i];
        if (e->kind != EFFECT_REPLY || !take(self, e->u.reply.call)) {
            o->list[kept++] = *e;
        }
    }
    o->count = kept;
}

void outbox_push(struct outbox *o, const char *type, struct body *take_body, uint64_t *take_conns,
                 size_t count)
{
    ASSERT(type != NULL);
    struct effect *e = add(o, EFFECT_PUSH);
    e->u.push.type = type;
    e->u.push.body = *take_body;
    e->u.push.conns = take_conns;
    e->u.push.count = count;
    *take_body = (struct body){0};
}

void outbox_push_one(struct outbox *o, const char *type, struct body *take_body, uint64_t conn)
{
    uint64_t *conns = mem_alloc(sizeof(*conns));
    conns[0] = conn;
    outbox_push(o, type, take_body, conns, 1);
}

void outbox_accept(struct outbox *o, uint64_t conn, struct body *take_setup_ack)
{
    struct effect *e = add(o, EFFECT_CONN_ACCEPT);
    e->u.accept.conn = conn;
    e->u.accept.setup_ack = *take_setup_ack;
    *take_setup_ack = (struct body){0};
}

void outbox_close_conn(struct outbox *o, uint64_t conn, enum conn_end how, struct span why)
{
    struct effect *e = add(o, EFFECT_CONN_CLOSE);
    e->u.close.conn = conn;
    e->u.close.how = how;
    e->u.close.why = buf_create(why);
}

void outbox_propose(struct outbox *o, enum consensus_kind kind, struct buf *take_op,
                    struct api_call *waiting)
{
    ASSERT(take_op != NULL);
    struct effect *e = add(o, EFFECT_PROPOSE);
    e->u.propose.kind = kind;
    e->u.propose.op = take_op;
    e->u.propose.waiting = waiting;
}

void outbox_peer(struct outbox *o, uint64_t node, enum peer_frame kind, struct body *take_body)
{
    struct effect *e = add(o, EFFECT_PEER);
    e->u.peer.node = node;
    e->u.peer.kind = kind;
    e->u.peer.body = *take_body;
    *take_body = (struct body){0};
}

void outbox_trace(struct outbox *o, const char *subsystem, const char *fmt, ...)
{
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    int written = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    ASSERT(written >= 0);
    size_t len = (size_t)written < sizeof(line) ? (size_t)written : sizeof(line) - 1;
    struct effect *e = add(o, EFFECT_TRACE);
    e->u.trace.subsystem = subsystem;
    e->u.trace.text = buf_create(span_of(line, len));
}

/* Drop what one effect owns. A call belongs to its edge, which alone can free it. */
static void release(struct effect *e)
{
    switch (e->kind) {
    case EFFECT_REPLY:
        break;
    case EFFECT_PUSH:
        body_close(&e->u.push.body);
        mem_free(e->u.push.conns);
        break;
    case EFFECT_CONN_ACCEPT:
        body_close(&e->u.accept.setup_ack);
        break;
    case EFFECT_CONN_CLOSE:
        buf_unref(e->u.close.why);
        break;
    case EFFECT_PROPOSE:
        buf_unref(e->u.propose.op);
        break;
    case EFFECT_PEER:
        body_close(&e->u.peer.body);
        break;
    case EFFECT_TRACE:
        buf_unref(e->u.trace.text);
        break;
    }
}

void outbox_clear(struct outbox *o, size_t from)
{
    ASSERT(from <= o->count);
    for (size_t i = from; i < o->count; i++) {
        release(&o->list[i]);
    }
    o->count = from;
}

void outbox_close(struct outbox *o)
{
    outbox_clear(o, 0);
    mem_free(o->list);
    *o = (struct outbox){0};
}
