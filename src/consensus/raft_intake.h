/* A snapshot that arrives in pieces, put together in memory, because libraft takes it whole. Its
 * companion, which follows it, goes to disk (raft_companion.h).
 *
 * Thread:  the driver's.
 * Owns:    one buffer of the snapshot's size, from the first piece until raft_intake_take, which
 *          hands it on, or until another snapshot begins or RAFT_INTAKE_SILENT_MS pass.
 * Trust:   the caller lets pieces of the leader of this term in only; numbers are checked by the
 *          codec. What was put together is read through (raft_snapshot_open) before it counts as
 *          complete, so that a leader's damaged file does not become everybody's.
 */
#ifndef NACRE_CONSENSUS_RAFT_INTAKE_H
#define NACRE_CONSENSUS_RAFT_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "consensus/raft_codec.h"
#include "consensus/raft_companion.h"

#define RAFT_INTAKE_SILENT_MS 60000
#define RAFT_INTAKE_FAILED_MS 30000 /* nothing is taken after a companion could not be written */

/* Embedded by its owner; zero-initialised has nothing. */
struct raft_intake {
    struct raft_companion
        *file; /* set by the owner; NULL: snapshots with a companion are ignored */
    uint64_t from;
    uint64_t term;
    uint8_t version;
    struct raft_snapshot_metadata meta; /* of what is put together; index 0: nothing is */
    char *bytes;                        /* raft_malloc */
    uint64_t total;
    uint64_t file_bytes; /* of these, at the end, the companion's */
    uint64_t come;       /* in order; of a companion, perhaps not written yet */
    uint64_t told;       /* in the last acknowledgement */
    uint64_t heard_ms;
    uint64_t failed_ms; /* 0: never */
    bool is_lost_told;
    bool is_complete;
    uint64_t taken_index; /* the last one that was handed on */
    uint64_t taken_term;  /* ... and the leader's term */
    uint64_t damaged;     /* snapshots that were complete and no snapshots */
};

/* A piece; what it holds moves in (its data is copied, its members are kept or freed). True: send
 * *ret_ack to from. */
bool raft_intake_piece(struct raft_intake *in, uint64_t from, struct raft_piece *take_piece,
                       uint64_t now_ms, struct raft_piece_ack *ret_ack);

/* The companion was written on: true: send *ret_ack to in->from. */
bool raft_intake_progress(struct raft_intake *in, struct raft_piece_ack *ret_ack);

/* A whole snapshot is there: as the message that raft_driver_receive takes (its address is ""), and
 * the acknowledgement to send to ret->server_id. False: it is not. */
bool raft_intake_take(struct raft_intake *in, struct raft_message *ret,
                      struct raft_piece_ack *ret_ack);

/* Drop what is not finished when its sender is silent, or leads no more in term. */
void raft_intake_tick(struct raft_intake *in, uint64_t term, uint64_t now_ms);

/* Drop all; as zero-initialised. */
void raft_intake_close(struct raft_intake *in);

#endif
