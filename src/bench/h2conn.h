/* One HTTP/2 connection that speaks gRPC: any number of unary calls at once and at most one
 * bidirectional stream.
 *
 * Everything that a turn of the poller gives the connection to say leaves in one send at the end of
 * that turn.
 *
 * Thread:  the poller's. Callbacks run inside poller_turn; they may start calls and send on the
 * stream, but not destroy. Owns:    its socket and nghttp2 session. Borrows calls and their request
 * bytes until their done callback. Limits:  a message of H2CONN_MESSAGE_MAX bytes; a longer one
 * closes the connection. Source:  RFC 9113 by libnghttp2; gRPC over HTTP/2 (length-prefixed
 * messages, grpc-status in the trailers).
 */
#ifndef NACRE_BENCH_H2CONN_H
#define NACRE_BENCH_H2CONN_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "bench/bytes.h"
#include "bench/poller.h"

#define H2CONN_MESSAGE_MAX ((size_t)64 * 1024 * 1024)

struct h2conn;

/* A unary call; embedded by its owner, who sets request, done and path once. It may be started
 * again from done. */
struct h2call {
    struct span request; /* a whole gRPC frame; must stay until done */
    void (*done)(struct h2call *call);
    /* The answer, to be read by h2call_reply. */
    struct bytes reply;
    int http_status;
    int grpc_status; /* -1: none came */
    uint32_t reset_code;
    char grpc_message[120];
    const struct fail *lost; /* why the connection went, NULL when it did not */
    /* For h2conn.c. */
    size_t sent;
    struct h2call *prev;
    struct h2call *next;
};

/* What the owner of a connection is told. Any may be NULL. */
struct h2conn_ops {
    /* The socket is connected: calls may be started. */
    void (*on_open)(void *self);
    /* A whole message (without prefix) came on the stream. Borrowed for the call. */
    void (*on_message)(void *self, struct span message);
    /* The connection is gone; every outstanding call has been told. Comes once, not after
     * h2conn_destroy. */
    void (*on_closed)(void *self, const struct fail *why);
};

/* Begin to connect to address. E_LIMIT: no socket or descriptor left. E_IO: refused at once. */
MUST_USE int h2conn_create(struct poller *p, const struct addrinfo *address,
                           const struct h2conn_ops *ops, void *self, struct h2conn **ret,
                           struct fail *fail);

/* Close without telling anyone; outstanding calls are forgotten. NULL is fine. Not from inside a
 * turn. */
void h2conn_destroy(struct h2conn *c);

/* Start a unary call of /Request/request. E_CLOSED: the connection is gone or the server takes no
 * more (done will not come). */
MUST_USE int h2conn_call(struct h2conn *c, struct h2call *call);

/* Open the stream /BiRequestStream/requestBiStream. At most once. E_CLOSED as above. */
MUST_USE int h2conn_open_stream(struct h2conn *c);

/* Send one gRPC frame on the stream; it is copied. Dropped silently when the connection is gone. */
void h2conn_send(struct h2conn *c, struct span frame);

/* The message of a finished call. E_CLOSED: connection lost. E_IO: reset, HTTP or gRPC error
 * status, or no status. E_PARSE: not one message. fail says which in words. */
MUST_USE int h2call_reply(const struct h2call *call, struct span *ret_message, struct fail *fail);

/* Free the reply's memory; the call is not outstanding. */
void h2call_close(struct h2call *call);

#endif
