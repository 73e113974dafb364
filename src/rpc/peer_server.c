#include "rpc/peer_server.h"

#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/bytes.h"
#include "rpc/peer_channel.h"
#include "rpc/peer_listen.h"
#include "rpc/peer_unknown.h"

#include <utlist.h>

#define WHY_MAX 512

enum inbound_state {
    INBOUND_NEW,    /* no hello yet */
    INBOUND_OPEN,   /* its frames are the peer's */
    INBOUND_ENDING, /* a status is on its way, or the call was cancelled: its frames are nobody's */
    INBOUND_OVER,   /* RECV_CLOSE came */
    INBOUND_STATES
};

/* The allowed moves. */
static const bool MOVES[INBOUND_STATES][INBOUND_STATES] = {
    [INBOUND_NEW] = {[INBOUND_OPEN] = true, [INBOUND_ENDING] = true, [INBOUND_OVER] = true},
    [INBOUND_OPEN] = {[INBOUND_ENDING] = true, [INBOUND_OVER] = true},
    [INBOUND_ENDING] = {[INBOUND_OVER] = true},
};

struct peer_server {
    struct links *links;
    grpc_server *server;
    void *method;
    struct tag on_stopped;
    struct inbound *streams;
    struct peer_listen listen;
};

struct inbound {
    struct tag on_new;
    struct tag on_message;
    struct tag on_accepted;
    struct tag on_status;
    struct tag on_close;
    struct peer_server *server;
    enum inbound_state state;
    unsigned pending;  /* batches that have not come back */
    bool has_answered; /* the initial metadata is sent */
    int cancelled;
    grpc_call *call;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *received;
    struct node_id id; /* of the TLS key */
    uint64_t life;
    uint64_t number;
    char *address;
    struct queue_timer timer; /* until the hello */
    struct inbound *prev;
    struct inbound *next;
};

static void on_new(struct tag *tag, bool ok);
static void on_message(struct tag *tag, bool ok);
static void on_accepted(struct tag *tag, bool ok);
static void on_status(struct tag *tag, bool ok);
static void on_close(struct tag *tag, bool ok);
static void on_late(struct queue *q, struct queue_timer *timer);

static void move(struct inbound *in, enum inbound_state to)
{
    ASSERT(MOVES[in->state][to]);
    in->state = to;
}

static void arm(struct peer_server *s)
{
    struct inbound *in = mem_zalloc(1, sizeof(*in));
    in->server = s;
    in->on_new.fn = on_new;
    in->on_message.fn = on_message;
    in->on_accepted.fn = on_accepted;
    in->on_status.fn = on_status;
    in->on_close.fn = on_close;
    in->timer.fn = on_late;
    grpc_metadata_array_init(&in->metadata);
    grpc_completion_queue *cq = s->links->queue.cq;
    grpc_call_error err = grpc_server_request_registered_call(
        s->server, s->method, &in->call, &in->deadline, &in->metadata, NULL, cq, cq, &in->on_new);
    ASSERT(err == GRPC_CALL_OK);
}

static void batch(struct inbound *in, const grpc_op *ops, size_t count, struct tag *tag)
{
    in->pending++;
    grpc_call_error err = grpc_call_start_batch(in->call, ops, count, tag, NULL);
    ASSERT(err == GRPC_CALL_OK);
}

static void back(struct inbound *in)
{
    ASSERT(in->pending > 0);
    if (--in->pending > 0) {
        return;
    }
    ASSERT(in->state == INBOUND_OVER);
    struct life *life = &in->server->links->life;
    grpc_byte_buffer_destroy(in->received);
    grpc_metadata_array_destroy(&in->metadata);
    grpc_call_unref(in->call);
    gpr_free(in->address);
    mem_free(in);
    life_leave(life);
}

