#include "node/core.h"

#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "api/dispatch.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "loop/loop.h"
#include "node/effects.h"

/* Rounds of log hand-out in one turn before the loop goes round again: operations proposed by what
 * was just applied. */
#define ROUNDS_MAX 8
/* The goodbye is a courtesy: a core that is busy this long keeps nobody from stopping. */
#define GOODBYE_WAIT_S 1

struct core {
    struct loop *loop;
    struct view *view;
    struct naming *naming;
    struct conn_table *conns;
    struct consensus *log;
    struct outbox out;
    struct rpc *edge;
    struct now now; /* of the current turn */
    size_t settled; /* effects before this one hold no proposal any more */
    bool leaving;   /* this turn says goodbye */
    sem_t said_goodbye;
    pthread_t thread;
    bool running;
};

/* What the log hands back. */
static void on_commit(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie)
{
    struct core *c = self;
    (void)index;
    if (kind == CONSENSUS_NAMING) {
        naming_commit(c->naming, op, cookie, c->now, &c->out);
        return;
    }
    /* Nobody proposes another kind yet; an entry of a newer version is a no-op here. */
    if (cookie) {
        struct fail why = {0};
        fail_set(&why, E_INTERNAL, "operation of unknown kind %d in the log", (int)kind);
        dispatch_fail(cookie, &why, &c->out);
    }
}

static void on_entry_end(void *self, uint64_t index)
{
    (void)self;
    (void)index;
}

static void on_reject(void *self, void *cookie, const struct fail *why)
{
    struct core *c = self;
    if (cookie) {
        dispatch_fail(cookie, why, &c->out);
    }
}

static const struct consensus_ops log_ops = {
    .on_commit = on_commit, .on_entry_end = on_entry_end, .on_reject = on_reject};

static void open_conn(struct core *c, const struct conn_open *open)
{
    struct fail fail = {0};
    bool known = conn_find(c->conns, open->peer->key) != NULL;
    if (conn_register(c->conns, open, c->now, &c->out, &fail) != 0) {
        return; /* the table has emitted the close with its reason */
    }
    /* A setup that comes twice gets its ack twice and changes nothing else. */
    const struct conn_info *info = known ? NULL : conn_find(c->conns, open->peer->key);
    if (info && span_eq(info->module, SPAN("naming"))) {
        struct naming_conn conn = {
            .conn = open->peer->key,
            .id = span_str(open->peer->id),
            .client_ip = info->client_ip,
            .app = info->app,
            .agent = info->client_version,
        };
        naming_conn_open(c->naming, &conn, c->now);
    }
}

static void on_mail(void *self, struct mail *take_mail, struct now now)
{
    struct core *c = self;
    struct core_mail *mail = CONTAINER_OF(take_mail, struct core_mail, mail);
    c->now = now;
    switch (mail->kind) {
    case CORE_CALL:
        dispatch_call(CONTAINER_OF(mail, struct api_call, mail), now, &c->out);
        return;
    case CORE_CONN_OPEN:
        open_conn(c, CONTAINER_OF(mail, struct conn_open, mail));
        conn_mail_free(mail);
        return;
    case CORE_CONN_CLOSED: {
        const struct conn_closed *closed = CONTAINER_OF(mail, struct conn_closed, mail);
        if (conn_unregister(c->conns, closed->peer->key)) {
            naming_conn_closed(c->naming, closed->peer->key, REMOVAL_CONNECTION_CLOSED, now,
                               &c->out);
        }
        conn_mail_free(mail);
        return;
    }
    case CORE_CONN_ACK: {
        const struct conn_ack *ack = CONTAINER_OF(mail, struct conn_ack, mail);
        if (!conn_on_ack(c->conns, ack->peer->key, &ack->ack, now)) {
            naming_ack(c->naming, ack->peer->key, &ack->ack, now);
        }
        conn_mail_free(mail);
        return;
    }
    case CORE_STOP:
        conn_reset_all(c->conns, &c->out);
        c->leaving = true;
        mem_free(mail);
        return;
    }
}

static void on_lost(void *self, uint64_t key, struct span id)
{
    struct core *c = self;
    (void)id;
    naming_conn_closed(c->naming, key, REMOVAL_CONNECTION_SILENT, c->now, &c->out);
}

/* Move one proposal into the log. One that the log refuses is answered. */
static void propose(struct core *c, struct effect *e)
{
    struct fail why = {0};
    struct buf *op = e->u.propose.op;
    struct api_call *waiting = e->u.propose.waiting;
    e->u.propose.op = NULL;
    e->u.propose.waiting = NULL;
    int err = consensus_propose(c->log, e->u.propose.kind, buf_span(op), waiting, &why);
    buf_unref(op);
    if (err && waiting) {
        dispatch_fail(waiting, &why, &c->out); /* may move the list: e is dead from here */
    }
}

