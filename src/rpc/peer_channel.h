/* The outgoing half of a link: dials a member until it answers, keeps one stream to it, and sends.
 *
 * C-core would reconnect by itself, but says neither when nor why not; so a dial (peer_dial.h) that
 * failed is thrown away and the next one is made when it is due: after LINK_BACKOFF_MS, doubled up
 * to LINK_BACKOFF_MAX_MS; at once when the member has just come to us.
 *
 * Which port: the one that worked last, then the other, then the pause. An empty slot asks the
 * second port (main + 1000) first, and believes the first only if the second speaks something else
 * than TLS: main + 1001 of one node may be main + 1000 of the next (design.md 5), and we would
 * learn the neighbour's key, or take the neighbour for us.
 *
 * Thread:  the links' queue.
 * Owns:    its dial.
 * Limits:  one dial at a time, LINK_DIAL_MS for one (peer_dial.h); a message of at most
 * LINK_BATCH_* in flight. Source:  peer-security.md 4, 5.
 */
#ifndef NACRE_RPC_PEER_CHANNEL_H
#define NACRE_RPC_PEER_CHANNEL_H

#include "rpc/links_edge.h"

/* Dial the member of slot as it is listed now; copies it. */
MUST_USE struct peer_channel *peer_channel_create(struct links *l, unsigned slot,
                                                  const struct listed *m);

/* Hang up, without callbacks, and free. NULL is fine. */
void peer_channel_destroy(struct peer_channel *c);

/* True when a channel for m may go on as it is: the same addresses, and a pin that it can take
 * over.
 */
bool peer_channel_fits(const struct peer_channel *c, const struct listed *m);

/* Take over m's pin; it must fit. */
void peer_channel_pin(struct peer_channel *c, const struct node_id *pin);

/* Tell the owner that the link is down, if it was up. The channel is destroyed next. */
void peer_channel_tell_down(struct peer_channel *c, const char *why);

/* Send what waits, if the stream is up and has nothing in flight. */
void peer_channel_pump(struct peer_channel *c);

/* Somebody with this key has come to us: if it is this member and we wait, dial now. */
void peer_channel_hear(struct peer_channel *c, const struct node_id *id);

/* Send what waits and say that nothing more will come; hang up when there is no stream. No
 * callbacks any more. */
void peer_channel_finish(struct peer_channel *c);

#endif
