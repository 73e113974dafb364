/* Instances that live by being heard of, at the exact edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming_harness.h"

static const struct instance_data *const instance = &(const struct instance_data){
    .ip = {"10.0.0.1", 8},
    .port = 80,
    .cluster = {"DEFAULT", 7},
    .weight = 1.0,
    .healthy = true,
    .enabled = true,
    .ephemeral = true,
};

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

/* 1: healthy, 0: unhealthy, -1: not there */
static int health(struct story *s)
{
    const struct instance *i = story_find(s, "demo", "10.0.0.1", 80);
    return i ? i->healthy : -1;
}

static int light(struct story *s)
{
    return story_beat(s, "demo", instance, false, NULL);
}

static void test_beat__light_of_unknown__asks_for_a_registration(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    int64_t interval_ms = 0;
    assert_int_equal(story_beat(&s, "demo", instance, false, &interval_ms), BEAT_UNKNOWN);
    assert_int_equal(interval_ms, 5000);
    assert_int_equal(health(&s), -1);
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

static void test_beat__full_of_unknown__registers(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    int64_t interval_ms = 0;
    assert_int_equal(story_beat(&s, "demo", instance, true, &interval_ms), BEAT_OK);
    assert_int_equal(interval_ms, 5000);
    assert_int_equal(health(&s), 1);
    assert_int_equal(light(&s), BEAT_OK);
    assert_int_equal(naming_stats(s.naming).http_clients, 1);
    assert_int_equal(atomic_load(&s.naming->counters.beats), 2);
    story_end(&s);
}

static void test_beat__longest_ip_of_wide_characters__is_a_client(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    char ip[BEAT_IP_BYTES_MAX + 1];
    for (size_t at = 0; at < BEAT_IP_BYTES_MAX; at += 4) {
        memcpy(ip + at, "\xf0\x9f\x90\x9a", 4);
    }
    ip[BEAT_IP_BYTES_MAX] = '\0';
    struct instance_data i = *instance;
    i.ip = span_str(ip);
    i.port = 65535;
    assert_int_equal(name_check_instance(&i, NULL), 0);
    assert_int_equal(story_beat(&s, "demo", &i, true, NULL), BEAT_OK);
    assert_int_equal(story_beat(&s, "demo", &i, false, NULL), BEAT_OK);
    struct naming_overlay o = {
        .service = story_name("demo"),
        .ip = i.ip,
        .port = 65535,
        .cluster = i.cluster,
        .has_enabled = true,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    story_advance(&s, 30001);
    assert_int_equal(story_listed(&s, "demo"), 0);
    story_end(&s);
}

static void test_beat__full_into_persistent_service__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_persistent(&s, "demo", "10.0.0.7", 80), 0);
    assert_int_equal(story_beat(&s, "demo", instance, true, NULL), E_INVALID);
    assert_non_null(strstr(s.fail.text, "is persistent service, can't register ephemeral"));
    assert_int_equal(light(&s), BEAT_UNKNOWN);
    story_end(&s);
}

static void test_silence__one_millisecond_over__unhealthy_then_gone(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 15000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), 0);
    story_advance(&s, 14999);
    assert_int_equal(health(&s), 0);
    story_advance(&s, 1);
    assert_int_equal(health(&s), -1);
    assert_true(story_traced(&s, "client=10.0.0.1:80#true reason=\"no beat in time\""));
    assert_int_equal(naming_stats(s.naming).http_clients, 0);
    story_end(&s);
}

static void test_silence__subscribers_are_told(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.2", "");
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_advance(&s, 15001);
    struct story_push *push = story_take(&s, sub);
    assert_non_null(push);
    assert_non_null(strstr(push->json, "\"healthy\":false"));
    story_ack(&s, sub, push->request_id, true);
    story_push_free(push);
    story_advance(&s, 15000);
    assert_int_equal(story_take_and_ack(&s, sub), 0);
    story_end(&s);
}

static void test_beat__in_time__keeps_it_alive(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    size_t proposed = s.proposed;
    for (int i = 0; i < 20; i++) {
        story_advance(&s, 15000);
        assert_int_equal(light(&s), BEAT_OK);
        assert_int_equal(health(&s), 1);
    }
    assert_int_equal(s.proposed, proposed); /* beats are not in the log */
    story_end(&s);
}

static void test_beat__of_an_unhealthy_one__heals_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 20000);
    assert_int_equal(health(&s), 0);
    assert_int_equal(light(&s), BEAT_OK);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 15000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), 0);
    story_end(&s);
}

