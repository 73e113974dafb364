/* Looking at the first bytes of a connection, before libmicrohttpd takes it.
 *
 * Thread:  any; a pure function.
 * Limits:  HEAD_SMALL_MAX bytes of request line and headers are a small head.
 */
#ifndef NACRE_HTTP_HEAD_H
#define NACRE_HTTP_HEAD_H

#include "base/span.h"

/* What a connection with an ordinary buffer can take; the buffer is twice as large (http.c). */
#define HEAD_SMALL_MAX (16u << 10)

enum head_kind {
    HEAD_MORE,  /* not complete yet, and still small */
    HEAD_SMALL, /* complete and small */
    HEAD_LARGE, /* over HEAD_SMALL_MAX */
    HEAD_ALIEN, /* no HTTP: a TLS greeting, HTTP/2's preface, binary */
};

/* Judge what has arrived so far. seen may be cut at HEAD_SMALL_MAX + 1 bytes. */
enum head_kind head_look(struct span seen);

#endif
