#include "rpc/stream.h"

#include <stdio.h>

#include <grpc/byte_buffer.h>
#include <grpc/support/alloc.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conn/conn.h"
#include "rpc/bytes.h"
#include "rpc/edge.h"
#include "rpc/peers.h"
#include "rpc/perform.h"
#include "rpc/registry.h"
#include "wire/ack.h"
#include "wire/payload.h"

#include <utlist.h>

#define MAGIC 0x73747265u
#define WHY_MAX 512
#define SETUP_ARENA_MAX (4u << 20)

enum stream_state {
    STREAM_OPEN,   /* no setup yet */
    STREAM_SET_UP, /* the core knows of it */
    STREAM_ENDING, /* a status is on its way, or the call was cancelled */
    STREAM_OVER,   /* RECV_CLOSE came */
    STREAM_STATES
};

/* The allowed moves. */
static const bool MOVES[STREAM_STATES][STREAM_STATES] = {
    [STREAM_OPEN] = {[STREAM_SET_UP] = true, [STREAM_ENDING] = true, [STREAM_OVER] = true},
    [STREAM_SET_UP] = {[STREAM_ENDING] = true, [STREAM_OVER] = true},
    [STREAM_ENDING] = {[STREAM_OVER] = true},
};

/* A message that waits. */
struct waiting {
    struct message *message;
    struct waiting *next;
};

struct stream {
    struct tag on_new;
    struct tag on_hello; /* the initial metadata */
    struct tag on_message;
    struct tag on_sent;
    struct tag on_status;
    struct tag on_close;
    uint32_t magic;
    atomic_uint refs;
    enum stream_state state;
    unsigned pending; /* batches that have not come back */
    bool is_sending;
    bool is_status_sent;
    int cancelled;
    struct queue *queue;
    grpc_call *call;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *received;
    char *address;         /* the peer text (rule 4), from gpr */
    struct origin *origin; /* from the setup on */
    struct waiting *first; /* messages that wait, oldest first */
    struct waiting *last;
    size_t waiting_count;
    size_t waiting_bytes;
    struct queue_timer timer; /* setup, send or linger, by state */
    grpc_status_code end_status;
    char *end_why;
    struct stream *prev; /* in its queue's list */
    struct stream *next;
};

static void on_new(struct tag *tag, bool ok);
static void on_hello(struct tag *tag, bool ok);
static void on_message(struct tag *tag, bool ok);
static void on_sent(struct tag *tag, bool ok);
static void on_status(struct tag *tag, bool ok);
static void on_close(struct tag *tag, bool ok);
static void on_timer(struct queue *q, struct queue_timer *timer);

static void move(struct stream *s, enum stream_state to)
{
    ASSERT(MOVES[s->state][to]);
    s->state = to;
}

void stream_arm(struct queue *q)
{
    struct stream *s = mem_zalloc(1, sizeof(*s));
    s->magic = MAGIC;
    atomic_init(&s->refs, 1);
    s->queue = q;
    s->on_new.fn = on_new;
    s->on_hello.fn = on_hello;
    s->on_message.fn = on_message;
    s->on_sent.fn = on_sent;
    s->on_status.fn = on_status;
    s->on_close.fn = on_close;
    s->timer.fn = on_timer;
    grpc_metadata_array_init(&s->metadata);
    grpc_call_error err = grpc_server_request_registered_call(q->rpc->server, q->rpc->stream_method,
                                                              &s->call, &s->deadline, &s->metadata,
                                                              NULL, q->cq, q->cq, &s->on_new);
    ASSERT(err == GRPC_CALL_OK);
}

struct stream *stream_ref(struct stream *s)
{
    unsigned before = atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return s;
}

void stream_unref(struct stream *s)
{
    if (!s) {
        return;
    }
    ASSERT(s->magic == MAGIC);
    unsigned before = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) {
        return;
    }
    origin_unref(s->origin);
    gpr_free(s->address);
    mem_free(s->end_why);
    s->magic = 0;
    mem_free(s);
}

struct queue *stream_queue(const struct stream *s)
{
    return s->queue;
}

struct peer *stream_peer(const struct stream *s)
{
    return s->origin->peer;
}

static void batch(struct stream *s, const grpc_op *op, struct tag *tag)
{
    s->pending++;
    grpc_call_error err = grpc_call_start_batch(s->call, op, 1, tag, NULL);
    ASSERT(err == GRPC_CALL_OK);
}

