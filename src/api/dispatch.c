/* One place where a call meets its row's rule, and where a rule's failure becomes an answer. */
#include "api/dispatch.h"

#include "base/assert.h"
#include "base/thread.h"

void dispatch_call(struct api_call *take_call, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(take_call->row != NULL);
    ASSERT(take_call->row->admit != NULL);
    struct fail fail = {0};
    int next = take_call->row->admit(take_call->admit_self, take_call, now, out, &fail);
    if (next == API_ANSWERED) {
        outbox_reply(out, take_call);
        return;
    }
    if (next == API_LATER) {
        return;
    }
    ASSERT(next < 0);
    /* A callee that gave a code and no words still fails with that code and its default text. */
    if (fail.code == 0) {
        fail.code = next;
    }
    dispatch_fail(take_call, &fail, out);
}

void dispatch_fail(struct api_call *take_call, const struct fail *why, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(why->code < 0);
    body_close(&take_call->reply.body);
    take_call->reply.fail = *why;
    outbox_reply(out, take_call);
}
