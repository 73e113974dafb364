/* Acks, late and missing ones, retries, and changes that wait for an ack (push_window.c). */
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

static void test_hold__newer_change__waits_for_the_ack(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *first = story_take(&s, sub);
    assert_non_null(first);
    story_advance(&s, 100);
    change(&s, pub, 81);
    story_advance(&s, 100);
    change(&s, pub, 82);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 150); /* past every window */
    assert_int_equal(story_pushes(&s, sub), 0);
    story_ack(&s, sub, first->request_id, true);
    story_push_free(first);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_int_equal(push->at_ms, s.now.mono_ms);
    assert_non_null(strstr(push->json, "\"port\":82"));
    story_push_free(push);
    story_end(&s);
}

static void test_hold__no_ack__ends_after_hold_ms(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *first = story_take(&s, sub);
    assert_non_null(first);
    story_advance(&s, 100);
    change(&s, pub, 81);
    story_advance(&s, PUSH_HOLD_MS - 1);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 1);
    struct story_push *second = story_take(&s, sub);
    assert_non_null(second);
    assert_non_null(strstr(second->json, "\"port\":81"));
    /* The ack of the first is not the ack of the second. */
    story_ack(&s, sub, first->request_id, true);
    assert_int_equal(count_of(&s.naming->counters.push_acks), 1); /* the extra push */
    story_ack(&s, sub, second->request_id, true);
    assert_int_equal(count_of(&s.naming->counters.push_acks), 2);
    story_push_free(first);
    story_push_free(second);
    story_advance(&s, 60000);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_hold__ack_while_a_fan_out_is_near__waits_for_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *first = story_take(&s, sub);
    assert_non_null(first);
    story_advance(&s, 50);
    change(&s, pub, 81); /* fan-out, held for sub */
    story_advance(&s, 10);
    change(&s, pub, 82); /* waits for the end of the window */
    story_ack(&s, sub, first->request_id, true);
    story_push_free(first);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 400);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_non_null(strstr(push->json, "\"port\":82"));
    story_push_free(push);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_retry__no_ack__backs_off_and_gives_up(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    uint64_t sent_ms = s.now.mono_ms;
    story_push_free(story_take(&s, sub));
    const uint64_t delays[] = {1000, 2000, 4000};
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        story_advance(&s, 5000 + delays[i] - 1);
        assert_int_equal(story_pushes(&s, sub), 0);
        story_advance(&s, 1);
        struct story_push *push = story_take(&s, sub);
        assert_non_null(push);
        sent_ms += 5000 + delays[i];
        assert_int_equal(push->at_ms, sent_ms);
        story_push_free(push);
    }
    story_advance(&s, 5000);
    assert_int_equal(count_of(&s.naming->counters.push_failures), 4);
    assert_int_equal(count_of(&s.naming->counters.push_given_up), 1);
    story_advance(&s, 600000);
    assert_int_equal(story_pushes(&s, sub), 0);
    /* The next change begins anew. */
    change(&s, pub, 81);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_retry__carries_the_list_of_then(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    story_push_free(story_take(&s, sub));
    story_advance(&s, 5800);
    change(&s, pub, 81); /* while the retry is 200 ms away */
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 200);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_non_null(strstr(push->json, "\"port\":81"));
    story_push_free(push);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_retry__change_long_before_it__is_held_no_longer_than_hold_ms(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    story_push_free(story_take(&s, sub));
    story_advance(&s, 5100); /* the retry is 900 ms away */
    change(&s, pub, 81);
    story_advance(&s, PUSH_HOLD_MS - 1);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 1);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_advance(&s, 60000);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_ack__late__stops_the_retry(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_advance(&s, 5500);
    story_ack(&s, sub, push->request_id, true);
    story_push_free(push);
    story_advance(&s, 60000);
    assert_int_equal(story_pushes(&s, sub), 0);
    assert_int_equal(count_of(&s.naming->counters.push_failures), 1);
    assert_int_equal(count_of(&s.naming->counters.push_acks), 2);
    story_end(&s);
}

