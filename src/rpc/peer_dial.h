/* One try to reach a member: a C-core channel of its own, and one call on it, which becomes the
 * stream when the other side takes our hello.
 *
 * Thread:  the links' queue.
 * Owns:    itself: its owner lets go of it (peer_dial_drop, or when it ends), and it is freed when
 *          all of its batches have come back. Until then it holds the links' life.
 * Limits:  one message in flight.
 * Source:  peer-security.md 4; grpc-core-in-c.md 5, 14; consensus.md 2.5.
 */
#ifndef NACRE_RPC_PEER_DIAL_H
#define NACRE_RPC_PEER_DIAL_H

#include "rpc/links_edge.h"

#define LINK_TRY_MS 1500  /* for connection and handshake with one address of a name */
#define LINK_DIAL_MS 4000 /* for all of a dial */

struct peer_dial;

/* What a dial tells its owner; not from inside a call. */
struct peer_dial_ops {
    /* The hello was taken: messages may be sent. */
    void (*on_accepted)(void *owner, const struct node_id *id);
    /* The message is on its way, or the stream is about to end. */
    void (*on_sent)(void *owner);
    /* It is over, and lets go of its owner; d is good until the callback returns. */
    void (*on_ended)(void *owner, const struct peer_dial *d);
};

/* Where to. Plain data, borrowed for the call. */
struct peer_address {
    const char *host;
    uint16_t port;
    uint16_t port_other; /* the member's other port, for the words */
    struct node_id pin;
};

/* Begin. may_learn as in peer_check_create. */
MUST_USE struct peer_dial *peer_dial_create(struct links *l, unsigned slot,
                                            const struct peer_address *to, bool may_learn,
                                            const struct peer_dial_ops *ops, void *owner);

/* Hang up; no callback any more. NULL is fine. */
void peer_dial_drop(struct peer_dial *d);

/* It took too long: it will end. */
void peer_dial_expire(struct peer_dial *d);

/* True when a message or the close may be sent. */
bool peer_dial_is_idle(const struct peer_dial *d);

/* Send a message; takes it. It must be idle. */
void peer_dial_send(struct peer_dial *d, grpc_byte_buffer *take_message);

/* Say that nothing more will come. It must be idle. */
void peer_dial_close(struct peer_dial *d);

/* Of the stream, growing with each. */
uint64_t peer_dial_number(const struct peer_dial *d);

/* Who is at the other end, as C-core writes it; the caller frees it (gpr_free). */
char *peer_dial_address(const struct peer_dial *d);

/* What the verifier saw, and whose key. */
enum peer_verdict peer_dial_verdict(const struct peer_dial *d, struct node_id *ret_id);

/* Ended: something answered in a language that is not TLS, for example clients' port. A connection
 * that was only closed says nothing: a port mapping does that for a node that is not up yet. */
bool peer_dial_is_no_peer(const struct peer_dial *d);

/* Ended: why, in words for the operator. */
void peer_dial_explain(const struct peer_dial *d, const struct peer_address *to, char *dst,
                       size_t room);

/* Ended: the reason that gRPC or the other side gives. Valid as long as d. */
struct span peer_dial_reason(const struct peer_dial *d);

#endif
