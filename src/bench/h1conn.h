/* One HTTP/1.1 connection with keep-alive: one request at a time. A connection that the server
 * closed between two requests (Tomcat does after a hundred) is opened again by the next one; that
 * is not an error, and its time counts into the request.
 *
 * Thread:  the poller's. Callbacks run inside poller_turn.
 * Owns:    its socket. Borrows the address.
 */
#ifndef NACRE_BENCH_H1CONN_H
#define NACRE_BENCH_H1CONN_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "bench/bytes.h"
#include "bench/h1reply.h"
#include "bench/poller.h"

enum h1conn_state { H1CONN_CLOSED, H1CONN_CONNECTING, H1CONN_OPEN };

struct h1conn;

/* The answer to the request: err 0 with status and body (borrowed for the call), or why there is
 * none. */
typedef void (*h1conn_done_fn)(void *self, int err, int status, struct span body,
                               const struct fail *fail);

/* Embedded by its owner; the fields are h1conn.c's. */
struct h1conn {
    struct poll_watch watch;
    struct poll_job job;
    struct poller *poller;
    const struct addrinfo *address;
    h1conn_done_fn done;
    void *self;
    struct h1reply reply;
    struct bytes out;
    size_t sent;
    enum h1conn_state state;
    bool busy;
    bool wants_out;
};

/* No socket yet: the first request opens it. */
void h1conn_init(struct h1conn *c, struct poller *p, const struct addrinfo *address,
                 h1conn_done_fn done, void *self);

/* Close the socket and free the memory; an outstanding request is forgotten. Not from inside a
 * turn. */
void h1conn_close(struct h1conn *c);

/* Send a whole request (copied); done follows in a later turn. None may be outstanding (asserted).
 * E_LIMIT, E_IO: no connection can be made; done does not follow. */
MUST_USE int h1conn_send(struct h1conn *c, struct span request, struct fail *fail);

#endif
