/* Read leases: their times, and what they need to know of the log.
 *
 * Thread:  any; no state.
 */
#ifndef NACRE_CLUSTER_LEASE_LOG_H
#define NACRE_CLUSTER_LEASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* The leader asks so often, while anybody reads. */
#define LEASE_ROUND_MS 75
/* The leader counts a holder for so long, and ... This is also for how long writes wait once when a
 * node that reads is lost: no longer than an election takes, so that adds nothing to one. */
#define LEASE_MS 300
/* ... a holder itself for so long: less, since clocks drift. */
#define LEASE_HOLDER_MS 270
/* A node without a read for so long wants no lease any more. */
#define LEASE_IDLE_MS 5000
#define LEASE_SERVERS_MAX 64

/* The log as it is. Plain data. */
struct lease_log {
    uint64_t term;
    uint64_t commit;
    uint64_t applied;
    uint64_t last;   /* index of its last entry here */
    uint64_t leader; /* of this term; 0: not known */
    bool leads;      /* this node, in this term */
    bool is_settled; /* ... and committed an entry of its own term */
};

/* A server of its configuration. Plain data. */
struct lease_server {
    uint64_t id;
    bool is_voter;
};

#endif
