/* A front door: our own accept loop in front of C-core, on one port. The clients' port (main +
 * 1000) and the peers' (main + 1001) have one each.
 *
 * It accepts, looks at the first bytes without taking them, and gives the connection to the server
 * that they ask for:
 *   HTTP/2's preface, whole                        the clients' server (door_set_plain); at the
 *                                                  peers' port: closed
 *   a TLS hello for peer.nacre.internal            the peers' server (door_set_peer); none: closed
 *   any other TLS hello                            closed: TLS for clients is not built yet
 *   a request line of HTTP/1                       one line that explains, then closed
 *   anything else                                  closed
 *   nothing decided by the deadline                closed
 * What C-core's listener did stays: door_listen.h, and peers' texts are "ipv4:..." as before,
 * because C-core asks the socket. What it could not: limits before anything is spent, and no death
 * by EMFILE.
 *
 * Thread:  door_create, start, stop, destroy: main. Setters: any. The door has a thread of its own,
 *          on which C-core also begins with a new connection.
 * Owns:    sockets until they are given away. Borrows: the ways and the options' bind.
 * Limits:  options; 0 means the named default. Undecided connections: DOOR_GUESTS_MAX in all and
 *          DOOR_GUESTS_PER_IP_MAX of an address, then the oldest is closed. Handshakes of peers:
 *          DOOR_HELLO_* of an address and of all, members' addresses exempt. Descriptors:
 *          accept_guard_limit() (rpc/accept_guard.h), then newcomers are told so and closed; one
 *          descriptor is kept in reserve to tell them even when none is left.
 * Source:  peer-security.md 7, 9; design.md 5.
 */
#ifndef NACRE_RPC_DOOR_H
#define NACRE_RPC_DOOR_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "rpc/door_way.h"

#define DOOR_DECIDE_MS 5000 /* from accept to decision, not extended by bytes */
#define DOOR_LEAVE_MS 1000  /* how long somebody who was told why may go on sending */
#define DOOR_GUESTS_MAX 8192
#define DOOR_GUESTS_PER_IP_MAX 1024
#define DOOR_HELLO_MS                                                                              \
    100 /* handshakes of peers: one each 100 ms and 50 at once from an address                     \
         */
#define DOOR_HELLO_BURST 50
#define DOOR_HELLO_ALL_MS 10 /* and of all strangers: at 2 ms of CPU each, a fifth of one core */
#define DOOR_HELLO_ALL_BURST 200
#define DOOR_MEMBERS_MAX 64

/* Whose port it is: what is closed, and in which words. */
enum door_port { DOOR_CLIENTS, DOOR_PEERS, DOOR_PORTS };

struct door_options {
    enum door_port whose;
    const char *bind; /* "0.0.0.0" (any family), an address, or a name */
    uint16_t port;    /* 0: the system picks; see door_port */
    uint32_t user_timeout_ms;
    uint32_t decide_ms;
    size_t guests_max;
    size_t guests_per_ip_max;
};

/* What came of everybody who was accepted, but those still undecided (guests). Written by the door,
 * read by metrics. */
struct door_counters {
    atomic_ulong accepted;
    atomic_ulong plain;         /* given to the clients' server */
    atomic_ulong peers;         /* given to the peers' server */
    atomic_ulong http1;         /* told that this is no HTTP port */
    atomic_ulong tls;           /* TLS, for which there is nobody here */
    atomic_ulong alien;         /* bytes that are nothing we know, or clients at the peers' port */
    atomic_ulong gone;          /* closed or reset by the client before it was decided */
    atomic_ulong late;          /* the deadline */
    atomic_ulong crowded;       /* too many undecided ones: the oldest */
    atomic_ulong refused_files; /* descriptors ran out */
    atomic_ulong refused_rate;  /* too many handshakes */
    atomic_ulong refused_ready; /* nobody to give it to yet */
    atomic_ulong guests;        /* now: undecided, or leaving after an explanation */
};

struct door;

/* Bind and listen; nothing is accepted yet.
 * E_IO  the port cannot be bound: address and reason */
MUST_USE int door_create(const struct door_options *options, struct door **ret_door,
                         struct fail *fail);

/* Open. What a way is set to must have been started. E_LIMIT  no thread */
MUST_USE int door_start(struct door *d, struct fail *fail);

/* Stop listening and close everybody undecided. After it returned nothing is given away any more:
 * the servers may be shut down. Again, or without a start, is fine. */
void door_stop(struct door *d);

/* Stops, if need be. NULL is fine. */
void door_destroy(struct door *d);

/* Whom to give connections to; NULL: nobody, they are closed. When it returns, the way that was set
 * before is given nothing more, so its server may be shut down. Borrowed until the next call. */
void door_set_plain(struct door *d, struct door_way *way);
void door_set_peer(struct door *d, struct door_way *way);

/* Addresses whose handshakes are not limited: the members'. IPv4 or IPv6 as text, without brackets.
 * Replaces the last list; what is no address is left out.
 * Returns how many were taken, at most DOOR_MEMBERS_MAX. */
size_t door_set_members(struct door *d, const char *const *addresses, size_t count);

/* The bound port; also after the stop. */
uint16_t door_port(const struct door *d);

/* Borrowed until door_destroy. Any thread. */
const struct door_counters *door_counters(const struct door *d);

#endif
