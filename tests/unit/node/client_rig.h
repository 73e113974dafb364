/* Naming clients of cores: connections that register, subscribe and ask.
 *
 * Thread:  the test's own.
 */
#ifndef NACRE_TESTS_NODE_CLIENT_RIG_H
#define NACRE_TESTS_NODE_CLIENT_RIG_H

#include "disk_rig.h"

#define CLIENT_TEXT_MAX 16384
#define CLIENT_SERVICE "\"serviceName\":\"demo\",\"groupName\":\"G\""

struct rig_client {
    struct disk *d;
    struct peer *peer;
    char text[CLIENT_TEXT_MAX]; /* of the last answer: body, or the reason */
    uint64_t ms;                /* that it took */
};

static inline void client_open(struct rig_client *c, struct disk *d, uint16_t port)
{
    c->d = d;
    c->peer = peer_create(SPAN("192.0.2.7"), port, 1700000000000 + port, port);
    rig_open_conn(d->core, c->peer, RIG_SETUP);
}

/* Its connection ends. */
static inline void client_close(struct rig_client *c)
{
    rig_close_conn(c->d->core, c->peer);
    peer_unref(c->peer);
    c->peer = NULL;
}

/* Ask and wait: 0 or the code. */
static inline int client_ask(struct rig_client *c, const char *type, const char *json)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    const struct api_row *row = NULL;
    for (size_t i = 0; i < count; i++) {
        row = strcmp(rows[i].name, type) == 0 ? &rows[i] : row;
    }
    if (!row) {
        abort(); /* a test asks for what the registry has */
    }
    struct rig_call call;
    struct fail fail = {0};
    uint64_t begun_ms = clock_mono_ms();
    rig_call_open(&call, row, core_naming(c->d->core));
    call.call.caller.conn = c->peer->key;
    call.call.caller.conn_id = span_str(c->peer->id);
    assert_int_equal(row->decode_rpc(&call.call, span_str(json), &fail), 0);
    rig_post(c->d->core, &call);
    assert_int_equal(rig_wait(&call), 1);
    c->ms = clock_mono_ms() - begun_ms;
    int err = call.call.reply.fail.code;
    memset(c->text, 0, sizeof(c->text));
    if (err) {
        snprintf(c->text, sizeof(c->text), "%s", fail_text(&call.call.reply.fail));
    } else {
        assert_true(body_len(&call.call.reply.body) < sizeof(c->text));
        body_copy(&call.call.reply.body, c->text);
    }
    rig_call_close(&call);
    return err;
}

static inline int client_change(struct rig_client *c, const char *type, unsigned port)
{
    char json[256];
    snprintf(json, sizeof(json),
             "{" CLIENT_SERVICE ",\"type\":\"%s\",\"instance\":{\"ip\":\"192.0.2.8\",\"port\":%u}}",
             type, port);
    return client_ask(c, "InstanceRequest", json);
}

static inline int client_register(struct rig_client *c, unsigned port)
{
    return client_change(c, "registerInstance", port);
}

static inline int client_deregister(struct rig_client *c, unsigned port)
{
    return client_change(c, "deregisterInstance", port);
}

static inline int client_subscribe(struct rig_client *c)
{
    return client_ask(c, "SubscribeServiceRequest", "{" CLIENT_SERVICE ",\"subscribe\":true}");
}

/* How many instances its node lists. */
static inline unsigned client_hosts(struct rig_client *c)
{
    unsigned count = 0;
    assert_int_equal(client_ask(c, "ServiceQueryRequest", "{" CLIENT_SERVICE "}"), 0);
    for (const char *at = c->text; (at = strstr(at, "\"instanceId\"")); at++) {
        count++;
    }
    return count;
}

#endif
