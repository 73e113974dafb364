#include "config/react.h"

#include "api/dispatch.h"
#include "api/v2_codes.h"
#include "base/assert.h"
#include "base/thread.h"
#include "config/import.h"
#include "config/listen.h"
#include "config/poll.h"

static void count(atomic_ulong *counter, size_t more)
{
    if (more > 0) {
        atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
    }
}

static void count_all(struct config *c, const struct config_applied *a)
{
    if (a->op->kind == CONFIG_OP_REMOVE) {
        count(&c->counters.removes, a->changes->count);
        return;
    }
    count(&c->counters.publishes, a->changes->count);
    if (a->err == E_CONFLICT) {
        count(&c->counters.cas_failures, 1);
    }
}

static void answer(const struct config_applied *a, struct outbox *out)
{
    if (a->err == 0) {
        outbox_reply(out, a->waiting);
        return;
    }
    if (a->fail->v2 == V2_GRAY_OVER_MAX) {
        a->waiting->reply.http_status = 400; /* its code over gRPC is 500 (http-api.md 2.2) */
    }
    dispatch_fail(a->waiting, a->fail, out);
}

void config_react(struct config *c, const struct config_applied *a, struct now now,
                  struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    count_all(c, a);
    for (size_t n = 0; n < a->changes->count; n++) {
        struct item *i = a->changes->list[n].item;
        listen_on_change(c, i, now);
        poll_on_change(c, i, now, out);
    }
    if (!a->waiting) {
        return;
    }
    if (a->op->kind == CONFIG_OP_IMPORT) {
        import_on_applied(c, a, now, out);
        return;
    }
    answer(a, out);
}
