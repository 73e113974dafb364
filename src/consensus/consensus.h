/* The replicated log: propose bytes, get them back committed, in the same order on every node.
 *
 * This header is the whole interface; it knows bytes only. Today's log (log_memory.c) is one node's
 * memory; libraft's takes its place behind the same calls.
 *
 * Thread:  core only.
 * Owns:    proposals from consensus_propose until on_commit or on_reject returned for them. The
 *          cookie stays the proposer's and is handed back exactly once.
 * Limits:  CONSENSUS_OP_BYTES_MAX per operation, CONSENSUS_PENDING_MAX operations and
 *          CONSENSUS_PENDING_BYTES_MAX bytes waiting.
 * Batch:   everything proposed before consensus_turn goes into one entry; an entry's operations are
 *          applied together, and on_entry_end follows the last of them.
 */
#ifndef NACRE_CONSENSUS_CONSENSUS_H
#define NACRE_CONSENSUS_CONSENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/span.h"

#define CONSENSUS_OP_BYTES_MAX (12u << 20)
#define CONSENSUS_PENDING_MAX 65536
#define CONSENSUS_PENDING_BYTES_MAX (64u << 20)

/* Whose operation it is; stands in the log, so numbers never change. */
enum consensus_kind { CONSENSUS_NAMING = 1, CONSENSUS_CONFIG = 2 };

enum consensus_role { CONSENSUS_FOLLOWER, CONSENSUS_CANDIDATE, CONSENSUS_LEADER };

/* Where the log stands. Plain data. */
struct consensus_state {
    enum consensus_role role;
    uint64_t term;
    uint64_t last_index;
    uint64_t commit_index;
    uint64_t applied_index;
};

/* What the owner does with what the log says. All run on core, from consensus_turn, never from
 * consensus_propose. */
struct consensus_ops {
    /* A committed operation, in log order. cookie: what this node gave to propose, NULL for
     * operations of others. */
    void (*on_commit)(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie);
    /* The operations of one entry are all applied. */
    void (*on_entry_end)(void *self, uint64_t index);
    /* A proposal of this node will not be committed by this call (leadership lost, full): the
     * reason for the waiting client. */
    void (*on_reject)(void *self, void *cookie, const struct fail *why);
};

struct consensus;

/* A log in memory, one node, leader from the start: for a node without a disk-backed log, tests and
 * simulation. */
struct consensus *consensus_create_memory(const struct consensus_ops *ops, void *self);

/* Drops what waits (the owner has answered its clients before). */
void consensus_destroy(struct consensus *c);

/* Put an operation into the next entry; the bytes are copied.
 * E_LIMIT  as many or as much as may wait do   E_TOO_LARGE  over CONSENSUS_OP_BYTES_MAX
 *   E_NOT_LEADER  nobody to propose to
 * On an error the cookie is not handed back. */
MUST_USE int consensus_propose(struct consensus *c, enum consensus_kind kind, struct span op,
                               void *cookie, struct fail *fail);

/* End of a core turn: form the entry, commit what can be committed, hand it out. Returns true when
 * calls made during hand-out proposed more, so that the core runs another round before it
 * sleeps. */
bool consensus_turn(struct consensus *c, struct now now);

/* Where the log stands now: a copy. */
struct consensus_state consensus_state(const struct consensus *c);

#endif
