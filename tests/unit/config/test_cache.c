/* The memory budget: what nobody read goes first, what the tables lack stays. */
#include "config/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config_harness.h"

static struct cstory s;

#define LEN 100
#define KEPT 10 /* contents that fit the budget */

static int setup(void **state)
{
    (void)state;
    struct config_options options = cstory_options();
    options.memory_bytes_max = (uint64_t)KEPT * LEN;
    cstory_begin(&s, &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&s);
    return 0;
}

static const char *name_of(int n)
{
    static char name[16];
    snprintf(name, sizeof(name), "c%d", n);
    return name;
}

static void publish(int n)
{
    char content[LEN + 1];
    memset(content, 'a' + n % 26, LEN);
    content[LEN] = '\0';
    assert_int_equal(cstory_publish(&s, name_of(n), content), 0);
}

static bool is_hot(int n)
{
    return cstory_item(&s, name_of(n))->value->formal->content != NULL;
}

static int hot_of(int count)
{
    int hot = 0;
    for (int n = 0; n < count; n++) {
        hot += is_hot(n);
    }
    return hot;
}

static void test_trim__over_the_budget__the_oldest_go(void **state)
{
    (void)state;
    for (int n = 0; n < KEPT + 5; n++) {
        publish(n);
        cstory_settle(&s);
    }
    assert_int_equal(hot_of(KEPT + 5), KEPT);
    for (int n = 0; n < 5; n++) {
        assert_false(is_hot(n));
    }
    assert_int_equal(config_stats(s.config).content_bytes, KEPT * LEN);
    assert_int_equal(atomic_load(&s.config->counters.evictions), 5);
    /* Facts stay. */
    const struct config_version *v = cstory_item(&s, name_of(0))->value->formal;
    assert_int_equal(v->length, LEN);
    assert_int_equal(config_stats(s.config).configs, KEPT + 5);
}

static void test_trim__was_read__gets_a_second_chance(void **state)
{
    (void)state;
    for (int n = 0; n < KEPT; n++) {
        publish(n);
    }
    cstory_settle(&s);
    assert_non_null(cstory_read(&s, name_of(0), NULL));
    assert_non_null(cstory_read(&s, name_of(2), NULL));
    for (int n = KEPT; n < KEPT + 2; n++) {
        publish(n);
        cstory_settle(&s);
    }
    assert_true(is_hot(0));
    assert_false(is_hot(1));
    assert_true(is_hot(2));
    assert_false(is_hot(3));
    /* The chance is used up: the next round takes them. */
    for (int n = KEPT + 2; n < 2 * KEPT + 2; n++) {
        publish(n);
        cstory_settle(&s);
    }
    assert_false(is_hot(0));
    assert_false(is_hot(2));
}

static void test_trim__a_new_value__keeps_the_readers_mark(void **state)
{
    (void)state;
    for (int n = 0; n < KEPT; n++) {
        publish(n);
    }
    cstory_settle(&s);
    assert_non_null(cstory_read(&s, name_of(0), NULL));
    publish(0);
    publish(KEPT);
    cstory_settle(&s);
    assert_true(is_hot(0));
    assert_false(is_hot(1));
}

static void test_trim__the_tables_lack_it__stays(void **state)
{
    (void)state;
    s.tables_behind = true;
    for (int n = 0; n < 3 * KEPT; n++) {
        publish(n);
    }
    assert_int_equal(hot_of(3 * KEPT), 3 * KEPT);
    /* Nobody is asked to come back: only the tables can help. */
    assert_false(s.config->cache_more);
    s.tables_behind = false;
    cstory_settle(&s);
    cstory_turn(&s);
    assert_int_equal(hot_of(3 * KEPT), KEPT);
}

static void test_trim__gray_versions_go_with_the_item(void **state)
{
    (void)state;
    struct config_reader x = {.tag = SPAN("x")};
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    cstory_settle(&s);
    uint64_t id = cstory_item(&s, "a")->value->gray[0].id;
    s.config->options.memory_bytes_max = 9;
    cstory_turn(&s);
    assert_string_equal(cstory_read(&s, "a", NULL), "(cold)");
    assert_string_equal(cstory_read(&s, "a", &x), "(cold)");
    assert_int_equal(cstory_item(&s, "a")->value->gray[0].id, id);
    assert_int_equal(config_stats(s.config).content_bytes, 0);
}

static void test_trim__no_budget__nothing_stays(void **state)
{
    (void)state;
    for (int n = 0; n < KEPT; n++) {
        publish(n);
    }
    cstory_settle(&s);
    s.config->options.memory_bytes_max = 0;
    assert_false(cache_trim(s.config, s.now));
    assert_int_equal(hot_of(KEPT), 0);
    assert_null(s.config->cache_hand);
    config_check(s.config);
}

static void test_clear__everything_is_cold(void **state)
{
    (void)state;
    for (int n = 0; n < 3; n++) {
        publish(n);
    }
    cstory_settle(&s);
    cache_clear(s.config, s.now);
    assert_int_equal(hot_of(3), 0);
    assert_int_equal(config_stats(s.config).content_bytes, 0);
    assert_int_equal(atomic_load(&s.config->counters.evictions), 0);
    config_check(s.config);
}

static void test_start__budget_is_short__the_newest_are_hot(void **state)
{
    (void)state;
    for (int n = 0; n < 2 * KEPT; n++) {
        publish(n);
        s.now.wall_ms += 10;
    }
    publish(0); /* the newest now */
    cstory_settle(&s);
    cstory_restart(&s, NULL);
    assert_int_equal(hot_of(2 * KEPT), KEPT);
    assert_true(is_hot(0));
    for (int n = 1; n <= KEPT; n++) {
        assert_false(is_hot(n));
    }
    /* And they go last. */
    publish(1);
    cstory_settle(&s);
    assert_true(is_hot(0));
    assert_false(is_hot(KEPT + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_trim__over_the_budget__the_oldest_go),
        TEST(test_trim__was_read__gets_a_second_chance),
        TEST(test_trim__a_new_value__keeps_the_readers_mark),
        TEST(test_trim__the_tables_lack_it__stays),
        TEST(test_trim__gray_versions_go_with_the_item),
        TEST(test_trim__no_budget__nothing_stays),
        TEST(test_clear__everything_is_cold),
        TEST(test_start__budget_is_short__the_newest_are_hot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
