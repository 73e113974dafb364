/* What nodes say to each other about read leases (lease.h): one frame per peer and turn, its parts
 * marked.
 *
 * Thread:  any; no state.
 * Bytes:   u8 version, u8 parts, u64 term, then the fields of each part in the order of enum
 *          lease_part, u64 little endian each; nothing else.
 */
#ifndef NACRE_CLUSTER_LEASE_MSG_H
#define NACRE_CLUSTER_LEASE_MSG_H

#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define LEASE_MSG_VERSION 1

/* Numbers stand on the wire. */
enum lease_part {
    LEASE_ROUND = 1,    /* leader: do you still follow me? */
    LEASE_GRANT = 2,    /* leader: answer reads from asked_at on, once you have applied commit */
    LEASE_SAFE = 4,     /* leader: all that answer reads have applied so far */
    LEASE_ACK = 8,      /* follower: I follow you, and nobody before you any more */
    LEASE_APPLIED = 16, /* follower: I have applied so far; also beside every ACK */
    LEASE_WANT = 32,    /* beside an ACK: there are reads here, grant me a lease */
    LEASE_NOW = 64      /* beside a WANT: one waits, begin a round for it */
};

/* Plain data. */
struct lease_msg {
    unsigned parts; /* enum lease_part, or-ed; at least one */
    uint64_t term;
    uint64_t round;    /* ROUND, ACK: which one */
    uint64_t asked_at; /* ACK: the follower's clock; GRANT: given back as it came */
    uint64_t life;     /* GRANT, ACK, APPLIED: of the follower; another one after each start */
    uint64_t commit;   /* GRANT */
    uint64_t safe;     /* SAFE */
    uint64_t quiet_ms; /* ACK: since the follower last acked a round of an earlier term */
    uint64_t applied;  /* APPLIED */
};

/* Pack; one reference. */
MUST_USE struct buf *lease_msg_encode(const struct lease_msg *m);

/* Unpack; fields of absent parts are 0.
 * E_PARSE  another version, unknown or no parts, too short, too long */
MUST_USE int lease_msg_decode(struct span bytes, struct lease_msg *ret, struct fail *fail);

#endif
