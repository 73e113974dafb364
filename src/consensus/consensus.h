/* The replicated log: propose bytes, get them back committed, in the same order on every node.
 *
 * This header is the whole interface; it knows bytes only. log_raft.c keeps the log on disk and,
 * with other nodes, on theirs (struct consensus_wire carries what they say to each other);
 * log_memory.c is one node's memory.
 *
 * Thread:  core only, but for what says otherwise.
 * Owns:    proposals from consensus_propose until on_commit or on_reject returned for them. The
 *          cookie stays the proposer's and is handed back exactly once.
 * Limits:  CONSENSUS_OP_BYTES_MAX per operation, CONSENSUS_PENDING_MAX operations and
 *          CONSENSUS_PENDING_BYTES_MAX bytes waiting.
 * Batch:   everything proposed before consensus_turn goes into one entry, or, beyond
 *          CONSENSUS_ENTRY_BYTES, into several; an entry's operations are applied together, and
 *          on_entry_end follows the last of them. An operation is never divided.
 */
#ifndef NACRE_CONSENSUS_CONSENSUS_H
#define NACRE_CONSENSUS_CONSENSUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define CONSENSUS_OP_BYTES_MAX (12u << 20)
#define CONSENSUS_PENDING_MAX 65536
#define CONSENSUS_PENDING_BYTES_MAX (64u << 20)
#define CONSENSUS_ENTRY_BYTES (2u << 20)

/* Defaults of struct consensus_raft_options. */
#define CONSENSUS_SNAPSHOT_ENTRIES 50000
#define CONSENSUS_SNAPSHOT_BYTES (64u << 20)
#define CONSENSUS_TRAILING_ENTRIES 10000
#define CONSENSUS_ELECTION_MS 1000
#define CONSENSUS_HEARTBEAT_MS 100
#define CONSENSUS_FULL_GRACE_MS                                                                    \
    500 /* a short lack of room holds proposals; a longer one refuses                              \
         */

/* Members of one log, and bytes of an address. */
#define CONSENSUS_MEMBERS_MAX 32
#define CONSENSUS_ADDRESS_MAX 255

/* Bytes of one message of the wire at most: one entry of the largest size and its frame. All but
 * such entries stay below CONSENSUS_MESSAGE_SPLIT. */
#define CONSENSUS_MESSAGE_MAX (16u << 20)
#define CONSENSUS_MESSAGE_SPLIT (4u << 20)

/* Whose operation it is; stands in the log, so numbers never change. */
enum consensus_kind {
    CONSENSUS_NAMING = 1,
    CONSENSUS_CONFIG = 2,
    CONSENSUS_NAMESPACE = 3,
    CONSENSUS_CLUSTER = 4,
    CONSENSUS_OWNED = 0x40, /* or-ed: the operation is in an envelope (cluster/proposals.h) */
};

enum consensus_role { CONSENSUS_FOLLOWER, CONSENSUS_CANDIDATE, CONSENSUS_LEADER };

/* Where the log stands. Plain data. */
struct consensus_state {
    enum consensus_role role;
    uint64_t term;
    uint64_t last_index;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t snapshot_index; /* end of the last snapshot */
    uint64_t broken_entries; /* of this process: entries that could not be read and did nothing */
    bool is_settled;         /* this node leads, and committed an entry of its own term */
    bool is_ready;           /* all that was committed in earlier lives is handed out */
    bool is_replayed; /* so much of it is handed out as is known without a leader; there is some */
    bool is_full;     /* proposals are refused: no room on the disk */
    uint64_t leader_id; /* 0: not known */
    unsigned members;   /* in the configuration as this node knows it; 0: waits to be taken in */
    bool is_member;     /* this node is one of them ... */
    bool is_voter;      /* ... and votes */
    uint64_t refused_messages; /* of this process: of peers, malformed or under a wrong name */
};

/* What a member of the log is. A learner gets the log and does not vote; a pending one waits for a
 * snapshot before it can be one (only on the leader that was asked). */
enum consensus_standing { CONSENSUS_PENDING, CONSENSUS_LEARNER, CONSENSUS_VOTER };

/* One member. Plain data, a copy. */
struct consensus_member {
    uint64_t id;
    char address[CONSENSUS_ADDRESS_MAX + 1];
    enum consensus_standing standing;
    bool is_self;
    bool is_leader;
    uint64_t match_index; /* what it has for sure; only the leader knows: 0 elsewhere */
    uint64_t silent_ms;   /* since its last message to this node; UINT64_MAX: none yet; 0: self */
};

/* How messages for other members leave the node: a connection per member, its bytes in order or
 * lost, never mixed. */
