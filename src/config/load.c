#include "config/load.h"

#include "api/dispatch.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "config/config_repo.h"

/* A content that is not the one that is looked for was replaced after it was read, so the next
 * reading brings it. Beyond this many the tables and the memory contradict each other. */
#define LOAD_TRIES_MAX 4

/* A call that waits; in its own arena. */
struct waiter {
    struct waiter *next;
    struct api_call *call;
    load_ready_fn ready;
};

/* One version as the tables have it. */
struct found {
    struct found *next;
    struct buf *content;
    uint8_t md5[CONFIG_MD5_BYTES];
};

struct load {
    struct db_job job;
    struct load *next; /* loads_ended */
    struct config *c;
    struct item *item; /* stays while it is loading; the job reads its key */
    struct waiter *waiters, **last;
    size_t waiters_count;
    int tries;
    struct found *found; /* the job's, then core's */
};

static int keep_version(void *arg, const struct repo_version *v, struct fail *fail)
{
    struct load *l = arg;
    (void)fail;
    struct found *f = mem_alloc(sizeof(*f));
    f->content = buf_create(v->content);
    f->next = l->found;
    config_md5(v->content, f->md5);
    l->found = f;
    return 0;
}

static int load_run(struct db_job *job, struct db *db, struct fail *fail)
{
    struct load *l = CONTAINER_OF(job, struct load, job);
    struct config_key key = item_key(l->item);
    return config_repo_contents(db, &key, keep_version, l, fail);
}

static void load_done(struct db_job *take_job)
{
    struct load *l = CONTAINER_OF(take_job, struct load, job);
    l->next = l->c->loads_ended;
    l->c->loads_ended = l;
}

static int submit(struct load *l, struct fail *fail)
{
    l->job = (struct db_job){.lane = DB_LANE_READ, .run = load_run, .done = load_done};
    l->tries++;
    /* What is cold is in the tables (cache.h). */
    return table_writer_read_now(l->c->tables, &l->job, fail);
}

static int begin(struct config *c, struct item *i, struct fail *fail)
{
    struct load *l = mem_zalloc(1, sizeof(*l));
    l->c = c;
    l->item = i;
    l->last = &l->waiters;
    int err = submit(l, fail);
    if (err) {
        mem_free(l);
        return err;
    }
    i->load = l;
    return 0;
}

int load_wait(struct config *c, struct item *i, struct api_call *call, load_ready_fn ready,
              struct now now, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    (void)now;
    int err = i->load ? 0 : begin(c, i, fail);
    if (err) {
        return err;
    }
    struct load *l = i->load;
    if (l->waiters_count == LOAD_WAITERS_MAX) {
        return fail_set(fail, E_LIMIT, "this config is being read; at most %d requests wait for it",
                        LOAD_WAITERS_MAX);
    }
    struct waiter *w = arena_alloc(&call->arena, sizeof(*w));
    *w = (struct waiter){.call = call, .ready = ready};
    *l->last = w;
    l->last = &w->next;
    l->waiters_count++;
    return API_LATER;
}

static void forget_found(struct load *l)
{
    while (l->found) {
        struct found *f = l->found;
        l->found = f->next;
        buf_unref(f->content);
        mem_free(f);
    }
}

/* The content of a cold version, or NULL: it was not found. */
static struct buf *content_of(const struct load *l, const struct config_version *v)
{
    for (const struct found *f = l->found; f; f = f->next) {
        if (f->content->len == v->length && memcmp(f->md5, v->md5, CONFIG_MD5_BYTES) == 0) {
            return f->content;
        }
    }
    return NULL;
}

/* v itself, or a hot one in its place; one reference. *is_cold: it stays cold. */
static struct config_version *warm(const struct load *l, struct config_version *v, bool *is_cold)
{
    if (v->content) {
        return config_version_ref(v);
    }
    struct buf *content = content_of(l, v);
    *is_cold = *is_cold || !content;
    return content ? config_version_with(v, content) : config_version_ref(v);
}

/* Put what was found where it belongs. False: a version is still cold. */
static bool fill(struct config *c, struct load *l, struct now now)
{
    const struct config_value *old = l->item->value;
    if (!old) {
        return true; /* it went meanwhile */
    }
    bool is_cold = false;
    struct config_version *formal = old->formal ? warm(l, old->formal, &is_cold) : NULL;
    struct config_gray gray[CONFIG_GRAY_LIMIT];
    size_t count = old->gray_count;
    for (size_t g = 0; g < count; g++) {
        gray[g] = old->gray[g];
        gray[g].version = warm(l, old->gray[g].version, &is_cold);
    }
    struct config_value *value = config_value_create(formal, gray, count);
    atomic_store_explicit(&value->used, true, memory_order_relaxed);
    config_version_unref(formal);
    for (size_t g = 0; g < count; g++) {
        config_version_unref(gray[g].version);
    }
    item_set_value(c, l->item, value, now);
    return !is_cold;
}

/* Answer all that wait, and forget the load. */
static void finish(struct config *c, struct load *l, int err, const struct fail *fail,
                   struct now now, struct outbox *out)
{
    struct item *i = l->item;
    i->load = NULL;
    struct waiter *next = NULL;
    for (struct waiter *w = l->waiters; w; w = next) {
        next = w->next;
        w->ready(c, i, w->call, err, fail, now, out);
    }
    atomic_fetch_add_explicit(err ? &c->counters.load_failures : &c->counters.loads, 1,
                              memory_order_relaxed);
    forget_found(l);
    mem_free(l);
    (void)item_release(c, i);
}

/* What is stored is not what is looked for: read again. Returns 0 when it is on its way. */
static int again(struct load *l, struct fail *fail)
{
    forget_found(l);
    if (l->tries < LOAD_TRIES_MAX) {
        return submit(l, fail);
    }
    struct config_key key = item_key(l->item);
    return fail_set(fail, E_CORRUPT,
                    "config %.*s of group %.*s: the stored content is not the one that was "
                    "published; publish it again or restore a backup",
                    SPAN_ARG(key.data_id), SPAN_ARG(key.group));
}

static void end(struct config *c, struct load *l, struct now now, struct outbox *out)
{
    int err = l->job.err;
    struct fail fail = l->job.fail;
    if (!err && !fill(c, l, now)) {
        err = again(l, &fail);
        if (!err) {
            return;
        }
    }
    if (err && fail.code == 0) {
        fail.code = err;
    }
    finish(c, l, err, &fail, now, out);
}

void load_turn(struct config *c, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    struct load *list = c->loads_ended;
    c->loads_ended = NULL;
    while (list) {
        struct load *l = list;
        list = l->next;
        end(c, l, now, out);
    }
}

static void answer_closed(struct config *c, struct load *l, struct outbox *out)
{
    struct fail fail = {0};
    fail_set(&fail, E_CLOSED, "the server is stopping");
    struct waiter *w = l->waiters;
    l->waiters = NULL;
    l->last = &l->waiters;
    l->waiters_count = 0;
    while (w) {
        struct waiter *next = w->next;
        w->ready(c, l->item, w->call, E_CLOSED, &fail, (struct now){0}, out);
        w = next;
    }
}

void load_stop(struct config *c, struct outbox *out)
{
    for (struct item *i = c->items; i; i = i->hh.next) {
        if (i->load) {
            answer_closed(c, i->load, out);
        }
    }
    /* Those whose job is over; the others come here when the node stops its db threads. */
    while (c->loads_ended) {
        struct load *l = c->loads_ended;
        c->loads_ended = l->next;
        struct item *i = l->item;
        i->load = NULL;
        forget_found(l);
        mem_free(l);
        (void)item_release(c, i);
    }
}
