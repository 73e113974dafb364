/* Read leases: their times, and what they need to know of the log.
 *
 * Thread:  any; no state.
 */
#ifndef NACRE_CLUSTER_LEASE_LOG_H
#define NACRE_CLUSTER_LEASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* The leader asks so often. */
#define LEASE_ROUND_MS 150
/* The leader counts a holder for so long, and ... */
#define LEASE_MS 1000
/* ... a holder itself for so long: less, since clocks drift. */
#define LEASE_HOLDER_MS 900
#define LEASE_SERVERS_MAX 64

/* The log as it is. Plain data. */
struct lease_log {
    uint64_t term;
    uint64_t commit;
    uint64_t applied;
    uint64_t last;   /* index of its last entry here */
    bool leads;      /* this node, in this term */
    bool is_settled; /* ... and committed an entry of its own term */
};

/* A server of its configuration. Plain data. */
struct lease_server {
    uint64_t id;
    bool is_voter;
};

#endif
