#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "consensus/consensus.h"
#include "consensus/raft_guard.h"
#include "consensus/raft_intake.h"
#include "consensus/raft_snapshot.h"

static struct raft_intake in;
static char *whole;
static size_t len;
static struct raft_piece_ack ack;

static int setup(void **state)
{
    struct consensus_sink sink = {0};
    struct raft_buffer *bufs = NULL;
    unsigned n = 0;
    (void)state;
    assert_int_equal(consensus_sink_write(&sink, SPAN("the state of everything")), 0);
    raft_snapshot_finish(&sink, &bufs, &n);
    assert_int_equal(n, 1);
    whole = bufs[0].base;
    len = bufs[0].len;
    raft_free(bufs);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    raft_intake_close(&in);
    raft_free(whole);
    return 0;
}

static bool give(uint64_t from, uint64_t term, size_t offset, size_t n)
{
    struct raft_piece piece = {.term = term,
                               .meta = {.index = 20, .term = 3, .configuration_index = 1},
                               .total = len,
                               .offset = offset,
                               .data = span_of(whole + offset, n)};
    raft_configuration_init(&piece.meta.configuration);
    assert_int_equal(raft_configuration_add(&piece.meta.configuration, 1, "one:9849", RAFT_VOTER),
                     0);
    return raft_intake_piece(&in, from, &piece, 1000, &ack);
}

static void test_piece__in_order__makes_the_message_for_libraft(void **state)
{
    (void)state;
    struct raft_message m = {0};
    assert_true(give(1, 5, 0, 10));
    assert_int_equal(ack.next, 10);
    assert_false(raft_intake_take(&in, &m, &ack));
    assert_true(give(1, 5, 10, len - 10));
    assert_int_equal(ack.next, len);
    assert_false(ack.is_done);
    assert_true(raft_intake_take(&in, &m, &ack));
    assert_true(ack.is_done);
    assert_int_equal(m.server_id, 1);
    assert_int_equal(m.install_snapshot.term, 5);
    assert_int_equal(m.install_snapshot.last_index, 20);
    assert_int_equal(m.install_snapshot.conf.n, 1);
    assert_memory_equal(m.install_snapshot.data.base, whole, len);
    raft_guard_free(&m);
    assert_false(raft_intake_take(&in, &m, &ack));
    /* The acknowledgement was lost, and it comes again. */
    assert_true(give(1, 5, 0, 10));
    assert_true(ack.is_done);
    assert_false(raft_intake_take(&in, &m, &ack));
}

static void test_piece__gap_or_repetition__is_said_once_and_changes_nothing(void **state)
{
    (void)state;
    assert_true(give(1, 5, 10, 5)); /* nothing was begun */
    assert_true(ack.is_lost);
    assert_int_equal(ack.next, 0);
    assert_true(give(1, 5, 0, 10));
    assert_true(give(1, 5, 20, 5));
    assert_true(ack.is_lost);
    assert_int_equal(ack.next, 10);
    assert_false(give(1, 5, 25, 5));
    assert_true(give(1, 5, 0, 10));
    assert_false(ack.is_lost);
    assert_int_equal(ack.next, 10);
}

static void test_piece__another_leader_or_term__begins_anew(void **state)
{
    (void)state;
    assert_true(give(1, 5, 0, 10));
    assert_true(give(2, 6, 10, 5));
    assert_true(ack.is_lost);
    assert_true(give(2, 6, 0, 5));
    assert_int_equal(ack.next, 5);
    raft_intake_tick(&in, 6, 1001);
    assert_true(give(2, 6, 5, 5));
    assert_int_equal(ack.next, 10);
    raft_intake_tick(&in, 7, 1001);
    assert_true(give(2, 6, 10, 5));
    assert_true(ack.is_lost);
    assert_true(give(2, 6, 0, 5));
    raft_intake_tick(&in, 6, 1000 + RAFT_INTAKE_SILENT_MS);
    assert_null(in.bytes);
}

static void test_piece__damaged_snapshot__never_reaches_libraft(void **state)
{
    (void)state;
    struct raft_message m = {0};
    whole[len - 1] ^= 1;
    assert_true(give(1, 5, 0, len));
    assert_true(ack.is_done); /* not again, please */
    assert_int_equal(in.damaged, 1);
    assert_false(raft_intake_take(&in, &m, &ack));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_piece__in_order__makes_the_message_for_libraft, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_piece__gap_or_repetition__is_said_once_and_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_piece__another_leader_or_term__begins_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_piece__damaged_snapshot__never_reaches_libraft, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("consensus.raft_intake", tests, NULL, NULL);
}
