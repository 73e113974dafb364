/* What a message must look like before libraft 0.22.1 may see it: its defects G2, G3 and
 * G8.
 *
 * Thread:  any; functions of their arguments.
 */
#ifndef NACRE_CONSENSUS_RAFT_GUARD_H
#define NACRE_CONSENSUS_RAFT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "consensus/raft_lib.h"

/* G2: an append that ends before what is already committed would take the commit index back. Lower
 * the leader's commit index in it to ours. */
void raft_guard_commit(struct raft_append_entries *append, uint64_t commit_index);

/* G3: a configuration that is not the first entry of its message is recorded at a wrong index. Cut
 * the message before each such entry. Writes at most max parts to ret (each with entries array and
 * block of its own, raft_malloc), frees those of take, and returns how many there are: 1 at least.
 * What would be part max + 1 is left out, as if lost. */
MUST_USE unsigned raft_guard_split(struct raft_append_entries *take,
                                   struct raft_append_entries *ret, unsigned max);

/* G8: libraft takes an entry that its own snapshot replaced for one that it never had, and appends
 * it at the log's end. A message that begins before what the log still holds begins at the snapshot
 * instead: what is in that was committed, and the leader has it too. */
void raft_guard_skip(struct raft_append_entries *append, uint64_t snapshot_index,
                     uint64_t snapshot_term);

/* Whether the message says that its sender leads in term. */
bool raft_guard_leads(const struct raft_message *message, uint64_t term);

/* Free what a message carries (entries, configuration, snapshot). */
void raft_guard_free(struct raft_message *message);

#endif
