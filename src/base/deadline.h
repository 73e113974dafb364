/* Deadlines of many things in one binary heap: the earliest is found in O(1), set and cleared in
 * O(log n).
 *
 * Thread:  one owner. Owns an array of pointers; the nodes are embedded in the owner's structs.
 */
#ifndef NACRE_BASE_DEADLINE_H
#define NACRE_BASE_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEADLINE_NONE UINT64_MAX

/* Embedded in what has a deadline; zero-initialised = not set. */
struct deadline {
    uint64_t at_ms; /* monotonic */
    size_t slot;    /* 1-based place in the heap; 0 = not set */
};

/* Embedded by its owner; zero-initialised is empty. */
struct deadlines {
    struct deadline **heap;
    size_t count;
    size_t cap;
};

/* Free the array. Nodes that are still set are forgotten, not touched. */
void deadlines_close(struct deadlines *d);

/* Set or move n to at_ms. */
void deadline_set(struct deadlines *d, struct deadline *n, uint64_t at_ms);

/* Forget n; fine when it is not set. */
void deadline_clear(struct deadlines *d, struct deadline *n);

static inline bool deadline_is_set(const struct deadline *n)
{
    return n->slot != 0;
}

/* When the earliest is due; DEADLINE_NONE when there is none. */
uint64_t deadlines_next(const struct deadlines *d);

/* Take the earliest node that is due at now_ms (at_ms <= now_ms), already cleared; NULL when none
 * is. */
struct deadline *deadlines_pop(struct deadlines *d, uint64_t now_ms);

#endif
