/* Who stands at the door: accepted connections that are not decided yet, in the order they came,
 * and how often an address may make us do the expensive thing, a TLS handshake.
 *
 * No sockets and no clock here: the door closes what it is told to, and says what time it is.
 *
 * Thread:  the door's only.
 * Owns:    guests, from guests_add to guests_remove. Their fd is the door's.
 * Limits:  all guests and those of one address (guests_limits); beyond, the oldest one has to
 *          go, which is the one that has said nothing for longest. Hellos: rate and burst, of an
 *          address and of all addresses together. GUESTS_BUSY_MAX addresses without a guest are
 *          remembered for their hellos; the one that was quiet for longest is forgotten first.
 * Rule:    an IPv6 address counts by its first 64 bits: whoever has one has all of them.
 */
#ifndef NACRE_RPC_DOOR_GUESTS_H
#define NACRE_RPC_DOOR_GUESTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define GUESTS_BUSY_MAX 4096

/* An address as the door counts it: IPv4 mapped into IPv6, or the first half of IPv6. Plain data.
 */
struct door_ip {
    unsigned char bytes[16];
};

/* One event each interval, and burst of them at once after a silence. Plain data. */
struct door_rate {
    uint32_t interval_ms;
    uint32_t burst;
};

struct guests_limits {
    size_t max;
    size_t per_ip_max;
    struct door_rate hellos;     /* of one address */
    struct door_rate hellos_all; /* of all together */
};

enum guest_state {
    GUEST_UNDECIDED,
    GUEST_LEAVING, /* was told why, and is listened to until it closes */
    GUEST_STATES,
};

struct guests_host;

/* Plain data for the door to read; written here only. */
struct guest {
    int fd;
    int listen_fd;
    struct door_ip ip;
    enum guest_state state;
    uint64_t until_ms; /* its deadline; the same distance for all of a state */
    struct guests_host *host;
    struct guest *prev, *next;       /* all of the state, oldest first */
    struct guest *ip_prev, *ip_next; /* all of the address */
};

struct guests;

/* The address of a connection as it is counted; all zero for a family that has none. */
struct door_ip door_ip_of(const struct sockaddr *address);
/* From text, without brackets. False when it is none. */
bool door_ip_parse(const char *text, struct door_ip *ret);

/* The same one, as it is counted. */
bool door_ip_equal(const struct door_ip *a, const struct door_ip *b);

/* Nobody there yet. limits is copied; max and per_ip_max are over 0. */
MUST_USE struct guests *guests_create(const struct guests_limits *limits);

/* All guests must be removed. */
void guests_destroy(struct guests *g);

/* The one that has to go before another of ip may come; NULL: there is room. */
struct guest *guests_in_the_way(const struct guests *g, const struct door_ip *ip);

/* An undecided guest; there must be room. Borrowed until guests_remove. */
struct guest *guests_add(struct guests *g, int fd, const struct door_ip *ip, uint64_t until_ms);

/* It was told to go. */
void guests_leave(struct guests *g, struct guest *guest, uint64_t until_ms);

/* Forget and free it; its socket is somebody else's by now, or closed. */
void guests_remove(struct guests *g, struct guest *take_guest);

/* The oldest in a state, whose deadline is the next; NULL: nobody. */
struct guest *guests_first(const struct guests *g, enum guest_state state);

/* All of them, in any state. */
size_t guests_count(const struct guests *g);

/* Whether ip may begin another handshake; if so it is counted. */
bool guests_take_hello(struct guests *g, const struct door_ip *ip, uint64_t now_ms);

/* Addresses that are remembered, for tests. */
size_t guests_hosts(const struct guests *g);

#endif
