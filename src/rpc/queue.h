/* A completion queue with its thread, its mailbox and its timers.
 *
 * All calls that a queue accepts stay on it: their tags come back here, and what other threads want
 * of them comes by mail. So a call and a stream belong to one thread and need no lock.
 *
 * A foreign thread wakes the queue by an empty batch on a call that belongs to it
 * (grpc-core-in-c.md 3). The call is made on a lame channel at the start, so that waking never
 * depends on a client's call being there.
 *
 * Thread:  queue_post: any thread that holds rpc->life. Everything else: the queue's own, or main
 *          before start and after the join.
 * Rule 7:  whatever runs here is also what keeps the network going: nothing blocks, and a round of
 *          mail is bounded by QUEUE_ROUND.
 * Limits:  QUEUE_ROUND sends per round of mail, then the network gets its turn. Mails are bounded
 *          by what sends them: calls in the core, and QUEUE_SENDS_MAX pushes (perform.c).
 */
#ifndef NACRE_RPC_QUEUE_H
#define NACRE_RPC_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <grpc/grpc.h>

#include "api/core_mail.h"
#include "base/deadline.h"
#include "loop/mailbox.h"
#include "rpc/rpc.h"

#define QUEUE_ROUND RPC_FANOUT_CHUNK
#define QUEUE_SENDS_MAX (1u << 17)
#define QUEUE_RETRY_MS                                                                             \
    20 /* how long a mail that the core must get waits before it is tried again */

struct queue;
struct stream;
struct unary;

/* What a completion does. Embedded in the call, one per kind of operation, so that the kind is
 * visible in the field's name. */
struct tag {
    void (*fn)(struct tag *tag, bool ok);
};

/* A message to a queue. Embedded as the first member; run takes it. cost: sends it will start. */
struct queue_mail {
    struct mail mail;
    void (*run)(struct queue *q, struct queue_mail *take_mail);
    unsigned cost;
};

/* A timer of something that lives on a queue. Embedded; fn runs on the queue's thread, the timer is
 * cleared before. */
struct queue_timer {
    struct deadline due;
    void (*fn)(struct queue *q, struct queue_timer *timer);
};

/* Embedded in struct rpc. */
struct queue {
    struct rpc *rpc;
    unsigned index;
    grpc_completion_queue *cq;
    grpc_call *kicker;
    struct tag on_kick;
    struct mailbox mailbox;
    struct mail *todo; /* drained, not run yet; oldest first */
    struct mail *todo_last;
    struct deadlines deadlines;
    struct core_mail *owed; /* mails that the core had no room for; oldest first */
    struct core_mail *owed_last;
    struct queue_timer owed_timer;
    struct queue_timer sweep_timer; /* queue 0 only */
    struct stream *streams;         /* open ones, for the stop */
    struct unary *spare;            /* finished calls, to be armed again */
    unsigned spare_count;
    size_t core_bytes;      /* requests of this queue that the core holds */
    atomic_uint sends_wait; /* sends in mails that were not run yet */
    pthread_t thread;
    bool has_thread;
};

/* Make the completion queue; it must be registered with the server before that starts. */
void queue_init(struct queue *q, struct rpc *r, unsigned index);

/* Make the call that wakes the queue, on a lame channel. */
void queue_init_kicker(struct queue *q, grpc_channel *lame);

/* Start the thread. E_LIMIT when the system refuses. */
MUST_USE int queue_start(struct queue *q);

/* Shut the queue down, wait until its thread has drained it (or drain it here), and free it. Nobody
 * posts any more. */
void queue_close(struct queue *q);

/* Hand a mail over; it will run on the queue's thread. */
void queue_post(struct queue *q, struct queue_mail *take_mail);

/* Set or move a timer to now + ms; clear it. */
void queue_timer_set(struct queue *q, struct queue_timer *timer, uint32_t ms);
void queue_timer_clear(struct queue *q, struct queue_timer *timer);

/* Give the core a mail that it must get: when it has no room the mail waits here and is tried
 * again, in order. Dropped only when the core is closed for good. */
void queue_tell_core(struct queue *q, struct core_mail *take_mail);

#endif
