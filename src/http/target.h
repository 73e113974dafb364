/* The request target: where a URI points below the context, and its query.
 *
 * Thread:  edge, one at a time.
 * Owns:    nothing: spans point into the URI or into the arena.
 * Source:  http-api.md 1.1 (context, decoding); RFC 9112 3.2 (origin and absolute form).
 */
#ifndef NACRE_HTTP_TARGET_H
#define NACRE_HTTP_TARGET_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

/* Plain data. */
struct target {
    struct span path; /* as it was sent, without the query */
    struct span
        below;   /* decoded, below the context: "/v1/ns/instance"; "" for the context itself */
    bool inside; /* false: not below the context; below is then empty */
    char *query; /* writable: the form parser decodes in place */
    size_t query_len;
};

/* Cut uri, which is the caller's to keep and is not changed. context: "/nacos" or "".
 * E_INVALID  a broken %-sequence or a NUL in the path, or no path at all */
MUST_USE int target_parse(char *uri, size_t len, struct span context, struct arena *arena,
                          struct target *ret, struct fail *fail);

#endif
