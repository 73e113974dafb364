#include "snapshot_bed.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

static int sink_write(void *self, struct span bytes, struct fail *fail)
{
    struct snapshot_sink *s = self;
    s->pieces++;
    if (s->pieces == s->fail_at) {
        return fail_set(fail, E_IO, "the disk is gone");
    }
    s->piece_max = bytes.len > s->piece_max ? bytes.len : s->piece_max;
    if (s->len + bytes.len > s->cap) {
        s->cap = (s->len + bytes.len) * 2;
        s->bytes = mem_realloc(s->bytes, s->cap, 1);
    }
    memcpy(s->bytes + s->len, bytes.data, bytes.len);
    s->len += bytes.len;
    return 0;
}

struct byte_sink snapshot_sink(struct snapshot_sink *s)
{
    return (struct byte_sink){s, sink_write};
}

struct buf *snapshot_take(struct naming *n)
{
    struct snapshot_sink to = {0};
    struct byte_sink sink = snapshot_sink(&to);
    struct naming_snapshot *s = naming_snapshot_collect(n);
    int err = naming_snapshot_write(s, &sink, NULL);
    ASSERT(err == 0);
    naming_snapshot_free(s);
    return buf_take(to.bytes, to.len);
}

static int source_read(void *self, void *dst, size_t len, struct fail *fail)
{
    struct span *left = self;
    if (len > left->len) {
        return fail_set(fail, E_PARSE, "expected %zu more bytes, got %zu", len, left->len);
    }
    if (len > 0) {
        memcpy(dst, left->data, len);
    }
    *left = span_of(left->data + len, left->len - len);
    return 0;
}

int snapshot_load(struct naming *n, struct span bytes, struct now now, struct fail *fail,
                  size_t *ret_left)
{
    struct span left = bytes;
    struct byte_source source = {&left, source_read};
    int err = naming_snapshot_load(n, &source, now, fail);
    if (ret_left) {
        *ret_left = left.len;
    }
    return err;
}
