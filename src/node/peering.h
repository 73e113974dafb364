/* The other nodes, as the core sees them: who they are (membership), what they say (links), whose
 * operations enter the log (proposals, owners), who lives (watch).
 *
 * Only with a list of members; a node alone has none of this and proposes to its own log directly.
 *
 * Thread:  peering_create, start, stop, destroy: main. The rest: core; callbacks of links turn into
 *          mail (CORE_PEER).
 * Owns:    identity, links, membership, proposals, owners, watch. Borrows the core.
 */
#ifndef NACRE_NODE_PEERING_H
#define NACRE_NODE_PEERING_H

#include "api/outbox.h"
#include "base/clock.h"
#include "cluster/members.h"
#include "cluster/membership.h"
#include "cluster/owners.h"
#include "cluster/proposals.h"
#include "consensus/consensus.h"
#include "node/peer_net.h"
#include "node/peering_pending.h"

/* How long an owner may be silent before the leader gives its publications up. */
#define PEERING_OWNER_GRACE_MS 15000
/* Nobody leads for so long: writes that cannot wait are refused. */
#define PEERING_LEADERLESS_MS 2000
#define PEERING_SEED_BYTES 32

struct core;
struct core_mail;

/* Plain data, borrowed for the call but dir and list. */
struct peering_options {
    const char *dir;
    const char *bind;
    uint16_t port; /* main */
    const struct member_list *list;
    const char *secret; /* "": none */
    enum membership_repin repin;
    enum peering_registration registration;
    bool is_forced;
    bool no_second_port; /* nobody serves main + 1000: a core without edges */
    bool is_read_local;  /* reads of configs ask for no lease */
    /* For simulation; all NULL in a node. */
    const struct peer_net_maker *net; /* the way to the others; NULL: rpc/links */
    const struct node_id *id;         /* who this node is; NULL: DIR's identity */
    const uint8_t *seed;              /* PEERING_SEED_BYTES; NULL: of the system's randomness */
};

struct peering;

/* Identity, pins and links are opened or made; nothing is sent yet.
 * E_IO, E_CORRUPT, E_INVALID  with the file and the way out */
MUST_USE int peering_create(const struct peering_options *options, struct core *core,
                            struct peering **ret, struct fail *fail);
void peering_destroy(struct peering *p);

/* Listen for peers and dial them. The core's port takes mail. */
MUST_USE int peering_start(struct peering *p, struct fail *fail);
void peering_stop(struct peering *p);

/* The list of members has changed; copied. Any thread; a node that stops ignores it. */
void peering_set_list(struct peering *p, const struct member_list *list);

/* For the front door (rpc/links.h, links_way); after peering_start. */
struct door;
struct door_way;
struct door_way *peering_way(struct peering *p);

/* The door of the peers' own port (links_door), between peering_start and peering_stop. */
struct door *peering_door(const struct peering *p);

/* This node's number in the log. */
uint64_t peering_number(const struct peering *p);

/* The log may be opened now: *ret gets wire and first configuration (borrowed from p). False: not
 * yet. */
bool peering_log_options(const struct peering *p, struct consensus_raft_options *ret);

/* The log is open. */
void peering_on_log(struct peering *p, struct now now);

/* A mail of kind CORE_PEER; freed here. peering_drop_mail: one that nobody takes any more. */
void peering_on_mail(struct peering *p, struct core_mail *take_mail, struct now now);
void peering_drop_mail(struct core_mail *take_mail);

/* Begin of a turn: membership. True: the log wants to be opened (peering_log_options). */
bool peering_turn(struct peering *p, struct now now);

/* Before each consensus_turn: what waits goes to the leader. */
void peering_send(struct peering *p, struct now now);

/* A committed operation that reads can see was applied: if the answer of waiting stands in the
 * outbox at from or later it is held until every node that answers reads has it
 * (peering_lease.h). */
void peering_hold(struct peering *p, uint64_t index, struct api_call *waiting, size_t from);

/* End of a turn, when all is applied and before effects are performed: answers and reads that were
 * held and may go. */
void peering_release(struct peering *p, struct now now);

/* What reads have to ask; NULL: they need not. Borrowed from p. */
struct read_gate *peering_gate(struct peering *p);

/* End of a turn: signs of life, owners that are lost. */
void peering_watch(struct peering *p, struct now now);

/* When peering_turn wants to be called next (monotonic ms). */
uint64_t peering_deadline(const struct peering *p);

/* Take an operation of this node. What proposals_add says; E_NOT_LEADER: nobody leads for
 * PEERING_LEADERLESS_MS and the kind cannot wait: who is missing. */
MUST_USE int peering_propose(struct peering *p, enum consensus_kind kind, struct span op,
                             void *cookie, struct now now, struct fail *fail);

/* The log refused what peering_send gave it. */
void peering_on_reject(struct peering *p, void *cookie, const struct fail *why);

/* Who leads. */
void peering_on_leader(struct peering *p, uint64_t leader, struct now now);

/* A committed operation of a kind with CONSENSUS_OWNED. True: *ret is to be applied (kind without
 * the mark; cluster operations are applied here). */
bool peering_open(struct peering *p, unsigned kind, struct span bytes, struct proposal *ret);

/* The replicated table, for snapshots. */
struct owners *peering_owners(struct peering *p);

/* Perform EFFECT_PEER: takes what it holds. */
void peering_perform(struct peering *p, struct effect *e);

/* links_addresses. Any thread. */
size_t peering_addresses(const struct peering *p, char (*ret)[LINK_IP_MAX], size_t max);

/* A frame can be sent to that node now. */
bool peering_reaches(const struct peering *p, uint64_t number);

/* For orders of an operator (node/orders.c). */
struct membership *peering_members(struct peering *p);

/* For people. */
const struct membership *peering_membership(const struct peering *p);
const struct links_counters *peering_counters(const struct peering *p);

#endif
