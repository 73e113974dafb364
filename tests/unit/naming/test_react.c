/* What this node does after an operation was applied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming/react.h"
#include "naming_harness.h"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static enum view_take take(struct story *s, const char *service)
{
    char key[VIEW_KEY_MAX];
    struct service_name name = story_name(service);
    struct view_value *v = NULL;
    int64_t stamp = 0;
    enum view_take taken =
        view_take(s->view, service_name_key(&name, key), s->now.wall_ms, &v, &stamp);
    view_value_unref(v);
    return taken;
}

static void test_react__change__makes_the_view_stale_before_the_answer(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(take(&s, "demo"), VIEW_NONE);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(take(&s, "demo"), VIEW_STALE);
    assert_non_null(service_refresh(s.naming, story_service(&s, "demo"), s.now));
    assert_int_equal(take(&s, "demo"), VIEW_FRESH);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 81), 0);
    assert_int_equal(take(&s, "demo"), VIEW_STALE);
    story_end(&s);
}

static void test_react__service_gone__leaves_the_view(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct naming_service_put p = {.service = story_name("s"), .create = true};
    assert_int_equal(story_service_put(&s, &p), 0);
    assert_non_null(service_refresh(s.naming, story_service(&s, "s"), s.now));
    assert_int_equal(take(&s, "s"), VIEW_FRESH);
    assert_int_equal(story_service_remove(&s, "s"), 0);
    assert_int_equal(take(&s, "s"), VIEW_NONE);
    assert_int_equal(view_count(s.view), 0);
    story_end(&s);
}

static void test_refresh__same_value_until_the_next_change(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    struct service *demo = story_service(&s, "demo");
    const struct service_value *v = service_refresh(s.naming, demo, s.now);
    assert_non_null(v);
    assert_int_equal(v->count, 1);
    assert_ptr_equal(service_refresh(s.naming, demo, s.now), v);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 81), 0);
    v = service_refresh(s.naming, demo, s.now);
    assert_int_equal(v->instances[0]->port, 81);
    story_end(&s);
}

static void test_refresh__nobody_publishes__is_null(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_null(service_refresh(s.naming, NULL, s.now));
    assert_int_equal(story_subscribe(&s, conn, "demo", ""), 0);
    assert_null(service_refresh(s.naming, story_service(&s, "demo"), s.now));
    story_end(&s);
}

static void test_trace__removal__tells_who_and_why(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_null(s.traces); /* registrations are no lines */
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    assert_string_equal(s.traces,
                        "event=instance_removed namespace=public service=DEFAULT_GROUP@@demo "
                        "instance=10.0.0.1:80#DEFAULT client=1700000000000_10.0.0.1_40001 "
                        "reason=\"deregistered by its client\"\n");
    assert_int_equal(atomic_load(&s.naming->counters.removals[REMOVAL_DEREGISTERED]), 1);
    assert_int_equal(atomic_load(&s.naming->counters.registrations), 1);
    story_end(&s);
}

static void test_trace__replaced_by_another_address__tells_both(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_null(s.traces);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 81), 0);
    assert_string_equal(s.traces,
                        "event=instance_replaced namespace=public service=DEFAULT_GROUP@@demo "
                        "instance=10.0.0.1:80#DEFAULT by=10.0.0.1:81#DEFAULT "
                        "client=1700000000000_10.0.0.1_40001 "
                        "reason=\"replaced by another registration of its client\"\n");
    story_end(&s);
}

static void test_trace__large_batch_goes__lines_are_bounded(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data list[100];
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        list[i] = story_instance("10.0.0.1", (int)i + 1);
    }
    assert_int_equal(story_register_batch(&s, conn, "demo", list, ARRAY_LEN(list)), 0);
    story_disconnect(&s, conn, REMOVAL_CONNECTION_SILENT);
    size_t lines = 0;
    for (const char *at = s.traces; (at = strchr(at, '\n')); at++) {
        lines++;
    }
    assert_int_equal(lines, 33);
    assert_true(story_traced(&s, "event=instances_removed more=68"));
    assert_int_equal(atomic_load(&s.naming->counters.removals[REMOVAL_CONNECTION_SILENT]), 100);
    story_end(&s);
}

static void test_answer__apply_refuses_what_admit_let_in__with_the_same_words(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    s.log_stuck = true;
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_register_persistent(&s, "demo", "10.0.0.2", 80), 0);
    struct story_call *second = s.calls;
    struct story_call *first = s.calls->next;
    assert_false(first->answered);
    assert_false(second->answered);
    s.log_stuck = false;
    story_turn(&s);
    assert_true(first->answered);
    assert_int_equal(first->call.reply.fail.code, 0);
    assert_int_equal(body_len(&first->call.reply.body), 2);
    assert_true(second->answered);
    assert_int_equal(second->call.reply.fail.code, E_INVALID);
    assert_int_equal(second->call.reply.body.parts, 0);
    char text[FAIL_TEXT_MAX];
    snprintf(text, sizeof(text), "%s", second->call.reply.fail.text);
    /* Admit says the same once the state is known. */
    assert_int_equal(story_register_persistent(&s, "demo", "10.0.0.2", 80), E_INVALID);
    assert_string_equal(s.fail.text, text);
    assert_int_equal(fail_nacos(&second->call.reply.fail), fail_nacos(&s.fail));
    story_end(&s);
}

static void test_answer__comes_before_the_push(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t sub = story_subscriber(&s, "demo", "10.0.0.2", "");
    uint64_t conn = story_connect(&s, "10.0.0.1");
    s.log_stuck = true;
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_false(s.calls->answered);
    assert_int_equal(story_pushes(&s, sub), 0);
    s.log_stuck = false;
    story_turn(&s);
    assert_true(s.calls->answered);
    assert_int_equal(story_take_and_ack(&s, sub), 1);
    story_end(&s);
}

static void test_react__no_subscriber__nothing_is_built(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    for (int i = 0; i < 10; i++) {
        assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80 + i), 0);
        story_advance(&s, 1000);
        assert_true(story_service(&s, "demo")->stale);
    }
    assert_int_equal(s.messages, 0);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_react__change__makes_the_view_stale_before_the_answer),
        cmocka_unit_test(test_react__service_gone__leaves_the_view),
        cmocka_unit_test(test_refresh__same_value_until_the_next_change),
        cmocka_unit_test(test_refresh__nobody_publishes__is_null),
        cmocka_unit_test(test_trace__removal__tells_who_and_why),
        cmocka_unit_test(test_trace__replaced_by_another_address__tells_both),
        cmocka_unit_test(test_trace__large_batch_goes__lines_are_bounded),
        cmocka_unit_test(test_answer__apply_refuses_what_admit_let_in__with_the_same_words),
        cmocka_unit_test(test_answer__comes_before_the_push),
        cmocka_unit_test(test_react__no_subscriber__nothing_is_built),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
