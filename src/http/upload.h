/* A request body as it arrives, in one growing buffer, within the limits of one body and of all
 * bodies together.
 *
 * Thread:  edge, one at a time; the total is shared by all edge threads.
 * Owns:    the buffer until upload_close.
 * Limits:  HTTP_FORM_MAX bytes a body, UPLOAD_TOTAL_MAX bytes of all.
 */
#ifndef NACRE_HTTP_UPLOAD_H
#define NACRE_HTTP_UPLOAD_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define UPLOAD_TOTAL_MAX (256u << 20)

/* Embedded by its owner; zero-initialised is empty. */
struct upload {
    char *data;
    size_t len;
    size_t cap;
    atomic_size_t *total; /* the bytes that all uploads hold; set at the first byte */
};

/* Append a piece. E_TOO_LARGE  over HTTP_FORM_MAX   E_LIMIT  all bodies together are over
 * UPLOAD_TOTAL_MAX */
MUST_USE int upload_add(struct upload *u, struct span piece, atomic_size_t *total,
                        struct fail *fail);

/* Free the bytes and give them back to the total. */
void upload_close(struct upload *u);

#endif
