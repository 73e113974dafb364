#include "cluster/digests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define A 1
#define B 2
#define C 3

static const uint64_t three[] = {A, B, C};
static const struct digests_voters voters = {three, 3};
static struct digests d;
static struct now now = {.mono_ms = 1000000, .wall_ms = 1700000000000};

/* A leads; its digest after an entry is the entry's own number times ten. */
static int setup(void **state)
{
    (void)state;
    digests_init(&d, A);
    digests_lead(&d, true);
    for (uint64_t i = 1; i <= 200; i++) {
        digests_put(&d, i, i * 10);
    }
    now.mono_ms += 1000000;
    return 0;
}

static struct digests_verdict report(uint64_t from, uint64_t index, uint64_t digest)
{
    struct digest_at at = {index, digest};
    return digests_on_report(&d, from, &at, 1, now);
}

static struct digests_verdict answer(uint64_t from, uint64_t index, uint64_t digest)
{
    return digests_on_answer(&d, from, (struct digest_at){index, digest}, voters, now);
}

static void expect(struct digests_verdict v, enum digests_word word, uint64_t number)
{
    assert_int_equal(v.word, word);
    assert_int_equal(v.number, number);
}

static void test_ring__keeps_the_last_ones_and_every_64th(void **state)
{
    (void)state;
    uint64_t digest = 0;
    digests_init(&d, A);
    assert_false(digests_find(&d, 0, &digest));
    assert_false(digests_find(&d, 64, &digest));
    for (uint64_t i = 1; i <= 100000; i++) {
        digests_put(&d, i, i * 10);
    }
    for (uint64_t i = 1; i <= 100100; i++) {
        bool is_recent = i > 100000 - DIGESTS_RECENT && i <= 100000;
        bool is_coarse = i % DIGESTS_STEP == 0 && i <= 100000 &&
                         i / DIGESTS_STEP > 100000 / DIGESTS_STEP - DIGESTS_COARSE;
        assert_int_equal(digests_find(&d, i, &digest), is_recent || is_coarse);
        assert_true(!(is_recent || is_coarse) || digest == i * 10);
    }
    digests_forget(&d);
    assert_false(digests_find(&d, 100000, &digest));
    assert_false(digests_find(&d, 64, &digest));
    digests_put(&d, 5, 1); /* another state may stand at an earlier entry */
    digests_put(&d, 64, 1);
    digests_put(&d, 7, 1); /* replaced, without a word */
    assert_false(digests_find(&d, 5, &digest));
    assert_false(digests_find(&d, 64, &digest));
    assert_true(digests_find(&d, 7, &digest));
}

static void test_newest__the_last_and_the_last_64th(void **state)
{
    (void)state;
    struct digest_at list[2];
    digests_init(&d, A);
    assert_int_equal(digests_newest(&d, list), 0);
    digests_put(&d, 63, 1);
    assert_int_equal(digests_newest(&d, list), 1);
    digests_put(&d, 64, 2);
    assert_int_equal(digests_newest(&d, list), 1);
    digests_put(&d, 100, 3);
    assert_int_equal(digests_newest(&d, list), 2);
    assert_int_equal(list[0].index, 100);
    assert_int_equal(list[0].digest, 3);
    assert_int_equal(list[1].index, 64);
    assert_int_equal(list[1].digest, 2);
}

static void test_agreement__nothing_is_asked(void **state)
{
    (void)state;
    expect(report(B, 200, 2000), DIGESTS_NOTHING, 0);
    assert_true(digests_deadline(&d) == UINT64_MAX);
}

static void test_ahead_or_behind__is_not_accused(void **state)
{
    (void)state;
    expect(report(B, 201, 7), DIGESTS_NOTHING, 0);
    for (uint64_t i = 201; i <= 5000; i++) {
        digests_put(&d, i, i * 10);
    }
    expect(report(B, 199, 7), DIGESTS_NOTHING, 0); /* fell out of the ring */
    struct digests_verdict v = report(B, 192, 7);  /* a 64th did not */
    expect(v, DIGESTS_ASK, 0);
    assert_int_equal(v.index, 192);
}

static void test_two_against_one__it_is_told(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    struct digests_verdict v = answer(C, 200, 2000);
    expect(v, DIGESTS_TELL, B);
    assert_int_equal(v.index, 200);
    assert_int_equal(v.theirs, 7);
    assert_int_equal(v.right, 2000);
}

