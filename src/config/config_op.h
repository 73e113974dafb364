/* Operations of the configuration centre as they stand in the log, and their codec
 * (proto/config_op.proto, protobuf-c).
 *
 * Thread:  any; no state.
 * Limits:  CONSENSUS_OP_BYTES_MAX bytes; CONFIG_IMPORT_MAX items of an import, and those below:
 *          admit checks them with their texts before (config_op_check), decode refuses them again.
 */
#ifndef NACRE_CONFIG_CONFIG_OP_H
#define NACRE_CONFIG_CONFIG_OP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "config/config_key.h"
#include "config/config_value.h"

#define CONFIG_OP_VERSION 1
#define CONFIG_OP_ARENA_MAX (32u << 20)
#define CONFIG_IMPORT_MAX 10000
/* Bytes, beyond the character limits that admit checks with Nacos's texts (semantics.md 2.2). */
#define CONFIG_CONTENT_BYTES_MAX (10u << 20)
#define CONFIG_TEXT_BYTES_MAX (128u << 10) /* schema: 32768 characters; all others are below */

enum config_op_kind {
    CONFIG_OP_PUBLISH = 20,
    CONFIG_OP_REMOVE = 21,
    CONFIG_OP_IMPORT = 22,       /* several publishes in one entry, each with the op's policy */
    CONFIG_OP_TRIM_HISTORY = 23, /* history older than a time goes */
};

/* What happens when the config exists. Stands in the log. */
enum config_policy {
    CONFIG_OVERWRITE = 0, /* a publish */
    CONFIG_ABORT = 1,     /* it fails, and all that follow in the import are skipped */
    CONFIG_SKIP = 2,      /* it is skipped */
};

/* One publish. Plain data. NULL spans (data NULL) are "not sent": the field is cleared, but
 * app_name and tags, which stay as they are (semantics.md 2.4). */
struct config_publish {
    struct config_key key;
    struct span gray_name; /* "": the formal version */
    struct span gray_rule;
    struct span content;
    uint8_t md5[CONFIG_MD5_BYTES]; /* of content; computed on the edge */
    enum config_type type;
    struct span encrypted_key;
    struct span cas_md5; /* "": unconditional; else the md5 text that must be there */
    struct span app_name;
    struct span tags; /* comma list; "" with data: all go */
    struct span desc, use, effect, schema;
};

/* One operation, decoded. Only the fields of the kind are meaningful. Plain data. */
struct config_op {
    enum config_op_kind kind;
    int64_t time_ms;      /* wall clock of the node that took it */
    struct span src_user; /* who, for the history */
    struct span src_ip;
    uint32_t
        gray_max; /* PUBLISH, IMPORT: gray versions of a config; 0: the applying node's option */
    /* PUBLISH: one; IMPORT: count of them. */
    const struct config_publish *publish;
    size_t publish_count;
    enum config_policy policy; /* IMPORT */
    /* REMOVE */
    struct config_key key;
    struct span gray_name; /* "": the formal version; its gray ones stay */
    /* TRIM_HISTORY */
    int64_t before_ms;
};

/* Pack; one reference. */
MUST_USE struct buf *config_op_encode(const struct config_op *op);

/* What decode demands of the values, beyond the shape. E_INVALID  with the first that is wrong */
MUST_USE int config_op_check(const struct config_op *op, struct fail *fail);

/* Unpack into the arena. E_PARSE  damaged, unknown version or kind, or a
 * value that no admit would have let through */
MUST_USE int config_op_decode(struct span bytes, struct arena *arena, struct config_op *ret,
                              struct fail *fail);

#endif
