/* The driver: takes events to libraft's raft_step() and does what its updates ask, in the one order
 * that is safe. It knows entries as bytes, storage and wire as vtables, and no clock of its own, so
 * that a whole cluster of drivers runs in one test.
 *
 * Thread:  one; the loop's, where the storage completes.
 * Owns:    the raft object and the log in memory. Borrows storage and wire until destroyed.
 * Order:   state, term, vote, entries (truncate, then append), snapshot to install, messages,
 * commit. Events that arise meanwhile wait in a queue; the owner is called when it is empty. Pull:
 * what is committed is taken by the owner with raft_driver_next, so nothing of the owner's runs
 * inside a step. Guards:  raft_guard.h, against defects of 0.22.1. Errors:  a storage error or a
 * contradiction in the log is fatal: ops->fatal is called once, and from then on the driver does
 * nothing any more. The process has to end.
 */
#ifndef NACRE_CONSENSUS_RAFT_DRIVER_H
#define NACRE_CONSENSUS_RAFT_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "consensus/raft_lib.h"
#include "consensus/raft_log.h"
#include "consensus/raft_storage.h"
#include "consensus/raft_wire.h"

/* Entries on their way to one follower or to the own disk. */
#define RAFT_TRAILING_BYTES (16u << 20)
#define RAFT_DRIVER_INFLIGHT_MAX 4096
#define RAFT_DRIVER_PEERS_MAX 32
#define RAFT_DRIVER_TICK_MIN_MS 10 /* between two ticks that it asks for */
#define RAFT_DRIVER_GONE_MS 10000  /* a voter unheard of for so long does not hold up a change */

struct raft_driver_ops {
    /* There is something new: call raft_driver_next and look at the state, soon, not from here. */
    void (*wake)(void *self);
    /* The log cannot go on; why is one sentence for the operator. */
    void (*fatal)(void *self, const struct fail *why);
    /* Every event before it is stepped; for tests, may be NULL. */
    void (*trace)(void *self, const struct raft_event *event);
};

/* Plain data, copied. Times in ms. */
struct raft_driver_options {
    uint64_t id;
    const char *address;
    struct raft_storage storage;
    struct raft_wire wire; /* ops NULL: no other nodes */
    uint64_t (*now_ms)(void *self);
    const struct raft_driver_ops *ops;
    void *self; /* of now_ms and ops */
    unsigned seed;
    unsigned election_ms;
    unsigned heartbeat_ms;
    unsigned short capacity_kib_min; /* refuse below it; 0: never */
    unsigned snapshot_entries;       /* take one after so many entries ... */
    uint64_t snapshot_bytes;         /* ... or so many bytes */
    unsigned trailing;               /* entries kept before it, of at most RAFT_TRAILING_BYTES */
};

enum raft_item_kind {
    RAFT_ITEM_COMMAND, /* bytes: what was submitted */
    RAFT_ITEM_OTHER,   /* an entry of libraft's own */
    RAFT_ITEM_BROKEN,  /* an entry whose bytes are not ours: a recorded no-op */
    RAFT_ITEM_RESTORE, /* bytes: a snapshot that replaces all that was applied */
};

/* Plain data; bytes valid until the next call of the driver. */
struct raft_item {
    enum raft_item_kind kind;
    uint64_t index;
    uint64_t term;
    struct span bytes;
};

/* Where the node stands. Plain data. */
struct raft_driver_state {
    enum raft_state role;
    uint64_t term;
    uint64_t leader_id; /* 0: not known */
    uint64_t last_index;
    uint64_t stored_index;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index;
    bool is_replayed; /* what earlier lives of this node knew to be committed is applied; there is
                         some */
    bool is_ready;    /* all that was committed before this term is applied; a follower also is not
                         RAFT_DRIVER_INFLIGHT_MAX entries behind its leader */
    bool is_dead;     /* fatal was called */
};

struct raft_driver;

/* Begin with what the storage loaded (everything in it moves in, also on failure). A snapshot in it
 * is the first thing that raft_driver_next gives.
 * E_IO  what was loaded contradicts itself */
MUST_USE int raft_driver_create(const struct raft_driver_options *options,
                                struct raft_loaded *take_loaded, struct raft_driver **ret,
                                struct fail *fail);

/* The storage has no request of this driver under way any more. */
void raft_driver_destroy(struct raft_driver *d);

/* Let time pass: call at or after raft_driver_deadline, more often does no harm. */
void raft_driver_tick(struct raft_driver *d);

