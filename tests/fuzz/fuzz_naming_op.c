/* Operations of the log: a damaged entry is refused, a whole one is applied, whatever it says; and
 * what was decoded is encoded to the same bytes again.
 *
 * Input: operations one after the other, each behind its length in two bytes, big-endian. */
#include "fuzz.h"

#include "naming/naming_op.h"
#include "naming/push_state.h"
#include "naming_harness.h"

#define OPS_MAX 64

static void check_codec(struct span bytes)
{
    struct arena arena;
    arena_init(&arena, NAMING_OP_ARENA_MAX);
    struct naming_op op = {0};
    struct fail fail = {0};
    int err = naming_op_decode(bytes, &arena, &op, &fail);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
        arena_close(&arena);
        return;
    }
    REQUIRE(naming_op_check(&op, NULL) == 0);
    struct buf *first = naming_op_encode(&op);
    struct naming_op again = {0};
    REQUIRE(naming_op_decode(buf_span(first), &arena, &again, &fail) == 0);
    struct buf *second = naming_op_encode(&again);
    REQUIRE(again.kind == op.kind && again.time_ms == op.time_ms);
    REQUIRE(span_eq(buf_span(first), buf_span(second)));
    buf_unref(second);
    buf_unref(first);
    arena_close(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of((const char *)data, size);
    struct naming_options options = story_options();
    struct story s;
    story_begin(&s, &options);
    (void)story_connect(&s, "10.0.0.1");
    for (int i = 0; i < OPS_MAX && rest.len >= 2; i++) {
        size_t len = fuzz_byte(&rest) << 8;
        len |= fuzz_byte(&rest);
        len = len < rest.len ? len : rest.len;
        struct span op = span_of(rest.data, len);
        rest = span_of(rest.data + len, rest.len - len);
        check_codec(op);
        naming_commit(s.naming, op, 0, NULL, s.now, &s.out);
        naming_check(s.naming);
        push_check(s.naming);
        story_advance(&s, 200);
    }
    story_end(&s);
    return 0;
}
