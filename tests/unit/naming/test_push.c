/* Who subscribes to what. The timing of pushes is test_push_window.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "naming/push.h"
#include "naming/push_state.h"
#include "naming_harness.h"

#define GONE_TEXT                                                                                  \
    "errCode: -401, errMsg: Client [id-of-the-caller] connection already disconnect, can't "       \
    "register ephemeral instance. "

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void test_subscribe__unknown_connection__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_subscribe(&s, 77, "demo", ""), E_CLIENT_GONE);
    assert_string_equal(s.fail.text, GONE_TEXT);
    assert_int_equal(fail_nacos(&s.fail), -401);
    assert_int_equal(story_unsubscribe(&s, 77, "demo"), E_CLIENT_GONE);
    assert_null(story_service(&s, "demo"));
    story_end(&s);
}

static void test_subscribe__after_the_connection_closed__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    s.log_stuck = true;
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), E_CLIENT_GONE);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), E_CLIENT_GONE);
    story_end(&s);
}

static void test_subscribe__new__is_pushed_once_more_to_it_alone(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t first = story_connect(&s, "10.0.0.1");
    uint64_t second = story_connect(&s, "10.0.0.2");
    assert_int_equal(story_subscribe(&s, first, "demo", ""), 0);
    story_advance(&s, 499);
    assert_int_equal(story_pushes(&s, first), 0);
    story_advance(&s, 1);
    assert_int_equal(story_take_and_ack(&s, first), 0);
    assert_int_equal(story_subscribe(&s, second, "demo", ""), 0);
    story_advance(&s, 500);
    assert_int_equal(story_take_and_ack(&s, second), 0);
    story_advance(&s, 10000);
    assert_int_equal(story_pushes(&s, first), 0);
    assert_int_equal(story_pushes(&s, second), 0);
    story_end(&s);
}

static void test_subscribe__change_before_the_extra_push__takes_its_place(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), 0);
    story_advance(&s, 100);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_take_and_ack(&s, conn), 1);
    story_advance(&s, 10000);
    assert_int_equal(story_pushes(&s, conn), 0);
    story_end(&s);
}

static void test_subscribe__again__is_the_same_subscription(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), 0);
    story_advance(&s, 500);
    assert_int_equal(story_take_and_ack(&s, conn), 0);
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), 0);
    story_advance(&s, 5000);
    assert_int_equal(story_pushes(&s, conn), 0);
    assert_int_equal(naming_stats(s.naming).subscriptions, 1);
    story_end(&s);
}

static void test_subscribe__other_clusters__replace_the_former(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    uint64_t other = story_connect(&s, "10.0.0.2");
    assert_int_equal(story_subscribe(&s, conn, "demo", "a"), 0);
    assert_int_equal(story_subscribe(&s, conn, "demo", "DEFAULT,b"), 0);
    assert_int_equal(naming_stats(s.naming).subscriptions, 1);
    assert_int_equal(HASH_COUNT(story_service(&s, "demo")->push->sets), 1);
    assert_int_equal(story_register(&s, other, "demo", "10.0.0.2", 80), 0);
    struct story_push *push = story_take(&s, conn);
    assert_non_null(push);
    assert_non_null(strstr(push->json, "\"clusters\":\"DEFAULT,b\""));
    assert_int_equal(push->hosts, 1);
    story_push_free(push);
    assert_int_equal(story_pushes(&s, conn), 0);
    story_end(&s);
}

static void test_unsubscribe__nobody_left__frees_the_service(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), 0);
    assert_non_null(story_service(&s, "demo"));
    assert_false(story_service(&s, "demo")->exists);
    assert_int_equal(story_unsubscribe(&s, conn, "demo"), 0);
    assert_null(story_service(&s, "demo"));
    assert_int_equal(naming_stats(s.naming).subscriptions, 0);
    story_advance(&s, 10000);
    assert_int_equal(story_pushes(&s, conn), 0);
    story_end(&s);
}

static void test_unsubscribe__nothing_subscribed__is_fine(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_unsubscribe(&s, conn, "unknown"), 0);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_unsubscribe(&s, conn, "demo"), 0);
    assert_int_equal(story_listed(&s, "demo"), 1);
    story_end(&s);
}

static void test_unsubscribe__any_clusters__drops_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "demo", "a"), 0);
    assert_int_equal(story_unsubscribe(&s, conn, "demo"), 0); /* with clusters "" */
    assert_int_equal(naming_stats(s.naming).subscriptions, 0);
    story_end(&s);
}

