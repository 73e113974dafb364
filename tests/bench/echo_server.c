/* nacre-echo: what gRPC C-core alone costs. It takes a Payload apart and answers with one that was
 * packed before: no JSON, no state, no other thread. Its CPU per request is the floor that nacre's
 * is compared with (docs/BENCH.md).
 *
 * The shape is nacre's own: registered methods, the unary one with its message read beforehand,
 * four completion queues with a thread each, the channel arguments of grpc-core-in-c.md section 7,
 * RECV_CLOSE and a generic request as its rules 1 and 2 ask.
 *
 * The stream is accepted, what comes on it is read and dropped: sessions of nacre-bench open
 * against it (without SetupAckRequest, since no reply says supportAbilityNegotiation).
 */
#include <dlfcn.h>
#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/macros.h"
#include "base/mem.h"
#include "base/span.h"
#include "nacos_grpc_service.pb-c.h"

#define QUEUES_MAX 16
#define SLOTS 64 /* armed requests per queue and method */
#define ARENA_SIZE 16384
#define BODY_MIN 64
#define BODY_MAX (8 * 1024 * 1024)

static const char usage[] =
    "nacre-echo: the bare gRPC C-core server that nacre is measured against\n"
    "\n"
    "usage: nacre-echo [--port N] [--queues N] [--type TEXT] [--body JSON | --reply-bytes N]\n"
    "                  [--deadlock-detection on|off]\n"
    "\n"
    "  --port         gRPC port on 127.0.0.1 (9848)\n"
    "  --queues       completion queues, a thread each, 1 to 16 (4)\n"
    "  --type         Payload type of every reply (InstanceResponse)\n"
    "  --body         its JSON\n"
    "  --reply-bytes  instead: a JSON of so many bytes (109)\n"
    "  --deadlock-detection  off: switch off the one that Debian's abseil carries\n"
    "\n"
    "Prints \"ready\" when it listens; ends on SIGTERM or SIGINT.\n";

struct options {
    unsigned port;
    unsigned queues;
    const char *type;
    const char *body; /* NULL: made of reply_bytes */
    unsigned reply_bytes;
    bool detection_off;
};

/* A bump allocator for one unpacked Payload: what a server that cares does. */
struct arena {
    size_t used;
    char bytes[ARENA_SIZE];
};

struct echo {
    grpc_server *server;
    grpc_completion_queue *queue[QUEUES_MAX];
    void *unary;
    void *stream;
    grpc_slice reply;
    struct arena arena[QUEUES_MAX];
};

struct tag {
    void (*fn)(struct tag *tag, bool ok);
};

/* One slot of the unary method: armed, answering, armed again. */
struct unary {
    struct tag tag_new;
    struct tag tag_done;
    struct echo *echo;
    unsigned queue;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    int cancelled;
};

/* One slot of the stream method, then one stream until it ends. */
struct stream {
    struct tag tag_new;
    struct tag tag_close;
    struct tag tag_begin;
    struct tag tag_message;
    struct tag tag_status;
    struct echo *echo;
    unsigned queue;
    unsigned refs; /* outstanding tags; one queue's thread only */
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *message;
    int cancelled;
    bool ended; /* the status was sent */
};

/* One slot for methods that nobody knows. */
struct generic {
    struct tag tag_new;
    struct tag tag_done;
    struct echo *echo;
    unsigned queue;
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    int cancelled;
};

static void *arena_alloc(void *self, size_t size)
{
    struct arena *a = self;
    size_t at = (a->used + 15) & ~(size_t)15;
    if (size > ARENA_SIZE - at) {
        return NULL;
    }
    a->used = at + size;
    return a->bytes + at;
}

static void arena_free(void *self, void *ptr)
{
    (void)self;
    (void)ptr;
}

static void start(grpc_call *call, const grpc_op *ops, size_t count, struct tag *tag)
{
    grpc_call_error err = grpc_call_start_batch(call, ops, count, tag, NULL);
    ASSERT(err == GRPC_CALL_OK);
}

/* True when the request is a Payload with a type. */
static bool unpack(struct echo *e, unsigned queue, const grpc_byte_buffer *request)
{
    if (!request || request->data.raw.slice_buffer.count != 1) {
        return request != NULL; /* long ones come in pieces; not what is measured */
    }
    grpc_slice slice = request->data.raw.slice_buffer.slices[0];
    struct arena *arena = &e->arena[queue];
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    arena->used = 0;
    Payload *payload =
        payload__unpack(&allocator, GRPC_SLICE_LENGTH(slice), GRPC_SLICE_START_PTR(slice));
    return payload && payload->metadata && payload->metadata->type[0] != '\0';
}

