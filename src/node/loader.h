/* Connections of SDKs, spread over the nodes: figures of all of them, and clients asked to go
 * elsewhere (ConnectResetRequest). Nothing is balanced without an order.
 *
 * Clients beyond what a node is to keep are asked in portions. Each is given the address that the
 * order names: a person, or the list of members, says that clients reach it.
 *
 * Thread:  core.
 * Owns:    the order that this node carries out, a newer one in its place; questions to others that
 *          are under way.
 * Limits:  LOADER_GATHERS_MAX questions of clients at a time, then E_LIMIT; another node has
 *          LOADER_PATIENCE_MS to answer; LOADER_PORTION clients each LOADER_PACE_MS.
 * Source:  semantics.md 4.8 (Nacos 2.5.1 core/.../controller/v2/ServerLoaderController.java,
 *          core/.../remote/core/ServerReloaderRequestHandler.java).
 */
#ifndef NACRE_NODE_LOADER_H
#define NACRE_NODE_LOADER_H

#include "node/machine.h"
#include "node/members_view.h"
#include "node/queries.h"

#define LOADER_GATHERS_MAX 8
#define LOADER_PATIENCE_MS 1000
#define LOADER_PORTION 250
#define LOADER_PACE_MS 25
#define LOADER_AGAIN_MS 10000 /* who was asked so lately is on its way */
#define LOADER_KEEP 0.9       /* of its connections a node keeps at each step of a balancing */

/* What one node carries. Plain data. */
struct load {
    uint64_t connections;
    uint64_t sdk;
    uint64_t load_milli;
    uint64_t cpu_milli;
};

/* What all of them carry. Plain data. */
struct loads {
    size_t count;
    struct {
        char address[MEMBER_ADDRESS_MAX + 1];
        uint64_t number;
        bool is_self;
        bool is_known; /* it answered */
        struct load load;
    } list[MEMBERS_MAX + 1];
};

/* Of the SDKs' connections. Plain data. */
struct load_sums {
    uint64_t total, min, max, average;
    size_t known;
};

typedef void (*loader_told_fn)(void *arg, const struct loads *loads);
typedef void (*loader_done_fn)(void *arg, bool is_ok);

struct loader_gather;

/* Embedded in the core; zero-initialised: idle. */
struct loader {
    struct cpu_meter cpu;
    size_t left; /* connections to be asked still */
    uint64_t next_ms;
    char host[MEMBER_HOST_MAX + 1]; /* where to; "": anywhere */
    uint16_t port;
    size_t gathers;
};

/* Ask all members of this view what they carry. told is called exactly once, perhaps before this
 * returns; who did not answer is not known. E_LIMIT */
MUST_USE int loader_gather(struct core *c, const struct members_view *view, loader_told_fn told,
                           void *arg, struct fail *fail);

/* Of those that answered. */
struct load_sums loader_sums(const struct loads *loads);

/* Keep so many connections of SDKs and ask the others to go to host:port ("": anywhere). Returns
 * how many will be asked. */
size_t loader_reload(struct core *c, uint64_t keep, const char *host, uint16_t port);

/* Nacos's smart reload: the fullest nodes give what is more than average * (1 + factor) to the
 * emptiest ones, LOADER_KEEP of a node's connections staying at each step. done is called exactly
 * once, perhaps before this returns. E_LIMIT */
MUST_USE int loader_balance(struct core *c, const struct loads *loads, double factor,
                            loader_done_fn done, void *arg, struct fail *fail);

/* Another node asks: QUERY_LOAD, QUERY_RELOAD. */
void loader_take(struct core *c, uint64_t from, const struct query *q);

/* Ask the next portion. */
void loader_turn(struct core *c, struct now now);

/* Monotonic ms of the next turn; UINT64_MAX: nobody is to be asked. */
uint64_t loader_deadline(const struct core *c);

#endif
