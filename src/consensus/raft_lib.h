/* libraft, pinned: raft_step() is marked as work in progress, and the release after this one moved
 * the ownership of memory in several events. Another version must not compile.
 *
 * Thread:  constants and types only.
 */
#ifndef NACRE_CONSENSUS_RAFT_LIB_H
#define NACRE_CONSENSUS_RAFT_LIB_H

#include <raft.h>

#if RAFT_VERSION_NUMBER != 2201
#error                                                                                             \
    "libraft 0.22.1 is needed (libraft-dev of the suite bookworm-backports): deploy/install gets it"
#endif

#endif
