/* Subscriptions and the state of their pushes: what push.c (who subscribes) and push_window.c (when
 * and what is sent) share.
 *
 * Thread:  core only.
 * Owns:    a subscription belongs to its service's list and its client's table; a cluster set lives
 *          while a subscription uses it; the push state of a service lives from the first
 * subscriber until the service is freed.
 */
#ifndef NACRE_NAMING_PUSH_STATE_H
#define NACRE_NAMING_PUSH_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "naming/push.h"

/* Where a subscription stands. Moves: sub_move in push_window.c. */
enum sub_state {
    SUB_IDLE, /* it has the newest list, or was given up until the next change */
    SUB_DUE, /* a push of its own leaves at the deadline: new, retry, or a change that waited for an
                ack */
    SUB_SENT, /* a push is on its way; at the deadline its ack is too late, or a held change too old
               */
};

/* One push whose ack is awaited: an entry of naming.ack_waits while key.request_id is not 0. */
struct ack_wait {
    struct {
        uint64_t conn;
        uint64_t request_id;
    } key;
    UT_hash_handle hh;
};

/* All subscriptions of one service with the same clusters text: they are sent the same bytes. */
struct cluster_set {
    struct push_state *push;
    size_t members;
    /* the push that this turn puts together; empty between turns */
    uint64_t *conns;
    size_t conns_count, conns_cap;
    uint64_t request_id;
    struct cluster_set *flush_next;
    UT_hash_handle hh; /* in push->sets, by clusters */
    size_t clusters_len;
    char clusters[];
};

struct subscription {
    struct service *service;
    struct client *client;
    struct cluster_set *set;
    struct subscription *prev, *next; /* service->subscribers */
    UT_hash_handle hh;                /* in client->subscriptions, by service pointer */
    char *app;                        /* NULL: the client's */
    enum sub_state state;
    bool held;                /* a change is newer than what was sent and waits for the ack */
    unsigned tries;           /* pushes in a row without an ack in time */
    uint64_t sent_ms;         /* when the last push left */
    uint64_t changed_ms;      /* the change that it carried */
    uint64_t held_ms;         /* since when a change is held */
    uint64_t held_changed_ms; /* and when it happened */
    uint64_t fanout; /* number of the service's fan-out whose receiver this is, until it acks */
    struct ack_wait wait;     /* in the ack table or not */
    struct deadline deadline; /* in naming.acks */
};

struct push_state {
    struct service *service;
    struct deadline due; /* in naming.pushes: a change waits for the end of the window */
    uint64_t changed_ms; /* first of the changes that wait */
    bool pushed;         /* a fan-out has happened */
    uint64_t pushed_ms;  /* the last one */
    uint64_t fanout;     /* its number, from 1 */
    size_t receivers;    /* subscribers of the last fan-out that are still here */
    size_t acked;        /* those of them that have acked since */
    uint32_t window_ms;
    int64_t stamp;   /* the last one that was sent */
    uint64_t digest; /* of the list that was pushed while something of it was pending ... */
    bool has_digest; /* ... and it still is: the same again is not pushed */
    struct cluster_set *sets; /* uthash by clusters */
};

/* Put sub's pushes to rest and take it out of the ack table and the receivers' count: before it is
 * freed. */
void push_forget(struct naming *n, struct subscription *sub);

/* A push of its own for a new subscription, after subscribe_push_ms. */
void push_schedule_first(struct naming *n, struct subscription *sub, struct now now);

/* Every invariant of subscriptions and pushes; aborts on a violation. Tests and simulation. */
void push_check(const struct naming *n);

#endif
