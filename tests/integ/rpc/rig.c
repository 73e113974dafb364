#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"
#include "conn/conn.h"
#include "loop/loop.h"
#include "rpc/edge.h"
#include "wire/json_in.h"
#include "wire/response.h"

#define HELD_MAX 4096
#define SEEN_MAX 8192
#define WAIT_S 5

struct rig {
    struct rpc *rpc;
    struct loop *loop;
    struct outbox out;
    struct conn_table *conns;
    pthread_t core;
    atomic_bool ready;
    atomic_bool leaving;
    atomic_int refuse;
    bool edge_stopped;
    struct api_rows feature;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    size_t counts[RIG_EVENTS];
    size_t registered;
    uint64_t keys[RIG_EVENTS][SEEN_MAX];
    char ids[SEEN_MAX][96];
    struct ack last_ack;
    struct api_call *held[HELD_MAX];
    size_t held_count;
};

/* Something to be done on the core's thread. */
struct job {
    struct core_mail mail; /* kind CORE_STOP: nobody else sends that here */
    void (*run)(struct rig *r, struct job *job);
    uint64_t *keys;
    size_t count;
    uint64_t request_id;
    size_t pad;
    enum conn_end how;
    char why[128];
};

/* Rows */

struct question {
    struct span text;
    int64_t code;
    int64_t pad;
};

static int decode(struct api_call *call, struct span body, struct fail *fail)
{
    struct question *q = arena_alloc(&call->arena, sizeof(*q));
    struct cJSON *doc = NULL;
    int err = json_in_object(body, &doc, fail);
    if (!err) {
        err = json_in_str(doc, "text", &call->arena, &q->text, fail);
    }
    if (!err) {
        err = json_in_int(doc, "code", -100, 0, &q->code, fail);
    }
    if (!err) {
        err = json_in_int(doc, "pad", 0, 1 << 24, &q->pad, fail);
    }
    json_in_free(doc);
    call->msg = q;
    return err;
}

static int decode_echo(struct api_call *call, struct span body, struct fail *fail)
{
    int err = decode(call, body, fail);
    const struct question *q = call->msg;
    if (!err && span_empty(q->text)) {
        return fail_set(fail, E_INVALID, "Param 'text' is illegal");
    }
    return err;
}

static void pad(struct json_out *j, size_t len)
{
    char *text = calloc(1, len + 1);
    memset(text, 'x', len);
    json_kstr(j, "pad", span_of(text, len));
    free(text);
}

static int read_here(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)now;
    const struct question *q = call->msg;
    struct json_out j;
    if (call->gate_until_ms || call->gate_index || call->is_as_it_is) {
        return fail_set(fail, E_INTERNAL, "another call's wait was kept");
    }
    call->gate_until_ms = 1; /* as if it had waited, for who comes next */
    call->gate_index = 1;
    call->is_as_it_is = true;
    json_init(&j, 0);
    response_begin(&j, NULL);
    json_kbool(&j, "read", true);
    pad(&j, (size_t)q->pad);
    response_end(&j);
    api_answer_json(call, &j);
    return API_ANSWERED;
}

static int read_stale(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)call;
    (void)now;
    (void)fail;
    return API_TO_CORE;
}

static int read_fail(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)now;
    const struct question *q = call->msg;
    return fail_set(fail, (int)q->code, "went wrong");
}

static int admit_echo(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    (void)self;
    (void)now;
    (void)out;
    (void)fail;
    const struct question *q = call->msg;
    struct json_out j;
    json_init(&j, 0);
    response_begin(&j, NULL);
    json_kstr(&j, "text", q->text);
    json_kstr(&j, "conn", call->caller.conn_id);
    json_kstr(&j, "ip", call->caller.remote_ip);
    json_kstr(&j, "clientIp", call->caller.client_ip);
    json_kstr(&j, "app", call->caller.app);
    json_kstr(&j, "agent", call->caller.agent);
    json_kint(&j, "port", call->caller.remote_port);
    json_kstr(&j, "tag", call->caller.tag);
    json_kbool(&j, "notified", call->caller.notified);
    response_end(&j);
    api_answer_json(call, &j);
    return API_ANSWERED;
}

