/* Which contents are in memory: a budget in bytes, second chance by the readers' mark.
 *
 * Items with content in memory form a ring; when content_bytes is over the budget the hand goes
 * round: an item that was read since it last came by (config_value.used) keeps its content once
 * more, another one's value is replaced by a cold one. Contents that the tables lack (item.dirty)
 * stay. The largest work of one call is CACHE_STEPS_MAX items.
 *
 * Thread:  core only.
 */
#ifndef NACRE_CONFIG_CACHE_H
#define NACRE_CONFIG_CACHE_H

#include "config/state.h"

#define CACHE_STEPS_MAX 4096

/* The item's content came to memory, or went: keep ring and sum right. For item_set_value. */
void cache_follow(struct config *c, struct item *i, uint64_t bytes_before, uint64_t bytes_now);

/* Go below the budget, if it is exceeded. Once a turn. True when there is more to do. */
bool cache_trim(struct config *c, struct now now);

/* All contents go; none is dirty. For config_load_tables. */
void cache_clear(struct config *c, struct now now);

#endif
