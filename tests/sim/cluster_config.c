/* Clients of the configuration centre: they write, read through any node, and listen. Every value
 * is written once, so a read says which write it saw; the log says in which order writes stand. */
#include "cluster_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "config/config_op.h"

#define ACT_MS 250 /* between two operations of a client, on average half of it */
#define LISTEN_MS 400
#define JSON_BYTES 2048
#define OPS_FIRST 512
#define KEY_JSON "\"dataId\":\"d%u\",\"group\":\"G\",\"tenant\":\"\""

/* ---------------------------------------------------------------- history */

static size_t begin_op(struct world *w, const struct config_op_seen *op)
{
    if (w->ops_count == w->ops_cap) {
        w->ops_cap = w->ops_cap ? 2 * w->ops_cap : OPS_FIRST;
        w->ops = mem_realloc(w->ops, w->ops_cap, sizeof(*w->ops));
    }
    w->ops[w->ops_count] = *op;
    w->ops[w->ops_count].begin_ms = w->now_ms;
    w->ops[w->ops_count].end_ms = UINT64_MAX;
    return w->ops_count++;
}

/* The number in a value "v17"; 0 when there is none. */
static uint64_t value_of(struct span content)
{
    char text[32] = "";
    if (content.len < 2 || content.len >= sizeof(text) || content.data[0] != 'v') {
        return 0;
    }
    memcpy(text, content.data + 1, content.len - 1);
    return strtoull(text, NULL, 10);
}

static uint64_t value_in(const char *text)
{
    const char *at = strstr(text, "\"content\":\"v");
    return at ? strtoull(at + strlen("\"content\":\"v"), NULL, 10) : 0;
}

static void add_value(struct world *w, struct config_key key, uint64_t value)
{
    ASSERT(key.data_id.len == 2);
    unsigned k = (unsigned)(key.data_id.data[1] - '0'); /* "dN" */
    ASSERT(k < KEYS_MAX);
    struct key_history *h = &w->keys_seen[k];
    if (w->falsehood == FALSE_LOG && !w->is_calm && h->count > 0) {
        return;
    }
    if (h->count == h->cap) {
        h->cap = h->cap ? 2 * h->cap : OPS_FIRST;
        h->values = mem_realloc(h->values, h->cap, sizeof(*h->values));
    }
    h->values[h->count++] = value;
    world_note(w, "entry: d%u = v%llu", k, (unsigned long long)value);
}

void config_on_apply(struct world *w, struct span op)
{
    struct arena arena;
    struct config_op o = {0};
    struct fail fail = {0};
    arena_init(&arena, CONFIG_OP_ARENA_MAX);
    if (config_op_decode(op, &arena, &o, &fail) != 0) {
        world_fail(w, "an operation of the log is damaged: %s", fail_text(&fail));
    }
    if (o.kind == CONFIG_OP_PUBLISH) {
        add_value(w, o.publish->key, value_of(o.publish->content));
    } else if (o.kind == CONFIG_OP_REMOVE) {
        add_value(w, o.key, 0);
    }
    arena_close(&arena);
}

/* ---------------------------------------------------------------- writes and reads */

static void on_done(struct world *w, void *arg, uint64_t number, const struct result *r)
{
    struct config_client *c = arg;
    if (c->flight != number) {
        return;
    }
    struct config_op_seen *op = &w->ops[c->flight_op];
    bool is_missing = strstr(r->text, "config data not exist") != NULL;
    c->flight = 0;
    if (w->healed_ms != 0 && !w->is_closing && op->begin_ms >= w->healed_ms && r->err &&
        !is_missing) {
        world_fail(w, "client c%u asks node %u after the storm: %d %s", c->place, op->node, r->err,
                   r->text);
    }
    op->is_done = r->err == 0 || (!op->is_write && is_missing);
    if (op->is_done) {
        op->end_ms = w->now_ms;
        op->boot = r->boot;
        op->is_degraded = r->is_degraded;
        w->reads_degraded += !op->is_write && op->is_degraded;
        op->value = op->is_write ? op->value : value_in(r->text);
        if (w->falsehood == FALSE_READ && !op->is_write && w->keys_seen[op->key].count > 0) {
            op->value = w->keys_seen[op->key].values[0];
        }
        w->writes_done += op->is_write;
        w->reads_done += !op->is_write;
    }
    world_note(w, "client c%u %s d%u through node %u: v%llu, %d %s", c->place,
               op->is_write ? "wrote" : "read", op->key, op->node, (unsigned long long)op->value,
               r->err, r->err ? r->text : "");
}