struct consensus_wire {
    void *self;
    /* On core, also from inside consensus_receive and consensus_turn; must not call back into the
     * log. The message may be dropped (no connection, a full queue): the log sends it again.
     * At most CONSENSUS_MESSAGE_MAX bytes. */
    void (*send)(void *self, uint64_t to, struct buf *take_message);
};

/* A member of the first configuration. Plain data. */
struct consensus_voter {
    uint64_t id;
    const char *address;
};

enum consensus_change { CONSENSUS_ADD, CONSENSUS_REMOVE };

/* A snapshot being written, and one being read. */
struct consensus_sink;
struct consensus_source;

/* What the owner does with what the log says. All run on core, from consensus_turn, never from
 * consensus_propose. */
struct consensus_ops {
    /* A committed operation, in log order. cookie: what this node gave to propose, NULL for
     * operations of others. */
    void (*on_commit)(void *self, uint64_t index, enum consensus_kind kind, struct span op,
                      void *cookie);
    /* The operations of one entry are all applied. */
    void (*on_entry_end)(void *self, uint64_t index);
    /* A proposal of this node will not be committed by this call (leadership lost, full): the
     * reason for the waiting client. */
    void (*on_reject)(void *self, void *cookie, const struct fail *why);

    /* From here on for a log on disk only; a log in memory calls none of them. */

    /* From the loop, any time: call consensus_turn soon. */
    void (*on_wake)(void *self);
    /* The log cannot go on (the disk failed, the log contradicts itself): say why and end the
     * process. Nothing is committed any more. */
    void (*on_fatal)(void *self, const struct fail *why);
    /* Collect what a snapshot at index needs, all that is applied and nothing after: cheap, by
     * references to immutable values. NULL: not now; it is asked again after a second. */
    void *(*snapshot_begin)(void *self, uint64_t index);
    /* On a worker thread, not core: write it. Anything but 0 gives this snapshot up. */
    int (*snapshot_write)(void *state, struct consensus_sink *sink);
    /* On core: free what snapshot_begin returned, whether or not it was written. */
    void (*snapshot_end)(void *self, void *state);
    /* Become what the snapshot says, instead of all that is applied. At start from inside
     * consensus_create_raft (on the caller's thread), later from consensus_turn. Anything but 0 is
     * fatal. The bytes are checked against damage, not against sense. */
    int (*snapshot_load)(void *self, uint64_t index, struct consensus_source *source,
                         struct fail *fail);
    /* On a worker thread: put into the file path what a node needs besides a snapshot to take that
     * over, as it is now or later; 0 when it is whole. Give up when *is_stopping. It goes to a
     * node that gets a snapshot, which finds it as options.companion_in when snapshot_load is
     * called. May be NULL: nothing. */
    int (*companion_make)(void *self, const char *path, const atomic_bool *is_stopping);
    /* Another node leads from here on (id; 0: none is known), in this term: forward elsewhere what
     * only a leader can do. From consensus_turn. May be NULL. */
    void (*on_leader)(void *self, uint64_t id, uint64_t term);
};

struct consensus;
struct uv_loop_s;
struct raft_memory;

/* Append to the snapshot. On the worker. E_LIMIT: 4 GiB are in it. */
MUST_USE int consensus_sink_write(struct consensus_sink *s, struct span bytes);

/* Read the next len bytes. E_PARSE: there are not as many. */
MUST_USE int consensus_source_read(struct consensus_source *s, void *dst, size_t len);

/* Bytes not read yet. */
uint64_t consensus_source_left(const struct consensus_source *s);

/* How the log on disk is made. Plain data, borrowed for the call; 0 means the default. */
struct consensus_raft_options {
    const char *dir;           /* the data directory; the log makes DIR/log and DIR/log.mark */
    struct uv_loop_s *loop;    /* core's (loop_uv) */
    uint64_t id;               /* who this node is in the log; 0: 1 */
    const char *address;       /* for people; NULL: "local" */
    const char *companion_out; /* paths, for companion_make and what it made elsewhere; both or */
    const char *companion_in;  /* neither, on one file system */
    bool is_recovering;        /* by order of the operator: this node alone is the cluster now */
    unsigned snapshot_entries;
    uint64_t snapshot_bytes;
    unsigned trailing_entries;
    size_t segment_bytes;              /* tests: small files */
    const struct consensus_wire *wire; /* copied; NULL: no other nodes */
    /* First start of an empty directory, ignored when there is a log: these voters are the cluster,
     * the same on all of them whatever their order ... */
    const struct consensus_voter *bootstrap;
    unsigned bootstrap_count; /* ... 0: this node alone is */
    bool is_joining;          /* ... or nobody is: wait until a leader takes this node in */
    unsigned election_ms;     /* tests */
    unsigned heartbeat_ms;
    /* Simulation: a disk that is played (raft_memory.h) and outlives the log, instead of dir and
     * loop. It is the log's clock, too; consensus_destroy is a crash; and snapshot_write is called
     * on core, from consensus_turn, and again while it says E_BUSY. NULL: none. */
    struct raft_memory *played;
    unsigned seed; /* of time-outs; 0: of the system's randomness */
};

