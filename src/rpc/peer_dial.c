#include "rpc/peer_dial.h"

#include <stdio.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc_security.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/channel_args.h"

#define ID_SHOWN 16 /* hex digits of an id in a text */

struct peer_dial {
    struct tag on_hello;
    struct tag on_accepted;
    struct tag on_sent;
    struct tag on_closed;
    struct tag on_status;
    struct links *links;
    const struct peer_dial_ops *ops;
    void *owner; /* NULL: nobody waits for it any more */
    struct peer_check *check;
    grpc_channel *channel;
    grpc_call *call;
    uint64_t number;
    unsigned pending; /* batches that have not come back */
    bool is_sending;
    bool is_closing;
    bool is_late;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice details;
};

static grpc_channel *make_channel(struct links *l, struct peer_check *check, const char *target)
{
    char name[] = NODE_PEER_NAME;
    grpc_arg override = channel_arg_int(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, 0);
    override.type = GRPC_ARG_STRING;
    override.value.string = name; /* SNI and :authority; copied */
    grpc_arg list[] = {
        override,
        channel_arg_int(GRPC_ARG_ENABLE_RETRIES, 0),
        channel_arg_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0), /* a variable must not capture peers */
        channel_arg_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        channel_arg_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        channel_arg_int(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, LINK_BACKOFF_MS),
        channel_arg_int(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                        LINK_TRY_MS), /* is the time of one try, too */
        channel_arg_int(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, LINK_BACKOFF_MAX_MS),
        channel_arg_int(GRPC_ARG_KEEPALIVE_TIME_MS, LINK_PING_MS),
        channel_arg_int(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, LINK_DEAD_MS - LINK_PING_MS),
        channel_arg_int(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        channel_arg_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        channel_arg_int(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        channel_arg_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1),
        channel_arg_int(GRPC_ARG_HTTP2_BDP_PROBE, 0), /* a ping beside nearly every heartbeat */
        channel_arg_int(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, LINK_WINDOW_BYTES),
        channel_arg_int(GRPC_ARG_ENABLE_CHANNELZ, 0),
    };
    grpc_channel_args args = {0};
    args.num_args = ARRAY_LEN(list);
    args.args = list;
    grpc_channel_credentials *creds = peer_tls_client(l->identity, check);
    grpc_channel *channel = grpc_channel_create(target, creds, &args);
    grpc_channel_credentials_release(creds);
    return channel;
}

/* Batches */

static void batch(struct peer_dial *d, const grpc_op *ops, size_t count, struct tag *tag)
{
    d->pending++;
    grpc_call_error err = grpc_call_start_batch(d->call, ops, count, tag, NULL);
    ASSERT(err == GRPC_CALL_OK);
}

/* One came back; after the last the dial is over. */
static void back(struct peer_dial *d)
{
    ASSERT(d->pending > 0);
    if (--d->pending > 0) {
        return;
    }
    ASSERT(!d->owner);
    struct links *l = d->links;
    grpc_call_unref(d->call);
    grpc_channel_destroy(d->channel);
    grpc_metadata_array_destroy(&d->initial);
    grpc_metadata_array_destroy(&d->trailing);
    grpc_slice_unref(d->details);
    peer_check_unref(d->check);
    mem_free(d);
    life_leave(&l->life);
}

static void on_sent(struct tag *tag, bool ok)
{
    (void)ok; /* false: the stream has ended, which its status tells */
    struct peer_dial *d = CONTAINER_OF(tag, struct peer_dial, on_sent);
    d->is_sending = false;
    if (d->owner) {
        d->ops->on_sent(d->owner);
    }
    back(d);
}

/* Nothing waits for the hello's way: the owner hears of its acceptance. */
static void on_hello(struct tag *tag, bool ok)
{
    (void)ok;
    struct peer_dial *d = CONTAINER_OF(tag, struct peer_dial, on_hello);
    d->is_sending = false;
    if (d->owner) {
        d->ops->on_sent(d->owner);
    }
    back(d);
}

static void on_closed(struct tag *tag, bool ok)
{
    (void)ok;
    back(CONTAINER_OF(tag, struct peer_dial, on_closed));
}

static bool has_accept_key(const struct peer_dial *d)
{
    for (size_t i = 0; i < d->initial.count; i++) {
        if (grpc_slice_str_cmp(d->initial.metadata[i].key, LINKS_ACCEPT_KEY) == 0) {
            return true;
        }
    }
    return false;
}

