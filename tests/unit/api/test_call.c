#include "api/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_out.h"

static struct span text_of(const struct api_call *call, char *dst)
{
    body_copy(&call->reply.body, dst);
    return span_of(dst, body_len(&call->reply.body));
}

static void test_answer__takes_the_body(void **state)
{
    (void)state;
    struct api_call call = {0};
    struct body body = {0};
    body_add_buf(&body, buf_create(SPAN("one")));
    body_add_buf(&body, buf_create(SPAN("two")));
    api_answer(&call, &body);
    assert_int_equal(body.parts, 0);
    char text[16];
    assert_true(span_eq(text_of(&call, text), SPAN("onetwo")));
    body_close(&call.reply.body);
}

static void test_answer__a_second_one_replaces_the_first(void **state)
{
    (void)state;
    struct api_call call = {0};
    api_answer_text(&call, SPAN("first"));
    api_answer_text(&call, SPAN("second"));
    char text[16];
    assert_true(span_eq(text_of(&call, text), SPAN("second")));
    body_close(&call.reply.body);
}

static void test_answer_json__empties_the_writer(void **state)
{
    (void)state;
    struct api_call call = {0};
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    json_kint(&j, "a", 1);
    json_object_end(&j);
    api_answer_json(&call, &j);
    assert_int_equal(json_text(&j).len, 0);
    json_close(&j);
    char text[16];
    assert_true(span_eq(text_of(&call, text), SPAN("{\"a\":1}")));
    body_close(&call.reply.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer__takes_the_body),
        cmocka_unit_test(test_answer__a_second_one_replaces_the_first),
        cmocka_unit_test(test_answer_json__empties_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
