#include "rpc/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct api_row TYPED = {.reply_type = "InstanceResponse"};
static const struct api_row READ = {.reply_type = "ServiceListResponse",
                                    .shape = API_SHAPE_READ,
                                    .fail_extra = "\"count\":0,\"serviceNames\":[]"};

static char *text_of(struct body *body)
{
    static char text[1024];
    assert_true(body_len(body) < sizeof(text));
    body_copy(body, text);
    text[body_len(body)] = '\0';
    body_close(body);
    return text;
}

static void expect(const struct api_row *row, int err, const char *type, const char *json)
{
    struct fail why = {0};
    fail_set(&why, err, "why");
    struct body body = {0};
    assert_string_equal(answer_failure(row, &why, &body), type);
    assert_string_equal(text_of(&body), json);
}

/* R3, R9. */
static void test_failure__of_a_row__is_typed_and_agrees_with_itself(void **state)
{
    (void)state;
    expect(&TYPED, E_INVALID, "InstanceResponse",
           "{\"resultCode\":500,\"errorCode\":400,\"message\":\"why\",\"success\":false}");
    expect(&TYPED, E_INTERNAL, "InstanceResponse",
           "{\"resultCode\":500,\"errorCode\":500,\"message\":\"why\",\"success\":false}");
    expect(&READ, E_FORBIDDEN, "ServiceListResponse",
           "{\"resultCode\":500,\"errorCode\":403,\"message\":\"why\",\"count\":0,"
           "\"serviceNames\":[],\"success\":false}");
}

static void test_failure__before_the_handler__is_an_error_response(void **state)
{
    (void)state;
    static const int errs[] = {E_STARTING, E_UNREGISTERED, E_NO_HANDLER, E_PARSE};
    static const int codes[] = {300, 301, 302, 502};
    for (size_t i = 0; i < 4; i++) {
        char json[128];
        snprintf(json, sizeof(json),
                 "{\"resultCode\":500,\"errorCode\":%d,\"message\":\"why\",\"success\":false}",
                 codes[i]);
        expect(&TYPED, errs[i], "ErrorResponse", json);
        expect(&READ, errs[i], "ErrorResponse", json);
        expect(NULL, errs[i], "ErrorResponse", json);
    }
}

static void test_failure__internal_of_a_read__is_an_error_response(void **state)
{
    (void)state;
    expect(&READ, E_INTERNAL, "ErrorResponse",
           "{\"resultCode\":500,\"errorCode\":500,\"message\":\"why\",\"success\":false}");
    expect(&READ, E_LIMIT, "ErrorResponse",
           "{\"resultCode\":500,\"errorCode\":503,\"message\":\"why\",\"success\":false}");
    expect(&READ, E_TIMEOUT, "ErrorResponse",
           "{\"resultCode\":500,\"errorCode\":500,\"message\":\"why\",\"success\":false}");
}

static void test_failure__without_text__has_the_default(void **state)
{
    (void)state;
    struct fail why = {.code = E_STARTING};
    struct body body = {0};
    answer_failure(NULL, &why, &body);
    assert_non_null(strstr(text_of(&body), "Server is starting,please try later."));
}

/* Vector C03. */
static void test_server_check__has_id_and_negotiation(void **state)
{
    (void)state;
    struct body body = answer_server_check(SPAN("1712000000000_127.0.0.1_53412"));
    assert_string_equal(text_of(&body),
                        "{\"resultCode\":200,\"errorCode\":0,\"connectionId\":"
                        "\"1712000000000_127.0.0.1_53412\",\"supportAbilityNegotiation\":true,"
                        "\"success\":true}");
}

/* Vector C11. */
static void test_success__is_bare(void **state)
{
    (void)state;
    struct body body = answer_success();
    assert_string_equal(text_of(&body), "{\"resultCode\":200,\"errorCode\":0,\"success\":true}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure__of_a_row__is_typed_and_agrees_with_itself),
        cmocka_unit_test(test_failure__before_the_handler__is_an_error_response),
        cmocka_unit_test(test_failure__internal_of_a_read__is_an_error_response),
        cmocka_unit_test(test_failure__without_text__has_the_default),
        cmocka_unit_test(test_server_check__has_id_and_negotiation),
        cmocka_unit_test(test_success__is_bare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
