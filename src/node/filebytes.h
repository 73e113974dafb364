/* A file as a stream of bytes with a running SHA-256: how backups are written and read.
 *
 * Thread:  one at a time. Embedded, zero-initialised.
 */
#ifndef NACRE_NODE_FILEBYTES_H
#define NACRE_NODE_FILEBYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macros.h"
#include "base/stream.h"

#define FILEBYTES_PATH_MAX 4096
#define FILEBYTES_DIGEST 32

struct evp_md_ctx_st;

struct filebytes {
    FILE *file;
    struct evp_md_ctx_st *digest;
    uint64_t bytes;                /* written or read */
    char path[FILEBYTES_PATH_MAX]; /* the final name; what is written is path.part */
};

/* Begin path.part (0600, replaced). */
MUST_USE int filebytes_create(struct filebytes *f, const char *path, struct fail *fail);
struct byte_sink filebytes_sink(struct filebytes *f);

/* Append the digest if with_digest, sync, give the file its name, sync the folder; closed in every
 * case, and path.part removed on an error. */
MUST_USE int filebytes_finish(struct filebytes *f, bool with_digest, struct fail *fail);

/* Give up: path.part goes. Fine when it is not open. */
void filebytes_drop(struct filebytes *f);

/* Open path for reading. E_NOT_FOUND, E_IO */
MUST_USE int filebytes_open(struct filebytes *f, const char *path, struct fail *fail);
struct byte_source filebytes_source(struct filebytes *f);

/* The digest that follows equals the one of all that was read, and nothing follows it. E_CORRUPT */
MUST_USE int filebytes_verify(struct filebytes *f, struct fail *fail);
void filebytes_close(struct filebytes *f);

#endif