static void test_beat__registered_as_unhealthy__heals_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct instance_data i = *instance;
    i.healthy = false;
    assert_int_equal(story_register_http(&s, "demo", &i), 0);
    assert_int_equal(health(&s), 0);
    assert_int_equal(light(&s), BEAT_OK);
    assert_int_equal(health(&s), 1);
    story_end(&s);
}

static void test_metadata__times_of_its_own__hold(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const struct instance_pair pairs[] = {{SPAN("preserved.heart.beat.interval"), SPAN("1000")},
                                          {SPAN("preserved.heart.beat.timeout"), SPAN("3000")},
                                          {SPAN("preserved.ip.delete.timeout"), SPAN("9000")}};
    struct instance_data i = *instance;
    i.metadata = pairs;
    i.metadata_count = ARRAY_LEN(pairs);
    int64_t interval_ms = 0;
    assert_int_equal(story_beat(&s, "demo", &i, true, &interval_ms), BEAT_OK);
    assert_int_equal(interval_ms, 1000);
    assert_int_equal(story_beat(&s, "demo", instance, false, &interval_ms), BEAT_OK);
    assert_int_equal(interval_ms, 1000);
    story_advance(&s, 3000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), 0);
    story_advance(&s, 5999);
    assert_int_equal(health(&s), 0);
    story_advance(&s, 1);
    assert_int_equal(health(&s), -1);
    story_end(&s);
}

static void test_metadata__no_numbers__are_the_defaults(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const struct instance_pair pairs[] = {{SPAN("preserved.heart.beat.timeout"), SPAN("soon")},
                                          {SPAN("preserved.ip.delete.timeout"), SPAN("")},
                                          {SPAN("preserved.heart.beat.interval"), SPAN("5s")}};
    struct instance_data i = *instance;
    i.metadata = pairs;
    i.metadata_count = ARRAY_LEN(pairs);
    assert_int_equal(story_register_http(&s, "demo", &i), 0);
    int64_t interval_ms = 0;
    assert_int_equal(story_beat(&s, "demo", instance, false, &interval_ms), BEAT_OK);
    assert_int_equal(interval_ms, 5000);
    story_advance(&s, 15000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 15001);
    assert_int_equal(health(&s), -1);
    story_end(&s);
}

static void test_metadata__huge_times__never_overflow(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const struct instance_pair pairs[] = {
        {SPAN("preserved.heart.beat.timeout"), SPAN("9223372036854775807")},
        {SPAN("preserved.ip.delete.timeout"), SPAN("9223372036854775807")}};
    struct instance_data i = *instance;
    i.metadata = pairs;
    i.metadata_count = ARRAY_LEN(pairs);
    assert_int_equal(story_register_http(&s, "demo", &i), 0);
    story_advance(&s, 3600000);
    assert_int_equal(health(&s), 1);
    story_end(&s);
}

static void test_metadata__delete_before_timeout__goes_while_healthy(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const struct instance_pair pair = {SPAN("preserved.ip.delete.timeout"), SPAN("6000")};
    struct instance_data i = *instance;
    i.metadata = &pair;
    i.metadata_count = 1;
    assert_int_equal(story_register_http(&s, "demo", &i), 0);
    story_advance(&s, 6000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), -1);
    story_end(&s);
}

static void test_metadata__client_beat_off__is_never_checked(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const struct instance_pair pair = {SPAN("enableClientBeat"), SPAN("false")};
    struct instance_data i = *instance;
    i.metadata = &pair;
    i.metadata_count = 1;
    assert_int_equal(story_register_http(&s, "demo", &i), 0);
    assert_int_equal(s.naming->beats.count, 0);
    story_advance(&s, 3600000);
    assert_int_equal(health(&s), 1);
    story_end(&s);
}

static void test_options__no_expiry__stays_unhealthy_until_heard(void **state)
{
    (void)state;
    struct story s;
    struct naming_options options = story_options();
    options.expire_instances = false;
    story_begin(&s, &options);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 3600000);
    assert_int_equal(health(&s), 0);
    assert_int_equal(light(&s), BEAT_OK);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 15001);
    assert_int_equal(health(&s), 0);
    story_end(&s);
}

static void test_log_slow__nothing_is_proposed_twice(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    s.log_stuck = true;
    size_t proposed = s.proposed;
    story_advance(&s, 15001);
    assert_int_equal(s.proposed, proposed + 1);
    story_advance(&s, 4000);
    assert_int_equal(s.proposed, proposed + 1);
    /* Heard again: that it is healthy follows once. */
    assert_int_equal(light(&s), BEAT_OK);
    assert_int_equal(light(&s), BEAT_OK);
    story_advance(&s, 1000);
    assert_int_equal(light(&s), BEAT_OK);
    assert_int_equal(s.proposed, proposed + 2);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 15000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), 0);
    story_end(&s);
}

