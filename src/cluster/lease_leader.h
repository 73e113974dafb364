/* The leader's half of read leases: rounds, who may hold what, and what is safe.
 *
 * Rounds run only while somebody wants a lease, or an earlier leader's may last: a cluster nobody
 * reads from is silent. Only who wants one is granted one, so writes wait for nobody else.
 *
 * A round that no quorum has acked yet is asked again under its number, and replaced after
 * LEASE_MS: so a slow network makes leases shorter, and does not end them.
 *
 * Thread:  core only. Pure: time comes as now.
 * Limits:  LEASE_SERVERS_MAX servers, and those that are gone and may still hold.
 * Source:  lease.h.
 */
#ifndef NACRE_CLUSTER_LEASE_LEADER_H
#define NACRE_CLUSTER_LEASE_LEADER_H

#include <stddef.h>

#include "base/clock.h"
#include "cluster/lease_log.h"
#include "cluster/lease_msg.h"

/* An ack as it came, which may be granted. Plain data. */
struct lease_ask {
    uint64_t life;
    uint64_t asked_at;
    bool is_there;
};

/* Another server. */
struct lease_peer {
    uint64_t id;
    uint64_t since_index; /* the log's end when it became a server: granted once that is committed,
                             so that whoever leads next knows it too */
    uint64_t life;        /* what it said last in this term */
    uint64_t applied;
    uint64_t round;             /* the last it acked */
    uint64_t earlier_until_ms;  /* what rounds it acked in earlier terms gave lasts until then */
    uint64_t holds_until_ms;    /* counted until; 0: not */
    uint64_t barred_until_ms;   /* to be removed: no grants */
    struct lease_ask ask;       /* its last */
    struct lease_ask ask_first; /* its last before the present round began */
    struct lease_msg due;       /* what is to be sent; parts 0: nothing */
    bool is_voter;
    bool is_unknown; /* may hold what an earlier leader granted */
    bool is_gone;    /* no server any more; stays while it may hold */
};

/* Embedded; zero-initialised with self set is nobody's. */
struct lease_leader {
    uint64_t self;
    bool is_voter; /* itself */
    struct lease_peer peers[LEASE_SERVERS_MAX];
    size_t peer_count;
    /* while it leads: */
    bool leads;
    bool is_ready; /* an entry of its own term is committed and applied */
    uint64_t term;
    uint64_t own_index;        /* such an entry; 0: not yet */
    uint64_t earlier_until_ms; /* what unknown peers may hold ends then ... */
    uint64_t own_earlier_ms;   /* ... as far as its own acks tell */
    uint64_t wanted_until_ms;  /* somebody reads */
    uint64_t round;
    bool is_urged; /* a read waits for the next one */
    bool is_open;  /* not acked by a quorum yet */
    uint64_t began_ms;
    uint64_t sent_ms;
    uint64_t commits[3];    /* when this round began, the one before, and before that */
    uint64_t until_ms;      /* its own lease */
    uint64_t wait_until_ms; /* ... as it will be when so much is applied; 0: as it is */
    uint64_t wait_commit;
    uint64_t again_ms; /* the next round, or the same again; UINT64_MAX: nobody wants one */
};

/* The log's servers. */
void lease_leader_on_servers(struct lease_leader *l, const struct lease_server *list, size_t count,
                             const struct lease_log *log);

/* It begins to lead log->term; quiet_ms: as in lease_msg, its own. */
void lease_leader_begin(struct lease_leader *l, const struct lease_log *log, uint64_t quiet_ms,
                        struct now now);

/* It leads no more. */
void lease_leader_end(struct lease_leader *l);

/* An ACK or APPLIED of this term. Unknown nodes are ignored. */
void lease_leader_on_follower(struct lease_leader *l, uint64_t from, const struct lease_msg *m,
                              struct now now);

/* Somebody wants a lease until then. Its own ends later than the next round is due, so the leader
 * has no need to urge itself. */
void lease_leader_want(struct lease_leader *l, uint64_t until_ms);

/* Rounds and grants that are due, into the peers' due. True: a round began, now. */
bool lease_leader_turn(struct lease_leader *l, const struct lease_log *log, struct now now);

/* What it and all that may answer reads have applied; 0: it is not known yet. */
uint64_t lease_leader_safe(const struct lease_leader *l, const struct lease_log *log,
                           struct now now);

/* lease_may_remove. */
bool lease_leader_may_remove(struct lease_leader *l, uint64_t id, struct now now);

/* Monotonic ms. is_waiting: something applied is not safe yet, so the end of a holder matters. */
uint64_t lease_leader_deadline(const struct lease_leader *l, bool is_waiting);

#endif
