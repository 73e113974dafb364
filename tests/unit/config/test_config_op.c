/* Operations of the log: what goes in comes out, and no damaged bytes get through to apply. */
#include "config/config_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "consensus/consensus.h"

#define TIME_MS 1700000000000

static struct config_publish usual(void)
{
    struct config_publish p = {
        .key = {SPAN("dev"), SPAN("g"), SPAN("d")},
        .gray_name = SPAN("tag_x"),
        .gray_rule = SPAN("x"),
        .content = SPAN("a: \0 b"),
        .type = CONFIG_YAML,
        .encrypted_key = SPAN("key"),
        .cas_md5 = SPAN("0123"),
        .app_name = SPAN("app"),
        .tags = SPAN("t1,t2"),
        .desc = SPAN("desc"),
        .use = SPAN("use"),
        .effect = SPAN("effect"),
        .schema = SPAN("schema"),
    };
    config_md5(p.content, p.md5);
    return p;
}

static struct config_op publish(const struct config_publish *p)
{
    return (struct config_op){
        .kind = CONFIG_OP_PUBLISH,
        .time_ms = TIME_MS,
        .src_user = SPAN("me"),
        .src_ip = SPAN("10.0.0.1"),
        .publish = p,
        .publish_count = 1,
    };
}

/* op, encoded and decoded; everything lives in arena. */
static struct config_op round_trip(const struct config_op *op, struct arena *arena)
{
    struct config_op back = {0};
    struct fail fail = {0};
    arena_init(arena, CONFIG_OP_ARENA_MAX);
    struct buf *packed = config_op_encode(op);
    assert_int_equal(config_op_decode(buf_span(packed), arena, &back, &fail), 0);
    buf_unref(packed);
    assert_int_equal(back.kind, op->kind);
    assert_int_equal(back.time_ms, op->time_ms);
    return back;
}

static void expect_text(struct span a, struct span b)
{
    assert_true(span_eq(a, b));
    assert_int_equal(a.data == NULL, b.data == NULL);
}

static void expect_publish(const struct config_publish *a, const struct config_publish *b)
{
    assert_true(config_key_eq(&a->key, &b->key));
    assert_true(span_eq(a->gray_name, b->gray_name));
    assert_true(span_eq(a->gray_rule, b->gray_rule));
    assert_true(span_eq(a->content, b->content));
    assert_memory_equal(a->md5, b->md5, CONFIG_MD5_BYTES);
    assert_int_equal(a->type, b->type);
    assert_true(span_eq(a->encrypted_key, b->encrypted_key));
    assert_true(span_eq(a->cas_md5, b->cas_md5));
    expect_text(a->app_name, b->app_name);
    expect_text(a->tags, b->tags);
    expect_text(a->desc, b->desc);
    expect_text(a->use, b->use);
    expect_text(a->effect, b->effect);
    expect_text(a->schema, b->schema);
}

static void test_publish__comes_back(void **state)
{
    (void)state;
    struct arena arena;
    struct config_publish p = usual();
    struct config_op op = publish(&p);
    struct config_op back = round_trip(&op, &arena);
    assert_int_equal(back.publish_count, 1);
    expect_publish(back.publish, &p);
    assert_true(span_eq(back.src_user, SPAN("me")));
    assert_true(span_eq(back.src_ip, SPAN("10.0.0.1")));
    arena_close(&arena);
}

static void test_publish__not_sent_differs_from_empty(void **state)
{
    (void)state;
    struct arena arena;
    struct config_publish p = {.key = {SPAN(""), SPAN("g"), SPAN("d")}, .content = SPAN("c")};
    struct config_op op = publish(&p);
    op.src_user = (struct span){0};
    struct config_op back = round_trip(&op, &arena);
    expect_publish(back.publish, &p);
    assert_null(back.publish->app_name.data);
    assert_null(back.src_user.data);
    arena_close(&arena);
    p.app_name = SPAN("");
    p.tags = SPAN("");
    p.schema = SPAN("");
    back = round_trip(&op, &arena);
    expect_publish(back.publish, &p);
    assert_non_null(back.publish->app_name.data);
    assert_null(back.publish->desc.data);
    arena_close(&arena);
}

