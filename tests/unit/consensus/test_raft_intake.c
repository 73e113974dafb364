#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
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

/* ---------------------------------------------------------------- with a companion */

#define TABLES "the tables"
#define TABLES_LEN (sizeof(TABLES) - 1)

static char path[64];

static int no_make(void *self, const char *at, const atomic_bool *is_stopping)
{
    (void)self;
    (void)at;
    (void)is_stopping;
    return E_IO;
}

static int setup_companion(void **state)
{
    char out[80];
    snprintf(path, sizeof(path), "/tmp/nacre-intake-%d", (int)getpid());
    snprintf(out, sizeof(out), "%s.out", path);
    in.file = raft_companion_create(
        &(struct raft_companion_options){.outgoing = out, .incoming = path, .make = no_make});
    return setup(state);
}

static int teardown_companion(void **state)
{
    int err = teardown(state);
    raft_companion_destroy(in.file);
    in.file = NULL;
    (void)unlink(path);
    return err;
}

/* Bytes of the snapshot and the tables as one stream. */
static bool give_both(size_t offset, size_t n)
{
    char both[512];
    assert_true(len + TABLES_LEN <= sizeof(both));
    memcpy(both, whole, len);
    memcpy(both + len, TABLES, TABLES_LEN);
    struct raft_piece piece = {.term = 5,
                               .meta = {.index = 20, .term = 3, .configuration_index = 1},
                               .total = len + TABLES_LEN,
                               .companion = TABLES_LEN,
                               .offset = offset,
                               .data = span_of(both + offset, n)};
    raft_configuration_init(&piece.meta.configuration);
    return raft_intake_piece(&in, 1, &piece, 1000, &ack);
}

static void expect_file(const char *text)
{
    char have[64] = "";
    FILE *f = fopen(path, "re");
    if (!text) {
        assert_null(f);
        return;
    }
    assert_non_null(f);
    (void)!fread(have, 1, sizeof(have) - 1, f);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(have, text);
}

static void test_companion__goes_to_disk_and_the_snapshot_to_libraft(void **state)
{
    (void)state;
    struct raft_message m = {0};
    assert_true(give_both(0, len - 3));
    assert_true(give_both(len - 3, 7)); /* over the boundary */
    assert_int_equal(ack.next, len + 4);
    assert_false(raft_intake_take(&in, &m, &ack));
    expect_file(NULL);
    assert_true(give_both(len + 4, TABLES_LEN - 4));
    assert_int_equal(ack.next, len + TABLES_LEN);
    assert_true(raft_intake_take(&in, &m, &ack));
    assert_true(ack.is_done);
    assert_int_equal(ack.next, len + TABLES_LEN);
    assert_int_equal(m.install_snapshot.data.len, len);
    assert_memory_equal(m.install_snapshot.data.base, whole, len);
    raft_guard_free(&m);
    expect_file(TABLES);
    assert_false(raft_intake_progress(&in, &ack));
}

static void test_companion__cannot_be_written__is_left_alone_for_a_while(void **state)
{
    char part[80];
    (void)state;
    snprintf(part, sizeof(part), "%s.part", path);
    assert_int_equal(mkdir(part, 0700), 0);
    assert_true(give_both(0, len + 4));
    assert_int_equal(ack.next, len); /* not the four */
    assert_false(raft_intake_progress(&in, &ack));
    assert_null(in.bytes);
    assert_false(give_both(0, len + 4)); /* no answer: the leader gives up */
    assert_int_equal(rmdir(part), 0);
    in.failed_ms = 1;
    struct raft_piece piece = {.term = 5, .meta = {.index = 20}, .total = len, .offset = 3};
    assert_true(raft_intake_piece(&in, 1, &piece, 1 + RAFT_INTAKE_FAILED_MS, &ack));
}

static void test_companion__of_nobody_who_keeps_one__is_ignored(void **state)
{
    (void)state;
    struct raft_companion *kept = in.file;
    in.file = NULL;
    assert_false(give_both(0, len));
    in.file = kept;
}

static void test_companion__begun_again__is_the_second_one(void **state)
{
    (void)state;
    assert_true(give_both(0, len + 4));
    raft_intake_tick(&in, 6, 1001); /* another term */
    assert_true(give_both(len + 4, 2));
    assert_true(ack.is_lost);
    assert_int_equal(ack.next, 0);
    assert_true(give_both(0, len + TABLES_LEN));
    assert_int_equal(ack.next, len + TABLES_LEN);
    expect_file(TABLES);
}

#define COMPANION_TEST(f) cmocka_unit_test_setup_teardown(f, setup_companion, teardown_companion)

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
        COMPANION_TEST(test_companion__goes_to_disk_and_the_snapshot_to_libraft),
        COMPANION_TEST(test_companion__cannot_be_written__is_left_alone_for_a_while),
        COMPANION_TEST(test_companion__of_nobody_who_keeps_one__is_ignored),
        COMPANION_TEST(test_companion__begun_again__is_the_second_one),
    };
    return cmocka_run_group_tests_name("consensus.raft_intake", tests, NULL, NULL);
}
