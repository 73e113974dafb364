#include "cluster/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_query__comes_back(void **state)
{
    (void)state;
    const struct query q = {
        .kind = QUERY_RELOAD, .id = UINT64_MAX, .address = "n1:8848", .is_json = true, .count = 7};
    struct query got = {0};
    struct fail fail = {0};
    struct buf *b = query_encode(&q);
    assert_int_equal(query_decode(buf_span(b), &got, &fail), 0);
    assert_int_equal(got.kind, QUERY_RELOAD);
    assert_true(got.id == UINT64_MAX && got.count == 7 && got.is_json);
    assert_string_equal(got.address, "n1:8848");
    for (size_t bit = 0; bit < b->len * 8; bit++) { /* flipped: refused, or another one */
        b->data[bit / 8] = (char)(b->data[bit / 8] ^ (1 << (bit % 8)));
        int err = query_decode(buf_span(b), &got, &fail);
        assert_true(err == 0 || err == E_PARSE);
        b->data[bit / 8] = (char)(b->data[bit / 8] ^ (1 << (bit % 8)));
    }
    buf_unref(b);
}

static void test_query__of_another_shape__is_refused(void **state)
{
    (void)state;
    struct query got = {0};
    struct fail fail = {0};
    char zeros[QUERY_BYTES_MAX + 1] = "";
    struct query lines = {.kind = QUERY_ADD, .address = "a\nb"};
    struct buf *b = query_encode(&lines);
    assert_int_equal(query_decode(buf_span(b), &got, &fail), E_PARSE);
    buf_unref(b);
    assert_int_equal(query_decode(SPAN(""), &got, &fail), E_PARSE);
    assert_int_equal(query_decode(span_of(zeros, sizeof(zeros)), &got, &fail), E_PARSE);
}

static void test_answer__comes_back(void **state)
{
    (void)state;
    const struct answer a = {
        .state = ANSWER_DONE, .id = 3, .text = SPAN("ok"), .figures = {1, 2}, .figures_count = 2};
    struct answer got = {0};
    struct buf *text = NULL;
    struct fail fail = {0};
    struct buf *b = answer_encode(&a);
    assert_int_equal(answer_decode(buf_span(b), &got, &text, &fail), 0);
    assert_int_equal(got.state, ANSWER_DONE);
    assert_true(got.id == 3 && got.figures_count == 2 && got.figures[1] == 2);
    assert_true(span_eq(got.text, SPAN("ok")));
    buf_unref(text);
    for (size_t len = 0; len < b->len; len++) {
        text = NULL;
        int err = answer_decode(span_of(b->data, len), &got, &text, &fail);
        assert_true(err == 0 || err == E_PARSE);
        buf_unref(text);
    }
    buf_unref(b);
}

static void test_answer__too_long_a_text__is_cut_and_unknown_states_are_refused(void **state)
{
    (void)state;
    char *text = malloc(QUERY_TEXT_MAX + 10);
    assert_non_null(text);
    memset(text, 'x', QUERY_TEXT_MAX + 10);
    struct answer a = {.state = ANSWER_FAILED, .text = span_of(text, QUERY_TEXT_MAX + 10)};
    struct answer got = {0};
    struct buf *copy = NULL;
    struct fail fail = {0};
    struct buf *b = answer_encode(&a);
    assert_int_equal(answer_decode(buf_span(b), &got, &copy, &fail), 0);
    assert_int_equal(got.text.len, QUERY_TEXT_MAX);
    buf_unref(copy);
    buf_unref(b);
    free(text);
    a = (struct answer){.state = (enum answer_state)9};
    b = answer_encode(&a);
    assert_int_equal(answer_decode(buf_span(b), &got, &copy, &fail), E_PARSE);
    buf_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query__comes_back),
        cmocka_unit_test(test_query__of_another_shape__is_refused),
        cmocka_unit_test(test_answer__comes_back),
        cmocka_unit_test(test_answer__too_long_a_text__is_cut_and_unknown_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
