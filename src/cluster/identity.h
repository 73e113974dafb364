/* Who a node is: a key pair made at first start in its data directory. Node id = SHA-256 of the DER
 * SubjectPublicKeyInfo; its number in the log is made of the id's first bytes.
 *
 * Thread:  identity_open: main. identity_of_pem: any (TLS threads; a few microseconds, it walks the
 *          DER without decoding the key).
 * Files:   DIR/node.key (0600, made with O_EXCL, synced before its name appears), DIR/node.crt. The
 *          certificate can be remade from the key: the identity is the key.
 * Source:  ../shared/peer-security.md 1, 2 (measured facts).
 */
#ifndef NACRE_CLUSTER_IDENTITY_H
#define NACRE_CLUSTER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define NODE_ID_BYTES 32
#define NODE_ID_TEXT 64                      /* hex digits */
#define NODE_PEM_MAX (16u << 10)             /* bytes of a certificate that is looked at */
#define NODE_PEER_NAME "peer.nacre.internal" /* SNI of peers, and SAN of every node */

/* Plain data, compared by bytes. */
struct node_id {
    uint8_t bytes[NODE_ID_BYTES];
};

struct identity {
    struct node_id id;
    char *key_pem; /* secret: never logged; wiped by identity_close */
    char *cert_pem;
};

/* Read the directory's identity, or make one. *ret_is_new: it was made now.
 * E_IO       the files cannot be read or written   E_CORRUPT  they are no key and certificate of
 *            each other: says which file and what to do
 * E_INVALID  the key file is open to others */
MUST_USE int identity_open(const char *dir, struct identity *ret, bool *ret_is_new,
                           struct fail *fail);
void identity_close(struct identity *i);

/* The id of a PEM certificate. E_PARSE  it is none, or too large */
MUST_USE int identity_of_pem(struct span pem, struct node_id *ret);

/* The same node. */
bool node_id_eq(const struct node_id *a, const struct node_id *b);

/* Not all zero. */
bool node_id_is_set(const struct node_id *id);

/* The number of a node in the log; never 0. */
uint64_t node_id_number(const struct node_id *id);

/* NODE_ID_TEXT hex digits and a NUL. */
void node_id_text(const struct node_id *id, char dst[NODE_ID_TEXT + 1]);

#endif
