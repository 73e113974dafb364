/* One log entry as bytes: a version, a count, then kind, length and bytes of each operation.
 *
 * Thread:  one at a time.
 * Owns:    the writer its bytes, which it keeps for the next entry; the reader borrows the entry's.
 * Format:  u8 version (ENTRY_VERSION), u32 count, then count times u8 kind, u32 length, bytes;
 *          numbers little-endian. It stands in logs on disk later: a change is a new version.
 */
#ifndef NACRE_CONSENSUS_ENTRY_H
#define NACRE_CONSENSUS_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define ENTRY_VERSION 1

/* Embedded by its owner; zero-initialised is an empty entry. */
struct entry_writer {
    char *data;
    size_t len;
    size_t cap;
    uint32_t count;
};

/* Append an operation; op is copied. kind: 1 to 255. op.len fits 32 bits (asserted: the caller has
 * its limit). */
void entry_add(struct entry_writer *w, unsigned kind, struct span op);

/* The whole entry so far; valid until the next entry_add, entry_reset or entry_close. */
struct span entry_bytes(struct entry_writer *w);

/* Begin the next entry in the same memory; more than keep_max bytes of it are given back. */
void entry_reset(struct entry_writer *w, size_t keep_max);

/* Free; the writer is as zero-initialised. */
void entry_close(struct entry_writer *w);

/* Plain data: where a reader stands. */
struct entry_reader {
    struct span rest;
    uint32_t left;
};

/* Read an entry. All of it is checked here, so that a broken entry is refused before its first
 * operation is applied.
 * E_PARSE  another version, cut short, a kind of 0, bytes after the last operation */
MUST_USE int entry_open(struct span bytes, struct entry_reader *ret, struct fail *fail);

/* The next operation, borrowed from the entry's bytes; false after the last. */
bool entry_next(struct entry_reader *r, unsigned *ret_kind, struct span *ret_op);

#endif