static int admit_fail(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    (void)self;
    (void)now;
    (void)out;
    const struct question *q = call->msg;
    return fail_set(fail, (int)q->code, "went wrong");
}

static void note(struct rig *r, enum rig_event event, const struct peer *peer)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->counts[event]++;
    if (peer && n < SEEN_MAX) {
        r->keys[event][n] = peer->key;
        if (event == RIG_OPENED) {
            memcpy(r->ids[n], peer->id, sizeof(peer->id));
        }
    }
    r->registered = conn_count(r->conns);
    pthread_cond_broadcast(&r->more);
    pthread_mutex_unlock(&r->lock);
}

static int admit_later(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    (void)now;
    (void)out;
    (void)fail;
    struct rig *r = self;
    pthread_mutex_lock(&r->lock);
    ASSERT(r->held_count < HELD_MAX);
    r->held[r->held_count++] = call;
    pthread_mutex_unlock(&r->lock);
    note(r, RIG_HELD, NULL);
    return API_LATER;
}

static const struct api_row ROWS[] = {
    {.name = "EchoRequest",
     .reply_type = "EchoResponse",
     .decode_rpc = decode_echo,
     .admit = admit_echo},
    {.name = "ReadRequest", .reply_type = "ReadResponse", .decode_rpc = decode, .read = read_here},
    {.name = "StaleRequest",
     .reply_type = "StaleResponse",
     .decode_rpc = decode,
     .read = read_stale,
     .admit = admit_echo},
    {.name = "FailRequest",
     .reply_type = "FailResponse",
     .fail_extra = "\"count\":0",
     .decode_rpc = decode,
     .admit = admit_fail},
    {.name = "FailReadRequest",
     .reply_type = "FailReadResponse",
     .shape = API_SHAPE_READ,
     .decode_rpc = decode,
     .read = read_fail},
    {.name = "LaterRequest",
     .reply_type = "LaterResponse",
     .decode_rpc = decode,
     .admit = admit_later},
    {.name = "AdminRequest",
     .reply_type = "AdminResponse",
     .permission = API_ADMIN,
     .decode_rpc = decode,
     .read = read_here},
};

/* The core */

static void on_mail(void *self, struct mail *take_mail, struct now now)
{
    struct rig *r = self;
    struct core_mail *mail = CONTAINER_OF(take_mail, struct core_mail, mail);
    struct fail fail = {0};
    switch (mail->kind) {
    case CORE_CALL:
        dispatch_call(CONTAINER_OF(mail, struct api_call, mail), now, &r->out);
        return;
    case CORE_CONN_OPEN: {
        const struct conn_open *open = CONTAINER_OF(mail, struct conn_open, mail);
        int err = conn_register(r->conns, open, now, &r->out, &fail);
        (void)err; /* the refusal is in the outbox */
        note(r, RIG_OPENED, open->peer);
        conn_mail_free(mail);
        return;
    }
    case CORE_CONN_CLOSED: {
        const struct conn_closed *closed = CONTAINER_OF(mail, struct conn_closed, mail);
        conn_unregister(r->conns, closed->peer->key);
        note(r, RIG_CLOSED, closed->peer);
        conn_mail_free(mail);
        return;
    }
    case CORE_CONN_ACK: {
        const struct conn_ack *ack = CONTAINER_OF(mail, struct conn_ack, mail);
        pthread_mutex_lock(&r->lock);
        r->last_ack = ack->ack;
        pthread_mutex_unlock(&r->lock);
        note(r, RIG_ACKED, ack->peer);
        conn_mail_free(mail);
        return;
    }
    case CORE_DB:
    case CORE_PEER:
        return; /* this rig has neither database nor peers */
    case CORE_STOP: {
        struct job *job = CONTAINER_OF(mail, struct job, mail);
        job->run(r, job);
        mem_free(job->keys);
        mem_free(job);
        return;
    }
    }
}

static void on_lost(void *self, uint64_t key, struct span id)
{
    (void)self;
    (void)key;
    (void)id;
}

