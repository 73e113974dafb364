#include "api/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"

/* What the row's rule does in each test. */
struct rule {
    int next;
    int fail_code;
    uint64_t seen_ms;
};

static int admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                 struct fail *fail)
{
    (void)out;
    struct rule *rule = self;
    rule->seen_ms = now.mono_ms;
    if (rule->next == API_ANSWERED) {
        api_answer_text(call, SPAN("ok"));
    }
    if (rule->fail_code) {
        return fail_set(fail, rule->fail_code, "no such thing");
    }
    return rule->next;
}

static const struct api_row row = {.name = "/x", .admit = admit};

static void run(struct rule *rule, struct api_call *call, struct outbox *out)
{
    *call = (struct api_call){.row = &row, .admit_self = rule};
    dispatch_call(call, (struct now){.mono_ms = 7}, out);
}

static void test_dispatch__answered__becomes_a_reply(void **state)
{
    (void)state;
    struct rule rule = {.next = API_ANSWERED};
    struct outbox out = {0};
    struct api_call call;
    run(&rule, &call, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.list[0].kind, EFFECT_REPLY);
    assert_ptr_equal(out.list[0].u.reply.call, &call);
    assert_int_equal(call.reply.fail.code, 0);
    assert_int_equal(rule.seen_ms, 7);
    body_close(&call.reply.body);
    outbox_close(&out);
}

static void test_dispatch__later__leaves_the_call_to_the_feature(void **state)
{
    (void)state;
    struct rule rule = {.next = API_LATER};
    struct outbox out = {0};
    struct api_call call;
    run(&rule, &call, &out);
    assert_int_equal(out.count, 0);
    outbox_close(&out);
}

static void test_dispatch__failure__is_a_reply_with_its_reason(void **state)
{
    (void)state;
    struct rule rule = {.fail_code = E_NOT_FOUND};
    struct outbox out = {0};
    struct api_call call;
    run(&rule, &call, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(call.reply.fail.code, E_NOT_FOUND);
    assert_string_equal(fail_text(&call.reply.fail), "no such thing");
    assert_int_equal(call.reply.body.parts, 0);
    outbox_close(&out);
}

static void test_dispatch__failure_without_words__keeps_its_code(void **state)
{
    (void)state;
    struct rule rule = {.next = E_LIMIT};
    struct outbox out = {0};
    struct api_call call;
    run(&rule, &call, &out);
    assert_int_equal(call.reply.fail.code, E_LIMIT);
    assert_string_equal(fail_text(&call.reply.fail), err_text(E_LIMIT));
    outbox_close(&out);
}

static void test_dispatch_fail__drops_a_half_written_answer(void **state)
{
    (void)state;
    struct outbox out = {0};
    struct api_call call = {.row = &row};
    api_answer_text(&call, SPAN("half"));
    struct fail why = {0};
    assert_int_equal(fail_set(&why, E_CONFLICT, "taken"), E_CONFLICT);
    dispatch_fail(&call, &why, &out);
    assert_int_equal(call.reply.body.parts, 0);
    assert_int_equal(call.reply.fail.code, E_CONFLICT);
    outbox_close(&out);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatch__answered__becomes_a_reply),
        cmocka_unit_test(test_dispatch__later__leaves_the_call_to_the_feature),
        cmocka_unit_test(test_dispatch__failure__is_a_reply_with_its_reason),
        cmocka_unit_test(test_dispatch__failure_without_words__keeps_its_code),
        cmocka_unit_test(test_dispatch_fail__drops_a_half_written_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
