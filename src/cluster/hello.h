/* What a node tells a peer about itself (proto/hello.proto), decoded and checked.
 *
 * Thread:  any; functions of their arguments.
 * Owns:    struct hello owns list and form: hello_close.
 * Limits:  HELLO_BYTES_MAX bytes; at most MEMBERS_MAX of everything that repeats; what is longer or
 * of another length than it must be is E_PARSE. Source:  design.md 3 (who is a node),
 * peer-security.md 5 (the proof).
 */
#ifndef NACRE_CLUSTER_HELLO_H
#define NACRE_CLUSTER_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "cluster/form.h"
#include "cluster/identity.h"
#include "cluster/members.h"
#include "cluster/pins.h"

#define HELLO_VERSION 1
#define HELLO_BYTES_MAX (64u << 10)
#define HELLO_RELEASE_MAX 63
#define HELLO_NONCE_BYTES 16
#define HELLO_PROOF_BYTES 32

/* Bits of flags; numbers are on the wire. */
enum hello_flag {
    HELLO_PRISTINE = 1,    /* the sender has no log, and never had one under this key */
    HELLO_SEES_ALL = 2,    /* every listed member answered it, pristine, with the same list */
    HELLO_LEADER = 4,      /* it leads, with a quorum */
    HELLO_HAS_SECRET = 8,  /* it was given one */
    HELLO_YOU_ARE_TWO = 16 /* two processes use the receiver's key */
};

struct hello_seen {
    uint64_t number;
    uint64_t age_ms;
};

struct hello_server {
    uint64_t number;
    bool is_voter;
};

struct hello {
    uint32_t version;
    struct node_id id;
    uint64_t life;
    uint8_t cluster_id[CLUSTER_ID_BYTES]; /* all zero: none */
    uint32_t flags;
    uint8_t list_hash[MEMBERS_HASH_BYTES];
    uint16_t port;
    char release[HELLO_RELEASE_MAX + 1];
    uint64_t generation;
    uint8_t agreed[FORM_BYTES]; /* all zero: nothing */
    uint8_t nonce[HELLO_NONCE_BYTES];
    uint8_t proof[HELLO_PROOF_BYTES]; /* all zero: none */
    unsigned entry;                   /* 1..MEMBERS_MAX, 0: not known */
    size_t seen_count;
    struct hello_seen seen[MEMBERS_MAX];
    size_t server_count;
    struct hello_server server[MEMBERS_MAX];
    uint64_t leader;
    struct member_list *list; /* NULL: not sent */
    struct form *form;        /* NULL: not sent */
};

/* As bytes. */
MUST_USE struct buf *hello_encode(const struct hello *h);

/* The opposite; *ret is then the caller's to close.
 * E_PARSE      not a hello, or a field that cannot be: says which
 * E_TOO_LARGE  over HELLO_BYTES_MAX
 * E_UNSUPPORTED  another protocol version */
MUST_USE int hello_decode(struct span bytes, struct hello *ret, struct fail *fail);

/* Free what it owns; it may be closed again. */
void hello_close(struct hello *h);

/* The sender's proof that it knows the secret: HMAC-SHA-256 over both ids and both nonces. The
 * sender comes first, so that a proof cannot be sent back as one's own; ids are what TLS proved, so
 * that it cannot be passed on. */
struct hello_proof {
    struct span secret;
    const struct node_id *sender;
    const struct node_id *receiver;
    const uint8_t *sender_nonce; /* HELLO_NONCE_BYTES */
    const uint8_t *receiver_nonce;
};

/* Make it. */
void hello_prove(const struct hello_proof *p, uint8_t dst[HELLO_PROOF_BYTES]);

/* In constant time. */
bool hello_is_proven(const struct hello_proof *p, const uint8_t proof[HELLO_PROOF_BYTES]);

#endif
