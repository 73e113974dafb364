/* The messages of peer streams as bytes: hello, and frames one behind the other.
 *
 * Thread:  any.
 * Owns:    nothing but what it says. Spans point into what was given.
 * Limits:  LINK_HELLO_MAX bytes of a hello. LINK_BATCH_BYTES and LINK_BATCH_FRAMES of what is put
 *          together in one message; a larger frame goes alone. Up to LINK_COPY_MAX bytes of a frame
 *          are copied, more are shared with whoever else sends them.
 * Reading: walks the bytes and allocates nothing, so that a message of millions of tiny frames
 * costs what it weighs. Strict: kind, then body, as we write them. Wire:    proto/peer.proto.
 */
#ifndef NACRE_RPC_LINKS_FRAME_H
#define NACRE_RPC_LINKS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grpc/grpc.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/span.h"
#include "cluster/identity.h"

#define LINK_VERSION 1
#define LINK_HELLO_MAX 256
#define LINK_BATCH_BYTES (256u << 10)
#define LINK_BATCH_FRAMES 1024
#define LINK_COPY_MAX 4096
#define LINK_FRAME_HEAD_MAX 16 /* what a frame takes beyond its body */

/* Plain data. */
struct link_hello {
    uint32_t version;
    struct node_id id;
    uint64_t life;
    uint64_t number;
};

/* A frame that waits. Made by link_frame_create. */
struct link_frame {
    struct link_frame *next;
    unsigned kind;
    size_t len;
    struct body body;
};

/* Takes the body. */
MUST_USE struct link_frame *link_frame_create(unsigned kind, struct body *take_body);

/* Frees a whole list; NULL is fine. */
void link_frames_free(struct link_frame *first);

/* A message with the hello. The caller destroys it. */
MUST_USE grpc_byte_buffer *link_write_hello(const struct link_hello *hello);

/* A message with as many frames of the list as one takes, at least the first; *list is what is
 * left. Frees what it took. *ret_frames, *ret_bytes: how many, and their bodies' bytes. */
MUST_USE grpc_byte_buffer *link_write_frames(struct link_frame **list, size_t *ret_frames,
                                             size_t *ret_bytes);

/* Read a message that is a hello and nothing else. E_PARSE with what is wrong */
MUST_USE int link_read_hello(struct span message, struct link_hello *ret, struct fail *fail);

/* Take the next frame off *rest. E_PARSE with what is wrong; *rest must not be empty */
MUST_USE int link_read_frame(struct span *rest, unsigned *ret_kind, struct span *ret_body,
                             struct fail *fail);

/* Whether all of the message is frames. E_PARSE as link_read_frame */
MUST_USE int link_check_frames(struct span message, struct fail *fail);

#endif
