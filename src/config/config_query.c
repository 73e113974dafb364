#include "config/config_query.h"

#include "api/dispatch.h"
#include "api/row.h"
#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/thread.h"
#include "config/config_gate.h"

/* In the call's arena: gone with it, so nothing is touched after deliver. */
struct query {
    struct db_job job;
    struct query *next; /* queries */
    struct config *c;
    struct api_call *call;
    config_query_fn run;
};

/* A transaction around it: count and page are of one state. */
static int run_query(struct db_job *job, struct db *db, struct fail *fail)
{
    struct query *q = CONTAINER_OF(job, struct query, job);
    int err = db_begin(db, DB_TX_READ, fail);
    if (err) {
        return err;
    }
    err = q->run(db, q->call, fail);
    db_rollback(db);
    return err;
}

/* What the request is not to blame for (http-api.md 1.3, database failure). */
static bool is_of_database(int err)
{
    return err == E_IO || err == E_GONE || err == E_CORRUPT || err == E_BUSY || err == E_FULL ||
           err == E_INTERNAL;
}

/* The call goes back; q with it. */
static void deliver(struct query *take_q, int err, const struct fail *why)
{
    struct api_call *call = take_q->call;
    if (err) {
        body_close(&call->reply.body);
        call->reply.fail = *why;
        call->reply.fail.code = err;
        if (!call->reply.fail.v2 && is_of_database(err)) {
            call->reply.fail.v2 = V2_DATA_ACCESS_ERROR;
        }
    }
    call->deliver(call);
}

static void query_done(struct db_job *take_job);

static int submit(struct query *q, struct fail *fail)
{
    q->job = (struct db_job){
        .lane = DB_LANE_READ,
        .wait_ms_max = CONFIG_QUERY_WAIT_MS,
        .run = run_query,
        .done = query_done,
    };
    int err = table_writer_read(q->c->tables, &q->job, fail);
    q->c->is_query_out = err == 0;
    return err;
}

static struct query *pop(struct config *c)
{
    struct query *q = c->queries;
    if (q) {
        c->queries = q->next;
        c->queries_count--;
    }
    return q;
}

/* On core; on main when the node ends (nothing waits any more then). */
static void query_done(struct db_job *take_job)
{
    struct query *q = CONTAINER_OF(take_job, struct query, job);
    struct config *c = q->c;
    deliver(q, take_job->err, &take_job->fail);
    c->is_query_out = false;
    for (q = pop(c); q; q = pop(c)) {
        struct fail why = {0};
        int err = submit(q, &why);
        if (!err) {
            return;
        }
        deliver(q, err, &why);
    }
}

static void append(struct config *c, struct query *q)
{
    struct query **end = &c->queries;
    while (*end) {
        end = &(*end)->next;
    }
    *end = q;
    c->queries_count++;
}

int config_query(struct config *c, struct api_call *call, config_query_fn run, struct now now,
                 struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (config_gate_is_behind(c, call, now)) {
        return API_LATER;
    }
    if (c->queries_count == CONFIG_QUERIES_MAX) {
        return fail_set(fail, E_LIMIT, "%d searches wait already", CONFIG_QUERIES_MAX);
    }
    struct query *q = arena_alloc(&call->arena, sizeof(*q));
    q->c = c;
    q->call = call;
    q->run = run;
    if (c->is_query_out) {
        append(c, q);
        return API_LATER;
    }
    int err = submit(q, fail);
    return err ? err : API_LATER;
}

void config_query_stop(struct config *c, struct outbox *out)
{
    struct fail why = {0};
    (void)fail_set(&why, E_CLOSED, "the server is stopping");
    for (struct query *q = pop(c); q; q = pop(c)) {
        dispatch_fail(q->call, &why, out);
    }
}
