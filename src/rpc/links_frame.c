#include "rpc/links_frame.h"

#include <string.h>

#include <grpc/slice.h>

#include <peer.pb-c.h>

#include "base/assert.h"
#include "base/mem.h"
#include "rpc/links.h"

/* Field numbers and wire types of proto/peer.proto. */
#define TAG_FRAME 0x12
#define TAG_KIND 0x08
#define TAG_BODY 0x12

#define VARINT_MAX 5 /* bytes of a number below 2^32 */
/* Frames that are not copied, each with a run of copied bytes before it, and one run behind. */
#define SLICES_MAX ((LINK_BATCH_BYTES / LINK_COPY_MAX + 1) * (BODY_PARTS_MAX + 1) + 1)

struct link_frame *link_frame_create(unsigned kind, struct body *take_body)
{
    struct link_frame *f = mem_zalloc(1, sizeof(*f));
    f->kind = kind;
    f->len = body_len(take_body);
    f->body = *take_body;
    *take_body = (struct body){0};
    return f;
}

void link_frames_free(struct link_frame *first)
{
    while (first) {
        struct link_frame *next = first->next;
        body_close(&first->body);
        mem_free(first);
        first = next;
    }
}

/* Writing */

static size_t varint_len(size_t n)
{
    size_t len = 1;
    for (; n >= 0x80; n >>= 7) {
        len++;
    }
    return len;
}

static char *put_varint(char *at, size_t n)
{
    for (; n >= 0x80; n >>= 7) {
        *at++ = (char)(n | 0x80);
    }
    *at++ = (char)n;
    return at;
}

/* Everything of a frame but its body. Returns how long it is. */
static size_t put_head(char *dst, const struct link_frame *f)
{
    size_t inner = 1 + varint_len(f->kind);
    if (f->len > 0) {
        inner += 1 + varint_len(f->len) + f->len;
    }
    char *at = dst;
    *at++ = TAG_FRAME;
    at = put_varint(at, inner);
    *at++ = TAG_KIND;
    at = put_varint(at, f->kind);
    if (f->len > 0) {
        *at++ = TAG_BODY;
        at = put_varint(at, f->len);
    }
    return (size_t)(at - dst);
}

/* A message under construction: small frames gather in one run of bytes, large bodies stand between
 * such runs as slices of their own. */
struct draft {
    grpc_slice slices[SLICES_MAX];
    size_t count;
    grpc_slice copied; /* room for all runs */
    size_t begin;      /* of the run in it */
    size_t end;
};

static void close_run(struct draft *d)
{
    if (d->end > d->begin) {
        d->slices[d->count++] = grpc_slice_sub(d->copied, d->begin, d->end);
        d->begin = d->end;
    }
}

static void drop_buf(void *buf)
{
    buf_unref(buf);
}

static void add_frame(struct draft *d, struct link_frame *f)
{
    char *run = (char *)GRPC_SLICE_START_PTR(d->copied);
    d->end += put_head(run + d->end, f);
    if (f->len <= LINK_COPY_MAX) {
        body_copy(&f->body, run + d->end);
        d->end += f->len;
        return;
    }
    close_run(d);
    for (unsigned i = 0; i < f->body.parts; i++) {
        struct buf *buf = buf_ref(f->body.part[i].buf);
        d->slices[d->count++] = grpc_slice_new_with_user_data(buf->data + f->body.part[i].off,
                                                              f->body.part[i].len, drop_buf, buf);
    }
}

/* How many frames go into one message, and how many bytes of it are copied. */
static size_t choose(const struct link_frame *first, size_t *ret_bytes, size_t *ret_copied)
{
    size_t frames = 0;
    size_t bytes = 0;
    size_t copied = 0;
    for (const struct link_frame *f = first; f && frames < LINK_BATCH_FRAMES; f = f->next) {
        if (frames > 0 && bytes + f->len > LINK_BATCH_BYTES) {
            break;
        }
        frames++;
        bytes += f->len;
        copied += LINK_FRAME_HEAD_MAX + (f->len <= LINK_COPY_MAX ? f->len : 0);
    }
    *ret_bytes = bytes;
    *ret_copied = copied;
    return frames;
}

grpc_byte_buffer *link_write_frames(struct link_frame **list, size_t *ret_frames, size_t *ret_bytes)
{
    ASSERT(*list != NULL);
    size_t copied = 0;
    size_t frames = choose(*list, ret_bytes, &copied);
    struct draft d = {.copied = grpc_slice_malloc(copied)};
    for (size_t i = 0; i < frames; i++) {
        struct link_frame *f = *list;
        *list = f->next;
        f->next = NULL;
        add_frame(&d, f);
        link_frames_free(f);
    }
    close_run(&d);
    ASSERT(d.count <= SLICES_MAX);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(d.slices, d.count);
    for (size_t i = 0; i < d.count; i++) {
        grpc_slice_unref(d.slices[i]);
    }
    grpc_slice_unref(d.copied);
    *ret_frames = frames;
    return buffer;
}

