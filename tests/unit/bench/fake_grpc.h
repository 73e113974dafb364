/* A server for the tests of src/bench: speaks gRPC on a free port of 127.0.0.1, inside the test's
 * own poller, and does what the test tells it to, wrong things too.
 *
 * Thread:  the test's; everything happens inside poller_turn.
 */
#ifndef NACRE_TESTS_FAKE_GRPC_H
#define NACRE_TESTS_FAKE_GRPC_H

#include <netdb.h>
#include <stdbool.h>

#include "base/span.h"
#include "bench/bytes.h"
#include "bench/frame.h"
#include "bench/poller.h"

struct fake_conn;
struct fake_grpc;

/* Sees a unary request that is not internal; may replace *reply (a frame) and may push. */
typedef void (*fake_request_fn)(struct fake_grpc *f, struct span type, struct span body,
                                struct frame *reply);

/* The fields down to on_request are the test's to set, the rest to read. */
struct fake_grpc {
    bool negotiates;        /* ServerCheckResponse says so */
    bool acks_setup;        /* a SetupAckRequest follows the setup */
    bool silent;            /* no unary request is answered */
    bool silent_health;     /* nor health checks */
    bool resets;            /* unary requests are reset */
    bool cuts;              /* replies lack their last byte */
    bool no_status;         /* no grpc-status in the trailers */
    int http_status;        /* 0: 200 */
    int grpc_status;        /* not 0: trailers only */
    const char *reply_body; /* of what is not internal; NULL: success */
    fake_request_fn on_request;
    void *arg;

    struct poller *poller;
    struct poll_watch listen;
    struct addrinfo *address;
    struct fake_conn *conns;
    unsigned checks;
    unsigned setups;
    unsigned healths;
    unsigned requests;
    unsigned acks;
    unsigned opened;
    char last_ack_type[64];
    char last_ack_body[256];
};

/* Listen. Asserts that it can. */
void fake_grpc_open(struct fake_grpc *f, struct poller *p);

/* Push a message of this type to every stream. */
void fake_grpc_push(struct fake_grpc *f, const char *type, const char *body);

/* Send raw bytes on every stream. */
void fake_grpc_raw(struct fake_grpc *f, struct span bytes);

/* End every stream with this gRPC status. */
void fake_grpc_end_streams(struct fake_grpc *f, int status);

/* Close every connection. */
void fake_grpc_drop(struct fake_grpc *f);

/* Close everything and free. Not from inside a turn. */
void fake_grpc_close(struct fake_grpc *f);

/* Turn the poller until *value reaches wanted, at most 5 s. True when it did. */
bool turn_until(struct poller *p, const unsigned *value, unsigned wanted);

#endif
