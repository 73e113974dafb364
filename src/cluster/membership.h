/* Membership: which member of the list is which node, when a cluster begins, and who is taken in.
 *
 * A slot is a listed address. Who answers there is learned by dialling it (rpc/links), confirmed by
 * a hello, and pinned to its key. A pinned peer is a peer whatever the list, the addresses or the
 * order of starts say: nothing here keeps nodes that know each other from electing a leader.
 *
 * DIFF(member-list-waits): Nacos lets every node believe its own list.
 *
 * First start: a pristine node promises a first configuration when every listed member, itself
 * included, answered it, is pristine and has the same list; it makes the log when all have promised
 * the same one (membership_first.c has the argument why there are never two). Whoever meets a
 * cluster waits to be taken in. What a leader takes in, replaces and removes: membership_lead.c.
 *
 * Thread:  core only. Time comes as now; every ops function is called from membership_turn, never
 * from an input, and must not call membership_* back. Owns:    its copies of everything. Borrows
 * nothing after create but ops and self. Limits:  MEMBERS_MAX slots (listed members and servers of
 * the log that are not listed any more). Use:     inputs, then membership_turn in the same turn of
 * the core; membership_deadline for its sleep. Source:  design.md 3, peer-security.md 5,
 * consensus.md 2.4 rule 8, 8.4.
 */
#ifndef NACRE_CLUSTER_MEMBERSHIP_H
#define NACRE_CLUSTER_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "cluster/identity.h"
#include "cluster/members.h"
#include "cluster/pins.h"

#define MEMBERSHIP_HELLO_MS 1000         /* between hellos while anything is open ... */
#define MEMBERSHIP_HELLO_SETTLED_MS 5000 /* ... and when nothing is */
#define MEMBERSHIP_FRESH_MS 3500 /* a hello of this age still counts in a leader's decisions */
#define MEMBERSHIP_GUEST_MS 5000 /* who was learned and says no hello is forgotten */
#define MEMBERSHIP_OPEN_MS 1500  /* a known server's address is asked who is there after */
#define MEMBERSHIP_GONE_MS 10000 /* without a secret: a key not seen for so long is gone */
#define MEMBERSHIP_GONE_PROVEN_MS 3000 /* with the secret */
#define MEMBERSHIP_ALIAS_MS 30000      /* an address of a node listed twice is asked again */
#define MEMBERSHIP_TWO_MS 10000  /* only one of two processes with a key was heard for so long */
#define MEMBERSHIP_QUIET_MS 5000 /* a list stands for so long before a server is removed */
#define MEMBERSHIP_RETRY_MS 5000 /* after a change that failed */
#define MEMBERSHIP_LOST_MS 3000  /* a voter without its log, or removed, is sure after so long */
#define MEMBERSHIP_PART_MS 6000  /* a removed server is still talked to */
#define MEMBERSHIP_REST_MS 5000  /* a slot number is not given to another address before */
#define MEMBERSHIP_SECRET_MAX 256
#define MEMBERSHIP_ADDRESS_MAX 255 /* bytes of an address in the log */
#define MEMBERSHIP_WORDS_MAX 400
#define MEMBERSHIP_ORDERED '+'

/* nacos.core.cluster.repin: how a new key at an old address is taken in. */
enum membership_repin {
    MEMBERSHIP_REPIN_AUTO,   /* by the secret, or, when none is given, by the quorum's word */
    MEMBERSHIP_REPIN_SECRET, /* by the secret only */
    MEMBERSHIP_REPIN_NEVER,  /* by an operator only */
};

enum membership_phase {
    MEMBERSHIP_LOOKING, /* pristine: asks who the others are */
    MEMBERSHIP_FORMING, /* the first configuration is agreed; the log is being made */
    MEMBERSHIP_WAITING, /* pristine, and there is a cluster: waits to be taken in */
    MEMBERSHIP_JOINING, /* a leader takes it in; an empty log is being made */
    MEMBERSHIP_MEMBER,  /* has a log */
    MEMBERSHIP_REFUSED, /* must not take part: ops->refuse said why */
};

/* One peer as links have to know it. host is borrowed for the call. */
struct membership_link {
    const char *host;
    unsigned slot;
    struct node_id pin; /* all zero: whoever answers is learned */
    uint16_t port;      /* main: the peer ports are + 1001 and + 1000 */
};

