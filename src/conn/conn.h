/* Connections as the core sees them: who is registered, who is silent, who is one too many.
 *
 * Thread:  core only. The mails are made by the edge.
 * Owns:    a reference to each registered peer. Borrows nothing.
 * Limits:  conn_options: connections in all and per address; beyond them the stream ends with the
 *          reason (CONN_END_EXHAUSTED).
 * Source:  grpc-sdk.md 3.4 to 3.8; Nacos 2.5.1 core/.../remote/ConnectionManager.java,
 *          NacosRuntimeConnectionEjector.java.
 */
#ifndef NACRE_CONN_CONN_H
#define NACRE_CONN_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core_mail.h"
#include "api/outbox.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/fail.h"
#include "conn/peer.h"
#include "wire/ack.h"

#define CONN_LABELS_MAX 64
#define CONN_TEXT_MAX 1024 /* bytes of a text of the setup: version, tenant, label key or value */
#define CONN_SCAN_MS 3000  /* how often silent connections are looked for */
#define CONN_SCAN_FIRST_MS 1000
#define CONN_IDLE_MS 20000 /* silent this long: probed with ClientDetectionRequest */
#define CONN_PROBE_TIMEOUT_MS 5000
/* requestIds of this module's pushes count from here; features count from 1, so the two never meet
 * on one connection. Plain decimal text for the client, and below 2^53 for those that read it as a
 * double. */
#define CONN_REQUEST_ID_FIRST (UINT64_C(1) << 40)

struct conn_label {
    struct span key;
    struct span value;
};

/* A decoded ConnectionSetupRequest. Spans live in the arena it was decoded into. */
struct conn_setup {
    struct span client_version;
    struct span client_ip; /* from the Payload's metadata */
    struct span tenant;
    const struct conn_label *labels;
    size_t labels_count;
    bool has_ability_table; /* present and not null: wants a SetupAck (R4) */
};

/* Decode the JSON body of a ConnectionSetupRequest. Missing labels are none.
 * E_PARSE, E_LIMIT (over CONN_LABELS_MAX labels, a text over CONN_TEXT_MAX) with the field. */
MUST_USE int conn_setup_decode(struct span body, struct span client_ip, struct arena *arena,
                               struct conn_setup *ret, struct fail *fail);

/* The value of a label by its exact name; the empty span when absent. Any thread. */
struct span conn_setup_label(const struct conn_setup *setup, const char *key);

/* Mails from the edge. Each owns its peer reference (and arena). Freed by conn_mail_free. */
struct conn_open {
    struct core_mail mail;
    struct peer *peer;
    struct arena arena;
    struct conn_setup setup;
};
struct conn_closed {
    struct core_mail mail;
    struct peer *peer;
};
struct conn_ack {
    struct core_mail mail;
    struct peer *peer;
    struct ack ack;
};

/* Free any of the three. */
void conn_mail_free(struct core_mail *take_mail);

struct conn_options {
    size_t max_total;        /* nacre.connections.max; 0: no limit */
    size_t max_per_ip;       /* nacre.connections.max-per-ip; 0: no limit */
    bool persistent_by_grpc; /* advertised in the SetupAck */
};

/* What is known of a registered connection. Borrowed; valid until it is unregistered. */
struct conn_info {
    const struct peer *peer;
    struct span client_version;
    struct span client_ip;
    struct span tenant;
    struct span app;    /* label AppName, "-" when absent */
    struct span module; /* label module, "" when absent */
    struct span source; /* label source, "" when absent */
    int64_t since_wall_ms;
};

struct conn_table;

/* An empty table; the options are copied. */
struct conn_table *conn_table_create(const struct conn_options *options);

/* Unrefs all peers; emits nothing. */
void conn_table_destroy(struct conn_table *t);

/* Register after a setup: emits ACCEPT with the SetupAck when due, or CLOSE with the reason
 * (E_LIMIT). A peer that is already registered stays, and gets its ack again (K32). */
MUST_USE int conn_register(struct conn_table *t, const struct conn_open *open, struct now now,
                           struct outbox *out, struct fail *fail);

/* Forget a connection. False when it was not registered. */
bool conn_unregister(struct conn_table *t, uint64_t key);

/* Borrow; NULL when unknown. */
const struct conn_info *conn_find(const struct conn_table *t, uint64_t key);

/* By id text; NULL when unknown. O(1). */
const struct conn_info *conn_find_id(const struct conn_table *t, struct span id);

/* An ack came. True when it carries one of this module's requestIds (a probe, a reset; also a late
 * or doubled one); otherwise a feature's. */
bool conn_on_ack(struct conn_table *t, uint64_t key, const struct ack *ack, struct now now);

/* Probe silent connections, end those whose probe failed. on_lost is told of each ended connection
 * before it is forgotten (its instances go with the reason). */
typedef void (*conn_lost_fn)(void *self, uint64_t key, struct span id);
void conn_tick(struct conn_table *t, struct now now, struct outbox *out, conn_lost_fn on_lost,
               void *self);

/* When conn_tick wants to be called next (monotonic ms); UINT64_MAX while nobody is connected. */
uint64_t conn_deadline(const struct conn_table *t);

/* Push ConnectResetRequest to every connection of an SDK: the node is leaving. */
void conn_reset_all(struct conn_table *t, struct outbox *out);

/* Where to send clients: another node's main port. ip may be a name. */
struct conn_target {
    struct span ip;
    uint16_t port;
};

/* How conn_reset_some chooses. Plain data, borrowed for the call. */
struct conn_reset_plan {
    const struct conn_target *targets; /* in turn; a client whose list may lack one gets none */
    size_t targets_count;
    bool is_order;     /* of a person, who knows what clients reach: everybody gets a target */
    size_t max;        /* connections to ask in this call */
    uint64_t again_ms; /* who was asked so lately is not asked again */
};

/* Push ConnectResetRequest to connections of SDKs, in no order. Returns how many were asked.
 * A client of the Java SDK takes a target only when its own list has it; others go nowhere else
 * when it cannot be reached (grpc-sdk.md 3.7). */
size_t conn_reset_some(struct conn_table *t, const struct conn_reset_plan *plan, struct now now,
                       struct outbox *out);

/* End connections of SDKs, at most max of those that this was not done to yet; each is unregistered
 * when the edge says that it is closed. Returns how many. */
size_t conn_end_some(struct conn_table *t, size_t max, struct span why, struct outbox *out);

/* How many connections are an SDK's. */
size_t conn_count_sdk(const struct conn_table *t);

/* Push ConnectResetRequest to one, with a recommended server or none. E_NOT_FOUND. */
MUST_USE int conn_reset(struct conn_table *t, struct span id, struct span server_ip,
                        struct span server_port, struct outbox *out, struct fail *fail);

/* How many are registered. */
size_t conn_count(const struct conn_table *t);

/* Visit every connection, in no order. fn must not change the table. */
void conn_each(const struct conn_table *t, void (*fn)(void *arg, const struct conn_info *info),
               void *arg);

#endif