static void test_publish__of_10_mib__comes_back(void **state)
{
    (void)state;
    struct arena arena;
    char *text = mem_zalloc(1, CONFIG_CONTENT_BYTES_MAX);
    struct config_publish p = usual();
    p.content = span_of(text, CONFIG_CONTENT_BYTES_MAX);
    struct config_op op = publish(&p);
    struct config_op back = round_trip(&op, &arena);
    expect_publish(back.publish, &p);
    arena_close(&arena);
    mem_free(text);
}

static void test_import__comes_back_in_order(void **state)
{
    (void)state;
    struct arena arena;
    static char names[CONFIG_IMPORT_MAX][8];
    struct config_publish *list = mem_zalloc(CONFIG_IMPORT_MAX, sizeof(*list));
    for (size_t i = 0; i < CONFIG_IMPORT_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "c%zu", i);
        list[i] = usual();
        list[i].key.data_id = span_str(names[i]);
    }
    struct config_op op = {.kind = CONFIG_OP_IMPORT,
                           .time_ms = TIME_MS,
                           .publish = list,
                           .publish_count = CONFIG_IMPORT_MAX,
                           .policy = CONFIG_SKIP};
    struct config_op back = round_trip(&op, &arena);
    assert_int_equal(back.policy, CONFIG_SKIP);
    assert_int_equal(back.publish_count, CONFIG_IMPORT_MAX);
    for (size_t i = 0; i < CONFIG_IMPORT_MAX; i++) {
        expect_publish(&back.publish[i], &list[i]);
    }
    arena_close(&arena);
    mem_free(list);
}

static void test_remove_and_trim__come_back(void **state)
{
    (void)state;
    struct arena arena;
    struct config_op op = {.kind = CONFIG_OP_REMOVE,
                           .time_ms = TIME_MS,
                           .key = {SPAN("dev"), SPAN("g"), SPAN("d")},
                           .gray_name = SPAN("beta")};
    struct config_op back = round_trip(&op, &arena);
    assert_true(config_key_eq(&back.key, &op.key));
    assert_true(span_eq(back.gray_name, SPAN("beta")));
    arena_close(&arena);
    struct config_op trim = {.kind = CONFIG_OP_TRIM_HISTORY, .time_ms = TIME_MS, .before_ms = -5};
    back = round_trip(&trim, &arena);
    assert_int_equal(back.before_ms, -5);
    arena_close(&arena);
}

/* Decoding the encoded op fails with a text that contains part. */
static void expect_refused(const struct config_op *op, const char *part)
{
    struct arena arena;
    arena_init(&arena, CONFIG_OP_ARENA_MAX);
    struct config_op back = {0};
    struct fail fail = {0};
    int err = config_op_check(op, &fail);
    assert_int_equal(err, fail.code);
    assert_true(fail.code == E_INVALID || fail.code == E_PARAM);
    struct buf *packed = config_op_encode(op);
    assert_int_equal(config_op_decode(buf_span(packed), &arena, &back, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, part));
    assert_int_equal(back.kind, 0);
    buf_unref(packed);
    arena_close(&arena);
}

static void test_check__values_that_no_admit_lets_through(void **state)
{
    (void)state;
    struct config_publish p = usual();
    struct config_op op = publish(&p);
    op.time_ms = 0;
    expect_refused(&op, "time");
    op.time_ms = TIME_MS;
    p.key.tenant = SPAN("public");
    expect_refused(&op, "default namespace");
    p.key.tenant = SPAN("a+b");
    expect_refused(&op, "namespaceId/tenant");
    p = usual();
    p.key.data_id = SPAN("");
    expect_refused(&op, "invalid dataId");
    p = usual();
    p.gray_rule = SPAN("");
    expect_refused(&op, "belong together");
    p = usual();
    p.gray_name = SPAN("tag_\0");
    expect_refused(&op, "gray name");
    static char large[CONFIG_TEXT_BYTES_MAX + 1];
    p = usual();
    p.schema = span_of(large, sizeof(large));
    expect_refused(&op, "schema");
    p = usual();
    p.gray_name = span_of(large, 129);
    expect_refused(&op, "gray name");
    char *content = mem_zalloc(1, CONFIG_CONTENT_BYTES_MAX + 1);
    p = usual();
    p.content = span_of(content, CONFIG_CONTENT_BYTES_MAX + 1);
    expect_refused(&op, "content");
    mem_free(content);
    p = usual();
    op.src_user = span_of(large, sizeof(large));
    expect_refused(&op, "user");
}

