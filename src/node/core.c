#include "node/core_state.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "api/dispatch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "loop/loop.h"
#include "namespace/namespace.h"
#include "node/backup.h"
#include "node/effects.h"
#include "node/peering_quorum.h"

/* Rounds of log hand-out in one turn before the loop goes round again: operations proposed by what
 * was just applied. */
#define ROUNDS_MAX 8
/* The goodbye is a courtesy: a core that is busy this long keeps nobody from stopping. */
#define GOODBYE_WAIT_S (LEAVE_MS_MAX / 1000 + 1)

static void open_conn(struct core *c, const struct conn_open *open)
{
    struct fail fail = {0};
    bool known = conn_find(c->conns, open->peer->key) != NULL;
    if (conn_register(c->conns, open, c->now, &c->out, &fail) != 0) {
        return; /* the table has emitted the close with its reason */
    }
    /* A setup that comes twice gets its ack twice and changes nothing else. */
    const struct conn_info *info = known ? NULL : conn_find(c->conns, open->peer->key);
    if (!info) {
        return;
    }
    if (span_eq(info->module, SPAN("naming"))) {
        struct naming_conn conn = {
            .conn = open->peer->key,
            .id = span_str(open->peer->id),
            .client_ip = info->client_ip,
            .app = info->app,
            .agent = info->client_version,
        };
        naming_conn_open(c->naming, &conn, c->now);
    } else if (c->config) {
        struct config_conn conn = {
            .conn = open->peer->key,
            .id = span_str(open->peer->id),
            .client_ip = info->client_ip,
            .app = info->app,
            .tag = conn_setup_label(&open->setup, "app_Vipserver-Tag"),
        };
        config_conn_open(c->config, &conn, c->now);
    }
}

/* A connection is over, whichever features knew it. */
static void close_conn(struct core *c, uint64_t conn, enum removal_reason reason)
{
    /* A node that leaves ends its streams itself: what their clients publish stays for the grace
     * period, until they have come back or gone elsewhere. */
    if (!c->has_left) {
        naming_conn_closed(c->naming, conn, reason, c->now, &c->out);
    }
    if (c->config) {
        config_conn_closed(c->config, conn);
    }
}

/* An ack of one of this module's pushes, else of a feature's. */
static void take_ack(struct core *c, const struct conn_ack *ack)
{
    if (conn_on_ack(c->conns, ack->peer->key, &ack->ack, c->now)) {
        return;
    }
    naming_ack(c->naming, ack->peer->key, &ack->ack, c->now);
    if (c->config) {
        config_ack(c->config, ack->peer->key, &ack->ack, c->now);
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
            close_conn(c, closed->peer->key, REMOVAL_CONNECTION_CLOSED);
        }
        conn_mail_free(mail);
        return;
    }
    case CORE_CONN_ACK: {
        const struct conn_ack *ack = CONTAINER_OF(mail, struct conn_ack, mail);
        take_ack(c, ack);
        conn_mail_free(mail);
        return;
    }
    case CORE_PEER:
        peering_on_mail(c->peers, mail, now);
        return;
    case CORE_DB:
        atomic_store(&c->db_mail_out, false); /* the turn collects */
        return;
    case CORE_STOP:
        leaving_begin(c, now);
        if (c->config) {
            config_stop(c->config, now, &c->out);
        }
        c->has_left = true;
        mem_free(mail);
        return;
    }
}

static void on_lost(void *self, uint64_t key, struct span id)
{
    struct core *c = self;
    (void)id;
    close_conn(c, key, REMOVAL_CONNECTION_SILENT);
}

/* Move one proposal into the log, or on its way to the leader's. One that is refused is answered.
 */
static void propose(struct core *c, struct effect *e)
{
    struct fail why = {0};
    struct buf *op = e->u.propose.op;
    struct api_call *waiting = e->u.propose.waiting;
    enum consensus_kind kind = e->u.propose.kind;
    e->u.propose.op = NULL;
    e->u.propose.waiting = NULL;
    int err = 0;
    if (c->peers) {
        err = peering_propose(c->peers, kind, buf_span(op), waiting, c->now, &why);
    } else {
        err = consensus_propose(c->log, kind, buf_span(op), waiting, &why);
    }
    buf_unref(op);
    if (err && waiting) {
        core_reject(c, waiting, &why); /* may move the list: e is dead from here */
    }
}

/* One round of the log; nothing while it is not open. */
static bool turn_log(struct core *c)
{
    if (c->peers) {
        peering_send(c->peers, c->now);
    }
    return c->log && consensus_turn(c->log, c->now);
}

/* Log rounds until nothing new is proposed, one at least if is_due. True when ROUNDS_MAX was not
 * enough: the next turn goes on. */
