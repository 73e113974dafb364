/* Acks of pushes: what a client says on its stream after a push.
 *
 * Thread:  any.
 * Source:  grpc-sdk.md 3.6: the type is not looked at, success is resultCode == 200, requestId is
 *          text or number.
 */
#ifndef NACRE_WIRE_ACK_H
#define NACRE_WIRE_ACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/span.h"

struct ack {
    uint64_t request_id; /* 0 when absent or no number: never matches */
    bool ok;
};

/* Decode an ack's JSON body. E_PARSE when it is no JSON object. */
MUST_USE int ack_decode(struct span body, struct ack *ret, struct fail *fail);

#endif
