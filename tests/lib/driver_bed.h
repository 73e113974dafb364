/* One driver on a played disk, as one of several members; what it sends and steps is recorded.
 *
 * Thread:  one.
 */
#ifndef NACRE_TESTS_DRIVER_BED_H
#define NACRE_TESTS_DRIVER_BED_H

#include "consensus/raft_driver.h"
#include "consensus/raft_memory.h"

#define DRIVER_BED_MAX 512

/* What matters of a message sent. */
struct bed_sent {
    enum raft_message_type type;
    uint64_t to;
    uint64_t term;
    uint64_t prev_index;
    uint64_t leader_commit;
    unsigned n_entries;
    uint64_t last_index; /* of results and snapshots */
    uint64_t last_term;
    bool is_granted;
    bool is_rejected;
};

/* What matters of an event stepped. */
struct bed_event {
    enum raft_event_type type;
    enum raft_message_type message;
    uint64_t prev_index;
    uint64_t leader_commit;
    unsigned n_entries;
    enum raft_entry_type first_type;
    uint64_t index;
};

struct driver_bed {
    uint64_t now_ms;
    struct raft_memory *disk;
    struct raft_driver *driver;
    struct bed_sent sent[DRIVER_BED_MAX];
    unsigned sent_count;
    struct bed_event events[DRIVER_BED_MAX];
    unsigned events_count;
    unsigned wakes;
    unsigned fatals;
    bool was_stepping_in_wake;
    struct fail why;
    struct raft_driver_options options;
};

/* A member of n voters with the ids 1 to n; the driver is 1. It starts. */
void driver_bed_open(struct driver_bed *b, unsigned n);

/* A member with the role own of two, the other is member 2; on its disk is a vote in term 1 (0:
 * none). It starts. */
void driver_bed_open_as(struct driver_bed *b, int own, int other, uint64_t vote);

/* Stop as a machine does, and start again from the disk. */
void driver_bed_restart(struct driver_bed *b);
void driver_bed_close(struct driver_bed *b);

/* Let ms pass, one by one. */
void driver_bed_pass(struct driver_bed *b, unsigned ms);

/* Receive an append of n entries from member 2 in term; types may be NULL (commands). */
void driver_bed_append(struct driver_bed *b, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                       uint64_t commit, unsigned n, const enum raft_entry_type *types);

/* Receive a snapshot from member 2. */
void driver_bed_install(struct driver_bed *b, uint64_t term, uint64_t index, uint64_t last_term);

/* As a member of 3: win the election. */
void driver_bed_lead(struct driver_bed *b);

/* Member id has everything up to index. */
void driver_bed_ack(struct driver_bed *b, uint64_t id, uint64_t index);

/* How many of the messages sent since have this type; how many events. */
unsigned driver_bed_sent(const struct driver_bed *b, enum raft_message_type type);
unsigned driver_bed_stepped(const struct driver_bed *b, enum raft_event_type type);

/* Take all that is committed; returns the index of the last, 0 when there was nothing. */
uint64_t driver_bed_take(struct driver_bed *b);

#endif
