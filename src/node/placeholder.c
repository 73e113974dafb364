#include "node/placeholder.h"

#include <stdbool.h>

struct span environment_get(char *const *environment, struct span name)
{
    for (char *const *e = environment; e && *e; e++) {
        struct span rest = span_str(*e);
        struct span key = span_cut(&rest, '=');
        if (span_eq(key, name)) {
            return rest.data ? rest : span_of("", 0);
        }
    }
    return (struct span){0};
}

/* One ${NAME} or ${NAME:default} in a text. */
struct placeholder {
    struct span before;
    struct span whole;
    struct span name;
    struct span dflt; /* data is NULL when there is none */
    struct span after;
};

/* The first one in s; false when there is none, or it is not closed. */
static bool find_placeholder(struct span s, struct placeholder *ret)
{
    const char *open = s.len ? memmem(s.data, s.len, "${", 2) : NULL;
    if (!open) {
        return false;
    }
    const char *end = s.data + s.len;
    const char *close = open + 2;
    for (unsigned nested = 1; close < end; close++) {
        nested += *close == '{';
        nested -= *close == '}';
        if (nested == 0) {
            break;
        }
    }
    if (close == end) {
        return false;
    }
    ret->before = span_of(s.data, (size_t)(open - s.data));
    ret->whole = span_of(open, (size_t)(close + 1 - open));
    ret->after = span_of(close + 1, (size_t)(end - close - 1));
    struct span inner = span_of(open + 2, (size_t)(close - open - 2));
    struct span rest = inner;
    ret->name = span_cut(&rest, ':');
    ret->dflt = ret->name.len < inner.len ? span_of(inner.data + ret->name.len + 1, rest.len)
                                          : (struct span){0};
    return true;
}

void placeholder_resolve(char *const *environment, struct span value, struct json_out *text)
{
    struct span rest[PLACEHOLDER_DEPTH_MAX + 1] = {value};
    unsigned depth = 0;
    while (depth > 0 || !span_empty(rest[0])) {
        struct span *at = &rest[depth];
        struct placeholder p = {0};
        if (span_empty(*at)) {
            depth--;
            continue;
        }
        if (text->len > PLACEHOLDER_TEXT_MAX) {
            return;
        }
        if (depth == PLACEHOLDER_DEPTH_MAX || !find_placeholder(*at, &p)) {
            json_bytes(text, *at);
            *at = (struct span){0};
            continue;
        }
        json_bytes(text, p.before);
        *at = p.after;
        struct span found = environment_get(environment, p.name);
        if (found.data) {
            json_bytes(text, found);
        } else if (p.dflt.data) {
            rest[++depth] = p.dflt;
        } else {
            json_bytes(text, p.whole);
        }
    }
}
