/* Start and stop of the edge, in the orders of grpc-core-in-c.md 4 and 13. */
#include "rpc/rpc.h"

#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc/absl_locks.h"
#include "rpc/accept_guard.h"
#include "rpc/answer.h"
#include "rpc/bytes.h"
#include "rpc/door.h"
#include "rpc/edge.h"
#include "rpc/generic.h"
#include "rpc/listen.h"
#include "rpc/peers.h"
#include "rpc/perform.h"
#include "rpc/registry.h"
#include "rpc/stream.h"
#include "rpc/types.h"
#include "rpc/unary.h"

#define UNARY_PATH "/Request/request"
#define STREAM_PATH "/BiRequestStream/requestBiStream"
/* After everything was cancelled, only what the core still holds is missing, and it answers. */
#define STOP_LATE_MS 30000

static struct message *pack_failure(int err)
{
    struct fail fail = {0};
    fail.code = err;
    struct body body = {0};
    const char *type = answer_failure(NULL, &fail, &body);
    return message_create(type, &body);
}

static struct message *pack_healthy(void)
{
    struct body body = answer_success();
    return message_create("HealthCheckResponse", &body);
}

static void on_stopped(struct tag *tag, bool ok)
{
    (void)ok;
    struct rpc *r = CONTAINER_OF(tag, struct rpc, on_stopped);
    atomic_store(&r->is_stopped, true);
    life_leave(&r->life);
}

/* The limits of the socket and the HTTP/2 layer are ints in C-core. */
static void check_options(const struct rpc_options *o)
{
    ASSERT(o->bind != NULL);
    ASSERT(o->ready != NULL);
    ASSERT(o->core.post != NULL);
    ASSERT(o->receive_max_bytes > 0);
    ASSERT(o->receive_max_bytes <= INT32_MAX);
    ASSERT(o->keepalive_ms <= INT32_MAX);
    ASSERT(o->keepalive_timeout_ms <= INT32_MAX);
    ASSERT(o->handshake_timeout_ms <= INT32_MAX);
    ASSERT(o->streams_per_conn_max <= INT32_MAX);
}

static void say_no_door(const struct fail *why)
{
    LOG_WARN("rpc",
             "event=no_front_door reason=\"%s\" meaning=\"gRPC listens itself: no peers on this "
             "port, no limits before a connection is served\"",
             fail_text(why));
}

static bool may_use_door(const struct rpc_options *options)
{
    struct fail why = {0};
    if (options->no_door) {
        return false;
    }
    if (door_way_check(&why) != 0) {
        say_no_door(&why);
        return false;
    }
    return true;
}

/* The server's side of the door. False when this server has none after all: then a real port. */
static bool open_way(struct rpc *r)
{
    struct fail why = {0};
    grpc_server_credentials *open = grpc_insecure_server_credentials_create();
    int err = door_way_open(&r->way, r->server, open, &why);
    grpc_server_credentials_release(open);
    if (err) {
        say_no_door(&why);
    }
    return err == 0;
}

static int open_door(struct rpc *r, struct fail *fail)
{
    const struct rpc_options *o = &r->options;
    const struct door_options options = {
        .bind = o->bind,
        .port = o->port,
        .user_timeout_ms = o->keepalive_timeout_ms,
        .decide_ms = o->handshake_timeout_ms < DOOR_DECIDE_MS ? o->handshake_timeout_ms : 0,
    };
    int err = door_create(&options, &r->door, fail);
    if (!err) {
        r->port = door_port(r->door);
        door_set_plain(r->door, &r->way);
    }
    return err;
}

int rpc_create(const struct rpc_options *options, struct rpc **ret_rpc, struct fail *fail)
{
    check_options(options);
    bool relaxed = absl_locks_relax();
    LOG_DEBUG("rpc", "event=starting lock_checks_off=%d connections_fit=%d", relaxed,
              accept_guard_limit());
    listen_watch_log();
    grpc_init();
    struct rpc *r = mem_zalloc(1, sizeof(*r));
    r->options = *options;
    r->times = (struct stream_times){STREAM_SETUP_MS, STREAM_SEND_MS, STREAM_LINGER_MS};
    r->on_stopped.fn = on_stopped;
    life_init(&r->life);
    r->types = types_create(options->features, options->features_count);
    r->peers = peers_create();
    r->registry = registry_create();
    r->says_starting = pack_failure(E_STARTING);
    r->says_unregistered = pack_failure(E_UNREGISTERED);
    r->says_no_handler = pack_failure(E_NO_HANDLER);
    r->says_healthy = pack_healthy();
    r->way = (struct door_way){.name = DOOR_WAY_PLAIN};
    bool use_door = may_use_door(options);
    r->server = listen_create_server(options, use_door ? &r->way : NULL);
    r->lame = grpc_lame_client_channel_create("nacre", GRPC_STATUS_UNAVAILABLE, "carries no call");
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        queue_init(&r->queues[i], r, i);
        queue_init_kicker(&r->queues[i], r->lame);
        grpc_server_register_completion_queue(r->server, r->queues[i].cq, NULL);
    }
    r->unary_method = grpc_server_register_method(r->server, UNARY_PATH, NULL,
                                                  GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    r->stream_method =
        grpc_server_register_method(r->server, STREAM_PATH, NULL, GRPC_SRM_PAYLOAD_NONE, 0);
    int err = use_door && open_way(r)
                  ? open_door(r, fail)
                  : listen_bind(r->server, options->bind, options->port, &r->port, fail);
    if (err) {
        rpc_destroy(r);
        return err;
    }
    *ret_rpc = r;
    return 0;
}

