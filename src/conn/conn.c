#include "conn/conn.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"
#include "wire/response.h"

#include <uthash.h>
#include <utlist.h>

#define WHY_MAX 256

/* A registered connection. Its texts lie behind it in the same block. */
struct conn {
    struct conn_info info;
    struct peer *peer; /* the reference; info.peer is the same */
    struct host *host;
    bool from_sdk;
    uint64_t probe_id; /* requestId of the probe that waits for its ack; 0: none */
    uint64_t probe_ms;
    uint64_t reset_ms; /* asked to go elsewhere at; 0: never */
    bool is_ended;     /* by us; the edge has not said so yet */
    struct conn *prev; /* the list of probed ones, oldest first */
    struct conn *next;
    UT_hash_handle by_key;
    UT_hash_handle by_id;
    char text[];
};

/* How many connections one address holds. */
struct host {
    size_t count;
    UT_hash_handle hh;
    size_t len;
    char ip[];
};

struct conn_table {
    struct conn_options options;
    struct buf *setup_ack; /* the same bytes for every client */
    struct conn *by_key;
    struct conn *by_id;
    struct host *hosts;
    struct conn *probed; /* oldest first: all wait equally long */
    uint64_t scan_ms;    /* when silent connections are looked for next */
    uint64_t request_id; /* the next one */
};

/* The ack of a setup (grpc-sdk.md 3.4, C09): no requestId, since clients do not answer it. */
static struct buf *make_setup_ack(bool persistent_by_grpc)
{
    struct json_out j;
    json_init(&j, 128);
    push_begin(&j, 0);
    json_key(&j, "abilityTable");
    json_object(&j);
    if (persistent_by_grpc) {
        json_kbool(&j, "supportPersistentInstanceByGrpc", true);
    }
    json_object_end(&j);
    push_end(&j, "internal");
    return json_take(&j);
}

struct conn_table *conn_table_create(const struct conn_options *options)
{
    struct conn_table *t = mem_zalloc(1, sizeof(*t));
    t->options = *options;
    t->setup_ack = make_setup_ack(options->persistent_by_grpc);
    t->request_id = CONN_REQUEST_ID_FIRST;
    return t;
}

static struct host *host_find(const struct conn_table *t, const char *ip)
{
    struct host *h = NULL;
    HASH_FIND(hh, t->hosts, ip, (unsigned)strlen(ip), h);
    return h;
}

static struct host *host_enter(struct conn_table *t, const char *ip)
{
    struct host *h = host_find(t, ip);
    if (!h) {
        size_t len = strlen(ip);
        h = mem_zalloc(1, sizeof(*h) + len + 1);
        h->len = len;
        memcpy(h->ip, ip, len);
        HASH_ADD_KEYPTR(hh, t->hosts, h->ip, (unsigned)len, h);
    }
    h->count++;
    return h;
}

static void host_leave(struct conn_table *t, struct host *h)
{
    ASSERT(h->count > 0);
    if (--h->count == 0) {
        HASH_DEL(t->hosts, h);
        mem_free(h);
    }
}

static struct conn *find(const struct conn_table *t, uint64_t key)
{
    struct conn *c = NULL;
    HASH_FIND(by_key, t->by_key, &key, sizeof(key), c);
    return c;
}

static void probe_end(struct conn_table *t, struct conn *c)
{
    if (c->probe_id) {
        DL_DELETE(t->probed, c);
        c->probe_id = 0;
    }
}

static void forget(struct conn_table *t, struct conn *c)
{
    ASSERT(t->by_key);
    ASSERT(t->by_id);
    probe_end(t, c);
    HASH_DELETE(by_key, t->by_key, c);
    HASH_DELETE(by_id, t->by_id, c);
    host_leave(t, c->host);
    peer_unref(c->peer);
    mem_free(c);
}

void conn_table_destroy(struct conn_table *t)
{
    if (!t) {
        return;
    }
    struct conn *c = NULL;
    struct conn *next = NULL;
    HASH_ITER(by_key, t->by_key, c, next)
    {
        forget(t, c);
    }
    buf_unref(t->setup_ack);
    mem_free(t);
}