static void test_majority_first__the_odd_one_is_told_when_it_answers(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(C, 200, 2000), DIGESTS_NOTHING, 0);
    expect(answer(C, 200, 7), DIGESTS_NOTHING, 0); /* the first word counts */
    expect(answer(B, 199, 7), DIGESTS_NOTHING, 0); /* of another entry */
    expect(answer(A, 200, 7), DIGESTS_NOTHING, 0); /* in our own name */
    expect(answer(B, 200, 7), DIGESTS_TELL, B);
}

static void test_reported_wrong_and_answers_right__nobody_is_told(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(C, 200, 2000), DIGESTS_NOTHING, 0);
    expect(answer(B, 200, 2000), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_NOTHING, 0);
}

static void test_one_against_one__nobody_is_told__but_people(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    assert_int_equal(digests_deadline(&d), now.mono_ms + DIGESTS_CASE_MS);
    now.mono_ms += DIGESTS_CASE_MS - 1;
    expect(digests_turn(&d, voters, now), DIGESTS_NOTHING, 0);
    now.mono_ms++;
    expect(digests_turn(&d, voters, now), DIGESTS_SPLIT, B);
    /* Once in a while. */
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_SPLIT_MS;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_SPLIT, B);
}

static void test_three_different_ones__split(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    expect(answer(C, 200, 8), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_SPLIT, C);
}

static void test_nobody_answers__another_report_asks_again(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(report(C, 199, 7), DIGESTS_NOTHING, 0); /* one at a time */
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_NOTHING, 0);
    expect(report(C, 199, 7), DIGESTS_ASK, 0);
}

static void test_leader_is_the_odd_one__hands_over(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(C, 200, 7), DIGESTS_NOTHING, 0);
    struct digests_verdict v = answer(B, 200, 7);
    expect(v, DIGESTS_YIELD, C);
    assert_int_equal(v.theirs, 2000);
    assert_int_equal(v.right, 7);
    /* It may fail: not again at once. */
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(C, 200, 7), DIGESTS_NOTHING, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_YIELD_MS;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(C, 200, 7), DIGESTS_NOTHING, 0);
    expect(answer(B, 200, 7), DIGESTS_YIELD, C);
}

/* Five voters: two are odd. */
static void test_named_one_at_a_time(void **state)
{
    (void)state;
    const uint64_t five[] = {A, B, C, 4, 5};
    const struct digests_voters all = {five, 5};
    struct digest_at odd = {200, 7};
    struct digest_at right = {200, 2000};
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(digests_on_answer(&d, B, odd, all, now), DIGESTS_NOTHING, 0);
    expect(digests_on_answer(&d, 4, right, all, now), DIGESTS_NOTHING, 0);
    expect(digests_on_answer(&d, 5, right, all, now), DIGESTS_TELL, B);
    expect(report(C, 200, 7), DIGESTS_ASK, 0);
    expect(digests_on_answer(&d, C, odd, all, now), DIGESTS_NOTHING, 0);
    expect(digests_on_answer(&d, 4, right, all, now), DIGESTS_NOTHING, 0);
    expect(digests_on_answer(&d, 5, right, all, now), DIGESTS_NOTHING, 0);
    /* B did not hear it, and is told again. */
    expect(digests_on_answer(&d, B, odd, all, now), DIGESTS_TELL, B);
    /* B agrees. */
    expect(report(B, 200, 2000), DIGESTS_NOTHING, 0);
    expect(report(C, 200, 7), DIGESTS_ASK, 0);
    expect(digests_on_answer(&d, C, odd, all, now), DIGESTS_NOTHING, 0);
    expect(digests_on_answer(&d, 4, right, all, now), DIGESTS_NOTHING, 0);
    expect(digests_on_answer(&d, 5, right, all, now), DIGESTS_TELL, C);
}

static void test_named_one_never_comes_back__another_may_be_named_later(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(C, 200, 2000), DIGESTS_NOTHING, 0);
    expect(answer(B, 200, 7), DIGESTS_TELL, B);
    now.mono_ms += DIGESTS_TOLD_MS;
    expect(report(C, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 2000), DIGESTS_NOTHING, 0);
    expect(answer(C, 200, 7), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_NOTHING, 0);
    expect(report(C, 200, 7), DIGESTS_ASK, 0);
    expect(answer(B, 200, 2000), DIGESTS_NOTHING, 0);
    expect(answer(C, 200, 7), DIGESTS_TELL, C);
}

