/* Streams: /BiRequestStream/requestBiStream, one per registered client. The server pushes, the
 * client acks.
 *
 * Thread:  a stream belongs to its queue's thread; stream_ref and stream_unref: any. Others reach
 *          it by mail (perform.c).
 * Owns:    its call, its queue of messages, its origin. The registry refers to it from setup to
 *          close.
 * Rule 2:  RECV_CLOSE in its own batch, first thing: the one place that knows that the connection
 *          is gone.
 * Rule 3:  a NULL message is a half-close or the end; grpc_call_failed_before_recv_message tells
 *          them apart.
 * Rule 8:  one send and one receive in flight; the rest waits here, bounded by
 *          RPC_STREAM_QUEUE_MAX and RPC_STREAM_BYTES_MAX.
 * Rule 11: streams never finish by themselves: stream_end.
 * Limits:  STREAM_SETUP_MS until the setup, STREAM_SEND_MS for one send to be taken by flow
 *          control, STREAM_LINGER_MS between our status and the end; past each the call is
 *          cancelled.
 * Source:  grpc-sdk.md 3.4 to 3.8.
 */
#ifndef NACRE_RPC_STREAM_H
#define NACRE_RPC_STREAM_H

#include <stdbool.h>

#include <grpc/status.h>

#include "conn/peer.h"

#define STREAM_SETUP_MS 60000
#define STREAM_SEND_MS 60000
#define STREAM_LINGER_MS 2000

struct message;
struct queue;
struct stream;

/* Wait for one more stream on this queue. */
void stream_arm(struct queue *q);

/* One more reference; returns s. Any thread. */
struct stream *stream_ref(struct stream *s);

/* One reference less; NULL is fine. Any thread. */
void stream_unref(struct stream *s);

/* The queue that it belongs to. Any thread. */
struct queue *stream_queue(const struct stream *s);

/* The peer, borrowed as long as the stream. For streams from the registry, which have one. Any
 * thread. */
struct peer *stream_peer(const struct stream *s);

/* Send the message after those that wait already. False when it was dropped: the stream is ending,
 * or over a limit, which ends it with UNAVAILABLE. */
bool stream_send(struct stream *s, struct message *m);

/* Finish the stream with a status after what waits has been sent; nothing more is accepted. Ending
 * twice is fine: the first status counts. why: for the client and the log. */
void stream_end(struct stream *s, grpc_status_code status, const char *why);

/* End all streams of a queue. */
void stream_end_all(struct queue *q, grpc_status_code status, const char *why);

#endif
