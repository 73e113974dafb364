/* Watching owners: every node tells the leader each WATCH_ALIVE_MS that it lives; the leader, and
 * only it, gives up an owner of which nothing was heard for the grace period.
 *
 * A new leader grants everybody a full period: it has heard nobody yet, which proves nothing. Below
 * a quorum nobody leads, so nobody is given up.
 *
 * Thread:  core only.
 * Source:  consensus.md 8.1, design.md 3 (who watches what).
 */
#ifndef NACRE_CLUSTER_WATCH_H
#define NACRE_CLUSTER_WATCH_H

#include "base/clock.h"
#include "cluster/owners.h"

#define WATCH_ALIVE_MS 1000

/* Embedded by its owner; watch_init. */
struct watch {
    uint64_t self;
    uint32_t grace_ms;
    bool is_leading;
    uint64_t leading_since_ms;
    uint64_t alive_next_ms; /* when this node speaks next */
    struct {
        uint64_t id;
        uint64_t heard_ms;
        uint64_t proposed_ms; /* its end is on its way through the log since; 0: not */
    } list[OWNERS_MAX];
    size_t count;
};

/* grace_ms: how long an owner may be silent. */
void watch_init(struct watch *w, uint64_t self, uint32_t grace_ms);

/* This node begins or ends to lead. */
void watch_lead(struct watch *w, bool is_leading, struct now now);

/* Something came from this node (any frame proves life). */
void watch_heard(struct watch *w, uint64_t id, struct now now);

/* True once per WATCH_ALIVE_MS: tell the leader that this node lives. */
bool watch_speak(struct watch *w, struct now now);

/* The next owner to be given up, or NULL: one not expired, not this node, silent for longer than
 * the grace period, while this node leads. It is named again only after another period. */
const struct owner *watch_lost(struct watch *w, const struct owners *owners, struct now now);

/* Milliseconds since it was heard; UINT64_MAX: never. */
uint64_t watch_silence_ms(const struct watch *w, uint64_t id, struct now now);

/* When watch_speak or watch_lost want to be asked next (monotonic ms). */
uint64_t watch_deadline(const struct watch *w);

#endif
