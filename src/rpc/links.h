/* Links to the other nodes: frames of bytes over gRPC, always encrypted and mutually authenticated
 * by key, on a server of their own, behind a front door of its own (main port + 1001;
 * peer_listen.h).
 *
 * Each node keeps one outgoing stream to every other member for what it sends; so between two nodes
 * there are two. A frame is kind and bytes; frames of one stream arrive in order, whole, at most
 * once; when a stream breaks those queued or on the way may be lost, and the owner is told
 * (on_down, then on_up of the next stream) and sends again what it needs. Frames of an older stream
 * of a peer never arrive after the first of a newer one.
 *
 * Who may come in: keys in the pin table only; a stranger's handshake is refused before any HTTP/2
 * byte. A key is learned only on an outgoing dial to a listed address whose slot is empty (then it
 * is a candidate: on_learned; links_set_members with the key makes it the pin). Our own key at the
 * other end: on_self (that address is us).
 *
 * Thread:  links_create, start, stop, destroy: main. set_members, send: any one (core). Callbacks:
 *          gRPC's threads; they must not block or call links_*.
 * Limits:  LINKS_MEMBERS_MAX members; LINK_FRAME_MAX bytes a frame; LINK_QUEUE_BYTES queued per
 *          member (beyond it a send is E_LIMIT and the stream goes on); reconnect after
 *          LINK_BACKOFF_MS up to LINK_BACKOFF_MAX_MS; a keep-alive ping every LINK_PING_MS finds a
 *          dead peer in at most LINK_DEAD_MS.
 * Wire:    proto/peer.proto. The first frame of a stream is a hello (version, sender's id) that the
 *          server checks against the TLS key; the owner's own hello is a frame of its own.
 * Source:  ../shared/peer-security.md (all ten rules), grpc-core-in-c.md, consensus.md 2.5.
 */
#ifndef NACRE_RPC_LINKS_H
#define NACRE_RPC_LINKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "cluster/identity.h"

#define LINKS_MEMBERS_MAX 32
#define LINK_FRAME_MAX (16u << 20)
#define LINK_QUEUE_BYTES (64u << 20)
#define LINK_BACKOFF_MS 200
#define LINK_BACKOFF_MAX_MS 2000
#define LINK_PING_MS 1000
#define LINK_DEAD_MS 3000
#define LINK_IP_MAX 64              /* bytes of an address as text */
#define LINK_WINDOW_BYTES (4 << 20) /* of a stream; fixed, not probed for */

/* A listed member as links dial it. Plain data; host is copied. */
struct link_member {
    const char *host;     /* name, IPv4, or IPv6 without brackets */
    struct node_id pin;   /* all zero: empty slot, whoever answers becomes its candidate */
    unsigned slot;        /* the owner's number for it, 0..LINKS_MEMBERS_MAX-1, unique */
    uint16_t port;        /* its peer port (main + 1001) */
    uint16_t port_second; /* tried when port does not answer, or another node does: main + 1000; 0:
                             none. While pin is empty it is asked first, and port is believed only
                             if port_second speaks something else than TLS (peer_channel.h) */
};

struct links_ops {
    /* A frame from a pinned peer. Takes the buffer. */
    void (*on_frame)(void *self, const struct node_id *from, unsigned kind, struct buf *take_bytes);
    /* The outgoing stream to slot is up (frames may be sent; number grows with each), or down with
     * the reason in words. */
    void (*on_up)(void *self, unsigned slot, const struct node_id *id, uint64_t number);
    void (*on_down)(void *self, unsigned slot, const char *why);
    /* Slot was empty and this key answered there; it may be the pin of another slot: then that node
     * is listed twice, or has moved. */
    void (*on_learned)(void *self, unsigned slot, const struct node_id *id);
    /* We answered ourselves at slot's address. */
    void (*on_self)(void *self, unsigned slot);
};

/* Read by metrics on any thread. */
struct links_counters {
    atomic_ulong frames_sent, frames_received;
    atomic_ulong bytes_sent, bytes_received;
    atomic_ulong connects, disconnects;
    atomic_ulong refused_keys;   /* handshakes of strangers */
    atomic_ulong refused_frames; /* malformed, too large, not from who it says */
    atomic_ulong dropped;        /* sends over LINK_QUEUE_BYTES */
};

struct links_options {
    const struct identity *identity; /* borrowed until links_destroy */
    const char *bind;
    uint16_t port;
    bool no_door; /* as rpc_options.no_door */
    const struct links_ops *ops;
    void *self;
};

struct links;
struct door;
struct door_way;

/* Nothing runs yet. */
MUST_USE int links_create(const struct links_options *options, struct links **ret,
                          struct fail *fail);
void links_destroy(struct links *l);

/* Listen and dial. E_IO  the port cannot be bound: says which and by whom if it can be told */
MUST_USE int links_start(struct links *l, struct fail *fail);

/* Where the front door of main + 1000 may hand peers in (rpc/door.h, door_set_peer): after
 * links_start, and taken back before links_stop. NULL: it cannot be used here. */
struct door_way *links_way(struct links *l);

/* The front door of the peers' own port, between links_start and links_stop; NULL: C-core listens
 * itself. Thread: as the door's calls (rpc/door.h). */
struct door *links_door(const struct links *l);

/* No more callbacks after it returned; at most grace_ms for what is queued. */
void links_stop(struct links *l, uint32_t grace_ms);

/* The listed members (without this node) and their pins; replaces the last list: what is not in it
 * is disconnected, who is not pinned in it any more is refused and cut off. */
void links_set_members(struct links *l, const struct link_member *list, size_t count);

/* Queue a frame to slot; takes the body. kind: 1..255.
 * E_CLOSED  no stream is up   E_LIMIT  its queue is full   E_TOO_LARGE */
MUST_USE int links_send(struct links *l, unsigned slot, unsigned kind, struct body *take_body);

/* IP addresses, as text, at which members that are listed now have proved their keys, each once; at
 * most max. Any thread. Returns how many. */
size_t links_addresses(struct links *l, char (*ret)[LINK_IP_MAX], size_t max);

/* Borrowed until links_destroy. Any thread. */
const struct links_counters *links_counters(const struct links *l);

/* The port that is bound, or wanted before the start. */
uint16_t links_port(const struct links *l);

#endif
