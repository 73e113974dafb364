/* Owners: which operations of which node the log has taken, so that each is applied exactly once.
 *
 * An owner is a node in one of its lives (epoch). It numbers its operations; one that is sent twice
 * (the leader changed, a link broke) may stand in the log twice, or behind a later one. Each
 * carries the number of its predecessor that counts, so the rule is: taken if prev <= last < seq.
 * The table is replicated state: it changes in apply only and goes into snapshots.
 *
 * Thread:  core only.
 * Limits:  OWNERS_MAX nodes; beyond it an OWNER_UP is a no-op that says so.
 * Source:  consensus.md 8.1 (NODE_UP, OPS), design.md 3.
 */
#ifndef NACRE_CLUSTER_OWNERS_H
#define NACRE_CLUSTER_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/stream.h"

#define OWNERS_MAX 64

/* One of them. Plain data. */
struct owner {
    uint64_t id;    /* node_id_number */
    uint64_t epoch; /* its present life; grows */
    uint64_t last_seq;
    bool is_expired; /* the leader gave its publications up; it comes back with a new epoch */
};

/* Embedded, zero-initialised is empty. */
struct owners {
    struct owner list[OWNERS_MAX]; /* by id */
    size_t count;
};

enum owners_verdict {
    OWNERS_TAKE,  /* apply it; last_seq has moved */
    OWNERS_TWICE, /* it was taken before */
    OWNERS_GAP,   /* one before it is missing: it will come again */
    OWNERS_STALE, /* of an earlier life, or of nobody */
};

/* An operation of the log. */
enum owners_verdict owners_take(struct owners *o, uint64_t id, uint64_t epoch, uint64_t prev,
                                uint64_t seq);

/* A node begins a life. False: the epoch is not above the known one, or there is no room; nothing
 * changes. */
bool owners_up(struct owners *o, uint64_t id, uint64_t epoch);

/* The leader gives a life up. False: it is not the present one. */
bool owners_expire(struct owners *o, uint64_t id, uint64_t epoch);

/* A node that is no member any more. */
void owners_forget(struct owners *o, uint64_t id);

/* NULL when unknown. */
const struct owner *owners_find(const struct owners *o, uint64_t id);

/* The same on all nodes that have the same table (base/digest.h). */
uint64_t owners_digest(const struct owners *o);

/* The table as bytes, and back (E_PARSE: damaged). */
MUST_USE int owners_save(const struct owners *o, const struct byte_sink *sink, struct fail *fail);
MUST_USE int owners_load(struct owners *o, const struct byte_source *source, struct fail *fail);

#endif