/* A batch came back. The last one ends the call; who still refers to the stream finds it over. */
static void back(struct stream *s)
{
    ASSERT(s->magic == MAGIC);
    ASSERT(s->pending > 0);
    if (--s->pending > 0) {
        return;
    }
    ASSERT(s->state == STREAM_OVER);
    struct rpc *r = s->queue->rpc;
    grpc_byte_buffer_destroy(s->received);
    grpc_metadata_array_destroy(&s->metadata);
    grpc_call_unref(s->call);
    s->call = NULL;
    stream_unref(s);
    life_leave(&r->life);
}

/* Sending */

static void drop_waiting(struct stream *s)
{
    while (s->first) {
        struct waiting *w = s->first;
        s->first = w->next;
        message_unref(w->message);
        mem_free(w);
    }
    s->last = NULL;
    s->waiting_count = 0;
    s->waiting_bytes = 0;
}

static void start_send(struct stream *s, const struct message *m)
{
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = message_buffer(m);
    s->is_sending = true;
    if (s->state == STREAM_SET_UP) {
        queue_timer_set(s->queue, &s->timer, s->queue->rpc->times.send_ms);
    }
    batch(s, &op, &s->on_sent);
    grpc_byte_buffer_destroy(op.data.send_message.send_message);
}

static void start_status(struct stream *s)
{
    if (s->is_status_sent) {
        return;
    }
    s->is_status_sent = true;
    grpc_slice why = grpc_slice_from_copied_string(s->end_why);
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op.data.send_status_from_server.status = s->end_status;
    op.data.send_status_from_server.status_details = &why;
    batch(s, &op, &s->on_status);
    grpc_slice_unref(why);
}

static void note_end(struct stream *s, grpc_status_code status, const char *why)
{
    s->end_status = status;
    s->end_why = mem_strndup(why, strnlen(why, WHY_MAX));
    move(s, STREAM_ENDING);
    if (status != GRPC_STATUS_OK) {
        LOG_INFO("rpc", "event=stream_ended peer=%s id=%s status=%d why=\"%s\"", s->address,
                 s->origin ? s->origin->peer->id : "-", (int)status, s->end_why);
    }
}

void stream_end(struct stream *s, grpc_status_code status, const char *why)
{
    if (s->state >= STREAM_ENDING) {
        return;
    }
    note_end(s, status, why);
    queue_timer_set(s->queue, &s->timer, s->queue->rpc->times.linger_ms);
    if (!s->is_sending) {
        start_status(s);
    }
}

/* For a client that does not take what it is sent: a status would wait behind it. */
static void cancel(struct stream *s, const char *why)
{
    if (s->state < STREAM_ENDING) {
        note_end(s, GRPC_STATUS_UNAVAILABLE, why);
    }
    queue_timer_clear(s->queue, &s->timer);
    drop_waiting(s);
    grpc_call_cancel_with_status(s->call, GRPC_STATUS_UNAVAILABLE, s->end_why, NULL);
}

void stream_end_all(struct queue *q, grpc_status_code status, const char *why)
{
    struct stream *s = NULL;
    DL_FOREACH(q->streams, s)
    {
        stream_end(s, status, why);
    }
}

bool stream_send(struct stream *s, struct message *m)
{
    if (s->state >= STREAM_ENDING) {
        return false;
    }
    if (!s->is_sending) {
        start_send(s, m);
        return true;
    }
    if (s->waiting_count >= RPC_STREAM_QUEUE_MAX ||
        s->waiting_bytes + m->len > RPC_STREAM_BYTES_MAX) {
        char why[WHY_MAX];
        snprintf(why, sizeof(why), "too slow: %zu messages (%zu bytes) wait to be read",
                 s->waiting_count, s->waiting_bytes);
        cancel(s, why);
        return false;
    }
    struct waiting *w = mem_alloc(sizeof(*w));
    *w = (struct waiting){.message = message_ref(m)};
    if (s->last) {
        s->last->next = w;
    } else {
        s->first = w;
    }
    s->last = w;
    s->waiting_count++;
    s->waiting_bytes += m->len;
    return true;
}

static void send_next(struct stream *s)
{
    struct waiting *w = s->first;
    s->first = w->next;
    if (!s->first) {
        s->last = NULL;
    }
    s->waiting_count--;
    s->waiting_bytes -= w->message->len;
    start_send(s, w->message);
    message_unref(w->message);
    mem_free(w);
}

