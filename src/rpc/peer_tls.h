/* TLS between nodes: both sides show a certificate, and our verifiers decide by the key's id alone,
 * after TLS has proved possession of the private key and before any byte of HTTP/2.
 *
 * The pins say which key belongs to which slot. Inbound: a key that is the pin of some slot.
 * Outbound to a slot: its pin; or, when it has none yet, any key that is neither ours nor another
 * slot's pin (a candidate).
 *
 * Thread:  verifiers run on whatever thread moves the network, several at once: a short mutex, no
 *          logging, no gRPC calls. Everything else: any.
 * Owns:    pins and checks are counted, because C-core lets go of its verifiers when it likes.
 * Limits:  LINKS_MEMBERS_MAX pins.
 * Note:    the grpc_tls_* functions are marked experimental upstream: this file is the only one
 * that uses them. Without our verifier these credentials would let anybody in: they are made here
 * and nowhere else. Source:  peer-security.md 3, 4, 5.
 */
#ifndef NACRE_RPC_PEER_TLS_H
#define NACRE_RPC_PEER_TLS_H

#include <stdatomic.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "cluster/identity.h"
#include "rpc/links.h"

/* What the verifier of a dial found. */
enum peer_verdict {
    PEER_UNSEEN,     /* no certificate came */
    PEER_OK,         /* the slot's pin */
    PEER_CANDIDATE,  /* the slot has no pin */
    PEER_SELF,       /* our own key */
    PEER_OTHER,      /* not the slot's pin */
    PEER_TAKEN,      /* the slot has no pin, but the key is another slot's */
    PEER_DOUBTFUL,   /* as CANDIDATE or TAKEN, but this dial must not learn */
    PEER_UNREADABLE, /* no certificate that we can read */
};

struct peer_pins;

/* No slot is listed. One reference. */
struct peer_pins *peer_pins_create(const struct node_id *own);

/* One more reference; returns p. */
struct peer_pins *peer_pins_ref(struct peer_pins *p);

/* One reference less; NULL is fine. */
void peer_pins_unref(struct peer_pins *p);

/* The pins by slot, all zero: none. Replaces the last. */
void peer_pins_set(struct peer_pins *p, const struct node_id pins[LINKS_MEMBERS_MAX]);

/* True when some slot has this pin. */
bool peer_pins_has(struct peer_pins *p, const struct node_id *id);

/* What to say to this key at this slot: PEER_OK to PEER_TAKEN. */
enum peer_verdict peer_pins_judge(struct peer_pins *p, unsigned slot, const struct node_id *id);

/* The figures of the links live here, because verifiers count and outlive the links. */
struct links_counters *peer_pins_counters(struct peer_pins *p);

/* The last stranger whose certificate an inbound verifier refused, and how many there were. */
unsigned long peer_pins_stranger(struct peer_pins *p, struct node_id *ret);

/* What one dial finds at the other end. */
struct peer_check;

/* may_learn: when the slot has no pin, the key becomes its candidate or is another's; otherwise it
 * is refused as doubtful. One reference. */
struct peer_check *peer_check_create(struct peer_pins *p, unsigned slot, bool may_learn);

/* One reference less; NULL is fine. */
void peer_check_unref(struct peer_check *c);

/* The verdict so far; *ret_id: the key that was seen, none for UNSEEN and UNREADABLE. */
enum peer_verdict peer_check_read(struct peer_check *c, struct node_id *ret_id);

/* Credentials for one dial; its verifier writes to c and holds a reference. The caller releases. */
grpc_channel_credentials *peer_tls_client(const struct identity *own, struct peer_check *c);

/* Credentials for the server of peers. The caller releases. */
grpc_server_credentials *peer_tls_server(const struct identity *own, struct peer_pins *p);

/* The key of the other side of a call. E_FORBIDDEN  there is no certificate that we can read */
MUST_USE int peer_tls_caller(grpc_call *call, struct node_id *ret);

#endif