static void unary_arm(struct unary *u)
{
    struct echo *e = u->echo;
    grpc_metadata_array_init(&u->metadata);
    u->request = NULL;
    grpc_call_error err = grpc_server_request_registered_call(
        e->server, e->unary, &u->call, &u->deadline, &u->metadata, &u->request, e->queue[u->queue],
        e->queue[u->queue], &u->tag_new);
    ASSERT(err == GRPC_CALL_OK);
}

static void unary_free(struct unary *u)
{
    grpc_metadata_array_destroy(&u->metadata);
    mem_free(u);
}

static void unary_new(struct tag *tag, bool ok)
{
    struct unary *u = CONTAINER_OF(tag, struct unary, tag_new);
    if (!ok) {
        unary_free(u);
        return;
    }
    bool good = unpack(u->echo, u->queue, u->request);
    grpc_slice slice = u->echo->reply;
    grpc_byte_buffer *reply = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op ops[4] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[1].data.send_status_from_server.status =
        good ? GRPC_STATUS_OK : GRPC_STATUS_INVALID_ARGUMENT;
    ops[2].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[2].data.recv_close_on_server.cancelled = &u->cancelled;
    ops[3].op = GRPC_OP_SEND_MESSAGE;
    ops[3].data.send_message.send_message = reply;
    start(u->call, ops, good ? 4 : 3, &u->tag_done);
    grpc_byte_buffer_destroy(reply);
}

static void unary_done(struct tag *tag, bool ok)
{
    (void)ok;
    struct unary *u = CONTAINER_OF(tag, struct unary, tag_done);
    grpc_byte_buffer_destroy(u->request);
    grpc_call_unref(u->call);
    grpc_metadata_array_destroy(&u->metadata);
    unary_arm(u);
}

static struct stream *stream_arm(struct echo *e, unsigned queue);

static void stream_unref(struct stream *s)
{
    if (--s->refs > 0) {
        return;
    }
    grpc_byte_buffer_destroy(s->message);
    grpc_metadata_array_destroy(&s->metadata);
    grpc_call_unref(s->call);
    mem_free(s);
}

static void stream_start(struct stream *s, const grpc_op *op, struct tag *tag)
{
    s->refs++;
    start(s->call, op, 1, tag);
}

static void stream_read(struct stream *s)
{
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &s->message;
    stream_start(s, &op, &s->tag_message);
}

static void stream_new(struct tag *tag, bool ok)
{
    struct stream *s = CONTAINER_OF(tag, struct stream, tag_new);
    if (!ok) {
        grpc_metadata_array_destroy(&s->metadata);
        mem_free(s);
        return;
    }
    (void)stream_arm(s->echo, s->queue);
    s->refs = 1; /* for this function */
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &s->cancelled;
    stream_start(s, &close, &s->tag_close);
    grpc_op begin = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    stream_start(s, &begin, &s->tag_begin);
    stream_read(s);
    stream_unref(s);
}

/* NULL: half-closed by the client, or gone; the status ends it either way, once. */
static void stream_message(struct tag *tag, bool ok)
{
    struct stream *s = CONTAINER_OF(tag, struct stream, tag_message);
    if (ok && s->message) {
        grpc_byte_buffer_destroy(s->message);
        s->message = NULL;
        stream_read(s);
    } else if (!s->ended) {
        s->ended = true;
        grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
        op.data.send_status_from_server.status = GRPC_STATUS_OK;
        stream_start(s, &op, &s->tag_status);
    }
    stream_unref(s);
}

static void stream_close(struct tag *tag, bool ok)
{
    (void)ok;
    stream_unref(CONTAINER_OF(tag, struct stream, tag_close));
}

static void stream_begin(struct tag *tag, bool ok)
{
    (void)ok;
    stream_unref(CONTAINER_OF(tag, struct stream, tag_begin));
}

static void stream_status(struct tag *tag, bool ok)
{
    (void)ok;
    stream_unref(CONTAINER_OF(tag, struct stream, tag_status));
}