static struct span keep(char **at, struct span text)
{
    char *copy = *at;
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    *at += text.len;
    return span_of(copy, text.len);
}

static struct span label_or(const struct conn_setup *setup, const char *key, struct span dflt)
{
    struct span value = conn_setup_label(setup, key);
    return span_empty(value) ? dflt : value;
}

/* The six texts are bounded by CONN_TEXT_MAX each (conn_setup_decode). */
static struct conn *conn_create(const struct conn_open *open, int64_t wall_ms)
{
    const struct conn_setup *setup = &open->setup;
    struct span app = label_or(setup, "AppName", SPAN("-"));
    struct span module = conn_setup_label(setup, "module");
    struct span source = conn_setup_label(setup, "source");
    size_t size = setup->client_version.len + setup->client_ip.len + setup->tenant.len + app.len +
                  module.len + source.len;
    struct conn *c = mem_zalloc(1, sizeof(*c) + size);
    char *at = c->text;
    c->peer = peer_ref(open->peer);
    c->info = (struct conn_info){
        .peer = c->peer,
        .client_version = keep(&at, setup->client_version),
        .client_ip = keep(&at, setup->client_ip),
        .tenant = keep(&at, setup->tenant),
        .app = keep(&at, app),
        .module = keep(&at, module),
        .source = keep(&at, source),
        .since_wall_ms = wall_ms,
    };
    /* Only another server calls itself "cluster"; whoever says nothing is treated as a client. */
    c->from_sdk = !span_eq(source, SPAN("cluster"));
    return c;
}

static void accept_conn(const struct conn_table *t, const struct conn_open *open,
                        struct outbox *out)
{
    struct body ack = {0};
    if (open->setup.has_ability_table) {
        body_add_buf(&ack, buf_ref(t->setup_ack));
    }
    outbox_accept(out, open->peer->key, &ack);
}

static int check_limits(const struct conn_table *t, const struct peer *peer, struct fail *fail)
{
    size_t total = conn_count(t);
    if (t->options.max_total && total >= t->options.max_total) {
        return fail_set(fail, E_LIMIT,
                        "this node holds %zu connections, its limit is %zu "
                        "(nacre.connections.max)",
                        total, t->options.max_total);
    }
    const struct host *h = host_find(t, peer->remote_ip);
    if (h && t->options.max_per_ip && h->count >= t->options.max_per_ip) {
        return fail_set(fail, E_LIMIT,
                        "address %s holds %zu connections, the limit is %zu "
                        "(nacre.connections.max-per-ip)",
                        peer->remote_ip, h->count, t->options.max_per_ip);
    }
    return 0;
}

int conn_register(struct conn_table *t, const struct conn_open *open, struct now now,
                  struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    struct peer *peer = open->peer;
    if (find(t, peer->key)) {
        accept_conn(t, open, out);
        return 0;
    }
    struct fail why = {0};
    int err = check_limits(t, peer, &why);
    if (err) {
        outbox_close_conn(out, peer->key, CONN_END_EXHAUSTED, span_str(fail_text(&why)));
        return fail_set(fail, err, "%s", fail_text(&why));
    }
    if (conn_count(t) == 0) {
        t->scan_ms = now.mono_ms + CONN_SCAN_FIRST_MS;
    }
    struct conn *c = conn_create(open, now.wall_ms);
    c->host = host_enter(t, peer->remote_ip);
    HASH_ADD_KEYPTR(by_key, t->by_key, &peer->key, sizeof(peer->key), c);
    HASH_ADD_KEYPTR(by_id, t->by_id, peer->id, (unsigned)strlen(peer->id), c);
    accept_conn(t, open, out);
    return 0;
}

bool conn_unregister(struct conn_table *t, uint64_t key)
{
    ASSERT_ON(THREAD_CORE);
    struct conn *c = find(t, key);
    if (!c) {
        return false;
    }
    forget(t, c);
    return true;
}

