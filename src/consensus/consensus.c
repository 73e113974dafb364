#include "consensus/consensus.h"

#include "base/thread.h"
#include "consensus/consensus_impl.h"

void consensus_destroy(struct consensus *c)
{
    if (c) {
        c->impl->destroy(c);
    }
}

int consensus_propose(struct consensus *c, enum consensus_kind kind, struct span op, void *cookie,
                      struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (op.len > CONSENSUS_OP_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "the change takes %zu bytes in the log, at most %u",
                        op.len, CONSENSUS_OP_BYTES_MAX);
    }
    return c->impl->propose(c, kind, op, cookie, fail);
}

bool consensus_turn(struct consensus *c, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    return c->impl->turn(c, now);
}

uint64_t consensus_deadline(const struct consensus *c)
{
    return c->impl->deadline(c);
}

struct consensus_state consensus_state(const struct consensus *c)
{
    return c->impl->state(c);
}
