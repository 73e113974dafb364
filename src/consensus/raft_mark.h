/* How far the log had come: a small file beside it, so that a log that lost acknowledged entries (a
 * flipped bit, a cut file, a directory copied back) is noticed when the node starts. libraft takes
 * a damaged end of its newest file for a write that never finished, and goes on without it.
 *
 * Thread:  one.
 * Cost:    two stores to mapped memory. It outlives a killed process; after a power failure it may
 * be older than the log, never newer, because it is set after the entries are on disk. Format: 4096
 * bytes: two slots of u64 index and u64 index ^ RAFT_MARK_KEY, little-endian, written in turn; the
 * greater valid one counts.
 */
#ifndef NACRE_CONSENSUS_RAFT_MARK_H
#define NACRE_CONSENSUS_RAFT_MARK_H

#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"

#define RAFT_MARK_KEY 0x4b52414d45524341u

/* Embedded by its owner; zero-initialised is closed. */
struct raft_mark {
    unsigned char *page;
    uint64_t index;
    unsigned turn;
};

/* Map the file at path, made when it is missing.
 * E_IO  it cannot be made, read or mapped */
MUST_USE int raft_mark_open(struct raft_mark *m, const char *path, struct fail *fail);

/* Unmap; the file stays. */
void raft_mark_close(struct raft_mark *m);

/* Everything up to index is on disk and committed. Smaller ones are ignored. */
void raft_mark_set(struct raft_mark *m, uint64_t index);

#endif
