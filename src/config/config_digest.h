/* Digest of the configuration centre: two nodes that applied the same log have the same, whether
 * their state comes from the log or from their tables.
 *
 * What is in memory of every version counts: key, id, md5, length, type, times, rule; and the last
 * ids given. A content counts by its md5, so a cold one and a hot one are the same. What only the
 * tables have (description, tags, history) does not count.
 *
 * config->digest is the sum of the items' pieces; item_set_id and item_set_value keep it. O(1) per
 * change, but for the gray versions of the item.
 *
 * Thread:  core only.
 * Checks:  config_check compares with config_digest_count.
 */
#ifndef NACRE_CONFIG_CONFIG_DIGEST_H
#define NACRE_CONFIG_CONFIG_DIGEST_H

#include <stdint.h>

struct config;
struct item;

/* Of the state as it is. */
uint64_t config_digest(const struct config *c);

/* The sum of all pieces, from the beginning: O(n). */
uint64_t config_digest_count(const struct config *c);

/* All versions of an item; 0: it has none. */
uint64_t config_piece(const struct item *i);

#endif
