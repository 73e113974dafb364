#include "rpc/unary.h"

#include <grpc/byte_buffer.h>
#include <grpc/support/alloc.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rpc/answer.h"
#include "rpc/bytes.h"
#include "rpc/edge.h"
#include "rpc/peers.h"
#include "rpc/types.h"
#include "wire/json_in.h"
#include "wire/payload.h"

#define LEAVING_CODE 500
#define MAGIC 0x756e6172u

struct unary {
    struct api_call api; /* first: what the core sees */
    struct queue_mail home;
    struct tag on_new;
    struct tag on_answer;
    uint32_t magic;
    bool in_core;
    int cancelled;
    struct queue *queue;
    grpc_call *call;
    grpc_metadata_array metadata;
    gpr_timespec deadline;
    grpc_byte_buffer *received;
    struct origin *origin;
    const struct type *type;
    size_t core_bytes;
    struct unary *next_spare;
};

static void on_new(struct tag *tag, bool ok);
static void on_answer(struct tag *tag, bool ok);
static void on_home(struct queue *q, struct queue_mail *take_mail);
static void deliver(struct api_call *call);

static struct unary *unary_create(struct queue *q)
{
    struct unary *u = mem_zalloc(1, sizeof(*u));
    u->magic = MAGIC;
    u->queue = q;
    u->on_new.fn = on_new;
    u->on_answer.fn = on_answer;
    u->home.run = on_home;
    u->home.cost = 1;
    u->api.mail.kind = CORE_CALL;
    u->api.deliver = deliver;
    arena_init(&u->api.arena, API_ARENA_MAX);
    grpc_metadata_array_init(&u->metadata);
    return u;
}

static void unary_destroy(struct unary *u)
{
    grpc_metadata_array_destroy(&u->metadata);
    arena_close(&u->api.arena);
    u->magic = 0;
    mem_free(u);
}

void unary_arm(struct queue *q)
{
    struct unary *u = q->spare;
    if (u) {
        q->spare = u->next_spare;
        q->spare_count--;
    } else {
        u = unary_create(q);
    }
    grpc_call_error err = grpc_server_request_registered_call(
        q->rpc->server, q->rpc->unary_method, &u->call, &u->deadline, &u->metadata, &u->received,
        q->cq, q->cq, &u->on_new);
    ASSERT(err == GRPC_CALL_OK);
}

void unary_free_spare(struct queue *q)
{
    while (q->spare) {
        struct unary *u = q->spare;
        q->spare = u->next_spare;
        unary_destroy(u);
    }
    q->spare_count = 0;
}

/* The answer is on its way and the close is in: the object is free for the next call. */
static void finish(struct unary *u)
{
    struct queue *q = u->queue;
    grpc_call_unref(u->call);
    u->call = NULL;
    grpc_byte_buffer_destroy(u->received);
    u->received = NULL;
    grpc_metadata_array_destroy(&u->metadata);
    grpc_metadata_array_init(&u->metadata);
    arena_reset(&u->api.arena);
    body_close(&u->api.reply.body);
    origin_unref(u->origin);
    u->origin = NULL;
    life_leave(&q->rpc->life);
    if (q->spare_count >= UNARY_SPARE_MAX) {
        unary_destroy(u);
        return;
    }
    u->next_spare = q->spare;
    q->spare = u;
    q->spare_count++;
}

static void on_answer(struct tag *tag, bool ok)
{
    (void)ok; /* a client that is gone changes nothing: the send has failed */
    struct unary *u = CONTAINER_OF(tag, struct unary, on_answer);
    ASSERT(u->magic == MAGIC);
    finish(u);
}

/* Send the answer, which ends the call (rule 2: with its close). Takes the buffer. */
static void send_answer(struct unary *u, grpc_byte_buffer *take_buffer)
{
    grpc_op ops[4] = {0};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = take_buffer;
    ops[2].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[2].data.send_status_from_server.status = GRPC_STATUS_OK;
    ops[3].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    ops[3].data.recv_close_on_server.cancelled = &u->cancelled;
    grpc_call_error err = grpc_call_start_batch(u->call, ops, 4, &u->on_answer, NULL);
    ASSERT(err == GRPC_CALL_OK);
    grpc_byte_buffer_destroy(take_buffer);
}

static void count_answer(struct unary *u, bool ok)
{
    struct rpc_counters *counters = &u->queue->rpc->counters;
    if (!ok) {
        count_up(&counters->failures);
    }
    if (u->type) {
        type_count(u->type, ok, clock_mono_ns() - u->api.started_ns);
    }
}

