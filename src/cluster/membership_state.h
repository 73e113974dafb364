/* What the files of membership share: its state and the steps of a turn. Private to membership*.c.
 *
 * Thread:  core only.
 */
#ifndef NACRE_CLUSTER_MEMBERSHIP_STATE_H
#define NACRE_CLUSTER_MEMBERSHIP_STATE_H

#include "cluster/form.h"
#include "cluster/hello.h"
#include "cluster/membership.h"

#define SLOTS_MAX MEMBERS_MAX
#define LIVES_MAX 4 /* of a key that are remembered, to notice one that comes back */
#define SAYINGS_MAX 16
#define WHY_MAX 160

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of reading, 32 of them */
struct slot {
    bool is_used;
    bool is_listed;
    bool is_self;
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port;
    uint64_t free_ms; /* not used: since; 0: never was */

    struct node_id pin;   /* confirmed; durable soon */
    struct node_id guest; /* answered here and is not pinned: only when pin is not set */
    uint64_t guest_ms; /* pin or guest was found here at; 0: pin comes from the file or the log */
    bool is_alias;     /* who answers here is another slot's node */
    uint64_t alias_ms; /* is_alias, is_self: since */

    bool is_up;
    uint64_t since_ms;
    char why[WHY_MAX];
    uint64_t seen_ms; /* last sign of life of pin or guest; the node's start when there was none */
    bool was_seen;

    bool has_hello; /* of pin or guest; list and form are not kept */
    struct hello hello;
    uint64_t hello_ms;
    char difference[WHY_MAX]; /* between its list and ours, "" when there is none */
    bool is_proven;           /* knows the secret */
    uint64_t hello_due_ms;    /* ours to it */
    uint64_t lives[LIVES_MAX];
    bool is_two;      /* two processes use its key */
    uint64_t two_ms;  /* one of them came back at */
    uint64_t twin[2]; /* their lives */
};

struct server {
    uint64_t number;
    bool is_voter;
    bool is_ordered;                /* an operator added it: it stays, listed or not */
    char host[MEMBER_HOST_MAX + 1]; /* "" when the address could not be read */
    uint16_t port;
    struct node_id id; /* all zero: not known */
};

/* An operator's order. */
struct order {
    enum membership_order state;
    bool adds;
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port;
    struct fail why; /* FAILED */
};

struct saying {
    enum membership_weight weight;
    char text[FAIL_TEXT_MAX];
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of reading, one of them */
struct membership {
    const struct membership_ops *ops;
    void *self;
    struct node_id id;
    uint64_t number;
    uint64_t life;
    uint8_t nonce[HELLO_NONCE_BYTES];
    char host[MEMBER_HOST_MAX + 1];
    uint16_t port;
    char release[HELLO_RELEASE_MAX + 1];
    char pins_name[128];
    char secret[MEMBERSHIP_SECRET_MAX];
    size_t secret_len;
    enum membership_repin repin;
    bool is_forced;
    uint64_t start_ms;

    /* What the node is. */
    bool is_pristine; /* no log */
    bool is_refused;
    bool is_form_called, is_join_called;
    struct fail refusal;
    bool refusal_due;

    /* What is remembered: as it shall be, as it is being written, as it is on disk. */
    struct pins wanted; /* stage, generation, cluster_id, agreed; list is made when it is written */
    struct pins saving;
    struct pins durable;
    struct pins known; /* the file of the start: ids of servers by number */
    uint64_t version;
    bool is_saving;

    /* The list. */
    struct member_list list;
    uint8_t list_hash[MEMBERS_HASH_BYTES];
    bool has_list;
    uint64_t list_ms; /* it stands since */
    struct slot slot[SLOTS_MAX];

    /* First start. */
    struct form form;    /* of wanted.stage FORMING and later, as far as it is remembered */
    struct form follow;  /* what a peer has made and we promised */
    unsigned retreats;   /* promises taken back in this life */
    uint64_t hold_ms;    /* no new promise before */
    uint64_t removed_ms; /* a leader does not count us any more since; 0: it does */
    uint64_t lost_ms;    /* a leader counts us as a voter since, and we have no log; 0: no */
    uint64_t jitter;