static struct stream *stream_arm(struct echo *e, unsigned queue)
{
    struct stream *s = mem_zalloc(1, sizeof(*s));
    s->tag_new.fn = stream_new;
    s->tag_close.fn = stream_close;
    s->tag_begin.fn = stream_begin;
    s->tag_message.fn = stream_message;
    s->tag_status.fn = stream_status;
    s->echo = e;
    s->queue = queue;
    grpc_metadata_array_init(&s->metadata);
    grpc_call_error err = grpc_server_request_registered_call(
        e->server, e->stream, &s->call, &s->deadline, &s->metadata, NULL, e->queue[queue],
        e->queue[queue], &s->tag_new);
    ASSERT(err == GRPC_CALL_OK);
    return s;
}

static void generic_arm(struct generic *g)
{
    struct echo *e = g->echo;
    grpc_metadata_array_init(&g->metadata);
    grpc_call_details_init(&g->details);
    grpc_call_error err =
        grpc_server_request_call(e->server, &g->call, &g->details, &g->metadata, e->queue[g->queue],
                                 e->queue[g->queue], &g->tag_new);
    ASSERT(err == GRPC_CALL_OK);
}

static void generic_clear(struct generic *g)
{
    grpc_metadata_array_destroy(&g->metadata);
    grpc_call_details_destroy(&g->details);
}

static void generic_new(struct tag *tag, bool ok)
{
    struct generic *g = CONTAINER_OF(tag, struct generic, tag_new);
    if (!ok) {
        generic_clear(g);
        mem_free(g);
        return;
    }
    grpc_op ops[3] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[1].data.send_status_from_server.status = GRPC_STATUS_UNIMPLEMENTED;
    ops[2].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[2].data.recv_close_on_server.cancelled = &g->cancelled;
    start(g->call, ops, 3, &g->tag_done);
}

static void generic_done(struct tag *tag, bool ok)
{
    (void)ok;
    struct generic *g = CONTAINER_OF(tag, struct generic, tag_done);
    grpc_call_unref(g->call);
    generic_clear(g);
    generic_arm(g);
}

static void arm_queue(struct echo *e, unsigned queue)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct unary *u = mem_zalloc(1, sizeof(*u));
        u->tag_new.fn = unary_new;
        u->tag_done.fn = unary_done;
        u->echo = e;
        u->queue = queue;
        unary_arm(u);
        (void)stream_arm(e, queue);
    }
    struct generic *g = mem_zalloc(1, sizeof(*g));
    g->tag_new.fn = generic_new;
    g->tag_done.fn = generic_done;
    g->echo = e;
    g->queue = queue;
    generic_arm(g);
}

static void *queue_run(void *arg)
{
    grpc_completion_queue *queue = arg;
    for (;;) {
        grpc_event ev = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
        if (ev.type != GRPC_OP_COMPLETE) {
            return NULL;
        }
        struct tag *tag = ev.tag;
        tag->fn(tag, ev.success != 0);
    }
}

