#include "grpc_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <nacos_grpc_service.pb-c.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/fail.h"
#include "wire/payload.h"

#define UNARY_METHOD "/Request/request"
#define STREAM_METHOD "/BiRequestStream/requestBiStream"
#define USUAL_SETUP                                                                                \
    "{\"headers\":{},\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"labels\":{\"source\":"       \
    "\"sdk\",\"module\":\"naming\",\"AppName\":\"unknown\"},\"abilityTable\":{},\"module\":"       \
    "\"internal\"}"

/* A batch on its way; the tag is its address. */
struct op_state {
    bool pending;
    bool ok;
};

struct client {
    grpc_channel *channel;
    grpc_completion_queue *cq;
    int fd; /* a duplicate of the channel's */
    uint16_t port;
};

struct client_call {
    struct client *client;
    grpc_call *call;
    struct op_state all;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice details;
};

struct client_stream {
    struct client *client;
    grpc_call *call;
    struct op_state hello;
    struct op_state sending;
    struct op_state receiving;
    struct op_state ending;
    struct op_state closing;
    bool reads;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice details;
    char *details_text;
    struct client_message message;
    struct arena arena;
};

static gpr_timespec in_ms(int ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

/* Run the queue until the batch is back. False when the time is out. */
static bool wait_for(struct client *c, const struct op_state *state, int ms)
{
    gpr_timespec until = in_ms(ms);
    while (state->pending) {
        grpc_event event = grpc_completion_queue_next(c->cq, until, NULL);
        if (event.type != GRPC_OP_COMPLETE) {
            return false;
        }
        struct op_state *done = event.tag;
        done->pending = false;
        done->ok = event.success != 0;
    }
    return true;
}

static void start(grpc_call *call, const grpc_op *ops, size_t count, struct op_state *state)
{
    state->pending = true;
    ASSERT(grpc_call_start_batch(call, ops, count, state, NULL) == GRPC_CALL_OK);
}

static int connect_to(uint16_t port, const struct client_options *options, uint16_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    if (options && options->small_window) {
        int size = 4096;
        ASSERT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
    }
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ASSERT(connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) == 0);
    struct sockaddr_in own = {0};
    socklen_t len = sizeof(own);
    ASSERT(getsockname(fd, (struct sockaddr *)(void *)&own, &len) == 0);
    *ret_port = ntohs(own.sin_port);
    int on = 1;
    ASSERT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    ASSERT(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static grpc_arg int_arg(char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = key, .value.integer = value};
}

struct client *client_open(uint16_t port, const struct client_options *options)
{
    grpc_init();
    struct client *c = calloc(1, sizeof(*c));
    c->cq = grpc_completion_queue_create_for_next(NULL);
    int fd = connect_to(port, options, &c->port);
    c->fd = dup(fd);
    char receive_max[] = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH;
    char gzip[] = GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM;
    char bdp[] = GRPC_ARG_HTTP2_BDP_PROBE;
    grpc_arg args[3] = {int_arg(receive_max, 64 << 20)};
    size_t count = 1;
    if (options && options->receive_max) {
        args[0].value.integer = options->receive_max;
    }
    if (options && options->gzip) {
        args[count++] = int_arg(gzip, GRPC_COMPRESS_GZIP);
    }
    if (options && options->small_window) {
        args[count++] = int_arg(bdp, 0);
    }
    grpc_channel_args list = {.num_args = count, .args = args};
    grpc_channel_credentials *open = grpc_insecure_credentials_create();
    c->channel = grpc_channel_create_from_fd("nacre", fd, open, &list);
    grpc_channel_credentials_release(open);
    ASSERT(c->channel != NULL);
    return c;
}

void client_close(struct client *c)
{
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->cq);
    while (grpc_completion_queue_next(c->cq, in_ms(CLIENT_WAIT_MS), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(c->cq);
    (void)close(c->fd);
    free(c);
    grpc_shutdown_blocking();
}

void client_cut(struct client *c)
{
    /* Abort: connecting a TCP socket to nowhere sends RST at once, whoever else holds the
     * descriptor. */
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    ASSERT(connect(c->fd, &nowhere, sizeof(nowhere)) == 0);
}

uint16_t client_port(const struct client *c)
{
    return c->port;
}

static grpc_byte_buffer *wrap(const char *bytes, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static grpc_byte_buffer *pack(const char *type, const char *json, const char *const *pairs,
                              size_t count)
{
    Payload payload;
    Metadata metadata;
    Google__Protobuf__Any body;
    payload__init(&payload);
    metadata__init(&metadata);
    google__protobuf__any__init(&body);
    Metadata__HeadersEntry *entries = calloc(count + 1, sizeof(*entries));
    Metadata__HeadersEntry **headers = calloc(count + 1, sizeof(Metadata__HeadersEntry *));
    char *texts = strdup(json);
    char *name = strdup(type);
    for (size_t i = 0; i < count; i++) {
        metadata__headers_entry__init(&entries[i]);
        memcpy(&entries[i].key, &pairs[2 * i], sizeof(char *));
        memcpy(&entries[i].value, &pairs[2 * i + 1], sizeof(char *));
        headers[i] = &entries[i];
    }
    char ip[] = "10.0.0.9";
    metadata.type = name;
    metadata.clientip = ip;
    metadata.n_headers = count;
    metadata.headers = headers;
    body.value.data = (uint8_t *)texts;
    body.value.len = strlen(texts);
    payload.metadata = &metadata;
    payload.body = &body;
    size_t len = payload__get_packed_size(&payload);
    uint8_t *bytes = malloc(len);
    payload__pack(&payload, bytes);
    grpc_byte_buffer *buffer = wrap((const char *)bytes, len);
    free(bytes);
    free(texts);
    free(name);
    free(entries);
    free(headers);
    return buffer;
}

/* Decoded into the arena. A message that is no Payload fails the test. */
static struct client_message unpack(grpc_byte_buffer *buffer, struct arena *arena)
{
    size_t len = grpc_byte_buffer_length(buffer);
    char *bytes = malloc(len + 1);
    size_t at = 0;
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    for (size_t i = 0; i < slices->count; i++) {
        memcpy(bytes + at, GRPC_SLICE_START_PTR(slices->slices[i]),
               GRPC_SLICE_LENGTH(slices->slices[i]));
        at += GRPC_SLICE_LENGTH(slices->slices[i]);
    }
    struct payload payload = {0};
    struct fail fail = {0};
    int err = payload_decode(span_of(bytes, len), arena, &payload, &fail);
    ASSERT(err == 0);
    struct client_message m = {
        .type = arena_str(arena, payload.type),
        .json = arena_str(arena, payload.body),
        .headers_count = payload.headers_count,
        .client_ip = arena_str(arena, payload.client_ip),
    };
    free(bytes);
    return m;
}

/* Unary */

static struct client_call *start_call(struct client *c, const char *method,
                                      grpc_byte_buffer *take_buffer)
{
    struct client_call *call = calloc(1, sizeof(*call));
    call->client = c;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
    grpc_slice path = grpc_slice_from_copied_string(method);
    call->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->cq, path,
                                          NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_slice_unref(path);
    grpc_op ops[6] = {0};
    size_t count = 0;
    ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    if (take_buffer) {
        ops[count].op = GRPC_OP_SEND_MESSAGE;
        ops[count++].data.send_message.send_message = take_buffer;
    }
    ops[count++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[count].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[count++].data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    ops[count].op = GRPC_OP_RECV_MESSAGE;
    ops[count++].data.recv_message.recv_message = &call->received;
    ops[count].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[count].data.recv_status_on_client.trailing_metadata = &call->trailing;
    ops[count].data.recv_status_on_client.status = &call->status;
    ops[count++].data.recv_status_on_client.status_details = &call->details;
    start(call->call, ops, count, &call->all);
    grpc_byte_buffer_destroy(take_buffer);
    return call;
}

struct client_call *client_start(struct client *c, const char *type, const char *json)
{
    return start_call(c, UNARY_METHOD, pack(type, json, NULL, 0));
}

void client_cancel(struct client_call *call)
{
    grpc_call_cancel(call->call, NULL);
}

struct client_reply client_finish(struct client_call *call)
{
    ASSERT(wait_for(call->client, &call->all, CLIENT_WAIT_MS));
    struct client_reply r = {.status = call->status};
    r.details = strndup((const char *)GRPC_SLICE_START_PTR(call->details),
                        GRPC_SLICE_LENGTH(call->details));
    struct arena *arena = malloc(sizeof(*arena));
    arena_init(arena, 256u << 20);
    r.memory = arena;
    r.message = (struct client_message){.type = "", .json = "", .client_ip = ""};
    if (call->received) {
        r.message = unpack(call->received, arena);
    }
    grpc_byte_buffer_destroy(call->received);
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_slice_unref(call->details);
    grpc_call_unref(call->call);
    free(call);
    return r;
}

void client_reply_close(struct client_reply *r)
{
    arena_close(r->memory);
    free(r->memory);
    free(r->details);
    *r = (struct client_reply){0};
}

struct client_reply client_ask(struct client *c, const char *type, const char *json)
{
    return client_finish(client_start(c, type, json));
}

struct client_reply client_ask_headers(struct client *c, const char *type, const char *json,
                                       const char *const *pairs, size_t count)
{
    return client_finish(start_call(c, UNARY_METHOD, pack(type, json, pairs, count)));
}

struct client_reply client_ask_raw(struct client *c, const char *method, const char *bytes,
                                   size_t len)
{
    return client_finish(start_call(c, method, bytes ? wrap(bytes, len) : NULL));
}

/* Streams */

static void receive(struct client_stream *s)
{
    grpc_op op = {0};
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &s->received;
    start(s->call, &op, 1, &s->receiving);
}

struct client_stream *client_stream_open(struct client *c, bool reads)
{
    struct client_stream *s = calloc(1, sizeof(*s));
    s->client = c;
    s->reads = reads;
    arena_init(&s->arena, 256u << 20);
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    grpc_slice path = grpc_slice_from_static_string(STREAM_METHOD);
    s->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->cq, path, NULL,
                                       gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_op ops[2] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[1].data.recv_initial_metadata.recv_initial_metadata = &s->initial;
    start(s->call, ops, 2, &s->hello);
    grpc_op end = {0};
    end.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    end.data.recv_status_on_client.trailing_metadata = &s->trailing;
    end.data.recv_status_on_client.status = &s->status;
    end.data.recv_status_on_client.status_details = &s->details;
    start(s->call, &end, 1, &s->ending);
    if (reads) {
        receive(s);
    }
    return s;
}

static bool send_buffer(struct client_stream *s, grpc_byte_buffer *take_buffer)
{
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = take_buffer;
    start(s->call, &op, 1, &s->sending);
    grpc_byte_buffer_destroy(take_buffer);
    return wait_for(s->client, &s->sending, CLIENT_WAIT_MS) && s->sending.ok;
}

bool client_stream_send(struct client_stream *s, const char *type, const char *json)
{
    return send_buffer(s, pack(type, json, NULL, 0));
}

bool client_stream_send_raw(struct client_stream *s, const char *bytes, size_t len)
{
    return send_buffer(s, wrap(bytes, len));
}

const struct client_message *client_stream_next(struct client_stream *s, int ms)
{
    ASSERT(s->reads);
    if (!wait_for(s->client, &s->receiving, ms) || !s->received) {
        return NULL;
    }
    arena_close(&s->arena);
    s->message = unpack(s->received, &s->arena);
    grpc_byte_buffer_destroy(s->received);
    s->received = NULL;
    receive(s);
    return &s->message;
}

void client_stream_half_close(struct client_stream *s)
{
    grpc_op op = {0};
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    start(s->call, &op, 1, &s->closing);
    ASSERT(wait_for(s->client, &s->closing, CLIENT_WAIT_MS));
}

bool client_stream_ended(struct client_stream *s, int ms)
{
    return wait_for(s->client, &s->ending, ms);
}

grpc_status_code client_stream_status(struct client_stream *s, const char **details)
{
    ASSERT(wait_for(s->client, &s->ending, CLIENT_WAIT_MS));
    if (!s->details_text) {
        s->details_text =
            strndup((const char *)GRPC_SLICE_START_PTR(s->details), GRPC_SLICE_LENGTH(s->details));
    }
    if (details) {
        *details = s->details_text;
    }
    return s->status;
}

void client_stream_close(struct client_stream *s)
{
    grpc_call_cancel(s->call, NULL);
    struct op_state *all[] = {&s->hello, &s->sending, &s->receiving, &s->ending, &s->closing};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        ASSERT(wait_for(s->client, all[i], CLIENT_WAIT_MS));
    }
    grpc_byte_buffer_destroy(s->received);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->details);
    grpc_call_unref(s->call);
    arena_close(&s->arena);
    free(s->details_text);
    free(s);
}

struct client_stream *client_register(struct client *c, const char *json)
{
    struct client_reply check = client_ask(c, "ServerCheckRequest", "{\"headers\":{}}");
    ASSERT(check.status == GRPC_STATUS_OK);
    ASSERT(strcmp(check.message.type, "ServerCheckResponse") == 0);
    client_reply_close(&check);
    struct client_stream *s = client_stream_open(c, true);
    ASSERT(client_stream_send(s, "ConnectionSetupRequest", json ? json : USUAL_SETUP));
    if (!json || strstr(json, "abilityTable")) {
        const struct client_message *m = client_stream_next(s, CLIENT_WAIT_MS);
        ASSERT(m != NULL);
        ASSERT(strcmp(m->type, "SetupAckRequest") == 0);
    }
    return s;
}

bool client_stream_ack(struct client_stream *s, const char *request_id)
{
    char json[160];
    snprintf(json, sizeof(json),
             "{\"resultCode\":200,\"errorCode\":0,\"requestId\":\"%s\",\"success\":true}",
             request_id);
    return client_stream_send(s, "NotifySubscriberResponse", json);
}

const char *client_json_text(const char *json, const char *key)
{
    static char text[256];
    char wanted[80];
    snprintf(wanted, sizeof(wanted), "\"%s\":\"", key);
    const char *at = strstr(json, wanted);
    const char *begin = at ? at + strlen(wanted) : "";
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(begin, "\""), begin);
    return text;
}