/* A refusal comes without the key, and its status follows. */
static void on_accepted(struct tag *tag, bool ok)
{
    struct peer_dial *d = CONTAINER_OF(tag, struct peer_dial, on_accepted);
    struct node_id id = {0};
    enum peer_verdict verdict = peer_check_read(d->check, &id);
    bool is_theirs = verdict == PEER_OK || verdict == PEER_CANDIDATE;
    if (ok && d->owner && is_theirs && has_accept_key(d)) {
        d->ops->on_accepted(d->owner, &id);
    }
    back(d);
}

static void on_status(struct tag *tag, bool ok)
{
    (void)ok;
    struct peer_dial *d = CONTAINER_OF(tag, struct peer_dial, on_status);
    void *owner = d->owner;
    d->owner = NULL;
    if (owner) {
        d->ops->on_ended(owner, d);
    }
    back(d);
}

static void start_hello(struct peer_dial *d)
{
    struct link_hello hello = {.version = LINK_VERSION,
                               .id = d->links->identity->id,
                               .life = d->links->life_number,
                               .number = d->number};
    grpc_byte_buffer *buffer = link_write_hello(&hello);
    grpc_op ops[2] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = buffer;
    d->is_sending = true;
    batch(d, ops, 2, &d->on_hello);
    grpc_byte_buffer_destroy(buffer);
}

/* Without RECV_INITIAL_METADATA the status would never come (consensus.md 2.5). */
static void start_receive(struct peer_dial *d)
{
    grpc_op ops[2] = {0};
    ops[0].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[0].data.recv_initial_metadata.recv_initial_metadata = &d->initial;
    ops[1].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[1].data.recv_status_on_client.trailing_metadata = &d->trailing;
    ops[1].data.recv_status_on_client.status = &d->status;
    ops[1].data.recv_status_on_client.status_details = &d->details;
    batch(d, &ops[0], 1, &d->on_accepted);
    batch(d, &ops[1], 1, &d->on_status);
}

struct peer_dial *peer_dial_create(struct links *l, unsigned slot, const struct peer_address *to,
                                   bool may_learn, const struct peer_dial_ops *ops, void *owner)
{
    struct peer_dial *d = mem_zalloc(1, sizeof(*d));
    d->on_hello.fn = on_hello;
    d->on_accepted.fn = on_accepted;
    d->on_sent.fn = on_sent;
    d->on_closed.fn = on_closed;
    d->on_status.fn = on_status;
    d->links = l;
    d->ops = ops;
    d->owner = owner;
    d->number = ++l->streams;
    d->check = peer_check_create(l->pins, slot, may_learn);
    grpc_metadata_array_init(&d->initial);
    grpc_metadata_array_init(&d->trailing);
    d->details = grpc_empty_slice();
    char *target = links_target("dns:///", to->host, to->port);
    d->channel = make_channel(l, d->check, target);
    mem_free(target);
    d->call = grpc_channel_create_call(d->channel, NULL, GRPC_PROPAGATE_DEFAULTS, l->queue.cq,
                                       grpc_slice_from_static_string(LINKS_METHOD), NULL,
                                       gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    ASSERT(d->call != NULL);
    life_enter(&l->life);
    start_hello(d);
    start_receive(d);
    return d;
}

void peer_dial_drop(struct peer_dial *d)
{
    if (d) {
        d->owner = NULL;
        (void)grpc_call_cancel(d->call, NULL);
    }
}

void peer_dial_expire(struct peer_dial *d)
{
    d->is_late = true;
    (void)grpc_call_cancel(d->call, NULL);
}

bool peer_dial_is_idle(const struct peer_dial *d)
{
    return !d->is_sending && !d->is_closing;
}

void peer_dial_send(struct peer_dial *d, grpc_byte_buffer *take_message)
{
    ASSERT(peer_dial_is_idle(d));
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = take_message;
    d->is_sending = true;
    batch(d, &op, 1, &d->on_sent);
    grpc_byte_buffer_destroy(take_message);
}

void peer_dial_close(struct peer_dial *d)
{
    ASSERT(peer_dial_is_idle(d));
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    d->is_closing = true;
    batch(d, &op, 1, &d->on_closed);
}

uint64_t peer_dial_number(const struct peer_dial *d)
{
    return d->number;
}

char *peer_dial_address(const struct peer_dial *d)
{
    return grpc_call_get_peer(d->call);
}

enum peer_verdict peer_dial_verdict(const struct peer_dial *d, struct node_id *ret_id)
{
    return peer_check_read(d->check, ret_id);
}

/* Why it ended, in words */

static struct span details(const struct peer_dial *d)
{
    return span_of((const char *)GRPC_SLICE_START_PTR(d->details), GRPC_SLICE_LENGTH(d->details));
}

bool peer_dial_is_no_peer(const struct peer_dial *d)
{
    static const char mark[] = "SSL_ERROR_SSL";
    struct span text = details(d);
    struct node_id ignored = {0};
    return text.len > 0 && memmem(text.data, text.len, mark, sizeof(mark) - 1) &&
           peer_check_read(d->check, &ignored) == PEER_UNSEEN;
}

/* The innermost of the reasons that C-core strings together. */
struct span peer_dial_reason(const struct peer_dial *d)
{
    static const char *const marks[] = {"last error: ", "UNKNOWN: ", "UNAVAILABLE: "};
    struct span text = details(d);
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        size_t len = strlen(marks[i]);
        const char *at = text.len > 0 ? memmem(text.data, text.len, marks[i], len) : NULL;
        if (at) {
            at += len;
            text = span_of(at, text.len - (size_t)(at - text.data));
        }
    }
    return text.len > 0 ? text : SPAN("the connection was closed");
}

