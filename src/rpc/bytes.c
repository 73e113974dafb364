#include "rpc/bytes.h"

#include <grpc/byte_buffer.h>
#include <grpc/slice_buffer.h>

#include "base/assert.h"
#include "base/mem.h"
#include "wire/payload.h"

static void drop_buf(void *buf)
{
    buf_unref(buf);
}

/* Head and body in one slice of our own. */
static unsigned copy_slices(const struct buf *head, const struct body *body, grpc_slice *ret)
{
    grpc_slice slice = grpc_slice_malloc(head->len + body_len(body));
    char *at = (char *)GRPC_SLICE_START_PTR(slice);
    memcpy(at, head->data, head->len);
    body_copy(body, at + head->len);
    ret[0] = slice;
    return 1;
}

/* One slice around each part; the references move into them. */
static unsigned wrap_slices(struct buf *take_head, struct body *take_body, grpc_slice *ret)
{
    unsigned count = 0;
    ret[count++] =
        grpc_slice_new_with_user_data(take_head->data, take_head->len, drop_buf, take_head);
    for (unsigned i = 0; i < take_body->parts; i++) {
        struct buf *buf = take_body->part[i].buf;
        ret[count++] = grpc_slice_new_with_user_data(buf->data + take_body->part[i].off,
                                                     take_body->part[i].len, drop_buf, buf);
    }
    *take_body = (struct body){0};
    return count;
}

/* The packed Payload as slices: at most BYTES_SLICES_MAX. */
static unsigned make_slices(const char *type, struct body *take_body, grpc_slice *ret)
{
    size_t len = body_len(take_body);
    struct buf *head = payload_head(type, (struct span){0}, len);
    if (head->len + len > BYTES_COPY_MAX) {
        return wrap_slices(head, take_body, ret);
    }
    unsigned count = copy_slices(head, take_body, ret);
    buf_unref(head);
    body_close(take_body);
    return count;
}

struct message *message_create(const char *type, struct body *take_body)
{
    struct message *m = mem_zalloc(1, sizeof(*m));
    atomic_init(&m->refs, 1);
    m->count = make_slices(type, take_body, m->slices);
    for (unsigned i = 0; i < m->count; i++) {
        m->len += GRPC_SLICE_LENGTH(m->slices[i]);
    }
    return m;
}

struct message *message_ref(struct message *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

static void drop_slices(grpc_slice *slices, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        grpc_slice_unref(slices[i]);
    }
}

void message_unref(struct message *m)
{
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1) {
        drop_slices(m->slices, m->count);
        mem_free(m);
    }
}

grpc_byte_buffer *message_buffer(const struct message *m)
{
    grpc_slice slices[BYTES_SLICES_MAX];
    memcpy(slices, m->slices,
           sizeof(slices)); /* create wants them mutable, and takes its own references */
    return grpc_raw_byte_buffer_create(slices, m->count);
}

grpc_byte_buffer *bytes_pack(const char *type, struct body *take_body)
{
    grpc_slice slices[BYTES_SLICES_MAX];
    unsigned count = make_slices(type, take_body, slices);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, count);
    drop_slices(slices, count);
    return buffer;
}

int bytes_flatten(grpc_byte_buffer *buffer, struct arena *arena, struct span *ret,
                  struct fail *fail)
{
    if (!buffer) {
        *ret = (struct span){0};
        return 0;
    }
    if (buffer->type != GRPC_BB_RAW || buffer->data.raw.compression != GRPC_COMPRESS_NONE) {
        return fail_set(fail, E_PARSE, "compressed messages are not accepted");
    }
    const grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    if (slices->count == 1) {
        *ret = span_of((const char *)GRPC_SLICE_START_PTR(slices->slices[0]),
                       GRPC_SLICE_LENGTH(slices->slices[0]));
        return 0;
    }
    char *all = arena_try(arena, slices->length);
    if (!all) {
        return fail_set(fail, E_TOO_LARGE, "a message of %zu bytes is over the limit",
                        slices->length);
    }
    char *at = all;
    for (size_t i = 0; i < slices->count; i++) {
        size_t len = GRPC_SLICE_LENGTH(slices->slices[i]);
        memcpy(at, GRPC_SLICE_START_PTR(slices->slices[i]), len);
        at += len;
    }
    *ret = span_of(all, slices->length);
    return 0;
}
