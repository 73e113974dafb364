/* What members say to each other, as bytes (proto/raft_msg.proto).
 *
 * Thread:  any; functions of their arguments.
 * Checks:  everything that libraft, whose own checks are compiled out, takes for granted: entries
 *          that fill their bytes, lengths its files can hold, terms in order, configurations that
 *          it can read, numbers that do not overflow. What passes may still be a lie, not a crash.
 * Limits:  CONSENSUS_MESSAGE_MAX a message; RAFT_DRIVER_INFLIGHT_MAX entries; a message is decoded
 *          in memory of at most twice its size and RAFT_CODEC_SLACK.
 */
#ifndef NACRE_CONSENSUS_RAFT_CODEC_H
#define NACRE_CONSENSUS_RAFT_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "consensus/raft_lib.h"

#define RAFT_CODEC_VERSION 1
#define RAFT_CODEC_ENTRY_HEAD 16
#define RAFT_CODEC_SLACK (64u << 10)

/* One piece of a snapshot on its way. Plain data. */
struct raft_piece {
    uint8_t version; /* libraft's, of the message */
    uint64_t term;
    struct raft_snapshot_metadata meta;
    uint64_t total;
    uint64_t companion; /* of these, at the end: a file of its own (raft_companion.h); 0: none */
    uint64_t offset;
    struct span data; /* total is offset + data.len at most */
};

/* What arrived of it. Plain data. */
struct raft_piece_ack {
    uint64_t term;
    uint64_t index; /* last_index of the snapshot */
    uint64_t next;
    bool is_lost;
    bool is_done;
};

enum raft_packet_kind { RAFT_PACKET_MESSAGE, RAFT_PACKET_PIECE, RAFT_PACKET_ACK };

/* A message decoded. */
struct raft_packet {
    uint64_t from;
    uint64_t to;
    enum raft_packet_kind kind;
    union {
        struct raft_message
            message; /* server_id: from; entries as raft_driver_receive takes them */
        struct raft_piece piece;
        struct raft_piece_ack ack;
    };
    void *owned; /* of piece.data */
};

/* A message of libraft's, but RAFT_INSTALL_SNAPSHOT, as bytes for message->server_id. */
MUST_USE struct buf *raft_codec_message(uint64_t from, const struct raft_message *message);

/* A piece, an acknowledgement. */
MUST_USE struct buf *raft_codec_piece(uint64_t from, uint64_t to, const struct raft_piece *piece);
MUST_USE struct buf *raft_codec_ack(uint64_t from, uint64_t to, const struct raft_piece_ack *ack);

/* Decode and check. What *ret holds is the caller's: raft_codec_free, or moved on.
 * E_PARSE      not such a message, cut short, or with a number that cannot be: says which
 * E_TOO_LARGE  over CONSENSUS_MESSAGE_MAX */
MUST_USE int raft_codec_decode(struct span bytes, struct raft_packet *ret, struct fail *fail);

/* Free what a packet still holds. */
void raft_codec_free(struct raft_packet *packet);

#endif
