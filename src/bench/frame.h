/* gRPC messages as they travel: five bytes of prefix, then a packed Payload (Metadata and a JSON
 * body).
 *
 * A load generator sends the same few messages over and over. They are packed once; what differs
 * between two requests (the number of a service, a revision) is a run of decimal digits of fixed
 * width that is overwritten in place.
 *
 * Thread:  one owner. Owns: its bytes.
 * Source:  grpc-sdk.md 1.1, 1.2.
 */
#ifndef NACRE_BENCH_FRAME_H
#define NACRE_BENCH_FRAME_H

#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define FRAME_PREFIX 5
#define FRAME_DIGITS 10 /* width of every number that is patched */

/* Embedded by its owner; zero-initialised is empty. */
struct frame {
    char *data;
    size_t len;
};

/* Pack a request of this type with this JSON body. header_app: the value of the header "app" that
 * clients send with naming requests, NULL for none. Replaces what f held. */
void frame_build(struct frame *f, const char *type, struct span body, const char *header_app);

/* An own copy of from. Replaces what f held. */
void frame_copy(struct frame *f, const struct frame *from);

/* Free the bytes; empty afterwards. */
void frame_close(struct frame *f);

/* Where the FRAME_DIGITS digits begin that follow marker; the frame must contain marker (asserted:
 * the caller wrote it). */
size_t frame_find(const struct frame *f, struct span marker);

/* Overwrite the digits at an offset that frame_find gave. */
void frame_patch(struct frame *f, size_t offset, uint64_t value);

static inline struct span frame_span(const struct frame *f)
{
    return span_of(f->data, f->len);
}

/* The message inside a received frame. E_PARSE: shorter than its prefix says, or compressed. */
MUST_USE int frame_message(struct span frame, struct span *ret_message, struct fail *fail);

/* A received Payload. type and body point into it; owned by the caller until frame_view_close. */
struct frame_view {
    struct span type;
    struct span body;
    void *payload;
};

/* Unpack a message (without its prefix). E_PARSE: not a Payload. */
MUST_USE int frame_view_open(struct span message, struct frame_view *ret, struct fail *fail);

/* Free what frame_view_open made. */
void frame_view_close(struct frame_view *view);

/* Judge a reply without unpacking it: 0 when the message contains expect (empty: anything will do).
 * Otherwise E_INTERNAL, with the reply's resultCode, errorCode and message, or its beginning, in
 * fail. */
MUST_USE int frame_expect(struct span message, struct span expect, struct fail *fail);

#endif
