/* The first bytes of a connection on the HTTP port, as they trickle in. */
#include "fuzz.h"

#include "http/head.h"

/* Judging at every byte costs a walk each; no head of interest is longer. */
#define STEPS_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    size_t steps = size < STEPS_MAX ? size : STEPS_MAX;
    enum head_kind kind = HEAD_MORE;
    for (size_t len = 0; len <= steps; len++) {
        enum head_kind next = head_look(span_of(bytes, len));
        /* What was decided stays decided, however the rest is cut into packets. */
        REQUIRE(kind == HEAD_MORE || next == kind);
        kind = next;
    }
    enum head_kind whole = head_look(span_of(bytes, size));
    REQUIRE(kind == HEAD_MORE || whole == kind);
    REQUIRE(whole != HEAD_LARGE || size > HEAD_SMALL_MAX);
    REQUIRE(whole != HEAD_MORE || size <= HEAD_SMALL_MAX);
    return 0;
}
