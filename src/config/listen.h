/* Listeners over gRPC: who listens to what with which md5, and change notices.
 *
 * A notice is repeated after notify_retry_ms, 3, 10 (then every 10) seconds until the client has
 * listened again or read with what is now the md5 of its version , at most
 * notify_tries_max times; a newer change starts over. It leaves after the view serves the new one.
 * DIFF(notify-until-read): an ack ends nothing, since the Go SDK acks and loses a push that arrives
 * during its previous listen round.
 * DIFF(notify-own-version): it goes only to listeners whose own version's md5 differs from what
 * they hold.
 *
 * What a client holds is what it listened with, or read because it was told (caller.notified). As
 * soon as it was told of a change, by a notice or in the answer of a listen, it may hold anything
 * younger (Python reads and does not listen again), so the next change is told even if it goes
 * back to what it held.
 *
 * Thread:  core only.
 * Owns:    listen_conn and listener; an item that is listened to stays (state.h).
 * Source:  grpc-sdk.md 5.3.4, 5.3.5; Nacos 2.5.1
 * config/.../remote/ConfigChangeBatchListenRequestHandler.java, RpcConfigChangeNotifier.java.
 */
#ifndef NACRE_CONFIG_LISTEN_H
#define NACRE_CONFIG_LISTEN_H

#include "config/state.h"

#define LISTEN_CONTEXTS_MAX 10000 /* in one request */

/* requestIds of notices count from here: naming counts from 1, connections from 2^40 (conn.h), so
 * the three never meet on one connection. */
#define LISTEN_REQUEST_ID_FIRST (UINT64_C(1) << 39)

/* One entry of a ConfigBatchListenRequest. Spans in the call's arena. */
struct listen_context {
    struct config_key key;      /* tenant as it is kept */
    struct span tenant_as_sent; /* echoed in changedConfigs and notices; data NULL: not sent */
    struct span md5;
};

/* A ConfigBatchListenRequest. Plain data; in the call's arena. */
struct listen_request {
    uint64_t conn;
    bool listen; /* false: forget */
    const struct listen_context *list;
    size_t count;
    bool *changed; /* room for count; written: the client must read this one (never when it only
                      forgets) */
};

/* Remember or forget the entries in one pass.
 * E_CLIENT_GONE  no such connection   E_LIMIT  listens_max; those before are remembered */
MUST_USE int listen_batch(struct config *c, const struct listen_request *r, struct now now,
                          struct fail *fail);

/* The tag that this connection's requests carry is another one from now on ("" keeps it). */
void listen_retag(struct config *c, uint64_t conn, struct span tag);

/* The connection has read the config (caller.notified) and got md5 ("" for nothing). */
void listen_on_read(struct config *c, uint64_t conn, struct item *i, struct span md5);

/* The item's value is another one: notices for those whom it concerns are due now. */
void listen_on_change(struct config *c, struct item *i, struct now now);

/* Send what is due. */
void listen_turn(struct config *c, struct now now, struct outbox *out);
uint64_t listen_deadline(const struct config *c);

/* Visit the listeners of an item, or the items of all connections from an address (tenants as
 * kept). For the "who listens" routes. md5: what the client holds. key: until it returns; its spans
 * as long as the item. */
typedef void (*listen_visit_fn)(void *arg, struct span client_ip, const struct config_key *key,
                                struct span md5);
void listen_each_of_item(const struct item *i, listen_visit_fn fn, void *arg);
void listen_each_of_ip(const struct config *c, struct span ip, listen_visit_fn fn, void *arg);

/* config_conn_open, config_conn_closed and config_ack (config.h) are in listen.c, too. */

/* Free everything of a connection; all connections (config_destroy). */
void listen_conn_close(struct config *c, struct listen_conn *conn);

#endif
