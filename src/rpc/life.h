/* How many hold the edge: every call in progress, every mail that is under way, and every foreign
 * thread that is handing something to a queue.
 *
 * The queues may be shut down only when nobody holds it any more: starting a batch on a queue that
 * is shut down is an error (grpc-core-in-c.md 13).
 *
 * Thread:  any.
 */
#ifndef NACRE_RPC_LIFE_H
#define NACRE_RPC_LIFE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Embedded by its owner. */
struct life {
    atomic_ulong held;
    pthread_mutex_t lock; /* the last step to 0 happens under it */
    pthread_cond_t nobody;
};

/* Nobody holds it. */
void life_init(struct life *l);

/* Nobody may hold it. */
void life_close(struct life *l);

/* One holder more, or one less. */
void life_enter(struct life *l);
void life_leave(struct life *l);

/* Sleep until nobody holds it, at most ms milliseconds. False when the time ran out. */
bool life_wait(struct life *l, uint32_t ms);

#endif