/* Log rounds until nothing new is proposed. True when ROUNDS_MAX was not enough: the next turn goes
 * on. */
static bool settle(struct core *c)
{
    bool again = false;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool proposed = false;
        for (; c->settled < c->out.count; c->settled++) {
            if (c->out.list[c->settled].kind == EFFECT_PROPOSE) {
                propose(c, &c->out.list[c->settled]);
                proposed = true;
            }
        }
        if (!proposed && !again) {
            return false;
        }
        again = consensus_turn(c->log, c->now);
    }
    return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t on_turn(void *self, struct now now)
{
    struct core *c = self;
    c->now = now;
    conn_tick(c->conns, now, &c->out, on_lost, c);
    bool again = settle(c);
    naming_turn(c->naming, now, &c->out);
    again |= settle(c);
    effects_perform(&c->out, c->edge);
    c->settled = 0;
    if (c->leaving) {
        c->leaving = false;
        ASSERT(sem_post(&c->said_goodbye) == 0);
    }
    return again ? now.mono_ms : earlier(naming_deadline(c->naming), conn_deadline(c->conns));
}

static const struct loop_ops core_loop_ops = {on_mail, on_turn};

int core_create(const struct core_options *options, struct core **ret_core, struct fail *fail)
{
    struct core *c = mem_zalloc(1, sizeof(*c));
    int err = loop_create(&core_loop_ops, c, &c->loop);
    if (err) {
        mem_free(c);
        return fail_set(fail, err, "the system gives no event loop");
    }
    ASSERT(sem_init(&c->said_goodbye, 0, 0) == 0);
    c->view = view_create();
    c->naming = naming_create(&options->naming, c->view);
    c->conns = conn_table_create(&options->conn);
    c->log = consensus_create_memory(&log_ops, c);
    *ret_core = c;
    return 0;
}

/* A mail that nobody takes any more. */
static void drop_mail(void *self, struct mail *take_mail)
{
    struct core *c = self;
    struct core_mail *mail = CONTAINER_OF(take_mail, struct core_mail, mail);
    if (mail->kind == CORE_CALL) {
        struct fail why = {0};
        fail_set(&why, E_CLOSED, "the server is stopping");
        struct api_call *call = CONTAINER_OF(mail, struct api_call, mail);
        call->reply.fail = why;
        call->deliver(call);
    } else if (mail->kind == CORE_STOP) {
        mem_free(mail);
    } else {
        conn_mail_free(mail);
    }
    (void)c;
}

void core_destroy(struct core *c)
{
    if (!c) {
        return;
    }
    loop_destroy(c->loop, drop_mail);
    consensus_destroy(c->log);
    naming_destroy(c->naming);
    conn_table_destroy(c->conns);
    view_destroy(c->view);
    outbox_close(&c->out);
    ASSERT(sem_destroy(&c->said_goodbye) == 0);
    mem_free(c);
}

static void *run(void *arg)
{
    struct core *c = arg;
    thread_become(THREAD_CORE, "core");
    loop_run(c->loop);
    /* The state goes on the thread that owned it. */
    naming_destroy(c->naming);
    c->naming = NULL;
    return NULL;
}

int core_start(struct core *c, struct rpc *edge, struct fail *fail)
{
    c->edge = edge;
    int err = thread_start(&c->thread, run, c);
    if (err) {
        return fail_set(fail, err, "the system gives no thread for the core");
    }
    c->running = true;
    return 0;
}

void core_say_goodbye(struct core *c)
{
    struct core_mail *mail = mem_zalloc(1, sizeof(*mail));
    mail->kind = CORE_STOP;
    if (!c->running || loop_post(c->loop, &mail->mail) != 0) {
        mem_free(mail);
        return;
    }
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += GOODBYE_WAIT_S;
    (void)sem_timedwait(&c->said_goodbye, &until);
}

void core_stop(struct core *c)
{
    if (c->running) {
        loop_stop(c->loop);
        pthread_join(c->thread, NULL);
        c->running = false;
    }
}

static int post(void *self, struct core_mail *take_mail)
{
    struct core *c = self;
    return loop_post(c->loop, &take_mail->mail);
}

struct core_port core_port(struct core *c)
{
    return (struct core_port){c, post};
}

struct view *core_view(struct core *c)
{
    return c->view;
}

struct naming *core_naming(struct core *c)
{
    return c->naming;
}

const struct conn_table *core_conns(struct core *c)
{
    return c->conns;
}

struct consensus_state core_log_state(const struct core *c)
{
    return consensus_state(c->log);
}
