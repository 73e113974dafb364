/* What the driver's files share; nobody else includes it.
 *
 * Thread:  the driver's.
 */
#ifndef NACRE_CONSENSUS_RAFT_DRIVER_STATE_H
#define NACRE_CONSENSUS_RAFT_DRIVER_STATE_H

#include "consensus/raft_driver.h"

/* An event that waits, with what it points to. */
struct pending {
    struct pending *next;
    struct raft_event event;
    struct raft_message message;
    char *address;
};

struct peer {
    uint64_t id;
    uint64_t pushed;    /* commit index it was last told without entries */
    uint64_t heard_ms;  /* its last message; 0: none */
    uint64_t sent_last; /* the highest entry that was sent to it in this term ... */
    uint64_t sent_ms;   /* ... the last time that any were */
    bool is_rejecting;  /* it refused an append since */
    bool is_reading;    /* a snapshot for it is being read */
};

struct raft_driver {
    struct raft raft;
    struct raft_driver_options options;
    struct raft_log log;
    struct pending *head;
    struct pending **tail;
    struct peer peers[RAFT_DRIVER_PEERS_MAX];
    unsigned peers_count;
    uint64_t applied;
    uint64_t scanned;     /* configurations up to here were told to libraft */
    uint64_t reached;     /* told to the storage */
    uint64_t known;       /* committed, as earlier lives of this node knew; libraft does not */
    uint64_t ready_index; /* applied up to here, this node is ready: of the term that it leads, or
                             of ready_term */
    uint64_t ready_term;
    struct {
        uint64_t term;
        uint64_t commit;
        uint64_t last; /* where it ended */
        uint64_t ms;
    } heard;              /* the last append of a leader */
    uint64_t bytes_since; /* appended since the last snapshot */
    uint64_t bytes_taken; /* of these, at the beginning of the one being taken */
    uint64_t led_ms;      /* when it began to lead */
    uint64_t ticked_ms;
    struct raft_block *submitting;
    struct raft_buffer restore; /* a snapshot the owner has to take over ... */
    uint64_t restore_index;     /* ... its end */
    uint64_t restore_term;
    struct raft_snapshot taken; /* the snapshot being taken */
    struct raft_buffer install; /* the one being installed */
    struct raft_snapshot_metadata install_meta;
    bool is_restoring; /* restore waits for the owner */
    bool is_keeping;   /* a node alone keeps bytes too */
    bool is_taking;
    bool is_installing;
    bool is_stepping;
    bool is_dead;
};

/* Put an event at the end of the queue; run steps all that wait, unless a step is under way, which
 * then does it, and wakes the owner. */
struct pending *raft_queue(struct raft_driver *d, enum raft_event_type type);
void raft_run(struct raft_driver *d);

/* Step one event that is not queued and do what its update asks; no step is under way. Returns
 * libraft's refusal. */
MUST_USE int raft_step_now(struct raft_driver *d, struct raft_event *event);

/* The same for a request to vote. Guard G6: libraft refuses a vote while this node's own
 * configuration says that it has none. A learner that was made a voter and does not know it yet may
 * be the one whose vote is needed to tell it; and for a learner libraft never forgets a leader that
 * is gone. Who asks counts the votes by its own, later configuration, so that a learner may give
 * one.
 * And a voter keeps its vote for a leader that it hears, but only as long as the shortest election
 * time (Raft, dissertation, 4.2.3). libraft keeps it until its own, random time is over: then of
 * two that are left only the one that waits longer is ever elected. */
MUST_USE int raft_step_vote(struct raft_driver *d, struct raft_event *event);

/* Before the start. Guard G7: libraft makes the only voter the leader of the term it finds. It may
 * have voted for another in it; or have led in it and sent entries that its own disk lost in the
 * crash, and would now write others with the same index and term. Begin another term, unless this
 * node was alone from its beginning on (it never voted). A libraft code. */
MUST_USE int raft_leave_term(const struct raft_driver_options *o, struct raft_loaded *loaded);

/* A leader that was alone is about to have others: its vote tells the next start. A libraft code.
 */
MUST_USE int raft_vote_for_self(struct raft_driver *d);

/* Since the last append or heartbeat of a leader. */
uint64_t raft_leader_silent_ms(const struct raft_driver *d);

/* Whether this node is a member, as it knows, and has no vote. */
bool raft_is_learner(const struct raft_driver *d);

/* Stop for good, once: what failed, and a libraft code. */
void raft_die(struct raft_driver *d, const char *what, int err);

/* A copy whose memory is libraft's kind. */
void raft_copy_configuration(const struct raft_configuration *from, struct raft_configuration *to);

/* What is known of another node (raft_send.c); NULL: there are too many. Valid until the next call.
 */
struct peer *raft_peer(struct raft_driver *d, uint64_t id);

/* Write the entries, or the snapshot, that an update brings (raft_update.c); they are libraft's no
 * more. Their end is an event. A libraft code. */
MUST_USE int raft_write_entries(struct raft_driver *d, const struct raft_update *update);
MUST_USE int raft_write_snapshot(struct raft_driver *d, const struct raft_update *update);

/* Free them instead: the term or vote that stands before them could not be written. */
void raft_drop_brought(const struct raft_driver *d, const struct raft_update *update);

/* Send what an update holds (raft_send.c). */
MUST_USE int raft_send_all(struct raft_driver *d, const struct raft_update *update);

/* Tell idle followers of a commit at once (raft_send.c). */
void raft_send_commit(struct raft_driver *d);

#endif
