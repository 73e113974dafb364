#include "bench/scenario_listen.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/fleet.h"
#include "bench/messages_config.h"
#include "bench/procstat.h"

#define NS_PER_MS UINT64_C(1000000)

struct listen_run;

enum step {
    STEP_REST,   /* listens, and holds what the server has */
    STEP_LISTEN, /* a ConfigBatchListenRequest is under way */
    STEP_READ    /* a ConfigQueryRequest is */
};

struct listener {
    struct h2call call;
    struct listen_run *run;
    struct session *session;
    struct frame listen;
    struct frame query;
    unsigned config;
    enum step step;
    bool again;          /* told while it was not at rest */
    uint64_t revision;   /* of what it has read */
    uint64_t told_ns;    /* of this round; 0: not yet */
    uint64_t read_ns;    /* the same */
    uint64_t settled_ns; /* listens again with the new md5 */
};

/* One config and the call that changes it. */
struct subject {
    struct h2call call;
    struct listen_run *run;
    struct session *session;
    struct frame publish;
    size_t content_at;
    uint64_t answered_ns; /* of this round; 0: not yet */
    int err;
    struct fail why;
};

struct listen_run {
    struct scenario *scenario;
    struct fleet publishers;
    struct fleet listeners;
    struct subject *subjects;
    unsigned subject_count;
    struct listener *all;
    unsigned listener_count;
    uint64_t revision; /* of this round */
    uint64_t sent_ns;
    unsigned unanswered; /* publishes */
    unsigned unsettled;  /* listeners without this round's revision, or not at rest */
    bool measuring;
    uint64_t rounds;
    /* In nanoseconds, beside the report's latency: */
    struct histogram from_sent;        /* to the notice */
    struct histogram answered_to_read; /* to the content */
    struct histogram told_to_read;
};

/* ---- a listener ---- */

static void listener_fail(struct listener *l, int err, const struct fail *why)
{
    struct fail text;
    (void)fail_set(&text, err, "%s: %s", l->step == STEP_READ ? "query" : "listen", fail_text(why));
    report_error(&l->run->scenario->report, err, fail_text(&text));
    l->step = STEP_REST;
}

static void listener_call(struct listener *l, enum step step)
{
    l->step = step;
    l->call.request = frame_span(step == STEP_READ ? &l->query : &l->listen);
    if (h2conn_call(l->session->conn, &l->call)) {
        struct fail fail;
        (void)fail_set(&fail, E_CLOSED, "the connection is closed");
        listener_fail(l, E_CLOSED, &fail);
    }
}

/* Nothing to do: either told again meanwhile, or at rest. */
static void listener_rest(struct listener *l)
{
    l->step = STEP_REST;
    if (l->again) {
        l->again = false;
        listener_call(l, STEP_LISTEN);
        return;
    }
    if (l->settled_ns == 0 && l->revision >= l->run->revision) {
        l->settled_ns = poller_now(l->run->scenario->poller);
        l->run->unsettled--;
    }
}

static int take_content(struct listener *l, struct span message, struct fail *fail)
{
    uint64_t revision = 0;
    struct span md5 = msg_config_md5(message);
    if (!msg_content_revision(message, &revision) || span_empty(md5)) {
        return fail_set(fail, E_INTERNAL, "expected a content of ours and its md5 in the reply");
    }
    if (revision < l->revision) {
        return fail_set(fail, E_INTERNAL, "expected revision %llu or a later one, found %llu",
                        (unsigned long long)l->revision, (unsigned long long)revision);
    }
    l->revision = revision;
    if (l->read_ns == 0 && revision >= l->run->revision) {
        l->read_ns = poller_now(l->run->scenario->poller);
    }
    msg_config_listen(&l->listen, &l->run->scenario->place, l->config, md5);
    return 0;
}

static void on_listener_answer(struct h2call *call)
{
    struct listener *l = CONTAINER_OF(call, struct listener, call);
    struct span message = {0};
    struct fail fail;
    int err = h2call_reply(call, &message, &fail);
    if (!err) {
        err = frame_expect(message, SPAN("\"resultCode\":200"), &fail);
    }
    if (!err && l->step == STEP_READ) {
        err = take_content(l, message, &fail);
    }
    if (err) {
        listener_fail(l, err, &fail);
        return;
    }
    session_heard(l->session);
    if (l->step == STEP_READ) {
        listener_call(l, STEP_LISTEN);
    } else if (msg_config_changed(message)) {
        listener_call(l, STEP_READ);
    } else {
        listener_rest(l);
    }
}

/* A ConfigChangeNotifyRequest: the only config that the connection listens to. */
static void on_notice(void *self, unsigned index, struct span body, uint64_t now_ns)
{
    struct listen_run *run = self;
    (void)body;
    if (!run->all) {
        return; /* nobody listens yet */
    }
    struct listener *l = &run->all[index];
    if (l->told_ns == 0) {
        l->told_ns = now_ns;
    }
    if (l->step != STEP_REST) {
        l->again = true;
        return;
    }
    listener_call(l, STEP_LISTEN);
}