    /* The log. */
    struct server server[MEMBERS_MAX];
    size_t server_count;
    bool has_servers;
    uint64_t leader;
    bool is_leader;
    bool is_changing;
    bool is_told;       /* the configuration was told since the change was ordered */
    uint64_t change_ms; /* no change before */
    struct order order;
    struct fail change_fail;

    bool is_dirty; /* a turn has something to do before deadline_ms */
    bool pins_due;
    bool links_due;
    bool hellos_due; /* to everybody, now */
    uint64_t words_ms;
    char words_said[MEMBERSHIP_WORDS_MAX];
    size_t saying_count;
    struct saying saying[SAYINGS_MAX];
    uint64_t deadline_ms;
};

/* membership.c */
void membership_say(struct membership *m, enum membership_weight weight, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void membership_refuse(struct membership *m, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Wake up at ms at the latest. */
void membership_wake(struct membership *m, uint64_t ms);

/* membership_slots.c: which address is whom. */
/* Who is at slot: pin, or guest; all zero when nobody is. */
const struct node_id *slot_who(const struct slot *s);
struct slot *slot_of_id(struct membership *m, const struct node_id *id);
struct slot *slot_of_number(struct membership *m, uint64_t number);
unsigned slot_index(const struct membership *m, const struct slot *s);
void slot_address(const struct slot *s, char dst[MEMBER_ADDRESS_MAX + 1]);
const struct server *server_find(const struct membership *m, uint64_t number);
bool server_is_address(const struct server *server, const struct slot *s);
/* A guest becomes the slot's pin. */
void slot_pin(struct membership *m, struct slot *s, const struct node_id *id);
/* This address is ours. */
void slot_self(struct membership *m, struct slot *s, struct now now);
/* This key answered at an address without a pin. */
void slot_learned(struct membership *m, struct slot *s, const struct node_id *id, struct now now);
/* A server that was set aside answers at its address again, which is listed. */
void slot_home(struct membership *m, struct slot *s, struct now now);
/* Not a listed address any more. */
void slot_unlist(struct membership *m, struct slot *s, struct now now);
/* Somebody is wanted at this address: the list has it, or an operator's order. */
bool membership_is_wanted(const struct membership *m, const char *host, uint16_t port);
/* Wanted addresses that have no slot yet get one; slots of others are not listed any more. */
void membership_place(struct membership *m, struct now now);
/* Pins follow the log's configuration. */
void membership_sync(struct membership *m, struct now now);
/* Forget guests that say nothing, ask aliases again, open slots whose node is gone. */
void membership_age(struct membership *m, struct now now);
void membership_links(struct membership *m);

/* membership_hello.c */
void membership_hellos(struct membership *m, struct now now);
bool membership_is_fresh(const struct slot *s, struct now now);

/* membership_first.c */
void membership_first(struct membership *m, struct now now);
/* The first configuration that this node would promise. False: not everybody answered, or not so.
 */
bool membership_view(const struct membership *m, struct form *ret);
/* A peer's hello that is of interest to a node without a log. */
void membership_first_heard(struct membership *m, const struct slot *s, const struct hello *h,
                            struct now now);

/* membership_lead.c */
void membership_lead(struct membership *m, struct now now);
/* A guest at s is taken in, if it may be. True: the change is ordered. */
bool membership_take_in(struct membership *m, struct slot *s, struct now now);
/* Have the server removed. */
void membership_let_go(struct membership *m, const struct server *server, bool is_ordered);

/* membership_order.c */
/* The order wants who is at this address. */
bool membership_is_ordered(const struct membership *m, const char *host, uint16_t port);
/* Begin what is ordered. True: a change is under way because of it. */
bool membership_obey(struct membership *m, struct now now);
/* The change is done, or failed with the reason; or this node does not lead any more. */
void membership_order_over(struct membership *m, const struct fail *why);

#endif
