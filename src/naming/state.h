/* The registry's state: services, clients, what clients publish, what operators set over it.
 *
 * The upper half of each struct is replicated: only apply.c changes it. The lower half is this
 * node's own (subscribers, pushes, beats).
 *
 * Thread:  core only.
 * Owns:    everything. naming_check() holds after every apply (tests and simulation call it after
 *          each step).
 * Limits:  NAMING_SERVICES_MAX, NAMING_INSTANCES_MAX, NAMING_SUBSCRIPTIONS_MAX,
 *          NAMING_CLIENT_PUBLISH_MAX: admit refuses beyond (E_LIMIT).
 */
#ifndef NACRE_NAMING_STATE_H
#define NACRE_NAMING_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/hash.h"
#include "naming/naming.h"
#include "naming/service_value.h"

#include <uthash.h>

/* Most tables here are tiny (what one client publishes, the keys of one service) and there are very
 * many of them. */
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS 4U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 2U

#define NAMING_SERVICES_MAX 1000000
#define NAMING_INSTANCES_MAX 5000000
#define NAMING_SUBSCRIPTIONS_MAX 2000000
#define NAMING_CLIENT_PUBLISH_MAX 100000 /* services one client publishes or subscribes to */
#define SERVICE_REMOVALS_KEPT 16
#define ENTRY_HIDDEN SIZE_MAX

/* One instance as one client publishes it. Several entries of one key (ip, port, cluster) may
 * exist; the newest is visible. */
struct entry {
    struct publication *publication;
    struct instance_slot *slot;
    struct instance *published; /* as the client sent it */
    struct instance *effective; /* shown: with the overlay put over it; published itself when there
                                   is no overlay or it is hidden */
    struct entry *key_older;    /* chain of the same key, newest first */
    struct entry *key_newer;
    struct entry *next; /* the publication's list */
    size_t shown_at;    /* index in service->shown, ENTRY_HIDDEN when hidden by a newer one */
    bool fresh;         /* while its publication is replaced (apply.c): it stays */
    uint32_t mark;      /* while a snapshot is collected or loaded: place in the publication */
};

/* All entries of one key of a service. */
struct instance_slot {
    struct entry *newest;
    struct overlay *overlay;   /* may exist without entries */
    struct entry *mine;        /* while a publication is replaced (apply.c): its entry; else NULL */
    struct pending_part *part; /* while a value is put together (pending_value.c); else NULL */
    UT_hash_handle hh;         /* in service->slots, by "ip port cluster" */
    size_t key_len;
    char key[];
};

/* What an operator set over ip:port:cluster. */
struct overlay {
    bool has_weight;
    bool has_enabled;
    bool enabled;
    double weight;
    struct instance_pair *metadata; /* owned texts */
    size_t metadata_count;
    int64_t unused_since_ms; /* wall time since no entry uses it; 0: in use */
};

/* What one client publishes for one service. */
struct publication {
    struct client *client;
    struct service *service;
    struct entry *entries;
    size_t count;
    bool batch;
    bool is_leaving; /* this node's own: its client has asked for its end */
    uint32_t mark;   /* while a snapshot is collected: place in the service */
    int64_t time_ms; /* of the operation */
    struct publication *service_prev, *service_next; /* service->publications */
    UT_hash_handle hh; /* in client->publications, by service pointer */
    /* this node's own: an HTTP client's life (beat.h) */
    struct deadline beat;
    uint64_t beat_ms;  /* monotonic time of the last beat; of a client that another node watches:
                          when this one last tried to take it over */
    int beat_proposed; /* enum beat_proposed: what is on its way through the log (beat.c) */
    struct pending_piece *piece; /* while a value is put together (pending_value.c); else NULL */
    uint64_t
        told_turn; /* its client's owner hears of a beat at the end of this turn (beat_peer.c) */
};

/* A removal that is remembered with its reason. */
struct removal {
    int64_t time_ms;
    enum removal_reason reason;
    char what[96];   /* ip:port#cluster, cut */
    char client[96]; /* client id, cut */
};

