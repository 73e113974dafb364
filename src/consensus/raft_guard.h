/* What a message must look like before libraft 0.22.1 may see it: its defects G2 and G3.
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

/* Whether the message says that its sender leads in term. */
bool raft_guard_leads(const struct raft_message *message, uint64_t term);

/* Free what a message carries (entries, configuration, snapshot). */
void raft_guard_free(struct raft_message *message);

#endif
