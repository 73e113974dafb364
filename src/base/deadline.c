#include "base/deadline.h"

#include "base/assert.h"
#include "base/mem.h"

#define DEADLINES_FIRST 64

/* heap[0] is the earliest; the children of i are 2i+1 and 2i+2; heap[i]->slot is i+1. */
static void place(struct deadlines *d, size_t i, struct deadline *n)
{
    d->heap[i] = n;
    n->slot = i + 1;
}

static void sift_up(struct deadlines *d, size_t i, struct deadline *n)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (d->heap[parent]->at_ms <= n->at_ms) {
            break;
        }
        place(d, i, d->heap[parent]);
        i = parent;
    }
    place(d, i, n);
}

static void sift_down(struct deadlines *d, size_t i, struct deadline *n)
{
    for (size_t child = 2 * i + 1; child < d->count; child = 2 * i + 1) {
        if (child + 1 < d->count && d->heap[child + 1]->at_ms < d->heap[child]->at_ms) {
            child++;
        }
        if (n->at_ms <= d->heap[child]->at_ms) {
            break;
        }
        place(d, i, d->heap[child]);
        i = child;
    }
    place(d, i, n);
}

static void sift(struct deadlines *d, size_t i, struct deadline *n)
{
    if (i > 0 && d->heap[(i - 1) / 2]->at_ms > n->at_ms) {
        sift_up(d, i, n);
        return;
    }
    sift_down(d, i, n);
}

void deadlines_close(struct deadlines *d)
{
    mem_free(d->heap);
    *d = (struct deadlines){0};
}

void deadline_set(struct deadlines *d, struct deadline *n, uint64_t at_ms)
{
    n->at_ms = at_ms;
    if (n->slot) {
        DASSERT(d->heap[n->slot - 1] == n);
        sift(d, n->slot - 1, n);
        return;
    }
    if (d->count == d->cap) {
        d->cap = d->cap ? d->cap * 2 : DEADLINES_FIRST;
        d->heap = mem_realloc(d->heap, d->cap, sizeof *d->heap);
    }
    d->count++;
    sift_up(d, d->count - 1, n);
}

void deadline_clear(struct deadlines *d, struct deadline *n)
{
    if (!n->slot) {
        return;
    }
    size_t i = n->slot - 1;
    ASSERT(i < d->count);
    ASSERT(d->heap[i] == n);
    n->slot = 0;
    d->count--;
    struct deadline *last = d->heap[d->count];
    if (last != n) {
        sift(d, i, last);
    }
}

uint64_t deadlines_next(const struct deadlines *d)
{
    return d->count ? d->heap[0]->at_ms : DEADLINE_NONE;
}

struct deadline *deadlines_pop(struct deadlines *d, uint64_t now_ms)
{
    if (d->count == 0 || d->heap[0]->at_ms > now_ms) {
        return NULL;
    }
    struct deadline *n = d->heap[0];
    deadline_clear(d, n);
    return n;
}