/* ---- a round ---- */

static void on_publish_answer(struct h2call *call)
{
    struct subject *s = CONTAINER_OF(call, struct subject, call);
    struct span message = {0};
    s->err = h2call_reply(call, &message, &s->why);
    if (!s->err) {
        s->err = frame_expect(message, SPAN("\"resultCode\":200"), &s->why);
    }
    s->answered_ns = poller_now(s->run->scenario->poller);
    s->run->unanswered--;
    session_heard(s->session);
}

static uint64_t since(uint64_t at_ns, uint64_t from_ns)
{
    return at_ns > from_ns ? at_ns - from_ns : 0;
}

static void note_round(struct listen_run *run)
{
    struct load_result *result = &run->scenario->report.result;
    for (unsigned i = 0; i < run->listener_count; i++) {
        const struct listener *l = &run->all[i];
        uint64_t answered_ns = run->subjects[l->config].answered_ns;
        if (l->settled_ns == 0 || l->told_ns == 0) {
            continue;
        }
        histogram_add(&result->latency, since(l->told_ns, answered_ns));
        histogram_add(&run->from_sent, since(l->told_ns, run->sent_ns));
        histogram_add(&run->answered_to_read, since(l->read_ns, answered_ns));
        histogram_add(&run->told_to_read, since(l->read_ns, l->told_ns));
        result->completed++;
    }
    run->rounds++;
}

static int publish_all(struct listen_run *run, struct fail *fail)
{
    run->unanswered = 0;
    run->sent_ns = clock_mono_ns();
    for (unsigned i = 0; i < run->subject_count; i++) {
        struct subject *s = &run->subjects[i];
        s->answered_ns = 0;
        frame_patch(&s->publish, s->content_at, run->revision);
        s->call.request = frame_span(&s->publish);
        if (h2conn_call(s->session->conn, &s->call)) {
            return fail_set(fail, E_CLOSED, "a publisher's connection is closed: %s",
                            fail_text(&run->publishers.why));
        }
        run->unanswered++;
    }
    return 0;
}

static int judge_round(struct listen_run *run, struct fail *fail)
{
    for (unsigned i = 0; i < run->subject_count; i++) {
        const struct subject *s = &run->subjects[i];
        if (s->answered_ns == 0) {
            return fail_set(fail, E_TIMEOUT, "publish: no answer in %d ms", LISTEN_ROUND_MS);
        }
        if (s->err) {
            return fail_set(fail, s->err, "publish: %s", fail_text(&s->why));
        }
    }
    for (unsigned i = 0; i < run->unsettled; i++) {
        report_error(&run->scenario->report, E_TIMEOUT, "a listener missed a change for 5 s");
    }
    if (run->listeners.lost == run->listener_count) {
        return fail_set(fail, E_CLOSED, "all listeners were lost: %s",
                        fail_text(&run->listeners.why));
    }
    return 0;
}

/* Every config is changed once; the round ends when all have read it. */
static int run_round(struct listen_run *run, struct fail *fail)
{
    run->revision++;
    run->unsettled = run->listener_count;
    for (unsigned i = 0; i < run->listener_count; i++) {
        struct listener *l = &run->all[i];
        l->told_ns = l->read_ns = l->settled_ns = 0;
    }
    int err = publish_all(run, fail);
    if (err) {
        return err;
    }
    uint64_t until_ns = run->sent_ns + LISTEN_ROUND_MS * NS_PER_MS;
    while ((run->unanswered > 0 || run->unsettled > 0) && clock_mono_ns() < until_ns) {
        poller_turn(run->scenario->poller, until_ns);
    }
    err = judge_round(run, fail);
    if (!err && run->measuring) {
        note_round(run);
    }
    return err;
}

static int run_rounds(struct listen_run *run, double run_s, struct fail *fail)
{
    uint64_t interval_ns = run->scenario->options->interval_ms * NS_PER_MS;
    uint64_t end_ns = clock_mono_ns() + (uint64_t)(run_s * 1e9);
    while (clock_mono_ns() < end_ns) {
        int err = run_round(run, fail);
        if (err) {
            return err;
        }
        uint64_t until_ns = clock_mono_ns() + interval_ns;
        while (clock_mono_ns() < until_ns) {
            poller_turn(run->scenario->poller, until_ns);
        }
    }
    return 0;
}

/* ---- the whole ---- */

static void make_subjects(struct listen_run *run)
{
    const struct options *o = run->scenario->options;
    run->subjects = mem_zalloc(run->subject_count, sizeof(*run->subjects));
    for (unsigned i = 0; i < run->subject_count; i++) {
        struct subject *s = &run->subjects[i];
        s->run = run;
        s->session = &run->publishers.session[i % run->publishers.count];
        s->call.done = on_publish_answer;
        msg_config_publish(&s->publish, &run->scenario->place, i, o->content_bytes);
        s->content_at = msg_content_offset(&s->publish);
    }
}