/* Once a minute: addresses that never opened a stream are forgotten. */
static void on_sweep(struct queue *q, struct queue_timer *timer)
{
    peers_sweep(q->rpc->peers, clock_mono_ms());
    queue_timer_set(q, timer, RPC_PEER_IDLE_MS);
}

/* The queue's first mail. */
static void run_arm(struct queue *q, struct queue_mail *take_mail)
{
    for (int i = 0; i < RPC_ARMED; i++) {
        unary_arm(q);
        stream_arm(q);
    }
    generic_arm(q); /* rule 1 */
    if (q->index == 0) {
        q->sweep_timer.fn = on_sweep;
        queue_timer_set(q, &q->sweep_timer, RPC_PEER_IDLE_MS);
    }
    mem_free(take_mail);
    life_leave(&q->rpc->life);
}

/* A mail without content to every queue. */
static void post_to_all(struct rpc *r, void (*run)(struct queue *, struct queue_mail *))
{
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        struct queue_mail *mail = mem_zalloc(1, sizeof(*mail));
        mail->run = run;
        life_enter(&r->life); /* until it has run */
        queue_post(&r->queues[i], mail);
    }
}

int rpc_start(struct rpc *r, struct fail *fail)
{
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        int err = queue_start(&r->queues[i]);
        if (err) {
            return fail_set(fail, err, "cannot start thread %u of %d for gRPC", i + 1, RPC_QUEUES);
        }
    }
    grpc_server_start(r->server);
    int err = r->door ? door_start(r->door, fail) : 0;
    if (err) {
        return err;
    }
    post_to_all(r, run_arm);
    LOG_INFO("rpc", "event=listening port=%u door=%d", r->port, r->door != NULL);
    return 0;
}

uint16_t rpc_port(const struct rpc *r)
{
    return r->port;
}

struct door *rpc_door(const struct rpc *r)
{
    return r->door;
}

/* A mail that shows that everything its queue had before is done. */
static void run_barrier(struct queue *q, struct queue_mail *take_mail)
{
    struct life *life = &q->rpc->life;
    mem_free(take_mail);
    life_leave(life);
}

/* Steps 2 to 4 of grpc-core-in-c.md 13; step 1, the goodbye in Nacos's words, was the core's. */
static void stop_server(struct rpc *r, uint32_t grace_ms)
{
    if (r->door) {
        door_stop(r->door); /* C-core crashes on what is given to it from here on */
    }
    life_enter(&r->life); /* until on_stopped */
    grpc_server_shutdown_and_notify(r->server, r->queues[0].cq, &r->on_stopped);
    /* Rule 11: streams never finish by themselves. */
    perform_end_all(r, GRPC_STATUS_UNAVAILABLE, "this node is stopping");
    if (!life_wait(&r->life, grace_ms)) {
        LOG_WARN("rpc", "event=stop_cancels calls=%lu grace_ms=%u", atomic_load(&r->life.held),
                 grace_ms);
    }
    grpc_server_cancel_all_calls(r->server);
    /* A core that does not answer what it holds breaks its contract: better loud than for ever. */
    ASSERT(life_wait(&r->life, STOP_LATE_MS));
    ASSERT(atomic_load(&r->is_stopped));
    /* A call may have been handed to a queue whose thread has not looked yet, and so not been
     * counted: let all look. */
    post_to_all(r, run_barrier);
    ASSERT(life_wait(&r->life, STOP_LATE_MS));
}

void rpc_stop(struct rpc *r, uint32_t grace_ms)
{
    stop_server(r, grace_ms);
    grpc_server_destroy(r->server);
    r->server = NULL;
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        queue_close(&r->queues[i]);
        unary_free_spare(&r->queues[i]);
    }
    LOG_INFO("rpc", "event=stopped");
}

/* A server that never started still has its port and wants to be shut down. No thread of ours runs.
 */
static void discard_server(struct rpc *r)
{
    struct queue *q = &r->queues[0];
    if (r->door) {
        door_stop(r->door);
    }
    life_enter(&r->life);
    grpc_server_shutdown_and_notify(r->server, q->cq, &r->on_stopped);
    while (!q->has_thread && !atomic_load(&r->is_stopped)) {
        grpc_event event =
            grpc_completion_queue_next(q->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        struct tag *tag = event.tag;
        tag->fn(tag, event.success != 0);
    }
    ASSERT(life_wait(&r->life, STOP_LATE_MS));
    grpc_server_destroy(r->server);
    r->server = NULL;
    for (unsigned i = 0; i < RPC_QUEUES; i++) {
        queue_close(&r->queues[i]);
    }
}

void rpc_destroy(struct rpc *r)
{
    if (!r) {
        return;
    }
    if (r->server) {
        discard_server(r);
    }
    door_destroy(r->door);
    grpc_channel_destroy(r->lame);
    message_unref(r->says_starting);
    message_unref(r->says_unregistered);
    message_unref(r->says_no_handler);
    message_unref(r->says_healthy);
    registry_destroy(r->registry);
    peers_destroy(r->peers);
    types_destroy(r->types);
    life_close(&r->life);
    mem_free(r);
    grpc_shutdown_blocking();
}

const struct rpc_counters *rpc_counters(const struct rpc *r)
{
    return &r->counters;
}

const struct rpc_row_stats *rpc_row_stats(const struct rpc *r, size_t *ret_count)
{
    return types_stats(r->types, ret_count);
}
