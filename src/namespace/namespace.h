/* Namespaces (Nacos's tenants): ids with a name and a description, for people. Nothing depends on
 * them: configs and services live in namespaces that no row names, and stay when it goes
 * (semantics.md 2.15).
 *
 * The way of a write: namespace_http.h (rules, limits; the request becomes an operation) -> log ->
 * namespace_commit (every node: the list in memory, and a write for the tables behind it).
 *
 * Thread:  core only, but namespace_counters (any; atomics) and namespace_load_tables (main, before
 *          core runs).
 * Limits:  NAMESPACES_MAX, refused by admit and by apply (E_LIMIT).
 * Default: the default namespace has no row; its spellings are "", "public" and "null", and it
 *          always exists (DIFF(default-namespace): Nacos makes another one of that id).
 * Apply:   total. It reads the operation and the list, nothing else; a damaged or unknown operation
 *          is a no-op that counts.
 */
#ifndef NACRE_NAMESPACE_NAMESPACE_H
#define NACRE_NAMESPACE_NAMESPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/call.h"
#include "api/gate.h"
#include "api/outbox.h"
#include "base/clock.h"
#include "base/span.h"
#include "store/db.h"
#include "store/migrate.h"
#include "store/table_writer.h"

#define NAMESPACES_MAX 10000

/* Plain data. */
struct namespace_options {
    /* How many configs a namespace has ("": the default one). On core, from a row's admit. */
    size_t (*count_configs)(void *self, struct span id);
    void *self;
    struct read_gate *gate; /* NULL: this node alone writes, or reads need not be fresh */
};

/* Read by metrics on any thread. */
struct namespace_counters {
    atomic_ulong bad_ops; /* unknown or damaged operations that became no-ops */
};

/* One of them, borrowed until the list changes. Plain data. */
struct namespace_info {
    struct span id;
    struct span name;
    struct span desc; /* data NULL: none */
    int64_t created_ms;
    int64_t modified_ms;
};

struct namespaces;

extern const struct migration_set migrate_namespace;

/* Empty. tables is borrowed and outlives it. */
struct namespaces *namespace_create(const struct namespace_options *options,
                                    struct table_writer *tables);

/* NULL is fine. */
void namespace_destroy(struct namespaces *n);

/* Read what the tables hold, before anything is applied. As db.h */
MUST_USE int namespace_load_tables(struct namespaces *n, struct db *db, struct fail *fail);

/* A committed operation. waiting: the call of this node that proposed it, or NULL; answered here
 * (into out). */
void namespace_commit(struct namespaces *n, uint64_t index, struct span op,
                      struct api_call *waiting, struct now now, struct outbox *out);

/* True for the default one's spellings too. */
bool namespace_exists(const struct namespaces *n, struct span id);

/* True when id means the default namespace. */
bool namespace_is_default(struct span id);

/* By id; NULL when there is none (the default one has none). */
const struct namespace_info *namespace_find(const struct namespaces *n, struct span id);

/* All, in the order of their ids (bytes). at < namespace_count (asserted). */
size_t namespace_count(const struct namespaces *n);
const struct namespace_info *namespace_at(const struct namespaces *n, size_t at);

/* The same on all nodes that have the same list (base/digest.h). */
uint64_t namespace_digest(const struct namespaces *n);

/* Must a read wait (API_LATER) until the list holds every answered write? The call is admitted
 * again then. */
bool namespace_is_behind(const struct namespaces *n, struct api_call *call, struct now now);

/* Configs in it, for people; "" is the default one. */
size_t namespace_configs(const struct namespaces *n, struct span id);

/* Why no write is taken at the moment, or 0: table_writer_trouble. */
MUST_USE int namespace_trouble(const struct namespaces *n, struct fail *fail);

/* Borrowed until namespace_destroy. */
const struct namespace_counters *namespace_counters(const struct namespaces *n);

#endif
