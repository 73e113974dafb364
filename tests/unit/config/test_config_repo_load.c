#include "config/config_repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "config_tables.h"

static struct config_tables t;

static int setup(void **state)
{
    (void)state;
    tables_init(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_close(&t);
    return 0;
}

struct seen {
    char text[1024];
    unsigned stop_after;
    unsigned count;
    int err;
};

static int see(void *arg, const struct repo_version *v, struct fail *fail)
{
    struct seen *s = arg;
    size_t len = strlen(s->text);
    (void)snprintf(s->text + len, sizeof s->text - len,
                   "%llu %.*s/%.*s/%.*s %.*s(%.*s) %.*s %llu %.*s;", (unsigned long long)v->id,
                   SPAN_ARG(v->key.tenant), SPAN_ARG(v->key.group), SPAN_ARG(v->key.data_id),
                   SPAN_ARG(v->gray_name), SPAN_ARG(v->gray_rule), SPAN_ARG(v->type),
                   (unsigned long long)v->length, SPAN_ARG(v->content));
    assert_int_equal(v->md5.len, CONFIG_MD5_TEXT);
    assert_true(v->modified_ms > 0);
    if (s->err) {
        return fail_set(fail, s->err, "told to");
    }
    return ++s->count == s->stop_after ? 1 : 0;
}

static void put_some(void)
{
    struct config_publish p = tables_publish("a", "one");
    uint64_t first = tables_put(&t, 0, &p);
    p = tables_publish("b", "\xc3\xa4");
    p.key.tenant = SPAN("ns");
    p.type = CONFIG_JSON;
    (void)tables_put(&t, 0, &p);
    p = tables_publish("a", "tagged");
    p.gray_name = SPAN("tag_x");
    p.gray_rule = SPAN("x");
    (void)tables_put(&t, 0, &p);
    p = tables_publish("a", "three");
    (void)tables_put(&t, first, &p);
}

static void test_each__formal_ones_first_without_content(void **state)
{
    (void)state;
    put_some();
    struct seen s = {0};
    assert_int_equal(config_repo_each(t.db, see, &s, NULL), 0);
    assert_string_equal(s.text, "1 /g/a () text 5 ;2 ns/g/b () json 2 ;3 /g/a tag_x(x) text 6 ;");
}

static void test_each__callback_fails__that_is_the_result(void **state)
{
    (void)state;
    put_some();
    struct seen s = {.err = E_CORRUPT};
    struct fail fail = {0};
    assert_int_equal(config_repo_each(t.db, see, &s, &fail), E_CORRUPT);
    assert_string_equal(fail_text(&fail), "told to");
    assert_true(db_is_idle(t.db));
    assert_int_equal(config_repo_each_content(t.db, see, &s, &fail), E_CORRUPT);
    assert_true(db_is_idle(t.db));
}

static void test_each_content__newest_first_until_told_to_stop(void **state)
{
    (void)state;
    put_some();
    struct seen s = {0};
    assert_int_equal(config_repo_each_content(t.db, see, &s, NULL), 0);
    assert_string_equal(s.text, "1 /g/a () text 5 three;2 ns/g/b () json 2 \xc3\xa4;");
    struct seen one = {.stop_after = 1};
    assert_int_equal(config_repo_each_content(t.db, see, &one, NULL), 0);
    assert_int_equal(one.count, 1);
    assert_true(db_is_idle(t.db));
}

static void test_contents__formal_and_gray_of_one_key(void **state)
{
    (void)state;
    put_some();
    struct config_publish p = tables_publish("a", "");
    struct seen s = {0};
    assert_int_equal(config_repo_contents(t.db, &p.key, see, &s, NULL), 0);
    assert_string_equal(s.text, "1 /g/a () text 5 three;3 /g/a tag_x(x) text 6 tagged;");
    struct seen none = {0};
    p.key.data_id = SPAN("nope");
    assert_int_equal(config_repo_contents(t.db, &p.key, see, &none, NULL), 0);
    assert_string_equal(none.text, "");
}

static int same_bytes(void *arg, const struct repo_version *v, struct fail *fail)
{
    (void)fail;
    assert_true(span_eq(v->content, *(struct span *)arg));
    return 0;
}

static void test_contents__all_kinds_of_bytes__come_back_exactly(void **state)
{
    (void)state;
    char big[200001];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    const char *contents[] = {"\r\n", "\r", " \t", "\xf0\x9f\x98\x80", "%_*[?", "'\";--", big};
    struct config_publish p = tables_publish("d", "x");
    uint64_t id = tables_put(&t, 0, &p);
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        p = tables_publish("d", contents[i]);
        (void)tables_put(&t, id, &p);
        assert_int_equal(config_repo_contents(t.db, &p.key, same_bytes, &p.content, NULL), 0);
    }
}

static void test_each_with__contents_until_they_are_too_many(void **state)
{
    (void)state;
    put_some();
    struct seen s = {0};
    assert_int_equal(config_repo_each_with(t.db, 7, see, &s, NULL), 0);
    assert_string_equal(
        s.text, "1 /g/a () text 5 three;2 ns/g/b () json 2 \xc3\xa4;3 /g/a tag_x(x) text 6 ;");
    struct seen less = {0};
    assert_int_equal(config_repo_each_with(t.db, 6, see, &less, NULL), 0);
    assert_string_equal(less.text,
                        "1 /g/a () text 5 three;2 ns/g/b () json 2 ;3 /g/a tag_x(x) text 6 ;");
    struct seen none = {0};
    assert_int_equal(config_repo_each_with(t.db, 4, see, &none, NULL), 0);
    assert_string_equal(none.text,
                        "1 /g/a () text 5 ;2 ns/g/b () json 2 ;3 /g/a tag_x(x) text 6 ;");
}

static void test_by_ids__formal_ones_only_unknown_are_skipped(void **state)
{
    (void)state;
    put_some();
    const uint64_t ids[] = {3, 2, 99, 1, 2};
    struct seen s = {0};
    assert_int_equal(config_repo_by_ids(t.db, ids, 5, see, &s, NULL), 0);
    assert_string_equal(s.text, "1 /g/a () text 5 ;2 ns/g/b () json 2 ;");
    struct seen none = {0};
    assert_int_equal(config_repo_by_ids(t.db, ids, 0, see, &none, NULL), 0);
    assert_string_equal(none.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_each__formal_ones_first_without_content),
        T(test_each__callback_fails__that_is_the_result),
        T(test_each_content__newest_first_until_told_to_stop),
        T(test_contents__formal_and_gray_of_one_key),
        T(test_contents__all_kinds_of_bytes__come_back_exactly),
        T(test_each_with__contents_until_they_are_too_many),
        T(test_by_ids__formal_ones_only_unknown_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
