/* Up to which entry of the log the tables are written: core says so, other threads wait for it.
 *
 * Thread:  written_wait: any that may block. The rest: the one that writes.
 */
#ifndef NACRE_STORE_WRITTEN_H
#define NACRE_STORE_WRITTEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"

/* Embedded by its owner. */
struct written {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint64_t index;
    uint64_t wanted; /* the highest that anybody has waited for */
    unsigned waiters;
    bool is_over;
};

/* index: what is written already. */
void written_init(struct written *w, uint64_t index);

/* Ends it, and waits until nobody is in written_wait. */
void written_close(struct written *w);

/* Written up to index now. */
void written_set(struct written *w, uint64_t index);

/* Nothing more is written: who waits returns. */
void written_end(struct written *w);

/* The highest index that somebody has asked for; 0: none. */
uint64_t written_wanted(struct written *w);

/* Wait until index is written.
 * E_TIMEOUT  not within wait_ms, with both indexes   E_CLOSED  written_end, and it is not */
MUST_USE int written_wait(struct written *w, uint64_t index, uint64_t wait_ms, struct fail *fail);

#endif
