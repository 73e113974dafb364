/* What this node does after an operation was applied. */
#include "config/react.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "config/listen.h"
#include "config_harness.h"

static struct cstory s;

static int setup(void **state)
{
    (void)state;
    cstory_begin(&s, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&s);
    return 0;
}

static unsigned long count(const atomic_ulong *counter)
{
    return atomic_load(counter);
}

static void test_counters__follow_what_was_applied(void **state)
{
    (void)state;
    struct config_counters *n = &s.config->counters;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    assert_int_equal(count(&n->publishes), 2);
    assert_int_equal(cstory_remove(&s, "a", "x"), 0);
    assert_int_equal(cstory_remove(&s, "a", "x"), 0); /* nothing there */
    assert_int_equal(count(&n->removes), 1);
    struct config_form form = cstory_form("a", "two");
    form.cas_md5 = SPAN("no");
    assert_int_equal(cstory_publish_form(&s, &form), E_CONFLICT);
    assert_int_equal(count(&n->cas_failures), 1);
    assert_int_equal(count(&n->publishes), 2);
}

static struct cstory_call *propose(const struct config_form *form)
{
    struct cstory_call *call = cstory_call(&s);
    struct fail fail = {0};
    struct config_publish p = {0};
    struct config_actor who = {SPAN(""), SPAN("")};
    api_answer_text(&call->call, SPAN("true"));
    assert_int_equal(config_form_check(form, 1000, &call->call.arena, &p, &fail), 0);
    assert_int_equal(config_admit_publish(s.config, &p, &who, &call->call, s.now, &s.out, &fail),
                     API_LATER);
    return call;
}

static void test_answer__success_and_failure__each_to_its_call(void **state)
{
    (void)state;
    struct config_form first = cstory_form("a", "one");
    struct config_form second = cstory_form("a", "two");
    second.cas_md5 = SPAN("no");
    s.log_stuck = true;
    struct cstory_call *calls[2] = {propose(&first), propose(&second)};
    cstory_turn(&s);
    s.log_stuck = false;
    cstory_turn(&s);
    assert_true(calls[0]->answered && calls[1]->answered);
    assert_int_equal(calls[0]->call.reply.fail.code, 0);
    assert_int_equal(calls[1]->call.reply.fail.code, E_CONFLICT);
    assert_int_equal(calls[1]->call.reply.fail.nacos, 500);
    assert_int_equal(calls[1]->call.reply.http_status, 0);
    assert_int_equal(body_len(&calls[1]->call.reply.body), 0);
}

static void test_answer__too_many_gray__is_400_over_http(void **state)
{
    (void)state;
    s.config->options.gray_max = 1;
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    struct config_form form = cstory_form("a", "two");
    form.tag = SPAN("y");
    struct cstory_call *call = propose(&form);
    cstory_turn(&s);
    assert_int_equal(call->call.reply.fail.v2, V2_GRAY_OVER_MAX);
    assert_int_equal(call->call.reply.fail.nacos, 500); /* gRPC */
    assert_int_equal(call->call.reply.http_status, 400);
    assert_string_equal(call->call.reply.fail.text, "gray config version is over max count :1");
}

/* What was acknowledged under one option is not refused under another when the log gives it again.
 */
static void test_gray_max__travels_with_the_operation(void **state)
{
    (void)state;
    struct cstory_call *calls[2];
    static const struct span tags[] = {{"x", 1}, {"y", 1}};
    for (size_t i = 0; i < 2; i++) {
        struct config_form form = cstory_form("a", "gray");
        form.tag = tags[i];
        calls[i] = propose(&form);
    }
    s.config->options.gray_max = 1;
    cstory_turn(&s);
    assert_int_equal(calls[0]->call.reply.fail.code, 0);
    assert_int_equal(calls[1]->call.reply.fail.code, 0);
}

static void test_listener__is_told_when_the_view_serves_it(void **state)
{
    (void)state;
    struct config_conn conn = {.conn = 7, .id = SPAN("id"), .client_ip = SPAN("10.0.0.1")};
    config_conn_open(s.config, &conn, s.now);
    struct listen_context context = {.key = cstory_key("a"), .md5 = SPAN("")};
    bool changed = true;
    struct fail fail = {0};
    struct listen_request request = {7, true, &context, 1, &changed};
    assert_int_equal(listen_batch(s.config, &request, s.now, &fail), 0);
    assert_false(changed);
    cstory_turn(&s);
    assert_null(s.pushes);
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_non_null(s.pushes);
    assert_int_equal(s.pushes->conn, 7);
    assert_non_null(strstr(s.pushes->json, "\"dataId\":\"a\""));
    assert_string_equal(cstory_read(&s, "a", NULL), "one");
    assert_null(s.pushes->next);
    config_conn_closed(s.config, 7);
}

static void test_nobody_waits__is_applied_all_the_same(void **state)
{
    (void)state;
    struct config_op op = {
        .kind = CONFIG_OP_REMOVE, .time_ms = s.now.wall_ms, .key = cstory_key("a")};
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    cstory_commit(&s, &op);
    assert_null(cstory_read(&s, "a", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_counters__follow_what_was_applied),
        TEST(test_answer__success_and_failure__each_to_its_call),
        TEST(test_answer__too_many_gray__is_400_over_http),
        TEST(test_gray_max__travels_with_the_operation),
        TEST(test_listener__is_told_when_the_view_serves_it),
        TEST(test_nobody_waits__is_applied_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
