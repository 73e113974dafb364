#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/raft_log.h"

static void fill(struct raft_log *l, unsigned n, uint64_t term)
{
    for (unsigned i = 0; i < n; i++) {
        raft_log_append(l, term, RAFT_COMMAND, raft_block_wrap(SPAN("entry")));
    }
}

static void test_block__any_length__is_padded_to_8_and_opens_to_what_went_in(void **state)
{
    (void)state;
    static const char text[] = "0123456789abcdefghi";
    for (size_t len = 0; len < sizeof text; len++) {
        struct raft_block *b = raft_block_wrap(span_of(text, len));
        struct span out = {0};
        assert_int_equal(b->len % 8, 0);
        assert_true(raft_block_open(b, &out));
        assert_true(span_eq(out, span_of(text, len)));
        raft_block_unref(b);
    }
}

static void test_block_open__length_that_does_not_fit__is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {9, 17, 100, UINT64_MAX, UINT64_MAX - 7};
    struct span out = {0};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        uint64_t raw[2] = {lengths[i], 0};
        struct raft_block *b = raft_block_copy(raw, sizeof raw);
        assert_false(raft_block_open(b, &out));
        raft_block_unref(b);
    }
    struct raft_block *empty = raft_block_copy("", 0);
    assert_false(raft_block_open(empty, &out));
    raft_block_unref(empty);
    uint64_t slack[3] = {1, 0, 0}; /* a whole word too much */
    struct raft_block *b = raft_block_copy(slack, sizeof slack);
    assert_false(raft_block_open(b, &out));
    raft_block_unref(b);
}

static void test_append__beyond_the_ring__keeps_all_entries(void **state)
{
    (void)state;
    struct raft_log l = {0};
    raft_log_start(&l, 100, 3, 90);
    fill(&l, 11, 3);
    fill(&l, 1000, 4);
    assert_int_equal(raft_log_last(&l), 1100);
    assert_int_equal(raft_log_term(&l, 89), 0);
    assert_int_equal(raft_log_term(&l, 90), 3);
    assert_int_equal(raft_log_term(&l, 101), 4);
    assert_int_equal(raft_log_term(&l, 1101), 0);
    assert_null(raft_log_get(&l, 1101));
    raft_log_close(&l);
}

static void test_truncate__then_append__replaces_the_end(void **state)
{
    (void)state;
    struct raft_log l = {0};
    raft_log_start(&l, 0, 0, 1);
    fill(&l, 10, 1);
    raft_log_truncate(&l, 5);
    assert_int_equal(raft_log_last(&l), 4);
    fill(&l, 1, 2);
    assert_int_equal(raft_log_term(&l, 4), 1);
    assert_int_equal(raft_log_term(&l, 5), 2);
    raft_log_truncate(&l, 1);
    assert_int_equal(raft_log_last(&l), 0);
    raft_log_close(&l);
}

static void test_snapshot__keeps_the_trailing_entries_and_the_term_of_its_end(void **state)
{
    (void)state;
    struct raft_log l = {0};
    raft_log_start(&l, 0, 0, 1);
    fill(&l, 100, 1);
    raft_log_snapshot(&l, 80, 10);
    assert_null(raft_log_get(&l, 70));
    assert_non_null(raft_log_get(&l, 71));
    raft_log_snapshot(&l, 100, 0);
    assert_int_equal(l.count, 0);
    assert_int_equal(raft_log_term(&l, 100), 1);
    assert_int_equal(raft_log_last(&l), 100);
    raft_log_restore(&l, 500, 9);
    assert_int_equal(raft_log_last(&l), 500);
    assert_int_equal(raft_log_term(&l, 500), 9);
    fill(&l, 1, 9);
    assert_int_equal(raft_log_last(&l), 501);
    raft_log_close(&l);
}

static void test_release__bytes_go_and_terms_stay(void **state)
{
    (void)state;
    struct raft_log l = {0};
    raft_log_start(&l, 0, 0, 1);
    fill(&l, 10, 2);
    struct raft_block *held = raft_block_ref(raft_log_get(&l, 3)->block);
    raft_log_release(&l, 6);
    raft_log_release(&l, 4); /* never back */
    assert_null(raft_log_get(&l, 6)->block);
    assert_non_null(raft_log_get(&l, 7)->block);
    assert_int_equal(raft_log_term(&l, 6), 2);
    assert_int_equal(raft_log_held(&l, 10, 100, UINT64_MAX), 4);
    assert_int_equal(raft_log_held(&l, 10, 2, UINT64_MAX), 2);
    assert_int_equal(raft_log_held(&l, 6, 100, UINT64_MAX), 0);
    const struct raft_slot *last = raft_log_get(&l, 10);
    assert_int_equal(raft_log_held(&l, 10, 100, last->block->len), 1);
    assert_int_equal(raft_log_held(&l, 10, 100, last->block->len - 1), 0);
    assert_int_equal(held->refs, 1); /* a write under way keeps its bytes */
    raft_block_unref(held);
    raft_log_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block__any_length__is_padded_to_8_and_opens_to_what_went_in),
        cmocka_unit_test(test_block_open__length_that_does_not_fit__is_refused),
        cmocka_unit_test(test_append__beyond_the_ring__keeps_all_entries),
        cmocka_unit_test(test_truncate__then_append__replaces_the_end),
        cmocka_unit_test(test_snapshot__keeps_the_trailing_entries_and_the_term_of_its_end),
        cmocka_unit_test(test_release__bytes_go_and_terms_stay),
    };
    return cmocka_run_group_tests_name("consensus.raft_log", tests, NULL, NULL);
}
