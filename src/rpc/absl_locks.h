/* Debian builds abseil with deadlock detection: each lock of gRPC keeps a graph of lock orders, 5
 * to 12 % of a request's CPU (transport-costs.md 1, 2). It finds bugs of gRPC's authors, not ours.
 *
 * Thread:  main, before gRPC starts.
 */
#ifndef NACRE_RPC_ABSL_LOCKS_H
#define NACRE_RPC_ABSL_LOCKS_H

#include <stdbool.h>

/* Switch the detection off. False when this abseil has no such function under a name we know: then
 * nothing changes but the speed. */
bool absl_locks_relax(void);

#endif
