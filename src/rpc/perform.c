#include "rpc/perform.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "rpc/bytes.h"
#include "rpc/edge.h"
#include "rpc/registry.h"
#include "rpc/stream.h"

/* One message for several streams of one queue. */
struct fan {
    struct queue_mail mail;
    struct message *message;
    unsigned count;
    bool counts_as_push;
    struct stream *streams[];
};

/* The end of one stream, or, without one, of all streams of the queue. */
struct farewell {
    struct queue_mail mail;
    struct stream *stream;
    grpc_status_code status;
    char why[];
};

static void run_fan(struct queue *q, struct queue_mail *take_mail)
{
    struct fan *f = CONTAINER_OF(take_mail, struct fan, mail);
    struct rpc_counters *counters = &q->rpc->counters;
    atomic_fetch_sub_explicit(&q->sends_wait, f->count, memory_order_relaxed);
    for (unsigned i = 0; i < f->count; i++) {
        bool sent = stream_send(f->streams[i], f->message);
        if (f->counts_as_push) {
            count_up(sent ? &counters->pushes : &counters->push_drops);
        }
        stream_unref(f->streams[i]);
    }
    message_unref(f->message);
    mem_free(f);
    life_leave(&q->rpc->life);
}

static struct fan *fan_create(struct message *m, size_t room)
{
    struct fan *f = mem_zalloc(1, sizeof(*f) + room * sizeof(struct stream *));
    f->mail.run = run_fan;
    f->message = message_ref(m);
    return f;
}

static void fan_post(struct queue *q, struct fan *take_fan)
{
    take_fan->mail.cost = take_fan->count;
    atomic_fetch_add_explicit(&q->sends_wait, take_fan->count, memory_order_relaxed);
    life_enter(&q->rpc->life); /* until it has run */
    queue_post(q, &take_fan->mail);
}

static bool has_room(struct queue *q)
{
    return atomic_load_explicit(&q->sends_wait, memory_order_relaxed) < QUEUE_SENDS_MAX;
}

/* Put the found streams into their queues' fans; full fans leave at once. Takes the references. */
static void spread(struct rpc *r, struct message *m, struct stream **take_streams, size_t count,
                   struct fan **fans)
{
    for (size_t i = 0; i < count; i++) {
        struct stream *s = take_streams[i];
        struct queue *q = s ? stream_queue(s) : NULL;
        if (!s || !has_room(q)) {
            count_up(&r->counters.push_drops);
            stream_unref(s);
            continue;
        }
        struct fan **f = &fans[q->index];
        if (!*f) {
            *f = fan_create(m, count);
            (*f)->counts_as_push = true;
        }
        (*f)->streams[(*f)->count++] = s;
    }
}

static void perform_push(struct rpc *r, struct effect *e)
{
    struct message *m = message_create(e->u.push.type, &e->u.push.body);
    for (size_t done = 0; done < e->u.push.count;) {
        size_t left = e->u.push.count - done;
        size_t count = left < RPC_FANOUT_CHUNK ? left : RPC_FANOUT_CHUNK;
        struct stream *streams[RPC_FANOUT_CHUNK];
        struct fan *fans[RPC_QUEUES] = {0};
        registry_take(r->registry, e->u.push.conns + done, count, streams);
        spread(r, m, streams, count, fans);
        for (unsigned i = 0; i < RPC_QUEUES; i++) {
            if (fans[i]) {
                fan_post(&r->queues[i], fans[i]);
            }
        }
        done += count;
    }
    message_unref(m);
    mem_free(e->u.push.conns);
    e->u.push.conns = NULL;
    e->u.push.count = 0;
}

static struct stream *take_one(struct rpc *r, uint64_t key)
{
    struct stream *s = NULL;
    registry_take(r->registry, &key, 1, &s);
    return s;
}

/* Registered first, acked second: a client that acts on the ack never meets 301. */
static void perform_accept(struct rpc *r, struct effect *e)
{
    struct stream *s = take_one(r, e->u.accept.conn);
    if (s) {
        int from = PEER_TRANSPORT; /* a repeated setup finds it registered, a late one closed */
        atomic_compare_exchange_strong(&stream_peer(s)->state, &from, PEER_REGISTERED);
    }
    if (s && body_len(&e->u.accept.setup_ack) > 0) {
        struct message *m = message_create("SetupAckRequest", &e->u.accept.setup_ack);
        struct fan *f = fan_create(m, 1);
        f->streams[f->count++] = stream_ref(s);
        fan_post(stream_queue(s), f);
        message_unref(m);
    }
    stream_unref(s);
    body_close(&e->u.accept.setup_ack);
}

static void run_farewell(struct queue *q, struct queue_mail *take_mail)
{
    struct farewell *f = CONTAINER_OF(take_mail, struct farewell, mail);
    if (f->stream) {
        stream_end(f->stream, f->status, f->why);
        stream_unref(f->stream);
    } else {
        stream_end_all(q, f->status, f->why);
    }
    mem_free(f);
    life_leave(&q->rpc->life);
}

static void farewell_post(struct queue *q, struct stream *take_stream, grpc_status_code status,
                          struct span why)
{
    struct farewell *f = mem_zalloc(1, sizeof(*f) + why.len + 1);
    f->mail.run = run_farewell;
    f->mail.cost = 1;
    f->stream = take_stream;
    f->status = status;
    if (why.len > 0) {
        memcpy(f->why, why.data, why.len);
    }
    life_enter(&q->rpc->life); /* until it has run */
    queue_post(q, &f->mail);
}

static void end_one(struct rpc *r, uint64_t key, grpc_status_code status, struct span why)
{
    struct stream *s = take_one(r, key);
    if (s) {
        atomic_store(&stream_peer(s)->state, PEER_CLOSED);
        farewell_post(stream_queue(s), s, status, why);
    }
}

void perform_end(struct rpc *r, uint64_t key, grpc_status_code status, const char *why)
{
    end_one(r, key, status, span_str(why));
}

void perform_end_all(struct rpc *r, grpc_status_code status, const char *why)
{
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        farewell_post(&r->queues[i], NULL, status, span_str(why));
    }
}

/* DIFF(stream-end): Nacos ends a stream with OK, which Python does not notice. */
static void perform_close(struct rpc *r, struct effect *e)
{
    grpc_status_code status = e->u.close.how == CONN_END_EXHAUSTED ? GRPC_STATUS_RESOURCE_EXHAUSTED
                                                                   : GRPC_STATUS_UNAVAILABLE;
    end_one(r, e->u.close.conn, status, buf_span(e->u.close.why));
    buf_unref(e->u.close.why);
    e->u.close.why = NULL;
}

void rpc_perform(struct rpc *r, struct effect *take_effect)
{
    ASSERT_ON(THREAD_CORE);
    life_enter(&r->life); /* the queues stay open until this is through */
    switch (take_effect->kind) {
    case EFFECT_PUSH:
        perform_push(r, take_effect);
        break;
    case EFFECT_CONN_ACCEPT:
        perform_accept(r, take_effect);
        break;
    case EFFECT_CONN_CLOSE:
        perform_close(r, take_effect);
        break;
    case EFFECT_REPLY:
    case EFFECT_PROPOSE:
    case EFFECT_PEER:
    case EFFECT_TRACE:
        ASSERT(!"an effect of connections");
        break;
    }
    life_leave(&r->life);
}
