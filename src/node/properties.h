/* Java properties text: what conf/application.properties is written in.
 *
 * Thread:  any; no state.
 * Limits:  PROPERTIES_LINE_MAX bytes per logical line, PROPERTIES_MAX entries.
 * Source:  semantics.md 7.1: "=" or ":" separators, "#" and "!" comments, backslash escapes,
 *          continuation, \uXXXX, read as UTF-8.
 */
#ifndef NACRE_NODE_PROPERTIES_H
#define NACRE_NODE_PROPERTIES_H

#include "base/arena.h"
#include "base/fail.h"
#include "base/span.h"

#define PROPERTIES_LINE_MAX 65536
#define PROPERTIES_MAX 10000

/* One entry. line: where its key began, from 1. Spans live in the arena. */
struct property {
    struct span key;
    struct span value;
    unsigned line;
};

/* Parse text. Entries come in their order; the same key may appear twice (the later one counts, as
 * in Java).
 * E_PARSE  a bad \u escape or a NUL byte, with the line   E_LIMIT  a limit above */
MUST_USE int properties_parse(struct span text, struct arena *arena, struct property **ret_list,
                              size_t *ret_count, struct fail *fail);

#endif
