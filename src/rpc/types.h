/* Request types: what /Request/request knows by name, and the figures of each.
 *
 * Thread:  constant after types_create, but for the figures (atomics).
 * Source:  grpc-sdk.md 1.3 (registry), 3.10 (cluster-only types). What is not here is answered 302,
 *          whether Nacos has it (config, fuzzy watch, lock, mcp, PushAckRequest) or not: Nacos too
 *          says "RequestHandler Not Found" to both.
 */
#ifndef NACRE_RPC_TYPES_H
#define NACRE_RPC_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "api/row.h"
#include "rpc/rpc.h"

enum type_kind {
    TYPE_CLUSTER_ONLY, /* between Nacos servers: refused here with 502 */
    TYPE_SERVER_CHECK,
    TYPE_HEALTH_CHECK,
    TYPE_ROW, /* a feature's */
};

/* Plain data. row and what follows: TYPE_ROW only. stats: NULL for TYPE_CLUSTER_ONLY. */
struct type {
    enum type_kind kind;
    const struct api_row *row;
    void *read_self;
    void *admit_self;
    struct rpc_row_stats *stats;
};

struct types;

/* The table of the edge's own types and all rows. A name that comes twice is our bug (asserted). */
struct types *types_create(const struct api_rows *features, size_t count);

/* NULL is fine. */
void types_destroy(struct types *t);

/* Borrow; NULL when unknown. */
const struct type *types_find(const struct types *t, struct span name);

/* One answer more; nanos: from arrival to answer. */
void type_count(const struct type *type, bool ok, uint64_t nanos);

/* All figures; *ret_count entries. */
const struct rpc_row_stats *types_stats(const struct types *t, size_t *ret_count);

#endif
