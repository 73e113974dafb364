/* The file that goes to another node together with a snapshot: what a snapshot leaves out, because
 * its owner keeps it on disk anyway (the tables, hundreds of megabytes). On the leader the owner
 * makes it for each transfer; on the follower it is written as it comes. It is never in memory.
 *
 * Thread:  the driver's; the disk is waited for on libuv's workers. A played one has no loop and
 *          does all at once.
 * Owns:    the outgoing file until it is handed out; incoming.part, and what waits to be written.
 * Limits:  RAFT_COMPANION_BYTES_MAX a file, RAFT_COMPANION_QUEUE pieces that wait. What was written
 *          is synced every RAFT_COMPANION_SYNC_BYTES, so that the log, on the same disk, never
 *          waits for hundreds of megabytes at once.
 * Crash:   incoming has its name only when it is whole and durable; it is replaced, never removed
 *          here, because a snapshot that was stored may need it at the next start.
 */
#ifndef NACRE_CONSENSUS_RAFT_COMPANION_H
#define NACRE_CONSENSUS_RAFT_COMPANION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/span.h"

#define RAFT_COMPANION_BYTES_MAX (UINT64_C(64) << 30)
#define RAFT_COMPANION_QUEUE 16
#define RAFT_COMPANION_SYNC_BYTES (UINT64_C(8) << 20)

struct uv_loop_s;
struct raft_companion;

/* Plain data, copied with its paths. */
struct raft_companion_options {
    struct uv_loop_s *loop; /* NULL: played */
    const char *outgoing;
    const char *incoming;
    /* On a worker: make the file; as consensus_ops.companion_make. */
    int (*make)(void *self, const char *path, const atomic_bool *is_stopping);
    void *make_self;
    /* Something was written: look at raft_companion_state. Not from inside a call. NULL: nobody. */
    void (*wake)(void *self);
    void *wake_self;
};

/* What became of the incoming file. Plain data. */
struct raft_companion_state {
    uint64_t written;
    bool is_done; /* whole, durable, under its name */
    int err;      /* 0, or why nothing more is written */
};

/* Nothing is on its way. */
MUST_USE struct raft_companion *raft_companion_create(const struct raft_companion_options *options);

/* Waits for what is under way, running the loop. NULL is fine. */
void raft_companion_destroy(struct raft_companion *c);

/* The file, open for reading, its name removed already; the receiver ends it with
 * raft_companion_close. err not 0: there is none. */
typedef void (*raft_companion_made_fn)(void *arg, int err, int take_fd, uint64_t bytes);

/* Have the outgoing file made; one at a time. done may be called from inside when it is played. */
void raft_companion_make(struct raft_companion *c, raft_companion_made_fn done, void *arg);

/* Done with a file that was made. The disk frees it: for a large one that takes a while. */
void raft_companion_close(struct raft_companion *c, int take_fd);

/* Begin an incoming file; what was begun, or failed, is forgotten. */
void raft_companion_begin(struct raft_companion *c);

/* Forget what was begun. */
void raft_companion_drop(struct raft_companion *c);

/* The next bytes; copied. False: too many wait. */
MUST_USE bool raft_companion_write(struct raft_companion *c, struct span bytes);

/* That was all: make it durable and give it its name. */
void raft_companion_end(struct raft_companion *c);

/* As it is now: a copy. */
struct raft_companion_state raft_companion_state(const struct raft_companion *c);

#endif
