/* What stands behind consensus.h: one log in memory, one on disk.
 *
 * Thread:  core, as consensus.h says.
 */
#ifndef NACRE_CONSENSUS_CONSENSUS_IMPL_H
#define NACRE_CONSENSUS_CONSENSUS_IMPL_H

#include "consensus/consensus.h"

/* Each function is the one of the same name in consensus.h. */
struct consensus_impl {
    void (*destroy)(struct consensus *c);
    int (*propose)(struct consensus *c, enum consensus_kind kind, struct span op, void *cookie,
                   struct fail *fail);
    bool (*turn)(struct consensus *c, struct now now);
    uint64_t (*deadline)(const struct consensus *c);
    struct consensus_state (*state)(const struct consensus *c);
    /* NULL: a log without other members. */
    void (*receive)(struct consensus *c, uint64_t from, struct span message);
    unsigned (*members)(const struct consensus *c, struct consensus_member *ret, unsigned max);
    int (*change)(struct consensus *c, enum consensus_change change, uint64_t id,
                  const char *address, struct fail *fail);
    int (*transfer)(struct consensus *c, uint64_t id, struct fail *fail);
};

/* The first member of every log. */
struct consensus {
    const struct consensus_impl *impl;
};

#endif
