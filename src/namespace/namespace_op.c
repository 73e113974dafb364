#include "namespace/namespace_op.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "consensus/consensus.h"
#include "namespace_op.pb-c.h"

bool namespace_id_is_word(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool is_ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_';
        if (!is_ok) {
            return false;
        }
    }
    return id.len > 0;
}

bool namespace_name_is_legal(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (memchr("@#$%^&*", name.data[i], 7)) {
            return false;
        }
    }
    return name.len > 0;
}

size_t namespace_chars(struct span text)
{
    size_t chars = 0;
    for (size_t at = 0; at < text.len;) {
        bool is_valid = false;
        size_t len = utf8_step(text.data + at, text.len - at, &is_valid);
        chars += is_valid && len == 4 ? 2 : 1;
        at += len;
    }
    return chars;
}

static ProtobufCBinaryData pack_span(struct span s)
{
    /* protobuf-c only reads it. */
    union {
        const char *from;
        uint8_t *to;
    } cast = {.from = s.data};
    return (ProtobufCBinaryData){.len = s.len, .data = cast.to};
}

static struct span unpack_span(ProtobufCBinaryData d)
{
    return span_of((const char *)d.data, d.len);
}

static struct buf *pack(const Nacre__NamespaceOp *m)
{
    size_t len = nacre__namespace_op__get_packed_size(m);
    char *bytes = mem_alloc(len);
    nacre__namespace_op__pack(m, (uint8_t *)bytes);
    return buf_take(bytes, len);
}

/* m is the envelope; a copy, because what it points to lives no longer than the call. */
static struct buf *encode_put(const struct namespace_op *op, Nacre__NamespaceOp m)
{
    Nacre__NamespacePut put = NACRE__NAMESPACE_PUT__INIT;
    Nacre__NamespaceText desc = NACRE__NAMESPACE_TEXT__INIT;
    desc.text = pack_span(op->desc);
    put.id = pack_span(op->id);
    put.name = pack_span(op->name);
    put.desc = op->desc.data ? &desc : NULL;
    put.create = op->create;
    m.op_case = NACRE__NAMESPACE_OP__OP_PUT;
    m.put = &put;
    return pack(&m);
}

static struct buf *encode_remove(const struct namespace_op *op, Nacre__NamespaceOp m)
{
    Nacre__NamespaceRemove gone = NACRE__NAMESPACE_REMOVE__INIT;
    gone.id = pack_span(op->id);
    m.op_case = NACRE__NAMESPACE_OP__OP_REMOVE;
    m.remove = &gone;
    return pack(&m);
}

struct buf *namespace_op_encode(const struct namespace_op *op)
{
    Nacre__NamespaceOp m = NACRE__NAMESPACE_OP__INIT;
    m.version = NAMESPACE_OP_VERSION;
    m.time_ms = op->time_ms;
    switch (op->kind) {
    case NAMESPACE_OP_PUT:
        return encode_put(op, m);
    case NAMESPACE_OP_REMOVE:
        return encode_remove(op, m);
    }
    ASSERT(!"a kind outside the enum");
    return NULL;
}

/* What a column, and a text of SQLite or MySQL, can hold. */
static int check_text(const char *what, struct span text, size_t chars_max, struct fail *fail)
{
    if (!utf8_valid(text.data ? text.data : "", text.len) ||
        memchr(text.data ? text.data : "", 0, text.len)) {
        return fail_set(fail, E_INVALID, "%s: expected UTF-8 without NUL", what);
    }
    size_t chars = namespace_chars(text);
    if (chars > chars_max) {
        return fail_set(fail, E_INVALID, "%s: expected at most %zu characters, got %zu", what,
                        chars_max, chars);
    }
    return 0;
}

int namespace_op_check(const struct namespace_op *op, struct fail *fail)
{
    if (op->time_ms <= 0) {
        return fail_set(fail, E_INVALID, "time: expected milliseconds since 1970, got %lld",
                        (long long)op->time_ms);
    }
    if (!namespace_id_is_word(op->id) || op->id.len > NAMESPACE_ID_MAX) {
        return fail_set(fail, E_INVALID,
                        "namespaceId: expected 1 to %d letters, digits, '-' and '_'",
                        NAMESPACE_ID_MAX);
    }
    if (op->kind != NAMESPACE_OP_PUT) {
        return 0;
    }
    if (!namespace_name_is_legal(op->name)) {
        return fail_set(fail, E_INVALID,
                        "namespaceName: expected at least one character and none of @#$%%^&*");
    }
    int err = check_text("namespaceName", op->name, NAMESPACE_NAME_CHARS_MAX, fail);
    return err ? err : check_text("namespaceDesc", op->desc, NAMESPACE_DESC_CHARS_MAX, fail);
}

/* protobuf-c's allocator on an arena: what does not fit fails the unpacking. */
static void *arena_take(void *arena, size_t size)
{
    return arena_try(arena, size);
}

static void arena_keep(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

static int decode_kind(const Nacre__NamespaceOp *m, struct namespace_op *ret, struct fail *fail)
{
    switch (m->op_case) {
    case NACRE__NAMESPACE_OP__OP_PUT:
        ret->kind = NAMESPACE_OP_PUT;
        ret->id = unpack_span(m->put->id);
        ret->name = unpack_span(m->put->name);
        ret->create = m->put->create;
        if (m->put->desc) {
            ret->desc = unpack_span(m->put->desc->text);
            ret->desc = ret->desc.data ? ret->desc : SPAN(""); /* empty, and there */
        }
        return 0;
    case NACRE__NAMESPACE_OP__OP_REMOVE:
        ret->kind = NAMESPACE_OP_REMOVE;
        ret->id = unpack_span(m->remove->id);
        return 0;
    case NACRE__NAMESPACE_OP__OP__NOT_SET:
    default:
        return fail_set(fail, E_PARSE, "operation of the log: unknown kind");
    }
}

int namespace_op_decode(struct span bytes, struct arena *arena, struct namespace_op *ret,
                        struct fail *fail)
{
    ProtobufCAllocator allocator = {arena_take, arena_keep, arena};
    const Nacre__NamespaceOp *m =
        bytes.len > CONSENSUS_OP_BYTES_MAX
            ? NULL
            : nacre__namespace_op__unpack(&allocator, bytes.len, (const uint8_t *)bytes.data);
    if (!m) {
        return fail_set(fail, E_PARSE, "operation of the log: damaged");
    }
    if (m->version != NAMESPACE_OP_VERSION) {
        return fail_set(fail, E_PARSE, "operation of the log: version %u, this node knows %d",
                        m->version, NAMESPACE_OP_VERSION);
    }
    struct namespace_op op = {.time_ms = m->time_ms};
    int err = decode_kind(m, &op, fail);
    if (err) {
        return err;
    }
    struct fail why = {0};
    if (namespace_op_check(&op, &why) != 0) {
        return fail_set(fail, E_PARSE, "operation of the log: %s", fail_text(&why));
    }
    *ret = op;
    return 0;
}
