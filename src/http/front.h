/* The front: accepts connections, holds them until their first request head has come, and hands
 * them on.
 *
 * libmicrohttpd gives every connection a buffer of one fixed size and clears all of it after every
 * request. A buffer for a 512 KiB head therefore costs 80 us per request and as much memory per
 * connection; a small one cannot take such a head. So the front looks first (MSG_PEEK) and says
 * whether the head is large. Connections that never send anything cost a few bytes here and nothing
 * there.
 *
 * DIFF(large-head): a large head is taken as first request of a connection only.
 *
 * Thread:  front_create, front_start, front_stop, front_destroy: main. hand_over runs on the
 * front's own thread, "http-accept". Owns:    the listening socket and the waiting connections.
 * Limits:  the gate's. Over them the connection that has been silent longest gives way (of the same
 * address when its limit is hit); if none is silent, the new one is refused with a 503. wait_ms for
 * a complete head. Out of file descriptors: refused likewise.
 */
#ifndef NACRE_HTTP_FRONT_H
#define NACRE_HTTP_FRONT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

#include "base/fail.h"
#include "base/macros.h"
#include "http/gate.h"

struct front_options {
    const char *bind; /* NULL or "": every address, both families */
    uint16_t port;    /* 0: the system picks */
    struct gate *gate;
    uint32_t wait_ms;
    atomic_ulong
        *refused; /* counted up for every connection that was not handed on because of a limit */
    /* Take a connection that has begun to speak; it counts in the gate, and whoever took it counts
     * it out. */
    void (*hand_over)(void *self, int take_fd, const struct sockaddr *addr, bool large_head);
    void *self;
};

struct front;

/* Bind and listen. E_INVALID for an address that is none, E_IO with address and reason when it
 * cannot be bound. */
MUST_USE int front_create(const struct front_options *options, struct front **ret_front,
                          struct fail *fail);

/* Begin to accept. */
MUST_USE int front_start(struct front *f, struct fail *fail);

/* Close the listening socket and every waiting connection; afterwards hand_over is not called any
 * more. Blocks shortly. */
void front_stop(struct front *f);

/* Free; stops first when needed. NULL is fine. */
void front_destroy(struct front *f);

/* The bound port. */
uint16_t front_port(const struct front *f);

#endif
