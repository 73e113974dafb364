/* Bytes that leave or come in order, wherever they go: a snapshot, a backup, a test's buffer.
 *
 * Thread:  the caller's. Plain data, borrowed; self outlives it.
 */
#ifndef NACRE_BASE_STREAM_H
#define NACRE_BASE_STREAM_H

#include <stddef.h>

#include "base/fail.h"
#include "base/span.h"

/* write: all of it or a negative code with the reason. */
struct byte_sink {
    void *self;
    int (*write)(void *self, struct span bytes, struct fail *fail);
};

/* read: exactly len bytes. E_PARSE  the end comes before. */
struct byte_source {
    void *self;
    int (*read)(void *self, void *dst, size_t len, struct fail *fail);
};

#endif
