/* Subscriptions and pushes: who wants to hear of a service, and telling them.
 *
 * DIFF(push-at-once): Nacos waits 500 ms before every push. Here the first change is pushed in the
 * turn that applied it. Changes within the window after a push are merged into the next one; the
 * window doubles (to push_window_max_ms) while more than half of the last push's receivers have not
 * acked when the next is due, and halves back when they have; a service that was quiet for
 * push_window_max_ms starts anew.
 * Per (connection, service) one push is on its way: while its ack is out, newer changes wait for
 * the ack, at most PUSH_HOLD_MS, then the newest list is sent. DIFF(push-retries): Nacos retries
 * each second without end. Here, when no ack came in push_ack_timeout_ms, the then-current list is
 * sent again after push_retry_ms, doubled each time; after push_tries_max the subscriber waits for
 * the next change. A connection is never closed for a missing ack.
 *
 * Thread:  core only. State is this node's own, not in the log.
 * Limits:  NAMING_SUBSCRIPTIONS_MAX in all, NAMING_CLIENT_PUBLISH_MAX per client,
 *          PUSH_CLUSTERS_BYTES_MAX of clusters (E_TOO_LARGE), PUSH_APP_BYTES_MAX of app (cut).
 * Source:  grpc-sdk.md 5.4.8, 5.4.9, 3.6; semantics.md 1.7.
 */
#ifndef NACRE_NAMING_PUSH_H
#define NACRE_NAMING_PUSH_H

#include "naming/state.h"

#define PUSH_HOLD_MS 500
#define PUSH_CLUSTERS_BYTES_MAX 4096
#define PUSH_APP_BYTES_MAX 256

struct naming_subscribe {
    struct service_name service;
    struct span clusters;
    struct span app;
    uint64_t conn;
    struct span conn_id; /* for the text of E_CLIENT_GONE; may be empty */
};

/* Keep (or renew) the subscription of a naming connection; a new one is pushed once more after
 * subscribe_push_ms. A later clusters value replaces the former, as in Nacos (one subscription per
 * connection and service).
 * E_CLIENT_GONE  not a naming connection   E_LIMIT  the registry is full   E_TOO_LARGE  clusters */
MUST_USE int push_subscribe(struct naming *n, const struct naming_subscribe *s, struct now now,
                            struct fail *fail);

/* Drop it; fine when there is none. E_CLIENT_GONE as above. */
MUST_USE int push_unsubscribe(struct naming *n, const struct naming_subscribe *s,
                              struct fail *fail);

/* Drop all of a client. */
void push_drop_client(struct naming *n, struct client *c);

/* The service's list changed: push now or when the window ends. */
void push_changed(struct naming *n, struct service *s, struct now now);

/* Pushes that are due, retries, acks that did not come. */
void push_turn(struct naming *n, struct now now, struct outbox *out);

/* When push_turn wants to be called next. */
uint64_t push_deadline(const struct naming *n);

/* An ack. */
void push_ack(struct naming *n, uint64_t conn, const struct ack *ack, struct now now);

/* Visit the subscribers of a service: for lists. */
struct subscriber_info {
    struct span client_id, ip, app, agent, clusters;
};

/* fn must not change the registry; what info points to is borrowed for the call. */
void push_each_subscriber(const struct service *s,
                          void (*fn)(void *arg, const struct subscriber_info *info), void *arg);

/* Free the push state of a service or all of the registry's. */
void push_state_free(struct naming *n, struct service *s);

#endif