static bool settle(struct core *c, bool is_due)
{
    bool again = is_due;
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
        again = turn_log(c);
    }
    return true;
}

/* The log has handed out all that earlier lives of this node committed: serve. */
static void become_ready(struct core *c)
{
    c->is_ready = true;
    if (c->options.dir) {
        struct naming_recovery r = naming_recovered(c->naming, c->now);
        LOG_INFO("node",
                 "event=recovered operations=%llu services=%zu instances=%zu awaited_clients=%zu "
                 "http_clients=%zu configs=%zu entry=%llu",
                 (unsigned long long)r.operations, r.services, r.instances, r.awaited_clients,
                 r.http_clients, config_stats(c->config).configs,
                 (unsigned long long)c->entry_index);
    }
    if (c->options.on_ready) {
        c->options.on_ready(c->options.self);
    }
}

/* Everything that was acknowledged is here; or as much as can be known without the others. */
static bool may_serve(struct core *c)
{
    if (!c->log) {
        return false;
    }
    return consensus_state(c->log).is_ready || (c->peers && peering_serves_alone(c->peers, c->now));
}

static uint64_t next_turn(const struct core *c)
{
    uint64_t at = clock_earlier(naming_deadline(c->naming), conn_deadline(c->conns));
    at = clock_earlier(at, leaving_deadline(c));
    at = clock_earlier(at, clock_earlier(orders_deadline(c), queries_deadline(c)));
    at = clock_earlier(at, loader_deadline(c));
    if (c->log) {
        at = clock_earlier(at, consensus_deadline(c->log));
    }
    if (c->peers) {
        at = clock_earlier(at, peering_deadline(c->peers));
    }
    if (c->tables) {
        at = clock_earlier(at, config_deadline(c->config));
        at = clock_earlier(at, table_writer_deadline(tables_writer(c->tables)));
    }
    return at;
}

static uint64_t on_turn(void *self, struct now now)
{
    struct core *c = self;
    c->now = now;
    conn_tick(c->conns, now, &c->out, on_lost, c);
    if (c->tables) {
        (void)db_worker_collect(tables_worker(c->tables));
    }
    if (c->peers && peering_turn(c->peers, now)) {
        loop_pause(c->loop); /* run opens the log */
    }
    queries_turn(c, now);
    orders_turn(c, now);
    loader_turn(c, now);
    bool again = settle(c, true);
    if (!c->is_ready && may_serve(c)) {
        become_ready(c);
    }
    if (c->peers) {
        peering_pending_turn(c->peers, now);
    }
    naming_turn(c->naming, now, &c->out);
    if (c->tables) {
        config_turn(c->config, now, &c->out);
    }
    if (c->peers) {
        peering_watch(c->peers, now);
    }
    bool has_gone = leaving_turn(c, now);
    again |= settle(c, false);
    if (c->peers) {
        peering_release(c->peers, now);
    }
    if (c->tables) {
        table_writer_turn(tables_writer(c->tables), now);
    }
    effects_perform(&c->out, &c->edge, c->peers);
    c->settled = 0;
    if (has_gone) {
        ASSERT(sem_post(&c->said_goodbye) == 0);
    }
    return again ? now.mono_ms : next_turn(c);
}

const struct loop_ops core_loop_ops = {on_mail, on_turn};

/* Whose time and whose turns. */
static int create_loop(struct core *c, const struct core_played *played)
{
    if (!played) {
        c->now = clock_now();
        return loop_create(&core_loop_ops, c, &c->loop);
    }
    c->is_played = true;
    c->now = played->now;
    c->played = *played;
    c->loop = loop_create_stepped(&core_loop_ops, c);
    return 0;
}

int core_create(const struct core_options *options, struct core **ret_core, struct fail *fail)
{
    struct core *c = mem_zalloc(1, sizeof(*c));
    int err = create_loop(c, options->played);
    if (err) {
        mem_free(c);
        return fail_set(fail, err, "the system gives no event loop");
    }
    ASSERT(sem_init(&c->said_goodbye, 0, 0) == 0);
    c->options = *options;
    c->db_mail.kind = CORE_DB;
    if (options->peers) {
        err = peering_create(options->peers, c, &c->peers, fail);
        if (err) {
            core_destroy(c);
            return err;
        }
        c->options.naming.self = peering_number(c->peers);
        c->queries.last_id = (uint64_t)c->now.wall_ms << 20; /* not those of an earlier life */
    }
    c->view = view_create();
    c->naming = naming_create(&c->options.naming, c->view);
    c->conns = conn_table_create(&options->conn);
    if (options->dir) {
        naming_replay(c->naming);
        err = core_open_tables(c, fail);
        if (!err) {
            err = backup_load_base(c, options->dir, fail);
        }
        if (!err) {
            err = core_open_log(c, fail);
        }
    } else {
        c->log = consensus_create_memory(&core_log_ops, c);
    }
    if (err) {
        core_destroy(c);
        return err;
    }
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
    } else if (mail->kind == CORE_PEER) {
        peering_drop_mail(mail);
    } else if (mail->kind != CORE_DB) {
        conn_mail_free(mail);
    }
    (void)c;
}