static void start(struct world *w, struct config_client *c, const char *type, const char *json,
                  const struct config_op_seen *op)
{
    c->flight_op = begin_op(w, op);
    c->flight = call_send(w, op->node, NULL, type, json, on_done, c);
}

static void publish(struct world *w, struct config_client *c, unsigned key, unsigned node)
{
    char json[JSON_BYTES];
    struct config_op_seen op = {
        .key = key, .is_write = true, .node = node, .value = world_number(w)};
    (void)snprintf(json, sizeof(json), "{" KEY_JSON ",\"content\":\"v%llu\",\"additionMap\":{}}",
                   key, (unsigned long long)op.value);
    start(w, c, "ConfigPublishRequest", json, &op);
}

static void remove_key(struct world *w, struct config_client *c, unsigned key, unsigned node)
{
    char json[JSON_BYTES];
    struct config_op_seen op = {.key = key, .is_write = true, .node = node};
    (void)snprintf(json, sizeof(json), "{" KEY_JSON "}", key);
    start(w, c, "ConfigRemoveRequest", json, &op);
}

static void read_key(struct world *w, struct config_client *c, unsigned key, unsigned node)
{
    char json[JSON_BYTES];
    struct config_op_seen op = {.key = key, .node = node};
    (void)snprintf(json, sizeof(json), "{" KEY_JSON "}", key);
    start(w, c, "ConfigQueryRequest", json, &op);
}

static void on_act(struct world *w, void *arg, uint64_t number)
{
    struct config_client *c = arg;
    unsigned key = (unsigned)world_random(w, w->keys);
    unsigned node = (unsigned)world_random(w, w->count);
    (void)number;
    if (w->is_closing) {
        return;
    }
    if (!c->flight && !w->is_quiet) {
        uint64_t what = world_random(w, 20);
        if (what < 9) {
            publish(w, c, key, node);
        } else if (what < 10) {
            remove_key(w, c, key, node);
        } else {
            read_key(w, c, key, node);
        }
    }
    world_after(w, 1 + world_random(w, w->is_calm ? 4 * ACT_MS : ACT_MS), on_act, c, 0);
}

/* ---------------------------------------------------------------- listening */

static void fetch(struct world *w, struct config_client *c);

static void on_fetched(struct world *w, void *arg, uint64_t number, const struct result *r)
{
    struct config_client *c = arg;
    if (c->listen_flight != number) {
        return;
    }
    c->listen_flight = 0;
    unsigned key = (unsigned)__builtin_ctz(c->fetch);
    bool is_missing = strstr(r->text, "config data not exist") != NULL;
    if (r->err && !is_missing) {
        return; /* the next listen tells again */
    }
    c->fetch &= ~(1u << key);
    c->value[key] = r->err ? 0 : value_in(r->text);
    const char *md5 = r->err ? NULL : strstr(r->text, "\"md5\":\"");
    (void)snprintf(c->md5[key], sizeof(c->md5[key]), "%.32s",
                   md5 ? md5 + strlen("\"md5\":\"") : "");
    world_note(w, "client c%u has d%u = v%llu", c->place, key, (unsigned long long)c->value[key]);
    fetch(w, c);
}