static void test_ack__late_with_a_held_change__sends_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_advance(&s, 5100);
    change(&s, pub, 81);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_ack(&s, sub, push->request_id, true);
    story_push_free(push);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_ack__after_it_was_given_up__changes_nothing(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    options.push_tries_max = 1;
    story_begin(&s, &options);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_advance(&s, 5000);
    assert_int_equal(count_of(&s.naming->counters.push_given_up), 1);
    story_ack(&s, sub, push->request_id, true);
    story_ack(&s, sub, push->request_id, true);
    story_push_free(push);
    story_advance(&s, 60000);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_give_up__with_a_held_change__tries_that_one(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    options.push_tries_max = 1;
    story_begin(&s, &options);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    story_push_free(story_take(&s, sub));
    story_advance(&s, 4900);
    change(&s, pub, 81);
    story_advance(&s, 100);
    assert_int_equal(count_of(&s.naming->counters.push_given_up), 1);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 400);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_ack__as_failure__is_retried(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_advance(&s, 10);
    story_ack(&s, sub, push->request_id, false);
    story_push_free(push);
    story_advance(&s, 999);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_advance(&s, 1);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    assert_int_equal(count_of(&s.naming->counters.push_failures), 1);
    story_end(&s);
}

static void test_ack__failure_after_the_timeout__is_counted_once(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_advance(&s, 5000);
    story_ack(&s, sub, push->request_id, false);
    story_push_free(push);
    assert_int_equal(count_of(&s.naming->counters.push_failures), 1);
    story_advance(&s, 1000);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_ack__unknown__is_ignored(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    unsigned long had = count_of(&s.naming->counters.push_acks);
    story_ack(&s, sub, 0, true);
    story_ack(&s, sub, push->request_id + 1, true);
    story_ack(&s, sub, UINT64_MAX, true);
    story_ack(&s, pub, push->request_id, true); /* another connection's */
    story_ack(&s, 9999, push->request_id, true);
    assert_int_equal(count_of(&s.naming->counters.push_acks), had);
    story_ack(&s, sub, push->request_id, true);
    story_ack(&s, sub, push->request_id, true); /* doubled */
    assert_int_equal(count_of(&s.naming->counters.push_acks), had + 1);
    story_push_free(push);
    story_end(&s);
}

static void test_unsubscribe__in_flight__ends_the_push(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_advance(&s, 60);
    change(&s, pub, 81); /* held */
    assert_int_equal(story_unsubscribe(&s, sub, "demo"), 0);
    story_ack(&s, sub, push->request_id, true);
    story_push_free(push);
    story_advance(&s, 60000);
    assert_int_equal(story_pushes(&s, sub), 0);
    assert_int_equal(HASH_COUNT(s.naming->ack_waits), 0);
    story_end(&s);
}

static void test_unsubscribe__change_waits_for_the_window__is_forgotten(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    change(&s, pub, 80);
    story_take_and_ack(&s, sub);
    change(&s, pub, 81);
    assert_int_equal(story_unsubscribe(&s, sub, "demo"), 0);
    story_advance(&s, 1000);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

static void test_disconnect__in_flight__ends_the_push(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t pub = story_connect(&s, "10.0.0.9");
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.1", "");
    uint64_t other = story_subscriber(&s, "demo", "10.0.0.2", "");
    change(&s, pub, 80);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    story_disconnect(&s, sub, REMOVAL_CONNECTION_CLOSED);
    story_ack(&s, sub, push->request_id, true);
    story_push_free(push);
    assert_int_equal(story_take_and_ack(&s, other), 1);
    story_advance(&s, 60000);
    assert_int_equal(story_pushes(&s, sub), 0);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold__newer_change__waits_for_the_ack),
        cmocka_unit_test(test_hold__no_ack__ends_after_hold_ms),
        cmocka_unit_test(test_hold__ack_while_a_fan_out_is_near__waits_for_it),
        cmocka_unit_test(test_retry__no_ack__backs_off_and_gives_up),
        cmocka_unit_test(test_retry__carries_the_list_of_then),
        cmocka_unit_test(test_retry__change_long_before_it__is_held_no_longer_than_hold_ms),
        cmocka_unit_test(test_ack__late__stops_the_retry),
        cmocka_unit_test(test_ack__late_with_a_held_change__sends_it),
        cmocka_unit_test(test_ack__after_it_was_given_up__changes_nothing),
        cmocka_unit_test(test_give_up__with_a_held_change__tries_that_one),
        cmocka_unit_test(test_ack__as_failure__is_retried),
        cmocka_unit_test(test_ack__failure_after_the_timeout__is_counted_once),
        cmocka_unit_test(test_ack__unknown__is_ignored),
        cmocka_unit_test(test_unsubscribe__in_flight__ends_the_push),
        cmocka_unit_test(test_unsubscribe__change_waits_for_the_window__is_forgotten),
        cmocka_unit_test(test_disconnect__in_flight__ends_the_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