struct service {
    /* replicated */
    char *texts; /* one block: namespace, group, name, grouped */
    struct service_name name;
    struct span grouped;
    bool exists;    /* listed: registered or explicitly created; false: only subscribed to */
    bool ephemeral; /* fixed while it exists */
    bool has_record;
    double protect_threshold;
    struct instance_pair *metadata;
    size_t metadata_count;
    char *selector;              /* JSON text or NULL */
    struct instance_slot *slots; /* uthash */
    size_t overlay_count;        /* slots that have an overlay: the cleaner looks only there */
    struct entry **shown;        /* visible entries */
    size_t shown_count, shown_cap;
    size_t healthy_count; /* of shown */
    struct publication *publications;
    size_t publication_count;
    uint64_t revision;        /* changes so far */
    int64_t updated_ms;       /* wall time of the last change */
    struct removal *removals; /* ring of up to SERVICE_REMOVALS_KEPT, the newest at (removals_count
                                 - 1) % it; it grows as it fills, NULL when there were none */
    unsigned removals_count;  /* all of them, forgotten ones too */
    UT_hash_handle hh;        /* in naming->services, by view key */
    size_t key_len;
    char *key;
    uint64_t key_digest; /* naming_piece_key */
    uint64_t *digest;    /* the registry's, for its pieces */
    /* this node's own */
    bool stale;   /* the view has no current value */
    bool touched; /* in the current changes list */
    struct service *touched_next;
    struct subscription *subscribers; /* list */
    size_t subscriber_count;
    struct push_state *push; /* push.h; NULL until the first subscriber */
    size_t restores;         /* publications that are to be put back: until then it is not pushed */
    struct service_pending *pending; /* pending.h; NULL: nothing of it is */
    struct group_names *group;       /* of a visible one */
    size_t group_at;                 /* index in group->list */
};

struct client {
    /* replicated */
    char *id;
    size_t id_len;
    enum client_kind kind;
    uint32_t mark; /* while a snapshot is collected or loaded: place among the clients */
    struct publication *publications; /* uthash by service pointer */
    size_t publication_count;
    int64_t updated_ms;
    uint64_t owner;    /* the node of its last publication, which watches it; 0: persistent, of a
                          server that was alone, or it publishes nothing */
    UT_hash_handle hh; /* in naming->clients, by id */
    /* this node's own: a connection attached to it */
    uint64_t conn; /* key, 0: none here */
    bool proposed; /* a publication was proposed at least once: its end goes through the log */
    bool gone;     /* ClientGone is proposed; conn stays attached until it is applied */
    enum removal_reason gone_reason;
    struct deadline gone_due; /* ClientGone is proposed: first when the client of an earlier life
                                 did not come back, again when it was lost on its way */
    char *app, *agent, *ip;
    struct subscription *subscriptions; /* uthash by service pointer */
    size_t subscription_count;
    UT_hash_handle hh_conn; /* in naming->by_conn, by conn */
};

/* The visible services of one (namespace, group), for lists: names sorted when somebody asks. */
struct group_names {
    struct service **list;
    size_t count, cap;
    bool sorted;
    UT_hash_handle hh; /* in naming->groups */
    size_t key_len;
    char key[];
};

/* What is put back after this node was given up: restore.h. */
struct restores {
    struct restore *table; /* uthash */
    struct restore *at;    /* the next one to propose; NULL: all are on their way, or wait */
    uint64_t fence;        /* number of the last fence */
    bool is_fenced;        /* it is on its way */
    uint64_t due_ms;       /* when what is on its way is proposed again; DEADLINE_NONE */
    uint64_t hold_ms;      /* until when subscribers are not told; DEADLINE_NONE: nobody waits */
};

struct naming {
    struct naming_options options;
    struct view *view;
    struct service *services; /* uthash by key */
    struct client *clients;   /* uthash by id */
    struct client *by_conn;   /* uthash by conn */
    struct group_names *groups;
    struct naming_counters counters;
    size_t service_count;  /* that exist */
    size_t instance_count; /* entries of all publications, hidden ones too */
    size_t subscription_count;
    size_t client_counts[4];  /* clients by enum client_kind */
    uint64_t digest;          /* naming_digest.h */
    struct service *clean_at; /* cleaner's cursor; moved on when its service is freed */
    uint64_t clean_next_ms;
    struct deadlines pushes; /* push.h */
    struct deadlines acks;
    struct deadlines beats;     /* beat.h */
    struct deadlines gones;     /* naming.c: ClientGone on its way, and clients that are awaited */
    bool is_replaying;          /* the log hands out what earlier lives committed */
    uint64_t replayed;          /* operations so far */
    uint64_t clean_from_ms;     /* monotonic: nothing is older than since then for the cleaner */
    uint64_t request_id;        /* last one drawn for a push */
    struct ack_wait *ack_waits; /* push.h */
    struct peer_beats *peers;   /* beat_peer.h; by number, NAMING_PEERS_MAX of them */
    size_t peer_count;
    uint64_t lost[NAMING_LOST_MAX]; /* nodes, as far as this one knows */
    size_t lost_count;
    struct restores restores; /* restore.h */
    struct pending *pending;  /* pending.h; NULL: nothing is */
    uint64_t turn;            /* counts naming_turn_end: a value is built at most once a turn */
};

