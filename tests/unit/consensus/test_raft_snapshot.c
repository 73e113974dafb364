#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "consensus/consensus.h"
#include "consensus/raft_snapshot.h"

/* A snapshot of len bytes, each its position modulo 251, as one block. */
static struct span made(size_t len)
{
    struct consensus_sink sink = {0};
    char part[1000];
    for (size_t at = 0; at < len;) {
        size_t n = len - at < sizeof part ? len - at : sizeof part;
        for (size_t i = 0; i < n; i++) {
            part[i] = (char)((at + i) % 251);
        }
        assert_int_equal(consensus_sink_write(&sink, span_of(part, n)), 0);
        at += n;
    }
    struct raft_buffer *bufs = NULL;
    unsigned n = 0;
    raft_snapshot_finish(&sink, &bufs, &n);
    char *whole = NULL;
    size_t total = 0;
    for (unsigned i = 0; i < n; i++) {
        whole = mem_realloc(whole, total + bufs[i].len, 1);
        memcpy(whole + total, bufs[i].base, bufs[i].len);
        total += bufs[i].len;
        raft_free(bufs[i].base);
    }
    raft_free(bufs);
    return span_of(whole, total);
}

static void drop(struct span s)
{
    char *data = NULL;
    memcpy(&data, &s.data, sizeof data);
    mem_free(data);
}

static void test_snapshot__any_length__reads_back(void **state)
{
    (void)state;
    static const size_t lengths[] = {0,
                                     1,
                                     RAFT_SNAPSHOT_CHUNK_BYTES - 1,
                                     RAFT_SNAPSHOT_CHUNK_BYTES,
                                     RAFT_SNAPSHOT_CHUNK_BYTES + 1,
                                     3 * RAFT_SNAPSHOT_CHUNK_BYTES,
                                     40 * RAFT_SNAPSHOT_CHUNK_BYTES / 16 + 7};
    for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
        struct span s = made(lengths[k]);
        struct consensus_source source = {0};
        assert_int_equal(raft_snapshot_open(s, &source, NULL), 0);
        assert_int_equal(consensus_source_left(&source), lengths[k]);
        char bytes[777];
        for (size_t at = 0; at < lengths[k];) {
            size_t left = lengths[k] - at;
            size_t n = left < sizeof bytes ? left : sizeof bytes;
            assert_int_equal(consensus_source_read(&source, bytes, n), 0);
            assert_int_equal(bytes[n - 1], (char)((at + n - 1) % 251));
            at += n;
        }
        assert_int_equal(consensus_source_read(&source, bytes, 1), E_PARSE);
        drop(s);
    }
}

static void test_open__every_flipped_bit__is_noticed(void **state)
{
    (void)state;
    struct span s = made(100);
    char copy[200];
    assert_true(s.len < sizeof copy);
    for (size_t bit = 0; bit < s.len * 8; bit++) {
        struct consensus_source source = {0};
        memcpy(copy, s.data, s.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(raft_snapshot_open(span_of(copy, s.len), &source, NULL), E_PARSE);
    }
    drop(s);
}

static void test_open__cut_or_longer__is_noticed(void **state)
{
    (void)state;
    struct span s = made(RAFT_SNAPSHOT_CHUNK_BYTES + 50);
    struct consensus_source source = {0};
    struct fail fail = {0};
    for (size_t len = 0; len < s.len; len += len < 40 ? 1 : 10007) {
        assert_int_equal(raft_snapshot_open(span_of(s.data, len), &source, &fail), E_PARSE);
    }
    /* Without its last chunk. */
    size_t first = 16 + 16 + RAFT_SNAPSHOT_CHUNK_BYTES;
    assert_int_equal(raft_snapshot_open(span_of(s.data, first), &source, &fail), E_PARSE);
    char *longer = mem_zalloc(1, s.len + 1);
    memcpy(longer, s.data, s.len);
    assert_int_equal(raft_snapshot_open(span_of(longer, s.len + 1), &source, &fail), E_PARSE);
    mem_free(longer);
    drop(s);
}

static void test_drop__half_written__frees(void **state)
{
    (void)state;
    struct consensus_sink sink = {0};
    assert_int_equal(consensus_sink_write(&sink, SPAN("abc")), 0);
    raft_snapshot_drop(&sink);
    assert_int_equal(sink.count, 0);
    raft_snapshot_drop(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot__any_length__reads_back),
        cmocka_unit_test(test_open__every_flipped_bit__is_noticed),
        cmocka_unit_test(test_open__cut_or_longer__is_noticed),
        cmocka_unit_test(test_drop__half_written__frees),
    };
    return cmocka_run_group_tests_name("consensus.raft_snapshot", tests, NULL, NULL);
}
