#include "http/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct asked naming = {
    .method = "GET", .path = {"/nacos/v1/ns/x", 14}, .path_below = {"/v1/ns/x", 8}};
static const struct asked console = {
    .method = "PO<T", .path = {"/nacos/v1/console/x", 19}, .path_below = {"/v1/console/x", 13}};
static const struct asked config = {
    .method = "GET", .path = {"/nacos/v1/cs/x", 14}, .path_below = {"/v1/cs/x", 8}};
static const struct asked v2 = {
    .method = "POST", .path = {"/nacos/v2/x", 11}, .path_below = {"/v2/x", 5}};

/* The body as text, in static memory; the answer is emptied. */
static const char *text_of(struct answer *a)
{
    static char text[2048];
    size_t len = body_len(&a->body);
    assert_true(len < sizeof(text));
    body_copy(&a->body, text);
    text[len] = '\0';
    body_close(&a->body);
    return text;
}

static struct fail failure(int code, int nacos, int v2_code, const char *text)
{
    struct fail fail = {0};
    (void)fail_set_codes(&fail, code, nacos, v2_code, "%s", text);
    return fail;
}

static void test_container__keys_in_springs_order(void **state)
{
    (void)state;
    struct answer a;
    answer_container(&a, 403, SPAN("no \"right\""), &naming);
    assert_int_equal(a.status, 403);
    assert_string_equal(a.content_type, "application/json");
    const char *text = text_of(&a);
    int year = 0;
    int millis = 0;
    char sign = 0;
    assert_int_equal(
        sscanf(text, "{\"timestamp\":\"%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3d%c", &year, &millis, &sign),
        3);
    assert_true(year >= 2024);
    assert_true(sign == '+' || sign == '-');
    assert_non_null(strstr(
        text, ":00\",\"status\":403,\"error\":\"Forbidden\",\"message\":\"no \\\"right\\\"\","
              "\"path\":\"/nacos/v1/ns/x\"}"));
}

static void test_container__below_config__has_a_charset(void **state)
{
    (void)state;
    struct answer a;
    answer_container(&a, 404, SPAN("x"), &config);
    assert_string_equal(a.content_type, "application/json;charset=UTF-8");
    body_close(&a.body);
}

static void test_no_row__three_kinds(void **state)
{
    (void)state;
    static const struct api_row row = {.name = "/v1/console/x"};
    struct answer a;
    answer_no_row(&a, NULL, &naming);
    assert_int_equal(a.status, 501);
    assert_int_equal(a.flags, ANSWER_BARE);
    assert_non_null(strstr(text_of(&a), "\"message\":\"no such api:GET:/nacos/v1/ns/x\""));
    answer_no_row(&a, NULL, &console);
    assert_int_equal(a.status, 404);
    assert_non_null(strstr(text_of(&a), "\"message\":\"No message available\""));
    answer_no_row(&a, &row, &console);
    assert_int_equal(a.status, 500);
    assert_string_equal(text_of(&a), "caused: Request method &#39;PO&lt;T&#39; not supported;");
    answer_no_row(&a, &row, &v2);
    assert_int_equal(a.status, 500);
    assert_string_equal(a.content_type, "application/json");
    assert_string_equal(text_of(&a),
                        "{\"code\":500,\"message\":\"caused: Request method &#39;POST&#39; not "
                        "supported;\",\"data\":null}");
}

static void test_no_row__a_very_long_path_is_cut_in_the_message(void **state)
{
    (void)state;
    char path[2000];
    memset(path, 'a', sizeof(path));
    memcpy(path, "/v1/ns/", 7);
    struct asked asked = {.method = "GET", .path = {path, 700}, .path_below = {path, 700}};
    struct answer a;
    answer_no_row(&a, NULL, &asked);
    assert_true(body_len(&a.body) < 1300);
    body_close(&a.body);
}

static void test_fail__status_comes_from_row_then_nacos_then_code(void **state)
{
    (void)state;
    struct answer a;
    struct fail fail = failure(E_NOT_FOUND, 0, 0, "m");
    answer_fail(&a, API_SHAPE_NAMING1, &fail, 0, &naming);
    assert_int_equal(a.status, 404);
    assert_string_equal(text_of(&a), "m");
    fail = failure(E_NOT_FOUND, 500, 0, "m");
    answer_fail(&a, API_SHAPE_NAMING1, &fail, 0, &naming);
    assert_int_equal(a.status, 500);
    body_close(&a.body);
    answer_fail(&a, API_SHAPE_NAMING1, &fail, 409, &naming);
    assert_int_equal(a.status, 409);
    body_close(&a.body);
    fail = failure(E_NOT_FOUND, 20404, 0, "m");
    answer_fail(&a, API_SHAPE_NAMING1, &fail, 0, &naming);
    assert_int_equal(a.status, 404);
    body_close(&a.body);
}

