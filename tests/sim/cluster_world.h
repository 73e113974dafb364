/* Whole cores in one process and one thread: N nodes with their logs, tables, registries and
 * configs, the links between them, and clients, in virtual time.
 *
 * world.c: time, chance, events, what happened. net.c: links (streams that break). node.c: nodes
 * that start, stop, crash, and their disks. weather.c: what goes wrong, by chance; script.c: as a
 * text says. call.c: requests as an edge makes them. naming.c, config.c: clients and what they
 * believe. check.c: what must hold; break.c: what makes it fail.
 *
 * Thread:  one (THREAD_CORE).
 * Seed:    everything random comes from it: the same seed gives the same run, on every machine.
 * Failure: world_fail prints the seed and the last events, and exits.
 */
#ifndef NACRE_TESTS_SIM_CLUSTER_WORLD_H
#define NACRE_TESTS_SIM_CLUSTER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/span.h"
#include "cluster/members.h"
#include "consensus/raft_memory.h"
#include "node/core.h"
#include "node/peer_net.h"
#include "node/peering.h"

#define NODES_MAX 5
#define TRAIL_LINES 120 /* of what happened last */
#define TRAIL_WIDTH 200
#define TERMS_MAX 8192
#define ENTRIES_MAX 65536
#define KEYS_MAX 6     /* configs */
#define SERVICES_MAX 3 /* of the registry */
#define NAMING_MAX 8   /* clients */
#define CONFIG_MAX 6

struct world;
struct node;

/* Something that happens at its time. */
typedef void (*event_fn)(struct world *w, void *arg, uint64_t number);

struct event {
    uint64_t due_ms;
    uint64_t order; /* among those of one time: first made, first run */
    event_fn fn;
    void *arg;
    uint64_t number;
};

/* ---------------------------------------------------------------- links (net.c) */

struct frame {
    struct frame *next;
    uint64_t due_ms;
    unsigned kind;
    struct buf *bytes;
};

enum link_state { LINK_NONE, LINK_DIALING, LINK_UP };

/* A node's outgoing stream to a listed member. */
struct link {
    enum link_state state;
    char host[64];
    uint16_t port;
    int to; /* place of the node at that address; -1: nobody */
    struct node_id pin;
    struct node_id learned;
    struct node_id id; /* who is at the other end */
    uint64_t boot;     /* which life of it */
    uint64_t number;
    uint64_t due_ms;     /* when the dial ends */
    uint64_t stalled_ms; /* nothing gets through since; 0: it does */
    uint64_t patience_ms;
    uint64_t last_due_ms; /* frames stay in order */
    unsigned backoff_ms;
    struct frame *head;
    struct frame *tail;
};

struct net {
    struct links_options options;
    bool is_running;
    struct link links[LINKS_MEMBERS_MAX];
    struct node_id pins[LINKS_MEMBERS_MAX];
    unsigned pins_count;
    struct links_counters counters;
};

/* ---------------------------------------------------------------- nodes (node.c) */

struct node {
    struct world *w;
    unsigned place;
    unsigned identity; /* which key it has: another one after it was wiped */
    struct node_id id;
    char dir[128];
    struct raft_memory *disk;
    struct core *core;  /* NULL: down */
    uint64_t boot;      /* which life; of all nodes' lives */
    uint64_t up_ms;     /* when it comes back */
    uint64_t paused_ms; /* until then its threads stand still */
    uint64_t doubt_ms;  /* until then what it knows may be old: it was cut off, paused or down */
    int64_t drift_ppm;
    int64_t wall_offset_ms;
    uint64_t next_ms;  /* when core wants a turn */
    uint64_t db_ms[2]; /* when the next read, write is done; 0: none waits */
    unsigned db_delay_ms;
    bool is_ready;
    bool is_dead; /* its process ended itself in this turn: why */
    bool wants_restart;
    struct fail why;
    struct net net;
    struct call *stalled; /* arrived while it stands still, in that order (cluster_call.c) */
    uint64_t degraded;    /* reads that it had answered without a lease before this turn */
    /* of the entry that is being applied */
    uint64_t entry_index;
    uint64_t entry_digest;
};

/* What the first node that got there saw. */
struct entry_seen {
    uint64_t boot;   /* whose life that was */
    uint64_t digest; /* of its operations; 0: nobody has gone further yet */
    uint64_t state;  /* of all that it was applied to */
};

/* ---------------------------------------------------------------- clients */

struct call;

struct client_conn {
    bool is_config;    /* of w->config, else of w->naming */
    unsigned client;   /* its place there */
    struct peer *peer; /* NULL: none */
    unsigned place;
    uint64_t boot;
    uint64_t tries;
    bool is_up;           /* accepted */
    bool is_kept;         /* its client lives: a connection that ends is opened again */
    uint64_t last_due_ms; /* pushes stay in order */
};

/* What came back of a call. text is borrowed. */
struct result {
    int err;
    const char *text;
    uint64_t boot;    /* the life of the node that answered; 0: none did */
    bool is_degraded; /* in a turn in which it answered reads without a lease */
};

