/* Beats between nodes: a 1.x client sends its beats to any node, the one that owns it watches.
 *
 * The beats of a turn go to an owner as one frame (BeatFrame of proto/naming_op.proto), each
 * instance once. A frame that is lost is no harm: clients beat again long before their timeout.
 * naming_receive (naming.h) is the other end.
 *
 * Thread:  core only.
 * Limits:  NAMING_PEERS_MAX owners a turn, NAMING_BEATS_MAX beats and NAMING_FRAME_BYTES_MAX bytes
 * a frame; beats beyond are dropped and counted.
 */
#ifndef NACRE_NAMING_BEAT_PEER_H
#define NACRE_NAMING_BEAT_PEER_H

#include "api/outbox.h"
#include "naming/state.h"

#define NAMING_FRAME_VERSION 1
#define NAMING_PEERS_MAX 64
#define NAMING_BEATS_MAX 8192
#define NAMING_FRAME_BYTES_MAX (1u << 20)

/* p's owner, another node, hears of it at the end of the turn. False: there are too many of them.
 */
MUST_USE bool beat_peer_tell(struct naming *n, struct publication *p);

/* The frames of this turn leave. */
void beat_peer_turn(struct naming *n, struct outbox *out);

/* Forget everything. */
void beat_peer_close(struct naming *n);

#endif
