#include "config/remove_ids.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/thread.h"
#include "config/config_query.h"
#include "config/config_repo.h"

struct removal {
    struct db_job job;
    struct removal *next; /* removals_ended */
    struct config *c;
    struct api_call *call;
    const struct remove_ids *what;
    struct config_key *keys; /* the job's, then core's; room for what->count */
    size_t count;
};

static int keep_key(void *arg, const struct repo_version *v, struct fail *fail)
{
    struct removal *r = arg;
    struct arena *arena = &r->call->arena;
    (void)fail;
    ASSERT(r->count < r->what->count);
    r->keys[r->count++] = (struct config_key){
        .tenant = arena_span(arena, v->key.tenant),
        .group = arena_span(arena, v->key.group),
        .data_id = arena_span(arena, v->key.data_id),
    };
    return 0;
}

static int find_keys(struct db_job *job, struct db *db, struct fail *fail)
{
    struct removal *r = CONTAINER_OF(job, struct removal, job);
    return config_repo_by_ids(db, r->what->ids, r->what->count, keep_key, r, fail);
}

static void on_found(struct db_job *take_job)
{
    struct removal *r = CONTAINER_OF(take_job, struct removal, job);
    r->next = r->c->removals_ended;
    r->c->removals_ended = r;
}

int remove_ids_start(struct config *c, const struct remove_ids *what, struct api_call *call,
                     struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(what->count <= REMOVE_IDS_MAX);
    if (what->count == 0) {
        return API_ANSWERED;
    }
    struct removal *r = arena_alloc(&call->arena, sizeof(*r));
    *r = (struct removal){
        .job = {.lane = DB_LANE_READ,
                .wait_ms_max = CONFIG_QUERY_WAIT_MS,
                .run = find_keys,
                .done = on_found},
        .c = c,
        .call = call,
        .what = what,
        .keys = arena_alloc(&call->arena, what->count * sizeof(*r->keys)),
    };
    int err = table_writer_read(c->tables, &r->job, fail);
    return err ? err : API_LATER;
}

/* Which are still there; the others are gone already. */
static size_t keep_present(struct config *c, struct config_key *keys, size_t count)
{
    size_t kept = 0;
    for (size_t n = 0; n < count; n++) {
        const struct item *i = item_find(c, &keys[n]);
        if (i && i->value && i->value->formal) {
            keys[kept++] = keys[n];
        }
    }
    return kept;
}

/* The last one carries the call: the log keeps the order, so when it is applied they all are. */
static void propose_all(struct config *c, struct removal *r, struct now now, struct outbox *out)
{
    struct api_call *call = r->call;
    size_t count = keep_present(c, r->keys, r->count);
    struct fail fail = {0};
    int next = API_ANSWERED;
    for (size_t n = 0; n < count && next >= 0; n++) {
        next = config_admit_remove(c, &r->keys[n], SPAN(""), &r->what->who,
                                   n + 1 == count ? call : NULL, now, out, &fail);
    }
    if (next < 0) {
        dispatch_fail(call, &fail, out);
    } else if (next == API_ANSWERED) {
        outbox_reply(out, call);
    }
}

void remove_ids_turn(struct config *c, struct now now, struct outbox *out)
{
    struct removal *list = c->removals_ended;
    c->removals_ended = NULL;
    while (list) {
        struct removal *r = list;
        list = r->next;
        if (r->job.err) {
            struct fail why = r->job.fail;
            why.code = r->job.err;
            dispatch_fail(r->call, &why, out);
            continue;
        }
        propose_all(c, r, now, out);
    }
}

void remove_ids_stop(struct config *c, struct outbox *out)
{
    struct fail why = {0};
    (void)fail_set(&why, E_CLOSED, "the server is stopping");
    while (c->removals_ended) {
        struct removal *r = c->removals_ended;
        c->removals_ended = r->next;
        dispatch_fail(r->call, &why, out);
    }
}
