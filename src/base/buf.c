#include "base/buf.h"

#include <stdint.h>

#include "base/assert.h"
#include "base/mem.h"

struct buf *buf_create(struct span s)
{
    ASSERT(s.len <= SIZE_MAX - sizeof(struct buf));
    struct buf *b = mem_alloc(sizeof *b + s.len);
    atomic_init(&b->refs, 1);
    b->len = s.len;
    b->data = (char *)(b + 1);
    if (s.len > 0) {
        memcpy(b->data, s.data, s.len);
    }
    return b;
}

struct buf *buf_take(char *take_data, size_t len)
{
    ASSERT(take_data || len == 0);
    struct buf *b = mem_alloc(sizeof *b);
    atomic_init(&b->refs, 1);
    b->len = len;
    b->data = take_data;
    return b;
}

struct buf *buf_ref(struct buf *b)
{
    unsigned before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    ASSERT(before < UINT32_MAX);
    return b;
}

void buf_unref(struct buf *b)
{
    if (!b) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) {
        return;
    }
    if (b->data != (char *)(b + 1)) {
        mem_free(b->data);
    }
    mem_free(b);
}

void body_add(struct body *body, struct buf *take_buf, size_t off, size_t len)
{
    ASSERT(off <= take_buf->len);
    ASSERT(len <= take_buf->len - off);
    if (len == 0) {
        buf_unref(take_buf);
        return;
    }
    ASSERT(body->parts < BODY_PARTS_MAX);
    body->part[body->parts].buf = take_buf;
    body->part[body->parts].off = off;
    body->part[body->parts].len = len;
    body->parts++;
}

void body_add_buf(struct body *body, struct buf *take_buf)
{
    body_add(body, take_buf, 0, take_buf->len);
}

size_t body_len(const struct body *body)
{
    size_t len = 0;
    for (unsigned i = 0; i < body->parts; i++) {
        len += body->part[i].len;
    }
    return len;
}

struct body body_share(const struct body *body)
{
    for (unsigned i = 0; i < body->parts; i++) {
        buf_ref(body->part[i].buf);
    }
    return *body;
}

void body_copy(const struct body *body, char *dst)
{
    for (unsigned i = 0; i < body->parts; i++) {
        memcpy(dst, body->part[i].buf->data + body->part[i].off, body->part[i].len);
        dst += body->part[i].len;
    }
}

void body_close(struct body *body)
{
    for (unsigned i = 0; i < body->parts; i++) {
        buf_unref(body->part[i].buf);
    }
    *body = (struct body){0};
}