/* Send the failure in api.reply.fail. */
static void send_failure(struct unary *u)
{
    struct rpc *r = u->queue->rpc;
    const struct fail *why = &u->api.reply.fail;
    const struct message *ready_made = NULL;
    switch (why->code) {
    case E_STARTING:
        ready_made = r->says_starting;
        break;
    case E_UNREGISTERED:
        ready_made = r->says_unregistered;
        break;
    case E_NO_HANDLER:
        ready_made = r->says_no_handler;
        break;
    default:
        break;
    }
    count_answer(u, false);
    if (ready_made) {
        count_up(&r->counters.refused);
        send_answer(u, message_buffer(ready_made));
        return;
    }
    struct body body = {0};
    const char *type = answer_failure(u->type ? u->type->row : NULL, why, &body);
    send_answer(u, bytes_pack(type, &body));
}

/* Send what the row or the core has put into api.reply. */
static void send_reply(struct unary *u)
{
    if (u->api.reply.fail.code < 0) {
        send_failure(u);
        return;
    }
    count_answer(u, true);
    send_answer(u, bytes_pack(u->type->row->reply_type, &u->api.reply.body));
}

/* The answered call is back from the core. */
static void on_home(struct queue *q, struct queue_mail *take_mail)
{
    struct unary *u = CONTAINER_OF(take_mail, struct unary, home);
    ASSERT(u->magic == MAGIC);
    ASSERT(u->in_core);
    u->in_core = false;
    q->core_bytes -= u->core_bytes;
    send_reply(u);
}

static void deliver(struct api_call *call)
{
    struct unary *u = CONTAINER_OF(call, struct unary, api);
    ASSERT(u->magic == MAGIC);
    /* The call may be finished before queue_post is through with the queue. */
    struct life *life = &u->queue->rpc->life;
    life_enter(life);
    queue_post(u->queue, &u->home);
    life_leave(life);
}

/* Hand the call to the core. On an error it is still here. */
static int post_to_core(struct unary *u, struct fail *fail)
{
    struct queue *q = u->queue;
    u->core_bytes = u->api.arena.used;
    if (q->core_bytes + u->core_bytes > UNARY_CORE_BYTES_MAX) {
        return fail_set(fail, E_LIMIT, "too many requests wait, try later");
    }
    u->in_core = true;
    q->core_bytes += u->core_bytes;
    const struct core_port *core = &q->rpc->options.core;
    int err = core->post(core->self, &u->api.mail);
    if (err) {
        u->in_core = false;
        q->core_bytes -= u->core_bytes;
        return fail_set(fail, err, "%s",
                        err == E_LIMIT ? "too many requests wait, try later"
                                       : "the server is stopping");
    }
    return 0;
}

static int check_permission(const struct unary *u, struct fail *fail)
{
    const struct rpc_options *options = &u->queue->rpc->options;
    if (options->permit) {
        return options->permit(options->permit_self, &u->api, fail);
    }
    if (u->api.row->permission == API_ADMIN) {
        return fail_set(fail, E_FORBIDDEN, "%s needs an administrator", u->api.row->name);
    }
    return 0;
}

static void set_caller(struct unary *u, const struct payload *payload)
{
    const struct origin *o = u->origin;
    struct span app = payload_header_get(payload, "app");
    struct span tag = payload_header_get(payload, "Vipserver-Tag");
    u->api.caller = (struct api_caller){
        .source = API_GRPC,
        .conn = o->peer->key,
        .conn_id = span_str(o->peer->id),
        .remote_ip = span_str(o->peer->remote_ip),
        .client_ip = o->client_ip,
        .app = span_empty(app) ? o->app : app,
        .agent = o->agent,
        .tag = span_empty(tag) ? o->tag : tag,
        /* Python writes "False" where it means false. */
        .notified = span_ieq(payload_header_get(payload, "notify"), SPAN("true")),
        .remote_port = o->peer->remote_port,
    };
}

/* A request of a feature. */
static int serve_row(struct unary *u, const struct payload *payload, struct fail *fail)
{
    const struct api_row *row = u->type->row;
    u->api.row = row;
    u->api.admit_self = u->type->admit_self;
    set_caller(u, payload);
    int err = row->decode_rpc(&u->api, payload->body, fail);
    if (err) {
        return err;
    }
    err = check_permission(u, fail);
    if (err) {
        return err;
    }
    int next = API_TO_CORE;
    if (row->read) {
        next = row->read(u->type->read_self, &u->api, clock_now(), fail);
    }
    if (next < 0) {
        return next;
    }
    if (next == API_ANSWERED) {
        send_reply(u);
        return 0;
    }
    ASSERT(next == API_TO_CORE);
    ASSERT(row->admit);
    return post_to_core(u, fail);
}

static int serve_server_check(struct unary *u, struct span address, struct fail *fail)
{
    struct rpc *r = u->queue->rpc;
    u->origin = peers_meet(r->peers, address, clock_now());
    if (!u->origin) {
        return fail_set(fail, E_LIMIT, "this node knows %d client addresses, its limit",
                        RPC_PEERS_MAX);
    }
    struct body body = answer_server_check(span_str(u->origin->peer->id));
    count_answer(u, true);
    send_answer(u, bytes_pack("ServerCheckResponse", &body));
    return 0;
}

