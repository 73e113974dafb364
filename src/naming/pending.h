/* Pending: operations of this node that are shown before they are applied, because the log does not
 * take them for now.
 *
 * What is visible of a service is what is applied with what is pending over it, in the order in
 * which it was proposed: as if the log had taken it already. Replicated state is never touched. An
 * operation becomes records, one for each publication (service and client) that it changes; all
 * records of a publication are a piece, and the newest one of them is what is seen: a list of
 * instances, or nothing. When an operation is applied its records go in the same moment, so nobody
 * sees a change. A service that exists by records alone is visible too.
 *
 * Thread:  core only. This node's own, not in the log.
 * Owns:    records and their instances. Nothing at all when nothing is pending.
 * Limits:  PENDING_MAX records and instances: a registration beyond it is refused. What hides
 *          something is always taken: there is never more of it than of what it hides.
 * Cost:    of a value: what is pending of its service, more than without.
 * Source:  consensus.md 8.2, 8.3.
 */
#ifndef NACRE_NAMING_PENDING_H
#define NACRE_NAMING_PENDING_H

#include "naming/naming_op.h"
#include "naming/state.h"

#define PENDING_MAX 200000

/* What is seen of a publication. */
enum pending_kind {
    PENDING_LIST,    /* these instances */
    PENDING_NOTHING, /* none of it */
    PENDING_HEALTH,  /* what is applied, in this health */
};

/* What one operation does to one publication. */
struct pending_record {
    enum pending_kind kind;
    struct pending_piece *piece;
    struct pending_record *older, *newer; /* of the piece */
    struct pending_record *op_next;       /* of the operation */
    uint64_t rank; /* of a list: of the entries of one address the one with the greatest is seen */
    bool is_publish; /* it makes its service exist */
    bool is_judged;  /* what this node knows from watching: only while it watches the client */
    bool healthy;    /* what the operation says of health, if it does: a list is in it already */
    size_t count;    /* instances of a list */
    struct instance *list[];
};

/* All that is pending of one publication. */
struct pending_piece {
    struct service *service;
    struct pending_client *client;
    struct pending_piece *client_prev, *client_next;
    struct pending_record *oldest, *newest;
    UT_hash_handle hh; /* in service->pending->pieces, by client id */
    /* of an HTTP client (pending_beat.c) */
    struct deadline beat;
    uint64_t beat_ms;
    int beat_proposed;
};

struct pending_client {
    struct pending_piece *pieces;
    size_t gones; /* ends of it that are pending */
    enum client_kind kind;
    UT_hash_handle hh; /* in pending->clients, by id */
    size_t id_len;
    char id[];
};

struct pending_op {
    uint64_t id;
    struct pending_record *records;
    struct pending_client *gone; /* whose end it is, or NULL */
    UT_hash_handle hh;           /* in pending->ops, by id, oldest first */
};

/* naming->pending. */
struct pending {
    struct pending_op *ops;         /* uthash */
    struct pending_client *clients; /* uthash */
    struct deadlines beats;
    size_t weight; /* records and instances */
};

/* service->pending. */
struct service_pending {
    struct pending_piece *pieces; /* uthash */
    size_t publishes;             /* records that make the service exist */
};

/* It exists, or something pending makes it. */
bool service_is_visible(const struct service *s);

/* What is pending of a publication; NULL: nothing. */
struct pending_piece *pending_find(const struct service *s, struct span client);

/* What was shown as id is applied, or never will be: it goes. Part of naming_commit_shown. */
void pending_end(struct naming *n, uint64_t id, struct now now);

/* The end of the client is pending. */
bool pending_is_leaving(const struct naming *n, const struct client *c);

/* What is pending says nothing: it is what this node knows from watching, and another node took the
 * client over since. */
bool pending_is_void(struct naming *n, const struct pending_piece *piece);

/* The first instance that is seen of a publication; NULL: none is. Borrowed until the next change.
 */
const struct instance *pending_first(struct naming *n, const struct pending_piece *piece);

/* What is applied of the piece's publication; NULL: nothing. */
struct publication *pending_applied(struct naming *n, const struct pending_piece *piece);

/* The value of a service of which something is pending; one reference (pending_value.c). */
MUST_USE struct service_value *pending_value(struct naming *n, struct service *s);

/* What is seen of a visible service. Plain data, borrowed until the next change. */
struct service_seen {
    const struct service *service;
    const struct service_value *value; /* NULL: nothing is pending */
    size_t count, healthy;
};

/* For lists of people: a value is put together only where something is pending. Nothing of NULL or
 * of what is not visible. */
struct service_seen service_seen(struct naming *n, struct service *s, struct now now);

/* One of them; i below count. */
const struct instance *service_seen_at(const struct service_seen *seen, size_t i);

/* Beats of what is pending of an HTTP client (pending_beat.c): a record of kind was added; it was
 * heard of; the piece ends; whatever is due; when that is. */
void pending_beat_changed(struct naming *n, struct pending_piece *piece, enum naming_op_kind kind,
                          struct now now);
void pending_beat_heard(struct naming *n, struct pending_piece *piece, struct now now,
                        struct outbox *out);
void pending_beat_end(struct naming *n, struct pending_piece *piece);
void pending_beat_turn(struct naming *n, struct now now, struct outbox *out);
uint64_t pending_beat_deadline(const struct naming *n);

/* Forget everything. */
void pending_close(struct naming *n);

/* Every invariant; aborts on a violation. Part of naming_check. */
void pending_check(const struct naming *n);

#endif