/* A learner does not count, and may be told. */
static void test_learner__has_no_vote(void **state)
{
    (void)state;
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    expect(answer(9, 200, 2000), DIGESTS_NOTHING, 0);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    now.mono_ms += DIGESTS_CASE_MS;
    expect(digests_turn(&d, voters, now), DIGESTS_SPLIT, B);
    expect(report(9, 200, 7), DIGESTS_ASK, 0);
    expect(answer(9, 200, 7), DIGESTS_NOTHING, 0);
    expect(answer(B, 200, 2000), DIGESTS_TELL, 9);
}

static void test_follower__judges_nobody(void **state)
{
    (void)state;
    digests_lead(&d, false);
    expect(report(B, 200, 7), DIGESTS_NOTHING, 0);
    digests_lead(&d, true);
    expect(report(B, 200, 7), DIGESTS_ASK, 0);
    digests_lead(&d, false);
    expect(answer(B, 200, 7), DIGESTS_NOTHING, 0);
    assert_true(digests_deadline(&d) == UINT64_MAX);
}

static void test_frames__come_back_and_others_are_refused(void **state)
{
    (void)state;
    struct digests_frame frame = {
        .kind = DIGESTS_DIVERGED, .count = 2, .list = {{1, UINT64_MAX}, {3, 4}}};
    struct digests_frame got = {0};
    struct buf *bytes = digests_encode(&frame);
    struct span whole = buf_span(bytes);
    assert_int_equal(digests_decode(whole, &got), 0);
    assert_int_equal(got.kind, frame.kind);
    assert_int_equal(got.count, 2);
    assert_memory_equal(got.list, frame.list, sizeof(got.list));
    for (size_t len = 0; len < whole.len; len++) {
        char *cut = malloc(len + 1); /* so that a reader that goes too far is seen */
        assert_non_null(cut);
        memcpy(cut, whole.data, len);
        assert_int_equal(digests_decode(span_of(cut, len), &got), E_PARSE);
        free(cut);
    }
    char copy[64];
    for (size_t at = 0; at < 16; at++) {
        memcpy(copy, whole.data, whole.len);
        copy[at] = (char)(copy[at] ^ 0x40);
        int err = digests_decode(span_of(copy, whole.len), &got);
        assert_int_equal(err, at < 8 ? E_UNSUPPORTED : E_PARSE);
    }
    memcpy(copy, whole.data, whole.len);
    assert_int_equal(digests_decode(span_of(copy, whole.len + 1), &got), E_PARSE);
    buf_unref(bytes);
    frame = (struct digests_frame){.kind = DIGESTS_QUESTION, .count = 2};
    bytes = digests_encode(&frame);
    assert_int_equal(digests_decode(buf_span(bytes), &got), E_PARSE);
    buf_unref(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring__keeps_the_last_ones_and_every_64th),
        cmocka_unit_test(test_newest__the_last_and_the_last_64th),
        cmocka_unit_test_setup(test_agreement__nothing_is_asked, setup),
        cmocka_unit_test_setup(test_ahead_or_behind__is_not_accused, setup),
        cmocka_unit_test_setup(test_two_against_one__it_is_told, setup),
        cmocka_unit_test_setup(test_majority_first__the_odd_one_is_told_when_it_answers, setup),
        cmocka_unit_test_setup(test_reported_wrong_and_answers_right__nobody_is_told, setup),
        cmocka_unit_test_setup(test_one_against_one__nobody_is_told__but_people, setup),
        cmocka_unit_test_setup(test_three_different_ones__split, setup),
        cmocka_unit_test_setup(test_nobody_answers__another_report_asks_again, setup),
        cmocka_unit_test_setup(test_leader_is_the_odd_one__hands_over, setup),
        cmocka_unit_test_setup(test_named_one_at_a_time, setup),
        cmocka_unit_test_setup(test_named_one_never_comes_back__another_may_be_named_later, setup),
        cmocka_unit_test_setup(test_learner__has_no_vote, setup),
        cmocka_unit_test_setup(test_follower__judges_nobody, setup),
        cmocka_unit_test(test_frames__come_back_and_others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