static void test_fail__v2_code_and_its_text(void **state)
{
    (void)state;
    struct answer a;
    struct fail fail = failure(E_CONFLICT, 0, 20005, "taken");
    answer_fail(&a, API_SHAPE_V2, &fail, 0, &v2);
    assert_int_equal(a.status, 409);
    assert_string_equal(text_of(&a),
                        "{\"code\":20005,\"message\":\"resource conflict\",\"data\":\"taken\"}");
    fail = failure(E_FORBIDDEN, 0, 0, "no");
    answer_fail(&a, API_SHAPE_V2, &fail, 0, &v2);
    assert_string_equal(text_of(&a),
                        "{\"code\":10001,\"message\":\"access denied\",\"data\":\"no\"}");
    fail = failure(E_INTERNAL, 0, 0, "boom");
    answer_fail(&a, API_SHAPE_V2, &fail, 0, &v2);
    assert_string_equal(text_of(&a),
                        "{\"code\":30000,\"message\":\"server error\",\"data\":\"boom\"}");
}

static void test_fail__param_check(void **state)
{
    (void)state;
    struct answer a;
    struct fail fail = failure(E_PARAM, 0, 0, "Param 'ip' is illegal");
    answer_fail(&a, API_SHAPE_V2, &fail, 0, &v2);
    assert_int_equal(a.status, 400);
    assert_null(a.content_type);
    assert_int_equal(a.flags, ANSWER_BARE | ANSWER_NO_STORE);
    assert_string_equal(text_of(&a), "Param 'ip' is illegal\r\n");
    answer_fail(&a, API_SHAPE_TEXT, &fail, 0, &config);
    assert_string_equal(a.content_type, "application/json;charset=UTF-8");
    body_close(&a.body);
}

static void test_reply__type_is_the_rows_or_by_the_body(void **state)
{
    (void)state;
    struct answer a;
    struct api_reply reply = {0};
    body_add_buf(&reply.body, buf_create(SPAN("[1]")));
    answer_reply(&a, API_SHAPE_NAMING1, &reply, &naming);
    assert_int_equal(reply.body.parts, 0);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.content_type, "application/json");
    assert_string_equal(text_of(&a), "[1]");
    body_add_buf(&reply.body, buf_create(SPAN("ok")));
    answer_reply(&a, API_SHAPE_NAMING1, &reply, &naming);
    assert_string_equal(a.content_type, "text/plain;charset=UTF-8");
    body_close(&a.body);
    body_add_buf(&reply.body, buf_create(SPAN("{}")));
    answer_reply(&a, API_SHAPE_V2, &reply, &naming);
    assert_string_equal(a.content_type, "application/json");
    body_close(&a.body);
    body_add_buf(&reply.body, buf_create(SPAN("ok"))); /* PATCH of v2 */
    answer_reply(&a, API_SHAPE_V2, &reply, &naming);
    assert_string_equal(a.content_type, "text/plain;charset=UTF-8");
    reply = (struct api_reply){.content_type = "x/y", .http_status = 201, .body = a.body};
    answer_reply(&a, API_SHAPE_NAMING1, &reply, &naming);
    assert_string_equal(a.content_type, "x/y");
    assert_int_equal(a.status, 201);
    body_close(&a.body);
    reply = (struct api_reply){0};
    answer_reply(&a, API_SHAPE_NAMING1, &reply, &naming);
    assert_null(a.content_type);
}

static void test_reply__failed__drops_the_body(void **state)
{
    (void)state;
    struct answer a;
    struct api_reply reply = {.fail = failure(E_INVALID, 0, 0, "bad")};
    body_add_buf(&reply.body, buf_create(SPAN("half")));
    answer_reply(&a, API_SHAPE_NAMING1, &reply, &naming);
    assert_int_equal(reply.body.parts, 0);
    assert_string_equal(text_of(&a), "bad");
}

static void test_not_ready__nacos_words(void **state)
{
    (void)state;
    struct answer a;
    answer_not_ready(&a);
    assert_int_equal(a.status, 503);
    assert_null(a.content_type);
    assert_string_equal(text_of(&a), "server is STARTINGnow, please try again later!");
}

static void test_reason__known_and_unknown(void **state)
{
    (void)state;
    assert_string_equal(answer_reason(404), "Not Found");
    assert_string_equal(answer_reason(299), "Unknown Status");
}

static void test_text__is_plain(void **state)
{
    (void)state;
    struct answer a;
    answer_text(&a, 400, SPAN("x"));
    assert_string_equal(a.content_type, "text/plain;charset=UTF-8");
    assert_string_equal(text_of(&a), "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container__keys_in_springs_order),
        cmocka_unit_test(test_container__below_config__has_a_charset),
        cmocka_unit_test(test_no_row__three_kinds),
        cmocka_unit_test(test_no_row__a_very_long_path_is_cut_in_the_message),
        cmocka_unit_test(test_fail__status_comes_from_row_then_nacos_then_code),
        cmocka_unit_test(test_fail__v2_code_and_its_text),
        cmocka_unit_test(test_fail__param_check),
        cmocka_unit_test(test_reply__type_is_the_rows_or_by_the_body),
        cmocka_unit_test(test_reply__failed__drops_the_body),
        cmocka_unit_test(test_not_ready__nacos_words),
        cmocka_unit_test(test_reason__known_and_unknown),
        cmocka_unit_test(test_text__is_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
