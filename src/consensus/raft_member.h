/* Taking members in and letting them go, in the steps that keep the log alive: one change at a
 * time, a newcomer gets the log before it votes, and what is left has a quorum that answers.
 *
 * Thread:  the driver's.
 * Steps:   ADD: (a node alone: a snapshot) -> configuration with a learner -> catch-up -> voter.
 *          Where it stands is read from the configuration, so that another leader goes on with it.
 * Errors:  as consensus_change says.
 */
#ifndef NACRE_CONSENSUS_RAFT_MEMBER_H
#define NACRE_CONSENSUS_RAFT_MEMBER_H

#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "consensus/consensus.h"
#include "consensus/raft_driver.h"

#define RAFT_MEMBER_RETRY_MS 500 /* between two attempts at a step */

/* Embedded by its owner; zero-initialised has nothing to do. */
struct raft_member {
    uint64_t pending_id; /* waits for the snapshot; 0: nobody does */
    char pending_address[CONSENSUS_ADDRESS_MAX + 1];
    uint64_t retry_ms;      /* when the next step may be tried */
    unsigned silent_ms_max; /* a voter that is silent longer does not count to a quorum */
};

/* The member of conf with this id, or NULL; as long as conf. */
const struct raft_server *raft_member_find(const struct raft_configuration *conf, uint64_t id);

/* The first configuration: all voters, the same whatever their order. The caller closes it; it is
 * empty when there are none of them, and on error.
 * E_INVALID  ids or addresses repeat, are 0, empty or too long; too many; own_id is not in it */
MUST_USE int raft_member_first(const struct consensus_voter *voters, unsigned n, uint64_t own_id,
                               struct raft_configuration *ret, struct fail *fail);

/* consensus_change. */
MUST_USE int raft_member_change(struct raft_member *m, struct raft_driver *d,
                                enum consensus_change change, uint64_t id, const char *address,
                                struct fail *fail);

/* Do the next step, if it is time for one. Call it in every turn. */
void raft_member_tick(struct raft_member *m, struct raft_driver *d, uint64_t now_ms);

/* When it wants to be called; UINT64_MAX: nothing to do. */
uint64_t raft_member_deadline(const struct raft_member *m, const struct raft_driver *d);

/* consensus_members. */
unsigned raft_member_list(const struct raft_member *m, const struct raft_driver *d,
                          struct consensus_member *ret, unsigned max);

#endif