/* The log on disk. Opens, checks and loads it; a snapshot is handed to snapshot_load
 * before this returns, entries follow from the first consensus_turn on. The loop does not run yet,
 * or this is its thread and not inside one of its callbacks.
 * E_IO  the disk, or the log on it, cannot be used; the sentence names the file and the way out
 * E_INVALID  a bootstrap that repeats an id or an address, has too many, or not this node */
MUST_USE int consensus_create_raft(const struct consensus_raft_options *options,
                                   const struct consensus_ops *ops, void *self,
                                   struct consensus **ret, struct fail *fail);

/* Whether a played disk holds a log already. */
bool consensus_played_is_begun(const struct raft_memory *played);

/* A log in memory, one node, leader from the start: for a node without a disk-backed log, tests and
 * simulation. */
struct consensus *consensus_create_memory(const struct consensus_ops *ops, void *self);

/* What waits is given to on_reject first: a change that was proposed and not committed may or may
 * not be in the log on the next start. A log on disk runs its loop until its files are closed: on
 * the loop's thread, after loop_run returned and before loop_destroy. NULL is fine. */
void consensus_destroy(struct consensus *c);

/* Put an operation into the next entry; the bytes are copied.
 * E_LIMIT  as many or as much as may wait do   E_TOO_LARGE  over CONSENSUS_OP_BYTES_MAX
 *   E_NOT_LEADER  nobody to propose to
 * On an error the cookie is not handed back. */
MUST_USE int consensus_propose(struct consensus *c, enum consensus_kind kind, struct span op,
                               void *cookie, struct fail *fail);

/* End of a core turn: form the entry, commit what can be committed, hand it out. Returns true when
 * calls made during hand-out proposed more, so that the core runs another round before it
 * sleeps. On disk what is proposed is committed later: on_wake says when to call again. */
bool consensus_turn(struct consensus *c, struct now now);

/* Monotonic ms at which consensus_turn wants to be called at the latest; UINT64_MAX: never. */
uint64_t consensus_deadline(const struct consensus *c);

/* Where the log stands now: a copy. */
struct consensus_state consensus_state(const struct consensus *c);

/* A message that the wire brought from member from (who the connection proves it is). It is checked
 * whole; one that is malformed, of another version, for somebody else or under another name is
 * counted (refused_messages) and dropped. Not from inside a callback of the log. */
void consensus_receive(struct consensus *c, uint64_t from, struct span message);

/* The members, at most max of them, in the log's order, then the pending one. Returns how many. */
unsigned consensus_members(const struct consensus *c, struct consensus_member *ret, unsigned max);

/* Begin to change the members; on the leader only, one change at a time. 0 means begun: what
 * becomes of it is seen in consensus_members, on every node. It survives a change of leader once
 * the member is a learner.
 * ADD: the node becomes a learner and gets the log; near its end it becomes a voter by itself. It
 *   has to run already, with is_joining in an empty directory. A node alone takes a snapshot first.
 * REMOVE: a learner, a pending one or a voter, but not the leader itself; address is not looked at.
 * The removed node is not told: the owner stops it.
 * E_NOT_LEADER
 * E_INVALID    an id of 0; an address that is empty or too long
 * E_NOT_FOUND  remove: no such member
 * E_CONFLICT   already a member; the address is another member's; another change is not finished;
 *   a voter does not know the last change yet; the rest would have no quorum; the leader itself:
 *   transfer first. The sentence says what is missing
 * E_LIMIT      CONSENSUS_MEMBERS_MAX */
MUST_USE int consensus_change(struct consensus *c, enum consensus_change change, uint64_t id,
                              const char *address, struct fail *fail);

/* Hand leadership to voter id, 0: to one that is up to date. 0 means begun: on_leader tells; when
 * nothing is told within two elections it failed, and this node still leads. Meanwhile
 * consensus_propose holds nothing back, but what it takes may be rejected with E_NOT_LEADER.
 * E_NOT_LEADER   E_INVALID  not a voter, or none there */
MUST_USE int consensus_transfer(struct consensus *c, uint64_t id, struct fail *fail);

#endif
