/* A few nodes with leases over a log that is only as real as leases need: terms, votes by quorum,
 * entries that a majority has. Clocks drift, messages are late or lost, nodes stop for a while,
 * start again, are cut off one way; all of it from one seed.
 *
 * It checks that no read under a lease gives less than a write that was answered, or an earlier
 * read that was finished, before it began. */
#ifndef NACRE_TESTS_LEASE_SIM_H
#define NACRE_TESTS_LEASE_SIM_H

#include <stdbool.h>
#include <stdint.h>

/* What came of a run. Plain data. */
struct lease_sim_result {
    uint64_t reads;   /* given under a lease */
    uint64_t refused; /* no lease, or not safe yet */
    uint64_t answered, answered_late;
    uint64_t elections;
    bool is_broken; /* the promise was not kept; why in words */
    char why[256];
};

struct lease_sim_result lease_sim_run(uint64_t seed);

#endif
