#include "bench/scenario_http.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "bench/h1conn.h"

struct http {
    struct scenario *scenario;
    struct http_slot *slots;
    struct load_slot **load_slots;
    unsigned count;
    bool beats;
    char host[MSG_HOST_MAX];
};

struct http_slot {
    struct load_slot slot;
    struct h1conn conn;
    struct http *http;
    unsigned failures; /* in a row */
};

static int check(const struct http *h, int status, struct span body, struct fail *fail)
{
    struct span expect = h->beats ? SPAN("\"code\":10200") : SPAN("ok");
    if (status == 200 && memmem(body.data, body.len, expect.data, expect.len)) {
        return 0;
    }
    size_t len = body.len < 200 ? body.len : 200;
    return fail_set(fail, E_IO, "HTTP status %d: %.*s", status, (int)len,
                    body.data ? body.data : "");
}

static void on_done(void *self, int err, int status, struct span body, const struct fail *fail)
{
    struct http_slot *slot = self;
    struct fail bad;
    slot->failures = err ? slot->failures + 1 : 0;
    if (!err) {
        err = check(slot->http, status, body, &bad);
        fail = &bad;
    }
    load_done(&slot->slot, err, fail);
}

static int on_send(void *self, struct load_slot *load_slot)
{
    struct http_slot *slot = CONTAINER_OF(load_slot, struct http_slot, slot);
    const struct http *h = self;
    const struct options *o = h->scenario->options;
    char request[MSG_HTTP_MAX];
    struct fail fail;
    uint64_t instance = load_slot->number % o->instances;
    uint64_t service = instance % o->services;
    size_t len = h->beats
                     ? msg_http_beat(request, h->host, &h->scenario->place, service, instance)
                     : msg_http_register(request, h->host, &h->scenario->place, service, instance);
    if (slot->failures >= HTTP_FAILURES_MAX) {
        return E_CLOSED;
    }
    return h1conn_send(&slot->conn, span_of(request, len), &fail);
}

static void make_slots(struct http *h)
{
    h->count = h->scenario->options->connections;
    h->slots = mem_zalloc(h->count, sizeof(*h->slots));
    h->load_slots = mem_zalloc(h->count, sizeof(struct load_slot *));
    for (unsigned i = 0; i < h->count; i++) {
        h->slots[i].http = h;
        h1conn_init(&h->slots[i].conn, h->scenario->poller, h->scenario->address, on_done,
                    &h->slots[i]);
        h->load_slots[i] = &h->slots[i].slot;
    }
}

static void free_slots(struct http *h)
{
    for (unsigned i = 0; i < h->count; i++) {
        h1conn_close(&h->slots[i].conn);
    }
    mem_free(h->slots);
    mem_free(h->load_slots);
}

static int run(struct http *h, struct load_config config, struct fail *fail)
{
    config.slots = h->load_slots;
    config.slot_count = h->count;
    config.send = on_send;
    config.self = h;
    config.pid = h->scenario->options->pid;
    return load_run(h->scenario->poller, &config, &h->scenario->report.result, fail);
}

static int register_all(struct http *h, struct fail *fail)
{
    h->beats = false;
    return run(h, (struct load_config){.count = h->scenario->options->instances}, fail);
}

static int beat(struct http *h, struct fail *fail)
{
    const struct options *o = h->scenario->options;
    const struct load_result *registered = &h->scenario->report.result;
    const struct load_config config = {.rate = o->rate,
                                       .warmup_ns = (uint64_t)(o->warmup_s * 1e9),
                                       .run_ns = (uint64_t)(o->seconds * 1e9)};
    if (registered->errors > 0) {
        return fail_set(fail, E_IO, "%llu of %u instances could not be registered: %s",
                        (unsigned long long)registered->errors, o->instances,
                        fail_text(&registered->first_error));
    }
    h->beats = true;
    return run(h, config, fail);
}

int scenario_http(struct scenario *s, struct fail *fail)
{
    struct http h = {.scenario = s};
    bool ipv6 = strchr(s->options->host, ':') != NULL;
    (void)snprintf(h.host, sizeof(h.host), "%s%.110s%s:%u", ipv6 ? "[" : "", s->options->host,
                   ipv6 ? "]" : "", s->options->port);
    s->report.unit = s->options->command == CMD_BULK ? "registrations" : "beats";
    make_slots(&h);
    int err = register_all(&h, fail);
    if (s->options->command == CMD_BULK) {
        report_add(&s->report, "total_s", (double)s->report.result.usage.elapsed_ns / 1e9);
    } else if (!err) {
        err = beat(&h, fail);
    }
    free_slots(&h);
    return err;
}
