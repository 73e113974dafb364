#include "zip_maker.h"

#include "base/assert.h"
#include "base/mem.h"

struct zip_maker *zip_maker_create(void)
{
    return mem_zalloc(1, sizeof(struct zip_maker));
}

void zip_maker_destroy(struct zip_maker *z)
{
    mem_free(z);
}

uint32_t zip_crc32(struct span data)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= (unsigned char)data.data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static void put(char *dst, size_t *len, const char *data, size_t count)
{
    ASSERT(count <= ZIP_MAKER_MAX - *len);
    if (count > 0) {
        memcpy(dst + *len, data, count);
    }
    *len += count;
}

static void put_number(char *dst, size_t *len, uint64_t n, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        char c = (char)(n >> 8 * i & 0xff);
        put(dst, len, &c, 1);
    }
}

void zip_raw(struct zip_maker *z, struct span bytes)
{
    put(z->bytes, &z->len, bytes.data, bytes.len);
}

void zip_u32(struct zip_maker *z, uint32_t n)
{
    put_number(z->bytes, &z->len, n, 4);
}

void zip_u64(struct zip_maker *z, uint64_t n)
{
    put_number(z->bytes, &z->len, n, 8);
}

/* What both heads of an entry have in common: from the version on to the length of the name. */
static void put_facts(char *dst, size_t *len, const struct zip_part *p, bool honest)
{
    uint32_t crc = p->crc && !honest ? p->crc : zip_crc32(p->data);
    uint32_t packed = p->packed && !honest ? p->packed : (uint32_t)p->data.len;
    uint32_t size = p->size && !honest ? p->size : (uint32_t)p->data.len;
    put_number(dst, len, 20, 2);
    put_number(dst, len, p->flags, 2);
    put_number(dst, len, p->method, 2);
    put_number(dst, len, 0x21, 4); /* 1980-01-01 is 0x0021 0x0000; the order does not matter */
    put_number(dst, len, crc, 4);
    put_number(dst, len, packed, 4);
    put_number(dst, len, size, 4);
}

static void put_body(struct zip_maker *z, const struct zip_part *p)
{
    struct span name = p->local_name.data ? p->local_name : p->name;
    put(z->bytes, &z->len, "PK\3\4", 4);
    put_facts(z->bytes, &z->len, p, !p->lies_local && p->method == 0);
    put_number(z->bytes, &z->len, name.len, 2);
    put_number(z->bytes, &z->len, 0, 2);
    zip_raw(z, name);
    zip_raw(z, p->data);
}

size_t zip_part(struct zip_maker *z, const struct zip_part *p)
{
    size_t at = p->no_body ? p->at : z->len;
    if (!p->no_body) {
        put_body(z, p);
    }
    put(z->directory, &z->directory_len, "PK\1\2", 4);
    put_number(z->directory, &z->directory_len, 20, 2);
    put_facts(z->directory, &z->directory_len, p, false);
    put_number(z->directory, &z->directory_len, p->name.len, 2);
    put_number(z->directory, &z->directory_len, 0, 2); /* extra */
    put_number(z->directory, &z->directory_len, 0, 2); /* comment */
    put_number(z->directory, &z->directory_len, 0, 2); /* disk */
    put_number(z->directory, &z->directory_len, 0, 2);
    put_number(z->directory, &z->directory_len, 0, 4);
    put_number(z->directory, &z->directory_len, at, 4);
    put(z->directory, &z->directory_len, p->name.data, p->name.len);
    z->count++;
    return at;
}

void zip_stored(struct zip_maker *z, const char *name, const char *content)
{
    (void)zip_part(z, &(struct zip_part){.name = span_str(name), .data = span_str(content)});
}

struct span zip_end(struct zip_maker *z)
{
    return zip_end_as(z, z->count, 0);
}

struct span zip_end_as(struct zip_maker *z, unsigned count, unsigned comment_len)
{
    size_t at = z->len;
    put(z->bytes, &z->len, z->directory, z->directory_len);
    put(z->bytes, &z->len, "PK\5\6", 4);
    put_number(z->bytes, &z->len, 0, 4);
    put_number(z->bytes, &z->len, count, 2);
    put_number(z->bytes, &z->len, count, 2);
    put_number(z->bytes, &z->len, z->directory_len, 4);
    put_number(z->bytes, &z->len, at, 4);
    put_number(z->bytes, &z->len, comment_len, 2);
    return span_of(z->bytes, z->len);
}