static int serve_health_check(struct unary *u, const struct payload *payload, struct fail *fail)
{
    struct cJSON *doc = NULL;
    int err = json_in_object(payload->body, &doc, fail);
    const atomic_bool *leaving = u->queue->rpc->options.leaving;
    json_in_free(doc);
    if (err) {
        return err;
    }
    if (leaving && atomic_load(leaving)) {
        /* Asked to leave, the Go SDK stays where its health check succeeds, and 3xx is a success to
         * it. Otherwise it connects elsewhere first and leaves then (grpc-sdk.md 3.7). */
        return fail_set_codes(fail, E_CLOSED, LEAVING_CODE, 0,
                              "this node is stopping: connect to another one");
    }
    count_answer(u, true);
    send_answer(u, message_buffer(u->queue->rpc->says_healthy));
    return 0;
}

/* The call belongs to a registered connection, or 301; it counts as a sign of life. */
static int check_registered(struct unary *u, struct span address, struct fail *fail)
{
    u->origin = peers_find(u->queue->rpc->peers, address);
    struct peer *peer = u->origin ? u->origin->peer : NULL;
    if (!peer || atomic_load(&peer->state) != PEER_REGISTERED) {
        return fail_set(fail, E_UNREGISTERED, "%s", err_text(E_UNREGISTERED));
    }
    atomic_store_explicit(&peer->active_ms, u->api.started_ns / 1000000u, memory_order_relaxed);
    return 0;
}

/* The checks in Nacos's order (grpc-sdk.md 3.10). decoded: whether payload is one; otherwise fail
 * says why not. */
static int serve_checked(struct unary *u, struct span address, int decoded,
                         const struct payload *payload, struct fail *fail)
{
    const struct rpc *r = u->queue->rpc;
    u->type = decoded == 0 ? types_find(r->types, payload->type) : NULL;
    if (u->type && u->type->kind == TYPE_CLUSTER_ONLY) {
        count_up(&u->queue->rpc->counters.refused);
        return fail_set_codes(fail, E_FORBIDDEN, 502, 0, " invoke %.*s from sdk is forbidden",
                              SPAN_ARG(payload->type));
    }
    if (!atomic_load(r->options.ready)) {
        return fail_set(fail, E_STARTING, "%s", err_text(E_STARTING));
    }
    if (decoded < 0) {
        return decoded;
    }
    if (span_empty(payload->type)) {
        return fail_set(fail, E_PARSE, "Invalid request: the Payload names no type");
    }
    if (!u->type) {
        return fail_set(fail, E_NO_HANDLER, "%s", err_text(E_NO_HANDLER));
    }
    if (u->type->kind == TYPE_SERVER_CHECK) {
        return serve_server_check(u, address, fail);
    }
    int err = check_registered(u, address, fail);
    if (err) {
        return err;
    }
    if (u->type->kind == TYPE_HEALTH_CHECK) {
        return serve_health_check(u, payload, fail);
    }
    return serve_row(u, payload, fail);
}

static void serve(struct unary *u, struct span address)
{
    struct fail *fail = &u->api.reply.fail;
    struct payload payload = {0};
    struct span bytes = {0};
    int decoded = bytes_flatten(u->received, &u->api.arena, &bytes, fail);
    if (decoded == 0) {
        decoded = payload_decode(bytes, &u->api.arena, &payload, fail);
    }
    /* The decoded request lives in the arena: a large message need not be held twice. */
    grpc_byte_buffer_destroy(u->received);
    u->received = NULL;
    int err = serve_checked(u, address, decoded, &payload, fail);
    if (err) {
        fail->code = err;
        send_failure(u);
    }
}

/* A call starts from nothing, whatever its object was used for before. */
static void begin(struct unary *u)
{
    struct api_call *api = &u->api;
    api->row = NULL;
    api->admit_self = NULL;
    api->caller = (struct api_caller){0};
    api->msg = NULL;
    api->reply.fail.code = 0;
    api->reply.fail.nacos = 0;
    api->reply.fail.v2 = 0;
    api->reply.fail.text[0] = '\0';
    api->reply.http_status = 0;
    api->reply.content_type = NULL;
    api->gate_until_ms = 0;
    api->gate_index = 0;
    api->is_as_it_is = false;
    api->started_ns = clock_mono_ns();
    u->in_core = false;
    u->type = NULL;
    u->cancelled = 0;
}

static void on_new(struct tag *tag, bool ok)
{
    struct unary *u = CONTAINER_OF(tag, struct unary, on_new);
    ASSERT(u->magic == MAGIC);
    if (!ok) {
        unary_destroy(u); /* the server stops */
        return;
    }
    struct rpc *r = u->queue->rpc;
    unary_arm(u->queue); /* rule 1: re-arm first, work second */
    life_enter(&r->life);
    count_up(&r->counters.requests);
    begin(u);
    char *peer = grpc_call_get_peer(u->call); /* rule 4 */
    serve(u, span_str(peer));
    gpr_free(peer);
}
