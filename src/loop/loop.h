/* The core's loop: libuv underneath (libraft's storage will share it), a mailbox in, a turn out.
 *
 * One turn: take everything from the mailbox, read the clock, hand each message to on_mail, then
 * call on_turn once (effects leave there), then sleep until the next message or the time on_turn
 * returned. So a turn's now is never earlier than the posting of a message it hands out.
 *
 * A stepped loop is its virtual twin, for simulation: the same mailbox and the same turns, but the
 * caller makes each, at the time that it says, and nothing of the system is in it.
 *
 * Thread:  loop_create, loop_run: the core thread (loop_run blocks). loop_post, loop_stop: any
 *          thread. A stepped loop: one thread for all.
 * Limits:  LOOP_MAIL_MAX messages wait; loop_post refuses beyond it (E_LIMIT). LOOP_BATCH_MAX
 *          messages a turn; what a turn took and could not hand out does not count as waiting, so
 *          at most twice LOOP_MAIL_MAX are held.
 */
#ifndef NACRE_LOOP_LOOP_H
#define NACRE_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"
#include "loop/mailbox.h"

#define LOOP_MAIL_MAX 262144
#define LOOP_BATCH_MAX 4096

struct loop;

/* What the owner does. All run on the loop's thread. */
struct loop_ops {
    /* One message; ownership moves in. */
    void (*on_mail)(void *self, struct mail *take_mail, struct now now);
    /* End of a turn (also when only time passed). Returns the monotonic ms of the next wanted turn,
     * UINT64_MAX for none. */
    uint64_t (*on_turn)(void *self, struct now now);
};

/* E_IO when the system gives no loop. */
MUST_USE int loop_create(const struct loop_ops *ops, void *self, struct loop **ret_loop);

/* A stepped loop. */
struct loop *loop_create_stepped(const struct loop_ops *ops, void *self);

/* One turn of a stepped loop at now: at most LOOP_BATCH_MAX messages, then on_turn. True: after
 * loop_pause, do what must be done outside of a turn. Nothing after loop_stop's last turn. */
bool loop_step(struct loop *l, struct now now);

/* When a stepped loop wants its next turn (monotonic ms): 0 when a message waits or loop_wake was
 * called, UINT64_MAX for never. */
uint64_t loop_due(struct loop *l);

/* Messages still waiting are handed to drop (may be NULL only if none can wait). After loop_run
 * returned. */
void loop_destroy(struct loop *l, void (*drop)(void *self, struct mail *take_mail));

/* Run until loop_stop (false) or loop_pause (true; call it again to go on). The calling thread
 * becomes the loop's. Begins with a turn, which needs no message. */
bool loop_run(struct loop *l);

/* Leave loop_run after the current turn, for what must be done outside of libuv's callbacks. What
 * arrives meanwhile waits. The loop's thread. */
void loop_pause(struct loop *l);

/* Leave loop_run after the current turn. Any thread. */
void loop_stop(struct loop *l);

/* Hand a message over. E_LIMIT: LOOP_MAIL_MAX wait (the message stays the caller's). E_CLOSED:
 * after loop_stop. */
MUST_USE int loop_post(struct loop *l, struct mail *take_mail);

/* Make the next turn come at once, as if time had passed. The loop's thread, from one of libuv's
 * callbacks or outside of a turn. */
void loop_wake(struct loop *l);

/* The libuv loop, for the storage of consensus/. NULL: the loop is a stepped one. */
struct uv_loop_s *loop_uv(struct loop *l);

#endif
