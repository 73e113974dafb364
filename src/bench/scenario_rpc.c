#include "bench/scenario_rpc.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench/fleet.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S 1e9
#define VISIBLE_NS (5000 * NS_PER_MS) /* a registration must be readable after this */

struct rpc {
    struct scenario *scenario;
    const struct options *options;
    struct fleet fleet;
    struct fleet publisher; /* query: holds what is asked for */
    struct rpc_slot *slots;
    struct load_slot **load_slots;
    unsigned count;
    struct span expect;
};

/* One request at a time on one connection. */
struct rpc_slot {
    struct load_slot slot;
    struct h2call call;
    struct rpc *rpc;
    struct session *session;
    struct frame main;  /* register, query, raw */
    struct frame other; /* deregister */
    size_t revision_at; /* 0: main has none to patch */
    size_t service_at;  /* 0: main keeps its service */
    uint64_t sent;
};

static void on_done(struct h2call *call)
{
    struct rpc_slot *slot = CONTAINER_OF(call, struct rpc_slot, call);
    struct span message = {0};
    struct fail fail;
    int err = h2call_reply(call, &message, &fail);
    if (!err) {
        err = frame_expect(message, slot->rpc->expect, &fail);
    }
    if (!err) {
        session_heard(slot->session);
    }
    load_done(&slot->slot, err, &fail);
}

static int on_send(void *self, struct load_slot *load_slot)
{
    struct rpc_slot *slot = CONTAINER_OF(load_slot, struct rpc_slot, slot);
    const struct rpc *rpc = self;
    bool other = rpc->options->command == CMD_DEREGISTER && slot->sent % 2 == 1;
    if (slot->revision_at && !rpc->options->same) {
        frame_patch(&slot->main, slot->revision_at, slot->sent);
    }
    if (slot->service_at) {
        frame_patch(&slot->main, slot->service_at, load_slot->number % rpc->options->services);
    }
    slot->call.request = frame_span(other ? &slot->other : &slot->main);
    slot->sent++;
    return h2conn_call(slot->session->conn, &slot->call);
}

/* The frames of slot number g. */
static void slot_frames(struct rpc_slot *slot, const struct rpc *rpc, unsigned g)
{
    const struct options *o = rpc->options;
    const struct msg_place *place = &rpc->scenario->place;
    uint64_t service = g % o->services;
    switch (o->command) {
    case CMD_QUERY:
        msg_query(&slot->main, place, service);
        slot->service_at = msg_service_offset(&slot->main, place);
        return;
    case CMD_RAW:
        if (o->body) {
            frame_build(&slot->main, o->type, span_str(o->body), NULL);
            return;
        }
        break;
    default:
        break;
    }
    msg_instance(&slot->main, place, true, service, g);
    msg_instance(&slot->other, place, false, service, g);
    slot->revision_at = o->command == CMD_RAW ? 0 : msg_revision_offset(&slot->main);
}

static void make_slots(struct rpc *rpc)
{
    const struct options *o = rpc->options;
    rpc->count = o->connections * o->inflight;
    rpc->slots = mem_zalloc(rpc->count, sizeof(*rpc->slots));
    rpc->load_slots = mem_zalloc(rpc->count, sizeof(struct load_slot *));
    for (unsigned g = 0; g < rpc->count; g++) {
        struct rpc_slot *slot = &rpc->slots[g];
        /* Position by position over all connections, so that the first requests spread over them.
         */
        slot->session = &rpc->fleet.session[g % o->connections];
        slot->rpc = rpc;
        slot->call.done = on_done;
        slot_frames(slot, rpc, g);
        rpc->load_slots[g] = &slot->slot;
    }
}

static void free_slots(struct rpc *rpc)
{
    for (unsigned g = 0; g < rpc->count; g++) {
        frame_close(&rpc->slots[g].main);
        frame_close(&rpc->slots[g].other);
        h2call_close(&rpc->slots[g].call);
    }
    mem_free(rpc->slots);
    mem_free(rpc->load_slots);
}

static unsigned count_hosts(struct span body)
{
    const struct span marker = SPAN("\"ip\":");
    unsigned count = 0;
    const char *at = body.data;
    while (at && (at = memmem(at, body.len - (size_t)(at - body.data), marker.data, marker.len))) {
        at += marker.len;
        count++;
    }
    return count;
}

