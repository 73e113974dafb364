/* libraft, pinned: raft_step() is marked as work in progress, and the release after this one moved
 * the ownership of memory in several events. Another version must not compile.
 *
 * Thread:  constants and types only.
 */
#ifndef NACRE_CONSENSUS_RAFT_LIB_H
#define NACRE_CONSENSUS_RAFT_LIB_H

#include <raft.h>

#if RAFT_VERSION_NUMBER != 2201
/* cppcheck does not read the library's header and takes the number for 0. */
/* cppcheck-suppress preprocessorErrorDirective */
#error "libraft 0.22.1 is needed; deploy/install gets it from the suite bookworm-backports"
#endif

#endif
