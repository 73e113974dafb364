/* The graceful stop, as far as the core does it: leadership goes to another node, clients are sent
 * to other nodes, and only then the node ends its streams.
 *
 * Clients are asked to move (ConnectResetRequest) in portions, so that the others are not run over;
 * each is given a living member in turn, where that is safe (conn_reset_some). They are served
 * until they have moved. Who has not moved then (the Go SDK stays where it is as long as it is
 * healthy) is ended, in portions, too: a client whose stream ends fails its calls until it is
 * connected again, and that takes as long as all who come at the same time. What they publish
 * stays, under the old connection: it goes when they have published it through another node, or
 * when the leader gives this one up (PEERING_OWNER_GRACE_MS). So no goodbye is said to the leader:
 * it would only make that time shorter for clients that need it, and links that end tell the others
 * at once that this node is gone.
 *
 * Thread:  core.
 * Owns:    what is embedded in the core.
 * Limits:  LEAVE_PORTION connections are asked, LEAVE_END_PORTION (or, of many, what is done in
 *          LEAVE_END_MS) ended each LEAVE_PACE_MS; LEAVE_MS_MAX for all of it; who is left then
 *          loses its stream with the node.
 */
#ifndef NACRE_NODE_LEAVING_H
#define NACRE_NODE_LEAVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define LEAVE_PORTION 250
#define LEAVE_PACE_MS 25
#define LEAVE_END_PORTION 10
#define LEAVE_END_MS 1500
#define LEAVE_ENDED_MS 100     /* for the edge to say that they are closed */
#define LEAVE_LINGER_MS 500    /* for clients to move after the last was asked */
#define LEAVE_TRANSFER_MS 1000 /* for another node to lead */
#define LEAVE_MS_MAX 3000

struct core;
struct leaving_targets;

/* Embedded; zero-initialised: not leaving. */
struct leaving {
    bool is_on;
    bool is_told;   /* everybody connected was asked */
    bool is_over;   /* everybody who is left was ended */
    size_t portion; /* to be ended at a time; 0: not begun */
    uint64_t begun_ms;
    uint64_t next_ms;  /* the next portion */
    uint64_t told_ms;  /* the last one was asked */
    uint64_t ended_ms; /* the last one was ended */
    struct leaving_targets *targets;
};

/* Begin; once. */
void leaving_begin(struct core *c, struct now now);

/* Do what is due. True once: it is done, the streams may end. */
bool leaving_turn(struct core *c, struct now now);

/* Monotonic ms of the next turn at the latest; UINT64_MAX: not leaving. */
uint64_t leaving_deadline(const struct core *c);

/* Free what a stop that was cut short has left. */
void leaving_close(struct leaving *l);

#endif
