/* Bytes between C-core and us: byte buffers in and out, without copying what is large.
 *
 * Thread:  any; a message is immutable, reference-counted, and shared by all streams it is sent on.
 * Owns:    slices around our buffers hold a reference. C-core drops it on whatever thread it likes,
 *          so dropping is all that happens there (grpc-core-in-c.md 6).
 * Limits:  up to BYTES_COPY_MAX are copied into one slice: cheaper than several slices, their
 *          counts and their share of a writev.
 */
#ifndef NACRE_RPC_BYTES_H
#define NACRE_RPC_BYTES_H

#include <stdatomic.h>
#include <stddef.h>

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define BYTES_COPY_MAX 8192
#define BYTES_SLICES_MAX (BODY_PARTS_MAX + 1)

/* A packed Payload, ready to be sent any number of times. */
struct message {
    atomic_uint refs;
    unsigned count;
    size_t len;
    grpc_slice slices[BYTES_SLICES_MAX];
};

/* Pack a body under a type name; takes the body. One reference. */
struct message *message_create(const char *type, struct body *take_body);

/* One more reference; returns m. */
struct message *message_ref(struct message *m);

/* One reference less; NULL is fine. */
void message_unref(struct message *m);

/* A byte buffer for one send of the message; its bytes are shared. The caller destroys it after
 * start_batch, which empties it. */
MUST_USE grpc_byte_buffer *message_buffer(const struct message *m);

/* As message_create and message_buffer for what is sent once. */
MUST_USE grpc_byte_buffer *bytes_pack(const char *type, struct body *take_body);

/* The received bytes as one span: in place when C-core has them in one piece (nearly always),
 * otherwise copied to the arena. Valid as long as both live. NULL is the empty message. E_PARSE
 * compressed (rule 12 lets nobody send that)   E_TOO_LARGE  over what the arena may hold */
MUST_USE int bytes_flatten(grpc_byte_buffer *buffer, struct arena *arena, struct span *ret,
                           struct fail *fail);

#endif