const struct conn_info *conn_find(const struct conn_table *t, uint64_t key)
{
    const struct conn *c = find(t, key);
    return c ? &c->info : NULL;
}

static struct conn *find_id(const struct conn_table *t, struct span id)
{
    struct conn *c = NULL;
    if (!span_empty(id)) {
        HASH_FIND(by_id, t->by_id, id.data, (unsigned)id.len, c);
    }
    return c;
}

const struct conn_info *conn_find_id(const struct conn_table *t, struct span id)
{
    const struct conn *c = find_id(t, id);
    return c ? &c->info : NULL;
}

bool conn_on_ack(struct conn_table *t, uint64_t key, const struct ack *ack, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    if (ack->request_id < CONN_REQUEST_ID_FIRST || ack->request_id >= t->request_id) {
        return false;
    }
    struct conn *c = find(t, key);
    if (c && ack->ok && c->probe_id == ack->request_id) {
        probe_end(t, c);
        atomic_store_explicit(&c->peer->active_ms, now.mono_ms, memory_order_relaxed);
    }
    return true;
}

static uint64_t active_ms(const struct conn *c)
{
    return atomic_load_explicit(&c->peer->active_ms, memory_order_relaxed);
}

/* One message for all that are silent: requestIds must differ per connection only. */
static void probe_silent(struct conn_table *t, struct now now, struct outbox *out)
{
    uint64_t *silent = NULL;
    size_t count = 0;
    struct conn *c = NULL;
    struct conn *next = NULL;
    HASH_ITER(by_key, t->by_key, c, next)
    {
        if (c->probe_id || active_ms(c) + CONN_IDLE_MS > now.mono_ms) {
            continue;
        }
        if (!silent) {
            silent = mem_zalloc(conn_count(t), sizeof(*silent));
        }
        silent[count++] = c->peer->key;
        c->probe_id = t->request_id;
        c->probe_ms = now.mono_ms;
        DL_APPEND(t->probed, c);
    }
    if (count == 0) {
        return;
    }
    struct json_out j;
    json_init(&j, 96);
    push_begin(&j, t->request_id++);
    push_end(&j, "internal");
    struct body body = {0};
    body_add_buf(&body, json_take(&j));
    outbox_push(out, "ClientDetectionRequest", &body, silent, count);
}

static void lose(struct conn_table *t, struct conn *c, struct now now, struct outbox *out)
{
    char why[WHY_MAX];
    int len = snprintf(why, sizeof(why),
                       "silent for %" PRIu64 " ms and no answer to ClientDetectionRequest "
                       "within %d ms",
                       now.mono_ms - active_ms(c), CONN_PROBE_TIMEOUT_MS);
    outbox_close_conn(out, c->peer->key, CONN_END_UNAVAILABLE, span_of(why, (size_t)len));
    forget(t, c);
}

void conn_tick(struct conn_table *t, struct now now, struct outbox *out, conn_lost_fn on_lost,
               void *self)
{
    ASSERT_ON(THREAD_CORE);
    while (t->probed) {
        struct conn *c = t->probed;
        /* Whatever arrived since the probe proves life as well as its ack does. */
        if (active_ms(c) >= c->probe_ms) {
            probe_end(t, c);
            continue;
        }
        if (c->probe_ms + CONN_PROBE_TIMEOUT_MS > now.mono_ms) {
            break;
        }
        on_lost(self, c->peer->key, span_str(c->peer->id));
        lose(t, c, now, out);
    }
    if (t->by_key && now.mono_ms >= t->scan_ms) {
        probe_silent(t, now, out);
        t->scan_ms = now.mono_ms + CONN_SCAN_MS;
    }
}

uint64_t conn_deadline(const struct conn_table *t)
{
    if (!t->by_key) {
        return UINT64_MAX;
    }
    uint64_t at = t->scan_ms;
    if (t->probed && t->probed->probe_ms + CONN_PROBE_TIMEOUT_MS < at) {
        at = t->probed->probe_ms + CONN_PROBE_TIMEOUT_MS;
    }
    return at;
}

