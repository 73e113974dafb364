/* Frames of members that no other target knows: operations for the leader's log and what the log
 * then holds, digests, operations of the cluster itself. */
#include "fuzz.h"

#include "cluster/cluster_op.h"
#include "cluster/digests.h"
#include "cluster/proposals.h"

#define LEADER 1
#define EPOCH 7

/* Stands for the log: what it is given is committed at once. */
struct world {
    struct proposals *proposals;
    struct owners owners;
    struct span frame;
    unsigned opened;
};

static int propose(void *self, unsigned kind, struct span envelope, struct fail *fail)
{
    struct world *w = self;
    struct proposal p = {0};
    REQUIRE(kind <= UINT8_MAX);
    REQUIRE(envelope.data >= w->frame.data &&
            envelope.data + envelope.len <= w->frame.data + w->frame.len);
    int err = proposals_open(w->proposals, &w->owners, envelope, &p, fail);
    if (err) {
        fuzz_check_fail(err, fail);
        return 0; /* it is in the log, and nobody's */
    }
    REQUIRE(p.cookie == NULL);
    REQUIRE(p.op.len + PROPOSALS_ENVELOPE == envelope.len);
    fuzz_touch(p.op);
    w->opened++;
    return 0;
}

static bool send_frame(void *self, uint64_t leader, struct buf *take_frame)
{
    (void)self;
    (void)leader;
    buf_unref(take_frame);
    return true;
}

static void reject(void *self, void *cookie, const struct fail *why)
{
    (void)self;
    (void)why;
    REQUIRE(cookie == NULL);
}

static void try_operations(struct span bytes)
{
    static const struct proposals_ops ops = {propose, send_frame, reject};
    struct world w = {.frame = bytes};
    struct now now = {.mono_ms = 1000, .wall_ms = 1000};
    bool is_bad = false;
    w.proposals = proposals_create(LEADER, EPOCH, &ops, &w);
    REQUIRE(!proposals_receive(w.proposals, bytes, &is_bad) || is_bad); /* it does not lead */
    proposals_on_leader(w.proposals, LEADER, now);
    (void)proposals_receive(w.proposals, bytes, &is_bad);
    REQUIRE(w.opened == 0 || bytes.len > PROPOSALS_ENVELOPE);
    proposals_destroy(w.proposals);
}

static void try_digests(struct span bytes)
{
    struct digests_frame frame = {0};
    struct digests_frame again = {0};
    int err = digests_decode(bytes, &frame);
    if (err) {
        REQUIRE(err == E_PARSE || err == E_UNSUPPORTED);
        return;
    }
    REQUIRE(frame.count <= DIGESTS_FRAME_ITEMS);
    struct buf *b = digests_encode(&frame);
    REQUIRE(digests_decode(buf_span(b), &again) == 0);
    REQUIRE(again.kind == frame.kind && again.count == frame.count);
    buf_unref(b);
}

static void try_cluster_op(struct span bytes)
{
    struct cluster_op op = {0};
    struct cluster_op again = {0};
    struct fail fail = {0};
    int err = cluster_op_decode(bytes, &op, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        return;
    }
    struct buf *b = cluster_op_encode(&op);
    REQUIRE(cluster_op_decode(buf_span(b), &again, &fail) == 0);
    REQUIRE(again.kind == op.kind && again.owner == op.owner && again.epoch == op.epoch);
    buf_unref(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    try_operations(bytes);
    try_digests(bytes);
    try_cluster_op(bytes);
    return 0;
}
