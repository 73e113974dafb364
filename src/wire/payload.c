#include "wire/payload.h"

#include <nacos_grpc_service.pb-c.h>

#include "base/assert.h"

/* Field numbers and wire types of grpc-sdk.md 1.1; all are length-delimited. */
#define TAG_METADATA 0x12
#define TAG_BODY 0x1A
#define TAG_TYPE 0x1A
#define TAG_CLIENT_IP 0x42
#define TAG_ANY_VALUE 0x12

#define VARINT_MAX 10
#define CLIENT_IP_MAX 64

/* protobuf-c's memory during one decode. It scans a message into 40 bytes and more per field: the
 * arena's limit is what bounds a message made of millions of tiny fields, and protobuf-c gives up
 * cleanly when it gets NULL. */
struct decode {
    struct arena *arena;
    bool is_full;
};

static void *decode_alloc(void *self, size_t size)
{
    struct decode *d = self;
    void *piece = arena_try(d->arena, size);
    d->is_full |= !piece;
    return piece;
}

static void decode_free(void *self, void *ptr)
{
    (void)self; /* goes with the arena */
    (void)ptr;
}

static int take_headers(const Metadata *metadata, struct decode *d, struct payload *p,
                        struct fail *fail)
{
    size_t count = metadata->n_headers;
    if (count > PAYLOAD_HEADERS_MAX) {
        return fail_set(fail, E_PARSE, "payload with %zu headers, at most %d", count,
                        PAYLOAD_HEADERS_MAX);
    }
    if (count == 0) {
        return 0;
    }
    struct payload_header *headers = arena_try(d->arena, count * sizeof *headers);
    if (!headers) {
        return fail_set(fail, E_PARSE, "payload takes more memory than a request may");
    }
    for (size_t i = 0; i < count; i++) {
        headers[i].key = span_str(metadata->headers[i]->key);
        headers[i].value = span_str(metadata->headers[i]->value);
    }
    p->headers = headers;
    p->headers_count = (unsigned)count;
    return 0;
}

int payload_decode(struct span bytes, struct arena *arena, struct payload *ret, struct fail *fail)
{
    struct decode d = {.arena = arena};
    ProtobufCAllocator allocator = {decode_alloc, decode_free, &d};
    const uint8_t *data = (const uint8_t *)(bytes.len > 0 ? bytes.data : "");
    const Payload *message = payload__unpack(&allocator, bytes.len, data);
    if (!message) {
        return fail_set(fail, E_PARSE, "%s",
                        d.is_full ? "payload takes more memory than a request may"
                                  : "the message is not a Payload");
    }
    struct payload p = {0};
    if (message->metadata) {
        p.type = span_str(message->metadata->type);
        p.client_ip = span_str(message->metadata->clientip);
        int err = take_headers(message->metadata, &d, &p, fail);
        if (err) {
            return err;
        }
    }
    if (p.type.len > PAYLOAD_TYPE_MAX) {
        return fail_set(fail, E_PARSE, "payload type of %zu bytes, at most %d", p.type.len,
                        PAYLOAD_TYPE_MAX);
    }
    if (message->body) {
        p.body = span_of((const char *)message->body->value.data, message->body->value.len);
    }
    *ret = p;
    return 0;
}

struct span payload_header_get(const struct payload *p, const char *key)
{
    struct span wanted = span_str(key);
    /* A key that came twice: the last one counts, as in a protobuf map. */
    for (unsigned i = p->headers_count; i > 0; i--) {
        if (span_eq(p->headers[i - 1].key, wanted)) {
            return p->headers[i - 1].value;
        }
    }
    return (struct span){0};
}

static size_t varint_len(size_t n)
{
    size_t len = 1;
    for (; n >= 0x80; n >>= 7) {
        len++;
    }
    return len;
}

/* A tag and the length of what it announces. Returns the end. */
static char *put_head(char *at, unsigned char tag, size_t len)
{
    *at++ = (char)tag;
    for (; len >= 0x80; len >>= 7) {
        *at++ = (char)(len | 0x80);
    }
    *at++ = (char)len;
    return at;
}

static char *put_text(char *at, unsigned char tag, struct span text)
{
    if (text.len == 0) {
        return at; /* proto3 leaves out what has its default */
    }
    at = put_head(at, tag, text.len);
    memcpy(at, text.data, text.len);
    return at + text.len;
}

struct buf *payload_head(const char *type, struct span client_ip, size_t body_len)
{
    struct span name = span_str(type);
    ASSERT(name.len <= PAYLOAD_TYPE_MAX);
    ASSERT(client_ip.len <= CLIENT_IP_MAX);
    char metadata[2ul * (1 + VARINT_MAX) + PAYLOAD_TYPE_MAX + CLIENT_IP_MAX];
    char *end = put_text(metadata, TAG_TYPE, name);
    end = put_text(end, TAG_CLIENT_IP, client_ip);
    size_t metadata_len = (size_t)(end - metadata);

    char head[sizeof metadata + 3ul * (1 + VARINT_MAX)];
    end = put_head(head, TAG_METADATA, metadata_len);
    memcpy(end, metadata, metadata_len);
    end += metadata_len;
    size_t any_len = body_len > 0 ? 1 + varint_len(body_len) + body_len : 0;
    end = put_head(end, TAG_BODY, any_len);
    if (body_len > 0) {
        end = put_head(end, TAG_ANY_VALUE, body_len);
    }
    return buf_create(span_of(head, (size_t)(end - head)));
}
