/* A gRPC client for tests: one connection, unary calls and streams of Payload, step by step.
 *
 * Thread:  one. Every wait has a deadline of CLIENT_WAIT_MS unless it says another; a wait that
 * runs out fails the test.
 */
#ifndef NACRE_TESTS_GRPC_CLIENT_H
#define NACRE_TESTS_GRPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grpc/grpc.h>

#define CLIENT_WAIT_MS 5000

struct client;
struct client_call;
struct client_stream;

struct client_options {
    bool gzip;         /* compress what is sent */
    bool small_window; /* take little before somebody reads */
    int receive_max;   /* bytes; 0: 64 MiB */
};

/* A message as it came; texts are NUL-terminated and live until the next message of the same owner.
 */
struct client_message {
    const char *type;
    const char *json;
    size_t headers_count;
    const char *client_ip;
};

/* What a unary call ended with. message is empty unless status is OK. Free with client_reply_close.
 */
struct client_reply {
    grpc_status_code status;
    char *details;
    struct client_message message;
    void *memory;
};

/* Connect to 127.0.0.1:port by a socket of our own, so that client_cut and client_port can be.
 * options may be NULL. */
struct client *client_open(uint16_t port, const struct client_options *options);

/* Close politely. Streams and calls must be closed before. */
void client_close(struct client *c);

/* Tear the connection as a dying process or a pulled cable would (RST). client_close is still
 * needed. */
void client_cut(struct client *c);

/* The port of our end. */
uint16_t client_port(const struct client *c);

/* Send type and json, wait for the answer. */
struct client_reply client_ask(struct client *c, const char *type, const char *json);

/* As client_ask, with count headers as key, value, key, value... */
struct client_reply client_ask_headers(struct client *c, const char *type, const char *json,
                                       const char *const *pairs, size_t count);

/* Send any bytes to any method; NULL bytes: half-close without a message. */
struct client_reply client_ask_raw(struct client *c, const char *method, const char *bytes,
                                   size_t len);

/* The two halves of client_ask, so that many calls can be in flight. finish frees the call. */
struct client_call *client_start(struct client *c, const char *type, const char *json);
struct client_reply client_finish(struct client_call *call);

/* Cancel a call; finish is still needed. */
void client_cancel(struct client_call *call);

/* Free what a reply holds. */
void client_reply_close(struct client_reply *r);

/* Open the stream. reads false: nothing is ever received. */
struct client_stream *client_stream_open(struct client *c, bool reads);

/* Send a message; waits until it is on its way. False when the stream is gone. */
bool client_stream_send(struct client_stream *s, const char *type, const char *json);

/* As client_stream_send with any bytes. */
bool client_stream_send_raw(struct client_stream *s, const char *bytes, size_t len);

/* The next message within ms; NULL when none came or the stream ended. */
const struct client_message *client_stream_next(struct client_stream *s, int ms);

/* Say that nothing more will be sent. */
void client_stream_half_close(struct client_stream *s);

/* Wait for the end and say its status. details (may be NULL): its text, until the stream is closed.
 */
grpc_status_code client_stream_status(struct client_stream *s, const char **details);

/* True when the end has come within ms. */
bool client_stream_ended(struct client_stream *s, int ms);

/* Cancel if need be and free. */
void client_stream_close(struct client_stream *s);

/* The whole beginning: ServerCheck, stream, setup with module naming; waits for the ack. json: the
 * setup's body, NULL for the usual one. */
struct client_stream *client_register(struct client *c, const char *json);

/* Answer a push by its requestId, as Java does. */
bool client_stream_ack(struct client_stream *s, const char *request_id);

/* The text between "key":" and the next quote of a flat JSON, in static memory; "" when absent. */
const char *client_json_text(const char *json, const char *key);

#endif
