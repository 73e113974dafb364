/* A node is lost: for all, by the log's word, or as far as this one knows. */
#include <string.h>

#include "base/assert.h"
#include "base/thread.h"
#include "naming/react.h"
#include "naming/restore.h"
#include "naming/state.h"

static size_t lost_at(const struct naming *n, uint64_t owner)
{
    size_t at = 0;
    while (at < n->lost_count && n->lost[at] != owner) {
        at++;
    }
    return at;
}

bool naming_owner_is_lost(const struct naming *n, uint64_t owner)
{
    return lost_at(n, owner) < n->lost_count;
}

void naming_owner_lost(struct naming *n, uint64_t owner, bool is_lost)
{
    ASSERT_ON(THREAD_CORE);
    size_t at = lost_at(n, owner);
    bool was_lost = at < n->lost_count;
    if (was_lost == is_lost) {
        return;
    }
    if (!is_lost) {
        n->lost[at] = n->lost[--n->lost_count];
    } else if (n->lost_count < NAMING_LOST_MAX) {
        n->lost[n->lost_count++] = owner;
    }
}

void naming_owner_gone(struct naming *n, uint64_t owner, int64_t time_ms, struct now now,
                       struct outbox *out)
{
    ASSERT_ON(THREAD_CORE);
    if (owner == n->options.self) {
        restore_begin(n, now);
    }
    struct changes changes = {0};
    naming_apply_owner_gone(n, owner, time_ms, &changes);
    const struct naming_op op = {
        .kind = NAMING_OP_CLIENT_GONE,
        .time_ms = time_ms,
        .owner = owner,
        .reason = REMOVAL_OWNER_LOST,
    };
    struct naming_applied applied = {.op = &op, .changes = &changes};
    naming_react(n, &applied, now, out);
    changes_close(n, &changes);
}
