#include "node/ask.h"

#include <pthread.h>
#include <time.h>

#include "api/call.h"
#include "api/row.h"
#include "base/assert.h"
#include "base/mem.h"
#include "node/core.h"
#include "node/orders.h"

#define NS_PER_MS 1000000L
#define NS_PER_S 1000000000L

/* The waiting thread, the call on its way, and whoever answers hold one reference each. */
struct ask {
    struct api_call call; /* first; never an edge's */
    struct core *core;
    struct query query;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned refs;
    enum answer_state state; /* 0: nothing new */
    struct buf *text;
};

static void unref(struct ask *a, unsigned count)
{
    pthread_mutex_lock(&a->lock);
    a->refs -= count;
    bool is_last = a->refs == 0;
    pthread_mutex_unlock(&a->lock);
    if (is_last) {
        buf_unref(a->text);
        pthread_cond_destroy(&a->changed);
        pthread_mutex_destroy(&a->lock);
        mem_free(a);
    }
}

static void tell(struct ask *a, enum answer_state state, struct span text)
{
    struct buf *copy = buf_create(text);
    pthread_mutex_lock(&a->lock);
    buf_unref(a->text); /* progress that was not read yet is old now */
    a->text = copy;
    a->state = state;
    pthread_cond_signal(&a->changed);
    pthread_mutex_unlock(&a->lock);
}

static void on_told(void *arg, const struct answer *answer)
{
    struct ask *a = arg;
    tell(a, answer->state, answer->text);
    if (answer->state != ANSWER_PROGRESS) {
        unref(a, 1);
    }
}

static int admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                 struct fail *fail)
{
    struct ask *a = CONTAINER_OF(call, struct ask, call);
    (void)self;
    (void)out;
    (void)fail;
    orders_ask(a->core, &a->query, on_told, a, now);
    return API_ANSWERED;
}

static void deliver(struct api_call *call)
{
    struct ask *a = CONTAINER_OF(call, struct ask, call);
    bool is_lost = call->reply.fail.code != 0; /* it never reached admit */
    if (is_lost) {
        tell(a, ANSWER_FAILED, span_str(fail_text(&call->reply.fail)));
    }
    unref(a, is_lost ? 2 : 1);
}

static const struct api_row row = {.name = "cluster", .admit = admit};

static struct ask *create(struct core *core, const struct query *q)
{
    struct ask *a = mem_zalloc(1, sizeof(*a));
    a->call = (struct api_call){.mail = {.kind = CORE_CALL}, .row = &row, .deliver = deliver};
    a->core = core;
    a->query = *q;
    a->refs = 3;
    ASSERT(pthread_mutex_init(&a->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&a->changed, NULL) == 0);
    return a;
}

/* The next news within a slice: 0 when there are none. The text is the caller's. */
static enum answer_state next_news(struct ask *a, struct buf **ret_text)
{
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ASK_SLICE_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_mutex_lock(&a->lock);
    if (a->state == 0) {
        (void)pthread_cond_timedwait(&a->changed, &a->lock, &until);
    }
    enum answer_state state = a->state;
    *ret_text = a->text;
    a->state = 0;
    a->text = NULL;
    pthread_mutex_unlock(&a->lock);
    return state;
}

/* Until it is over. */
static int await(struct ask *a, const struct ask_listener *listener, struct buf **ret_text,
                 struct fail *fail)
{
    for (;;) {
        struct buf *text = NULL;
        enum answer_state state = next_news(a, &text);
        if (state == ANSWER_DONE) {
            *ret_text = text;
            return 0;
        }
        if (state == ANSWER_FAILED) {
            (void)fail_set(fail, E_INVALID, "%.*s", SPAN_ARG(buf_span(text)));
        } else if (state == ANSWER_PROGRESS) {
            listener->on_progress(listener->arg, buf_span(text));
        }
        buf_unref(text);
        if (state == ANSWER_FAILED) {
            return E_INVALID;
        }
        if (listener->is_over(listener->arg)) {
            return fail_set(fail, E_CLOSED, "nobody waits for the answer any more");
        }
    }
}

int ask_core(struct core *core, const struct query *q, const struct ask_listener *listener,
             struct buf **ret_text, struct fail *fail)
{
    struct ask *a = create(core, q);
    struct core_port port = core_port(core);
    int err = port.post(port.self, &a->call.mail);
    if (err) {
        unref(a, 3);
        return fail_set(fail, err, "the node is stopping or overloaded; try again");
    }
    err = await(a, listener, ret_text, fail);
    unref(a, 1);
    return err;
}