/* A server of a first configuration. */
struct membership_first {
    uint64_t number;
    char address[MEMBERSHIP_ADDRESS_MAX + 1];
};

/* What a leader has to do to the log's configuration. */
enum membership_change_kind { MEMBERSHIP_ADD, MEMBERSHIP_REMOVE, MEMBERSHIP_REPLACE };

/* Plain data. REPLACE: old_number is removed first, and only when that is done is number added. */
struct membership_change {
    enum membership_change_kind kind;
    unsigned slot;                            /* ADD, REPLACE */
    uint64_t old_number;                      /* REMOVE, REPLACE */
    uint64_t number;                          /* ADD, REPLACE */
    struct node_id id;                        /* ADD, REPLACE */
    char address[MEMBERSHIP_ADDRESS_MAX + 1]; /* for the log */
    bool is_ordered; /* by an operator, who waits: what cannot be done is said soon */
};

enum membership_weight { MEMBERSHIP_INFO, MEMBERSHIP_WARN, MEMBERSHIP_ERROR };

struct membership_ops {
    /* The peers to dial and to let in; replaces the last list (links_set_members). */
    void (*set_links)(void *self, const struct membership_link *list, size_t count);
    /* Send a hello to slot. It may be lost: another follows. Takes the buffer. */
    void (*send)(void *self, unsigned slot, struct buf *take_hello);
    /* Make it durable (pins_write on a thread that may block), then membership_on_saved(version).
     * One at a time: the next follows only after that. */
    void (*save)(void *self, struct buf *take_text, uint64_t version);
    /* Make a log with this first configuration; the same on all of its members. Once. */
    void (*form)(void *self, const struct membership_first *list, size_t count);
    /* Make an empty log that waits for a leader's. Once. */
    void (*join)(void *self);
    /* This node leads: do it, then membership_on_change_done. One at a time. */
    void (*change)(void *self, const struct membership_change *change);
    /* Something that a person should read. Once per event. */
    void (*say)(void *self, enum membership_weight weight, const char *text);
    /* This node must not take part in elections: its log is gone, another process uses its key, or
     * it was removed.
     * Log it and end the process. Nothing is called any more. */
    void (*refuse)(void *self, const struct fail *why);
};

/* Borrowed for the call. */
struct membership_options {
    const struct node_id *id;
    const struct pins *pins; /* from pins_read */
    const char *pins_name;   /* DIR/peers, for sentences */
    const char *host;        /* own, for a first configuration of a node without a list */
    uint16_t port;           /* own main port */
    const char *release;     /* for people */
    struct span secret;      /* shared, empty: none given; at most MEMBERSHIP_SECRET_MAX */
    enum membership_repin repin;
    bool has_log;        /* the data directory has one */
    bool is_forced;      /* by order of the operator: begin a cluster of this node alone */
    const uint8_t *seed; /* 32 random bytes of this life */
};

struct membership;

/* E_INVALID  the secret is too long */
MUST_USE int membership_create(const struct membership_options *options,
                               const struct membership_ops *ops, void *self, struct now now,
                               struct membership **ret, struct fail *fail);
void membership_destroy(struct membership *m);

/* The list, at start and whenever it changes. */
void membership_set_list(struct membership *m, const struct member_list *list, struct now now);

/* From links. A slot that has got another meaning meanwhile is not ours any more: ignored. */
void membership_on_self(struct membership *m, unsigned slot, struct now now);
void membership_on_learned(struct membership *m, unsigned slot, const struct node_id *id,
                           struct now now);
void membership_on_up(struct membership *m, unsigned slot, const struct node_id *id,
                      struct now now);
void membership_on_down(struct membership *m, unsigned slot, const char *why, struct now now);

/* A peer's hello. False: malformed, or not from who it says (*fail); nothing changed. */
bool membership_on_hello(struct membership *m, const struct node_id *from, struct span bytes,
                         struct now now, struct fail *fail);

/* Any other frame of a peer: it is alive. Cheap. */
void membership_on_seen(struct membership *m, const struct node_id *from, struct now now);

/* The version given to ops->save is durable. */
void membership_on_saved(struct membership *m, uint64_t version, struct now now);

