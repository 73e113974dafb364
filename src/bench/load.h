/* The engine under every scenario that makes requests: when to send the next one, and what to
 * remember of the answer.
 *
 * Closed loop: each slot sends its next request when the last one is answered. Open loop: request
 * number i is due at begin + i/rate, whatever the server does; its latency counts from that instant
 * even when no slot was free to send it, so a server that stalls cannot hide it (no coordinated
 * omission).
 *
 * A run has a warm-up (not counted) and a measured part; the server's and the generator's own CPU
 * time are read at its two ends.
 *
 * Thread:  the poller's. load_run turns the poller until the end.
 * Borrows: slots (embedded in the scenario's structs), ops.
 * Limits:  after the end LOAD_DRAIN_MS are waited for answers; what has none then counts as an
 * error.
 */
#ifndef NACRE_BENCH_LOAD_H
#define NACRE_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "bench/histogram.h"
#include "bench/poller.h"
#include "bench/procstat.h"

#define LOAD_DRAIN_MS 2000

struct load;

/* One request at a time; embedded in the scenario's struct, initialised by load_run. */
struct load_slot {
    struct load *load;
    struct load_slot *next_free;
    uint64_t start_ns;
    uint64_t number; /* of the request: 0, 1, 2, ... over all slots */
    bool busy;
    bool retired; /* its connection is gone */
};

/* Send the request of a slot; load_done follows, in a later turn. Not 0: the slot's connection is
 * gone, it is retired. */
typedef int (*load_send_fn)(void *self, struct load_slot *slot);

/* Plain data. */
struct load_config {
    struct load_slot *const *slots;
    unsigned slot_count;
    load_send_fn send;
    void *self;
    double rate; /* requests per second; 0: closed loop */
    uint64_t warmup_ns;
    uint64_t run_ns;
    uint64_t count; /* end after so many answers instead; 0: by time */
    int pid;        /* whose CPU time to read; 0: nobody's */
};

/* What a run found; plain data, the histogram is large: allocate it. */
struct load_result {
    struct histogram latency;
    uint64_t completed; /* answered well within the measured part */
    uint64_t errors;    /* everything else, warm-up included */
    uint64_t unsent;    /* open loop: due before the end and never sent */
    struct usage usage; /* of the measured part */
    struct fail first_error;
};

/* Run until the end and fill ret. E_CLOSED: all connections were lost (ret is filled nevertheless);
 * the errors of procstat_read. */
MUST_USE int load_run(struct poller *poller, const struct load_config *config,
                      struct load_result *ret, struct fail *fail);

/* A slot's request was answered: err 0, or a code with its text. From the poller's callbacks. */
void load_done(struct load_slot *slot, int err, const struct fail *fail);

#endif
