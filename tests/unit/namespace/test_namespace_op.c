/* Operations on namespaces: what goes in comes out, and no damaged bytes get through. */
#include "namespace/namespace_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"

#define TIME_MS 1700000000000

static struct namespace_op put(void)
{
    return (struct namespace_op){.kind = NAMESPACE_OP_PUT,
                                 .time_ms = TIME_MS,
                                 .id = SPAN("dev-1_A"),
                                 .name = SPAN("開発 dev"),
                                 .desc = SPAN("what it is for"),
                                 .create = true};
}

static int decode(const struct namespace_op *op, struct arena *arena, struct namespace_op *ret,
                  struct fail *fail)
{
    struct buf *bytes = namespace_op_encode(op);
    int err = namespace_op_decode(buf_span(bytes), arena, ret, fail);
    buf_unref(bytes);
    return err;
}

static void expect_round_trip(const struct namespace_op *op)
{
    struct arena arena;
    arena_init(&arena, NAMESPACE_OP_ARENA_MAX);
    struct namespace_op back = {0};
    assert_int_equal(decode(op, &arena, &back, NULL), 0);
    assert_int_equal(back.kind, op->kind);
    assert_int_equal(back.time_ms, op->time_ms);
    assert_true(span_eq(back.id, op->id));
    assert_true(span_eq(back.name, op->name));
    assert_true(span_eq(back.desc, op->desc));
    assert_int_equal(back.desc.data != NULL, op->desc.data != NULL);
    assert_int_equal(back.create, op->create);
    arena_close(&arena);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct namespace_op op = put();
    expect_round_trip(&op);
    op.create = false;
    op.desc = SPAN("");
    expect_round_trip(&op);
    op.desc = (struct span){0};
    expect_round_trip(&op);
    struct namespace_op gone = {.kind = NAMESPACE_OP_REMOVE, .time_ms = TIME_MS, .id = SPAN("dev")};
    expect_round_trip(&gone);
}

static void expect_refused(const struct namespace_op *op, const char *text)
{
    struct arena arena;
    struct fail fail = {0};
    struct namespace_op back = {0};
    assert_int_equal(namespace_op_check(op, &fail), E_INVALID);
    assert_string_equal(fail.text, text);
    arena_init(&arena, NAMESPACE_OP_ARENA_MAX);
    assert_int_equal(decode(op, &arena, &back, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, text));
    assert_null(back.id.data);
    arena_close(&arena);
}

static void test_values__no_admit_lets_through__are_refused(void **state)
{
    (void)state;
    char *many = mem_alloc(1000);
    memset(many, 'x', 1000);
    struct namespace_op op = put();
    op.time_ms = 0;
    expect_refused(&op, "time: expected milliseconds since 1970, got 0");
    const char *bad_id = "namespaceId: expected 1 to 128 letters, digits, '-' and '_'";
    op = put();
    op.id = SPAN("");
    expect_refused(&op, bad_id);
    op.id = SPAN("a b");
    expect_refused(&op, bad_id);
    op.id = SPAN("\xc3\xa9");
    expect_refused(&op, bad_id);
    op.id = span_of(many, NAMESPACE_ID_MAX + 1);
    expect_refused(&op, bad_id);
    const char *bad_name = "namespaceName: expected at least one character and none of @#$%^&*";
    op = put();
    op.name = SPAN("");
    expect_refused(&op, bad_name);
    op.name = SPAN("a*b");
    expect_refused(&op, bad_name);
    op.name = SPAN("a\0b");
    expect_refused(&op, "namespaceName: expected UTF-8 without NUL");
    op.name = SPAN("a\xff");
    expect_refused(&op, "namespaceName: expected UTF-8 without NUL");
    op.name = span_of(many, NAMESPACE_NAME_CHARS_MAX + 1);
    expect_refused(&op, "namespaceName: expected at most 128 characters, got 129");
    op = put();
    op.desc = span_of(many, NAMESPACE_DESC_CHARS_MAX + 1);
    expect_refused(&op, "namespaceDesc: expected at most 256 characters, got 257");
    op.desc = SPAN("\xed\xa0\x80");
    expect_refused(&op, "namespaceDesc: expected UTF-8 without NUL");
    mem_free(many);
}

static void test_limits__what_just_fits__passes(void **state)
{
    (void)state;
    char text[4 * NAMESPACE_DESC_CHARS_MAX];
    for (size_t at = 0; at < sizeof text; at += 2) {
        memcpy(text + at, "\xc3\xa9", 2);
    }
    struct namespace_op op = put();
    op.name = span_of(text, 2 * NAMESPACE_NAME_CHARS_MAX);
    op.desc = span_of(text, 2 * NAMESPACE_DESC_CHARS_MAX);
    expect_round_trip(&op);
}

static void test_chars__are_counted_as_java_counts(void **state)
{
    (void)state;
    assert_int_equal(namespace_chars(SPAN("")), 0);
    assert_int_equal(namespace_chars(SPAN("a\xc3\xa9\xe4\xb8\xad")), 3);
    assert_int_equal(namespace_chars(SPAN("\xf0\x9f\x98\x80")), 2); /* a surrogate pair */
    assert_int_equal(namespace_chars(SPAN("\xff\xff")), 2);
}

static void test_decode__damaged__is_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct fail fail = {0};
    struct namespace_op back = {0};
    arena_init(&arena, NAMESPACE_OP_ARENA_MAX);
    assert_int_equal(namespace_op_decode(SPAN("\xff\xff"), &arena, &back, &fail), E_PARSE);
    assert_string_equal(fail.text, "operation of the log: damaged");
    assert_int_equal(namespace_op_decode(SPAN(""), &arena, &back, &fail), E_PARSE);
    assert_string_equal(fail.text, "operation of the log: version 0, this node knows 1");
    /* version 1, time 1, and a kind of field 12 */
    assert_int_equal(namespace_op_decode(SPAN("\x08\x01\x10\x01\x62\x00"), &arena, &back, &fail),
                     E_PARSE);
    assert_string_equal(fail.text, "operation of the log: unknown kind");
    struct namespace_op op = put();
    struct buf *bytes = namespace_op_encode(&op);
    for (size_t len = 0; len < bytes->len; len++) {
        assert_int_equal(namespace_op_decode(span_of(bytes->data, len), &arena, &back, &fail),
                         E_PARSE);
    }
    buf_unref(bytes);
    arena_close(&arena);
}

static void test_decode__more_than_the_arena_holds__is_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct fail fail = {0};
    struct namespace_op back = {0};
    size_t len = 2 * NAMESPACE_OP_ARENA_MAX;
    char *many = mem_alloc(len);
    memset(many, 'x', len);
    struct namespace_op op = put();
    op.desc = span_of(many, len);
    arena_init(&arena, NAMESPACE_OP_ARENA_MAX);
    assert_int_equal(decode(&op, &arena, &back, &fail), E_PARSE);
    assert_string_equal(fail.text, "operation of the log: damaged");
    arena_close(&arena);
    mem_free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_values__no_admit_lets_through__are_refused),
        cmocka_unit_test(test_limits__what_just_fits__passes),
        cmocka_unit_test(test_chars__are_counted_as_java_counts),
        cmocka_unit_test(test_decode__damaged__is_refused),
        cmocka_unit_test(test_decode__more_than_the_arena_holds__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