typedef void (*result_fn)(struct world *w, void *arg, uint64_t number, const struct result *r);

struct naming_client {
    struct client_conn conn;
    unsigned place; /* in w->naming, and in its instances' addresses */
    bool is_alive;
    bool wants[SERVICES_MAX];
    uint64_t known_conn[SERVICES_MAX]; /* the connection on which that was answered; 0: not */
    bool known[SERVICES_MAX];
    bool is_unsure[SERVICES_MAX]; /* an answer never came, or a failure: it is said again */
    uint64_t known_ms[SERVICES_MAX];
    uint64_t flight[SERVICES_MAX]; /* number of the call that is out; 0: none */
    bool subscribes[SERVICES_MAX];
    uint64_t subscribed_conn[SERVICES_MAX];
    uint64_t subscribe_flight[SERVICES_MAX];
    unsigned list[SERVICES_MAX]; /* bit per client whose instance is in it */
    uint64_t stamp[SERVICES_MAX];
};

struct config_client {
    struct client_conn conn;
    unsigned place;
    uint64_t flight; /* number of the write or read that is out */
    size_t flight_op;
    uint64_t flight_ms;
    bool listens;
    bool is_dirty;
    uint64_t listen_flight;
    char md5[KEYS_MAX][33];
    uint64_t value[KEYS_MAX]; /* 0: none */
    unsigned fetch;           /* bit per key that has to be read again */
};

/* An operation on a config as its client saw it. */
struct config_op_seen {
    unsigned key;
    bool is_write;
    bool is_done;     /* answered with success */
    bool is_degraded; /* maybe without a lease: it may be old */
    unsigned node;
    uint64_t boot;  /* the life of that node */
    uint64_t value; /* written, or read; 0: removed, not there */
    uint64_t begin_ms;
    uint64_t end_ms; /* UINT64_MAX: never answered */
    uint64_t order;  /* for writes: its place in the log; 0: not there */
};

/* Every write of a key in the log's order. */
struct key_history {
    uint64_t *values;
    size_t count;
    size_t cap;
};

/* ---------------------------------------------------------------- the world */

struct weather {
    unsigned latency_min_ms;
    unsigned latency_max_ms;
    unsigned loss_percent;             /* of frames that are sent again, 200 ms later */
    bool is_cut[NODES_MAX][NODES_MAX]; /* from, to */
};

/* What the simulator itself falsifies, to show that its checks can fail (break.c). */
enum falsehood {
    TRUTH,
    FALSE_LEADER,  /* a follower says that it leads as well */
    FALSE_ENTRY,   /* a node applies something else */
    FALSE_STATE,   /* a node's digest is another */
    FALSE_LOG,     /* it never had what was written */
    FALSE_READ,    /* the first value that ever was */
    FALSE_CLIENT,  /* it lives, as nobody knows */
    FALSE_DEATH,   /* it is dead, and its connection is open */
    FALSE_PUSH,    /* an empty list */
    FALSE_SILENCE, /* notices of changes are lost */
};

struct world {
    uint64_t seed;
    enum falsehood falsehood;
    uint64_t random;
    uint64_t now_ms;
    unsigned count;
    struct member_list list;
    struct node nodes[NODES_MAX];
    struct weather weather;
    bool is_calm;
    uint64_t healed_ms;   /* whatever begins from then on succeeds; 0: not yet */
    bool is_quiet;        /* nobody writes any more */
    bool is_closing;      /* nothing begins any more */
    struct event *events; /* a heap */
    size_t events_count;
    size_t events_cap;
    uint64_t order;
    uint64_t boots;
    uint64_t numbers; /* calls, connections, values: each gets one */
    struct call *calls;
    struct naming_client naming[NAMING_MAX];
    struct config_client config[CONFIG_MAX];
    unsigned naming_count;
    unsigned config_count;
    unsigned keys;
    struct config_op_seen *ops;
    size_t ops_count;
    size_t ops_cap;
    struct key_history keys_seen[KEYS_MAX];
    struct entry_seen *entries;
    uint64_t leader_of[TERMS_MAX];
    char (*trail)[TRAIL_WIDTH];
    uint64_t trail_count;
    bool is_loud;
    /* figures */
    uint64_t steps, calls_made, writes_done, reads_done, reads_degraded, crashes, pushes;
    uint64_t hash; /* of everything that happened: a replay has the same */
};