static void test_subscribe__limits__are_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    size_t had = s.naming->subscription_count;
    s.naming->subscription_count = NAMING_SUBSCRIPTIONS_MAX;
    struct naming_subscribe sub = {.service = story_name("demo"), .conn = conn};
    struct fail fail = {0};
    assert_int_equal(push_subscribe(s.naming, &sub, s.now, &fail), E_LIMIT);
    assert_string_equal(fail.text, "this node keeps at most 2000000 subscriptions, all are in use");
    s.naming->subscription_count = had;

    struct client *c = client_of_conn(s.naming, conn);
    c->subscription_count = NAMING_CLIENT_PUBLISH_MAX;
    assert_int_equal(push_subscribe(s.naming, &sub, s.now, &fail), E_LIMIT);
    assert_non_null(strstr(fail.text, "a client subscribes to at most 100000 services"));
    c->subscription_count = 0;

    char *clusters = mem_zalloc(1, PUSH_CLUSTERS_BYTES_MAX + 1);
    memset(clusters, 'a', PUSH_CLUSTERS_BYTES_MAX + 1);
    sub.clusters = span_of(clusters, PUSH_CLUSTERS_BYTES_MAX + 1);
    assert_int_equal(push_subscribe(s.naming, &sub, s.now, &fail), E_TOO_LARGE);
    assert_string_equal(fail.text, "clusters: expected at most 4096 bytes, got 4097");
    sub.clusters.len--;
    assert_int_equal(push_subscribe(s.naming, &sub, s.now, &fail), 0);
    mem_free(clusters);
    story_end(&s);
}

static void test_subscribe__very_long_app__is_cut(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    char app[PUSH_APP_BYTES_MAX + 100];
    memset(app, 'a', sizeof(app));
    struct naming_subscribe sub = {
        .service = story_name("demo"), .app = span_of(app, sizeof(app)), .conn = conn};
    struct fail fail = {0};
    assert_int_equal(push_subscribe(s.naming, &sub, s.now, &fail), 0);
    assert_int_equal(strlen(story_service(&s, "demo")->subscribers->app), PUSH_APP_BYTES_MAX);
    story_end(&s);
}

struct seen {
    unsigned count;
    char text[256];
};

static void see(void *arg, const struct subscriber_info *info)
{
    struct seen *seen = arg;
    seen->count++;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s %.*s %.*s %.*s;", SPAN_ARG(info->ip),
             SPAN_ARG(info->app), SPAN_ARG(info->agent), SPAN_ARG(info->clusters));
}

static void test_each_subscriber__tells_who_in_order(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t a = story_connect(&s, "10.0.0.1");
    uint64_t b = story_connect(&s, "10.0.0.2");
    assert_int_equal(story_subscribe(&s, a, "demo", ""), 0);
    struct naming_subscribe sub = {
        .service = story_name("demo"), .clusters = SPAN("x"), .app = SPAN("shop"), .conn = b};
    struct fail fail = {0};
    assert_int_equal(push_subscribe(s.naming, &sub, s.now, &fail), 0);
    struct seen seen = {0};
    push_each_subscriber(story_service(&s, "demo"), see, &seen);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.text, "10.0.0.1 app-of-connection Nacos-Java-Client:v2.5.1 ;"
                                   "10.0.0.2 shop Nacos-Java-Client:v2.5.1 x;");
    story_end(&s);
}

static void test_drop_client__all_its_subscriptions_go(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    uint64_t other = story_connect(&s, "10.0.0.2");
    assert_int_equal(story_subscribe(&s, conn, "a", ""), 0);
    assert_int_equal(story_subscribe(&s, conn, "b", ""), 0);
    assert_int_equal(story_subscribe(&s, other, "b", ""), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(naming_stats(s.naming).subscriptions, 1);
    assert_null(story_service(&s, "a"));
    assert_int_equal(story_service(&s, "b")->subscriber_count, 1);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribe__unknown_connection__is_refused),
        cmocka_unit_test(test_subscribe__after_the_connection_closed__is_refused),
        cmocka_unit_test(test_subscribe__new__is_pushed_once_more_to_it_alone),
        cmocka_unit_test(test_subscribe__change_before_the_extra_push__takes_its_place),
        cmocka_unit_test(test_subscribe__again__is_the_same_subscription),
        cmocka_unit_test(test_subscribe__other_clusters__replace_the_former),
        cmocka_unit_test(test_unsubscribe__nobody_left__frees_the_service),
        cmocka_unit_test(test_unsubscribe__nothing_subscribed__is_fine),
        cmocka_unit_test(test_unsubscribe__any_clusters__drops_it),
        cmocka_unit_test(test_subscribe__limits__are_refused),
        cmocka_unit_test(test_subscribe__very_long_app__is_cut),
        cmocka_unit_test(test_each_subscriber__tells_who_in_order),
        cmocka_unit_test(test_drop_client__all_its_subscriptions_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
