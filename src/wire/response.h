/* What all SDK responses and pushes have in common (grpc-sdk.md 2.2 to 2.4).
 *
 * Thread:  any.
 * Order:   resultCode, errorCode, message?, requestId?, the type's own keys, success: as Jackson
 *          writes them in Nacos 2.5.1.
 */
#ifndef NACRE_WIRE_RESPONSE_H
#define NACRE_WIRE_RESPONSE_H

#include "base/fail.h"
#include "base/json_out.h"

/* { and resultCode 200, errorCode 0, and message when not NULL. The caller adds its keys and ends
 * with response_end. */
void response_begin(struct json_out *j, const char *message);

/* "success":true and }. */
void response_end(struct json_out *j);

/* A whole failure body: resultCode 500, errorCode, message, success false. Extra: raw members for
 * types whose clients need some (`"count":0,"serviceNames":[]`), or empty. */
void response_fail(struct json_out *j, const struct fail *fail, struct span extra);

/* { headers, requestId (left out when 0), of a push; the caller adds its keys and ends with
 * push_end. Rule R5. */
void push_begin(struct json_out *j, uint64_t request_id);

/* "module":module and }. */
void push_end(struct json_out *j, const char *module);

#endif
