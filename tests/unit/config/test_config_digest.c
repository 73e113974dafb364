/* What shows in the digest of the configuration centre, and that the tables bring the same back.
 * config_check, which the harness calls after every turn, compares it with the sum from the
 * beginning. */
#include "config/config_digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_harness.h"

static struct cstory s;

static int setup(void **state)
{
    (void)state;
    cstory_begin(&s, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&s);
    return 0;
}

static uint64_t digest(void)
{
    return config_digest(s.config);
}

static void all_differ(const uint64_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_true(list[i] != list[k]);
        }
    }
}

/* One that comes and goes leaves its ids. */
static void test_changes__show(void **state)
{
    (void)state;
    uint64_t seen[8] = {digest()};
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    seen[1] = digest();
    assert_int_equal(cstory_publish(&s, "a", "two"), 0);
    seen[2] = digest();
    assert_int_equal(cstory_publish(&s, "a", "two"), 0); /* another time, another history id */
    seen[3] = digest();
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "two"), 0);
    seen[4] = digest();
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.2", "two"), 0);
    seen[5] = digest();
    assert_int_equal(cstory_publish_tag(&s, "a", "t", "two"), 0);
    seen[6] = digest();
    assert_int_equal(cstory_remove(&s, "a", ""), 0);
    seen[7] = digest();
    all_differ(seen, ARRAY_LEN(seen));
}

static struct config_publish publish_of(const char *data_id, const char *content)
{
    struct config_publish p = {.key = cstory_key(data_id),
                               .gray_name = SPAN(""),
                               .content = span_str(content),
                               .type = CONFIG_TEXT};
    config_md5(p.content, p.md5);
    return p;
}

static uint64_t digest_after(const struct config_publish *p, int64_t time_ms)
{
    struct config_op op = {
        .kind = CONFIG_OP_PUBLISH, .time_ms = time_ms, .publish = p, .publish_count = 1};
    struct cstory one;
    cstory_begin(&one, NULL);
    cstory_commit(&one, &op);
    uint64_t d = config_digest(one.config);
    cstory_end(&one);
    return d;
}

static void test_version__every_field_counts(void **state)
{
    (void)state;
    const int64_t time_ms = 1700000000000;
    uint64_t seen[6];
    struct config_publish p = publish_of("a", "one");
    seen[0] = digest_after(&p, time_ms);
    assert_true(seen[0] == digest_after(&p, time_ms));
    seen[1] = digest_after(&p, time_ms + 1);
    p.type = CONFIG_JSON;
    seen[2] = digest_after(&p, time_ms);
    p.encrypted_key = SPAN("key");
    seen[3] = digest_after(&p, time_ms);
    p = publish_of("a", "two");
    seen[4] = digest_after(&p, time_ms);
    p = publish_of("b", "one");
    seen[5] = digest_after(&p, time_ms);
    all_differ(seen, ARRAY_LEN(seen));
}

static void test_cold_and_loaded__is_the_same(void **state)
{
    (void)state;
    struct config_options cold = cstory_options();
    cold.memory_bytes_max = 1;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(cstory_publish(&s, "b", "two"), 0);
    assert_int_equal(cstory_publish_beta(&s, "b", "10.0.0.1", "three"), 0);
    assert_int_equal(cstory_publish_tag(&s, "c", "t", "four"), 0);
    assert_int_equal(cstory_publish(&s, "d", "goes"), 0);
    assert_int_equal(cstory_remove(&s, "d", ""), 0);
    uint64_t before = digest();
    cstory_settle(&s);
    assert_true(digest() == before);
    cstory_restart(&s, &cold);
    assert_string_equal(cstory_read(&s, "a", NULL), "(cold)");
    assert_true(digest() == before);
    cstory_restart(&s, NULL);
    assert_true(digest() == before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_changes__show, setup, teardown),
        cmocka_unit_test(test_version__every_field_counts),
        cmocka_unit_test_setup_teardown(test_cold_and_loaded__is_the_same, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
