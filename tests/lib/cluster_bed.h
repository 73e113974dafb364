/* Several logs on real files, on one loop, joined by a wire in memory that loses and cuts; each
 * owner remembers what it was told, and the bed what was acknowledged.
 *
 * Thread:  core.
 * Owns:    the loop and the directories, which cluster_bed_close removes.
 * Time:    real; nothing waits longer than CLUSTER_PATIENCE_MS.
 */
#ifndef NACRE_TESTS_CLUSTER_BED_H
#define NACRE_TESTS_CLUSTER_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "consensus/consensus.h"

#define CLUSTER_NODES_MAX 5
#define CLUSTER_VALUES_MAX (1u << 20)
#define CLUSTER_PATIENCE_MS 20000
#define CLUSTER_COMPANION_BYTES ((3u << 20) + 5) /* goes with each snapshot */

struct cluster_bed;

struct cluster_node {
    struct cluster_bed *bed;
    uint64_t id; /* its place + 1 */
    char address[32];
    char dir[160];
    struct consensus_raft_options options;
    struct consensus_wire wire;
    struct consensus *log; /* NULL: it is down */
    uint64_t *values;      /* the state: first 8 bytes of each operation */
    unsigned count;
    unsigned loads;
    char companion_out[176], companion_in[176];
    unsigned companions; /* found whole at a load */
    unsigned fatals;
    uint64_t leader_id; /* as on_leader said */
    uint64_t leader_term;
    unsigned leader_calls;
    struct fail last;
};

struct cluster_mail {
    struct cluster_mail *next;
    uint64_t from;
    uint64_t to;
    struct buf *message;
};

struct cluster_bed {
    uv_loop_t loop;
    uv_timer_t timer;
    char dir[128];
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    unsigned count;
    struct cluster_mail *mail;
    struct cluster_mail **mail_tail;
    unsigned loss_percent;
    bool is_cut[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX]; /* from, to */
    uint64_t random;
    size_t op_len;     /* of each operation written; at least 8 */
    size_t pad_len;    /* of a snapshot beside the values: it is this much larger */
    uint64_t messages; /* sent */
    size_t largest;    /* message */
    uint64_t next_value;
    bool *is_acked; /* by value */
    unsigned acked;
    unsigned rejected;
    unsigned under_way;
};

/* n nodes that are each other's cluster at first, none running. More nodes, up to
 * CLUSTER_NODES_MAX, may be started with options.is_joining. */
void cluster_bed_init(struct cluster_bed *b, unsigned n);
void cluster_bed_close(struct cluster_bed *b);

/* Start node i, stop it in order, stop it as kill -9 does: its directory is as it was in the middle
 * of its life. */
void cluster_bed_start(struct cluster_bed *b, unsigned i);
void cluster_bed_stop(struct cluster_bed *b, unsigned i);
void cluster_bed_kill(struct cluster_bed *b, unsigned i);

/* Cut node i off from all others, or join it again. */
void cluster_bed_cut(struct cluster_bed *b, unsigned i, bool is_cut);

/* The node that leads with the highest term, or NULL. */
struct cluster_node *cluster_bed_leader(struct cluster_bed *b);

/* One round: mail, turns, loop. */
void cluster_bed_step(struct cluster_bed *b);

/* Rounds until the condition holds; false when it does not in time. */
bool cluster_bed_until(struct cluster_bed *b, bool (*condition)(struct cluster_bed *b));

/* Write n values through whoever leads, and wait until all are answered; what is refused is not
 * written again. */
bool cluster_bed_write(struct cluster_bed *b, unsigned n);

/* Wait until every running node that is a member has the same state. */
bool cluster_bed_agree(struct cluster_bed *b);

/* Whether node i has everything that was acknowledged, once. */
bool cluster_bed_has_all(struct cluster_bed *b, unsigned i);

#endif
