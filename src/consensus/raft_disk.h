/* The log on disk: the storage half of libraft's raft_uv, in the order that loses nothing (init,
 * bootstrap or recover, load, start), with a transport that does nothing.
 *
 * Thread:  the loop's.
 * Files:   DIR/log (libraft's segments and snapshots), DIR/log.new (while it is first made),
 *          DIR/log.mark (raft_mark.h).
 * Full:    writes hold and are tried again every RAFT_DISK_RETRY_MS; capacity falls to 0, so that
 *          submits are refused; it goes on by itself.
 * Errors:  everything else ends the log: on_fail is called once, from the loop.
 * Limits:  segments of RAFT_DISK_SEGMENT_BYTES, two of them made in advance.
 */
#ifndef NACRE_CONSENSUS_RAFT_DISK_H
#define NACRE_CONSENSUS_RAFT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "consensus/raft_storage.h"

#define RAFT_DISK_SEGMENT_BYTES (8u << 20)
#define RAFT_DISK_RETRY_MS 500

struct uv_loop_s;
struct raft_disk;

/* Plain data, borrowed for the call of raft_disk_open. */
struct raft_disk_options {
    const char *dir; /* the node's data directory: exists, is ours */
    struct uv_loop_s *loop;
    uint64_t id;
    const char *address;
    bool is_first_voter; /* an empty directory becomes a cluster: of this node alone ... */
    const struct raft_configuration *first; /* ... or, not NULL, of these */
    bool is_recovering;   /* by order of the operator: this node alone is the cluster from now on */
    size_t segment_bytes; /* 0: RAFT_DISK_SEGMENT_BYTES */
    void (*on_fail)(void *self, const struct fail *why);
    void *self;
};

/* Open, check and load. *ret_loaded is the caller's (raft_storage.h).
 * E_IO  the directory cannot be used, or the log lost or damaged entries that were acknowledged:
 *       the sentence says which file and what to do */
MUST_USE int raft_disk_open(const struct raft_disk_options *options, struct raft_disk **ret,
                            struct raft_loaded *ret_loaded, struct fail *fail);

/* Let go of what is under way (its done functions get RAFT_CANCELED), and free. Runs the loop until
 * all is closed; not from inside one of the loop's callbacks. */
void raft_disk_close(struct raft_disk *d);

/* What a driver uses; valid until raft_disk_close. */
struct raft_storage raft_disk_storage(struct raft_disk *d);

/* Whether an entry of len bytes may be appended: one that is larger than a segment needs room that
 * was not set aside, and a write that finds none cannot be held. */
bool raft_disk_has_room_for(const struct raft_disk *d, size_t len);

/* True while the disk has no room for another segment. */
bool raft_disk_is_full(const struct raft_disk *d);

#endif
