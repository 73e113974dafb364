/* The part of the log that is held in memory: terms of all entries since the last snapshot and a
 * bit before, and the bytes that may still be needed. It mirrors what libraft tracks itself.
 *
 * Thread:  one at a time.
 * Owns:    its slots, and one reference to each block. A block lives as long as somebody holds a
 *          reference: a write to disk may still run when the entry is gone from the log.
 * Format:  a block holds a u64 length, little-endian, the bytes, and zeros up to a multiple of 8,
 *          which the files of libraft demand.
 */
#ifndef NACRE_CONSENSUS_RAFT_LOG_H
#define NACRE_CONSENSUS_RAFT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/span.h"
#include "consensus/raft_lib.h"

/* Bytes of one entry as they stand in the log. Not counted across threads. */
struct raft_block {
    unsigned refs;
    size_t len;
    char bytes[];
};

/* A block around the bytes of a command, with its length and padding; one reference. */
MUST_USE struct raft_block *raft_block_wrap(struct span bytes);

/* A block that is a copy of raw bytes from disk or network; one reference. */
MUST_USE struct raft_block *raft_block_copy(const void *raw, size_t len);

/* One more reference; returns b. */
struct raft_block *raft_block_ref(struct raft_block *b);

/* One reference less; NULL is fine. */
void raft_block_unref(struct raft_block *b);

/* The command inside. False when the stated length does not fit: the bytes are not ours. */
bool raft_block_open(const struct raft_block *b, struct span *ret);

/* One entry. block is NULL when its bytes were let go. */
struct raft_slot {
    uint64_t term;
    enum raft_entry_type type;
    struct raft_block *block;
};

/* Embedded by its owner; zero-initialised is an empty log that begins at 1. Slots are
 * [first, first + count). */
struct raft_log {
    struct raft_slot *ring;
    size_t cap; /* a power of two, or 0 */
    uint64_t first;
    size_t count;
    uint64_t released; /* bytes up to here were let go */
    uint64_t snapshot_index;
    uint64_t snapshot_term;
};

/* Begin with a snapshot (0, 0: none) and entries from start on. The log is empty. */
void raft_log_start(struct raft_log *l, uint64_t snapshot_index, uint64_t snapshot_term,
                    uint64_t start);

/* Free; the log is as zero-initialised. */
void raft_log_close(struct raft_log *l);

/* The next entry. The block's reference moves in. */
void raft_log_append(struct raft_log *l, uint64_t term, enum raft_entry_type type,
                     struct raft_block *take_block);

/* Drop the entries from index on; none of them may be there. */
void raft_log_truncate(struct raft_log *l, uint64_t index);

/* The entry, or NULL when the log does not hold it. */
const struct raft_slot *raft_log_get(const struct raft_log *l, uint64_t index);

/* Index of the last entry, or of the snapshot when there is none after it. */
uint64_t raft_log_last(const struct raft_log *l);

/* Term of an entry or of the snapshot; 0 when unknown. */
uint64_t raft_log_term(const struct raft_log *l, uint64_t index);

/* A snapshot at index was taken: remember it and drop the entries that lie more than trailing
 * before its end. */
void raft_log_snapshot(struct raft_log *l, uint64_t index, unsigned trailing);

/* A snapshot of another node replaces everything. */
void raft_log_restore(struct raft_log *l, uint64_t index, uint64_t term);

/* Let go of the bytes up to index; terms stay. */
void raft_log_release(struct raft_log *l, uint64_t index);

/* How many entries before index, itself included, still have their bytes: at most max of them, with
 * at most max_bytes. */
unsigned raft_log_held(const struct raft_log *l, uint64_t index, unsigned max, uint64_t max_bytes);

#endif
