/* Zips made by hand, byte by byte, so that they can lie.
 *
 * Thread:  the test's.
 */
#ifndef NACRE_TESTS_ZIP_MAKER_H
#define NACRE_TESTS_ZIP_MAKER_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define ZIP_MAKER_MAX (1u << 20)

/* An entry; what is zero is what an honest zip would say. */
struct zip_part {
    struct span name;
    struct span data;       /* as it stands in the zip */
    struct span local_name; /* what the head before the data says instead */
    uint16_t method;        /* 0: stored, 8: deflated */
    uint16_t flags;         /* 1: encrypted, 8: sizes behind the data */
    uint32_t size;          /* unpacked */
    uint32_t packed;
    uint32_t crc;
    bool no_body;    /* only the directory knows it: it lies at `at` */
    uint32_t at;     /* offset of its head, with no_body */
    bool lies_local; /* size, packed and crc stand in the local head, too */
};

/* Zero-initialised is empty. */
struct zip_maker {
    char bytes[ZIP_MAKER_MAX];
    size_t len;
    char directory[ZIP_MAKER_MAX];
    size_t directory_len;
    unsigned count;
};

struct zip_maker *zip_maker_create(void);
void zip_maker_destroy(struct zip_maker *z);

/* Append an entry; the offset of its head. */
size_t zip_part(struct zip_maker *z, const struct zip_part *p);

/* Append a stored entry. */
void zip_stored(struct zip_maker *z, const char *name, const char *content);

/* Append the directory; the whole zip, borrowed. */
struct span zip_end(struct zip_maker *z);

/* As zip_end; the directory's end says count and comment_len. */
struct span zip_end_as(struct zip_maker *z, unsigned count, unsigned comment_len);

/* Append raw bytes, and numbers in little endian. */
void zip_raw(struct zip_maker *z, struct span bytes);
void zip_u32(struct zip_maker *z, uint32_t n);
void zip_u64(struct zip_maker *z, uint64_t n);

uint32_t zip_crc32(struct span data);

#endif
