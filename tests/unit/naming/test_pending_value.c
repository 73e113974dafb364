/* The value of a service with something pending over what is applied. test_pending_random.c
 * compares with what the log makes of it; these are the rules one by one. */
#include "naming/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "naming/react.h"
#include "naming_cluster.h"

static struct cluster c;

static int begin(void **state)
{
    (void)state;
    cluster_begin_below(&c);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cluster_end(&c);
    return 0;
}

static struct story *below(void)
{
    return &c.node[0];
}

static void register_applied(const char *ip, int port, uint64_t *ret_conn)
{
    c.is_silent[0] = false;
    *ret_conn = story_connect(below(), ip);
    assert_int_equal(story_register(below(), *ret_conn, "a", ip, port), 0);
    cluster_turn(&c);
    c.is_silent[0] = true;
}

static const struct service_value *value(void)
{
    return service_refresh(below()->naming, story_service(below(), "a"), below()->now);
}

static void test_order__applied_first__pending_behind_in_their_order(void **state)
{
    (void)state;
    uint64_t conn = 0;
    register_applied("10.0.0.1", 1, &conn);
    for (int port = 2; port <= 4; port++) {
        uint64_t other = story_connect(below(), "10.0.0.1");
        assert_int_equal(story_register(below(), other, "a", "10.0.0.1", port), 0);
    }
    cluster_turn(&c);
    const struct service_value *v = value();
    assert_int_equal(v->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(v->instances[i]->port, 1 + i);
    }
    uint64_t digest = service_value_digest(v);
    cluster_heal(&c);
    v = value();
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(v->instances[i]->port, 1 + i);
    }
    assert_true(service_value_digest(v) == digest);
}

static void test_address__of_several__the_newest_is_seen_and_the_next_when_it_goes(void **state)
{
    (void)state;
    uint64_t conns[3] = {0};
    register_applied("10.0.0.1", 80, &conns[0]);
    for (size_t i = 1; i < 3; i++) {
        struct instance_data d = story_instance("10.0.0.1", 80);
        d.weight = (double)(10 * i);
        conns[i] = story_connect(below(), "10.0.0.1");
        assert_int_equal(story_register_batch(below(), conns[i], "a", &d, 1), 0);
        cluster_turn(&c);
        assert_int_equal(value()->count, 1);
        assert_true(value()->instances[0]->weight == d.weight);
    }
    story_disconnect(below(), conns[2], REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_true(value()->instances[0]->weight == 10);
    assert_int_equal(story_deregister(below(), conns[1], "a"), 0);
    cluster_turn(&c);
    assert_int_equal(value()->count, 1);
    assert_true(value()->instances[0]->weight == 1); /* the applied one shows again */
    cluster_heal(&c);
    assert_int_equal(value()->count, 1);
}

static void test_list__with_an_address_twice__the_later_counts(void **state)
{
    (void)state;
    struct instance_data list[] = {story_instance("10.0.0.1", 80), story_instance("10.0.0.1", 80)};
    list[1].weight = 5;
    uint64_t conn = story_connect(below(), "10.0.0.1");
    assert_int_equal(story_register_batch(below(), conn, "a", list, 2), 0);
    cluster_turn(&c);
    assert_int_equal(value()->count, 1);
    assert_true(value()->instances[0]->weight == 5);
    assert_null(story_service(below(), "a")->slots); /* nothing of it stays behind */
}

static void test_operators_overlay__lies_over_pending_ones_too(void **state)
{
    (void)state;
    uint64_t conn = 0;
    register_applied("10.0.0.1", 80, &conn);
    struct naming_overlay o = {
        .service = story_name("a"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_enabled = true,
        .enabled = false,
    };
    assert_int_equal(story_overlay(&c.node[1], &o), 0);
    cluster_turn(&c);
    assert_int_equal(value()->enabled, 0);
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    assert_int_equal(value()->count, 1);
    assert_int_equal(value()->enabled, 0);
    cluster_heal(&c);
    assert_int_equal(value()->enabled, 0);
}

static void test_behind_another__what_changes_there_is_seen_when_that_is_hidden(void **state)
{
    (void)state;
    uint64_t far = story_connect(&c.node[1], "10.0.0.1");
    assert_int_equal(story_register(&c.node[1], far, "a", "10.0.0.1", 80), 0);
    cluster_turn(&c);
    uint64_t conn = 0;
    register_applied("10.0.0.1", 80, &conn); /* over it */
    assert_int_equal(story_deregister(below(), conn, "a"), 0);
    cluster_turn(&c);
    assert_int_equal(value()->count, 1);
    story_disconnect(&c.node[1], far, REMOVAL_CONNECTION_CLOSED);
    cluster_turn(&c);
    assert_int_equal(value()->count, 0);
    cluster_heal(&c);
}

static void test_seen__without_pending__needs_no_value(void **state)
{
    (void)state;
    uint64_t conn = 0;
    register_applied("10.0.0.1", 80, &conn);
    struct service_seen seen =
        service_seen(below()->naming, story_service(below(), "a"), below()->now);
    assert_null(seen.value);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.healthy, 1);
    assert_int_equal(service_seen_at(&seen, 0)->port, 80);
    assert_int_equal(story_register(below(), conn, "a", "10.0.0.1", 81), 0);
    cluster_turn(&c);
    seen = service_seen(below()->naming, story_service(below(), "a"), below()->now);
    assert_non_null(seen.value);
    assert_int_equal(seen.count, 1);
    assert_int_equal(service_seen_at(&seen, 0)->port, 81);
    cluster_heal(&c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order__applied_first__pending_behind_in_their_order),
        TEST(test_address__of_several__the_newest_is_seen_and_the_next_when_it_goes),
        TEST(test_list__with_an_address_twice__the_later_counts),
        TEST(test_operators_overlay__lies_over_pending_ones_too),
        TEST(test_behind_another__what_changes_there_is_seen_when_that_is_hidden),
        TEST(test_seen__without_pending__needs_no_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
