/* The read view: what edges answer from without entering the core.
 *
 * A map from key to an immutable, reference-counted value in 64 mutex-guarded shards; a lock is
 * held only to find and to take a reference (consensus.md 7: a rwlock starves the writer).
 *
 * Thread:  view_publish, view_spoil, view_remove: core only (main, before core runs).
 *          view_take: any.
 * Owns:    one reference to each published value.
 * Stale:   a change makes the entry stale before its client is answered; the value is put together
 *          again only when somebody reads it (the read then goes to the core once) or it is pushed.
 *          So no read is older than an answered write, and a change costs O(1).
 * Stamp:   each take and each publish gets a number of milliseconds that grows per key (max(now,
 *          last + 1)), drawn under the lock: a value taken later never carries a smaller stamp than
 *          one taken before it, and an older value never a greater one than a newer value's first.
 *          A publish always draws a greater one. That a key is not there is told with a stamp that
 *          does not fall, too, though the clock is put back. Takes stop growing it
 *          VIEW_STAMP_LEAD_MAX_MS ahead of the clock: at 30,000 reads a second it would otherwise
 *          run away from the clock, and clients would ignore a restarted node until the clock had
 *          caught up. It is ServiceInfo.lastRefTime (grpc-sdk.md R10).
 * Keys:    bytes up to VIEW_KEY_MAX, made by the feature (view_key joins parts).
 */
#ifndef NACRE_VIEW_VIEW_H
#define NACRE_VIEW_VIEW_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/span.h"

#define VIEW_KEY_MAX 1024
#define VIEW_STAMP_LEAD_MAX_MS 1000

/* First member of every value. */
struct view_value {
    atomic_uint refs;
    void (*destroy)(struct view_value *v); /* on any thread, when the last reference goes */
};

/* One more reference; returns v. */
struct view_value *view_value_ref(struct view_value *v);

/* One reference less; NULL is fine. */
void view_value_unref(struct view_value *v);

enum view_take {
    VIEW_FRESH, /* *ret_value holds a reference, *ret_stamp is drawn */
    VIEW_STALE, /* ask the core; *ret_value is NULL */
    VIEW_NONE,  /* no such key; *ret_stamp is no smaller than any that was drawn for it */
};

struct view;

/* An empty view. */
struct view *view_create(void);

/* All takers are gone. */
void view_destroy(struct view *v);

/* Look up key at wall_ms (milliseconds since 1970). */
enum view_take view_take(struct view *v, struct span key, int64_t wall_ms,
                         struct view_value **ret_value, int64_t *ret_stamp);

/* Make value the current one; takes the reference. Returns the stamp. */
int64_t view_publish(struct view *v, struct span key, int64_t wall_ms,
                     struct view_value *take_value);

/* Mark key stale (creating it when absent): the next take says VIEW_STALE. Drops the old value. */
void view_spoil(struct view *v, struct span key);

/* Forget key. Stamps of its next value are greater than the last one's. */
void view_remove(struct view *v, struct span key);

/* A stamp without a value, for answers that the core gives itself. */
int64_t view_stamp(struct view *v, struct span key, int64_t wall_ms);

/* How many keys there are. */
size_t view_count(struct view *v);

#endif
