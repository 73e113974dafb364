/* A snapshot's chunks: damage is refused before a byte is taken over; the rest is read to its end.
 */
#include "fuzz.h"

#include "consensus/consensus.h"
#include "consensus/raft_snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct consensus_source source = {0};
    struct fail fail = {0};
    int err = raft_snapshot_open(span_of((const char *)data, size), &source, &fail);
    if (err) {
        fuzz_check_fail(err, &fail);
        return 0;
    }
    char some[512];
    uint64_t left = consensus_source_left(&source);
    while (left > 0) {
        size_t len = left < sizeof(some) ? (size_t)left : sizeof(some);
        REQUIRE(consensus_source_read(&source, some, len) == 0);
        REQUIRE(consensus_source_left(&source) == left - len);
        left -= len;
    }
    REQUIRE(consensus_source_read(&source, some, 1) == E_PARSE);
    return 0;
}
