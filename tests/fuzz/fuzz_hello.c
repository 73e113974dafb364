/* The first bytes of a connection on the gRPC port, as they trickle in: a TLS hello and its name,
 * or one of the other beginnings. */
#include "fuzz.h"

#include "rpc/door_first.h"

/* Judging at every byte costs a walk each; no hello of interest is longer. */
#define STEPS_MAX 1024

static void check_hello(struct span seen)
{
    struct span name = SPAN("not written");
    if (door_hello_read(seen, &name) != DOOR_HELLO_DONE) {
        REQUIRE(span_eq(name, SPAN("not written")));
        return;
    }
    REQUIRE(seen.len >= DOOR_HELLO_HEAD);
    REQUIRE(name.len == 0 ||
            (name.data > seen.data && name.data + name.len <= seen.data + seen.len));
    fuzz_touch(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    size_t len = size < DOOR_HELLO_MAX ? size : DOOR_HELLO_MAX;
    size_t steps = len < STEPS_MAX ? len : STEPS_MAX;
    enum door_first kind = DOOR_FIRST_MORE;
    for (size_t at = 0; at <= steps; at++) {
        enum door_first next = door_first_look(span_of(bytes, at));
        /* What was decided stays decided, however the rest is cut into packets. */
        REQUIRE(kind == DOOR_FIRST_MORE || next == kind);
        kind = next;
    }
    struct span whole = span_of(bytes, len);
    enum door_first last = door_first_look(whole);
    REQUIRE(kind == DOOR_FIRST_MORE || last == kind);
    REQUIRE(last != DOOR_FIRST_MORE || len < DOOR_HELLO_MAX);
    check_hello(whole);
    return 0;
}