/* What was proposed after the log had gone. */
static void drop_proposals(struct core *c)
{
    struct fail why = {0};
    fail_set(&why, E_CLOSED, "the server is stopping");
    for (; c->settled < c->out.count; c->settled++) {
        struct effect *e = &c->out.list[c->settled];
        if (e->kind == EFFECT_PROPOSE) {
            struct api_call *waiting = e->u.propose.waiting;
            buf_unref(e->u.propose.op);
            e->u.propose.op = NULL;
            e->u.propose.waiting = NULL;
            if (waiting) {
                dispatch_fail(waiting, &why, &c->out);
            }
        }
    }
}

/* Everybody who waits is answered, log first, then db threads. */
static void answer_all(struct core *c)
{
    struct now now = c->is_played ? c->now : clock_now();
    orders_stop(c);
    queries_stop(c);
    if (c->config) {
        config_stop(c->config, now, &c->out);
    }
    if (c->tables) {
        table_writer_stop(tables_writer(c->tables)); /* the log waits for a snapshot that waits */
    }
    consensus_destroy(c->log);
    c->log = NULL;
    tables_destroy(c->tables);
    c->tables = NULL;
    if (c->config) {
        config_stop(c->config, now, &c->out);
    }
    peering_destroy(c->peers); /* answers what waits for a leader */
    c->peers = NULL;
    drop_proposals(c);
    effects_perform(&c->out, &c->edge, c->peers);
}

/* The state goes on the thread that owned it. */
static void drop_state(struct core *c)
{
    config_destroy(c->config);
    c->config = NULL;
    namespace_destroy(c->namespaces);
    c->namespaces = NULL;
    naming_destroy(c->naming);
    c->naming = NULL;
}

void core_end(struct core *c)
{
    answer_all(c);
    drop_state(c);
}

void core_destroy(struct core *c)
{
    if (!c) {
        return;
    }
    consensus_destroy(c->log); /* of a core that never ran; otherwise it has dropped its own */
    tables_destroy(c->tables);
    peering_destroy(c->peers);
    drop_state(c);
    leaving_close(&c->leaving);
    loop_destroy(c->loop, drop_mail);
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
    while (loop_run(c->loop)) {
        struct fail fail = {0};
        if (!c->log && core_open_log(c, &fail) != 0) {
            c->options.on_fatal(c->options.self, &fail);
        }
    }
    core_end(c);
    return NULL;
}

int core_start(struct core *c, struct rpc *edge, struct fail *fail)
{
    c->edge = effects_edge_rpc(edge);
    int err = thread_start(&c->thread, run, c);
    if (err) {
        return fail_set(fail, err, "the system gives no thread for the core");
    }
    c->running = true;
    return c->peers ? peering_start(c->peers, fail) : 0;
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
        peering_stop(c->peers);
        loop_stop(c->loop);
        if (c->is_played) {
            core_end(c);
        } else {
            pthread_join(c->thread, NULL);
        }
        c->running = false;
    }
}

static int post(void *self, struct core_mail *take_mail)
{
    struct core *c = self;
    return loop_post(c->loop, &take_mail->mail);
}

int core_set_members(struct core *c, const struct member_list *list)
{
    if (!c->peers) {
        return E_UNSUPPORTED;
    }
    peering_set_list(c->peers, list);
    return 0;
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

bool core_is_leaving(const struct core *c)
{
    return c->has_left;
}

struct consensus_state core_log_state(const struct core *c)
{
    return c->log ? consensus_state(c->log) : (struct consensus_state){.role = CONSENSUS_FOLLOWER};
}

struct door_way *core_peer_way(struct core *c)
{
    return c->peers ? peering_way(c->peers) : NULL;
}

const struct peering *core_peering(const struct core *c)
{
    return c->peers;
}

struct config *core_config(struct core *c)
{
    return c->config;
}

struct config_edge *core_config_edge(struct core *c)
{
    return config_edge(c->config);
}

struct namespaces *core_namespaces(struct core *c)
{
    return c->namespaces;
}

struct table_writer *core_tables(struct core *c)
{
    return c->tables ? tables_writer(c->tables) : NULL;
}
