/* The registry: services, instances, subscribers. This header is what node/ and the rows see.
 *
 * The way of a write: admit.h (rules, limits; the request becomes an operation) -> log -> apply.h
 * (every node) -> view -> react.h (this node: answer, push). Reads come from the view.
 *
 * Thread:  core only, but naming_counters: any (atomics).
 * Source:  semantics.md 1; grpc-sdk.md 5.4.
 */
#ifndef NACRE_NAMING_NAMING_H
#define NACRE_NAMING_NAMING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/call.h"
#include "api/outbox.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "view/view.h"
#include "wire/ack.h"

/* Who publishes. Stands in the log: numbers never change. */
enum client_kind {
    CLIENT_CONNECTION = 1, /* "{millis}_{ip}_{port}": lives and dies with its connection */
    CLIENT_HTTP = 2,       /* "ip:port#true": lives by beats */
    CLIENT_PERSISTENT = 3, /* "ip:port#false": lives until it is removed */
};

/* Why an instance went. X(name, number, text). Stands in the log: numbers never change. */
#define REMOVAL_MAP(X)                                                                             \
    X(REMOVAL_DEREGISTERED, 1, "deregistered by its client")                                       \
    X(REMOVAL_REPLACED, 2, "replaced by another registration of its client")                       \
    X(REMOVAL_CONNECTION_CLOSED, 3, "its connection closed")                                       \
    X(REMOVAL_CONNECTION_SILENT, 4, "its connection was silent and did not answer the probe")      \
    X(REMOVAL_BEAT_EXPIRED, 5, "no beat in time")                                                  \
    X(REMOVAL_HTTP_DEREGISTERED, 6, "deregistered over HTTP")                                      \
    X(REMOVAL_EJECTED, 7, "its connection was ended by this server")                               \
    X(REMOVAL_NOT_BACK, 8, "its client did not come back after the server restarted")              \
    X(REMOVAL_OWNER_LOST, 9, "its server was lost")

enum removal_reason {
#define X(name, number, text) name = number,
    REMOVAL_MAP(X)
#undef X
};

/* One more than the last number, which have no gaps: the size of a table by reason. */
#define X(name, number, text) +1
enum { REMOVAL_NUMBERS = 1 REMOVAL_MAP(X) };
#undef X

/* The text of a reason; "unknown" outside the table. */
const char *removal_text(enum removal_reason reason);

/* Plain data, milliseconds. Defaults in node/options.c are those of Nacos unless COMPAT says
 * otherwise. */
struct naming_options {
    uint64_t self;                /* this node's number; 0: it is alone */
    uint32_t push_window_ms;      /* changes that follow a push within this are merged */
    uint32_t push_window_max_ms;  /* the window grows to this under load */
    uint32_t push_ack_timeout_ms; /* 5000 */
    uint32_t push_retry_ms;       /* 1000, doubled each time up to push_retry_max_ms */
    uint32_t push_retry_max_ms;
    uint32_t push_tries_max;    /* then the subscriber waits for the next change */
    uint32_t subscribe_push_ms; /* a new subscription is pushed once more after this: 500 */
    uint32_t beat_timeout_ms;   /* 15000: unhealthy */
    uint32_t beat_delete_ms;    /* 30000: removed */
    uint32_t beat_interval_ms;  /* 5000: told to 1.x clients */
    bool expire_instances;      /* nacos.naming.expireInstance */
    uint32_t empty_service_ms;  /* 60000: an implicit service without publications goes */
    uint32_t clean_interval_ms;
    uint32_t overlay_expire_ms; /* 60000: an overlay that nobody uses goes */
    uint32_t restart_grace_ms;  /* 30000: clients of an earlier life of this server are kept for
                                   this long after naming_recovered */
};

/* Read by metrics on any thread. */
struct naming_counters {
    atomic_ulong registrations;
    atomic_ulong removals[REMOVAL_NUMBERS]; /* by enum removal_reason */
    atomic_ulong pushes;
    atomic_ulong push_acks;
    atomic_ulong push_failures; /* no ack in time */
    atomic_ulong push_given_up;
    atomic_ulong empty_pushes;
    atomic_ulong push_cost_ms; /* sum over acked pushes, change to ack */
    atomic_ulong push_cost_max_ms;
    atomic_ulong bad_ops; /* unknown or damaged operations that became no-ops */
    atomic_ulong beats;
    atomic_ulong beats_told;   /* to the node that owns the instance */
    atomic_ulong beats_heard;  /* from other nodes */
    atomic_ulong beats_untold; /* no room: their clients beat again */
    atomic_ulong taken_over;   /* publications of HTTP clients whose node is lost */
    atomic_ulong restored;     /* publications put back after this node was given up */
    atomic_ulong shown;        /* registrations that were answered before they were applied */
    atomic_ulong shown_vain;   /* of those, the ones that had no effect when they were */
};

struct naming;

/* view is borrowed and outlives the registry. */
struct naming *naming_create(const struct naming_options *options, struct view *view);

/* Frees the state, whatever is still subscribed or published; NULL is fine. */
void naming_destroy(struct naming *n);

/* The log is about to hand out what earlier lives of this server committed, a snapshot first if
 * there is one: from now until naming_recovered nothing expires, is pushed, traced or counted, and
 * the view is left alone. The registry is empty (asserted). Core, or main before the core runs. */
void naming_replay(struct naming *n);

