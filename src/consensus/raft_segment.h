/* A look at libraft's open segments before libraft loads them: one that was cut in the middle of a
 * batch makes raft_uv 0.22.1 free memory twice. It is cut at the batch's beginning instead, which
 * raft_uv takes for a write that never finished, as it does for any other damaged end.
 *
 * Thread:  any.
 * Format:  u64 format; then batches: u32 and u32 checksums, u64 count, and per entry u64 term, u8
 *          type, 3 bytes, u32 length; then the entries' bytes. Little-endian. Zeros follow.
 * Source:  libraft 0.22.1, raft/uv.h and raft_uv's encoding of a batch.
 */
#ifndef NACRE_CONSENSUS_RAFT_SEGMENT_H
#define NACRE_CONSENSUS_RAFT_SEGMENT_H

#include "base/fail.h"
#include "base/macros.h"

/* Trim every open segment of a directory that needs it.
 * E_IO  a file cannot be read or cut */
MUST_USE int raft_segment_trim_all(const char *dir, struct fail *fail);

#endif
