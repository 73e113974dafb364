/* Cleaning: implicit services that nobody publishes go after a while, and overlays that nobody
 * uses.
 *
 * Services with an explicit record stay (DIFF(keep-created-services): Nacos removes them too).
 *
 * Thread:  core only.
 * Limits:  CLEAN_BATCH services looked at per turn, so a large registry never stalls the core.
 * Source:  semantics.md 1.10, 8.2 N4.
 */
#ifndef NACRE_NAMING_CLEAN_H
#define NACRE_NAMING_CLEAN_H

#include "naming/state.h"

#define CLEAN_BATCH 1000

/* Look at the next batch when due; proposes removals. */
void clean_turn(struct naming *n, struct now now, struct outbox *out);

/* When clean_turn wants to be called next (monotonic ms), UINT64_MAX for never. */
uint64_t clean_deadline(const struct naming *n);

#endif
