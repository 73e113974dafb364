#include "naming_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/thread.h"
#include "naming/pending.h"
#include "naming/push.h"
#include "naming/push_state.h"
#include "naming_frames.h"

#define ROUNDS_MAX 8

struct naming_options story_options(void)
{
    return (struct naming_options){
        .push_window_ms = 50,
        .push_window_max_ms = 400,
        .push_ack_timeout_ms = 5000,
        .push_retry_ms = 1000,
        .push_retry_max_ms = 4000,
        .push_tries_max = 4,
        .subscribe_push_ms = 500,
        .beat_timeout_ms = 15000,
        .beat_delete_ms = 30000,
        .beat_interval_ms = 5000,
        .expire_instances = true,
        .empty_service_ms = 60000,
        .clean_interval_ms = 10000,
        .overlay_expire_ms = 60000,
        .restart_grace_ms = 30000,
    };
}

void story_begin(struct story *s, const struct naming_options *options)
{
    thread_become(THREAD_CORE, "story");
    *s = (struct story){.now = {.mono_ms = 1000000, .wall_ms = 1700000000000}};
    s->view = view_create();
    s->naming = naming_create(options, s->view);
}

void story_push_free(struct story_push *take_push)
{
    if (take_push) {
        free(take_push->json);
        free(take_push);
    }
}

static void drop_pushes(struct story *s)
{
    struct story_push *push = NULL;
    while ((push = s->pushes)) {
        s->pushes = push->next;
        story_push_free(push);
    }
}

void story_end(struct story *s)
{
    drop_pushes(s);
    for (size_t i = 0; i < s->committed_count; i++) {
        buf_unref(s->committed[i]);
    }
    mem_free(s->committed);
    struct story_op *op = NULL;
    while ((op = s->log)) {
        s->log = op->next;
        buf_unref(op->op);
        free(op);
    }
    frames_free(&s->frames);
    struct story_call *call = NULL;
    while ((call = s->calls)) {
        s->calls = call->next;
        body_close(&call->call.reply.body);
        free(call);
    }
    outbox_close(&s->out);
    naming_destroy(s->naming);
    view_destroy(s->view);
    free(s->traces);
}

uint64_t story_connect(struct story *s, const char *ip)
{
    char id[96];
    uint64_t conn = ++s->last_conn;
    snprintf(id, sizeof(id), "%lld_%s_%llu", (long long)s->now.wall_ms, ip,
             (unsigned long long)(40000 + conn));
    struct naming_conn open = {
        .conn = conn,
        .id = span_str(id),
        .client_ip = span_str(ip),
        .app = SPAN("app-of-connection"),
        .agent = SPAN("Nacos-Java-Client:v2.5.1"),
    };
    naming_conn_open(s->naming, &open, s->now);
    return conn;
}

void story_disconnect(struct story *s, uint64_t conn, enum removal_reason reason)
{
    naming_conn_closed(s->naming, conn, reason, s->now, &s->out);
    story_turn(s);
}

struct naming_recovery story_restart(struct story *s, uint64_t away_ms)
{
    struct naming_options options = s->naming->options;
    assert_null(s->log);
    drop_pushes(s);
    outbox_clear(&s->out, 0);
    naming_destroy(s->naming);
    view_destroy(s->view);
    s->now.mono_ms += away_ms;
    s->now.wall_ms += (int64_t)away_ms;
    s->view = view_create();
    s->naming = naming_create(&options, s->view);
    naming_replay(s->naming);
    for (size_t i = 0; i < s->committed_count; i++) {
        naming_commit(s->naming, buf_span(s->committed[i]), options.self, NULL, s->now, &s->out);
        naming_check(s->naming);
    }
    assert_int_equal(s->out.count, 0);
    assert_int_equal(view_count(s->view), 0);
    assert_int_equal(naming_deadline(s->naming), UINT64_MAX);
    naming_turn(s->naming, s->now, &s->out);
    assert_int_equal(s->out.count, 0);
    struct naming_recovery figures = naming_recovered(s->naming, s->now);
    naming_check(s->naming);
    push_check(s->naming);
    return figures;
}

/* It may be asked for again after a restart. */
static void keep_committed(struct story *s, struct buf *take_op)
{
    if (s->committed_count == s->committed_cap) {
        s->committed_cap = s->committed_cap ? s->committed_cap * 2 : 64;
        s->committed = mem_realloc(s->committed, s->committed_cap, sizeof(struct buf *));
    }
    s->committed[s->committed_count++] = take_op;
}