/* An operation that the log lost is proposed again after this. On a server that is alone the log
 * answers or drops it within a turn; among several it waits for a quorum as long as it takes, and
 * repetitions would only pile up before it. */
#define NAMING_RETRY_ALONE_MS 5000
#define NAMING_RETRY_MS 60000
static inline uint64_t naming_retry_ms(const struct naming *n)
{
    return n->options.self == 0 ? NAMING_RETRY_ALONE_MS : NAMING_RETRY_MS;
}

/* Find by name; NULL when unknown (a service that is only subscribed to is found; look at
 * exists). */
struct service *service_find(struct naming *n, const struct service_name *name);

/* Find or make one that does not exist yet in the listed sense. */
struct service *service_obtain(struct naming *n, const struct service_name *name);

/* Free it when nothing holds it: no record, no publication, no subscriber, not existing. Returns
 * true when freed. */
bool service_release(struct naming *n, struct service *s);

/* The service appears in lists from now on, with this kind. Puts it into its group's names. It does
 * not exist yet. */
void service_set_exists(struct naming *n, struct service *s, bool ephemeral);

/* It appears no more, and its replicated half is as if it had never existed (record, overlays,
 * removals); its view entry goes. Nobody publishes it. */
void service_set_gone(struct naming *n, struct service *s);

/* It stands in its group's names from now on, or no more (service_group.c). */
void service_enlist(struct naming *n, struct service *s);
void service_delist(struct naming *n, struct service *s);

/* Check the groups; returns how many services they have. Part of naming_check. */
size_t service_groups_check(const struct naming *n);

/* The refusal of a registration of the other kind than its service, in Nacos's words, trailing
 * blank too (E_INVALID). */
int service_refuse_kind(const struct service *s, bool ephemeral, bool batch, struct fail *fail);

/* Show e, the newest of its key, behind all others. */
void service_show(struct service *s, struct entry *e);

/* The slot of ip:port in cluster; NULL when there is none. O(1). */
struct instance_slot *instance_slot_find(const struct service *s, struct span ip, uint16_t port,
                                         struct span cluster);

/* Find or make; an address that passed name_check_instance. */
struct instance_slot *instance_slot_obtain(struct service *s, struct span ip, uint16_t port,
                                           struct span cluster);

/* Free it when it has neither entry nor overlay. */
void instance_slot_release(struct service *s, struct instance_slot *slot);

/* The address of a slot; spans are borrowed from it. */
void instance_slot_address(const struct instance_slot *slot, struct span *ret_ip,
                           uint16_t *ret_port, struct span *ret_cluster);

/* Sorted names of a group; *ret_count of them, borrowed until the next change. NULL and 0 when
 * there is none. */
struct service *const *service_group_sorted(struct naming *n, struct span namespace_id,
                                            struct span group, size_t *ret_count);

/* Find by id; NULL when unknown. */
struct client *client_find(struct naming *n, struct span id);

/* Find or make. kind counts when it is made; one that is found keeps its own. */
struct client *client_obtain(struct naming *n, struct span id, enum client_kind kind);

/* This node watches it: it is the owner, or there is none (this server is or was alone). */
bool client_is_watched(const struct naming *n, const struct client *c);

/* Find the client of a connection; NULL when unknown. */
struct client *client_of_conn(struct naming *n, uint64_t conn);

/* Free it when it publishes nothing, subscribes to nothing and no connection is attached. Returns
 * true when freed. */
bool client_release(struct naming *n, struct client *c);

/* What the client publishes for the service; NULL when nothing. */
struct publication *publication_find(const struct client *c, const struct service *s);

/* A connection client that this node watches and whose connection is not here, so it is of an
 * earlier life: it is kept for restart_grace_ms and then ends. */
void naming_await(struct naming *n, struct client *c, struct now now);

/* This node's own half of what was recovered: connection clients that it watches and that are not
 * here are awaited, beats of HTTP clients expected, services shown in the view, subscribers pushed.
 * Adds to ret's clients. */
void naming_watch(struct naming *n, struct now now, struct naming_recovery *ret);

/* Take away the replicated half of everything, and clients that nothing else holds. Services stay
 * in the table, not existing, and the view as it is: a snapshot that is loaded puts both right. */
void naming_forget(struct naming *n);

/* Free every service and client. The node's own halves (subscriptions, attached connections) are
 * gone before; pushes and beats are given back through push_state_free and beat_forget. */
void naming_clear(struct naming *n);

/* naming_owner_lost says so. */
bool naming_owner_is_lost(const struct naming *n, uint64_t owner);

/* Check every invariant (counts, chains, hashes); aborts on a violation. Tests and simulation. */
void naming_check(const struct naming *n);

#endif
