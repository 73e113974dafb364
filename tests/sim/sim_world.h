/* A cluster of drivers on played disks and a played network, in virtual milliseconds, and what must
 * always hold in it.
 *
 * Thread:  one.
 * Seed:    everything random comes from it; the same seed gives the same run on every machine.
 * Failure: sim_fail prints the seed and the time and exits.
 */
#ifndef NACRE_TESTS_SIM_WORLD_H
#define NACRE_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "consensus/raft_driver.h"
#include "consensus/raft_member.h"
#include "consensus/raft_memory.h"
#include "consensus/raft_peers.h"

#define SIM_NODES_MAX 5
#define SIM_ENTRIES_MAX 400000
#define SIM_TERMS_MAX 4096

/* One entry as the first node to apply it saw it, and the digest of the state after it. */
struct sim_chosen {
    uint64_t term;
    uint64_t value;
    uint64_t digest;
};

struct sim_submitted {
    uint64_t index;
    uint64_t term;
    uint64_t value;
};

#define SIM_SUBMITTED_MAX 4096
#define SIM_IDS                                                                                    \
    8 /* id - 1 modulo this is the place; one that was wiped comes back as id + this               \
       */

struct sim_node {
    struct sim_world *world;
    uint64_t id;
    char address[16];
    struct raft_memory *disk;
    struct raft_driver *driver; /* NULL: the node is down */
    struct raft_peers *peers;   /* NULL: messages are not bytes */
    struct raft_member member;
    uint64_t applied;
    uint64_t digest;
    uint64_t up_at_ms;
    uint64_t snapshot_at_ms; /* when the one being built is done; 0: none */
    uint64_t snapshot[8];
    struct sim_submitted submitted[SIM_SUBMITTED_MAX];
    unsigned submitted_count;
};

struct sim_mail {
    struct sim_mail *next;
    uint64_t due_ms;
    uint64_t from;
    uint64_t to;
    struct raft_message message;
    struct buf *bytes; /* NULL: message */
};

/* How bad the world is now. */
struct sim_weather {
    unsigned loss_percent;
    unsigned duplicate_percent;
    unsigned latency_max_ms;
    bool is_unordered;
    bool is_cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* from, to */
};

struct sim_world {
    uint64_t seed;
    uint64_t random;
    uint64_t now_ms;
    unsigned count;
    unsigned voters;  /* the first of the nodes are the first configuration */
    bool is_churning; /* members come and go, and messages are bytes */
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_mail *mail;
    struct sim_weather weather;
    struct sim_chosen *chosen; /* by index */
    uint64_t leader_of[SIM_TERMS_MAX];
    uint64_t vote_of[SIM_NODES_MAX][SIM_TERMS_MAX];
    uint64_t chosen_last;
    uint64_t acked_last; /* highest index that a client was told */
    uint64_t acked;
    uint64_t next_value;
    unsigned crashes;
    unsigned restores;
    unsigned snapshots;
    unsigned changes; /* of members that were begun */
    unsigned wipes;
};

/* Print why, with seed and time, and exit 1. */
NORETURN void sim_fail(struct sim_world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A number below n; n > 0. */
uint64_t sim_random(struct sim_world *w, uint64_t n);

/* Nodes that have never run, all of them voters, all up. With churn there are SIM_NODES_MAX, and
 * the others wait to be taken in. */
void sim_init(struct sim_world *w, uint64_t seed, unsigned voters, bool is_churning);
void sim_close(struct sim_world *w);

/* A node stops as a machine does, and comes back. */
void sim_crash(struct sim_node *n);
void sim_boot(struct sim_node *n);

/* One millisecond of everything. */
void sim_step(struct sim_world *w);

/* A client's write to whoever leads, if any does. */
void sim_submit(struct sim_world *w);

/* A change of members, asked of whoever leads, if any does. A node that is none may also lose its
 * disk and come back as another one. */
void sim_churn(struct sim_world *w);

/* Whether the node is a member, as the one that leads sees it. */
bool sim_is_member(struct sim_world *w, const struct sim_node *n);

/* A node that leads, or NULL. */
struct sim_node *sim_leader(struct sim_world *w);

/* Let bad things begin or end, as the seed has it (sim_faults.c). */
void sim_disturb(struct sim_world *w);

/* All bad things end, and everybody is up. */
void sim_heal(struct sim_world *w);

#endif
