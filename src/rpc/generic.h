/* The answer to methods that nobody registered: UNIMPLEMENTED.
 *
 * Rule 1: one generic request is always armed per queue. Without it a call of an unknown method
 * hangs until the client's deadline and leaks its connection for ever.
 *
 * Thread:  the queue's.
 */
#ifndef NACRE_RPC_GENERIC_H
#define NACRE_RPC_GENERIC_H

struct queue;

/* Wait for one more call of an unknown method on this queue. */
void generic_arm(struct queue *q);

#endif
