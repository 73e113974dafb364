/* What nobody uses any more goes, through the log like every change. */
#include "naming/clean.h"

#include "api/outbox.h"
#include "base/assert.h"
#include "base/thread.h"
#include "naming/naming_op.h"

/* A sweep goes on with its next batch after this: other work of the core comes between. */
#define CLEAN_PAUSE_MS 1

static void propose(struct naming_op *op, struct now now, struct outbox *out)
{
    op->time_ms = now.wall_ms;
    outbox_propose(out, CONSENSUS_NAMING, naming_op_encode(op), NULL);
}

/* The time that this server was away counts for nobody: who would have used it could not. */
static bool is_old(const struct naming *n, int64_t since_ms, uint32_t age_ms, struct now now)
{
    return now.wall_ms - since_ms >= (int64_t)age_ms && now.mono_ms >= n->clean_from_ms + age_ms;
}

/* Apply looks again: whoever registers meanwhile, or did so and is not applied here yet, keeps the
 * service. */
static void clean_service(const struct naming *n, const struct service *s, struct now now,
                          struct outbox *out)
{
    if (!s->exists || s->has_record || s->publication_count > 0 ||
        !is_old(n, s->updated_ms, n->options.empty_service_ms, now)) {
        return;
    }
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_REMOVE, .service = s->name, .seen_revision = s->revision};
    propose(&op, now, out);
}

static void clean_overlays(const struct naming *n, const struct service *s, struct now now,
                           struct outbox *out)
{
    if (s->overlay_count == 0) {
        return;
    }
    for (const struct instance_slot *slot = s->slots; slot; slot = slot->hh.next) {
        const struct overlay *o = slot->overlay;
        if (!o || o->unused_since_ms == 0 ||
            !is_old(n, o->unused_since_ms, n->options.overlay_expire_ms, now)) {
            continue;
        }
        struct naming_op op = {.kind = NAMING_OP_OVERLAY,
                               .service = s->name,
                               .remove = true,
                               .seen_ms = o->unused_since_ms};
        instance_slot_address(slot, &op.ip, &op.port, &op.cluster);
        propose(&op, now, out);
    }
}

void clean_turn(struct naming *n, struct now now, struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    if (n->clean_next_ms == 0) {
        n->clean_next_ms = now.mono_ms + n->options.clean_interval_ms;
    }
    if (now.mono_ms < n->clean_next_ms) {
        return;
    }
    struct service *s = n->clean_at ? n->clean_at : n->services;
    for (size_t looked = 0; s && looked < CLEAN_BATCH; looked++) {
        clean_service(n, s, now, out);
        clean_overlays(n, s, now, out);
        s = s->hh.next;
    }
    n->clean_at = s;
    n->clean_next_ms = now.mono_ms + (s ? CLEAN_PAUSE_MS : n->options.clean_interval_ms);
}

uint64_t clean_deadline(const struct naming *n)
{
    return n->clean_next_ms;
}
