/* A bump allocator for what lives as long as one request: many small pieces, freed together.
 *
 * Thread:  one at a time; ownership may move with the request (release by a queue's lock).
 * Limits:  arena_init's max bytes for arena_try, whose sizes input decides: NULL past it. The
 *          others are for sizes that are already bounded and may take ARENA_SPARE more, so that
 *          input that fills the arena to the brim leaves them room; past that it is a bug (abort).
 */
#ifndef NACRE_BASE_ARENA_H
#define NACRE_BASE_ARENA_H

#include <stddef.h>

#include "base/macros.h"
#include "base/span.h"

#define ARENA_SPARE (1u << 20)

/* Bytes of the block that arena_reset keeps. */
#define ARENA_KEEP_MAX 4096

struct arena_block;

/* Embedded by its owner. */
struct arena {
    struct arena_block *head;
    char *at;
    char *end;
    size_t used;
    size_t max;
};

/* Make an empty arena; the first block comes with the first allocation. max: bytes in all. */
void arena_init(struct arena *a, size_t max);

/* Free everything; the arena is as after arena_init. */
void arena_close(struct arena *a);

/* As arena_close, but the newest block is kept for what comes next when it is at most
 * ARENA_KEEP_MAX bytes: for an owner that is used again and again. */
void arena_reset(struct arena *a);

/* size zeroed bytes aligned for any type. Aborts past max and ARENA_SPARE. */
MUST_USE void *arena_alloc(struct arena *a, size_t size);

/* As arena_alloc, NULL past max: for sizes that input decides. */
MUST_USE void *arena_try(struct arena *a, size_t size);

/* A NUL-terminated copy of s in the arena, as a span (the NUL is not counted). */
struct span arena_span(struct arena *a, struct span s);

/* A NUL-terminated copy of s in the arena. */
MUST_USE char *arena_str(struct arena *a, struct span s);

/* Formatted text in the arena. */
struct span arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