static void make_listeners(struct listen_run *run)
{
    const struct msg_place *place = &run->scenario->place;
    const unsigned subjects = run->subject_count;
    ASSERT(subjects > 0); /* as options.c parses */
    run->all = mem_zalloc(run->listener_count, sizeof(*run->all));
    for (unsigned i = 0; i < run->listener_count; i++) {
        struct listener *l = &run->all[i];
        l->run = run;
        l->session = &run->listeners.session[i];
        l->config = i % subjects;
        l->call.done = on_listener_answer;
        msg_config_listen(&l->listen, place, l->config, (struct span){0});
        msg_config_query(&l->query, place, l->config);
    }
}

/* The configs exist, with revision 0, and every listener has read its own and is at rest. */
static int prepare(struct listen_run *run, struct fail *fail)
{
    struct load_result *result = &run->scenario->report.result;
    unsigned connections =
        run->subject_count < LISTEN_PUBLISHERS_MAX ? run->subject_count : LISTEN_PUBLISHERS_MAX;
    int err = fleet_open(&run->publishers, connections, fail);
    if (!err) {
        err = fleet_open(&run->listeners, run->listener_count, fail);
    }
    if (err) {
        return err;
    }
    make_subjects(run);
    for (unsigned i = 0; i < run->subject_count && !err; i++) {
        err = fleet_ask(&run->publishers, i % connections, &run->subjects[i].publish, NULL, fail);
    }
    if (err) {
        return err;
    }
    make_listeners(run);
    run->unsettled = run->listener_count;
    uint64_t until_ns = clock_mono_ns() + LISTEN_ROUND_MS * NS_PER_MS;
    for (unsigned i = 0; i < run->listener_count; i++) {
        listener_call(&run->all[i], STEP_LISTEN);
    }
    while (run->unsettled > 0 && result->errors == 0 && clock_mono_ns() < until_ns) {
        poller_turn(run->scenario->poller, until_ns);
    }
    if (run->unsettled > 0) {
        return fail_set(fail, E_INTERNAL, "%u of %u listeners could not begin: %s", run->unsettled,
                        run->listener_count,
                        result->errors ? fail_text(&result->first_error) : "no answer");
    }
    return 0;
}

static void add_quantiles(struct report *r, const struct histogram *h, const char *p50,
                          const char *p99)
{
    report_add(r, p50, (double)histogram_quantile(h, 0.5) / 1e3);
    report_add(r, p99, (double)histogram_quantile(h, 0.99) / 1e3);
}

static int measure(struct listen_run *run, struct fail *fail)
{
    const struct options *o = run->scenario->options;
    struct report *r = &run->scenario->report;
    struct meter meter;
    int err = run_rounds(run, o->warmup_s, fail);
    if (!err) {
        err = meter_begin(&meter, o->pid, fail);
    }
    if (err) {
        return err;
    }
    run->measuring = true;
    err = run_rounds(run, o->seconds, fail);
    struct fail unread;
    int meter_err = meter_end(&meter, &r->result.usage, err ? &unread : fail);
    report_add(r, "changes", (double)(run->rounds * run->subject_count));
    add_quantiles(r, &run->from_sent, "sent_to_notice_p50_us", "sent_to_notice_p99_us");
    add_quantiles(r, &run->answered_to_read, "answered_to_read_p50_us", "answered_to_read_p99_us");
    add_quantiles(r, &run->told_to_read, "notice_to_read_p50_us", "notice_to_read_p99_us");
    return err ? err : meter_err;
}

static void close_run(struct listen_run *run)
{
    /* Connections first: they know the calls. */
    fleet_close(&run->listeners);
    fleet_close(&run->publishers);
    for (unsigned i = 0; run->all && i < run->listener_count; i++) {
        frame_close(&run->all[i].listen);
        frame_close(&run->all[i].query);
        h2call_close(&run->all[i].call);
    }
    for (unsigned i = 0; run->subjects && i < run->subject_count; i++) {
        frame_close(&run->subjects[i].publish);
        h2call_close(&run->subjects[i].call);
    }
    mem_free(run->all);
    mem_free(run->subjects);
    mem_free(run);
}

int scenario_listen(struct scenario *s, struct fail *fail)
{
    struct listen_run *run = mem_zalloc(1, sizeof(*run));
    run->scenario = s;
    run->subject_count = s->options->configs;
    run->listener_count = s->options->subscribers;
    s->report.unit = "notices";
    fleet_init(&run->publishers, s->poller, s->address, false);
    fleet_init(&run->listeners, s->poller, s->address, false);
    fleet_for_configs(&run->publishers);
    fleet_for_configs(&run->listeners);
    run->listeners.self = run;
    run->listeners.on_push = on_notice;
    int err = prepare(run, fail);
    if (!err) {
        err = measure(run, fail);
    }
    close_run(run);
    return err;
}
