/* A frame about read leases: what is read comes back when it is written; and a node that leads and
 * one that follows take it without harm. */
#include "fuzz.h"

#include "cluster/lease.h"

static void drop(void *self, uint64_t to, struct buf *take_frame)
{
    struct lease_msg m = {0};
    struct fail fail = {0};
    (void)self;
    REQUIRE(to != 1);
    REQUIRE(lease_msg_decode(buf_span(take_frame), &m, &fail) == 0);
    buf_unref(take_frame);
}

static const struct lease_ops ops = {drop};

static void play(struct span frame, bool leads)
{
    static const struct lease_server servers[] = {{1, true}, {2, true}, {3, true}};
    struct lease_log log = {
        .term = 5, .commit = 10, .applied = 10, .last = 12, .leads = leads, .is_settled = leads};
    struct lease l;
    struct fail fail = {0};
    uint64_t safe = 0;
    lease_init(&l, 1, 7, (struct now){.mono_ms = 1000});
    lease_on_servers(&l, servers, 3, &log);
    for (uint64_t ms = 1000; ms < 3000; ms += 97) {
        struct now now = {.mono_ms = ms};
        lease_turn(&l, &log, now, &ops, NULL);
        int err = lease_receive(&l, 2 + ms % 2, frame, &log, now, &fail);
        REQUIRE(err == 0 || err == E_PARSE);
        REQUIRE(lease_safe(&l) >= safe);
        REQUIRE(lease_until(&l) <= ms + LEASE_HOLDER_MS);
        safe = lease_safe(&l);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    struct lease_msg m = {0};
    struct fail fail = {0};
    int err = lease_msg_decode(bytes, &m, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
    } else {
        struct buf *back = lease_msg_encode(&m);
        REQUIRE(back->len == bytes.len && memcmp(back->data, bytes.data, bytes.len) == 0);
        buf_unref(back);
    }
    play(bytes, true);
    play(bytes, false);
    return 0;
}
