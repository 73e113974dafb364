#include "bench/frame.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "nacos_grpc_service.pb-c.h"

#define SHOWN_MAX 200 /* bytes of a bad reply that are worth showing */

/* protobuf-c's structs are not const-correct: it only reads what it packs. */
static char *borrowed(const char *s)
{
    union {
        const char *in;
        char *out;
    } pointer = {.in = s};
    return pointer.out;
}

void frame_build(struct frame *f, const char *type, struct span body, const char *header_app)
{
    Metadata__HeadersEntry app = METADATA__HEADERS_ENTRY__INIT;
    Metadata__HeadersEntry *headers[] = {&app};
    app.key = borrowed("app");
    app.value = borrowed(header_app);

    Metadata metadata = METADATA__INIT;
    metadata.type = borrowed(type);
    metadata.clientip = borrowed("127.0.0.1");
    metadata.n_headers = header_app ? 1 : 0;
    metadata.headers = headers;

    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.value.data = (uint8_t *)borrowed(body.data);
    any.value.len = body.len;

    Payload payload = PAYLOAD__INIT;
    payload.metadata = &metadata;
    payload.body = &any;

    size_t size = payload__get_packed_size(&payload);
    ASSERT(size <= UINT32_MAX);
    frame_close(f);
    f->len = FRAME_PREFIX + size;
    f->data = mem_alloc(f->len);
    f->data[0] = 0;
    for (unsigned i = 0; i < 4; i++) {
        f->data[1 + i] = (char)(uint8_t)(size >> (24 - 8 * i));
    }
    (void)payload__pack(&payload, (uint8_t *)f->data + FRAME_PREFIX);
}

void frame_copy(struct frame *f, const struct frame *from)
{
    char *data = mem_alloc(from->len);
    memcpy(data, from->data, from->len);
    frame_close(f);
    *f = (struct frame){data, from->len};
}

void frame_close(struct frame *f)
{
    mem_free(f->data);
    *f = (struct frame){0};
}

size_t frame_find(const struct frame *f, struct span marker)
{
    const char *at = memmem(f->data, f->len, marker.data, marker.len);
    ASSERT(at != NULL);
    size_t offset = (size_t)(at - f->data) + marker.len;
    ASSERT(offset + FRAME_DIGITS <= f->len);
    return offset;
}

void frame_patch(struct frame *f, size_t offset, uint64_t value)
{
    ASSERT(offset + FRAME_DIGITS <= f->len);
    for (unsigned i = FRAME_DIGITS; i-- > 0; value /= 10) {
        f->data[offset + i] = (char)('0' + value % 10);
    }
}

int frame_message(struct span frame, struct span *ret_message, struct fail *fail)
{
    const uint8_t *p = (const uint8_t *)frame.data;
    if (frame.len < FRAME_PREFIX) {
        return fail_set(fail, E_PARSE, "reply without a message (%zu bytes)", frame.len);
    }
    if (p[0] != 0) {
        return fail_set(fail, E_PARSE, "reply is compressed");
    }
    uint32_t len = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (frame.len - FRAME_PREFIX != len) {
        return fail_set(fail, E_PARSE, "reply of %zu bytes, its prefix says %u",
                        frame.len - FRAME_PREFIX, len);
    }
    *ret_message = span_of(frame.data + FRAME_PREFIX, len);
    return 0;
}

int frame_view_open(struct span message, struct frame_view *ret, struct fail *fail)
{
    Payload *payload = payload__unpack(NULL, message.len, (const uint8_t *)message.data);
    if (!payload) {
        return fail_set(fail, E_PARSE, "a message of %zu bytes is not a Payload", message.len);
    }
    struct frame_view view = {.payload = payload};
    if (payload->metadata) {
        view.type = span_str(payload->metadata->type);
    }
    if (payload->body) {
        view.body = span_of((const char *)payload->body->value.data, payload->body->value.len);
    }
    *ret = view;
    return 0;
}

void frame_view_close(struct frame_view *view)
{
    if (view->payload) {
        payload__free_unpacked(view->payload, NULL);
    }
    *view = (struct frame_view){0};
}

/* The text after "key": up to the next comma or bracket, or the quoted string; for showing, not for
 * deciding. */
static struct span json_peek(struct span body, const char *key)
{
    char quoted[32];
    int len = snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *at = memmem(body.data, body.len, quoted, (size_t)len);
    if (!at) {
        return (struct span){0};
    }
    struct span rest = span_of(at + len, body.len - (size_t)(at + len - body.data));
    size_t end = 0;
    if (rest.len > 0 && rest.data[0] == '"') {
        for (end = 1; end < rest.len && rest.data[end] != '"'; end++) {
            if (rest.data[end] == '\\') {
                end++;
            }
        }
        return span_of(rest.data + 1, end <= rest.len ? end - 1 : rest.len - 1);
    }
    while (end < rest.len && !strchr(",}]", rest.data[end])) {
        end++;
    }
    return span_of(rest.data, end);
}

static int fail_reply(struct span message, struct fail *fail)
{
    struct span code = json_peek(message, "resultCode");
    if (span_empty(code) || span_eq(code, SPAN("200"))) {
        char shown[SHOWN_MAX + 1] = {0};
        size_t len = message.len < SHOWN_MAX ? message.len : SHOWN_MAX;
        for (size_t i = 0; i < len; i++) {
            shown[i] = isprint((unsigned char)message.data[i]) ? message.data[i] : '.';
        }
        return fail_set(fail, E_INTERNAL, "unexpected reply of %zu bytes: %s", message.len, shown);
    }
    struct span error = json_peek(message, "errorCode");
    struct span text = json_peek(message, "message");
    return fail_set(fail, E_INTERNAL, "resultCode %.*s, errorCode %.*s: %.*s", SPAN_ARG(code),
                    SPAN_ARG(error), SPAN_ARG(text));
}

int frame_expect(struct span message, struct span expect, struct fail *fail)
{
    if (span_empty(expect) || memmem(message.data, message.len, expect.data, expect.len)) {
        return 0;
    }
    return fail_reply(message, fail);
}
