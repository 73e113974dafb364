#include "config/config_probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARENA (1u << 20)
#define ENTRIES ((size_t)LISTEN_CONTEXTS_MAX)

static struct arena arena;
static struct fail fail;
static struct listen_context *list;
static size_t count;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, ARENA);
    fail = (struct fail){0};
    list = NULL;
    count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static void decode(const char *value)
{
    assert_int_equal(config_probe_decode(span_str(value), &arena, &list, &count, &fail), 0);
}

static void refuse(const char *value, int err, const char *text)
{
    fail = (struct fail){0};
    assert_int_equal(config_probe_decode(span_str(value), &arena, &list, &count, &fail), err);
    assert_string_equal(fail.text, text);
}

static void expect(size_t n, const char *tenant, const char *data_id, const char *md5)
{
    assert_true(n < count);
    assert_true(span_eq(list[n].key.tenant, span_str(tenant)));
    assert_true(span_eq(list[n].key.data_id, span_str(data_id)));
    assert_true(span_eq(list[n].key.group, SPAN("g")));
    assert_true(span_eq(list[n].md5, span_str(md5)));
}

static void test_entries__with_and_without_a_tenant(void **state)
{
    (void)state;
    decode("d1\2g\2m1\1d2\2g\2\1d3\2g\2m3\2ns\1d4\2g\2\2public\1d5\2g\2m5\2\1");
    assert_int_equal(count, 5);
    expect(0, "", "d1", "m1");
    expect(1, "", "d2", "");
    expect(2, "ns", "d3", "m3");
    expect(3, "", "d4", "");
    assert_true(span_eq(list[3].tenant_as_sent, SPAN("public")));
    expect(4, "", "d5", "m5");
    assert_int_equal(list[4].tenant_as_sent.len, 0);
}

static void test_value__is_decoded_once_more(void **state)
{
    (void)state;
    decode("d%3A1%02g%02m%01");
    expect(0, "", "d:1", "m");
}

static void test_last_end__may_be_missing(void **state)
{
    (void)state;
    decode("d1\2g\2m1\1d2\2g\2m2");
    assert_int_equal(count, 2);
    expect(1, "", "d2", "m2");
}

/* golden http/longpoll */
static void test_malformed__is_refused(void **state)
{
    (void)state;
    const char *const values[] = {"",        " ",      "garbage",      "lp-1\1", "a\2b\2c\2d\2e\1",
                                  "\1",      "d\2g\1", "d\2g\2m\1\1",  "d\2g",   "d%2\2g\2\1",
                                  "d%xx\2g", "%",      "d\2g\2m\1 \1", "%20%20"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        refuse(values[i], E_INVALID, "invalid probeModify");
    }
    refuse("l p\2g\2\1", E_PARAM,
           "Param 'dataId' is illegal, illegal characters should not appear in the param.");
    refuse("d\2g+g\2\1", E_PARAM,
           "Param 'group' is illegal, illegal characters should not appear in the param.");
    refuse("d\2g\2\2a.b\1", E_PARAM,
           "Param 'namespaceId/tenant' is illegal, illegal characters should not appear in the "
           "param.");
    refuse("\2g\2\1", E_INVALID, "invalid dataId : ");
}

static void test_entries__limit(void **state)
{
    (void)state;
    char *value = malloc((ENTRIES + 1) * 5 + 1);
    assert_non_null(value);
    for (size_t i = 0; i <= LISTEN_CONTEXTS_MAX; i++) {
        memcpy(value + 5 * i, "d\2g\2\1", 5);
    }
    value[5 * ENTRIES] = '\0';
    decode(value);
    assert_int_equal(count, LISTEN_CONTEXTS_MAX);
    memcpy(value + 5 * ENTRIES, "d\2g\2\1", 6);
    refuse(value, E_INVALID, "invalid protocol, too much listener");
    arena_close(&arena);
    arena_init(&arena, 1024);
    refuse(value, E_TOO_LARGE, "the request takes more memory than it may");
    arena_close(&arena);
    arena_init(&arena, 64 << 10);
    value[ENTRIES / 2 * 5] = '\0'; /* the text fits, its list does not */
    refuse(value, E_TOO_LARGE, "the request takes more memory than it may");
    free(value);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_entries__with_and_without_a_tenant),
        TEST(test_value__is_decoded_once_more),
        TEST(test_last_end__may_be_missing),
        TEST(test_malformed__is_refused),
        TEST(test_entries__limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
