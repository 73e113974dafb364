/* Where a log is kept: on disk, or on a played disk that outlives it (simulation).
 *
 * Thread:  the loop's; with a played disk, the one that steps.
 * Owns:    the disk; borrows a played one.
 * Time:    a played disk is also its log's clock.
 */
#ifndef NACRE_CONSENSUS_RAFT_STORE_H
#define NACRE_CONSENSUS_RAFT_STORE_H

#include "consensus/raft_disk.h"
#include "consensus/raft_memory.h"

/* Embedded by its owner; zero-initialised is none. */
struct raft_store {
    struct raft_disk *disk;
    struct raft_memory *played;
};

/* Open the disk that options name, or, not NULL, the played one; the log is begun when there is
 * none. What raft_disk_open says; E_IO  the played disk has lost what it said it had */
MUST_USE int raft_store_open(struct raft_store *s, const struct raft_disk_options *options,
                             struct raft_memory *played, struct raft_loaded *ret_loaded,
                             struct fail *fail);

/* Let go of what is under way; on a played disk, as a crash does. */
void raft_store_close(struct raft_store *s);

/* What a driver uses; valid until raft_store_close. */
struct raft_storage raft_store_storage(const struct raft_store *s);

/* As raft_disk.h. A played disk has room for every size. */
bool raft_store_has_room_for(const struct raft_store *s, size_t len);
bool raft_store_is_full(const struct raft_store *s);

/* Monotonic ms, of the system or as the played disk was told. */
uint64_t raft_store_now_ms(const struct raft_store *s);

#endif
