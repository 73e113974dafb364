/* Dispatch on core: run a call's admit function and see to its answer.
 *
 * Thread:  core only.
 */
#ifndef NACRE_API_DISPATCH_H
#define NACRE_API_DISPATCH_H

#include "api/call.h"
#include "api/outbox.h"
#include "api/row.h"
#include "base/clock.h"

/* Admit call (takes it). Afterwards it is in the outbox as a REPLY, answered or failed, or the
 * feature keeps it (API_LATER). */
void dispatch_call(struct api_call *take_call, struct now now, struct outbox *out);

/* Answer a call with a failure. */
void dispatch_fail(struct api_call *take_call, const struct fail *why, struct outbox *out);

#endif
