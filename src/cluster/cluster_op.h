/* Operations of the cluster itself: lives of owners. As they stand in the log, and their codec
 * (proto/cluster_op.proto, protobuf-c).
 *
 * Thread:  any; no state.
 */
#ifndef NACRE_CLUSTER_CLUSTER_OP_H
#define NACRE_CLUSTER_CLUSTER_OP_H

#include <stdint.h>

#include "base/buf.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define CLUSTER_OP_VERSION 1
#define CLUSTER_OP_BYTES_MAX 128

enum cluster_op_kind {
    CLUSTER_OWNER_UP = 10,
    CLUSTER_OWNER_EXPIRE = 11,
    CLUSTER_OWNER_FORGET = 12,
};

/* Plain data. */
struct cluster_op {
    enum cluster_op_kind kind;
    int64_t time_ms; /* wall clock of the node that proposed it */
    uint64_t owner;
    uint64_t epoch; /* UP, EXPIRE */
};

/* Pack; one reference. */
MUST_USE struct buf *cluster_op_encode(const struct cluster_op *op);

/* Unpack. E_PARSE  damaged, unknown version or kind, an owner or epoch of 0 */
MUST_USE int cluster_op_decode(struct span bytes, struct cluster_op *ret, struct fail *fail);

#endif
