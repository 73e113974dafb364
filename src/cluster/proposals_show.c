/* What waits is looked at once, oldest first: it is shown before it is applied, refused, or waits
 * on. */
#include "base/assert.h"
#include "cluster/proposals_state.h"

static struct proposals_waiting waiting_of(const struct proposals_item *e)
{
    return (struct proposals_waiting){
        .seq = e->seq,
        .since_ms = e->since_ms,
        .kind = e->kind,
        .op = span_of(e->envelope + PROPOSALS_ENVELOPE, e->len - PROPOSALS_ENVELOPE),
        .cookie = e->cookie,
    };
}

bool proposals_look(const struct proposals *p, struct proposals_waiting *ret)
{
    if (!p->look) {
        return false;
    }
    *ret = waiting_of(p->look);
    return true;
}

void proposals_pass(struct proposals *p, uint64_t seq)
{
    ASSERT(p->look);
    ASSERT(p->look->seq == seq);
    p->look = p->look->next;
}

void proposals_shown(struct proposals *p, uint64_t seq)
{
    ASSERT(p->look);
    ASSERT(p->look->seq == seq);
    p->look->cookie = NULL;
    p->look->is_shown = true;
    p->look = p->look->next;
}

void proposals_refuse(struct proposals *p, uint64_t seq, const struct fail *why)
{
    ASSERT(p->look);
    ASSERT(p->look->seq == seq);
    proposals_drop(p, p->look, why);
}

bool proposals_covered(struct proposals *p, uint64_t last_seq, struct proposals_waiting *ret,
                       bool *ret_shown)
{
    struct proposals_item *e = p->first;
    if (!e || e->seq > last_seq) {
        return false;
    }
    *ret = waiting_of(e);
    ret->op = (struct span){0};
    *ret_shown = e->is_shown;
    proposals_forget(p, e);
    return true;
}