static void test_log_loses_it__is_proposed_again(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    s.log_lost = true;
    story_advance(&s, 16000);
    assert_int_equal(health(&s), 1);
    s.log_lost = false;
    story_advance(&s, 5000);
    assert_int_equal(health(&s), 0);
    story_end(&s);
}

static void test_beat__while_its_removal_is_on_its_way__is_unknown(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 30000);
    s.log_stuck = true;
    story_advance(&s, 1);
    assert_int_equal(light(&s), BEAT_UNKNOWN);
    assert_int_equal(story_beat(&s, "demo", instance, true, NULL), BEAT_OK);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(health(&s), 1);
    story_end(&s);
}

static void test_register__again__begins_anew(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 14000);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 15000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), 0);
    story_end(&s);
}

static void test_register__on_its_way_when_the_time_is_over__lives(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 30000);
    s.log_stuck = true;
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 1);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(health(&s), 1);
    story_end(&s);
}

static void test_overlay__sets_other_times__they_hold(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    story_advance(&s, 1000);
    const struct instance_pair pair = {SPAN("preserved.heart.beat.timeout"), SPAN("2000")};
    struct naming_overlay o = {
        .service = story_name("demo"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_metadata = true,
        .metadata = &pair,
        .metadata_count = 1,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    story_advance(&s, 1000);
    assert_int_equal(health(&s), 1);
    story_advance(&s, 1);
    assert_int_equal(health(&s), 0);
    story_end(&s);
}

static void test_deregister__is_watched_no_more(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register_http(&s, "demo", instance), 0);
    assert_int_equal(s.naming->beats.count, 1);
    struct naming_unpublish u = {
        .service = story_name("demo"),
        .kind = CLIENT_HTTP,
        .client = SPAN("10.0.0.1:80#true"),
        .reason = REMOVAL_HTTP_DEREGISTERED,
    };
    assert_int_equal(story_unpublish(&s, &u), 0);
    assert_int_equal(s.naming->beats.count, 0);
    assert_int_equal(health(&s), -1);
    assert_true(story_traced(&s, "reason=\"deregistered over HTTP\""));
    story_end(&s);
}

static void test_beat__connection_and_persistent_instances__are_not_watched(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.5");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.1", 80), 0);
    assert_int_equal(s.naming->beats.count, 0);
    assert_int_equal(light(&s), BEAT_UNKNOWN); /* it is the connection's, not the address's */
    story_advance(&s, 3600000);
    assert_int_equal(health(&s), 1);
    assert_int_equal(story_listed(&s, "db"), 1);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beat__light_of_unknown__asks_for_a_registration),
        cmocka_unit_test(test_beat__full_of_unknown__registers),
        cmocka_unit_test(test_beat__longest_ip_of_wide_characters__is_a_client),
        cmocka_unit_test(test_beat__full_into_persistent_service__is_refused),
        cmocka_unit_test(test_silence__one_millisecond_over__unhealthy_then_gone),
        cmocka_unit_test(test_silence__subscribers_are_told),
        cmocka_unit_test(test_beat__in_time__keeps_it_alive),
        cmocka_unit_test(test_beat__of_an_unhealthy_one__heals_it),
        cmocka_unit_test(test_beat__registered_as_unhealthy__heals_it),
        cmocka_unit_test(test_metadata__times_of_its_own__hold),
        cmocka_unit_test(test_metadata__no_numbers__are_the_defaults),
        cmocka_unit_test(test_metadata__huge_times__never_overflow),
        cmocka_unit_test(test_metadata__delete_before_timeout__goes_while_healthy),
        cmocka_unit_test(test_metadata__client_beat_off__is_never_checked),
        cmocka_unit_test(test_options__no_expiry__stays_unhealthy_until_heard),
        cmocka_unit_test(test_log_slow__nothing_is_proposed_twice),
        cmocka_unit_test(test_log_loses_it__is_proposed_again),
        cmocka_unit_test(test_beat__while_its_removal_is_on_its_way__is_unknown),
        cmocka_unit_test(test_register__again__begins_anew),
        cmocka_unit_test(test_register__on_its_way_when_the_time_is_over__lives),
        cmocka_unit_test(test_overlay__sets_other_times__they_hold),
        cmocka_unit_test(test_deregister__is_watched_no_more),
        cmocka_unit_test(test_beat__connection_and_persistent_instances__are_not_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