struct service_name story_name(const char *service)
{
    return (struct service_name){SPAN("public"), SPAN("DEFAULT_GROUP"), span_str(service)};
}

struct instance_data story_instance(const char *ip, int port)
{
    return (struct instance_data){
        .ip = span_str(ip),
        .port = port,
        .cluster = SPAN("DEFAULT"),
        .weight = 1.0,
        .healthy = true,
        .enabled = true,
        .ephemeral = true,
    };
}

uint64_t story_subscriber(struct story *s, const char *service, const char *ip,
                          const char *clusters)
{
    uint64_t conn = story_connect(s, ip);
    assert_int_equal(story_subscribe(s, conn, service, clusters), 0);
    story_advance(s, 500);
    story_take_and_ack(s, conn);
    story_advance(s, 2000);
    return conn;
}

/* A call as an edge makes it, with its success body ready. */
static struct story_call *call_create(struct story *s)
{
    struct story_call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    call->call.caller.conn_id = SPAN("id-of-the-caller");
    call->call.reply.http_status = 200;
    api_answer_text(&call->call, SPAN("ok"));
    LL_PREPEND(s->calls, call);
    return call;
}

/* What became of an admit function's word, as dispatch_call has it. */
static int conclude(struct story *s, struct story_call *call, int next, const struct fail *fail)
{
    if (next < 0) {
        assert_int_equal(fail->code, next);
        s->fail = *fail;
        call->answered = true;
        story_turn(s);
        return next;
    }
    if (next == API_ANSWERED) {
        call->answered = true;
    }
    story_turn(s);
    if (s->log_stuck || s->log_lost) {
        return 0;
    }
    assert_true(call->answered);
    if (call->call.reply.fail.code) {
        assert_int_equal(call->call.reply.body.parts, 0);
        s->fail = call->call.reply.fail;
        return call->call.reply.fail.code;
    }
    assert_int_equal(body_len(&call->call.reply.body), 2);
    return 0;
}

int story_publish(struct story *s, const struct naming_publish *p)
{
    struct story_call *call = call_create(s);
    struct fail fail = {0};
    return conclude(s, call, admit_publish(s->naming, p, &call->call, s->now, &s->out, &fail),
                    &fail);
}

int story_unpublish(struct story *s, const struct naming_unpublish *u)
{
    struct story_call *call = call_create(s);
    struct fail fail = {0};
    return conclude(s, call, admit_unpublish(s->naming, u, &call->call, s->now, &s->out, &fail),
                    &fail);
}

int story_overlay(struct story *s, const struct naming_overlay *o)
{
    struct story_call *call = call_create(s);
    struct fail fail = {0};
    return conclude(s, call, admit_overlay(s->naming, o, &call->call, s->now, &s->out, &fail),
                    &fail);
}

int story_service_put(struct story *s, const struct naming_service_put *p)
{
    struct story_call *call = call_create(s);
    struct fail fail = {0};
    return conclude(s, call, admit_service_put(s->naming, p, &call->call, s->now, &s->out, &fail),
                    &fail);
}

int story_service_remove(struct story *s, const char *service)
{
    struct story_call *call = call_create(s);
    struct fail fail = {0};
    struct service_name name = story_name(service);
    return conclude(s, call,
                    admit_service_remove(s->naming, &name, &call->call, s->now, &s->out, &fail),
                    &fail);
}

int story_register(struct story *s, uint64_t conn, const char *service, const char *ip, int port)
{
    struct instance_data i = story_instance(ip, port);
    struct naming_publish p = {
        .service = story_name(service),
        .instances = &i,
        .count = 1,
        .ephemeral = true,
        .kind = CLIENT_CONNECTION,
        .conn = conn,
    };
    return story_publish(s, &p);
}

int story_register_batch(struct story *s, uint64_t conn, const char *service,
                         const struct instance_data *list, size_t count)
{
    struct naming_publish p = {
        .service = story_name(service),
        .instances = list,
        .count = count,
        .ephemeral = true,
        .batch = true,
        .kind = CLIENT_CONNECTION,
        .conn = conn,
    };
    return story_publish(s, &p);
}

int story_register_http(struct story *s, const char *service, const struct instance_data *i)
{
    char id[BEAT_CLIENT_ID_MAX];
    struct naming_publish p = {
        .service = story_name(service),
        .instances = i,
        .count = 1,
        .ephemeral = true,
        .kind = CLIENT_HTTP,
        .client = beat_client_id(i->ip, i->port, id),
    };
    return story_publish(s, &p);
}

