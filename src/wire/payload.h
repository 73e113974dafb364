/* Payload: the envelope of every message on main port + 1000 (type, headers, JSON body).
 *
 * Thread:  any; no state.
 * Owns:    nothing: decoded spans point into the caller's bytes or arena.
 * Limits:  PAYLOAD_HEADERS_MAX headers, PAYLOAD_TYPE_MAX bytes of type; more is E_PARSE.
 * Source:  grpc-sdk.md 1.1, 1.2; Nacos 2.5.1 api/src/main/proto/nacos_grpc_service.proto.
 */
#ifndef NACRE_WIRE_PAYLOAD_H
#define NACRE_WIRE_PAYLOAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/span.h"

#define PAYLOAD_HEADERS_MAX 64
#define PAYLOAD_TYPE_MAX 128

struct payload_header {
    struct span key;
    struct span value;
};

/* Plain data. An absent metadata or body decodes as empty. */
struct payload {
    struct span type;
    struct span client_ip; /* self-reported, not the peer address */
    struct span body;      /* JSON text */
    const struct payload_header *headers;
    unsigned headers_count;
};

/* Decode the packed message. Strings are copied to the arena; protobuf-c does the work with the
 * arena as its allocator.
 * E_PARSE  not a Payload, too many headers, type too long */
MUST_USE int payload_decode(struct span bytes, struct arena *arena, struct payload *ret,
                            struct fail *fail);

/* The value of a header by its exact name; the empty span when absent. */
struct span payload_header_get(const struct payload *p, const char *key);

/* The bytes that come before a body of body_len bytes: head followed by the body is the packed
 * Payload, so a body that many share is never copied. type: ours, at most PAYLOAD_TYPE_MAX.
 * client_ip may be empty. Headers are never written (R6). */
MUST_USE struct buf *payload_head(const char *type, struct span client_ip, size_t body_len);

#endif