static uint64_t on_turn(void *self, struct now now)
{
    struct rig *r = self;
    conn_tick(r->conns, now, &r->out, on_lost, r);
    for (size_t i = 0; i < r->out.count; i++) {
        struct effect *e = &r->out.list[i];
        if (e->kind == EFFECT_REPLY) {
            e->u.reply.call->deliver(e->u.reply.call);
            e->u.reply.call = NULL;
        } else {
            rpc_perform(r->rpc, e);
        }
    }
    outbox_clear(&r->out, 0);
    return conn_deadline(r->conns);
}

static const struct loop_ops OPS = {on_mail, on_turn};

static void *core_main(void *arg)
{
    struct rig *r = arg;
    thread_become(THREAD_CORE, "core");
    loop_run(r->loop);
    return NULL;
}

static int post(void *self, struct core_mail *take_mail)
{
    struct rig *r = self;
    int err = atomic_load(&r->refuse);
    return err ? err : loop_post(r->loop, &take_mail->mail);
}

/* What the last moments of a test left: closed connections, jobs. Calls are never among them. */
static void drop(void *self, struct mail *take_mail)
{
    (void)self;
    struct core_mail *mail = CONTAINER_OF(take_mail, struct core_mail, mail);
    if (mail->kind == CORE_STOP) {
        struct job *job = CONTAINER_OF(mail, struct job, mail);
        mem_free(job->keys);
        mem_free(job);
        return;
    }
    conn_mail_free(mail);
}

static void set_times(struct stream_times *times, const struct rig_options *o)
{
    times->setup_ms = o->setup_ms ? o->setup_ms : times->setup_ms;
    times->send_ms = o->send_ms ? o->send_ms : times->send_ms;
    times->linger_ms = o->linger_ms ? o->linger_ms : times->linger_ms;
}

struct rig *rig_start(const struct rig_options *options)
{
    struct rig_options o = options ? *options : (struct rig_options){0};
    struct rig *r = calloc(1, sizeof(*r));
    pthread_condattr_t attr;
    ASSERT(pthread_condattr_init(&attr) == 0);
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_mutex_init(&r->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&r->more, &attr) == 0);
    atomic_init(&r->ready, !o.not_ready);
    r->conns = conn_table_create(
        &(struct conn_options){.max_total = o.max_total, .persistent_by_grpc = true});
    r->feature = (struct api_rows){.rpc = ROWS, .rpc_count = ARRAY_LEN(ROWS), .admit_self = r};
    ASSERT(loop_create(&OPS, r, &r->loop) == 0);
    struct rpc_options rpc = {
        .bind = "127.0.0.1",
        .receive_max_bytes = o.receive_max ? o.receive_max : 10u << 20,
        .keepalive_ms = 60000,
        .keepalive_timeout_ms = 20000,
        .handshake_timeout_ms = o.handshake_timeout_ms ? o.handshake_timeout_ms : 10000,
        .streams_per_conn_max = o.streams_per_conn_max ? o.streams_per_conn_max : 1024,
        .features = &r->feature,
        .features_count = 1,
        .core = {r, post},
        .permit = o.permit,
        .ready = &r->ready,
        .leaving = &r->leaving,
        .no_door = o.no_door,
    };
    struct fail fail = {0};
    ASSERT(rpc_create(&rpc, &r->rpc, &fail) == 0);
    set_times(&r->rpc->times, &o);
    ASSERT(thread_start(&r->core, core_main, r) == 0);
    ASSERT(rpc_start(r->rpc, &fail) == 0);
    return r;
}

void rig_stop_edge(struct rig *r, uint32_t grace_ms)
{
    r->edge_stopped = true;
    rpc_stop(r->rpc, grace_ms);
}

