/* Operations on namespaces: what stands in the log, and its codec (proto/namespace_op.proto,
 * protobuf-c).
 *
 * Thread:  any; no state.
 * Limits:  those below, in bytes for ids and characters (UTF-16 units, as Java counts) for texts:
 *          checked by admit before (namespace_op_check), refused by decode.
 * Source:  semantics.md 2.15 and 3.2: the columns of tenant_info.
 */
#ifndef NACRE_NAMESPACE_NAMESPACE_OP_H
#define NACRE_NAMESPACE_NAMESPACE_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "base/span.h"

#define NAMESPACE_OP_VERSION 1
#define NAMESPACE_OP_ARENA_MAX (64u << 10)
#define NAMESPACE_ID_MAX 128
#define NAMESPACE_NAME_CHARS_MAX 128
#define NAMESPACE_DESC_CHARS_MAX 256

enum namespace_op_kind { NAMESPACE_OP_PUT = 10, NAMESPACE_OP_REMOVE = 11 };

/* One operation, decoded. Plain data; REMOVE has the id only. */
struct namespace_op {
    enum namespace_op_kind kind;
    int64_t time_ms;
    struct span id;
    struct span name;
    struct span desc; /* data NULL: none */
    bool create;      /* PUT: new; else it changes one that exists */
};

/* Letters, digits, - and _ (ASCII), at least one. */
bool namespace_id_is_word(struct span id);

/* At least one character, none of @#$%^&*. */
bool namespace_name_is_legal(struct span name);

/* Characters as Java counts them. What is no UTF-8 counts one each. */
size_t namespace_chars(struct span text);

/* Pack; one reference. */
MUST_USE struct buf *namespace_op_encode(const struct namespace_op *op);

/* What decode demands of the values, beyond the shape. E_INVALID  with the first that is wrong */
MUST_USE int namespace_op_check(const struct namespace_op *op, struct fail *fail);

/* Unpack into the arena. E_PARSE  damaged, unknown version or kind, or a value that no admit would
 * have let through */
MUST_USE int namespace_op_decode(struct span bytes, struct arena *arena, struct namespace_op *ret,
                                 struct fail *fail);

#endif
