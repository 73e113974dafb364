#include "bench/scenario_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "bench/fleet.h"
#include "bench/messages_config.h"

/* What was acknowledged for a config; with several publishes under way nobody knows which was last.
 */
struct written {
    uint64_t revision;
    bool is_there;
    bool shared;
    bool lost; /* a publish failed: it may be there or not */
};

struct config_run {
    struct scenario *scenario;
    const struct options *options;
    struct fleet fleet;
    struct config_slot *slots;
    struct load_slot **load_slots;
    unsigned count;
    struct written *written; /* of every config */
    unsigned configs;
};

/* One request at a time on one connection. */
struct config_slot {
    struct load_slot slot;
    struct h2call call;
    struct config_run *run;
    struct session *session;
    struct frame frame;
    size_t config_at;
    size_t content_at;
    unsigned config;
    uint64_t revision;
};

static bool publishes(const struct config_run *run)
{
    return run->options->command == CMD_CONFIG_PUBLISH;
}

/* The reply to a query of config: whole, and with this revision. */
static int check_content(const struct config_run *run, struct span message, uint64_t revision,
                         struct fail *fail)
{
    char expect[40];
    int len = snprintf(expect, sizeof(expect), "\"content\":\"%0*" PRIu64, FRAME_DIGITS, revision);
    int err = frame_expect(message, span_of(expect, (size_t)len), fail);
    if (!err && message.len < run->options->content_bytes) {
        err = fail_set(fail, E_INTERNAL, "expected a content of %u bytes, found a reply of %zu",
                       run->options->content_bytes, message.len);
    }
    return err;
}

static void on_done(struct h2call *call)
{
    struct config_slot *slot = CONTAINER_OF(call, struct config_slot, call);
    struct config_run *run = slot->run;
    struct written *w = &run->written[slot->config];
    struct span message = {0};
    struct fail fail;
    int err = h2call_reply(call, &message, &fail);
    if (!err && publishes(run)) {
        err = frame_expect(message, SPAN("\"resultCode\":200"), &fail);
    } else if (!err) {
        err = check_content(run, message, slot->config, &fail);
    }
    if (!err) {
        session_heard(slot->session);
        w->revision = slot->revision;
        w->is_there = true;
    } else {
        w->lost = true;
    }
    load_done(&slot->slot, err, &fail);
}

static int on_send(void *self, struct load_slot *load_slot)
{
    struct config_slot *slot = CONTAINER_OF(load_slot, struct config_slot, slot);
    const struct config_run *run = self;
    if (run->options->configs > 0) {
        slot->config = (unsigned)(load_slot->number % run->configs);
        frame_patch(&slot->frame, slot->config_at, slot->config);
    }
    if (publishes(run)) {
        slot->revision = load_slot->number + 1;
        frame_patch(&slot->frame, slot->content_at, slot->revision);
    }
    slot->call.request = frame_span(&slot->frame);
    return h2conn_call(slot->session->conn, &slot->call);
}

static void make_slots(struct config_run *run)
{
    const struct options *o = run->options;
    const struct msg_place *place = &run->scenario->place;
    run->slots = mem_zalloc(run->count, sizeof(*run->slots));
    run->load_slots = mem_zalloc(run->count, sizeof(struct load_slot *));
    for (unsigned g = 0; g < run->count; g++) {
        struct config_slot *slot = &run->slots[g];
        slot->session = &run->fleet.session[g % o->connections];
        slot->run = run;
        slot->call.done = on_done;
        slot->config = g % run->configs;
        if (publishes(run)) {
            msg_config_publish(&slot->frame, place, slot->config, o->content_bytes);
            slot->content_at = msg_content_offset(&slot->frame);
        } else {
            msg_config_query(&slot->frame, place, slot->config);
        }
        slot->config_at = msg_config_offset(&slot->frame, place);
        run->load_slots[g] = &slot->slot;
    }
}

static void free_slots(struct config_run *run)
{
    for (unsigned g = 0; run->slots && g < run->count; g++) {
        frame_close(&run->slots[g].frame);
        h2call_close(&run->slots[g].call);
    }
    mem_free(run->slots);
    mem_free(run->load_slots);
    mem_free(run->written);
}

