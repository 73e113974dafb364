/* Operations of the registry: what stands in the log, and its codec (proto/naming_op.proto,
 * protobuf-c).
 *
 * Thread:  any; no state.
 * Limits:  CONSENSUS_OP_BYTES_MAX bytes, INSTANCE_BATCH_MAX instances, and those below: checked by
 *          admit before (naming_op_check), refused by decode. An arena of NAMING_OP_ARENA_MAX holds
 *          every operation that admit lets through.
 */
#ifndef NACRE_NAMING_NAMING_OP_H
#define NACRE_NAMING_NAMING_OP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "naming/name.h"
#include "naming/naming.h"

#define NAMING_OP_VERSION 1
#define NAMING_OP_ARENA_MAX (256u << 20)
#define NAMING_OP_CLIENT_MAX 640            /* bytes of a client id */
#define NAMING_OP_METADATA_BYTES_MAX 65536u /* an overlay's or a record's keys and values */
#define NAMING_OP_SELECTOR_MAX 4096u        /* bytes */

enum naming_op_kind {
    NAMING_OP_PUBLISH = 10,
    NAMING_OP_UNPUBLISH = 11,
    NAMING_OP_CLIENT_GONE = 12,
    NAMING_OP_HEALTH = 13,
    NAMING_OP_OVERLAY = 14,
    NAMING_OP_SERVICE_PUT = 15,
    NAMING_OP_SERVICE_REMOVE = 16,
    NAMING_OP_FENCE = 17,
};

/* One operation, decoded. Spans live in the request's arena (to encode) or the decoding arena.
 * Plain data; only the fields of the kind are meaningful. */
struct naming_op {
    enum naming_op_kind kind;
    enum client_kind client_kind;
    int64_t time_ms;
    uint64_t owner; /* whose operation it is: the log's envelope says it, not these bytes */
    struct service_name service;
    struct span client;
    const struct instance_data *instances;
    size_t instances_count;
    enum removal_reason reason;
    bool ephemeral;
    bool batch;
    bool healthy;
    bool create;
    bool is_explicit;
    uint64_t seen_revision; /* 0: any */
    /* overlay */
    bool remove;
    bool has_weight, has_enabled, enabled, merge_metadata;
    bool must_exist;
    int64_t seen_ms; /* 0: any */
    uint16_t port;
    double weight;
    struct span ip;
    struct span cluster;
    const struct instance_pair *metadata;
    size_t metadata_count;
    const struct span *metadata_remove;
    size_t metadata_remove_count;
    /* service record */
    double protect_threshold;
    struct span selector;
    uint64_t fence;
};

/* Pack; one reference. */
MUST_USE struct buf *naming_op_encode(const struct naming_op *op);

/* What decode demands of the values of its kind, beyond the shape: apply's tables rely on it. For
 * admit, before naming_op_encode.
 * E_INVALID  with the first value that is wrong */
MUST_USE int naming_op_check(const struct naming_op *op, struct fail *fail);

/* Parts of it, which the values of a snapshot pass too. Any negative code, with the reason. */
MUST_USE int naming_op_check_client(struct span client, struct fail *fail);
MUST_USE int naming_op_check_instance(const struct instance_data *d, struct fail *fail);

/* Unpack into arena. E_PARSE: damaged, unknown version or kind, or a value that no admit would have
 * let through. */
MUST_USE int naming_op_decode(struct span bytes, struct arena *arena, struct naming_op *ret,
                              struct fail *fail);

#endif
