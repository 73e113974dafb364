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

void consensus_receive(struct consensus *c, uint64_t from, struct span message)
{
    ASSERT_ON(THREAD_CORE);
    if (c->impl->receive) {
        c->impl->receive(c, from, message);
    }
}

unsigned consensus_members(const struct consensus *c, struct consensus_member *ret, unsigned max)
{
    return c->impl->members ? c->impl->members(c, ret, max) : 0;
}

int consensus_change(struct consensus *c, enum consensus_change change, uint64_t id,
                     const char *address, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (!c->impl->change) {
        return fail_set(fail, E_CONFLICT, "a log in memory has no other members");
    }
    return c->impl->change(c, change, id, address, fail);
}

int consensus_transfer(struct consensus *c, uint64_t id, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (!c->impl->transfer) {
        return fail_set(fail, E_INVALID, "a log in memory has no other members");
    }
    return c->impl->transfer(c, id, fail);
}