/* A server of the log's configuration (consensus_member). Borrowed for the call. */
struct membership_server {
    uint64_t number;
    const char *address; /* as membership_address_text wrote it */
    bool is_voter;
};

/* The log's configuration, when the log is opened and whenever it changes; on the leader with the
 * server that waits for a snapshot. From the first call on with this node in it this node is a
 * member. Nothing in it: the log is empty (a node that joins). */
void membership_on_servers(struct membership *m, const struct membership_server *list, size_t count,
                           struct now now);

/* Who leads (number, 0: nobody). is_self: this node, and it has a quorum. */
void membership_on_leader(struct membership *m, uint64_t leader, bool is_self, struct now now);

/* The change is done (NULL), or failed with the reason; it is asked for again if it still is due.
 */
void membership_on_change_done(struct membership *m, const struct fail *why, struct now now);

/* Orders of an operator (nacre cluster add, remove). On the leader, one at a time. They edit no
 * list. What was added by an order although no list has it is marked in the log's address, so that
 * every leader knows, and stays until an order removes it. What was removed by an order although
 * it is listed stays out until it comes back as an empty node, which its entry invites in. */

enum membership_order {
    MEMBERSHIP_ORDER_NONE,
    MEMBERSHIP_ORDER_WAITS, /* add: for a node at that address that can be taken in */
    MEMBERSHIP_ORDER_RUNS,  /* the log's configuration is being changed */
    MEMBERSHIP_ORDER_DONE,
    MEMBERSHIP_ORDER_FAILED,
};

/* Take in who answers at this address. host is canonical.
 * E_NOT_LEADER   E_CONFLICT  another order is not finished; it is a member   E_LIMIT  too many */
MUST_USE int membership_order_add(struct membership *m, const char *host, uint16_t port,
                                  struct now now, struct fail *fail);

/* Let the server at this address go.
 * E_NOT_LEADER   E_CONFLICT  another order is not finished   E_NOT_FOUND  nobody has that address
 */
MUST_USE int membership_order_remove(struct membership *m, const char *host, uint16_t port,
                                     struct now now, struct fail *fail);

/* How far the order is, and in words what it waits for or why it failed. */
enum membership_order membership_order(const struct membership *m, char words[MEMBERSHIP_WORDS_MAX],
                                       struct now now);

/* Forget the order; a change that has begun goes on. */
void membership_order_end(struct membership *m);

/* Do what is due. */
void membership_turn(struct membership *m, struct now now);

/* Monotonic ms of the next turn at the latest. */
uint64_t membership_deadline(const struct membership *m);

/* For others on core. */

/* How far this node has got. */
enum membership_phase membership_phase(const struct membership *m);

/* The cluster's id; all zero while there is none. */
const uint8_t *membership_cluster_id(const struct membership *m);

/* The slot to send to a node by its number; -1: none. */
int membership_slot_of(const struct membership *m, uint64_t number);

/* The node's frames may be handed to the log: it is a server of the log's configuration (or of the
 * first one), and not of another cluster. A joining node trusts its pinned peers. Whoever else is
 * on a link may say hello, nothing more. */
bool membership_is_peer(const struct membership *m, const struct node_id *id);

/* An address as it stands in the log: host:port#id, or without id when that does not fit. Behind
 * the id of one that was added by an order stands MEMBERSHIP_ORDERED. */
void membership_address_text(const char *host, uint16_t port, const struct node_id *id,
                             char dst[MEMBERSHIP_ADDRESS_MAX + 1]);

/* For people. */

/* One slot. Plain data. */
struct membership_status {
    unsigned slot;
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port;
    struct node_id id; /* pinned, or who answers; all zero: nobody yet */
    bool is_listed;
    bool is_self;
    bool is_server; /* of the log's configuration */
    bool is_voter;
    bool is_up;
    uint64_t since_ms; /* monotonic: up, or down, since */
    char release[64];
    char words[MEMBERSHIP_WORDS_MAX]; /* state, in words */
};

/* At most max of them; returns how many. */
size_t membership_status(const struct membership *m, struct membership_status *ret, size_t max,
                         struct now now);

/* In a sentence, what this node is and what it waits for. */
void membership_words(const struct membership *m, char dst[MEMBERSHIP_WORDS_MAX], struct now now);

#endif
