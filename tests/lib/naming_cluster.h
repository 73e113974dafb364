/* Several registries over one log, in one thread: each node's proposals become entries with its
 * number as their owner, every node applies them in the same order, frames go from one to another.
 *
 * Thread:  the test's; it is THREAD_CORE of all of them.
 * Checks:  those of the stories, and after each turn that nodes that applied the same entries have
 *          the same snapshot.
 */
#ifndef NACRE_TESTS_NAMING_CLUSTER_H
#define NACRE_TESTS_NAMING_CLUSTER_H

#include "naming_harness.h"

#define CLUSTER_NODES 3

/* An operation, or the end of an owner (op is NULL). */
struct cluster_entry {
    struct buf *op;
    uint64_t owner;
    int64_t time_ms;
    size_t origin;
    struct api_call *waiting;
    uint64_t shown; /* its number when its origin shows it; 0 */
};

struct cluster {
    struct story node[CLUSTER_NODES];
    bool is_behind[CLUSTER_NODES]; /* applies nothing until it is false again */
    bool is_silent[CLUSTER_NODES]; /* what it proposes does not reach the log, but waits */
    bool is_cut[CLUSTER_NODES];    /* frames to it are lost */
    bool shows[CLUSTER_NODES];     /* what it proposes is shown before it is applied */
    uint64_t last_shown;
    size_t applied[CLUSTER_NODES];
    size_t frames;                 /* delivered or lost so far */
    size_t refused[CLUSTER_NODES]; /* operations that were not shown, with a reason */
    struct cluster_entry *log;
    size_t log_count, log_cap;
};

/* The number of node i. */
uint64_t cluster_number(size_t i);

/* Options but self, which are the nodes' numbers. */
void cluster_begin(struct cluster *c, const struct naming_options *options);
void cluster_end(struct cluster *c);

/* The same, and node 0 is below a quorum: what it proposes is shown, and waits. */
void cluster_begin_below(struct cluster *c);

/* Its quorum is back: nothing is pending any more. */
void cluster_heal(struct cluster *c);

/* Turns of all nodes until nothing happens any more. */
void cluster_turn(struct cluster *c);

/* Let ms pass. */
void cluster_advance(struct cluster *c, uint64_t ms);

/* The cluster_turn, and what became of node i's last call: 0, a code, or 1 while it waits. */
int cluster_result(struct cluster *c, size_t i);

/* The log says that node i is lost. */
void cluster_gone(struct cluster *c, size_t i);

/* Node i dies and begins anew over the log. */
struct naming_recovery cluster_restart(struct cluster *c, size_t i);

/* Node i loads a snapshot of node from, in place of the entries that it did not apply. */
void cluster_install(struct cluster *c, size_t i, size_t from);

/* The owner of a client as node i has it: a node's place, or -1 when there is none. */
int cluster_owner(struct cluster *c, size_t i, const char *client);

#endif
