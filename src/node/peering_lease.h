/* Read leases at work (with peering_hold, peering_release and peering_gate of peering.h): frames to
 * and from the state machine (cluster/lease.h), the gate that reads pass (api/gate.h), answers of
 * writes and reads that wait.
 *
 * A write of a config or namespace is answered by the node that took it when everybody who may
 * answer reads has applied it (safe), or when it is here for LEASE_MS: a lease that began after it
 * was committed demands it, and one from before is over then. So it is never lost, and late once
 * when a node is lost.
 *
 * A read that meets no lease, or a version that is not safe yet, waits at most READ_WAIT_MS, which
 * is within the patience of clients. Then, or at once when nobody has led for LEADERLESS_READ_MS,
 * which is longer than elections take, it is answered with what is here, and counted: below a
 * quorum reads go on. A node that has just started takes longer to hear of a leader than one that
 * has lost its: FIRST_LEADER_READ_MS.
 *
 * Thread:  core.
 * Owns:    the calls that wait.
 * Limits:  PEERING_WRITES_MAX answers wait: beyond it writes are refused before they are proposed,
 *          so at most PROPOSALS_MAX more come. PEERING_READS_MAX reads: beyond it they are answered
 *          with what is here, and counted. FRAME bytes: lease_msg.h.
 */
#ifndef NACRE_NODE_PEERING_LEASE_H
#define NACRE_NODE_PEERING_LEASE_H

#include "api/gate.h"
#include "cluster/lease.h"

#define PEERING_WRITES_MAX 65536
#define PEERING_READS_MAX 16384
#define PEERING_READ_WAIT_MS 2500
#define PEERING_LEADERLESS_READ_MS 1500
#define PEERING_FIRST_LEADER_READ_MS 5000

struct peering;
struct peering_options;

/* An answer that waits. */
struct held_write {
    struct api_call *call;
    uint64_t index;
    uint64_t until_ms;
};

/* Embedded in struct peering. */
struct peering_lease {
    struct lease lease;
    struct read_gate gate;
    struct held_write *writes; /* a ring, oldest first */
    size_t writes_cap, writes_first, writes_count;
    struct api_call **reads; /* that wait; until when, and for which entry, stands in them */
    size_t reads_cap, reads_count;
    size_t reads_behind; /* of these: not answered, they wait for a lease */
    uint64_t reads_held, reads_degraded, writes_late;
    bool is_local; /* reads do not ask */
};

/* Zeroed, with the node's number and epoch. */
void peering_lease_init(struct peering *p, const struct peering_options *options, struct now now);

/* Who waits is answered: writes as they were, reads that the server is stopping. */
void peering_lease_close(struct peering *p);

/* The log's configuration has changed. */
void peering_lease_on_members(struct peering *p);

/* A frame of a peer. E_PARSE  malformed */
MUST_USE int peering_lease_receive(struct peering *p, uint64_t from, struct span frame,
                                   struct now now);

/* May a write be proposed? E_LIMIT  PEERING_WRITES_MAX wait for their answer */
MUST_USE int peering_lease_admit(const struct peering *p, struct fail *fail);

/* When it wants a turn (monotonic ms). */
uint64_t peering_lease_deadline(const struct peering *p);

/* lease_may_remove. */
bool peering_lease_may_remove(struct peering *p, uint64_t number, struct now now);

/* Plain data. */
struct peering_lease_figures {
    bool has_lease;
    size_t reads_waiting, writes_waiting;
    uint64_t reads_held;     /* had to wait */
    uint64_t reads_degraded; /* answered without a lease */
    uint64_t writes_late;    /* answered because time was over */
};

/* As they are now. */
struct peering_lease_figures peering_lease_figures(const struct peering *p, struct now now);

#endif
