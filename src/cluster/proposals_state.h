/* The inside of proposals, shared by proposals.c (the way into the log) and proposals_show.c (what
 * is shown before it is applied).
 *
 * Thread:  core only.
 */
#ifndef NACRE_CLUSTER_PROPOSALS_STATE_H
#define NACRE_CLUSTER_PROPOSALS_STATE_H

#include "base/hash.h"
#include "cluster/proposals.h"

#include <uthash.h>

/* One operation of this node that is not applied here yet. */
struct proposals_item {
    struct proposals_item *prev, *next; /* by seq */
    UT_hash_handle hh;                  /* by seq */
    uint64_t seq;
    uint64_t since_ms;
    void *cookie;
    unsigned kind;
    bool is_shown;
    size_t len; /* of the envelope */
    char envelope[];
};

struct proposals {
    uint64_t owner;
    uint64_t epoch;
    struct proposals_ops ops;
    void *self;
    struct proposals_item *first, *last;
    struct proposals_item *table; /* uthash by seq */
    struct proposals_item *next;  /* the first that was not sent to the present leader yet */
    struct proposals_item *look;  /* the first that was not looked at yet */
    size_t count, bytes;
    size_t in_flight; /* bytes sent to it and not applied */
    uint64_t seq;     /* the last one given */
    uint64_t tail;    /* the last one given and not refused: what the next one follows */
    uint64_t leader;
    uint64_t sent_ms; /* when something was sent or applied last: a silent leader is asked again */
    uint64_t hold_ms; /* this node's log had no room: it is asked again then; 0: it has */
    bool progressed;  /* since the last turn */
    bool is_up;
    uint64_t up_next_ms; /* when the up is proposed (again) */
    unsigned up_kind;
    struct buf *up; /* its envelope */
};

/* Take e out of the list and free it; its cookie is the caller's. */
void proposals_forget(struct proposals *p, struct proposals_item *e);

/* A refused operation leaves a hole: the one behind it follows the one before it from now on, and
 * goes again if it was sent. If the refused one is in some log all the same, either order of the
 * two is taken right (owners.h). */
void proposals_drop(struct proposals *p, struct proposals_item *e, const struct fail *why);

#endif
