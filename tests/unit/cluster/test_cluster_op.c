#include "cluster/cluster_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_op__each_kind__comes_back(void **state)
{
    (void)state;
    static const struct cluster_op ops[] = {
        {CLUSTER_OWNER_UP, 5, 7, 9},
        {CLUSTER_OWNER_EXPIRE, 6, UINT64_MAX, UINT64_MAX},
        {CLUSTER_OWNER_FORGET, 7, 3, 1},
    };
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct cluster_op got = {0};
        struct fail fail = {0};
        struct buf *b = cluster_op_encode(&ops[i]);
        assert_true(b->len <= CLUSTER_OP_BYTES_MAX);
        assert_int_equal(cluster_op_decode(buf_span(b), &got, &fail), 0);
        assert_int_equal(got.kind, ops[i].kind);
        assert_true(got.owner == ops[i].owner && got.epoch == ops[i].epoch);
        assert_true(got.time_ms == ops[i].time_ms);
        /* Cut or flipped: refused, or another operation, never more. */
        for (size_t len = 0; len < b->len; len++) {
            int err = cluster_op_decode(span_of(b->data, len), &got, &fail);
            assert_true(err == 0 || err == E_PARSE);
        }
        for (size_t bit = 0; bit < b->len * 8; bit++) {
            b->data[bit / 8] = (char)(b->data[bit / 8] ^ (1 << (bit % 8)));
            int err = cluster_op_decode(buf_span(b), &got, &fail);
            assert_true(err == 0 || err == E_PARSE);
            b->data[bit / 8] = (char)(b->data[bit / 8] ^ (1 << (bit % 8)));
        }
        buf_unref(b);
    }
}

static void test_op__about_nobody_or_too_long__is_refused(void **state)
{
    (void)state;
    struct cluster_op got = {0};
    struct fail fail = {0};
    char zeros[CLUSTER_OP_BYTES_MAX + 1] = "";
    struct cluster_op nobody = {CLUSTER_OWNER_UP, 1, 0, 1};
    struct buf *b = cluster_op_encode(&nobody);
    assert_int_equal(cluster_op_decode(buf_span(b), &got, &fail), E_PARSE);
    buf_unref(b);
    assert_int_equal(cluster_op_decode(SPAN(""), &got, &fail), E_PARSE);
    assert_int_equal(cluster_op_decode(span_of(zeros, sizeof(zeros)), &got, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "129 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_op__each_kind__comes_back),
        cmocka_unit_test(test_op__about_nobody_or_too_long__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
