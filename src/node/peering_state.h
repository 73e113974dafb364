/* The inside of peering, shared by peering.c (links, membership, life) and peering_log.c
 * (operations, owners, leaders).
 *
 * Thread:  core, but for what peering.h says.
 */
#ifndef NACRE_NODE_PEERING_STATE_H
#define NACRE_NODE_PEERING_STATE_H

#include <stdatomic.h>

#include "cluster/watch.h"
#include "node/core_state.h"
#include "node/peering.h"
#include "node/peering_digest.h"
#include "node/peering_lease.h"
#include "node/peering_pending.h"
#include "node/peering_quorum.h"

#define PEERING_PORT_OFFSET 1001
#define PEERING_WHY_MAX 256

enum peer_event { EVENT_FRAME, EVENT_UP, EVENT_DOWN, EVENT_LEARNED, EVENT_SELF, EVENT_LIST };

/* What a callback of links tells the core. */
struct peer_mail {
    struct core_mail mail;
    enum peer_event event;
    unsigned slot;
    unsigned kind;
    struct node_id id;
    struct buf *bytes;
    struct member_list *list; /* EVENT_LIST */
    char why[PEERING_WHY_MAX];
};

/* Writing DIR/peers, on a db thread. */
struct save {
    struct db_job job;
    struct peering *peers;
    struct buf *text;
    uint64_t version;
};

struct peering {
    struct core *core;
    const char *dir;
    struct identity identity;
    uint64_t number;
    struct peer_net net;
    bool slot_up[LINKS_MEMBERS_MAX];
    uint64_t slot_number[LINKS_MEMBERS_MAX]; /* who was there last; 0: nobody yet */
    struct membership *membership;
    struct proposals *proposals;
    uint64_t epoch;
    struct owners owners;
    struct watch watch;
    struct peering_digest *digest;
    struct peering_pending pending;
    struct save save;
    /* the log's first configuration, once it is decided */
    struct membership_first first[MEMBERS_MAX];
    struct consensus_voter voters[MEMBERS_MAX];
    size_t first_count;
    struct consensus_wire wire;
    /* the log's configuration as membership was told */
    struct consensus_member members[CONSENSUS_MEMBERS_MAX];
    unsigned member_count;
    /* what membership wants changed */
    struct membership_change change;
    uint64_t change_since_ms;
    uint64_t yield_ms;
    uint64_t change_index; /* committed: it is done; 0: not done yet */
    atomic_uint frames_waiting;
    struct peering_lease lease;
    uint64_t leader;
    uint64_t leaderless_since_ms; /* 0: somebody leads */
    bool has_been_led;            /* in this life */
    uint64_t replayed_ms;         /* peering_serves_alone; 0: not yet */
    bool is_started;
    bool no_second_port;
    bool has_log, wants_log, is_joining;
    bool is_changing;
    bool leads;
    bool has_given_up; /* since then */
};

/* Make the way to the others (peering_links.c). */
MUST_USE int peering_create_net(struct peering *p, const struct peering_options *options,
                                struct fail *fail);

/* What proposals do with an operation. */
extern const struct proposals_ops peering_proposals_ops;

/* The slot of a node to which frames can be sent now; -1: none. */
int peering_slot_to(const struct peering *p, uint64_t number);

/* Propose this node's epoch until the log has it. */
void peering_begin_epoch(struct peering *p, struct now now);

/* consensus_wire.send. */
void peering_wire_send(void *self, uint64_t to, struct buf *take_message);

#endif
