/* Immutable, reference-counted bytes that cross threads, and a body made of slices around them.
 *
 * Thread:  buf_ref and buf_unref: any. The bytes never change after buf_freeze / buf_create.
 * Owns:    its bytes. Whoever holds a reference may read.
 * Limits:  BODY_PARTS_MAX slices in one body.
 */
#ifndef NACRE_BASE_BUF_H
#define NACRE_BASE_BUF_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/span.h"

struct buf {
    atomic_uint refs;
    size_t len;
    char *data; /* behind the struct, or a malloc'ed block that buf took over */
};

/* A copy of s, one reference. */
MUST_USE struct buf *buf_create(struct span s);

/* Takes data over (from mem_alloc), one reference. */
MUST_USE struct buf *buf_take(char *take_data, size_t len);

/* One more reference; returns b. */
struct buf *buf_ref(struct buf *b);

/* One reference less, the last one frees; NULL is fine. */
void buf_unref(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
    return b ? span_of(b->data, b->len) : (struct span){0};
}

#define BODY_PARTS_MAX 4

/* Slices of buffers that together are one message body. Plain data; each part holds one
 * reference. */
struct body {
    unsigned parts;
    struct {
        struct buf *buf;
        size_t off;
        size_t len;
    } part[BODY_PARTS_MAX];
};

/* Append a slice; takes the reference. An empty slice is dropped. Asserts on more than
 * BODY_PARTS_MAX parts. */
void body_add(struct body *body, struct buf *take_buf, size_t off, size_t len);

/* Append a whole buffer; takes the reference. */
void body_add_buf(struct body *body, struct buf *take_buf);

/* Total length in bytes. */
size_t body_len(const struct body *body);

/* A second body around the same bytes: every part referenced once more. */
struct body body_share(const struct body *body);

/* Copy all bytes to dst, which has room for body_len(). */
void body_copy(const struct body *body, char *dst);

/* Drop all references; the body is empty afterwards. */
void body_close(struct body *body);

#endif
