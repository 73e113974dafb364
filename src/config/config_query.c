#include "config/config_query.h"

#include "api/row.h"
#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/thread.h"

/* In the call's arena: gone with it, so nothing is touched after deliver. */
struct query {
    struct db_job job;
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

/* On db-N; on core when the tables never came so far, on main when the node ends. */
static void query_done(struct db_job *take_job)
{
    struct query *q = CONTAINER_OF(take_job, struct query, job);
    struct api_call *call = q->call;
    if (take_job->err) {
        body_close(&call->reply.body);
        call->reply.fail = take_job->fail;
        call->reply.fail.code = take_job->err;
        if (!call->reply.fail.v2 && is_of_database(take_job->err)) {
            call->reply.fail.v2 = V2_DATA_ACCESS_ERROR;
        }
    }
    call->deliver(call);
}

int config_query(struct config *c, struct api_call *call, config_query_fn run, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    struct query *q = arena_alloc(&call->arena, sizeof(*q));
    *q = (struct query){
        .job = {.lane = DB_LANE_READ,
                .done_on_db = true,
                .wait_ms_max = CONFIG_QUERY_WAIT_MS,
                .run = run_query,
                .done = query_done},
        .call = call,
        .run = run,
    };
    int err = table_writer_read(c->tables, &q->job, fail);
    return err ? err : API_LATER;
}