static void on_sent(struct tag *tag, bool ok)
{
    struct stream *s = CONTAINER_OF(tag, struct stream, on_sent);
    s->is_sending = false;
    if (s->state == STREAM_SET_UP) {
        queue_timer_clear(s->queue, &s->timer);
    }
    if (!ok || s->state == STREAM_OVER) {
        drop_waiting(s); /* the connection is gone: RECV_CLOSE says so */
    } else if (s->first) {
        send_next(s);
    } else if (s->state == STREAM_ENDING) {
        start_status(s);
    }
    back(s);
}

static void on_status(struct tag *tag, bool ok)
{
    (void)ok;
    back(CONTAINER_OF(tag, struct stream, on_status));
}

static void on_hello(struct tag *tag, bool ok)
{
    (void)ok;
    back(CONTAINER_OF(tag, struct stream, on_hello));
}

static void on_timer(struct queue *q, struct queue_timer *timer)
{
    (void)q;
    struct stream *s = CONTAINER_OF(timer, struct stream, timer);
    switch (s->state) {
    case STREAM_OPEN:
        stream_end(s, GRPC_STATUS_UNAVAILABLE, "no ConnectionSetupRequest came on this stream");
        return;
    case STREAM_SET_UP:
        cancel(s, "too slow: a message was not taken in time");
        return;
    case STREAM_ENDING:
        cancel(s, s->end_why);
        return;
    case STREAM_OVER:
    case STREAM_STATES:
        ASSERT(!"a stream that is over has no timer");
        return;
    }
}

/* Receiving */

static void receive(struct stream *s)
{
    grpc_op op = {0};
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &s->received;
    batch(s, &op, &s->on_message);
}

/* The first setup: the stream becomes the address's. The one that was it before is told to end; it
 * says itself when it is over. */
static int bind(struct stream *s, const struct conn_setup *setup)
{
    struct rpc *r = s->queue->rpc;
    uint64_t replaced = 0;
    int err = peers_bind(r->peers, span_str(s->address), setup, clock_now(), &s->origin, &replaced);
    if (err) {
        return err;
    }
    if (replaced) {
        perform_end(r, replaced, GRPC_STATUS_UNAVAILABLE, "another stream took this address");
    }
    registry_add(r->registry, s->origin->peer->key, s);
    queue_timer_clear(s->queue, &s->timer);
    move(s, STREAM_SET_UP);
    return 0;
}

/* Tell the core of a setup, also of a repeated one: it sends the ack again (K32). */
static void on_setup(struct stream *s, const struct payload *payload)
{
    struct rpc *r = s->queue->rpc;
    if (!atomic_load(r->options.ready)) {
        stream_end(s, GRPC_STATUS_UNAVAILABLE, err_text(E_STARTING));
        return;
    }
    struct conn_open *open = mem_zalloc(1, sizeof(*open));
    open->mail.kind = CORE_CONN_OPEN;
    arena_init(&open->arena, SETUP_ARENA_MAX);
    struct fail fail = {0};
    int err =
        conn_setup_decode(payload->body, payload->client_ip, &open->arena, &open->setup, &fail);
    if (err) {
        conn_mail_free(&open->mail);
        stream_end(s, GRPC_STATUS_INVALID_ARGUMENT, fail_text(&fail));
        return;
    }
    if (!s->origin && bind(s, &open->setup) != 0) {
        conn_mail_free(&open->mail);
        stream_end(s, GRPC_STATUS_RESOURCE_EXHAUSTED, "this node knows as many clients as it can");
        return;
    }
    open->peer = peer_ref(s->origin->peer);
    err = r->options.core.post(r->options.core.self, &open->mail);
    if (err) {
        conn_mail_free(&open->mail);
        stream_end(s, GRPC_STATUS_UNAVAILABLE, "this node is too busy, or stopping");
    }
}

/* Whatever is no setup answers a push (grpc-sdk.md 3.6: the type is not looked at). Broken ones and
 * those before the setup are ignored, as Nacos does. */
