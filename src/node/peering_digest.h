/* Nodes that compare their states (cluster/digests.h), among the peers: reports, questions,
 * answers, and what a node does that is told that it has diverged.
 *
 * Such a node says so, orders that it is made anew (rebuild.h) and starts again; the cluster takes
 * it in as a node with an empty directory. One that could not be taken in
 * (nacos.core.cluster.repin) or had to be made anew within the last hour ends with a sentence
 * instead.
 *
 * Thread:  create, destroy: main. The counter: any (an atomic). The rest: core.
 * Cost:    one addition of sums per entry; a frame a second from each node that applied something.
 */
#ifndef NACRE_NODE_PEERING_DIGEST_H
#define NACRE_NODE_PEERING_DIGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/span.h"

/* A report is made again after this, also when nothing was applied: it may have been lost. */
#define PEERING_DIGEST_REPEAT_MS 5000

struct peering;
struct peering_options;
struct peering_digest;

/* options are read, not kept: can this node come back as another one? */
MUST_USE struct peering_digest *peering_digest_create(uint64_t self,
                                                      const struct peering_options *options);

/* NULL is fine. */
void peering_digest_destroy(struct peering_digest *d);

/* An entry is applied whole; the state was replaced by a snapshot. */
void peering_digest_entry(struct peering *p);
void peering_digest_forget(struct peering *p);

/* Who leads has changed. */
void peering_digest_on_leader(struct peering *p);

/* Once per WATCH_ALIVE_MS: tell the leader. */
void peering_digest_report(struct peering *p, struct now now);

/* End of a turn, and when it wants to be called next (monotonic ms). */
void peering_digest_turn(struct peering *p, struct now now);
uint64_t peering_digest_deadline(const struct peering *p);

/* A frame of kind PEER_DIGEST from a peer. False: it is malformed. */
bool peering_digest_receive(struct peering *p, uint64_t from, struct span bytes, struct now now);

/* For people: how often this node found, or was told, that a node had diverged. */
const atomic_ulong *peering_digest_counter(const struct peering *p);

/* The entry after which this member's state was found to be not the others'; 0: it was not, as far
 * as this node knows. */
uint64_t peering_digest_diverged(const struct peering *p, uint64_t number);

#endif
