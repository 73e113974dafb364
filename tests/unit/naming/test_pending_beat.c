/* HTTP clients below a quorum: their beats find what is pending, and silence has its consequences.
 */
#include "naming/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static int beat(size_t i, bool full)
{
    struct instance_data data = story_instance("10.0.0.2", 80);
    int code = story_beat(&c.node[i], "a", &data, full, NULL);
    cluster_turn(&c);
    return code;
}

static void register_http(void)
{
    struct instance_data data = story_instance("10.0.0.2", 80);
    assert_int_equal(story_register_http(below(), "a", &data), 0);
    assert_int_equal(cluster_result(&c, 0), 0);
}

static bool is_healthy(size_t i)
{
    const struct instance *in = story_find(&c.node[i], "a", "10.0.0.2", 80);
    assert_non_null(in);
    return in->healthy;
}

static void test_beat__of_a_pending_instance__finds_it(void **state)
{
    (void)state;
    register_http();
    size_t proposed = below()->proposed;
    for (int i = 0; i < 20; i++) {
        cluster_advance(&c, 5000);
        assert_int_equal(beat(0, false), BEAT_OK);
    }
    assert_int_equal(below()->proposed, proposed); /* a beat that changes nothing is no operation */
    assert_true(is_healthy(0));
    cluster_heal(&c);
    assert_true(is_healthy(1));
    /* And lives on. */
    for (int i = 0; i < 10; i++) {
        cluster_advance(&c, 5000);
        assert_int_equal(beat(0, false), BEAT_OK);
    }
    assert_true(is_healthy(1));
}

static void test_beat__of_nothing__registers_like_a_registration(void **state)
{
    (void)state;
    assert_int_equal(beat(0, false), BEAT_UNKNOWN);
    assert_int_equal(beat(0, true), BEAT_OK);
    assert_int_equal(story_listed(below(), "a"), 1);
    assert_int_equal(beat(0, true), BEAT_OK);
    assert_int_equal(naming_stats(below()->naming).shown, 1);
    cluster_heal(&c);
    assert_int_equal(story_listed(&c.node[2], "a"), 1);
}

static void test_silence__makes_it_unhealthy__then_it_goes(void **state)
{
    (void)state;
    register_http();
    cluster_advance(&c, 15001);
    assert_false(is_healthy(0));
    cluster_advance(&c, 15000);
    assert_int_equal(story_listed(below(), "a"), 0);
    assert_int_equal(beat(0, false), BEAT_UNKNOWN);
    assert_int_equal(naming_stats(below()->naming).shown, 3);
    size_t proposed = below()->proposed;
    cluster_advance(&c, 600000);
    assert_int_equal(below()->proposed, proposed);
    cluster_heal(&c);
    assert_int_equal(story_listed(&c.node[1], "a"), 0);
}

static void test_unhealthy__hears_a_beat__is_healthy_again(void **state)
{
    (void)state;
    register_http();
    cluster_advance(&c, 15001);
    assert_false(is_healthy(0));
    assert_int_equal(beat(0, false), BEAT_OK);
    assert_true(is_healthy(0));
    cluster_heal(&c);
    assert_true(is_healthy(1));
    cluster_advance(&c, 14000);
    assert_true(is_healthy(1));
    cluster_advance(&c, 1002);
    assert_false(is_healthy(1));
}

static void test_applied__below_a_quorum__lives_and_dies_by_beats_too(void **state)
{
    (void)state;
    c.is_silent[0] = false;
    register_http();
    c.is_silent[0] = true;
    cluster_advance(&c, 15001);
    assert_false(is_healthy(0));
    assert_true(is_healthy(1));
    assert_int_equal(beat(0, false), BEAT_OK);
    assert_true(is_healthy(0));
    cluster_advance(&c, 15001);
    assert_false(is_healthy(0));
    cluster_advance(&c, 15000);
    assert_int_equal(story_listed(below(), "a"), 0);
    assert_int_equal(beat(0, true), BEAT_OK); /* registers it again */
    assert_int_equal(story_listed(below(), "a"), 1);
    cluster_heal(&c);
    for (size_t i = 0; i < CLUSTER_NODES; i++) {
        assert_true(is_healthy(i));
    }
}

static void test_taken_over__by_another_node__what_this_one_knew_says_nothing(void **state)
{
    (void)state;
    c.is_silent[0] = false;
    register_http();
    c.is_silent[0] = true;
    cluster_advance(&c, 15001);
    assert_false(is_healthy(0));
    naming_owner_lost(c.node[1].naming, cluster_number(0), true);
    assert_int_equal(beat(1, false), BEAT_OK); /* node 1 takes it over */
    assert_int_equal(cluster_owner(&c, 0, "10.0.0.2:80#true"), 1);
    assert_true(is_healthy(0));
    cluster_advance(&c, 14000);
    size_t frames = c.frames;
    assert_int_equal(beat(0, false), BEAT_OK); /* that node is told */
    assert_true(c.frames > frames);
    cluster_advance(&c, 14000);
    assert_true(is_healthy(1));
    cluster_heal(&c);
    assert_true(is_healthy(0));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_beat__of_a_pending_instance__finds_it),
        TEST(test_beat__of_nothing__registers_like_a_registration),
        TEST(test_silence__makes_it_unhealthy__then_it_goes),
        TEST(test_unhealthy__hears_a_beat__is_healthy_again),
        TEST(test_applied__below_a_quorum__lives_and_dies_by_beats_too),
        TEST(test_taken_over__by_another_node__what_this_one_knew_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
