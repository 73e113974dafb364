#include "bench/scenario_subscribe.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/fleet.h"
#include "bench/net.h"
#include "bench/procstat.h"

#define NS_PER_MS UINT64_C(1000000)

struct round {
    uint64_t revision;
    uint64_t sent_ns;
    uint64_t answered_ns; /* 0: not yet */
    unsigned missing;     /* subscribers without the push */
    int err;              /* of the registration */
    struct fail why;
};

struct watch {
    struct scenario *scenario;
    struct fleet publisher;
    struct fleet subscribers;
    struct frame change;
    size_t revision_at;
    struct h2call call;
    struct round round;
    uint64_t *pushed_ns; /* per subscriber, of this round; 0: not yet */
    bool measuring;
    uint64_t rounds;
    /* In nanoseconds, beside the report's latency (answer to push, every subscriber): */
    struct histogram from_sent;          /* every subscriber */
    struct histogram last_from_sent;     /* the last of each round */
    struct histogram last_from_answered; /* the same from the answer */
};

static void on_push(void *self, unsigned index, struct span body, uint64_t now_ns)
{
    struct watch *w = self;
    uint64_t revision = 0;
    if (w->pushed_ns[index] || !msg_revision(body, &revision) || revision < w->round.revision) {
        return;
    }
    w->pushed_ns[index] = now_ns;
    w->round.missing--;
}

static void on_answer(struct h2call *call)
{
    struct watch *w = CONTAINER_OF(call, struct watch, call);
    struct span message = {0};
    w->round.err = h2call_reply(call, &message, &w->round.why);
    if (!w->round.err) {
        w->round.err = frame_expect(message, SPAN("\"resultCode\":200"), &w->round.why);
    }
    w->round.answered_ns = poller_now(w->scenario->poller);
}

static uint64_t since(uint64_t at_ns, uint64_t from_ns)
{
    return at_ns > from_ns ? at_ns - from_ns : 0;
}

/* Put a finished round into the figures. */
static void note_round(struct watch *w)
{
    struct load_result *result = &w->scenario->report.result;
    uint64_t last_ns = 0;
    for (unsigned i = 0; i < w->subscribers.count; i++) {
        uint64_t at_ns = w->pushed_ns[i];
        if (at_ns == 0) {
            continue;
        }
        histogram_add(&result->latency, since(at_ns, w->round.answered_ns));
        histogram_add(&w->from_sent, since(at_ns, w->round.sent_ns));
        result->completed++;
        last_ns = at_ns > last_ns ? at_ns : last_ns;
    }
    if (last_ns > 0) {
        histogram_add(&w->last_from_sent, since(last_ns, w->round.sent_ns));
        histogram_add(&w->last_from_answered, since(last_ns, w->round.answered_ns));
    }
    w->rounds++;
}

static void turn_until(struct watch *w, uint64_t until_ns)
{
    while (clock_mono_ns() < until_ns) {
        poller_turn(w->scenario->poller, until_ns);
    }
}

/* One change and its pushes. */
static int run_round(struct watch *w, struct fail *fail)
{
    struct report *report = &w->scenario->report;
    uint64_t revision = w->round.revision + 1;
    w->round = (struct round){.revision = revision, .missing = w->subscribers.count};
    for (unsigned i = 0; i < w->subscribers.count; i++) {
        w->pushed_ns[i] = 0;
    }
    frame_patch(&w->change, w->revision_at, revision);
    w->call.request = frame_span(&w->change);
    w->call.done = on_answer;
    w->round.sent_ns = clock_mono_ns();
    if (h2conn_call(w->publisher.session[0].conn, &w->call)) {
        return fail_set(fail, E_CLOSED, "the publisher's connection is closed: %s",
                        fail_text(&w->publisher.why));
    }
    uint64_t until_ns = w->round.sent_ns + SUBSCRIBE_ROUND_MS * NS_PER_MS;
    while ((w->round.missing > 0 || w->round.answered_ns == 0) && w->round.err == 0 &&
           clock_mono_ns() < until_ns) {
        poller_turn(w->scenario->poller, until_ns);
    }
    if (w->round.err) {
        return fail_set(fail, w->round.err, "register: %s", fail_text(&w->round.why));
    }
    if (w->round.answered_ns == 0) {
        return fail_set(fail, E_TIMEOUT, "register: no answer in %d ms", SUBSCRIBE_ROUND_MS);
    }
    session_heard(&w->publisher.session[0]);
    for (unsigned i = 0; i < w->round.missing; i++) {
        report_error(report, E_TIMEOUT, "a subscriber missed a change for 5 s");
    }
    if (w->subscribers.lost == w->subscribers.count) {
        return fail_set(fail, E_CLOSED, "all subscribers were lost: %s",
                        fail_text(&w->subscribers.why));
    }
    if (w->measuring) {
        note_round(w);
    }
    return 0;
}

