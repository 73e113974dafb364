/* A log on real files in a directory of its own, with an owner that remembers what it was told.
 *
 * Thread:  core.
 * Owns:    the loop and the directory (/tmp, or $TMPDIR), which log_bed_close removes.
 */
#ifndef NACRE_TESTS_LOG_BED_H
#define NACRE_TESTS_LOG_BED_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "consensus/consensus.h"

#define LOG_BED_OPS_MAX 262144

struct log_bed {
    uv_loop_t loop;
    uv_timer_t timer;
    char dir[128];
    struct consensus_raft_options options;
    struct consensus *log;
    uint64_t values[LOG_BED_OPS_MAX]; /* the state: first 8 bytes of each operation */
    unsigned count;
    unsigned acked; /* cookies that came back committed */
    unsigned rejected;
    unsigned snapshots;
    unsigned loads;
    unsigned wakes;
    unsigned fatals;
    bool is_snapshot_refused;
    bool is_snapshot_failing;
    struct fail last;
};

/* An empty directory; the log is not open. */
void log_bed_init(struct log_bed *b);

/* Open and close the log; the state begins empty. */
int log_bed_open(struct log_bed *b, struct fail *fail);
void log_bed_shut(struct log_bed *b);

/* Shut, and remove the directory. */
void log_bed_close(struct log_bed *b);

/* Propose an operation of len >= 8 bytes that begins with value. */
int log_bed_propose(struct log_bed *b, uint64_t value, size_t len, struct fail *fail);

/* Run loop and log until the condition holds; false when it does not within 20 s. */
bool log_bed_until(struct log_bed *b, bool (*condition)(const struct log_bed *b));

/* Run loop and log until acked + rejected is n. */
bool log_bed_answered(struct log_bed *b, unsigned n);

#endif
