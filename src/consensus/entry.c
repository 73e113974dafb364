#include "consensus/entry.h"

#include <endian.h>

#include "base/assert.h"
#include "base/mem.h"

#define HEAD_BYTES 5    /* version, count */
#define OP_HEAD_BYTES 5 /* kind, length */
#define ENTRY_FIRST 4096

static void put_u32(char *at, uint32_t n)
{
    n = htole32(n);
    memcpy(at, &n, sizeof n);
}

static uint32_t get_u32(const char *at)
{
    uint32_t n = 0;
    memcpy(&n, at, sizeof n);
    return le32toh(n);
}

static char *room(struct entry_writer *w, size_t more)
{
    ASSERT(more <= SIZE_MAX / 4 - w->len);
    if (w->cap - w->len < more) {
        size_t cap = w->cap ? w->cap : ENTRY_FIRST;
        while (cap - w->len < more) {
            cap *= 2;
        }
        w->data = mem_realloc(w->data, cap, 1);
        w->cap = cap;
    }
    return w->data + w->len;
}

static void begin(struct entry_writer *w)
{
    if (w->len == 0) {
        (void)room(w, HEAD_BYTES);
        w->len = HEAD_BYTES;
    }
}

void entry_add(struct entry_writer *w, unsigned kind, struct span op)
{
    ASSERT(kind > 0 && kind <= UINT8_MAX);
    ASSERT(op.len <= UINT32_MAX);
    ASSERT(w->count < UINT32_MAX);
    begin(w);
    char *at = room(w, OP_HEAD_BYTES + op.len);
    at[0] = (char)kind;
    put_u32(at + 1, (uint32_t)op.len);
    if (op.len > 0) {
        memcpy(at + OP_HEAD_BYTES, op.data, op.len);
    }
    w->len += OP_HEAD_BYTES + op.len;
    w->count++;
}

struct span entry_bytes(struct entry_writer *w)
{
    begin(w);
    w->data[0] = ENTRY_VERSION;
    put_u32(w->data + 1, w->count);
    return span_of(w->data, w->len);
}

void entry_reset(struct entry_writer *w, size_t keep_max)
{
    if (w->cap > keep_max) {
        entry_close(w);
    }
    w->len = 0;
    w->count = 0;
}

void entry_close(struct entry_writer *w)
{
    mem_free(w->data);
    *w = (struct entry_writer){0};
}

/* The operation at the front of *rest, which is cut off. False when the rest is too short or the
 * kind is 0. */
static bool take_op(struct span *rest, unsigned *ret_kind, struct span *ret_op)
{
    if (rest->len < OP_HEAD_BYTES) {
        return false;
    }
    unsigned kind = (unsigned char)rest->data[0];
    size_t len = get_u32(rest->data + 1);
    if (kind == 0 || len > rest->len - OP_HEAD_BYTES) {
        return false;
    }
    *ret_kind = kind;
    *ret_op = span_of(rest->data + OP_HEAD_BYTES, len);
    *rest = span_of(rest->data + OP_HEAD_BYTES + len, rest->len - OP_HEAD_BYTES - len);
    return true;
}

int entry_open(struct span bytes, struct entry_reader *ret, struct fail *fail)
{
    if (bytes.len < HEAD_BYTES) {
        return fail_set(fail, E_PARSE, "log entry of %zu bytes, expected at least %d", bytes.len,
                        HEAD_BYTES);
    }
    if (bytes.data[0] != ENTRY_VERSION) {
        return fail_set(fail, E_PARSE, "log entry of version %d, expected %d",
                        (unsigned char)bytes.data[0], ENTRY_VERSION);
    }
    struct entry_reader reader = {span_of(bytes.data + HEAD_BYTES, bytes.len - HEAD_BYTES),
                                  get_u32(bytes.data + 1)};
    struct span rest = reader.rest;
    for (uint32_t i = 0; i < reader.left; i++) {
        unsigned kind = 0;
        struct span op = {0};
        if (!take_op(&rest, &kind, &op)) {
            return fail_set(fail, E_PARSE, "log entry: operation %u of %u is broken or cut short",
                            i + 1, reader.left);
        }
    }
    if (rest.len > 0) {
        return fail_set(fail, E_PARSE, "log entry: %zu bytes after operation %u, the last",
                        rest.len, reader.left);
    }
    *ret = reader;
    return 0;
}

bool entry_next(struct entry_reader *r, unsigned *ret_kind, struct span *ret_op)
{
    if (r->left == 0) {
        return false;
    }
    r->left--;
    bool is_whole = take_op(&r->rest, ret_kind, ret_op);
    ASSERT(is_whole);
    return true;
}
