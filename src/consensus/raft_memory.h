/* A disk that is played, for tests and simulation: writes complete when the test says that their
 * time has come, get lost or torn when it crashes, hold when it is full, and fail on request.
 *
 * Thread:  one.
 * Owns:    what is "on disk"; it outlives the driver that uses it.
 * Time:    virtual ms, handed in. Delays come from a seed.
 */
#ifndef NACRE_CONSENSUS_RAFT_MEMORY_H
#define NACRE_CONSENSUS_RAFT_MEMORY_H

#include <stdint.h>

#include "base/macros.h"
#include "consensus/raft_storage.h"

struct raft_memory;

/* Faults, to be changed at any time. Plain data. */
struct raft_memory_faults {
    unsigned delay_min_ms;
    unsigned delay_max_ms;
    bool is_full;        /* writes hold until it is not; capacity is 0 */
    unsigned fail_after; /* the so-manieth write from now fails; 0: none */
    /* In the so-manieth write of term or vote from now the machine stops: it fails, and the disk
     * has the old or the new. 0: none. is_stopped says that it has come to that. */
    unsigned stop_at_meta;
    bool is_stopped;
};

/* Empty. */
MUST_USE struct raft_memory *raft_memory_create(uint64_t seed);

/* No driver uses it any more. */
void raft_memory_destroy(struct raft_memory *m);

/* What a driver uses; faults and time are the test's. */
struct raft_storage raft_memory_storage(struct raft_memory *m);
struct raft_memory_faults *raft_memory_faults(struct raft_memory *m);

/* A log was begun on it: by the next two. */
bool raft_memory_is_made(const struct raft_memory *m);

/* Begin a log without a configuration: its node waits to be taken in. It was empty. */
void raft_memory_make(struct raft_memory *m);

/* Write the first configuration, in term 1. It was empty. */
void raft_memory_bootstrap(struct raft_memory *m, const struct raft_configuration *conf);

/* What a driver finds when it starts; memory as struct raft_loaded says. */
void raft_memory_load(struct raft_memory *m, struct raft_loaded *ret);

/* Complete what is due. now_ms is what the driver's clock says from here on. */
void raft_memory_run(struct raft_memory *m, uint64_t now_ms);

/* What raft_memory_run said last. */
uint64_t raft_memory_now_ms(const struct raft_memory *m);

/* When the next write is due; UINT64_MAX: none is. */
uint64_t raft_memory_next(const struct raft_memory *m);

/* The machine stops: writes under way are cancelled. A prefix of them is on the disk all the same,
 * as the seed has it: some whole, and of the next append the first entries. Term and vote are never
 * lost once their write has returned. */
void raft_memory_crash(struct raft_memory *m);

/* The most that reached() was told; the log must never be shorter than this after a crash. */
uint64_t raft_memory_mark(const struct raft_memory *m);

/* Index of the last entry or of the snapshot on this disk. */
uint64_t raft_memory_last(const struct raft_memory *m);

#endif
