/* What nobody uses any more goes; what somebody uses stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/clean.h"
#include "naming_harness.h"

/* Sweeps are at multiples of 10 s from the first turn on; services go 60 s after their last change.
 */
static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
    story_turn(s);
}

static void test_clean__empty_for_a_minute__goes_with_the_next_sweep(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    story_advance(&s, 59999);
    assert_int_equal(naming_stats(s.naming).services, 1);
    story_advance(&s, 1);
    assert_int_equal(naming_stats(s.naming).services, 0);
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

static void test_clean__a_millisecond_too_young__waits_for_another_sweep(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    story_advance(&s, 1);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    story_advance(&s, 59999);
    assert_int_equal(naming_stats(s.naming).services, 1);
    story_advance(&s, 9999);
    assert_int_equal(naming_stats(s.naming).services, 1);
    story_advance(&s, 1);
    assert_int_equal(naming_stats(s.naming).services, 0);
    story_end(&s);
}

static void test_clean__published__stays(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    story_advance(&s, 600000);
    assert_int_equal(story_listed(&s, "demo"), 1);
    assert_int_equal(s.proposed, 1);
    story_end(&s);
}

static void test_clean__explicit_record__stays(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct naming_service_put p = {.service = story_name("s"), .create = true};
    assert_int_equal(story_service_put(&s, &p), 0);
    story_advance(&s, 600000);
    assert_int_equal(naming_stats(s.naming).services, 1);
    assert_int_equal(s.proposed, 1);
    story_end(&s);
}

static void test_clean__subscribed__leaves_the_lists_and_keeps_its_subscribers(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t sub = story_connect(&s, "10.0.0.2");
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, sub, "demo", ""), 0);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    story_advance(&s, 1000);
    assert_int_equal(story_take_and_ack(&s, sub), 0);
    story_advance(&s, 70000);
    assert_int_equal(naming_stats(s.naming).services, 0);
    assert_non_null(story_service(&s, "demo"));
    while (story_pushes(&s, sub)) {
        assert_int_equal(story_take_and_ack(&s, sub), 0);
    }
    story_advance(&s, 1000);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_clean__registered_while_the_removal_is_on_its_way__stays(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    story_advance(&s, 59999);
    s.log_stuck = true;
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    story_advance(&s, 1); /* the removal is proposed behind the registration */
    assert_int_equal(s.proposed, 4);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(story_listed(&s, "demo"), 1);
    story_end(&s);
}

static void test_clean__very_many__a_batch_at_a_time(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    const size_t count = 2 * CLEAN_BATCH + 500;
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "service-%zu", i);
        assert_int_equal(story_register(&s, conn, name, "10.0.0.1", 80), 0);
    }
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(naming_stats(s.naming).services, count);
    story_advance(&s, 59999);
    assert_int_equal(naming_stats(s.naming).services, count);
    for (int ms = 0; ms < 20 && naming_stats(s.naming).services == count; ms++) {
        story_advance(&s, 1); /* the sweeps before this one took some milliseconds each */
    }
    assert_int_equal(naming_stats(s.naming).services, count - CLEAN_BATCH);
    story_advance(&s, 1);
    assert_int_equal(naming_stats(s.naming).services, count - 2 * CLEAN_BATCH);
    story_advance(&s, 1);
    assert_int_equal(naming_stats(s.naming).services, 0);
    story_end(&s);
}

static void overlay(struct story *s, const char *service, uint16_t port)
{
    struct naming_overlay o = {
        .service = story_name(service),
        .ip = SPAN("10.0.0.1"),
        .port = port,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 7.0,
        .has_enabled = true,
        .enabled = true,
    };
    assert_int_equal(story_overlay(s, &o), 0);
}

static bool has_overlay(struct story *s, const char *service, uint16_t port)
{
    const struct instance_slot *slot =
        instance_slot_find(story_service(s, service), SPAN("10.0.0.1"), port, SPAN("DEFAULT"));
    return slot && slot->overlay;
}

static void test_clean__overlay_in_use__stays(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    overlay(&s, "demo", 80);
    story_advance(&s, 600000);
    assert_true(has_overlay(&s, "demo", 80));
    story_end(&s);
}