static void test_check__imports(void **state)
{
    (void)state;
    struct config_publish p = usual();
    struct config_op op = {.kind = CONFIG_OP_IMPORT, .time_ms = TIME_MS, .publish = &p};
    expect_refused(&op, "expected 1 to 10000");
    op.publish_count = 1;
    op.policy = (enum config_policy)3;
    expect_refused(&op, "policy 3");
    op.policy = CONFIG_ABORT;
    p.key.group = SPAN(" ");
    expect_refused(&op, "invalid group");
}

static void expect_damaged(struct span bytes)
{
    struct arena arena;
    arena_init(&arena, CONFIG_OP_ARENA_MAX);
    struct config_op back = {0};
    struct fail fail = {0};
    assert_int_equal(config_op_decode(bytes, &arena, &back, &fail), E_PARSE);
    assert_int_equal(fail.code, E_PARSE);
    assert_int_equal(back.kind, 0);
    arena_close(&arena);
}

static void test_decode__damaged__is_refused(void **state)
{
    (void)state;
    expect_damaged(SPAN(""));
    expect_damaged(SPAN("\xff\xff\xff"));
    struct config_publish p = usual();
    struct config_op op = publish(&p);
    struct buf *packed = config_op_encode(&op);
    for (size_t len = 0; len < packed->len; len++) {
        expect_damaged(span_of(packed->data, len));
    }
    buf_unref(packed);
}

static void test_decode__unknown_kind_or_version__is_refused(void **state)
{
    (void)state;
    expect_damaged(SPAN("\x08\x01\x10\x01\xf2\x01\x00")); /* version 1, time 1, field 30 */
    expect_damaged(SPAN("\x08\x01\x10\x01"));             /* no operation */
    expect_damaged(SPAN("\x08\x02\x10\x01\xba\x01\x00")); /* version 2, a trim */
    expect_damaged(SPAN("\x08\x01\x10\x01\xa2\x01\x00")); /* a publish without a key */
    expect_damaged(SPAN("\x08\x01\x10\x01\xaa\x01\x00")); /* a removal without a key */
    /* key "g", "d", no md5 */
    expect_damaged(SPAN("\x08\x01\x10\x01\xa2\x01\x08\x0a\x06\x12\x01g\x1a\x01"
                        "d"));
}

static void test_decode__longer_than_any_operation__is_refused(void **state)
{
    (void)state;
    size_t len = CONSENSUS_OP_BYTES_MAX + 1;
    char *bytes = mem_zalloc(1, len);
    expect_damaged(span_of(bytes, len));
    mem_free(bytes);
}

static void test_decode__arena_is_full__is_refused(void **state)
{
    (void)state;
    struct config_publish p = usual();
    struct config_op op = publish(&p);
    struct buf *packed = config_op_encode(&op);
    struct fail fail = {0};
    struct config_op back = {0};
    for (size_t max = 0; max < 4096; max += 16) {
        struct arena arena;
        arena_init(&arena, max);
        int err = config_op_decode(buf_span(packed), &arena, &back, &fail);
        assert_true(err == 0 || err == E_PARSE);
        arena_close(&arena);
    }
    buf_unref(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish__comes_back),
        cmocka_unit_test(test_publish__not_sent_differs_from_empty),
        cmocka_unit_test(test_publish__of_10_mib__comes_back),
        cmocka_unit_test(test_import__comes_back_in_order),
        cmocka_unit_test(test_remove_and_trim__come_back),
        cmocka_unit_test(test_check__values_that_no_admit_lets_through),
        cmocka_unit_test(test_check__imports),
        cmocka_unit_test(test_decode__damaged__is_refused),
        cmocka_unit_test(test_decode__unknown_kind_or_version__is_refused),
        cmocka_unit_test(test_decode__longer_than_any_operation__is_refused),
        cmocka_unit_test(test_decode__arena_is_full__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
