/* A running gRPC edge with a core of its own: a loop, a connection table, and rows made for tests.
 *
 * Request types:
 *   EchoRequest    the core answers {"text":...,"conn":id,"app":...}; a body without "text" is
 * E_INVALID, broken JSON E_PARSE ReadRequest    answered on the edge, {"read":true,"pad":"x" * n}
 *   StaleRequest   the edge asks the core, which answers {"core":true}
 *   FailRequest    fails with "code" on the core, typed, extra member "count":0
 *   FailReadRequest  fails with "code" on the edge, shape READ
 *   LaterRequest   the core keeps the call until rig_release
 *   AdminRequest   needs API_ADMIN
 *
 * Thread: the test's. What the core sees is counted under a lock; rig_wait_* wait for it with a
 * deadline of five seconds.
 */
#ifndef NACRE_TESTS_RPC_RIG_H
#define NACRE_TESTS_RPC_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/rpc.h"

struct rig;

/* Zero: the default. */
struct rig_options {
    bool not_ready;
    bool no_door;
    size_t max_total;
    size_t receive_max;
    uint32_t handshake_timeout_ms;
    uint32_t streams_per_conn_max;
    uint32_t setup_ms; /* a stream's times */
    uint32_t send_ms;
    uint32_t linger_ms;
    api_permit_fn permit;
};

enum rig_event { RIG_OPENED, RIG_CLOSED, RIG_ACKED, RIG_HELD, RIG_EVENTS };

struct rig *rig_start(const struct rig_options *options);

/* Stop the edge unless it was stopped, then the core. */
void rig_stop(struct rig *r);

/* rpc_stop alone, while the core runs. */
void rig_stop_edge(struct rig *r, uint32_t grace_ms);

uint16_t rig_port(const struct rig *r);
struct rpc *rig_rpc(const struct rig *r);
void rig_set_ready(struct rig *r, bool ready);
void rig_set_leaving(struct rig *r);

/* From now on the core refuses mail with this error; 0: no more. */
void rig_refuse_mail(struct rig *r, int err);

/* Wait until the core has seen n events of a kind in all. */
bool rig_wait(struct rig *r, enum rig_event event, size_t n);
size_t rig_count(struct rig *r, enum rig_event event);

/* The key and the id (static memory) of the n-th connection that was opened or closed, from 1. */
uint64_t rig_key(struct rig *r, enum rig_event event, size_t n);
const char *rig_id(struct rig *r, size_t n);

/* Wait until the core has n registered connections. */
bool rig_wait_registered(struct rig *r, size_t n);

/* Push to count connections, all with the same body: {"requestId":"<id>","pad":"..."}. */
void rig_push(struct rig *r, const uint64_t *keys, size_t count, uint64_t request_id, size_t pad);

/* Let the core accept a connection once more, as after a second setup, with an ack. */
void rig_accept(struct rig *r, uint64_t key);

/* Let the core end a connection. */
void rig_end(struct rig *r, uint64_t key, enum conn_end how, const char *why);

/* The last ack that came. */
struct ack rig_last_ack(struct rig *r);

/* Let all kept calls be answered; returns how many. */
size_t rig_release(struct rig *r);

#endif
