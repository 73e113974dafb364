/* Frames for other nodes, as a story keeps them until they are looked at.
 *
 * Thread:  the test's.
 */
#ifndef NACRE_TESTS_NAMING_FRAMES_H
#define NACRE_TESTS_NAMING_FRAMES_H

#include <stdlib.h>

#include <utlist.h>

#include "api/outbox.h"
#include "base/assert.h"
#include "base/mem.h"

/* A frame for another node. */
struct story_frame {
    uint64_t node;
    struct buf *bytes;
    struct story_frame *next;
};

/* Keep what the effect sends, behind the others. */
static inline void frames_keep(struct story_frame **frames, const struct effect *e)
{
    ASSERT(e->u.peer.kind == PEER_NAMING);
    size_t len = body_len(&e->u.peer.body);
    char *bytes = mem_alloc(len + 1);
    body_copy(&e->u.peer.body, bytes);
    struct story_frame *frame = mem_zalloc(1, sizeof(*frame));
    frame->node = e->u.peer.node;
    frame->bytes = buf_take(bytes, len);
    LL_APPEND(*frames, frame);
}

/* Take the first one off; NULL when there is none. */
static inline struct story_frame *frames_take(struct story_frame **frames)
{
    struct story_frame *frame = *frames;
    if (frame) {
        *frames = frame->next;
        frame->next = NULL;
    }
    return frame;
}

static inline void frame_free(struct story_frame *take_frame)
{
    buf_unref(take_frame->bytes);
    mem_free(take_frame);
}

/* Free them all. */
static inline void frames_free(struct story_frame **frames)
{
    struct story_frame *frame = NULL;
    while ((frame = frames_take(frames))) {
        frame_free(frame);
    }
}

#endif