grpc_byte_buffer *link_write_hello(const struct link_hello *hello)
{
    uint8_t id[NODE_ID_BYTES];
    memcpy(id, hello->id.bytes, sizeof(id));
    Nacre__PeerHello inner = NACRE__PEER_HELLO__INIT;
    inner.version = hello->version;
    inner.id = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
    inner.life = hello->life;
    inner.number = hello->number;
    Nacre__PeerMessage message = NACRE__PEER_MESSAGE__INIT;
    message.hello = &inner;
    uint8_t bytes[LINK_HELLO_MAX];
    size_t len = nacre__peer_message__get_packed_size(&message);
    ASSERT(len <= sizeof(bytes));
    (void)nacre__peer_message__pack(&message, bytes);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)bytes, len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

/* Reading */

static int take_hello(const Nacre__PeerMessage *m, struct link_hello *ret, struct fail *fail)
{
    if (!m->hello || m->n_frames > 0) {
        return fail_set(fail, E_PARSE, "expected a hello alone, got %s and %zu frames",
                        m->hello ? "one" : "none", m->n_frames);
    }
    if (m->hello->id.len != NODE_ID_BYTES) {
        return fail_set(fail, E_PARSE, "hello.id: expected %d bytes, got %zu", NODE_ID_BYTES,
                        m->hello->id.len);
    }
    *ret = (struct link_hello){
        .version = m->hello->version, .life = m->hello->life, .number = m->hello->number};
    memcpy(ret->id.bytes, m->hello->id.data, NODE_ID_BYTES);
    return 0;
}

int link_read_hello(struct span message, struct link_hello *ret, struct fail *fail)
{
    if (message.len > LINK_HELLO_MAX) {
        return fail_set(fail, E_PARSE, "expected a hello of at most %d bytes, got %zu",
                        LINK_HELLO_MAX, message.len);
    }
    const uint8_t *data = (const uint8_t *)(message.len > 0 ? message.data : "");
    Nacre__PeerMessage *m = nacre__peer_message__unpack(NULL, message.len, data);
    if (!m) {
        return fail_set(fail, E_PARSE, "the first message is no hello");
    }
    int err = take_hello(m, ret, fail);
    nacre__peer_message__free_unpacked(m, NULL);
    return err;
}

/* Take a number off *rest. False when it is cut, longer than VARINT_MAX or than it need be. */
static bool take_varint(struct span *rest, size_t *ret)
{
    size_t n = 0;
    for (unsigned i = 0; i < VARINT_MAX && i < rest->len; i++) {
        unsigned char byte = (unsigned char)rest->data[i];
        n |= (size_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *rest = span_of(rest->data + i + 1, rest->len - i - 1);
            *ret = n;
            return i == 0 || byte != 0;
        }
    }
    return false;
}

/* Take a tag and the bytes that it announces off *rest. */
static bool take_field(struct span *rest, unsigned char tag, struct span *ret)
{
    if (rest->len == 0 || (unsigned char)rest->data[0] != tag) {
        return false;
    }
    *rest = span_of(rest->data + 1, rest->len - 1);
    size_t len = 0;
    if (!take_varint(rest, &len) || len > rest->len) {
        return false;
    }
    *ret = span_of(rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return true;
}

int link_read_frame(struct span *rest, unsigned *ret_kind, struct span *ret_body, struct fail *fail)
{
    ASSERT(rest->len > 0);
    struct span frame = {0};
    if (!take_field(rest, TAG_FRAME, &frame)) {
        return fail_set(fail, E_PARSE, "the message is no row of whole frames");
    }
    if (frame.len == 0 || frame.data[0] != TAG_KIND) {
        return fail_set(fail, E_PARSE, "a frame without its kind first");
    }
    frame = span_of(frame.data + 1, frame.len - 1);
    size_t kind = 0;
    if (!take_varint(&frame, &kind) || kind < 1 || kind > 255) {
        return fail_set(fail, E_PARSE, "frame.kind: expected 1 to 255, got %zu", kind);
    }
    struct span body = {0};
    if (frame.len > 0 && (!take_field(&frame, TAG_BODY, &body) || frame.len > 0)) {
        return fail_set(fail, E_PARSE, "frame.body: expected bytes and nothing behind them");
    }
    if (body.len > LINK_FRAME_MAX) {
        return fail_set(fail, E_PARSE, "frame.body: expected at most %u bytes, got %zu",
                        LINK_FRAME_MAX, body.len);
    }
    *ret_kind = (unsigned)kind;
    *ret_body = body;
    return 0;
}

int link_check_frames(struct span message, struct fail *fail)
{
    int err = 0;
    unsigned kind = 0;
    struct span body = {0};
    while (err == 0 && message.len > 0) {
        err = link_read_frame(&message, &kind, &body, fail);
    }
    return err;
}