static void test_clean__overlay_unused__goes_after_its_time(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    uint64_t other = story_connect(&s, "10.0.0.9");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, other, "demo", "10.0.0.9", 80), 0);
    overlay(&s, "demo", 80);
    overlay(&s, "demo", 4711); /* of an instance that never was */
    story_advance(&s, 50000);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    story_advance(&s, 9999);
    assert_true(has_overlay(&s, "demo", 4711));
    story_advance(&s, 1);
    assert_false(has_overlay(&s, "demo", 4711));
    story_advance(&s, 49999);
    assert_true(has_overlay(&s, "demo", 80));
    story_advance(&s, 1);
    assert_false(has_overlay(&s, "demo", 80));
    story_end(&s);
}

static void test_clean__overlay_used_again_in_time__stays(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    overlay(&s, "demo", 80);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    story_advance(&s, 55000);
    conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    story_advance(&s, 600000);
    const struct instance *i = story_find(&s, "demo", "10.0.0.1", 80);
    assert_non_null(i);
    assert_true(i->weight == 7.0);
    story_end(&s);
}

static void test_clean__overlay_of_a_blank_ip__goes_too(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    struct naming_overlay o = {
        .service = story_name("demo"),
        .ip = SPAN("   "),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_enabled = true,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    assert_int_equal(story_service(&s, "demo")->overlay_count, 1);
    story_advance(&s, 70000);
    assert_int_equal(story_service(&s, "demo")->overlay_count, 0);
    story_end(&s);
}

/* The cleaner of a node that is behind saw less than there was: it says what it saw. */
static void test_clean__used_meanwhile_and_left_again__stays_for_its_own_time(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, conn, "over", "10.0.0.1", 80), 0);
    struct naming_overlay o = {
        .service = story_name("over"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 7,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    assert_int_equal(story_deregister(&s, conn, "over"), 0);
    story_advance(&s, 59000);
    s.log_stuck = true;
    story_advance(&s, 1000);
    assert_int_equal(s.proposed, 8); /* two services and an overlay are on their way */
    struct story_op *stale = s.log;
    s.log = NULL;
    s.log_stuck = false;
    for (int i = 0; i < 2; i++) {
        const char *service = i == 0 ? "demo" : "over";
        assert_int_equal(story_register(&s, conn, service, "10.0.0.1", 80), 0);
        assert_int_equal(story_deregister(&s, conn, service), 0);
    }
    s.log = stale;
    story_turn(&s);
    assert_non_null(story_service(&s, "demo"));
    assert_int_equal(story_service(&s, "over")->overlay_count, 1);
    story_advance(&s, 70000);
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

static void test_deadline__first_turn_sets_it(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    story_begin(&s, &options);
    assert_true(clean_deadline(s.naming) <= s.now.mono_ms);
    story_turn(&s);
    assert_int_equal(clean_deadline(s.naming), s.now.mono_ms + options.clean_interval_ms);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean__empty_for_a_minute__goes_with_the_next_sweep),
        cmocka_unit_test(test_clean__a_millisecond_too_young__waits_for_another_sweep),
        cmocka_unit_test(test_clean__published__stays),
        cmocka_unit_test(test_clean__explicit_record__stays),
        cmocka_unit_test(test_clean__subscribed__leaves_the_lists_and_keeps_its_subscribers),
        cmocka_unit_test(test_clean__registered_while_the_removal_is_on_its_way__stays),
        cmocka_unit_test(test_clean__very_many__a_batch_at_a_time),
        cmocka_unit_test(test_clean__overlay_in_use__stays),
        cmocka_unit_test(test_clean__overlay_unused__goes_after_its_time),
        cmocka_unit_test(test_clean__overlay_used_again_in_time__stays),
        cmocka_unit_test(test_clean__overlay_of_a_blank_ip__goes_too),
        cmocka_unit_test(test_clean__used_meanwhile_and_left_again__stays_for_its_own_time),
        cmocka_unit_test(test_deadline__first_turn_sets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
