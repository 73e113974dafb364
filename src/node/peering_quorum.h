/* Whether this node is in touch with a quorum, and in words who is missing when it is not.
 *
 * Thread:  core.
 * Limits:  PEERING_MISSING_MAX bytes of words; members beyond them are counted.
 */
#ifndef NACRE_NODE_PEERING_QUORUM_H
#define NACRE_NODE_PEERING_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"

struct peering;

#define PEERING_MISSING_MAX 384

/* Somebody leads (or nobody: how long nobody does counts from now, or from when that began). */
void peering_quorum_set(struct peering *p, bool is_led, struct now now);

/* For how long nobody has led; 0: somebody does. */
uint64_t peering_leaderless_ms(const struct peering *p, struct now now);

/* Nobody has led for PEERING_LEADERLESS_MS. */
bool peering_is_leaderless(const struct peering *p, struct now now);

/* While the core is not ready, each turn: nobody has led for PEERING_LEADERLESS_MS, and this node
 * has applied what its log is known to have committed, so it may serve that. An empty node has
 * nothing to serve. */
bool peering_serves_alone(struct peering *p, struct now now);

/* Who of the voters is missing, and since when: "missing a:8848 since 12 s, b:8848 since 3 s"; or
 * what this node waits for before it is a member. */
void peering_missing(const struct peering *p, struct now now, char dst[PEERING_MISSING_MAX]);

/* The refusal of a write (returns E_NOT_LEADER). */
int peering_refuse_leaderless(const struct peering *p, struct now now, struct fail *fail);

/* For readiness.
 * E_NOT_LEADER  nobody has led for PEERING_LEADERLESS_MS: "no quorum: missing ..." */
MUST_USE int peering_check_quorum(const struct peering *p, struct now now, struct fail *fail);

#endif