int story_register_persistent(struct story *s, const char *service, const char *ip, int port)
{
    char id[64];
    snprintf(id, sizeof(id), "%s:%d#false", ip, port);
    struct instance_data i = story_instance(ip, port);
    i.ephemeral = false;
    struct naming_publish p = {
        .service = story_name(service),
        .instances = &i,
        .count = 1,
        .kind = CLIENT_PERSISTENT,
        .client = span_str(id),
    };
    return story_publish(s, &p);
}

int story_deregister(struct story *s, uint64_t conn, const char *service)
{
    struct naming_unpublish u = {
        .service = story_name(service),
        .kind = CLIENT_CONNECTION,
        .conn = conn,
        .reason = REMOVAL_DEREGISTERED,
    };
    return story_unpublish(s, &u);
}

int story_deregister_persistent(struct story *s, const char *service, const char *ip, int port)
{
    char id[64];
    snprintf(id, sizeof(id), "%s:%d#false", ip, port);
    struct naming_unpublish u = {
        .service = story_name(service),
        .kind = CLIENT_PERSISTENT,
        .client = span_str(id),
        .reason = REMOVAL_DEREGISTERED,
    };
    return story_unpublish(s, &u);
}

static int subscribe(struct story *s, uint64_t conn, const char *service, const char *clusters,
                     bool on)
{
    struct naming_subscribe sub = {
        .service = story_name(service),
        .clusters = span_str(clusters),
        .conn = conn,
        .conn_id = SPAN("id-of-the-caller"),
    };
    struct fail fail = {0};
    int err = on ? push_subscribe(s->naming, &sub, s->now, &fail)
                 : push_unsubscribe(s->naming, &sub, &fail);
    if (err) {
        s->fail = fail;
    }
    story_turn(s);
    return err;
}

int story_subscribe(struct story *s, uint64_t conn, const char *service, const char *clusters)
{
    return subscribe(s, conn, service, clusters, true);
}

int story_unsubscribe(struct story *s, uint64_t conn, const char *service)
{
    return subscribe(s, conn, service, "", false);
}

int story_beat(struct story *s, const char *service, const struct instance_data *i, bool full,
               int64_t *ret_interval_ms)
{
    struct story_call *call = call_create(s);
    struct naming_beat b = {.service = story_name(service), .instance = *i, .full = full};
    struct fail fail = {0};
    int next = beat_take(s->naming, &b, &call->call, s->now, &s->out, &fail);
    int err = conclude(s, call, next, &fail);
    if (ret_interval_ms) {
        *ret_interval_ms = b.answer.interval_ms;
    }
    return err ? err : (int)b.answer.code;
}

static void keep_trace(struct story *s, struct span line)
{
    size_t had = s->traces ? strlen(s->traces) : 0;
    s->traces = realloc(s->traces, had + line.len + 2);
    assert_non_null(s->traces);
    memcpy(s->traces + had, line.data, line.len);
    memcpy(s->traces + had + line.len, "\n", 2);
}

static void keep_push(struct story *s, const struct effect *e)
{
    assert_string_equal(e->u.push.type, "NotifySubscriberRequest");
    assert_true(e->u.push.count > 0);
    size_t len = body_len(&e->u.push.body);
    char *json = calloc(1, len + 1);
    assert_non_null(json);
    body_copy(&e->u.push.body, json);
    cJSON *doc = cJSON_Parse(json);
    assert_non_null(doc);
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(doc, "serviceInfo");
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "requestId"));
    assert_non_null(id);
    s->messages++;
    for (size_t i = 0; i < e->u.push.count; i++) {
        struct story_push *push = calloc(1, sizeof(*push));
        assert_non_null(push);
        push->conn = e->u.push.conns[i];
        push->request_id = strtoull(id, NULL, 10);
        push->stamp =
            (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(info, "lastRefTime"));
        push->at_ms = s->now.mono_ms;
        push->hosts = (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(info, "hosts"));
        push->message = s->messages;
        push->json = i == 0 ? json : strdup(json);
        struct story_push **end = &s->pushes;
        while (*end) {
            end = &(*end)->next;
        }
        *end = push;
    }
    cJSON_Delete(doc);
}

static void keep_op(struct story *s, struct effect *e)
{
    s->proposed++;
    struct buf *op = e->u.propose.op;
    e->u.propose.op = NULL;
    assert_int_equal(e->u.propose.kind, CONSENSUS_NAMING);
    if (s->log_lost) {
        buf_unref(op);
        return;
    }
    struct story_op *entry = calloc(1, sizeof(*entry));
    assert_non_null(entry);
    entry->op = op;
    entry->waiting = e->u.propose.waiting;
    LL_APPEND(s->log, entry);
}