static void on_ack(struct stream *s, const struct payload *payload)
{
    struct ack ack = {0};
    if (!s->origin || ack_decode(payload->body, &ack, NULL) != 0) {
        return;
    }
    struct peer *peer = s->origin->peer;
    atomic_store_explicit(&peer->active_ms, clock_mono_ms(), memory_order_relaxed);
    if (ack.request_id == 0) {
        return;
    }
    struct conn_ack *mail = mem_zalloc(1, sizeof(*mail));
    mail->mail.kind = CORE_CONN_ACK;
    mail->peer = peer_ref(peer);
    mail->ack = ack;
    const struct core_port *core = &s->queue->rpc->options.core;
    if (core->post(core->self, &mail->mail) != 0) {
        conn_mail_free(&mail->mail); /* an ack may be lost: its push is sent again */
    }
}

static void handle(struct stream *s)
{
    struct arena arena;
    arena_init(&arena, API_ARENA_MAX);
    struct fail fail = {0};
    struct payload payload = {0};
    struct span bytes = {0};
    int err = bytes_flatten(s->received, &arena, &bytes, &fail);
    if (err == 0) {
        err = payload_decode(bytes, &arena, &payload, &fail);
    }
    if (err) {
        stream_end(s, GRPC_STATUS_INVALID_ARGUMENT, fail_text(&fail));
    } else if (span_eq(payload.type, SPAN("ConnectionSetupRequest"))) {
        on_setup(s, &payload);
    } else {
        on_ack(s, &payload);
    }
    arena_close(&arena);
}

/* Rule 3: no message is a polite half-close, or the sign that the connection is gone, which
 * RECV_CLOSE will tell. Only the first is answered, and only once (K31). */
static void on_message(struct tag *tag, bool ok)
{
    struct stream *s = CONTAINER_OF(tag, struct stream, on_message);
    if (ok && s->received && s->state < STREAM_ENDING) {
        handle(s);
        grpc_byte_buffer_destroy(s->received);
        s->received = NULL;
        if (s->state < STREAM_ENDING) {
            receive(s);
        }
    } else if (ok && !s->received && s->state < STREAM_ENDING &&
               !grpc_call_failed_before_recv_message(s->call)) {
        stream_end(s, GRPC_STATUS_OK, "");
    }
    back(s);
}

/* Beginning and end */

static void on_new(struct tag *tag, bool ok)
{
    struct stream *s = CONTAINER_OF(tag, struct stream, on_new);
    ASSERT(s->magic == MAGIC);
    if (!ok) {
        grpc_metadata_array_destroy(&s->metadata);
        stream_unref(s); /* the server stops */
        return;
    }
    struct queue *q = s->queue;
    stream_arm(q); /* rule 1: re-arm first, work second */
    life_enter(&q->rpc->life);
    atomic_fetch_add_explicit(&q->rpc->counters.streams_open, 1, memory_order_relaxed);
    DL_APPEND(q->streams, s);
    s->address = grpc_call_get_peer(s->call); /* rule 4 */
    grpc_op close = {0};
    close.op = GRPC_OP_RECV_CLOSE_ON_SERVER; /* rule 2 */
    close.data.recv_close_on_server.cancelled = &s->cancelled;
    batch(s, &close, &s->on_close);
    grpc_op hello = {0};
    hello.op = GRPC_OP_SEND_INITIAL_METADATA; /* some clients wait for headers before they go on */
    batch(s, &hello, &s->on_hello);
    receive(s);
    queue_timer_set(q, &s->timer, q->rpc->times.setup_ms);
}

/* The connection is gone, or our status has ended the stream: the one place that says so. */
static void on_close(struct tag *tag, bool ok)
{
    (void)ok;
    struct stream *s = CONTAINER_OF(tag, struct stream, on_close);
    struct queue *q = s->queue;
    struct rpc *r = q->rpc;
    queue_timer_clear(q, &s->timer);
    move(s, STREAM_OVER);
    drop_waiting(s);
    DL_DELETE(q->streams, s);
    atomic_fetch_sub_explicit(&r->counters.streams_open, 1, memory_order_relaxed);
    if (s->origin) {
        struct peer *peer = s->origin->peer;
        atomic_store(&peer->state, PEER_CLOSED);
        registry_remove(r->registry, peer->key);
        peers_unbind(r->peers, span_str(s->address), peer->key);
        struct conn_closed *closed = mem_zalloc(1, sizeof(*closed));
        closed->mail.kind = CORE_CONN_CLOSED;
        closed->peer = peer_ref(peer);
        queue_tell_core(q, &closed->mail);
    }
    back(s);
}
