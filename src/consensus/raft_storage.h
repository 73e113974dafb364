/* What the driver needs of a disk: raft_disk.c has one, raft_memory.c plays one.
 *
 * Thread:  the driver's. done functions run on it too, never from inside the call that took them.
 * Errors:  int results and statuses are 0 or libraft codes (RAFT_IOERR ...). Any of them is fatal
 *          to the driver: a full disk is held and tried again by the storage, not reported.
 */
#ifndef NACRE_CONSENSUS_RAFT_STORAGE_H
#define NACRE_CONSENSUS_RAFT_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/raft_lib.h"

/* What a node finds when it starts. Configuration, data, entries with their blocks and the array
 * belong to the receiver (raft_free). Plain data. */
struct raft_loaded {
    uint64_t term;
    uint64_t vote;
    bool has_snapshot;
    struct raft_snapshot_metadata meta;
    struct raft_buffer data;
    uint64_t start_index;
    struct raft_entry *entries;
    size_t n;
    uint64_t reached; /* what raft_storage_ops.reached was told: committed, whoever leads */
};

typedef void (*raft_done_fn)(void *arg, int status);

/* meta and data belong to the receiver when status is 0. */
typedef void (*raft_got_fn)(void *arg, int status, struct raft_snapshot_metadata *meta,
                            struct raft_buffer *data);

struct raft_storage_ops {
    /* Synchronous and durable on return. */
    int (*set_term)(void *self, uint64_t term);
    int (*set_vote)(void *self, uint64_t id);
    /* Forget the entries from index on; appends that follow wait for it. */
    int (*truncate)(void *self, uint64_t index);
    /* The entries and their bytes stay valid until done. */
    int (*append)(void *self, uint64_t index, const struct raft_entry *entries, unsigned n,
                  raft_done_fn done, void *arg);
    /* Keep a snapshot. trailing 0: it replaces the whole log (one that another node sent), else the
     * log keeps that many entries before its end. The snapshot stays valid until done. */
    int (*put_snapshot)(void *self, const struct raft_snapshot *snapshot, unsigned trailing,
                        raft_done_fn done, void *arg);
    /* Read the newest snapshot. */
    int (*get_snapshot)(void *self, raft_got_fn got, void *arg);
    /* Room in KiB that is reserved for the log, for libraft's refusal when the disk is full. */
    unsigned short (*capacity)(void *self);
    /* Everything up to index is committed and stored here: finding less after a restart means that
     * data was lost. Lasts at least as long as the machine. */
    void (*reached)(void *self, uint64_t index);
    /* Words for the last error. */
    const char *(*error)(void *self);
};

struct raft_storage {
    const struct raft_storage_ops *ops;
    void *self;
};

#endif