static void short_id(const struct node_id *id, char dst[ID_SHOWN + 1])
{
    char text[NODE_ID_TEXT + 1];
    node_id_text(id, text);
    memcpy(dst, text, ID_SHOWN);
    dst[ID_SHOWN] = '\0';
}

/* What is wrong with the key that answered; false when nothing is. */
static bool explain_key(enum peer_verdict verdict, const struct node_id *id,
                        const struct peer_address *to, char *dst, size_t room)
{
    char found[ID_SHOWN + 1];
    char expected[ID_SHOWN + 1];
    short_id(id, found);
    short_id(&to->pin, expected);
    switch (verdict) {
    case PEER_SELF:
        (void)snprintf(
            dst, room,
            "this node itself answers at %s:%u, or one with a copy of its data directory", to->host,
            to->port);
        return true;
    case PEER_OTHER:
        (void)snprintf(dst, room,
                       "another key answers at %s:%u: expected %s, found %s; the node's data "
                       "directory was replaced, or the address leads to another node",
                       to->host, to->port, expected, found);
        return true;
    case PEER_TAKEN:
        (void)snprintf(dst, room, "another member (%s) answers at %s:%u", found, to->host,
                       to->port);
        return true;
    case PEER_DOUBTFUL:
        (void)snprintf(dst, room,
                       "a node (%s) answers at %s:%u, but none at port %u: it may be another "
                       "member's, so both ports must be open between nodes",
                       found, to->host, to->port, to->port_other);
        return true;
    case PEER_UNREADABLE:
        (void)snprintf(dst, room, "no certificate that can be read at %s:%u", to->host, to->port);
        return true;
    case PEER_UNSEEN:
    case PEER_OK:
    case PEER_CANDIDATE:
        return false;
    }
    return false;
}

void peer_dial_explain(const struct peer_dial *d, const struct peer_address *to, char *dst,
                       size_t room)
{
    struct node_id id = {0};
    enum peer_verdict verdict = peer_check_read(d->check, &id);
    if (explain_key(verdict, &id, to, dst, room)) {
        return;
    }
    if (d->is_late) {
        (void)snprintf(dst, room, "no answer from %s:%u within %d ms", to->host, to->port,
                       LINK_DIAL_MS);
    } else if (verdict != PEER_UNSEEN && d->status == GRPC_STATUS_UNAVAILABLE) {
        /* Their verifier refuses without a word (peer-security.md 4). */
        (void)snprintf(dst, room,
                       "%s:%u closed the connection: it does not know this node's key, or not yet",
                       to->host, to->port);
    } else {
        (void)snprintf(dst, room, "%s:%u: %.*s", to->host, to->port, SPAN_ARG(peer_dial_reason(d)));
    }
}