/* Print why, with the seed and the last events, and exit 1. */
NORETURN void world_fail(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Remember what happened. */
void world_note(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A number below n; n > 0. */
uint64_t world_random(struct world *w, uint64_t n);
bool world_chance(struct world *w, unsigned percent);

/* Call fn after so many ms. */
void world_after(struct world *w, uint64_t ms, event_fn fn, void *arg, uint64_t number);

/* The bytes of a body as one buffer; takes the body. */
struct buf *world_flatten(struct body *take_body);

/* A number that nothing else has. */
uint64_t world_number(struct world *w);

/* Nodes that have never run, all up, and their clients. dir: for tables. */
void world_open(struct world *w, uint64_t seed, const char *dir);
void world_close(struct world *w);

/* Let time pass. */
void world_run(struct world *w, uint64_t until_ms);

/* ---------------------------------------------------------------- net.c */

/* For peering_options.net of the node. */
extern const struct peer_net_ops net_ops;
int net_create(void *self, const struct links_options *options, struct peer_net *ret,
               struct fail *fail);

/* Deliver, dial, break. */
void net_run(struct world *w);

/* When net_run has to do something next. */
uint64_t net_next(const struct world *w);

/* Break one stream. */
void net_break(struct node *from, struct link *l, const char *why);

/* ---------------------------------------------------------------- node.c */

void node_init(struct world *w, unsigned place, const char *dir);
void node_close(struct node *n);
void node_boot(struct node *n);
void node_crash(struct node *n);

/* Its own clock. */
struct now node_now(const struct node *n);

/* Turns, disks, databases that are due. */
void node_run(struct node *n);
uint64_t node_next(const struct node *n);

/* The one that leads in the newest term; NULL: none. */
struct node *world_leader(struct world *w);

/* ---------------------------------------------------------------- weather.c */

void weather_begin(struct world *w);
void weather_calm(struct world *w);

/* What the node knows may be old from now on, until a while after so many ms. */
void weather_doubt(struct node *n, uint64_t for_ms);

/* One thing each: of a node that crashes and comes back, or stands still; of all links, all disks.
 */
void weather_crash(struct node *n, uint64_t down_ms);
void weather_pause(struct node *n, uint64_t ms);
void weather_join(struct world *w);
void weather_mend(struct world *w);

/* It is calm, and no node stands still any more. */
bool weather_is_over(const struct world *w);

/* ---------------------------------------------------------------- script.c */

/* What is told in a scenario happens from now on, in its time; scenarios says how it is told. Exits
 * 2 when the file has no such name. The script is to be freed after the world is closed. */
struct script;
struct script *script_read(const char *path, const char *name);
uint64_t script_seed(const struct script *s);
void script_begin(struct world *w, struct script *s);
bool script_is_over(const struct script *s);
void script_free(struct script *s);

/* ---------------------------------------------------------------- call.c */

/* A request of type with a JSON body arrives at the node after a while; what comes of it is told to
 * fn, once. conn may be NULL. Returns the call's number. */
uint64_t call_send(struct world *w, unsigned place, struct client_conn *conn, const char *type,
                   const char *json, result_fn fn, void *arg);

/* What the node answers to a read of naming at this moment; to be released. */
MUST_USE struct buf *call_now(struct world *w, unsigned place, const char *type, const char *json);

/* ---------------------------------------------------------------- conn.c */

/* Keep a connection to some node from now on, or end it for good. */
void conn_keep(struct world *w, struct client_conn *c);
void conn_end(struct world *w, struct client_conn *c);

/* End this one and open another, elsewhere. */
void conn_again(struct world *w, struct client_conn *c);

/* 0: not connected. */
uint64_t conn_key(const struct client_conn *c);

/* The edge of a node. */
void edge_perform(void *self, struct effect *e);

/* A node is gone with all its connections. */
void conn_node_down(struct world *w, unsigned place);

/* Ms from a client to a node. */
uint64_t client_latency(struct world *w);

/* ---------------------------------------------------------------- naming.c, config.c */

void naming_begin(struct world *w);
void naming_on_push(struct world *w, struct naming_client *c, const char *type, const char *text);
void config_begin(struct world *w);
void config_on_push(struct world *w, struct config_client *c, const char *type, const char *text);

/* What a client does when its connection is accepted, or gone. */
void naming_on_up(struct world *w, struct naming_client *c);
void config_on_up(struct world *w, struct config_client *c);

/* The log takes an operation, for the first time anywhere. */
void naming_on_apply(struct world *w, uint64_t index, struct span op);
void config_on_apply(struct world *w, struct span op);

/* Bit per client whose instance is in the list. */
unsigned naming_hosts(const char *text);

/* Number n of a text like "key":"n" or "key":n behind at; 0 when it is not there. */
uint64_t json_number(const char *text, const char *key);

/* ---------------------------------------------------------------- break.c */

/* The falsehood of that name; exits 2 when there is none. */
enum falsehood break_named(const char *name);

/* What clients believe is falsified: for those that need calm. */
void break_beliefs(struct world *w);

/* ---------------------------------------------------------------- check.c */

/* After a node's turn. */
void check_turn(struct node *n);

/* It has answered a read without a lease in this turn. */
bool check_is_degraded(const struct node *n);

/* What a node is about to apply. */
void check_apply(void *self, uint64_t index, enum consensus_kind kind, struct span op);

/* Everything is as it must be after a calm: NULL, or what is not yet. */
const char *check_calm(struct world *w);

/* Config histories. */
void check_history(struct world *w);

#endif
