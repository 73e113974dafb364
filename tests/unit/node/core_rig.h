/* A running core without edges, and calls that a test posts to it and waits for.
 *
 * Thread:  the test's own; functions given to rig_look run on the core.
 * Errors:  what does not come within WAIT_S seconds fails the test.
 */
#ifndef NACRE_TESTS_NODE_CORE_RIG_H
#define NACRE_TESTS_NODE_CORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "api/row.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conn/conn.h"
#include "naming/naming_rows.h"
#include "node/core.h"

#define WAIT_S 20

/* A call as an edge makes it. Zero-initialised but for what a test sets. */
struct rig_call {
    struct api_call call; /* first */
    pthread_mutex_t lock; /* guards delivered */
    pthread_cond_t done;
    unsigned delivered;
};

static inline struct core_options rig_options(void)
{
    return (struct core_options){
        .naming = {.push_window_ms = 10,
                   .push_window_max_ms = 500,
                   .push_ack_timeout_ms = 5000,
                   .push_retry_ms = 1000,
                   .push_retry_max_ms = 4000,
                   .push_tries_max = 4,
                   .subscribe_push_ms = 500,
                   .beat_timeout_ms = 15000,
                   .beat_delete_ms = 30000,
                   .beat_interval_ms = 5000,
                   .expire_instances = true,
                   .empty_service_ms = 60000,
                   .clean_interval_ms = 60000,
                   .overlay_expire_ms = 60000},
        .conn = {.persistent_by_grpc = true},
    };
}

static inline void rig_deliver(struct api_call *call)
{
    struct rig_call *c = CONTAINER_OF(call, struct rig_call, call);
    pthread_mutex_lock(&c->lock);
    c->delivered++;
    pthread_cond_signal(&c->done);
    pthread_mutex_unlock(&c->lock);
}

static inline void rig_call_open(struct rig_call *c, const struct api_row *row, void *admit_self)
{
    *c = (struct rig_call){
        .call = {.mail = {.kind = CORE_CALL},
                 .row = row,
                 .admit_self = admit_self,
                 .deliver = rig_deliver},
    };
    arena_init(&c->call.arena, API_ARENA_MAX);
    assert_int_equal(pthread_mutex_init(&c->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&c->done, NULL), 0);
}

static inline void rig_call_close(struct rig_call *c)
{
    body_close(&c->call.reply.body);
    arena_close(&c->call.arena);
    pthread_cond_destroy(&c->done);
    pthread_mutex_destroy(&c->lock);
}

static inline void rig_post(struct core *core, struct rig_call *c)
{
    struct core_port port = core_port(core);
    assert_int_equal(port.post(port.self, &c->call.mail), 0);
}

/* How often it was delivered, at least once. */
static inline unsigned rig_wait(struct rig_call *c)
{
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&c->lock);
    int err = 0;
    while (c->delivered == 0 && err == 0) {
        err = pthread_cond_timedwait(&c->done, &c->lock, &until);
    }
    unsigned delivered = c->delivered;
    pthread_mutex_unlock(&c->lock);
    assert_true(delivered > 0);
    return delivered;
}

/* A function that looks at the core from its own thread, in a turn after the one that took what was
 * posted before: a turn ends with the commit of what was proposed in it. */
struct rig_look {
    void (*fn)(struct core *core, void *arg);
    struct core *core;
    void *arg;
};

static inline int rig_admit_look(void *self, struct api_call *call, struct now now,
                                 struct outbox *out, struct fail *fail)
{
    const struct rig_look *look = self;
    (void)now;
    (void)out;
    (void)fail;
    look->fn(look->core, look->arg);
    api_answer_text(call, SPAN("seen"));
    return API_ANSWERED;
}

static inline void rig_look(struct core *core, void (*fn)(struct core *core, void *arg), void *arg)
{
    static const struct api_row row = {.name = "look", .admit = rig_admit_look};
    for (int turn = 0; turn < 2; turn++) {
        struct rig_look look = {fn, core, arg};
        struct rig_call c;
        rig_call_open(&c, &row, &look);
        rig_post(core, &c);
        assert_int_equal(rig_wait(&c), 1);
        rig_call_close(&c);
    }
}

/* A ConnectionSetupRequest of peer arrives, with a naming label. */
static inline void rig_open_conn(struct core *core, struct peer *peer, const char *json)
{
    struct conn_open *open = mem_zalloc(1, sizeof(*open));
    open->mail.kind = CORE_CONN_OPEN;
    open->peer = peer_ref(peer);
    arena_init(&open->arena, API_ARENA_MAX);
    struct fail fail = {0};
    assert_int_equal(
        conn_setup_decode(span_str(json), SPAN("192.0.2.7"), &open->arena, &open->setup, &fail), 0);
    struct core_port port = core_port(core);
    assert_int_equal(port.post(port.self, &open->mail), 0);
}

static inline void rig_close_conn(struct core *core, struct peer *peer)
{
    struct conn_closed *closed = mem_zalloc(1, sizeof(*closed));
    closed->mail.kind = CORE_CONN_CLOSED;
    closed->peer = peer_ref(peer);
    struct core_port port = core_port(core);
    assert_int_equal(port.post(port.self, &closed->mail), 0);
}

static inline void rig_ack(struct core *core, struct peer *peer, uint64_t request_id, bool ok)
{
    struct conn_ack *ack = mem_zalloc(1, sizeof(*ack));
    ack->mail.kind = CORE_CONN_ACK;
    ack->peer = peer_ref(peer);
    ack->ack = (struct ack){request_id, ok};
    struct core_port port = core_port(core);
    assert_int_equal(port.post(port.self, &ack->mail), 0);
}

#define RIG_SETUP                                                                                  \
    "{\"clientVersion\":\"Nacos-Java-Client:v2.5.1\",\"tenant\":\"public\",\"labels\":{"           \
    "\"source\":\"sdk\",\"module\":\"naming\",\"AppName\":\"app\"},\"abilityTable\":{}}"

#endif
