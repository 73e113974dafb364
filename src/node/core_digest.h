/* The digest of all that the log made of this node: registry, configs, namespaces, owners. Nodes
 * that have applied the same entries have the same one.
 *
 * Thread:  core.
 */
#ifndef NACRE_NODE_CORE_DIGEST_H
#define NACRE_NODE_CORE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

struct core;

/* As it is after the last whole entry (*ret_index). False: there is none that says anything,
 * because the tables were ahead of the log when they were loaded and it has not caught up. */
bool core_digest(const struct core *c, uint64_t *ret_index, uint64_t *ret_digest);

#endif
