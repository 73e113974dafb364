/* Answers that the edge writes itself: failures, ServerCheck.
 *
 * The gRPC status of a known request is always OK; an error is a Payload like any other
 * (grpc-sdk.md R1). DIFF(typed-errors): a failure of a handler is the request's own response.
 *
 * Thread:  any; no state.
 * Source:  grpc-sdk.md 1.4 (shapes), 3.4 (ServerCheck).
 */
#ifndef NACRE_RPC_ANSWER_H
#define NACRE_RPC_ANSWER_H

#include "api/row.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/span.h"

/* Write why into *ret_body in the shape that row wants, and return the type name for it (static).
 *
 * Typed, as the row's reply, unless: there is no row; the request never reached its handler
 * (E_STARTING, E_UNREGISTERED, E_NO_HANDLER, E_PARSE: Nacos answers those before it knows a type);
 * or a READ row fails inside (Go takes a typed failure for an empty list). Then it is an
 * ErrorResponse. */
const char *answer_failure(const struct api_row *row, const struct fail *why,
                           struct body *ret_body);

/* The answer of a ServerCheck: the id of the connection, and that the ability table is negotiated
 * (the ack comes when due). */
struct body answer_server_check(struct span connection_id);

/* A success without members of its own: HealthCheckResponse. */
struct body answer_success(void);

#endif
