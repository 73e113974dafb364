/* The follower's half of read leases: what it holds, and what it says to its leader.
 *
 * Thread:  core only. Pure: time comes as now.
 * Source:  lease.h.
 */
#ifndef NACRE_CLUSTER_LEASE_HOLDER_H
#define NACRE_CLUSTER_LEASE_HOLDER_H

#include "base/clock.h"
#include "cluster/lease_log.h"
#include "cluster/lease_msg.h"

/* Embedded; lease_holder_init. */
struct lease_holder {
    uint64_t life;
    uint64_t term;   /* whose rounds are acked; earlier ones never again */
    uint64_t leader; /* of it */
    /* The first ack of the last round of any term: all it acked began before; the start of this
     * life before the first. */
    uint64_t acked_ms;
    uint64_t earlier_ms;    /* the same, of a term before this one */
    uint64_t until_ms;      /* reads that began before are fresh; 0: none */
    uint64_t wait_commit;   /* granted, and to be applied first */
    uint64_t wait_until_ms; /* 0: nothing waits */
    uint64_t asked_ms;      /* the last ask; nothing later can be granted */
    uint64_t urged_ms;      /* the leader was asked for a round */
    uint64_t round;         /* the last one that was acked in this term; 0: none */
    bool is_ack_due;
    bool is_urgent; /* beside it: begin a round */
};

/* life: lease_init's. */
void lease_holder_init(struct lease_holder *h, uint64_t life, struct now now);

/* This node leads in this term: what it held is over, and its own rounds count as acked. */
void lease_holder_lead(struct lease_holder *h, uint64_t term, uint64_t self, struct now now);

/* A ROUND of from. False: of an earlier term, or of nobody who can lead; it gets no ack. */
bool lease_holder_on_round(struct lease_holder *h, uint64_t from, const struct lease_msg *m,
                           uint64_t log_term, struct now now);

/* Frames of from count: it is the leader whose rounds are acked. */
bool lease_holder_follows(const struct lease_holder *h, uint64_t from, uint64_t term);

/* A GRANT of the leader. */
void lease_holder_on_grant(struct lease_holder *h, const struct lease_msg *m, uint64_t applied,
                           struct now now);

/* So far is applied: a grant that waited for it begins to count. */
void lease_holder_applied(struct lease_holder *h, uint64_t applied);

/* A read waits for a lease: the leader is asked to begin a round, if it is known and was not asked
 * just now. */
void lease_holder_urge(struct lease_holder *h, const struct lease_log *log, struct now now);

/* The ACK that is due, if any, is put into m, with what belongs to it. wants: to be granted a
 * lease. */
void lease_holder_speak(struct lease_holder *h, struct lease_msg *m, bool wants, struct now now);

#endif
