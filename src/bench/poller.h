/* The generator's one thread: sockets by epoll, timers to the nanosecond, and work put off to the
 * end of a turn.
 *
 * One turn: wait, note the time once, hand out the events, run the timers that are due, then run
 * the queued jobs. Connections queue a job to write, so that everything a turn gave them to say
 * leaves in one send: that is what makes the generator light.
 *
 * Thread:  one. A callback runs inside poller_turn only.
 * Owns:    the epoll descriptor and one shared read buffer. Borrows watches, timers and jobs
 * (embedded in their owners). Rule:    a callback may remove watches, but no owner may be freed
 * inside a turn.
 */
#ifndef NACRE_BENCH_POLLER_H
#define NACRE_BENCH_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"

#define POLLER_NEVER UINT64_MAX
#define POLLER_SCRATCH_SIZE ((size_t)256 * 1024)

struct poller;

/* Embedded by its owner: a descriptor and who is told about it. events: EPOLLIN, EPOLLOUT ... */
struct poll_watch {
    int fd;
    void (*fn)(struct poll_watch *watch, uint32_t events);
};

/* Embedded by its owner. at_ns: on the monotonic clock; POLLER_NEVER when off. fn runs once at_ns
 * has passed and at_ns is POLLER_NEVER while it runs; it sets it again to be called again. */
struct poll_timer {
    uint64_t at_ns;
    void (*fn)(struct poll_timer *timer, uint64_t now_ns);
    struct poll_timer *next;
};

/* Embedded by its owner: runs once at the end of the turn in which it was queued. */
struct poll_job {
    void (*fn)(struct poll_job *job);
    struct poll_job *next;
    bool queued;
};

/* E_LIMIT: the system gives no epoll descriptor. */
MUST_USE int poller_create(struct poller **ret, struct fail *fail);

/* Frees the poller; NULL is fine. Watches and timers are forgotten. */
void poller_destroy(struct poller *p);

/* Watch w->fd for events. E_LIMIT: the system refuses. */
MUST_USE int poller_add(struct poller *p, struct poll_watch *w, uint32_t events);

/* Change what w->fd is watched for. */
void poller_change(struct poller *p, struct poll_watch *w, uint32_t events);

/* Stop watching w->fd and forget its events of this turn. The owner closes the descriptor. */
void poller_remove(struct poller *p, struct poll_watch *w);

/* Know a timer for as long as the poller lives or until poller_forget. */
void poller_know(struct poller *p, struct poll_timer *t);

/* Forget a timer; fine when it is not known. Not from inside a timer's callback. */
void poller_forget(struct poller *p, struct poll_timer *t);

/* Run job at the end of this turn (once, however often it is queued). */
void poller_queue(struct poller *p, struct poll_job *job);

/* Take a job back; fine when it is not queued. */
void poller_dequeue(struct poller *p, struct poll_job *job);

/* One turn; waits until an event, a timer or until_ns, whichever is first. */
void poller_turn(struct poller *p, uint64_t until_ns);

/* The time at which this turn's events were handed out, monotonic ns: when an answer is known to
 * have been there. */
uint64_t poller_now(const struct poller *p);

/* POLLER_SCRATCH_SIZE bytes that a callback may use until it returns. */
char *poller_scratch(struct poller *p);

#endif
