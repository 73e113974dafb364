/* A played core: its caller's thread makes its turns, at the times that it says. */
#include "node/core_state.h"

#include "base/assert.h"
#include "base/thread.h"
#include "loop/loop.h"

int core_begin(struct core *c, const struct effects_edge *edge, struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(c->is_played);
    c->edge = *edge;
    c->running = true;
    return c->peers ? peering_start(c->peers, fail) : 0;
}

void core_step(struct core *c, struct now now)
{
    ASSERT_ON(THREAD_CORE);
    ASSERT(c->is_played);
    struct fail fail = {0};
    if (loop_step(c->loop, now) && !c->log && core_open_log(c, &fail) != 0) {
        c->options.on_fatal(c->options.self, &fail);
    }
}

uint64_t core_due(struct core *c)
{
    return loop_due(c->loop);
}

struct db_worker *core_db_worker(struct core *c)
{
    return c->tables ? tables_worker(c->tables) : NULL;
}