/* DIFF(leave-reset): Nacos just closes its connections when it stops. */
void conn_reset_all(struct conn_table *t, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    uint64_t *keys = mem_zalloc(conn_count(t) + 1, sizeof(*keys));
    size_t count = 0;
    for (const struct conn *c = t->by_key; c; c = c->by_key.next) {
        if (c->from_sdk) {
            keys[count++] = c->peer->key;
        }
    }
    if (count == 0) {
        mem_free(keys);
        return;
    }
    struct json_out j;
    json_init(&j, 96);
    push_begin(&j, t->request_id++);
    push_end(&j, "internal");
    struct body body = {0};
    body_add_buf(&body, json_take(&j));
    outbox_push(out, "ConnectResetRequest", &body, keys, count);
}

static void send_reset(struct conn_table *t, const struct conn *c, struct span server_ip,
                       struct span server_port, struct outbox *out)
{
    struct json_out j;
    json_init(&j, 256);
    push_begin(&j, t->request_id++);
    if (!span_empty(server_ip)) {
        /* serverPort is text, and the main port (grpc-sdk.md 3.7, C15). */
        json_kstr(&j, "serverIp", server_ip);
        json_kstr(&j, "serverPort", server_port);
        json_kstr(&j, "connectionId", span_str(c->peer->id));
    }
    push_end(&j, "internal");
    struct body body = {0};
    body_add_buf(&body, json_take(&j));
    outbox_push_one(out, "ConnectResetRequest", &body, c->peer->key);
}

int conn_reset(struct conn_table *t, struct span id, struct span server_ip, struct span server_port,
               struct outbox *out, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    const struct conn *c = find_id(t, id);
    if (!c) {
        return fail_set(fail, E_NOT_FOUND, "no connection '%.*s' on this node", SPAN_ARG(id));
    }
    send_reset(t, c, server_ip, server_port, out);
    return 0;
}

static bool is_java(const struct conn *c)
{
    return span_starts(c->info.client_version, SPAN("Nacos-Java-Client"));
}

size_t conn_reset_some(struct conn_table *t, const struct conn_reset_plan *plan, struct now now,
                       struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    size_t asked = 0;
    for (struct conn *c = t->by_key; c && asked < plan->max; c = c->by_key.next) {
        bool was_asked = c->reset_ms != 0 && now.mono_ms - c->reset_ms < plan->again_ms;
        if (!c->from_sdk || was_asked) {
            continue;
        }
        char port[8] = "";
        struct span ip = SPAN("");
        if (plan->targets_count > 0 && (plan->is_order || is_java(c))) {
            const struct conn_target *to = &plan->targets[asked % plan->targets_count];
            ip = to->ip;
            (void)snprintf(port, sizeof(port), "%u", to->port);
        }
        send_reset(t, c, ip, span_str(port), out);
        c->reset_ms = now.mono_ms;
        asked++;
    }
    return asked;
}

size_t conn_end_some(struct conn_table *t, size_t max, struct span why, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    size_t count = 0;
    for (struct conn *c = t->by_key; c && count < max; c = c->by_key.next) {
        if (c->from_sdk && !c->is_ended) {
            outbox_close_conn(out, c->peer->key, CONN_END_UNAVAILABLE, why);
            c->is_ended = true;
            count++;
        }
    }
    return count;
}

size_t conn_count_sdk(const struct conn_table *t)
{
    size_t count = 0;
    for (const struct conn *c = t->by_key; c; c = c->by_key.next) {
        count += c->from_sdk;
    }
    return count;
}

size_t conn_count(const struct conn_table *t)
{
    return HASH_CNT(by_key, t->by_key);
}

void conn_each(const struct conn_table *t, void (*fn)(void *arg, const struct conn_info *info),
               void *arg)
{
    for (const struct conn *c = t->by_key; c; c = c->by_key.next) {
        fn(arg, &c->info);
    }
}
