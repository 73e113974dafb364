/* When pushes leave and what they carry. Acks and retries are test_push_retry.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/push.h"
#include "naming/push_state.h"
#include "naming_harness.h"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void change(struct story *s, uint64_t publisher, int port)
{
    assert_int_equal(story_register(s, publisher, "demo", "10.0.0.9", port), 0);
}

static unsigned long count_of(atomic_ulong *counter)
{
    return atomic_load(counter);
}

static void test_push__first_change__leaves_in_the_same_turn(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_int_equal(push->at_ms, s.now.mono_ms);
    char expected[1024];
    snprintf(
        expected, sizeof(expected),
        "{\"headers\":{},\"requestId\":\"%llu\",\"serviceInfo\":{\"name\":\"demo\","
        "\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"\",\"cacheMillis\":10000,\"hosts\":[%.*s],"
        "\"lastRefTime\":%lld,\"checksum\":\"\",\"allIPs\":false,"
        "\"reachProtectionThreshold\":false,\"valid\":true},\"module\":\"naming\"}",
        (unsigned long long)push->request_id,
        SPAN_ARG(story_find(&s, "demo", "10.0.0.9", 80)->json), (long long)push->stamp);
    assert_string_equal(push->json, expected);
    story_push_free(push);
    story_end(&s);
}

static void test_push__changes_within_the_window__are_merged(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    uint64_t first_ms = s.now.mono_ms;
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    for (int i = 1; i < 10; i++) {
        story_advance(&s, 5);
        change(&s, pub, 80 + i);
    }
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 4);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 1);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_int_equal(push->at_ms, first_ms + 50);
    assert_non_null(strstr(push->json, "\"port\":89"));
    story_push_free(push);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_push__after_the_window__is_at_once_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    story_take_and_ack(&s, sub);
    story_advance(&s, 50);
    change(&s, pub, 81);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_push__several_changes_in_one_turn__are_one_push(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    s.log_stuck = true;
    change(&s, pub, 80);
    change(&s, pub, 81);
    change(&s, pub, 82);
    s.log_stuck = false;
    story_turn(&s);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_non_null(strstr(push->json, "\"port\":82"));
    story_push_free(push);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

/* Four subscribers; acks of the first n of them are given at once after each change. */
static void change_and_ack(struct story *s, uint64_t pub, const uint64_t subs[4], size_t acks)
{
    static int port = 1000;
    change(s, pub, port++);
    for (size_t i = 0; i < 4; i++) {
        struct story_push *push = NULL;
        while ((push = story_take(s, subs[i]))) {
            if (i < acks) {
                story_ack(s, subs[i], push->request_id, true);
            }
            story_push_free(push);
        }
    }
}

static void test_window__more_than_half_without_ack__doubles_up_to_the_maximum(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t subs[4];
    for (size_t i = 0; i < 4; i++) {
        subs[i] = story_subscriber(&s, "demo", "10.0.0.1", "");
    }
    const struct push_state *push = story_service(&s, "demo")->push;
    const uint32_t windows[] = {50, 100, 200, 400, 400};
    for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
        change_and_ack(&s, pub, subs, 1);
        assert_int_equal(push->window_ms, windows[i]);
        story_advance(&s, windows[i]);
    }
    story_end(&s);
}

static void test_window__half_acked__halves_down_to_the_least(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t subs[4];
    for (size_t i = 0; i < 4; i++) {
        subs[i] = story_subscriber(&s, "demo", "10.0.0.1", "");
    }
    struct push_state *push = story_service(&s, "demo")->push;
    change_and_ack(&s, pub, subs, 2);
    push->window_ms = 400;
    const uint32_t windows[] = {200, 100, 50, 50};
    for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
        story_advance(&s, push->window_ms);
        change_and_ack(&s, pub, subs, 2);
        assert_int_equal(push->window_ms, windows[i]);
    }
    story_end(&s);
}

static void test_window__after_a_quiet_while__starts_anew(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    struct push_state *push = story_service(&s, "demo")->push;
    change(&s, pub, 80);
    story_take_and_ack(&s, sub);
    push->window_ms = 400;
    story_advance(&s, 401);
    change(&s, pub, 81);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    assert_int_equal(push->window_ms, 50);
    story_end(&s);
}

static void test_push__thousand_subscribers__one_message(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t subs[1000];
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        subs[i] = story_connect(&s, "10.0.0.1");
        assert_int_equal(story_subscribe(&s, subs[i], "demo", ""), 0);
    }
    story_advance(&s, 500);
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        story_take_and_ack(&s, subs[i]);
    }
    story_advance(&s, 2000);
    unsigned messages = s.messages;
    change(&s, pub, 80);
    assert_int_equal(s.messages, messages + 1);
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        struct story_push *push = story_take(&s, subs[i]);
        assert_non_null(push);
        assert_int_equal(push->message, s.messages);
        assert_int_equal(push->hosts, 1);
        story_push_free(push);
    }
    assert_int_equal(HASH_COUNT(s.naming->ack_waits), ARRAY_LEN(subs));
    story_end(&s);
}

