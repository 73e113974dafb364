#include "bench/scenario_http_get.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "bench/h1conn.h"
#include "bench/messages_config.h"

struct get_run {
    struct scenario *scenario;
    struct get_slot *slots;
    struct load_slot **load_slots;
    unsigned count;
    bool reads; /* else: publishes */
    struct bytes publish;
    char host[MSG_HOST_MAX];
};

struct get_slot {
    struct load_slot slot;
    struct h1conn conn;
    struct get_run *run;
    uint64_t config;
    unsigned failures; /* in a row */
};

static bool is_content(const struct get_slot *slot, struct span body)
{
    long long revision = 0;
    return body.len == slot->run->scenario->options->content_bytes &&
           span_int(span_of(body.data, FRAME_DIGITS), &revision) &&
           (uint64_t)revision == slot->config;
}

static int check(const struct get_slot *slot, int status, struct span body, struct fail *fail)
{
    bool good = slot->run->reads ? is_content(slot, body) : span_eq(body, SPAN("true"));
    if (status == 200 && good) {
        return 0;
    }
    size_t len = body.len < 200 ? body.len : 200;
    return fail_set(fail, E_IO, "HTTP status %d, %zu bytes: %.*s", status, body.len, (int)len,
                    body.data ? body.data : "");
}

static void on_done(void *self, int err, int status, struct span body, const struct fail *fail)
{
    struct get_slot *slot = self;
    struct fail bad;
    slot->failures = err ? slot->failures + 1 : 0;
    if (!err) {
        err = check(slot, status, body, &bad);
        fail = &bad;
    }
    load_done(&slot->slot, err, fail);
}

static int on_send(void *self, struct load_slot *load_slot)
{
    struct get_slot *slot = CONTAINER_OF(load_slot, struct get_slot, slot);
    struct get_run *run = self;
    const struct options *o = run->scenario->options;
    const struct msg_place *place = &run->scenario->place;
    struct fail fail;
    if (slot->failures >= HTTP_GET_FAILURES_MAX) {
        return E_CLOSED;
    }
    slot->config = load_slot->number % o->configs;
    if (!run->reads) {
        msg_http_config_publish(&run->publish, run->host, place, slot->config, o->content_bytes);
        return h1conn_send(&slot->conn, bytes_span(&run->publish), &fail);
    }
    char request[MSG_HTTP_MAX];
    size_t len = msg_http_config_get(request, run->host, place, slot->config);
    return h1conn_send(&slot->conn, span_of(request, len), &fail);
}

static void make_slots(struct get_run *run)
{
    run->count = run->scenario->options->connections;
    run->slots = mem_zalloc(run->count, sizeof(*run->slots));
    run->load_slots = mem_zalloc(run->count, sizeof(struct load_slot *));
    for (unsigned i = 0; i < run->count; i++) {
        run->slots[i].run = run;
        h1conn_init(&run->slots[i].conn, run->scenario->poller, run->scenario->address, on_done,
                    &run->slots[i]);
        run->load_slots[i] = &run->slots[i].slot;
    }
}

static void free_slots(struct get_run *run)
{
    for (unsigned i = 0; i < run->count; i++) {
        h1conn_close(&run->slots[i].conn);
    }
    mem_free(run->slots);
    mem_free(run->load_slots);
    bytes_close(&run->publish);
}

static int load(struct get_run *run, struct load_config config, struct fail *fail)
{
    config.slots = run->load_slots;
    config.slot_count = run->count;
    config.send = on_send;
    config.self = run;
    config.pid = run->scenario->options->pid;
    return load_run(run->scenario->poller, &config, &run->scenario->report.result, fail);
}

static int run_all(struct get_run *run, struct fail *fail)
{
    const struct options *o = run->scenario->options;
    const struct load_result *published = &run->scenario->report.result;
    const struct load_config config = {.rate = o->rate,
                                       .warmup_ns = (uint64_t)(o->warmup_s * 1e9),
                                       .run_ns = (uint64_t)(o->seconds * 1e9)};
    int err = load(run, (struct load_config){.count = o->configs}, fail);
    if (err) {
        return err;
    }
    if (published->errors > 0) {
        return fail_set(fail, E_IO, "%llu of %u configs could not be published: %s",
                        (unsigned long long)published->errors, o->configs,
                        fail_text(&published->first_error));
    }
    run->reads = true;
    return load(run, config, fail);
}

int scenario_http_get(struct scenario *s, struct fail *fail)
{
    struct get_run run = {.scenario = s};
    bool ipv6 = strchr(s->options->host, ':') != NULL;
    (void)snprintf(run.host, sizeof(run.host), "%s%.110s%s:%u", ipv6 ? "[" : "", s->options->host,
                   ipv6 ? "]" : "", s->options->port);
    s->report.unit = "reads";
    make_slots(&run);
    int err = run_all(&run, fail);
    free_slots(&run);
    return err;
}
