/* The list of namespaces: what operations do to it, and that it comes back from the tables. */
#include "namespace/namespace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/err.h"
#include "base/thread.h"
#include "namespace_bed.h"

static struct namespace_op op_of(const struct namespace_bed *b, const char *id, const char *name,
                                 const char *desc)
{
    return (struct namespace_op){.kind = NAMESPACE_OP_PUT,
                                 .time_ms = b->now.wall_ms,
                                 .id = span_str(id),
                                 .name = span_str(name),
                                 .desc = span_str(desc)};
}

static void create(struct namespace_bed *b, const char *id, const char *name, const char *desc)
{
    struct namespace_op op = op_of(b, id, name, desc);
    op.create = true;
    bed_apply(b, &op);
}

static void update(struct namespace_bed *b, const char *id, const char *name, const char *desc)
{
    struct namespace_op op = op_of(b, id, name, desc);
    bed_apply(b, &op);
}

static void removal(struct namespace_bed *b, const char *id)
{
    struct namespace_op op = {
        .kind = NAMESPACE_OP_REMOVE, .time_ms = b->now.wall_ms, .id = span_str(id)};
    bed_apply(b, &op);
}

static void expect_info(const struct namespace_info *info, const char *id, const char *name,
                        const char *desc)
{
    assert_non_null(info);
    assert_true(span_eq(info->id, span_str(id)));
    assert_true(span_eq(info->name, span_str(name)));
    assert_true(span_eq(info->desc, span_str(desc)));
    assert_int_equal(info->desc.data != NULL, desc != NULL);
}

static void expect_two(const struct namespace_bed *b)
{
    assert_int_equal(namespace_count(b->namespaces), 2);
    expect_info(namespace_at(b->namespaces, 0), "a", "first", NULL);
    expect_info(namespace_at(b->namespaces, 1), "b", "other", "");
    assert_int_equal(namespace_at(b->namespaces, 1)->created_ms, 1700000000000);
    assert_int_equal(namespace_at(b->namespaces, 1)->modified_ms, 1700000000005);
}

static void test_operations__change_the_list_and_the_tables(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    create(&b, "c", "goes", "d");
    create(&b, "b", "second", "d");
    create(&b, "a", "first", NULL);
    removal(&b, "c");
    b.now.wall_ms += 5;
    update(&b, "b", "other", "");
    expect_two(&b);
    bed_flush(&b);
    uint64_t digest = namespace_digest(b.namespaces);
    bed_reopen(&b);
    expect_two(&b);
    assert_true(namespace_digest(b.namespaces) == digest);
    create(&b, "c", "again", "d"); /* its place is free */
    bed_flush(&b);
    bed_end(&b);
}

static void test_digest__every_field_counts_and_a_removal_takes_it_back(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    uint64_t seen[6] = {namespace_digest(b.namespaces)};
    create(&b, "a", "first", NULL);
    seen[1] = namespace_digest(b.namespaces);
    update(&b, "a", "other", NULL);
    seen[2] = namespace_digest(b.namespaces);
    update(&b, "a", "other", "");
    seen[3] = namespace_digest(b.namespaces);
    b.now.wall_ms += 5;
    update(&b, "a", "other", "");
    seen[4] = namespace_digest(b.namespaces);
    create(&b, "b", "other", "");
    seen[5] = namespace_digest(b.namespaces);
    for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_true(seen[i] != seen[k]);
        }
    }
    removal(&b, "b");
    assert_true(namespace_digest(b.namespaces) == seen[4]);
    removal(&b, "a");
    assert_true(namespace_digest(b.namespaces) == seen[0]);
    bed_flush(&b);
    bed_end(&b);
}

static void test_create__exists__changes_nothing(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    create(&b, "a", "first", "d");
    create(&b, "a", "second", "e");
    create(&b, "public", "the default one", NULL);
    assert_int_equal(namespace_count(b.namespaces), 1);
    expect_info(namespace_find(b.namespaces, SPAN("a")), "a", "first", "d");
    bed_flush(&b);
    bed_end(&b);
}

static void test_unknown__changes_nothing(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    update(&b, "a", "first", "d");
    removal(&b, "a");
    assert_int_equal(namespace_count(b.namespaces), 0);
    assert_int_equal(table_writer_stats(b.tables).writes_waiting, 0);
    bed_end(&b);
}

static void test_exists__default_one__in_all_spellings(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    create(&b, "dev", "d", NULL);
    static const char *const there[] = {"", " ", "public", "PUBLIC", "null", "dev"};
    for (size_t i = 0; i < ARRAY_LEN(there); i++) {
        assert_true(namespace_exists(b.namespaces, span_str(there[i])));
    }
    assert_false(namespace_exists(b.namespaces, SPAN("Dev")));
    assert_false(namespace_exists(b.namespaces, SPAN("publics")));
    assert_null(namespace_find(b.namespaces, SPAN("public")));
    bed_end(&b);
}

static void test_create__as_many_as_may_be__then_refused(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    for (int i = 0; i <= NAMESPACES_MAX; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "n%d", (i * 7919) % (NAMESPACES_MAX + 1));
        create(&b, id, "n", NULL);
    }
    assert_int_equal(namespace_count(b.namespaces), NAMESPACES_MAX);
    for (size_t i = 1; i < NAMESPACES_MAX; i++) {
        assert_true(
            span_cmp(namespace_at(b.namespaces, i - 1)->id, namespace_at(b.namespaces, i)->id) < 0);
    }
    bed_refuse(&b, API_POST, "/v2/console/namespace", "namespaceId=more&namespaceName=n", E_LIMIT,
               "there are 10000 namespaces already, as many as may be");
    bed_flush(&b);
    bed_reopen(&b);
    assert_int_equal(namespace_count(b.namespaces), NAMESPACES_MAX);
    bed_end(&b);
}

static void test_commit__damaged__is_counted_and_changes_nothing(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_commit(&b, SPAN("\xff"), NULL);
    bed_commit(&b, SPAN(""), NULL);
    assert_int_equal(atomic_load(&namespace_counters(b.namespaces)->bad_ops), 2);
    assert_int_equal(b.out.count, 0);
    static const struct api_row row = {.shape = API_SHAPE_TEXT};
    struct api_call call = {.row = &row};
    bed_commit(&b, SPAN("\xff"), &call);
    assert_int_equal(call.reply.fail.code, E_INTERNAL);
    assert_string_equal(call.reply.fail.text, "the operation came back damaged from the log: "
                                              "operation of the log: damaged");
    outbox_clear(&b.out, 0);
    bed_end(&b);
}

static void test_remove__says_how_many_configs_stay(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    b.configs = 7;
    create(&b, "a", "first", NULL);
    removal(&b, "a");
    assert_int_equal(b.out.count, 1);
    assert_int_equal(b.out.list[0].kind, EFFECT_TRACE);
    assert_true(
        span_eq(buf_span(b.out.list[0].u.trace.text), SPAN("event=removed id=a configs_left=7")));
    bed_end(&b);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations__change_the_list_and_the_tables),
        cmocka_unit_test(test_digest__every_field_counts_and_a_removal_takes_it_back),
        cmocka_unit_test(test_create__exists__changes_nothing),
        cmocka_unit_test(test_unknown__changes_nothing),
        cmocka_unit_test(test_exists__default_one__in_all_spellings),
        cmocka_unit_test(test_create__as_many_as_may_be__then_refused),
        cmocka_unit_test(test_commit__damaged__is_counted_and_changes_nothing),
        cmocka_unit_test(test_remove__says_how_many_configs_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
