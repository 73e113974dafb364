/* Registry: connection key to stream, for effects that name connections.
 *
 * Thread:  any; one mutex guards the map. The core looks up, queue threads add and remove.
 * Owns:    a reference to each stream. What is handed out carries a reference of the caller's.
 */
#ifndef NACRE_RPC_REGISTRY_H
#define NACRE_RPC_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

struct registry;
struct stream;

/* An empty registry. */
struct registry *registry_create(void);

/* It must be empty: every stream removes itself when it is over. NULL is fine. */
void registry_destroy(struct registry *r);

/* Make the stream known under key; refers to it. A key is added once. */
void registry_add(struct registry *r, uint64_t key, struct stream *s);

/* Forget key; fine when it is not known. */
void registry_remove(struct registry *r, uint64_t key);

/* The streams of count keys in one go, each with a reference; NULL for a key that is not known. */
void registry_take(struct registry *r, const uint64_t *keys, size_t count, struct stream **ret);

/* How many are known. */
size_t registry_count(struct registry *r);

#endif
