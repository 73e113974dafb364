#include "http/head.h"

#include <string.h>

/* The first byte of a method is a letter; empty lines before the request line are allowed (RFC
 * 9112, 2.2). */
static bool may_begin_request(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\r' || c == '\n';
}

/* True when seen has an empty line behind its first non-empty line. A bare LF counts as a line end,
 * as libmicrohttpd takes it. */
static bool has_end(struct span seen)
{
    const char *at = seen.data;
    const char *end = seen.data + seen.len;
    while (at < end && (*at == '\r' || *at == '\n')) {
        at++;
    }
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) {
            return false;
        }
        at = line_end + 1;
        if (at < end && *at == '\n') {
            return true;
        }
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') {
            return true;
        }
    }
    return false;
}

enum head_kind head_look(struct span seen)
{
    if (span_empty(seen)) {
        return HEAD_MORE;
    }
    if (!may_begin_request(seen.data[0]) || span_starts(seen, SPAN("PRI * HTTP/2"))) {
        return HEAD_ALIEN;
    }
    struct span small = seen;
    if (small.len > HEAD_SMALL_MAX) {
        small.len = HEAD_SMALL_MAX;
    }
    if (has_end(small)) {
        return HEAD_SMALL;
    }
    return seen.len > HEAD_SMALL_MAX ? HEAD_LARGE : HEAD_MORE;
}
