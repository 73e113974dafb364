/* Items: found by their key, counted, and freed when nothing holds them. */
#include "config/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/thread.h"

static struct config *c;
static struct view *view;
static const struct now now = {1000, 1700000000000};

static int setup(void **state)
{
    (void)state;
    thread_become(THREAD_CORE, "test");
    struct config_options options = {.memory_bytes_max = 1u << 20, .gray_max = 10};
    view = view_create();
    c = config_create(&options, view, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_check(c);
    config_destroy(c);
    view_destroy(view);
    return 0;
}

static struct config_key key(const char *tenant, const char *data_id)
{
    return (struct config_key){span_str(tenant), SPAN("g"), span_str(data_id)};
}

/* The formal version is content; NULL: none. */
static void set(struct item *i, const char *content)
{
    static uint64_t id;
    struct config_version *v = NULL;
    if (content) {
        struct buf *bytes = buf_create(span_str(content));
        uint8_t md5[CONFIG_MD5_BYTES];
        config_md5(span_str(content), md5);
        struct config_version_parts parts = {
            .length = (uint32_t)bytes->len, .md5 = md5, .modified_ms = 1, .content = bytes};
        v = config_version_create(&parts);
        buf_unref(bytes);
        item_set_id(c, i, i->id ? i->id : ++id);
        c->last_id = id;
    } else {
        item_set_id(c, i, 0);
    }
    item_set_value(c, i, config_value_with_formal(i->value, v), now);
    config_version_unref(v);
}

static void test_find__unknown__is_null(void **state)
{
    (void)state;
    struct config_key k = key("", "a");
    assert_null(item_find(c, &k));
    struct item *i = item_obtain(c, &k);
    assert_ptr_equal(item_find(c, &k), i);
    assert_ptr_equal(item_obtain(c, &k), i);
    struct config_key own = item_key(i);
    assert_true(config_key_eq(&own, &k));
    struct config_key other = key("t", "a");
    assert_null(item_find(c, &other));
    assert_true(item_release(c, i));
    assert_null(item_find(c, &k));
}

static void test_find__keys_that_nobody_checked__are_not_found(void **state)
{
    (void)state;
    struct config_key k = {SPAN("t"), SPAN("g"), SPAN("d")};
    struct item *i = item_obtain(c, &k);
    /* The same bytes, cut elsewhere. */
    struct config_key trick = {SPAN(""), SPAN("t"), SPAN("g+d")};
    assert_null(item_find(c, &trick));
    trick = (struct config_key){SPAN("t+g"), SPAN(""), SPAN("d")};
    assert_null(item_find(c, &trick));
    static char large[100000];
    trick.data_id = span_of(large, sizeof(large));
    assert_null(item_find(c, &trick));
    assert_true(item_release(c, i));
}

static void test_release__somebody_holds_it__stays(void **state)
{
    (void)state;
    struct config_key k = key("", "a");
    struct item *i = item_obtain(c, &k);
    i->dirty = 1;
    assert_false(item_release(c, i));
    i->dirty = 0;
    set(i, "one");
    assert_false(item_release(c, i));
    set(i, NULL);
    assert_true(item_release(c, i));
}

static void test_set_value__counts_and_view_follow(void **state)
{
    (void)state;
    struct config_key a = key("", "a");
    struct config_key b = key("t", "b");
    struct item *ia = item_obtain(c, &a);
    struct item *ib = item_obtain(c, &b);
    set(ia, "one");
    set(ib, "three");
    config_check(c);
    assert_int_equal(config_stats(c).configs, 2);
    assert_int_equal(config_stats(c).content_bytes, 8);
    assert_int_equal(config_count_of(c, SPAN("")), 1);
    assert_int_equal(config_count_of(c, SPAN("t")), 1);
    assert_int_equal(view_count(view), 2);
    set(ia, "12");
    assert_int_equal(config_stats(c).content_bytes, 7);
    set(ib, NULL);
    assert_true(item_release(c, ib));
    config_check(c);
    assert_int_equal(config_count_of(c, SPAN("t")), 0);
    assert_int_equal(view_count(view), 1);
    set(ia, NULL);
    assert_int_equal(view_count(view), 0);
    assert_int_equal(config_stats(c).content_bytes, 0);
    assert_true(item_release(c, ia));
}

static void test_set_value__empty_content__takes_no_place_in_the_ring(void **state)
{
    (void)state;
    struct config_key a = key("", "a");
    struct item *i = item_obtain(c, &a);
    set(i, "");
    assert_null(c->cache_hand);
    config_check(c);
    set(i, "x");
    assert_ptr_equal(c->cache_hand, i);
    set(i, "");
    assert_null(c->cache_hand);
    config_check(c);
}

static void test_set_value__many__the_ring_is_whole(void **state)
{
    (void)state;
    char name[16];
    struct item *items[50];
    for (int n = 0; n < 50; n++) {
        snprintf(name, sizeof(name), "n%d", n);
        struct config_key k = key(n % 3 ? "" : "t", name);
        items[n] = item_obtain(c, &k);
        set(items[n], name);
        config_check(c);
    }
    for (int n = 0; n < 50; n += 2) {
        set(items[n], NULL);
        assert_true(item_release(c, items[n]));
        config_check(c);
    }
    assert_int_equal(c->cache_count, 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_find__unknown__is_null),
        TEST(test_find__keys_that_nobody_checked__are_not_found),
        TEST(test_release__somebody_holds_it__stays),
        TEST(test_set_value__counts_and_view_follow),
        TEST(test_set_value__empty_content__takes_no_place_in_the_ring),
        TEST(test_set_value__many__the_ring_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