/* The channel arguments of grpc-core-in-c.md section 7. */
static grpc_server *server_create(void)
{
    struct {
        const char *key;
        int value;
    } ints[] = {
        {GRPC_ARG_ALLOW_REUSEPORT, 0},
        {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 10 * 1024 * 1024},
        {GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1},
        {GRPC_ARG_MAX_CONCURRENT_STREAMS, 1024},
        {GRPC_ARG_MAX_METADATA_SIZE, 16 * 1024},
        {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 15000},
        {GRPC_ARG_KEEPALIVE_TIME_MS, 30000},
        {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000},
        {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
        {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10000},
        {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2},
        {GRPC_ARG_MAX_CONNECTION_IDLE_MS, 300000},
    };
    grpc_arg args[ARRAY_LEN(ints)];
    for (size_t i = 0; i < ARRAY_LEN(ints); i++) {
        args[i] = (grpc_arg){.type = GRPC_ARG_INTEGER,
                             .key = (char *)(uintptr_t)ints[i].key,
                             .value.integer = ints[i].value};
    }
    grpc_channel_args channel_args = {ARRAY_LEN(args), args};
    return grpc_server_create(&channel_args, NULL);
}

/* Debian's abseil looks for lock cycles at every lock; nacre may switch that off, so the floor must
 * be able to as well. */
static bool detection_off(void)
{
    void (*set_mode)(int) = NULL;
    *(void **)&set_mode = dlsym(
        RTLD_DEFAULT, "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE");
    if (!set_mode) {
        return false;
    }
    set_mode(0);
    return true;
}

/* {"resultCode":200,...,"padding":"xxx"} of exactly len bytes. */
static char *body_of(size_t len)
{
    static const char head[] =
        "{\"resultCode\":200,\"errorCode\":0,\"success\":true,\"padding\":\"";
    static const char tail[] = "\"}";
    size_t fixed = sizeof(head) - 1 + sizeof(tail) - 1;
    ASSERT(len >= fixed);
    char *body = mem_alloc(len + 1);
    memset(body, 'x', len);
    memcpy(body, head, sizeof(head) - 1);
    memcpy(body + len - (sizeof(tail) - 1), tail, sizeof(tail));
    return body;
}

static grpc_slice pack_reply(const struct options *o)
{
    char *made = o->body ? NULL : body_of(o->reply_bytes);
    const char *body = made ? made : o->body;
    Metadata metadata = METADATA__INIT;
    metadata.type = (char *)(uintptr_t)o->type;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.value.data = (uint8_t *)(uintptr_t)body;
    any.value.len = strlen(body);
    Payload payload = PAYLOAD__INIT;
    payload.metadata = &metadata;
    payload.body = &any;
    grpc_slice slice = grpc_slice_malloc(payload__get_packed_size(&payload));
    (void)payload__pack(&payload, GRPC_SLICE_START_PTR(slice));
    mem_free(made);
    return slice;
}

static bool parse_uint(const char *value, unsigned min, unsigned max, unsigned *ret)
{
    long long n = 0;
    if (!span_int(span_str(value), &n) || n < (long long)min || n > (long long)max) {
        return false;
    }
    *ret = (unsigned)n;
    return true;
}

static bool parse_one(const char *name, const char *value, struct options *o)
{
    if (strcmp(name, "--port") == 0) {
        return parse_uint(value, 1, 65535, &o->port);
    }
    if (strcmp(name, "--queues") == 0) {
        return parse_uint(value, 1, QUEUES_MAX, &o->queues);
    }
    if (strcmp(name, "--reply-bytes") == 0) {
        return parse_uint(value, BODY_MIN, BODY_MAX, &o->reply_bytes);
    }
    if (strcmp(name, "--type") == 0) {
        o->type = value;
        return true;
    }
    if (strcmp(name, "--body") == 0) {
        o->body = value;
        return true;
    }
    if (strcmp(name, "--deadlock-detection") == 0) {
        o->detection_off = strcmp(value, "off") == 0;
        return o->detection_off || strcmp(value, "on") == 0;
    }
    return false;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !parse_one(argv[i], argv[i + 1], o)) {
            (void)fprintf(stderr, "nacre-echo: bad argument %s %s\n\n%s", argv[i],
                          i + 1 < argc ? argv[i + 1] : "(no value)", usage);
            return false;
        }
    }
    return true;
}

static bool listen_on(struct echo *e, const struct options *o)
{
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", o->port);
    grpc_server_credentials *insecure = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(e->server, address, insecure);
    grpc_server_credentials_release(insecure);
    if (port == 0) {
        (void)fprintf(stderr, "nacre-echo: cannot listen on %s\n", address);
    }
    return port != 0;
}

static void serve(struct echo *e, const struct options *o, const sigset_t *signals)
{
    pthread_t thread[QUEUES_MAX];
    grpc_server_start(e->server);
    for (unsigned i = 0; i < o->queues; i++) {
        arm_queue(e, i);
    }
    for (unsigned i = 0; i < o->queues; i++) {
        int err = pthread_create(&thread[i], NULL, queue_run, e->queue[i]);
        ASSERT(err == 0);
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    int signal_number = 0;
    (void)sigwait(signals, &signal_number);
    /* The process ends here with calls and streams open: there is nothing to hand over. */
    (void)fflush(NULL);
    _Exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    struct options o = {.port = 9848, .queues = 4, .type = "InstanceResponse", .reply_bytes = 109};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (!parse(argc, argv, &o)) {
        return 2;
    }
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (o.detection_off && !detection_off()) {
        (void)fprintf(stderr, "nacre-echo: this abseil cannot switch deadlock detection off\n");
        return EXIT_FAILURE;
    }
    grpc_init();
    struct echo *e = mem_zalloc(1, sizeof(*e));
    e->server = server_create();
    e->reply = pack_reply(&o);
    for (unsigned i = 0; i < o.queues; i++) {
        e->queue[i] = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(e->server, e->queue[i], NULL);
    }
    e->unary = grpc_server_register_method(e->server, "/Request/request", NULL,
                                           GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    e->stream = grpc_server_register_method(e->server, "/BiRequestStream/requestBiStream", NULL,
                                            GRPC_SRM_PAYLOAD_NONE, 0);
    if (!listen_on(e, &o)) {
        return EXIT_FAILURE;
    }
    serve(e, &o, &signals);
    return EXIT_SUCCESS;
}
