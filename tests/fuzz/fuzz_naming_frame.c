/* Frames of beats between nodes: a damaged one is refused with a reason and counts nothing;
 * whatever else it says, the registry keeps its invariants.
 *
 * Input: frames one after the other, each behind its length in two bytes, big-endian. */
#include "fuzz.h"

#include "naming/push_state.h"
#include "naming_harness.h"

#define FRAMES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of((const char *)data, size);
    struct naming_options options = story_options();
    options.self = 1;
    struct story s;
    struct instance_data known = story_instance("10.0.0.2", 80);
    story_begin(&s, &options);
    (void)story_register_http(&s, "a", &known);
    (void)story_register(&s, story_connect(&s, "10.0.0.1"), "a", "10.0.0.1", 80);
    for (int i = 0; i < FRAMES_MAX && rest.len >= 2; i++) {
        size_t len = fuzz_byte(&rest) << 8;
        len |= fuzz_byte(&rest);
        len = len < rest.len ? len : rest.len;
        unsigned long heard = atomic_load(&naming_counters(s.naming)->beats_heard);
        struct fail fail = {0};
        int err = naming_receive(s.naming, span_of(rest.data, len), s.now, &s.out, &fail);
        rest = span_of(rest.data + len, rest.len - len);
        if (err) {
            REQUIRE(err == E_PARSE);
            fuzz_check_fail(err, &fail);
            REQUIRE(atomic_load(&naming_counters(s.naming)->beats_heard) == heard);
        }
        story_advance(&s, 9000);
        naming_check(s.naming);
        push_check(s.naming);
    }
    story_end(&s);
    return 0;
}
