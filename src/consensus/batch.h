/* Proposals that wait to become one entry, with the cookies of who waits for them.
 *
 * Thread:  one at a time.
 * Owns:    the entry's bytes and the list of cookies, not what the cookies point to.
 */
#ifndef NACRE_CONSENSUS_BATCH_H
#define NACRE_CONSENSUS_BATCH_H

#include <stddef.h>

#include "base/span.h"
#include "consensus/entry.h"

/* Embedded by its owner; zero-initialised is empty. entry.count cookies are in use. */
struct batch {
    struct entry_writer entry;
    void **cookies;
    size_t cookies_cap;
};

/* One more operation; its bytes are copied. */
void batch_add(struct batch *b, unsigned kind, struct span op, void *cookie);

/* Empty it for the next; more than keep_max bytes of the entry are given back. */
void batch_reset(struct batch *b, size_t keep_max);

/* Free; the batch is as zero-initialised. */
void batch_close(struct batch *b);

#endif