/* End a stream with a status, once. What comes from it after this is dropped. */
static void end(struct inbound *in, grpc_status_code status, const char *why)
{
    if (in->state >= INBOUND_ENDING) {
        return;
    }
    move(in, INBOUND_ENDING);
    queue_timer_clear(&in->server->links->queue, &in->timer);
    grpc_slice text = grpc_slice_from_copied_string(why);
    grpc_op ops[2] = {0};
    size_t count = 0;
    if (!in->has_answered) {
        in->has_answered = true;
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = status;
    ops[count].data.send_status_from_server.status_details = &text;
    batch(in, ops, count + 1, &in->on_status);
    grpc_slice_unref(text);
}

static void refuse(struct inbound *in, grpc_status_code status, const char *why)
{
    LOG_WARN("links", "event=stream_refused from=%s why=\"%s\"", in->address, why);
    links_count(&peer_pins_counters(in->server->links->pins)->refused_frames, 1);
    end(in, status, why);
}

static void receive(struct inbound *in)
{
    grpc_op op = {0};
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &in->received;
    batch(in, &op, 1, &in->on_message);
}

/* Hello */

static void accept_hello(struct inbound *in)
{
    grpc_metadata accepted = {.key = grpc_slice_from_static_string(LINKS_ACCEPT_KEY),
                              .value = grpc_slice_from_static_string("1")};
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    op.data.send_initial_metadata.count = 1;
    op.data.send_initial_metadata.metadata = &accepted;
    in->has_answered = true;
    batch(in, &op, 1, &in->on_accepted);
}

/* The other stream of the same peer that is open; NULL when there is none. */
static struct inbound *find_open(const struct inbound *in)
{
    struct inbound *other = in->server->streams;
    while (other &&
           (other == in || other->state != INBOUND_OPEN || !node_id_eq(&other->id, &in->id))) {
        other = other->next;
    }
    return other;
}

static void on_hello(struct inbound *in, struct span bytes)
{
    struct links *l = in->server->links;
    struct link_hello hello = {0};
    struct fail fail = {0};
    if (link_read_hello(bytes, &hello, &fail) != 0) {
        refuse(in, GRPC_STATUS_INVALID_ARGUMENT, fail_text(&fail));
        return;
    }
    if (hello.version != LINK_VERSION) {
        (void)fail_set(&fail, E_UNSUPPORTED,
                       "expected version %d of the peer protocol, got %u: update the older node",
                       LINK_VERSION, hello.version);
        refuse(in, GRPC_STATUS_FAILED_PRECONDITION, fail_text(&fail));
        return;
    }
    if (!node_id_eq(&hello.id, &in->id)) {
        refuse(in, GRPC_STATUS_UNAUTHENTICATED, "the hello's id is not that of the TLS key");
        return;
    }
    struct inbound *older = find_open(in);
    if (older && older->life == hello.life && older->number >= hello.number) {
        end(in, GRPC_STATUS_ABORTED, "a newer stream of this node is open");
        return;
    }
    if (older) {
        end(older, GRPC_STATUS_ABORTED, "a newer stream of this node was opened");
    }
    in->life = hello.life;
    in->number = hello.number;
    move(in, INBOUND_OPEN);
    links_proved(l, &in->id, in->address);
    queue_timer_clear(&l->queue, &in->timer);
    accept_hello(in);
    for (unsigned slot = 0; slot < LINKS_MEMBERS_MAX; slot++) {
        if (l->channels[slot]) {
            peer_channel_hear(l->channels[slot], &in->id);
        }
    }
}

/* Frames */

static void deliver(struct inbound *in, struct span rest)
{
    struct links *l = in->server->links;
    struct links_counters *counters = peer_pins_counters(l->pins);
    while (rest.len > 0) {
        unsigned kind = 0;
        struct span body = {0};
        int err = link_read_frame(&rest, &kind, &body, NULL);
        ASSERT(err == 0); /* all of the message was looked at before */
        links_count(&counters->frames_received, 1);
        links_count(&counters->bytes_received, body.len);
        l->ops->on_frame(l->self, &in->id, kind, buf_create(body));
    }
}

static void on_frames(struct inbound *in, struct span bytes)
{
    struct fail fail = {0};
    if (link_check_frames(bytes, &fail) != 0) {
        refuse(in, GRPC_STATUS_INVALID_ARGUMENT, fail_text(&fail));
        return;
    }
    deliver(in, bytes);
}

static void handle(struct inbound *in)
{
    if (!peer_pins_has(in->server->links->pins, &in->id)) {
        end(in, GRPC_STATUS_PERMISSION_DENIED, "this node is not a member any more");
        return;
    }
    struct arena arena;
    arena_init(&arena, LINKS_MESSAGE_MAX);
    struct fail fail = {0};
    struct span bytes = {0};
    if (bytes_flatten(in->received, &arena, &bytes, &fail) != 0) {
        refuse(in, GRPC_STATUS_INVALID_ARGUMENT, fail_text(&fail));
    } else if (in->state == INBOUND_NEW) {
        on_hello(in, bytes);
    } else {
        on_frames(in, bytes);
    }
    arena_close(&arena);
}

/* Rule 3: no message is a polite half-close, or the sign that the connection is gone, which
 * RECV_CLOSE will tell. ok false: the message was too large, and the call is over. */
static void on_message(struct tag *tag, bool ok)
{
    struct inbound *in = CONTAINER_OF(tag, struct inbound, on_message);
    if (!ok) {
        links_count(&peer_pins_counters(in->server->links->pins)->refused_frames, 1);
    } else if (in->received && in->state < INBOUND_ENDING) {
        handle(in);
        grpc_byte_buffer_destroy(in->received);
        in->received = NULL;
        if (in->state < INBOUND_ENDING) {
            receive(in);
        }
    } else if (!in->received && in->state < INBOUND_ENDING &&
               !grpc_call_failed_before_recv_message(in->call)) {
        end(in, GRPC_STATUS_OK, "");
    }
    back(in);
}

/* Beginning and end of a stream */

static void on_new(struct tag *tag, bool ok)
{
    struct inbound *in = CONTAINER_OF(tag, struct inbound, on_new);
    if (!ok) {
        grpc_metadata_array_destroy(&in->metadata);
        mem_free(in); /* the server stops */
        return;
    }
    struct peer_server *s = in->server;
    struct links *l = s->links;
    arm(s); /* rule 1: re-arm first, work second */
    life_enter(&l->life);
    DL_APPEND(s->streams, in);
    in->address = grpc_call_get_peer(in->call);
    grpc_op close = {0};
    close.op = GRPC_OP_RECV_CLOSE_ON_SERVER; /* rule 2 */
    close.data.recv_close_on_server.cancelled = &in->cancelled;
    batch(in, &close, 1, &in->on_close);
    /* The connection may be older than the pins (peer-security.md, rule 6). */
    if (peer_tls_caller(in->call, &in->id) != 0 || !peer_pins_has(l->pins, &in->id)) {
        links_count(&peer_pins_counters(l->pins)->refused_keys, 1);
        end(in, GRPC_STATUS_UNAUTHENTICATED, "this node is not a member");
        return;
    }
    queue_timer_set(&l->queue, &in->timer, PEER_HELLO_MS);
    receive(in);
}

static void on_late(struct queue *q, struct queue_timer *timer)
{
    (void)q;
    struct inbound *in = CONTAINER_OF(timer, struct inbound, timer);
    refuse(in, GRPC_STATUS_DEADLINE_EXCEEDED, "no hello came");
}

static void on_accepted(struct tag *tag, bool ok)
{
    (void)ok;
    back(CONTAINER_OF(tag, struct inbound, on_accepted));
}

static void on_status(struct tag *tag, bool ok)
{
    (void)ok;
    back(CONTAINER_OF(tag, struct inbound, on_status));
}

static void on_close(struct tag *tag, bool ok)
{
    (void)ok;
    struct inbound *in = CONTAINER_OF(tag, struct inbound, on_close);
    queue_timer_clear(&in->server->links->queue, &in->timer);
    move(in, INBOUND_OVER);
    DL_DELETE(in->server->streams, in);
    back(in);
}

/* The server */

static void on_stopped(struct tag *tag, bool ok)
{
    (void)ok;
    life_leave(&CONTAINER_OF(tag, struct peer_server, on_stopped)->links->life);
}

/* A server that was only built still wants to be shut down. No thread of ours may run. */
static void discard(struct peer_server *s)
{
    peer_server_shutdown(s);
    grpc_event event = {0};
    while (event.tag != &s->on_stopped) {
        event = grpc_completion_queue_next(s->links->queue.cq, gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                           NULL);
        struct tag *tag = event.tag;
        tag->fn(tag, event.success != 0);
    }
    peer_server_destroy(s);
}

int peer_server_create(struct links *l, struct peer_server **ret, uint16_t *ret_port,
                       struct fail *fail)
{
    struct peer_server *s = mem_zalloc(1, sizeof(*s));
    s->links = l;
    s->on_stopped.fn = on_stopped;
    s->server = peer_listen_create_server(&s->listen, l->no_door);
    grpc_server_register_completion_queue(s->server, l->queue.cq, NULL);
    s->method =
        grpc_server_register_method(s->server, LINKS_METHOD, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
    grpc_server_credentials *creds = peer_tls_server(l->identity, l->pins);
    int err = peer_listen_bind(&s->listen, s->server, creds, l->bind, l->port, fail);
    grpc_server_credentials_release(creds);
    if (err) {
        discard(s);
        return err;
    }
    *ret_port = s->listen.port;
    *ret = s;
    return 0;
}

struct door_way *peer_server_way(struct peer_server *s)
{
    return s->listen.front.handler ? &s->listen.front : NULL;
}

struct door *peer_server_door(const struct peer_server *s)
{
    return s->listen.door;
}

int peer_server_start(struct peer_server *s, struct fail *fail)
{
    grpc_server_start(s->server);
    int err = peer_listen_start(&s->listen, fail);
    if (err) {
        return err;
    }
    for (int i = 0; i < PEER_ARMED; i++) {
        arm(s);
    }
    peer_unknown_arm(s->links, s->server);
    return 0;
}

void peer_server_shutdown(struct peer_server *s)
{
    peer_listen_stop(&s->listen); /* C-core crashes on what it is given from here on */
    life_enter(&s->links->life);
    grpc_server_shutdown_and_notify(s->server, s->links->queue.cq, &s->on_stopped);
}

void peer_server_end_all(struct peer_server *s)
{
    struct inbound *in = NULL;
    DL_FOREACH(s->streams, in)
    {
        end(in, GRPC_STATUS_UNAVAILABLE, "the node stops");
    }
}

void peer_server_cancel_all(struct peer_server *s)
{
    grpc_server_cancel_all_calls(s->server);
}

void peer_server_cut(struct peer_server *s)
{
    struct inbound *in = NULL;
    DL_FOREACH(s->streams, in)
    {
        if (!peer_pins_has(s->links->pins, &in->id)) {
            end(in, GRPC_STATUS_PERMISSION_DENIED, "this node is not a member any more");
        }
    }
}

void peer_server_destroy(struct peer_server *s)
{
    if (s) {
        grpc_server_destroy(s->server);
        peer_listen_close(&s->listen);
        mem_free(s);
    }
}
