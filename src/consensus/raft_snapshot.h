/* A snapshot as bytes: the owner's stream cut into chunks, each with its length, number and
 * checksum, so that a damaged file is refused before a byte of it is taken over.
 *
 * Thread:  one at a time; a sink is filled on a worker.
 * Owns:    a sink its buffers, until raft_snapshot_finish hands them out. A source borrows.
 * Limits:  RAFT_SNAPSHOT_BYTES_MAX a snapshot.
 * Format:  "NACRESNP", u32 version (1), u32 CRC-32C of these 12 bytes; then chunks: u32 length, u32
 *          number from 0, u32 1 for the last and else 0, u32 CRC-32C of these 12 bytes and the
 *          data; data. Numbers little-endian. Only the last chunk is short. A change is a new
 *          version.
 */
#ifndef NACRE_CONSENSUS_RAFT_SNAPSHOT_H
#define NACRE_CONSENSUS_RAFT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "consensus/raft_lib.h"

#define RAFT_SNAPSHOT_CHUNK_BYTES (1u << 20)
#define RAFT_SNAPSHOT_BYTES_MAX (4ull << 30)

/* What the owner writes to (consensus.h). Embedded by its owner; zero-initialised is empty. */
struct consensus_sink {
    struct raft_buffer *bufs; /* one per chunk, with its head; raft_malloc */
    unsigned count;
    unsigned cap;
    size_t fill; /* data bytes in the last one */
    uint64_t total;
};

/* End the stream: *ret_bufs (raft_malloc, as its buffers) is the caller's; the sink is empty again.
 */
void raft_snapshot_finish(struct consensus_sink *s, struct raft_buffer **ret_bufs, unsigned *ret_n);

/* Drop what was written. */
void raft_snapshot_drop(struct consensus_sink *s);

/* What the owner reads from (consensus.h). Plain data, borrows the snapshot. */
struct consensus_source {
    struct span rest;  /* chunks not begun */
    struct span chunk; /* data of the current one, not read yet */
    uint64_t left;     /* bytes of the stream not read yet */
};

/* Check all of a snapshot, and begin to read it.
 * E_PARSE  it is no snapshot, of another version, cut short or damaged: with the byte */
MUST_USE int raft_snapshot_open(struct span bytes, struct consensus_source *ret, struct fail *fail);

#endif
