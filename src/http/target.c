#include "http/target.h"

#include <string.h>

#include "http/form.h"
#include "http/route.h"

/* Where the path begins: behind "http://authority" when a client sends what it would send to a
 * proxy. */
static size_t path_start(struct span uri)
{
    size_t scheme = 0;
    if (span_starts(uri, SPAN("http://"))) {
        scheme = 7;
    } else if (span_starts(uri, SPAN("https://"))) {
        scheme = 8;
    } else {
        return 0;
    }
    const char *slash = memchr(uri.data + scheme, '/', uri.len - scheme);
    return slash ? (size_t)(slash - uri.data) : uri.len;
}

/* Leave out what servlet containers take for parameters of the path: ";jsessionid=..." up to the
 * next slash. */
static size_t without_path_parameters(char *path, size_t len)
{
    size_t out = 0;
    bool skipping = false;
    for (size_t i = 0; i < len; i++) {
        if (path[i] == ';') {
            skipping = true;
        } else if (path[i] == '/') {
            skipping = false;
        }
        if (!skipping) {
            path[out++] = path[i];
        }
    }
    return out;
}

int target_parse(char *uri, size_t len, struct span context, struct arena *arena,
                 struct target *ret, struct fail *fail)
{
    size_t start = path_start(span_of(uri, len));
    char *mark = len > start ? memchr(uri + start, '?', len - start) : NULL;
    size_t path_end = mark ? (size_t)(mark - uri) : len;
    struct target t = {.path = span_of(uri + start, path_end - start)};
    if (mark) {
        t.query = mark + 1;
        t.query_len = len - path_end - 1;
    }
    if (span_empty(t.path) || t.path.data[0] != '/') {
        return fail_set(fail, E_INVALID, "the request has no path");
    }
    char *decoded = arena_str(arena, t.path);
    size_t decoded_len = without_path_parameters(decoded, t.path.len);
    if (!form_decode(decoded, decoded_len, false, &decoded_len) ||
        memchr(decoded, '\0', decoded_len)) {
        return fail_set(fail, E_INVALID, "the path has a broken %%-sequence");
    }
    struct span path = span_of(decoded, decoded_len);
    t.inside = route_below(context, path);
    if (t.inside) {
        t.below = span_of(path.data + context.len, path.len - context.len);
    }
    *ret = t;
    return 0;
}
