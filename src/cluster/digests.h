/* Divergence: nodes compare the digests of their states after the same entry.
 *
 * Every node keeps the digests of its last entries in a ring and tells the leader its newest ones.
 * When one differs from the leader's own, the leader asks all members what they had after that
 * entry. A majority of voters that has the same digest is right, whoever has another one has
 * diverged; without such a majority nobody can say who is right, and nobody is told to do anything.
 * A node that lags, or whose ring does not reach so far, says nothing and is not accused.
 *
 * Only the leader judges, and it names one node at a time. Those who are right are a majority that
 * has just answered, so the others' going away costs no quorum.
 *
 * Thread:  core only. Plain memory, no I/O: the owner sends frames.
 * Limits:  DIGESTS_RECENT last entries and DIGESTS_COARSE of every DIGESTS_STEP-th; answers of
 *          DIGESTS_MEMBERS_MAX members, more are not counted.
 * Source:  design.md 3 (keep-alive with a digest), issue "Three nodes", part 9.
 */
#ifndef NACRE_CLUSTER_DIGESTS_H
#define NACRE_CLUSTER_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/span.h"

/* Of what a digest is made of: nodes of two versions do not compare. */
#define DIGEST_VERSION 1

#define DIGESTS_RECENT 1024
#define DIGESTS_COARSE 1024
#define DIGESTS_STEP 64
#define DIGESTS_MEMBERS_MAX 64
#define DIGESTS_CASE_MS 2000    /* answers are waited for */
#define DIGESTS_TOLD_MS 600000  /* for a node that was named; no other one is named meanwhile */
#define DIGESTS_YIELD_MS 10000  /* between attempts to hand leadership over */
#define DIGESTS_SPLIT_MS 600000 /* between words about nodes of which nobody is right */

struct digest_at {
    uint64_t index;
    uint64_t digest;
};

/* What comes of a report, an answer or the time. */
enum digests_word {
    DIGESTS_NOTHING,
    DIGESTS_ASK,   /* ask all members about index */
    DIGESTS_TELL,  /* number has diverged: theirs after index is not right */
    DIGESTS_YIELD, /* this node itself has: theirs is its own; hand leadership over to number */
    DIGESTS_SPLIT, /* nodes differ after index and no majority agrees: for people */
};

struct digests_verdict {
    enum digests_word word;
    uint64_t index;
    uint64_t number;
    uint64_t theirs, right;
};

/* Embedded by its owner; digests_init. */
struct digests {
    uint64_t self;
    struct digest_at recent[DIGESTS_RECENT]; /* at index modulo; index 0: none */
    struct digest_at coarse[DIGESTS_COARSE];
    struct digest_at newest, newest_coarse;
    bool leads;
    /* the entry that was asked about; 0: none */
    uint64_t asked;
    uint64_t asked_ms;
    struct {
        uint64_t number, digest;
    } said[DIGESTS_MEMBERS_MAX];
    size_t said_count;
    uint64_t told; /* who was named; 0: nobody */
    uint64_t told_index;
    uint64_t told_ms, yield_ms, split_ms; /* last time; 0: never */
};

/* The voters of the log, borrowed for a call. */
struct digests_voters {
    const uint64_t *list;
    size_t count;
};

/* Knows nothing, and does not lead. */
void digests_init(struct digests *d, uint64_t self);

/* After an entry of this index the state had this digest. One that is not above the last one means
 * that the state was replaced. */
void digests_put(struct digests *d, uint64_t index, uint64_t digest);

/* The state was replaced by a snapshot: nothing is known of what was before. */
void digests_forget(struct digests *d);

/* False: not known (any more). */
bool digests_find(const struct digests *d, uint64_t index, uint64_t *ret_digest);

/* What a node reports: its newest one, and the newest of every DIGESTS_STEP-th entry, which also a
 * leader that is far ahead knows. Returns how many. */
size_t digests_newest(const struct digests *d, struct digest_at ret[2]);

/* This node begins or ends to lead. */
void digests_lead(struct digests *d, bool leads);

/* On the leader: what a node reported. */
struct digests_verdict digests_on_report(struct digests *d, uint64_t from,
                                         const struct digest_at *list, size_t count,
                                         struct now now);

/* On the leader: what a node had after the entry that it was asked about. */
struct digests_verdict digests_on_answer(struct digests *d, uint64_t from, struct digest_at at,
                                         struct digests_voters voters, struct now now);

/* On the leader: an entry was asked about long ago. */
struct digests_verdict digests_turn(struct digests *d, struct digests_voters voters,
                                    struct now now);

/* When digests_turn wants to be called (monotonic ms); UINT64_MAX: not at all. */
uint64_t digests_deadline(const struct digests *d);

/* ---------------------------------------------------------------- frames */

enum digests_frame_kind {
    DIGESTS_REPORT = 1,
    DIGESTS_QUESTION = 2, /* one index */
    DIGESTS_ANSWER = 3,   /* of a question */
    DIGESTS_DIVERGED = 4, /* what the receiver had, and what is right */
};

#define DIGESTS_FRAME_ITEMS 2

/* Plain data. */
struct digests_frame {
    enum digests_frame_kind kind;
    size_t count;
    struct digest_at list[DIGESTS_FRAME_ITEMS];
};

/* One reference. */
MUST_USE struct buf *digests_encode(const struct digests_frame *frame);

/* E_PARSE        no frame, or with another number of digests than its kind has
 * E_UNSUPPORTED  of another DIGEST_VERSION: there is nothing to compare */
MUST_USE int digests_decode(struct span bytes, struct digests_frame *ret);

#endif