/* One query; its number of hosts and the size of its body. */
static int ask_hosts(struct rpc *rpc, const struct frame *query, unsigned *ret_hosts,
                     size_t *ret_body, struct fail *fail)
{
    struct bytes reply = {0};
    struct frame_view view = {0};
    int err = fleet_ask(&rpc->fleet, 0, query, &reply, fail);
    if (!err) {
        err = frame_view_open(bytes_span(&reply), &view, fail);
    }
    if (!err) {
        *ret_hosts = count_hosts(view.body);
        *ret_body = view.body.len;
        frame_view_close(&view);
    }
    bytes_close(&reply);
    return err;
}

/* A server may answer the registration before it shows it (Nacos does): ask until all instances are
 * there. */
static int wait_visible(struct rpc *rpc, struct fail *fail)
{
    const struct options *o = rpc->options;
    struct frame query = {0};
    unsigned hosts = 0;
    size_t body = 0;
    uint64_t until_ns = clock_mono_ns() + VISIBLE_NS;
    msg_query(&query, &rpc->scenario->place, o->services - 1);
    int err = ask_hosts(rpc, &query, &hosts, &body, fail);
    while (!err && hosts != o->instances && clock_mono_ns() < until_ns) {
        poller_turn(rpc->scenario->poller, clock_mono_ns() + 20 * NS_PER_MS);
        err = ask_hosts(rpc, &query, &hosts, &body, fail);
    }
    frame_close(&query);
    if (!err && hosts != o->instances) {
        err = fail_set(fail, E_INTERNAL, "expected %u instances in the reply, found %u",
                       o->instances, hosts);
    }
    report_add(&rpc->scenario->report, "reply_body_bytes", (double)body);
    return err;
}

static int prepare_query(struct rpc *rpc, struct fail *fail)
{
    const struct options *o = rpc->options;
    int err = fleet_open(&rpc->publisher, 1, fail);
    for (unsigned i = 0; i < o->services && !err; i++) {
        struct frame batch = {0};
        msg_batch(&batch, &rpc->scenario->place, i, o->instances);
        err = fleet_ask(&rpc->publisher, 0, &batch, NULL, fail);
        frame_close(&batch);
    }
    return err ? err : wait_visible(rpc, fail);
}

static int run(struct rpc *rpc, struct fail *fail)
{
    const struct options *o = rpc->options;
    int err = fleet_open(&rpc->fleet, o->connections, fail);
    if (!err && o->command == CMD_QUERY) {
        err = prepare_query(rpc, fail);
    }
    if (err) {
        return err;
    }
    make_slots(rpc);
    const struct load_config config = {.slots = rpc->load_slots,
                                       .slot_count = rpc->count,
                                       .send = on_send,
                                       .self = rpc,
                                       .rate = o->rate,
                                       .warmup_ns = (uint64_t)(o->warmup_s * NS_PER_S),
                                       .run_ns = (uint64_t)(o->seconds * NS_PER_S),
                                       .pid = o->pid};
    report_add(&rpc->scenario->report, "request_bytes", (double)rpc->slots[0].main.len);
    err = load_run(rpc->scenario->poller, &config, &rpc->scenario->report.result, fail);
    if (rpc->fleet.lost > 0) {
        report_add(&rpc->scenario->report, "connections_lost", rpc->fleet.lost);
    }
    return err;
}

int scenario_rpc(struct scenario *s, struct fail *fail)
{
    const struct options *o = s->options;
    struct rpc *rpc = mem_zalloc(1, sizeof(*rpc));
    rpc->scenario = s;
    rpc->options = o;
    rpc->expect = o->command == CMD_RAW ? span_str(o->expect) : SPAN("\"resultCode\":200");
    s->report.unit = "requests";
    fleet_init(&rpc->fleet, s->poller, s->address, o->command == CMD_RAW && !o->setup);
    fleet_init(&rpc->publisher, s->poller, s->address, false);
    int err = run(rpc, fail);
    /* Connections first: they know the calls of the slots. */
    fleet_close(&rpc->publisher);
    fleet_close(&rpc->fleet);
    free_slots(rpc);
    mem_free(rpc);
    return err;
}