/* Read what has changed, one after the other; then listen again. */
static void fetch(struct world *w, struct config_client *c)
{
    char json[JSON_BYTES];
    if (c->fetch == 0) {
        c->is_dirty = true;
        return;
    }
    if (!conn_key(&c->conn)) {
        return; /* on the next connection */
    }
    (void)snprintf(json, sizeof(json), "{" KEY_JSON "}", (unsigned)__builtin_ctz(c->fetch));
    c->listen_flight =
        call_send(w, c->conn.place, &c->conn, "ConfigQueryRequest", json, on_fetched, c);
}

static void on_listened(struct world *w, void *arg, uint64_t number, const struct result *r)
{
    struct config_client *c = arg;
    if (c->listen_flight != number) {
        return;
    }
    c->listen_flight = 0;
    if (r->err) {
        c->is_dirty = true;
        return;
    }
    const char *changed = strstr(r->text, "\"changedConfigs\"");
    for (unsigned k = 0; k < w->keys; k++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "\"dataId\":\"d%u\"", k);
        if (changed && strstr(changed, name)) {
            c->fetch |= 1u << k;
        }
    }
    if (c->fetch) {
        fetch(w, c);
    }
}

static void listen(struct world *w, struct config_client *c)
{
    char json[JSON_BYTES];
    int len = snprintf(json, sizeof(json), "{\"listen\":true,\"configListenContexts\":[");
    for (unsigned k = 0; k < w->keys; k++) {
        len += snprintf(json + len, sizeof(json) - (size_t)len, "%s{" KEY_JSON ",\"md5\":\"%s\"}",
                        k ? "," : "", k, c->md5[k]);
    }
    (void)snprintf(json + len, sizeof(json) - (size_t)len, "]}");
    c->is_dirty = false;
    c->listen_flight =
        call_send(w, c->conn.place, &c->conn, "ConfigBatchListenRequest", json, on_listened, c);
}

static void on_listen(struct world *w, void *arg, uint64_t number)
{
    struct config_client *c = arg;
    (void)number;
    if (w->is_closing) {
        return;
    }
    if (conn_key(&c->conn) && !c->listen_flight) {
        if (c->fetch) {
            fetch(w, c);
        } else if (c->is_dirty) {
            listen(w, c);
        }
    }
    world_after(w, 1 + world_random(w, LISTEN_MS), on_listen, c, 0);
}

void config_on_push(struct world *w, struct config_client *c, const char *type, const char *text)
{
    if (w->falsehood == FALSE_SILENCE && w->is_calm) {
        return;
    }
    if (strcmp(type, "ConfigChangeNotifyRequest") == 0) {
        world_note(w, "client c%u is told of d%llu", c->place,
                   (unsigned long long)json_number(text, "dataId"));
        c->is_dirty = true;
    }
}

void config_on_up(struct world *w, struct config_client *c)
{
    (void)w;
    c->listen_flight = 0;
    c->is_dirty = true;
}

static void on_wander(struct world *w, void *arg, uint64_t number)
{
    struct config_client *c = arg;
    (void)number;
    if (!w->is_calm && !w->is_closing) {
        conn_again(w, &c->conn);
        world_after(w, 1 + world_random(w, 20000), on_wander, c, 0);
    }
}

void config_begin(struct world *w)
{
    w->config_count = 1 + (unsigned)world_random(w, CONFIG_MAX);
    w->keys = 1 + (unsigned)world_random(w, KEYS_MAX);
    for (unsigned i = 0; i < w->config_count; i++) {
        struct config_client *c = &w->config[i];
        c->place = i;
        c->conn = (struct client_conn){.client = i, .is_config = true};
        c->is_dirty = true;
        conn_keep(w, &c->conn);
        world_after(w, 1000 + world_random(w, ACT_MS), on_act, c, 0);
        world_after(w, world_random(w, LISTEN_MS), on_listen, c, 0);
        world_after(w, 1 + world_random(w, 20000), on_wander, c, 0);
    }
}
