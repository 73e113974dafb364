#include "bench/fleet.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#define NS_PER_MS UINT64_C(1000000)
#define TICK_NS (100 * NS_PER_MS)
#define ASK_NS (10000 * NS_PER_MS)

static void on_ready(struct session *s)
{
    struct fleet *f = s->self;
    f->ready++;
}

static void on_lost(struct session *s, const struct fail *why)
{
    struct fleet *f = s->self;
    if (f->lost++ == 0) {
        f->why = *why;
    }
}

static void on_push(struct session *s, struct span body, uint64_t now_ns)
{
    struct fleet *f = s->self;
    if (f->on_push) {
        f->on_push(f->self, (unsigned)(s - f->session), body, now_ns);
    }
}

static void on_tick(struct poll_timer *timer, uint64_t now_ns)
{
    struct fleet *f = CONTAINER_OF(timer, struct fleet, tick);
    for (unsigned i = 0; i < f->begun; i++) {
        session_tick(&f->session[i], now_ns);
    }
    timer->at_ns = now_ns + TICK_NS;
}

void fleet_init(struct fleet *f, struct poller *poller, const struct addrinfo *address, bool raw)
{
    *f = (struct fleet){.poller = poller, .address = address, .raw = raw};
    f->ops = (struct session_ops){.on_ready = on_ready, .on_push = on_push, .on_lost = on_lost};
    session_frames_init(&f->frames, "naming");
    f->tick = (struct poll_timer){.at_ns = clock_mono_ns() + TICK_NS, .fn = on_tick};
    poller_know(poller, &f->tick);
}

void fleet_for_configs(struct fleet *f)
{
    ASSERT(f->session == NULL);
    session_frames_close(&f->frames);
    session_frames_init(&f->frames, "config");
}

int fleet_open(struct fleet *f, unsigned count, struct fail *fail)
{
    ASSERT(f->session == NULL && count > 0);
    f->session = mem_zalloc(count, sizeof(*f->session));
    f->count = count;
    const struct session_config config = {.poller = f->poller,
                                          .address = f->address,
                                          .frames = &f->frames,
                                          .ops = &f->ops,
                                          .self = f,
                                          .raw = f->raw};
    while (f->ready < count && f->lost == 0) {
        while (f->begun < count && f->begun - f->ready < FLEET_OPENING_MAX) {
            struct fail why;
            int err = session_init(&f->session[f->begun], &config, &why);
            if (err) {
                return fail_set(fail, err, "connection %u of %u: %s", f->begun + 1, count,
                                fail_text(&why));
            }
            f->begun++;
        }
        poller_turn(f->poller, POLLER_NEVER);
    }
    if (f->lost > 0) {
        return fail_set(fail, f->why.code, "%u of %u connections ready, then: %s", f->ready, count,
                        fail_text(&f->why));
    }
    return 0;
}

/* One request of fleet_ask or fleet_ask_all. */
struct ask {
    struct h2call call;
    struct session *session;
    struct fleet_asks *all;
};

struct fleet_asks {
    unsigned waiting;
    int err;
    struct fail why;
    struct bytes *reply;
};

static void on_answer(struct h2call *call)
{
    struct ask *ask = CONTAINER_OF(call, struct ask, call);
    struct fleet_asks *all = ask->all;
    struct span message = {0};
    struct fail fail;
    all->waiting--;
    int err = h2call_reply(call, &message, &fail);
    if (!err) {
        err = frame_expect(message, SPAN("\"resultCode\":200"), &fail);
    }
    if (err && !all->err) {
        all->err = err;
        all->why = fail;
    }
    if (!err) {
        session_heard(ask->session);
        if (all->reply) {
            bytes_append(all->reply, message.data, message.len);
        }
    }
}

static int ask_range(struct fleet *f, unsigned from, unsigned to, const struct frame *request,
                     struct fleet_asks *all)
{
    struct ask *asks = mem_zalloc(to - from, sizeof(*asks));
    for (unsigned i = from; i < to; i++) {
        struct ask *ask = &asks[i - from];
        ask->session = &f->session[i];
        ask->all = all;
        ask->call.request = frame_span(request);
        ask->call.done = on_answer;
        if (h2conn_call(ask->session->conn, &ask->call) == 0) {
            all->waiting++;
        } else if (!all->err) {
            all->err = fail_set(&all->why, E_CLOSED, "connection %u is closed", i + 1);
        }
    }
    uint64_t until_ns = clock_mono_ns() + ASK_NS;
    while (all->waiting > 0 && clock_mono_ns() < until_ns) {
        poller_turn(f->poller, until_ns);
    }
    if (all->waiting > 0) {
        /* The calls are still known to their connections, which would write into freed memory. */
        for (unsigned i = from; i < to; i++) {
            session_close(&f->session[i]);
        }
        all->err = fail_set(&all->why, E_TIMEOUT, "%u requests without an answer after 10 s",
                            all->waiting);
    }
    for (unsigned i = from; i < to; i++) {
        h2call_close(&asks[i - from].call);
    }
    mem_free(asks);
    return all->err;
}

int fleet_ask(struct fleet *f, unsigned index, const struct frame *request, struct bytes *ret_reply,
              struct fail *fail)
{
    struct fleet_asks all = {.reply = ret_reply};
    ASSERT(index < f->begun);
    int err = ask_range(f, index, index + 1, request, &all);
    return err ? fail_set(fail, err, "%s", fail_text(&all.why)) : 0;
}

int fleet_ask_all(struct fleet *f, const struct frame *request, struct fail *fail)
{
    struct fleet_asks all = {0};
    int err = ask_range(f, 0, f->begun, request, &all);
    return err ? fail_set(fail, err, "%s", fail_text(&all.why)) : 0;
}

void fleet_close(struct fleet *f)
{
    poller_forget(f->poller, &f->tick);
    for (unsigned i = 0; i < f->begun; i++) {
        session_close(&f->session[i]);
    }
    mem_free(f->session);
    f->session = NULL;
    session_frames_close(&f->frames);
}