/* What came back. Plain data. */
struct naming_recovery {
    uint64_t operations; /* handed out since naming_replay; a snapshot counts as none */
    size_t services, instances;
    size_t awaited_clients; /* connections of an earlier life: kept for restart_grace_ms */
    size_t http_clients;    /* their beats are expected from now on */
};

/* The log is handed out: this registry is served from now on, and every client gets its full time
 * to come back. DIFF(restart-grace): connection clients without a connection are shown as they were
 * for restart_grace_ms; then their end goes through the log with REMOVAL_NOT_BACK. HTTP clients are
 * as if they had sent a beat just now. What nobody uses is not cleaned before its own time has
 * passed once more after that grace, however long this server was away. The node logs the figures
 * in one line.
 */
struct naming_recovery naming_recovered(struct naming *n, struct now now);

/* A registered connection with label module=naming. Spans are copied. */
struct naming_conn {
    uint64_t conn;
    struct span id;
    struct span client_ip;
    struct span app;
    struct span agent;
};

/* From now on it may publish and subscribe. Asserts that this connection is not open yet. */
void naming_conn_open(struct naming *n, const struct naming_conn *c, struct now now);

/* The connection is over: its subscriptions go at once, what it publishes goes through the log with
 * the reason. Unknown: nothing. */
void naming_conn_closed(struct naming *n, uint64_t conn, enum removal_reason reason, struct now now,
                        struct outbox *out);

/* An ack for one of our pushes (others are ignored). */
void naming_ack(struct naming *n, uint64_t conn, const struct ack *ack, struct now now);

/* A committed operation. owner: the number of the node that proposed it, as the log's envelope has
 * it, the same on every node; 0: a server that is alone. waiting: the call of this node that
 * proposed it, or NULL; answered here (into out).
 *
 * What is published for a connection or an HTTP client makes owner the client's owner: the node
 * that watches it and ends it. */
void naming_commit(struct naming *n, struct span op, uint64_t owner, struct api_call *waiting,
                   struct now now, struct outbox *out);

/* An operation that this node has proposed and that the log does not take for now. id: its number,
 * greater than those shown before. waiting: the call that waits for it, or NULL. Plain data. */
struct naming_waiting {
    uint64_t id;
    struct span op;
    struct api_call *waiting;
};

enum naming_shown {
    NAMING_SHOWN,   /* this node's clients see it; the waiting call is answered */
    NAMING_WAITS,   /* it is none of those that are shown: what an operator wrote, what persists */
    NAMING_REFUSED, /* with the reason; the waiting call is not answered */
};

/* Show it to this node's clients before it is applied: registrations, deregistrations, ends of
 * clients and what becomes of the health of HTTP clients. In the order in which they were proposed,
 * none left out that is shown later.
 * E_LIMIT    PENDING_MAX (pending.h)
 * E_INVALID  the service is of the other kind
 * E_BUSY     it is proposed again by itself: nothing is lost without it */
MUST_USE enum naming_shown naming_show(struct naming *n, const struct naming_waiting *w,
                                       struct now now, struct outbox *out, struct fail *fail);

/* naming_commit of an operation that is shown as id: its clients see no difference. op empty: what
 * the log loaded instead of it (a snapshot) holds it. */
void naming_commit_shown(struct naming *n, uint64_t id, struct span op, uint64_t owner,
                         struct now now, struct outbox *out);

/* The log says that a node is lost (OWNER_EXPIRE; called on every node at the same place of the
 * log): its connection and HTTP clients go with REMOVAL_OWNER_LOST, those that moved to another
 * node stay. time_ms: wall time of that entry. One pass over all clients, and what the lost ones
 * publish.
 *
 * owner is this node and it is served (it was cut off and is back): what clients that are still
 * attached here publish is put back through the log, unless they change it first, and their
 * subscribers here are not told in between. Proposals of before must stand before later ones (or be
 * rejected), and later ones must carry an epoch that the log takes. */
void naming_owner_gone(struct naming *n, uint64_t owner, int64_t time_ms, struct now now,
                       struct outbox *out);

#define NAMING_LOST_MAX 64

/* What this node knows by itself of another one, at most NAMING_LOST_MAX of them: while it is lost,
 * an HTTP client of it that beats here is taken over, by a publication through the log. Beyond the
 * limit a lost node counts as alive. Not replicated. */
void naming_owner_lost(struct naming *n, uint64_t owner, bool is_lost);

/* A frame PEER_NAMING of another node: beats that it received for HTTP clients of this node. Those
 * of clients that are not (any more) this node's are passed over.
 * E_PARSE  it is none: what and where; nothing of it counted */
MUST_USE int naming_receive(struct naming *n, struct span frame, struct now now, struct outbox *out,
                            struct fail *fail);

/* End of a core turn: pushes that are due leave. */
void naming_turn(struct naming *n, struct now now, struct outbox *out);

/* When naming_turn wants to be called next (monotonic ms), UINT64_MAX for never; never while the
 * log is replayed. */
uint64_t naming_deadline(const struct naming *n);

/* Borrowed until naming_destroy; the counters only grow. */
const struct naming_counters *naming_counters(const struct naming *n);

/* Figures for metrics and the console. Plain data. */
struct naming_stats {
    size_t services, instances, subscriptions;
    size_t clients, connection_clients, http_clients, persistent_clients;
    size_t pushes_pending;
    size_t shown; /* operations that are shown and not applied */
};

/* The figures as they are now. O(1). */
struct naming_stats naming_stats(const struct naming *n);

#endif
