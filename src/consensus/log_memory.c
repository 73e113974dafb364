#include "base/assert.h"
#include "base/mem.h"
#include "consensus/batch.h"
#include "consensus/consensus_impl.h"

/* Memory of an entry that is kept for the next; one large operation does not hold on to its
 * megabytes. */
#define KEEP_BYTES_MAX (1u << 20)

/* A node alone is its own majority, so an entry is committed when it is formed. It still goes
 * through bytes, so that apply sees what a log on disk would give it; and as nobody will ask for it
 * again, it is not kept. */
struct log_memory {
    struct consensus base;
    struct consensus_ops ops;
    void *self;
    struct consensus_state state;
    struct batch waiting;
    struct batch in_hand; /* empty between turns */
    bool is_handing_out;
};

static struct log_memory *of(struct consensus *c)
{
    return CONTAINER_OF(c, struct log_memory, base);
}

static void log_destroy(struct consensus *c)
{
    struct log_memory *l = of(c);
    ASSERT(!l->is_handing_out);
    struct fail why = {0};
    (void)fail_set(&why, E_CLOSED, "the server is stopping");
    for (uint32_t i = 0; i < l->waiting.entry.count; i++) {
        l->ops.on_reject(l->self, l->waiting.cookies[i], &why);
    }
    batch_close(&l->waiting);
    batch_close(&l->in_hand);
    mem_free(l);
}

static int log_propose(struct consensus *c, enum consensus_kind kind, struct span op, void *cookie,
                       struct fail *fail)
{
    struct log_memory *l = of(c);
    const struct entry_writer *entry = &l->waiting.entry;
    if (entry->count >= CONSENSUS_PENDING_MAX ||
        entry->len + op.len > CONSENSUS_PENDING_BYTES_MAX) {
        return fail_set(fail, E_LIMIT, "%u changes of %zu bytes wait for the log already",
                        entry->count, entry->len);
    }
    batch_add(&l->waiting, kind, op, cookie);
    return 0;
}

/* The batch that waits becomes the one in hand, and the memory of the last one serves what is
 * proposed meanwhile. */
static void swap_batches(struct log_memory *l)
{
    struct batch next = l->waiting;
    l->waiting = l->in_hand;
    l->in_hand = next;
}

static void hand_out(struct log_memory *l, uint64_t index)
{
    struct entry_reader reader = {0};
    int err = entry_open(entry_bytes(&l->in_hand.entry), &reader, NULL);
    ASSERT(!err); /* our own bytes */
    unsigned kind = 0;
    struct span op = {0};
    for (size_t i = 0; entry_next(&reader, &kind, &op); i++) {
        l->ops.on_commit(l->self, index, (enum consensus_kind)kind, op, l->in_hand.cookies[i]);
    }
    l->ops.on_entry_end(l->self, index);
}

static bool log_turn(struct consensus *c, struct now now)
{
    struct log_memory *l = of(c);
    (void)now; /* a log alone has no elections */
    ASSERT(!l->is_handing_out);
    if (l->waiting.entry.count == 0) {
        return false;
    }
    swap_batches(l);
    l->is_handing_out = true;
    l->state.last_index++;
    l->state.commit_index = l->state.last_index;
    hand_out(l, l->state.last_index);
    l->state.applied_index = l->state.last_index;
    l->is_handing_out = false;
    batch_reset(&l->in_hand, KEEP_BYTES_MAX);
    return l->waiting.entry.count > 0;
}

static uint64_t log_deadline(const struct consensus *c)
{
    (void)c;
    return UINT64_MAX;
}

static struct consensus_state log_state(const struct consensus *c)
{
    const struct log_memory *l = (const struct log_memory *)(const void *)c;
    return l->state;
}

static const struct consensus_impl impl = {
    .destroy = log_destroy,
    .propose = log_propose,
    .turn = log_turn,
    .deadline = log_deadline,
    .state = log_state,
};

struct consensus *consensus_create_memory(const struct consensus_ops *ops, void *self)
{
    struct log_memory *l = mem_zalloc(1, sizeof *l);
    l->base.impl = &impl;
    l->ops = *ops;
    l->self = self;
    l->state = (struct consensus_state){.role = CONSENSUS_LEADER,
                                        .term = 1,
                                        .is_settled = true,
                                        .is_ready = true,
                                        .is_voter = true};
    return &l->base;
}
