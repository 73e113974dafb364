/* Snapshots of a registry as bytes in memory.
 *
 * Thread:  the test's, as core.
 */
#ifndef NACRE_TESTS_SNAPSHOT_BED_H
#define NACRE_TESTS_SNAPSHOT_BED_H

#include "base/buf.h"
#include "naming/naming_snapshot.h"

/* A sink that keeps what it is given; zero-initialised is empty. fail_at: the write of this number
 * (from 1) fails with E_IO. */
struct snapshot_sink {
    char *bytes;
    size_t len, cap;
    size_t pieces, piece_max;
    size_t fail_at;
};

/* Borrowed from s, freed by the caller: mem_free(s->bytes). */
struct byte_sink snapshot_sink(struct snapshot_sink *s);

/* The registry's snapshot; one reference. */
struct buf *snapshot_take(struct naming *n);

/* Load bytes. What follows the end of the snapshot is left alone; *ret_left may be NULL. */
int snapshot_load(struct naming *n, struct span bytes, struct now now, struct fail *fail,
                  size_t *ret_left);

#endif
