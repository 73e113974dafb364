/* The core: the one thread that owns all state, put together from its features.
 *
 * One turn: mails are dispatched, proposals go to the log, what is committed is applied and
 * answered, due pushes leave, effects are performed.
 *
 * Thread:  core_create, core_start, core_stop, core_destroy: main. core_port's post: any thread.
 * The rest as it says. Owns:    the loop, the log, the registry, the connection table, the outbox.
 */
#ifndef NACRE_NODE_CORE_H
#define NACRE_NODE_CORE_H

#include <stdatomic.h>

#include "api/core_mail.h"
#include "api/outbox.h"
#include "base/fail.h"
#include "config/config.h"
#include "conn/conn.h"
#include "consensus/consensus.h"
#include "naming/naming.h"
#include "view/view.h"

struct rpc;
struct db_worker;
struct effects_edge;
struct peering_options;
struct member_list;
struct raft_memory;

/* Simulation: a core without a thread, that its caller steps (core_begin, core_step), with a log on
 * a played disk. Plain data. */
struct core_played {
    struct raft_memory *disk;  /* outlives the core; its time is the core's (raft_memory_run) */
    struct now now;            /* of its beginning */
    unsigned seed;             /* of the log's time-outs; not 0 */
    unsigned trailing_entries; /* that the log keeps before a snapshot; 0: its default */
    /* Every operation that is about to be applied, in the log's order. May be NULL. */
    void (*on_apply)(void *self, uint64_t index, enum consensus_kind kind, struct span op);
    void *self;
};

struct core_options {
    struct naming_options naming;
    struct conn_options conn;
    struct config_options config;
    /* The data directory, for log and tables. NULL: a log in memory and a registry alone, for
     * tests. */
    const char *dir;
    unsigned snapshot_entries;           /* 0: the log's default */
    const struct peering_options *peers; /* NULL: this node is alone */
    const struct core_played *played;    /* NULL: a real one. Borrowed for core_create; with dir */
    /* On core, once: everything of earlier lives is applied. May be NULL. */
    void (*on_ready)(void *self);
    /* The log brought a snapshot that can only be taken over by a start: do it again. On core. */
    void (*on_restart)(void *self);
    /* Log or tables cannot go on: say why and end the process. Any thread. Not NULL with dir. */
    void (*on_fatal)(void *self, const struct fail *why);
    void *self;
};

struct core;

/* Open or make log and tables and load what they hold; what the log has beyond it is applied when
 * the core runs.
 * E_IO  the system gives no loop; otherwise what log or tables say, with the file and the way out
 */
MUST_USE int core_create(const struct core_options *options, struct core **ret_core,
                         struct fail *fail);

/* After core_stop. */
void core_destroy(struct core *c);

/* Begin to run; edge is where pushes and connection effects go (borrowed, may be NULL in tests). */
MUST_USE int core_start(struct core *c, struct rpc *edge, struct fail *fail);

/* A played core: begin, as core_start does. core_stop is its end, too: what is under way on its
 * disk is lost as in a crash. The calling thread is core from core_create on. */
MUST_USE int core_begin(struct core *c, const struct effects_edge *edge, struct fail *fail);

/* One turn of a played core. */
void core_step(struct core *c, struct now now);

/* When a played core wants its next turn (monotonic ms): 0 at once, UINT64_MAX never. */
uint64_t core_due(struct core *c);

/* Tell every client to go elsewhere (ConnectResetRequest) and wait until that has been handed to
 * the edge, so that it goes out before the streams end; with other nodes, hand leadership over and
 * wait until clients have moved, too (node/leaving.h). Main. At most a second longer than that. */
void core_say_goodbye(struct core *c);

/* The list of members has changed; copied. Main, any time after core_create.
 * E_UNSUPPORTED  a core without peers: it would have to start again */
MUST_USE int core_set_members(struct core *c, const struct member_list *list);

/* Leave the loop after the current turn and join the thread. */
void core_stop(struct core *c);

/* For the edges. */
struct core_port core_port(struct core *c);

/* The parts, borrowed until core_destroy: the view for any thread, the others for the core thread
 * (before core_start: for main). */
struct view *core_view(struct core *c);
struct naming *core_naming(struct core *c);
const struct conn_table *core_conns(struct core *c);
struct consensus_state core_log_state(const struct core *c);
/* Clients are being sent away, or were. Core. */
bool core_is_leaving(const struct core *c);
struct peering;
struct door_way;
/* For the front door, after core_start; NULL: there are no peers, or no door. */
struct door_way *core_peer_way(struct core *c);
/* NULL: a node alone. */
const struct peering *core_peering(const struct core *c);
/* NULL without core_options.dir. */
struct config *core_config(struct core *c);
struct config_edge *core_config_edge(struct core *c);
struct namespaces;
struct namespaces *core_namespaces(struct core *c);
struct table_writer;
struct table_writer *core_tables(struct core *c);
/* For db_worker_step of a played core. NULL without core_options.dir. */
struct db_worker *core_db_worker(struct core *c);

#endif
