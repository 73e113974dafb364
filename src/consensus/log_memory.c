#include "consensus/consensus.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "consensus/entry.h"

/* Memory of an entry that is kept for the next; one large operation does not hold on to its
 * megabytes. */
#define KEEP_BYTES_MAX (1u << 20)
#define COOKIES_FIRST 64

/* What waits for the next turn, or is being handed out in this one. */
struct batch {
    struct entry_writer entry;
    void **cookies; /* one per operation of the entry */
    size_t cookies_cap;
};

/* A node alone is its own majority, so an entry is committed when it is formed. It still goes
 * through bytes, so that apply sees what a log on disk would give it; and as nobody will ask for it
 * again, it is not kept. */
struct consensus {
    struct consensus_ops ops;
    void *self;
    struct consensus_state state;
    struct batch waiting;
    struct batch in_hand; /* empty between turns */
    bool is_handing_out;
};

struct consensus *consensus_create_memory(const struct consensus_ops *ops, void *self)
{
    struct consensus *c = mem_zalloc(1, sizeof *c);
    c->ops = *ops;
    c->self = self;
    c->state = (struct consensus_state){.role = CONSENSUS_LEADER, .term = 1};
    return c;
}

static void batch_close(struct batch *b)
{
    entry_close(&b->entry);
    mem_free(b->cookies);
}

void consensus_destroy(struct consensus *c)
{
    if (!c) {
        return;
    }
    ASSERT(!c->is_handing_out);
    batch_close(&c->waiting);
    batch_close(&c->in_hand);
    mem_free(c);
}

static void batch_add(struct batch *b, enum consensus_kind kind, struct span op, void *cookie)
{
    if (b->entry.count == b->cookies_cap) {
        b->cookies_cap = b->cookies_cap ? b->cookies_cap * 2 : COOKIES_FIRST;
        b->cookies = mem_realloc(b->cookies, b->cookies_cap, sizeof *b->cookies);
    }
    b->cookies[b->entry.count] = cookie;
    entry_add(&b->entry, kind, op);
}

int consensus_propose(struct consensus *c, enum consensus_kind kind, struct span op, void *cookie,
                      struct fail *fail)
{
    ASSERT_ON(THREAD_CORE);
    if (op.len > CONSENSUS_OP_BYTES_MAX) {
        return fail_set(fail, E_TOO_LARGE, "the change takes %zu bytes in the log, at most %u",
                        op.len, CONSENSUS_OP_BYTES_MAX);
    }
    const struct entry_writer *entry = &c->waiting.entry;
    if (entry->count >= CONSENSUS_PENDING_MAX ||
        entry->len + op.len > CONSENSUS_PENDING_BYTES_MAX) {
        return fail_set(fail, E_LIMIT, "%u changes of %zu bytes wait for the log already",
                        entry->count, entry->len);
    }
    batch_add(&c->waiting, kind, op, cookie);
    return 0;
}

/* The batch that waits becomes the one in hand, and the memory of the last one serves what is
 * proposed meanwhile. */
static void swap_batches(struct consensus *c)
{
    struct batch next = c->waiting;
    c->waiting = c->in_hand;
    c->in_hand = next;
}

static void hand_out(struct consensus *c, uint64_t index)
{
    struct entry_reader reader = {0};
    int err = entry_open(entry_bytes(&c->in_hand.entry), &reader, NULL);
    ASSERT(!err); /* our own bytes */
    unsigned kind = 0;
    struct span op = {0};
    for (size_t i = 0; entry_next(&reader, &kind, &op); i++) {
        c->ops.on_commit(c->self, index, (enum consensus_kind)kind, op, c->in_hand.cookies[i]);
    }
    c->ops.on_entry_end(c->self, index);
}

bool consensus_turn(struct consensus *c, struct now now)
{
    (void)now; /* a log alone has no elections */
    ASSERT_ON(THREAD_CORE);
    ASSERT(!c->is_handing_out);
    if (c->waiting.entry.count == 0) {
        return false;
    }
    swap_batches(c);
    c->is_handing_out = true;
    c->state.last_index++;
    c->state.commit_index = c->state.last_index;
    hand_out(c, c->state.last_index);
    c->state.applied_index = c->state.last_index;
    c->is_handing_out = false;
    entry_reset(&c->in_hand.entry, KEEP_BYTES_MAX);
    return c->waiting.entry.count > 0;
}

struct consensus_state consensus_state(const struct consensus *c)
{
    return c->state;
}
