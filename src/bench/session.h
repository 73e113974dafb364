/* A client as the server sees one: a connection that checked the server, registered by its stream,
 * and behaves.
 *
 * Opening: ServerCheckRequest, the stream with ConnectionSetupRequest, then the server's
 * SetupAckRequest. Whether that one comes is what ServerCheckResponse says
 * (supportAbilityNegotiation); without it a client waits SESSION_QUIET_MS, as the SDKs do.
 * Afterwards: a HealthCheckRequest after SESSION_HEALTH_MS without a successful request; every push
 * is answered with its ack.
 *
 * Thread:  the poller's. Callbacks run inside poller_turn.
 * Owns:    its connection. Borrows the messages and ops.
 * Source:  grpc-sdk.md 3.4 (setup), 3.5 (health checks), 3.6 (acks).
 */
#ifndef NACRE_BENCH_SESSION_H
#define NACRE_BENCH_SESSION_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "bench/frame.h"
#include "bench/h2conn.h"
#include "bench/poller.h"

#define SESSION_HEALTH_MS 5000
#define SESSION_QUIET_MS 100
#define SESSION_SETUP_MS 10000 /* a session that is not ready after this has failed */

/* The frames that every session sends, packed once. Embedded by the owner of the sessions. */
struct session_frames {
    struct frame check;
    struct frame setup;
    struct frame health;
};

/* Pack and free them. module: as msg_setup. */
void session_frames_init(struct session_frames *frames, const char *module);
void session_frames_close(struct session_frames *frames);

enum session_state {
    SESSION_OPENING,
    SESSION_CHECKING,
    SESSION_SETUP,
    SESSION_READY,
    SESSION_LOST
};

struct session;

/* What the owner is told; any may be NULL. self is session->self. */
struct session_ops {
    void (*on_ready)(struct session *s);
    /* A NotifySubscriberRequest or ConfigChangeNotifyRequest; its ack goes out after this returns.
     */
    void (*on_push)(struct session *s, struct span body, uint64_t now_ns);
    /* The session failed to open, or was lost. Once. */
    void (*on_lost)(struct session *s, const struct fail *why);
};

/* Embedded by its owner; the fields are read by others, written by session.c. raw: only a
 * connection, no setup. */
struct session {
    struct h2conn *conn;
    struct poller *poller;
    const struct session_frames *frames;
    const struct session_ops *ops;
    void *self;
    struct h2call internal; /* server check, health check */
    enum session_state state;
    bool raw;
    bool internal_busy;
    bool waits_for_ack;
    uint64_t begun_ns;
    uint64_t setup_ns;
    uint64_t heard_ns; /* the last successful answer */
    uint64_t pushes;
    struct fail why;
};

/* What a session is opened with. Plain data, borrowed pointers. */
struct session_config {
    struct poller *poller;
    const struct addrinfo *address;
    const struct session_frames *frames;
    const struct session_ops *ops;
    void *self;
    bool raw;
};

/* Begin to open; on_ready or on_lost follows. The errors of h2conn_create. */
MUST_USE int session_init(struct session *s, const struct session_config *config,
                          struct fail *fail);

/* Close the connection and forget everything. Not from inside a turn. */
void session_close(struct session *s);

/* To be called every 100 ms or so: time-outs of the setup, quiet periods, health checks. */
void session_tick(struct session *s, uint64_t now_ns);

/* A request of the owner's was answered well: the next health check is due later. */
void session_heard(struct session *s);

#endif
