/* Snapshots of the registry: damaged bytes are refused with a reason; what is taken keeps every
 * invariant, is saved to bytes that are saved alike when they are loaded, and goes on from there.
 *
 * Input: a snapshot with or without its magic and version. */
#include "fuzz.h"

#include "base/mem.h"
#include "naming/push_state.h"
#include "naming_harness.h"
#include "snapshot_bed.h"

#define HEAD_LEN 8

static const char head[HEAD_LEN] = {'N', 'C', 'R', 'S', 1, 0, 0, 0};

/* Another registry gets the same from what this one saves. */
static void check_saved(struct story *s)
{
    struct story again;
    struct naming_options options = story_options();
    struct fail fail = {0};
    struct buf *first = snapshot_take(s->naming);
    story_begin(&again, &options);
    REQUIRE(snapshot_load(again.naming, buf_span(first), again.now, &fail, NULL) == 0);
    naming_check(again.naming);
    struct buf *second = snapshot_take(again.naming);
    REQUIRE(span_eq(buf_span(first), buf_span(second)));
    buf_unref(second);
    buf_unref(first);
    story_end(&again);
}

/* Whoever is in it comes to an end, one way or the other. */
static void check_life(struct story *s)
{
    (void)story_register(s, story_connect(s, "10.0.0.1"), "a", "10.0.0.1", 80);
    story_advance(s, 100);
    naming_check(s->naming);
    push_check(s->naming);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = mem_alloc(HEAD_LEN + size);
    memcpy(bytes, head, HEAD_LEN);
    if (size > 0) {
        memcpy(bytes + HEAD_LEN, data, size);
    }
    bool has_head = size >= HEAD_LEN && memcmp(data, head, HEAD_LEN) == 0;
    size_t skip = has_head ? HEAD_LEN : 0;
    struct naming_options options = story_options();
    struct story s;
    struct fail fail = {0};
    story_begin(&s, &options);
    uint64_t sub = story_connect(&s, "10.0.0.9");
    (void)story_subscribe(&s, sub, "a", "");
    int err =
        snapshot_load(s.naming, span_of(bytes + skip, HEAD_LEN + size - skip), s.now, &fail, NULL);
    if (err) {
        REQUIRE(err == E_PARSE);
        fuzz_check_fail(err, &fail);
    } else {
        naming_check(s.naming);
        push_check(s.naming);
        check_saved(&s);
        check_life(&s);
    }
    story_end(&s);
    mem_free(bytes);
    return 0;
}