static void read_outbox(struct story *s)
{
    for (size_t i = 0; i < s->out.count; i++) {
        struct effect *e = &s->out.list[i];
        switch (e->kind) {
        case EFFECT_REPLY: {
            struct story_call *call = CONTAINER_OF(e->u.reply.call, struct story_call, call);
            assert_false(call->answered);
            call->answered = true;
            break;
        }
        case EFFECT_PUSH:
            keep_push(s, e);
            break;
        case EFFECT_PROPOSE:
            keep_op(s, e);
            break;
        case EFFECT_PEER:
            frames_keep(&s->frames, e);
            break;
        case EFFECT_TRACE:
            keep_trace(s, buf_span(e->u.trace.text));
            break;
        case EFFECT_CONN_ACCEPT:
        case EFFECT_CONN_CLOSE:
            fail_msg("the registry neither accepts nor closes connections");
        }
    }
    outbox_clear(&s->out, 0);
}

static void settle(struct story *s)
{
    read_outbox(s);
    for (int round = 0; s->log && !s->log_stuck; round++) {
        assert_true(round < ROUNDS_MAX);
        struct story_op *entry = s->log;
        s->log = NULL;
        while (entry) {
            struct story_op *next = entry->next;
            naming_commit(s->naming, buf_span(entry->op), s->naming->options.self, entry->waiting,
                          s->now, &s->out);
            naming_check(s->naming);
            keep_committed(s, entry->op);
            free(entry);
            entry = next;
        }
        read_outbox(s);
    }
}

void story_turn(struct story *s)
{
    /* As node/core.c: what the turn proposes is committed in it, and what that changes is due at
     * once. */
    for (int round = 0; round < ROUNDS_MAX; round++) {
        settle(s);
        naming_turn(s->naming, s->now, &s->out);
        settle(s);
        naming_check(s->naming);
        push_check(s->naming);
        if (naming_deadline(s->naming) > s->now.mono_ms) {
            return;
        }
    }
    fail_msg("the registry is always due");
}

void story_advance(struct story *s, uint64_t ms)
{
    uint64_t end_ms = s->now.mono_ms + ms;
    while (s->now.mono_ms < end_ms) {
        uint64_t next_ms = naming_deadline(s->naming);
        if (next_ms > end_ms) {
            next_ms = end_ms;
        }
        if (next_ms <= s->now.mono_ms) {
            next_ms = s->now.mono_ms + 1;
        }
        s->now.wall_ms += (int64_t)(next_ms - s->now.mono_ms);
        s->now.mono_ms = next_ms;
        story_turn(s);
    }
}

struct story_push *story_take(struct story *s, uint64_t conn)
{
    for (struct story_push **at = &s->pushes; *at; at = &(*at)->next) {
        struct story_push *push = *at;
        if (push->conn == conn) {
            *at = push->next;
            push->next = NULL;
            return push;
        }
    }
    return NULL;
}

size_t story_pushes(const struct story *s, uint64_t conn)
{
    size_t count = 0;
    for (const struct story_push *push = s->pushes; push; push = push->next) {
        count += push->conn == conn;
    }
    return count;
}

void story_ack(struct story *s, uint64_t conn, uint64_t request_id, bool ok)
{
    struct ack ack = {.request_id = request_id, .ok = ok};
    naming_ack(s->naming, conn, &ack, s->now);
    story_turn(s);
}

size_t story_take_and_ack(struct story *s, uint64_t conn)
{
    struct story_push *push = story_take(s, conn);
    assert_non_null(push);
    size_t hosts = push->hosts;
    story_ack(s, conn, push->request_id, true);
    story_push_free(push);
    return hosts;
}

bool story_traced(const struct story *s, const char *text)
{
    return s->traces && strstr(s->traces, text) != NULL;
}

struct service *story_service(struct story *s, const char *service)
{
    struct service_name name = story_name(service);
    return service_find(s->naming, &name);
}

size_t story_listed(struct story *s, const char *service)
{
    return service_seen(s->naming, story_service(s, service), s->now).count;
}

const struct instance *story_find(struct story *s, const char *service, const char *ip, int port)
{
    struct service_seen seen = service_seen(s->naming, story_service(s, service), s->now);
    for (size_t i = 0; i < seen.count; i++) {
        const struct instance *in = service_seen_at(&seen, i);
        if (span_eq(in->ip, span_str(ip)) && in->port == port) {
            return in;
        }
    }
    return NULL;
}
