/* Asking another node something for a person, and being asked: frames PEER_QUERY and PEER_ANSWER.
 *
 * Whoever asks is told once how it ended, also when no answer came, and before that of each
 * progress. An answer of somebody else than who was asked is nobody's.
 *
 * Thread:  core.
 * Owns:    what is asked and not answered. The function that is told must not ask again at once.
 * Limits:  QUERIES_MAX at a time, then E_LIMIT; each ends by its own patience, which begins anew
 * with each progress.
 */
#ifndef NACRE_NODE_QUERIES_H
#define NACRE_NODE_QUERIES_H

#include "base/clock.h"
#include "cluster/query.h"

#define QUERIES_MAX 64

struct core;

/* On core. a is borrowed for the call; its state DONE or FAILED is the last one. */
typedef void (*query_told_fn)(void *arg, const struct answer *a);

/* Plain data. */
struct asked {
    uint64_t id; /* 0: free */
    uint64_t to;
    uint32_t patience_ms;
    uint64_t until_ms;
    query_told_fn told;
    void *arg;
};

/* Embedded in the core; zero-initialised is empty. */
struct queries {
    uint64_t last_id;
    struct asked list[QUERIES_MAX];
};

/* Ask the node of this number. q's id is chosen here.
 * E_CLOSED  there is no link to it   E_LIMIT */
MUST_USE int queries_ask(struct core *c, uint64_t to, const struct query *q,
                         const struct asked *how, struct fail *fail);

/* Answer a query of another node. */
void queries_answer(struct core *c, uint64_t to, const struct answer *a);

/* A frame of a member. False: malformed; nothing changed. */
bool queries_on_frame(struct core *c, uint64_t from, unsigned kind, struct span bytes,
                      struct now now);

/* End what was waited for too long. */
void queries_turn(struct core *c, struct now now);

/* Monotonic ms of the next turn; UINT64_MAX: nothing is asked. */
uint64_t queries_deadline(const struct core *c);

/* The node stops: who waits is told so. */
void queries_stop(struct core *c);

#endif
