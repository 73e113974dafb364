/* An HTTP/1.1 response, taken from bytes as they come: status line, headers, a body by
 * Content-Length or in chunks.
 *
 * Thread:  one owner. Owns: the body's memory.
 * Limits:  a line of H1_LINE_MAX bytes, a body of H1_BODY_MAX; more is E_TOO_LARGE.
 * Source:  RFC 9112 (only what servers send to PUT, POST and GET; no trailers are kept).
 */
#ifndef NACRE_BENCH_H1REPLY_H
#define NACRE_BENCH_H1REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "bench/bytes.h"

#define H1_LINE_MAX 8192
#define H1_BODY_MAX ((size_t)16 * 1024 * 1024)

enum h1_state {
    H1_STATUS,
    H1_HEADER,
    H1_BODY,
    H1_CHUNK_SIZE,
    H1_CHUNK,
    H1_CHUNK_END,
    H1_TRAILER,
    H1_DONE
};

/* Embedded by its owner; zero-initialised expects a response. status, close and body are valid once
 * state is H1_DONE. */
struct h1reply {
    enum h1_state state;
    int status;
    bool close; /* the server closes the connection after this response */
    struct bytes body;
    struct bytes line; /* of a line that came in pieces */
    size_t left;       /* of the body or chunk */
    bool chunked;
};

/* Take bytes up to the end of the response at most; *ret_used says how many were taken. E_PARSE:
 * not HTTP/1.1. E_TOO_LARGE. */
MUST_USE int h1reply_take(struct h1reply *r, struct span bytes, size_t *ret_used,
                          struct fail *fail);

/* Expect the next response; the memory is kept. */
void h1reply_reset(struct h1reply *r);

/* Free the memory. */
void h1reply_close(struct h1reply *r);

#endif
