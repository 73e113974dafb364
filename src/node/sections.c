#include "node/sections.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"

#define MAGIC_BYTES (sizeof(SECTIONS_MAGIC) - 1)
#define SKIP_BYTES 16384

static int put_u32(const struct byte_sink *to, uint32_t n, struct fail *fail)
{
    uint32_t wire = htole32(n);
    return to->write(to->self, span_of((const char *)&wire, sizeof(wire)), fail);
}

int sections_begin(struct sections_out *s, const struct byte_sink *to, struct fail *fail)
{
    *s = (struct sections_out){.to = to};
    int err = to->write(to->self, SPAN(SECTIONS_MAGIC), fail);
    return err ? err : put_u32(to, SECTIONS_VERSION, fail);
}

static int write_piece(void *self, struct span bytes, struct fail *fail)
{
    struct sections_out *s = self;
    ASSERT(s->is_open);
    ASSERT(bytes.len <= UINT32_MAX);
    if (bytes.len == 0) {
        return 0;
    }
    int err = put_u32(s->to, (uint32_t)bytes.len, fail);
    return err ? err : s->to->write(s->to->self, bytes, fail);
}

int section_open(struct sections_out *s, enum section kind, struct byte_sink *ret_sink,
                 struct fail *fail)
{
    ASSERT(!s->is_open);
    ASSERT(kind != SECTION_END);
    int err = put_u32(s->to, (uint32_t)kind, fail);
    if (!err) {
        s->is_open = true;
        *ret_sink = (struct byte_sink){s, write_piece};
    }
    return err;
}

int section_close(struct sections_out *s, struct fail *fail)
{
    ASSERT(s->is_open);
    s->is_open = false;
    return put_u32(s->to, 0, fail);
}

int sections_finish(struct sections_out *s, struct fail *fail)
{
    ASSERT(!s->is_open);
    return put_u32(s->to, SECTION_END, fail);
}

static int get_u32(const struct byte_source *from, uint32_t *ret, struct fail *fail)
{
    uint32_t wire = 0;
    int err = from->read(from->self, &wire, sizeof(wire), fail);
    if (!err) {
        *ret = le32toh(wire);
    }
    return err;
}

int sections_open(struct sections_in *s, const struct byte_source *from, struct fail *fail)
{
    char magic[MAGIC_BYTES];
    uint32_t version = 0;
    *s = (struct sections_in){.from = from};
    int err = from->read(from->self, magic, sizeof(magic), fail);
    if (err) {
        return err;
    }
    if (memcmp(magic, SECTIONS_MAGIC, sizeof(magic)) != 0) {
        return fail_set(fail, E_PARSE, "this is no snapshot or backup of Nacre");
    }
    err = get_u32(from, &version, fail);
    if (!err && version != SECTIONS_VERSION) {
        return fail_set(fail, E_PARSE,
                        "it is of format %u, and this Nacre knows format %d: use a newer one",
                        version, SECTIONS_VERSION);
    }
    return err;
}

/* Make left the rest of the current piece, or end the section. */
static int ensure_piece(struct sections_in *s, struct fail *fail)
{
    if (s->left > 0 || !s->is_inside) {
        return 0;
    }
    int err = get_u32(s->from, &s->left, fail);
    if (!err && s->left == 0) {
        s->is_inside = false;
    }
    return err;
}

int section_read_some(struct sections_in *s, void *dst, size_t max, size_t *ret_len,
                      struct fail *fail)
{
    int err = ensure_piece(s, fail);
    if (err) {
        return err;
    }
    size_t len = s->left < max ? s->left : max;
    if (len) {
        err = s->from->read(s->from->self, dst, len, fail);
    }
    if (!err) {
        s->left -= (uint32_t)len;
        *ret_len = len;
    }
    return err;
}

static int read_exactly(void *self, void *dst, size_t len, struct fail *fail)
{
    struct sections_in *s = self;
    char *at = dst;
    while (len > 0) {
        size_t some = 0;
        int err = section_read_some(s, at, len, &some, fail);
        if (err) {
            return err;
        }
        if (some == 0) {
            return fail_set(fail, E_PARSE, "a section ends %zu bytes too early", len);
        }
        at += some;
        len -= some;
    }
    return 0;
}

int sections_next(struct sections_in *s, uint32_t *ret_kind, struct byte_source *ret_source,
                  struct fail *fail)
{
    char skipped[SKIP_BYTES];
    while (s->is_inside) {
        size_t len = 0;
        int err = section_read_some(s, skipped, sizeof(skipped), &len, fail);
        if (err) {
            return err;
        }
    }
    int err = get_u32(s->from, ret_kind, fail);
    if (!err) {
        s->is_inside = *ret_kind != SECTION_END;
        *ret_source = (struct byte_source){s, read_exactly};
    }
    return err;
}