static void test_push__clusters__each_set_gets_its_own_list(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t all = story_subscriber(&s, "demo", "10.0.0.1", "");
    uint64_t all_too = story_subscriber(&s, "demo", "10.0.0.2", "");
    uint64_t east = story_subscriber(&s, "demo", "10.0.0.3", "east");
    uint64_t both = story_subscriber(&s, "demo", "10.0.0.4", "east,DEFAULT");
    struct instance_data list[3] = {story_instance("10.0.1.1", 80), story_instance("10.0.1.2", 80),
                                    story_instance("10.0.1.3", 80)};
    list[1].cluster = SPAN("east");
    list[2].cluster = SPAN("west");
    unsigned messages = s.messages;
    assert_int_equal(story_register_batch(&s, pub, "demo", list, 3), 0);
    assert_int_equal(s.messages, messages + 3);
    const struct {
        uint64_t conn;
        size_t hosts;
        const char *clusters;
    } expected[] = {{all, 3, "\"clusters\":\"\""},
                    {all_too, 3, "\"clusters\":\"\""},
                    {east, 1, "\"clusters\":\"east\""},
                    {both, 2, "\"clusters\":\"east,DEFAULT\""}};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        struct story_push *push = story_take(&s, expected[i].conn);
        assert_non_null(push);
        assert_int_equal(push->hosts, expected[i].hosts);
        assert_non_null(strstr(push->json, expected[i].clusters));
        story_push_free(push);
    }
    story_end(&s);
}

static void test_push__last_instance_goes__empty_list_is_pushed(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_advance(&s, 100);
    unsigned long had = count_of(&s.naming->counters.empty_pushes);
    assert_int_equal(story_deregister(&s, pub, "demo"), 0);
    assert_int_equal(story_take_and_ack(&s, sub), 0);
    assert_int_equal(count_of(&s.naming->counters.empty_pushes), had + 1);
    story_end(&s);
}

static void test_stamp__wall_clock_stands_or_goes_back__still_grows(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    int64_t last = 0;
    for (int i = 0; i < 20; i++) {
        if (i % 3 == 2) {
            assert_int_equal(story_deregister(&s, pub, "demo"), 0);
        } else {
            change(&s, pub, 80 + i);
        }
        struct story_push *push = story_take(&s, sub);
        assert_non_null(push);
        assert_true(push->stamp > last);
        last = push->stamp;
        story_ack(&s, sub, push->request_id, true);
        story_push_free(push);
        story_advance(&s, 60);
        s.now.wall_ms -= i % 2 ? 60 : 10000;
    }
    story_end(&s);
}

static void test_stamp__read_after_a_push__is_newer(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    const struct service *demo = story_service(&s, "demo");
    struct view_value *v = NULL;
    int64_t stamp = 0;
    assert_int_equal(
        view_take(s.view, span_of(demo->key, demo->key_len), s.now.wall_ms, &v, &stamp),
        VIEW_FRESH);
    view_value_unref(v);
    assert_true(stamp > push->stamp);
    story_push_free(push);
    story_end(&s);
}

static void test_counters__cost_is_from_change_to_ack(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    struct naming_counters *c = &s.naming->counters;
    unsigned long cost = count_of(&c->push_cost_ms);
    unsigned long pushes = count_of(&c->pushes);
    change(&s, pub, 80);
    story_take_and_ack(&s, sub);
    story_advance(&s, 10);
    change(&s, pub, 81); /* pushed 40 ms later */
    story_advance(&s, 70);
    story_take_and_ack(&s, sub);
    assert_int_equal(count_of(&c->pushes), pushes + 2);
    assert_int_equal(count_of(&c->push_cost_ms), cost + 70);
    assert_int_equal(count_of(&c->push_cost_max_ms), 70);
    story_end(&s);
}

static void test_options__zero_delays__never_spin(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    options.push_window_ms = options.push_window_max_ms = 0;
    options.push_ack_timeout_ms = options.push_retry_ms = options.push_retry_max_ms = 0;
    options.subscribe_push_ms = 0;
    options.push_tries_max = 1;
    story_begin(&s, &options);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, sub, "demo", ""), 0);
    change(&s, pub, 80);
    story_advance(&s, 100);
    assert_true(story_pushes(&s, sub) > 0);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push__first_change__leaves_in_the_same_turn),
        cmocka_unit_test(test_push__changes_within_the_window__are_merged),
        cmocka_unit_test(test_push__after_the_window__is_at_once_again),
        cmocka_unit_test(test_push__several_changes_in_one_turn__are_one_push),
        cmocka_unit_test(test_window__more_than_half_without_ack__doubles_up_to_the_maximum),
        cmocka_unit_test(test_window__half_acked__halves_down_to_the_least),
        cmocka_unit_test(test_window__after_a_quiet_while__starts_anew),
        cmocka_unit_test(test_push__thousand_subscribers__one_message),
        cmocka_unit_test(test_push__clusters__each_set_gets_its_own_list),
        cmocka_unit_test(test_push__last_instance_goes__empty_list_is_pushed),
        cmocka_unit_test(test_stamp__wall_clock_stands_or_goes_back__still_grows),
        cmocka_unit_test(test_stamp__read_after_a_push__is_newer),
        cmocka_unit_test(test_counters__cost_is_from_change_to_ack),
        cmocka_unit_test(test_options__zero_delays__never_spin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
