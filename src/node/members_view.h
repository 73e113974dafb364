/* The members as this node sees them now, for people: over HTTP and by nacre cluster.
 *
 * Thread:  core.
 * Owns:    nothing: a view is a copy.
 */
#ifndef NACRE_NODE_MEMBERS_VIEW_H
#define NACRE_NODE_MEMBERS_VIEW_H

#include "base/buf.h"
#include "base/clock.h"
#include "cluster/membership.h"
#include "consensus/consensus.h"

struct core;

/* What is known of one member. Plain data. */
struct member_view {
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port;
    bool is_self, is_up, is_server, is_voter, is_leader;
    struct node_id id;
    uint64_t lag;            /* entries; only the leader knows: UINT64_MAX elsewhere */
    uint64_t silent_ms;      /* UINT64_MAX: not known */
    uint64_t diverged_index; /* 0: not, as far as this node knows */
    char release[64];
    char words[MEMBERSHIP_WORDS_MAX];
};

/* Plain data. */
struct members_view {
    bool is_alone; /* started without a list: one member, without an address */
    size_t count;
    struct consensus_state log;
    struct member_view list[MEMBERS_MAX + 1];
};

/* Look. */
void members_view_take(const struct core *c, struct now now, struct members_view *ret);

/* In Nacos's words: UP, STARTING, DOWN. */
const char *member_view_state(const struct member_view *m, const struct members_view *all);

/* leader, follower, learner, none. */
const char *member_view_role(const struct member_view *m);

/* A table for people, or JSON, both of several lines. One reference. */
MUST_USE struct buf *members_view_text(const struct members_view *v);
MUST_USE struct buf *members_view_json(const struct members_view *v);

#endif