/* config-get: what is read is there, with its own number as revision. */
static int prepare_get(struct config_run *run, struct fail *fail)
{
    struct frame publish = {0};
    int err = 0;
    msg_config_publish(&publish, &run->scenario->place, 0, run->options->content_bytes);
    size_t config_at = msg_config_offset(&publish, &run->scenario->place);
    size_t content_at = msg_content_offset(&publish);
    for (unsigned i = 0; i < run->configs && !err; i++) {
        frame_patch(&publish, config_at, i);
        frame_patch(&publish, content_at, i);
        err = fleet_ask(&run->fleet, 0, &publish, NULL, fail);
    }
    frame_close(&publish);
    return err;
}

/* One config that config-publish has written. */
static int read_back(struct config_run *run, unsigned config, struct fail *fail)
{
    const struct written *w = &run->written[config];
    struct frame query = {0};
    struct bytes reply = {0};
    uint64_t revision = 0;
    msg_config_query(&query, &run->scenario->place, config);
    int err = fleet_ask(&run->fleet, config % run->options->connections, &query, &reply, fail);
    if (!err) {
        struct span message = bytes_span(&reply);
        bool has = msg_content_revision(message, &revision);
        err = check_content(run, message, w->shared && has ? revision : w->revision, fail);
    }
    frame_close(&query);
    bytes_close(&reply);
    return err;
}

/* An answer before the write is worth nothing: look whether it is there. */
static void read_all_back(struct config_run *run)
{
    unsigned step = run->configs / CONFIG_READ_BACK_MAX + 1;
    unsigned read = 0;
    for (unsigned i = 0; i < run->configs; i += step) {
        struct fail fail;
        struct fail why;
        if (!run->written[i].is_there || run->written[i].lost) {
            continue;
        }
        int err = read_back(run, i, &fail);
        if (err) {
            (void)fail_set(&why, err, "published config %u, read back: %s", i, fail_text(&fail));
            report_error(&run->scenario->report, err, fail_text(&why));
        }
        read++;
    }
    report_add(&run->scenario->report, "read_back", read);
}

/* Of the last reply, 0 when there was none: what the floor must answer to be comparable. */
static size_t reply_body_bytes(const struct h2call *call)
{
    struct span message = {0};
    struct frame_view view = {0};
    struct fail fail;
    if (h2call_reply(call, &message, &fail) || frame_view_open(message, &view, &fail)) {
        return 0;
    }
    size_t len = view.body.len;
    frame_view_close(&view);
    return len;
}

static int run_load(struct config_run *run, struct fail *fail)
{
    const struct options *o = run->options;
    struct report *report = &run->scenario->report;
    int err = fleet_open(&run->fleet, o->connections, fail);
    if (!err && !publishes(run)) {
        err = prepare_get(run, fail);
    }
    if (err) {
        return err;
    }
    make_slots(run);
    const struct load_config config = {
        .slots = run->load_slots,
        .slot_count = run->count,
        .send = on_send,
        .self = run,
        .rate = o->rate,
        .warmup_ns = o->count > 0 ? 0 : (uint64_t)(o->warmup_s * 1e9),
        .run_ns = (uint64_t)(o->seconds * 1e9),
        .count = o->count,
        .pid = o->pid,
    };
    report_add(report, "request_bytes", (double)run->slots[0].frame.len);
    err = load_run(run->scenario->poller, &config, &report->result, fail);
    if (run->fleet.lost > 0) {
        report_add(report, "connections_lost", run->fleet.lost);
    }
    report_add(report, "total_s", (double)report->result.usage.elapsed_ns / 1e9);
    report_add(report, "reply_body_bytes", (double)reply_body_bytes(&run->slots[0].call));
    if (!err && publishes(run) && run->fleet.lost == 0) {
        read_all_back(run);
    }
    return err;
}

int scenario_config(struct scenario *s, struct fail *fail)
{
    const struct options *o = s->options;
    struct config_run *run = mem_zalloc(1, sizeof(*run));
    run->scenario = s;
    run->options = o;
    run->count = o->connections * o->inflight;
    run->configs = o->configs > 0 ? o->configs : run->count;
    run->written = mem_zalloc(run->configs, sizeof(*run->written));
    bool once = o->count > 0 && o->count <= run->configs;
    for (unsigned i = 0; i < run->configs; i++) {
        run->written[i].shared = o->configs > 0 && run->count > 1 && !once;
    }
    s->report.unit = publishes(run) ? "publishes" : "reads";
    fleet_init(&run->fleet, s->poller, s->address, false);
    fleet_for_configs(&run->fleet);
    int err = run_load(run, fail);
    /* Connections first: they know the calls of the slots. */
    fleet_close(&run->fleet);
    free_slots(run);
    mem_free(run);
    return err;
}