/* Monotonic ms of the next wanted tick. */
uint64_t raft_driver_deadline(const struct raft_driver *d);

/* A message from another node. Its entries (array and block), configuration and snapshot data move
 * in (raft_malloc); the address is copied. */
void raft_driver_receive(struct raft_driver *d, struct raft_message *take_message);

/* Append a command. On success it stands at *ret_index in *ret_term, not committed yet.
 * The block's reference moves in, also on failure.
 * E_NOT_LEADER   E_LIMIT  the majority has no room on its disks, or too much is under way */
MUST_USE int raft_driver_submit(struct raft_driver *d, struct raft_block *take_block,
                                uint64_t *ret_index, uint64_t *ret_term, struct fail *fail);

/* The next committed entry; false when there is none. What it returned before counts as applied. */
bool raft_driver_next(struct raft_driver *d, struct raft_item *ret);

/* Whether a snapshot is due and may be taken now. */
bool raft_driver_wants_snapshot(const struct raft_driver *d);

/* Take one at the applied index: until put or abort, no other is taken or installed. */
void raft_driver_snapshot_begin(struct raft_driver *d);

/* Its bytes are there: n buffers (raft_malloc), which move in with their array. */
void raft_driver_snapshot_put(struct raft_driver *d, struct raft_buffer *take_bufs, unsigned n);

/* There will be none. */
void raft_driver_snapshot_abort(struct raft_driver *d);

/* A node alone lets go of the bytes of applied entries. Before a second node may join it has to
 * keep them: call this, and a snapshot is due at once; raft_driver_change succeeds after it. */
void raft_driver_keep(struct raft_driver *d);

/* Whether the bytes of all entries since the last snapshot are there, so that others can have them:
 * always, but on a node that was alone until raft_driver_keep. */
bool raft_driver_has_all(const struct raft_driver *d);

/* A leader that committed nothing in its term yet may not change the members: another one's change
 * may still stand somewhere, and the two would have quorums that do not meet. libraft writes a
 * no-op at the start of a term only when something is not committed. Settle writes it else;
 * harmless when repeated, or on another node than the leader. */
bool raft_driver_is_settled(const struct raft_driver *d);
void raft_driver_settle(struct raft_driver *d);

/* Change the members by one server, or one role. One at a time, and only while every voter knows
 * the last change and is near the log's end: hurried changes can leave a cluster without a leader.
 * Exempt is a voter that leaves, or was not heard of for RAFT_DRIVER_GONE_MS while this node led:
 * a dead one could not be replaced else.
 * E_NOT_LEADER   E_CONFLICT  another change is not finished, or raft_driver_keep or settle not yet,
 *   with what is missing */
MUST_USE int raft_driver_change(struct raft_driver *d, const struct raft_configuration *conf,
                                struct fail *fail);

/* A server that is no voter: send it the log (start), or stop that. libraft refuses changes while
 * it runs. On the leader only; others are ignored. */
void raft_driver_catch_up(struct raft_driver *d, uint64_t id);
void raft_driver_catch_up_stop(struct raft_driver *d);

/* How far that is: RAFT_CATCH_UP_NONE ... ; FINISHED also when it has all of the log. NONE when it
 * is not a member or this node does not lead. */
int raft_driver_catch_up_state(const struct raft_driver *d, uint64_t id);

/* What a member has for sure; 0 when this node does not lead. */
uint64_t raft_driver_match(const struct raft_driver *d, uint64_t id);

/* Ms since the last message of another node; UINT64_MAX: none yet. */
uint64_t raft_driver_silent_ms(const struct raft_driver *d, uint64_t id);

/* Whether a snapshot of another node would be looked at now, and not dropped. */
bool raft_driver_can_install(const struct raft_driver *d);

/* Whether a snapshot of another node is being stored, or was and is not handed out yet. */
bool raft_driver_is_installing(const struct raft_driver *d);

/* Whether the last change of members is not committed yet. */
bool raft_driver_is_changing(const struct raft_driver *d);

/* Hand leadership to a voter; 0 lets libraft choose.
 * E_NOT_LEADER   E_INVALID  not a voter, or none there */
MUST_USE int raft_driver_transfer(struct raft_driver *d, uint64_t id, struct fail *fail);

/* Where the node stands now: a copy. */
struct raft_driver_state raft_driver_state(const struct raft_driver *d);

/* Who this node is. */
uint64_t raft_driver_id(const struct raft_driver *d);

/* The members as libraft sees them; borrowed until the next call. */
const struct raft_configuration *raft_driver_members(const struct raft_driver *d);

#endif
