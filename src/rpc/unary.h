/* Unary calls: /Request/request.
 *
 * A call is answered on the queue's thread when it can be (one batch), otherwise it is mailed to
 * the core and answered when it comes back. Call objects are used again: their number settles at
 * what is armed and in progress.
 *
 * Thread:  the queue's. deliver (api_call): any.
 * Rule 2:  RECV_CLOSE_ON_SERVER runs on every call, in the answer's batch, also when the answer
 * comes from the core. Asking for it as soon as the core has the call would tell of a client that
 *          is gone, but nobody would do anything about it, and it costs 7 % of a registration.
 * Rule 4:  the peer text is taken when the call arrives.
 * Limits:  UNARY_SPARE_MAX finished calls are kept per queue. UNARY_CORE_BYTES_MAX bytes of
 *          requests per queue wait in the core; beyond it a request is answered 503.
 * Source:  grpc-sdk.md 3.10: the order of checks.
 */
#ifndef NACRE_RPC_UNARY_H
#define NACRE_RPC_UNARY_H

#define UNARY_SPARE_MAX 256
#define UNARY_CORE_BYTES_MAX ((size_t)256 << 20)

struct queue;

/* Wait for one more call on this queue. */
void unary_arm(struct queue *q);

/* Free the finished calls that are kept. After the queue's thread has ended. */
void unary_free_spare(struct queue *q);

#endif
