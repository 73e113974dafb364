/* The data directory: mode 0700, owned by one running node, by a lock that dies with the process.
 *
 * Thread:  main.
 */
#ifndef NACRE_NODE_DATADIR_H
#define NACRE_NODE_DATADIR_H

#include "base/fail.h"
#include "base/macros.h"

/* Embedded by its owner. */
struct datadir {
    int lock_fd;
};

/* Make path (and missing parents) with mode 0700 and lock it. An existing one must be ours and
 * closed to others: its mode is set to 0700.
 * E_IO        cannot be made, opened or is no directory, with the reason
 * E_CONFLICT  another node (its pid is named) uses it */
MUST_USE int datadir_open(struct datadir *d, const char *path, struct fail *fail);

/* Give the lock back. */
void datadir_close(struct datadir *d);

#endif
