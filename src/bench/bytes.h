/* A growing byte buffer: what waits to be written, what has been read of a message.
 *
 * Thread:  one owner.
 * Owns:    its memory. Zero-initialised is empty.
 * Limits:  none of its own; who fills it from the network checks first.
 */
#ifndef NACRE_BENCH_BYTES_H
#define NACRE_BENCH_BYTES_H

#include <stddef.h>

#include "base/span.h"

/* Embedded by its owner. */
struct bytes {
    char *data;
    size_t len;
    size_t cap;
};

/* Append len bytes from data. */
void bytes_append(struct bytes *b, const void *data, size_t len);

/* Forget the first len bytes; the rest moves to the front. len <= b->len. */
void bytes_drop(struct bytes *b, size_t len);

/* Forget the content, keep the memory. */
void bytes_clear(struct bytes *b);

/* Free the memory; empty afterwards. */
void bytes_close(struct bytes *b);

static inline struct span bytes_span(const struct bytes *b)
{
    return span_of(b->data, b->len);
}

#endif