void rig_stop(struct rig *r)
{
    if (!r->edge_stopped) {
        rpc_stop(r->rpc, 500);
    }
    loop_stop(r->loop);
    ASSERT(pthread_join(r->core, NULL) == 0);
    rpc_destroy(r->rpc);
    loop_destroy(r->loop, drop);
    conn_table_destroy(r->conns);
    outbox_close(&r->out);
    pthread_cond_destroy(&r->more);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint16_t rig_port(const struct rig *r)
{
    return rpc_port(r->rpc);
}

struct rpc *rig_rpc(const struct rig *r)
{
    return r->rpc;
}

void rig_set_leaving(struct rig *r)
{
    atomic_store(&r->leaving, true);
}

void rig_set_ready(struct rig *r, bool ready)
{
    atomic_store(&r->ready, ready);
}

void rig_refuse_mail(struct rig *r, int err)
{
    atomic_store(&r->refuse, err);
}

/* Called with the lock: wait until *figure has reached (or, exact, is) n. */
static bool wait_figure(struct rig *r, const size_t *figure, size_t n, bool exact)
{
    struct timespec until;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += WAIT_S;
    int err = 0;
    while (err == 0 && (exact ? *figure != n : *figure < n)) {
        err = pthread_cond_timedwait(&r->more, &r->lock, &until);
    }
    return err == 0;
}

bool rig_wait(struct rig *r, enum rig_event event, size_t n)
{
    pthread_mutex_lock(&r->lock);
    bool reached = wait_figure(r, &r->counts[event], n, false);
    pthread_mutex_unlock(&r->lock);
    return reached;
}

bool rig_wait_registered(struct rig *r, size_t n)
{
    pthread_mutex_lock(&r->lock);
    bool reached = wait_figure(r, &r->registered, n, true);
    pthread_mutex_unlock(&r->lock);
    return reached;
}

size_t rig_count(struct rig *r, enum rig_event event)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->counts[event];
    pthread_mutex_unlock(&r->lock);
    return count;
}

uint64_t rig_key(struct rig *r, enum rig_event event, size_t n)
{
    ASSERT(rig_wait(r, event, n));
    pthread_mutex_lock(&r->lock);
    uint64_t key = r->keys[event][n - 1];
    pthread_mutex_unlock(&r->lock);
    return key;
}

const char *rig_id(struct rig *r, size_t n)
{
    ASSERT(rig_wait(r, RIG_OPENED, n));
    return r->ids[n - 1];
}

struct ack rig_last_ack(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    struct ack ack = r->last_ack;
    pthread_mutex_unlock(&r->lock);
    return ack;
}

static void run_push(struct rig *r, struct job *job)
{
    struct json_out j;
    json_init(&j, 0);
    push_begin(&j, job->request_id);
    pad(&j, job->pad);
    push_end(&j, "naming");
    struct body body = {0};
    body_add_buf(&body, json_take(&j));
    outbox_push(&r->out, "NotifySubscriberRequest", &body, job->keys, job->count);
    job->keys = NULL;
}

static void post_job(struct rig *r, struct job *take_job)
{
    take_job->mail.kind = CORE_STOP;
    ASSERT(loop_post(r->loop, &take_job->mail.mail) == 0);
}

void rig_push(struct rig *r, const uint64_t *keys, size_t count, uint64_t request_id, size_t pad)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    job->run = run_push;
    job->keys = mem_zalloc(count, sizeof(*keys));
    memcpy(job->keys, keys, count * sizeof(*keys));
    job->count = count;
    job->request_id = request_id;
    job->pad = pad;
    post_job(r, job);
}

static void run_accept(struct rig *r, struct job *job)
{
    struct body ack = {0};
    body_add_buf(&ack, buf_create(SPAN("{\"headers\":{},\"module\":\"internal\"}")));
    outbox_accept(&r->out, job->request_id, &ack);
}

void rig_accept(struct rig *r, uint64_t key)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    job->run = run_accept;
    job->request_id = key;
    post_job(r, job);
}

static void run_end(struct rig *r, struct job *job)
{
    conn_unregister(r->conns, job->request_id);
    outbox_close_conn(&r->out, job->request_id, job->how, span_str(job->why));
}

void rig_end(struct rig *r, uint64_t key, enum conn_end how, const char *why)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    job->run = run_end;
    job->request_id = key;
    job->how = how;
    snprintf(job->why, sizeof(job->why), "%s", why);
    post_job(r, job);
}

size_t rig_release(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->held_count;
    struct api_call **held = calloc(count + 1, sizeof(*held));
    memcpy(held, r->held, count * sizeof(*held));
    r->held_count = 0;
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < count; i++) {
        struct json_out j;
        json_init(&j, 0);
        response_begin(&j, NULL);
        response_end(&j);
        api_answer_json(held[i], &j);
        held[i]->deliver(held[i]);
    }
    free(held);
    return count;
}