static int run_rounds(struct watch *w, double run_s, struct fail *fail)
{
    uint64_t interval_ns = w->scenario->options->interval_ms * NS_PER_MS;
    uint64_t end_ns = clock_mono_ns() + (uint64_t)(run_s * 1e9);
    while (clock_mono_ns() < end_ns) {
        int err = run_round(w, fail);
        if (err) {
            return err;
        }
        turn_until(w, clock_mono_ns() + interval_ns);
    }
    return 0;
}

static int prepare(struct watch *w, struct fail *fail)
{
    const struct options *o = w->scenario->options;
    struct frame subscribe = {0};
    int err = fleet_open(&w->publisher, 1, fail);
    if (!err) {
        err = fleet_open(&w->subscribers, o->subscribers, fail);
    }
    if (err) {
        return err;
    }
    w->pushed_ns = mem_zalloc(o->subscribers, sizeof(uint64_t));
    msg_instance(&w->change, &w->scenario->place, true, 0, 1);
    w->revision_at = msg_revision_offset(&w->change);
    msg_subscribe(&subscribe, &w->scenario->place, 0);
    err = fleet_ask_all(&w->subscribers, &subscribe, fail);
    frame_close(&subscribe);
    return err;
}

static void fill(struct watch *w)
{
    struct report *r = &w->scenario->report;
    report_add(r, "changes", (double)w->rounds);
    report_add(r, "sent_to_push_p50_us", (double)histogram_quantile(&w->from_sent, 0.5) / 1e3);
    report_add(r, "sent_to_push_p99_us", (double)histogram_quantile(&w->from_sent, 0.99) / 1e3);
    report_add(r, "sent_to_last_push_p50_us",
               (double)histogram_quantile(&w->last_from_sent, 0.5) / 1e3);
    report_add(r, "sent_to_last_push_max_us", (double)w->last_from_sent.max / 1e3);
    report_add(r, "answered_to_last_push_p50_us",
               (double)histogram_quantile(&w->last_from_answered, 0.5) / 1e3);
    report_add(r, "answered_to_last_push_max_us", (double)w->last_from_answered.max / 1e3);
}

static int measure(struct watch *w, struct fail *fail)
{
    const struct options *o = w->scenario->options;
    struct report *r = &w->scenario->report;
    struct meter meter;
    int err = run_rounds(w, o->warmup_s, fail);
    if (!err) {
        err = meter_begin(&meter, o->pid, fail);
    }
    if (err) {
        return err;
    }
    w->measuring = true;
    err = run_rounds(w, o->seconds, fail);
    struct fail unread;
    int meter_err = meter_end(&meter, &r->result.usage, err ? &unread : fail);
    fill(w);
    return err ? err : meter_err;
}

static int watch_pushes(struct scenario *s, const struct addrinfo *publish_to, struct fail *fail)
{
    struct watch *w = mem_zalloc(1, sizeof(*w));
    w->scenario = s;
    s->report.unit = "pushes";
    fleet_init(&w->publisher, s->poller, publish_to, false);
    fleet_init(&w->subscribers, s->poller, s->address, false);
    w->subscribers.self = w;
    w->subscribers.on_push = on_push;
    int err = prepare(w, fail);
    if (!err) {
        err = measure(w, fail);
    }
    fleet_close(&w->subscribers);
    fleet_close(&w->publisher);
    frame_close(&w->change);
    h2call_close(&w->call);
    mem_free(w->pushed_ns);
    mem_free(w);
    return err;
}

int scenario_subscribe(struct scenario *s, struct fail *fail)
{
    const struct options *o = s->options;
    if (o->publish_port == 0) {
        return watch_pushes(s, s->address, fail);
    }
    struct addrinfo *other = NULL;
    int err = net_resolve(o->host, o->publish_port, &other, fail);
    if (err) {
        return err;
    }
    err = watch_pushes(s, other, fail);
    freeaddrinfo(other);
    return err;
}
