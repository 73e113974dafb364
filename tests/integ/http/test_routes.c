/* Which path and method meets what (http-api.md 1.1 to 1.3, 8.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

static int setup(void **state)
{
    *state = rig_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    rig_stop(*state);
    return 0;
}

static void expect(const struct rig *rig, const char *line, int status, const char *part)
{
    struct reply r = ask_with(rig, line, "", NULL);
    if (r.status != status || !r.body || !strstr(r.body, part)) {
        fail_msg("%s\n  answered %d %s\n  wanted   %d %s", line, r.status, r.body, status, part);
    }
    reply_close(&r);
}

static void test_row__with_and_without_a_trailing_slash(void **state)
{
    expect(*state, "GET /nacos/v1/ns/echo", 200, "params");
    expect(*state, "GET /nacos/v1/ns/echo/?a=1", 200, "\"a\",\"1\"");
    expect(*state, "GET /nacos/v1/ns/ec%68o", 200, "params");
    expect(*state, "GET /nacos/v1/ns/echo;jsessionid=1?a=1", 200, "\"a\",\"1\"");
    expect(*state, "GET http://some.host:8848/nacos/v1/ns/echo?a=1", 200, "\"a\",\"1\"");
    expect(*state, "GET /nacos/v1/ns/echo//", 501, "no such api");
}

static void test_core_row__is_answered_by_the_core(void **state)
{
    expect(*state, "PUT /nacos/v1/ns/core?a=1", 200, "ok");
}

static void test_unknown_path__is_the_containers_404(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v9/none?a=1", "", NULL);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
    assert_non_null(reply_header(&r, "Vary"));
    assert_non_null(reply_header(&r, "Content-Security-Policy"));
    assert_non_null(strstr(r.body, "{\"timestamp\":\"20"));
    assert_non_null(strstr(r.body,
                           ",\"status\":404,\"error\":\"Not Found\",\"message\":\"No message "
                           "available\",\"path\":\"/nacos/v9/none\"}"));
    reply_close(&r);
    expect(*state, "GET /", 404, "\"path\":\"/\"");
    expect(*state, "GET /nacosx/v1/ns/echo", 404, "\"path\":\"/nacosx/v1/ns/echo\"");
    expect(*state, "POST /nacos/", 404, "\"path\":\"/nacos/\"");
}

static void test_unknown_path__for_a_browser__is_a_page(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/<b>", "Accept: text/html,*/*\r\n", NULL);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_header(&r, "Content-Type"), "text/html;charset=UTF-8");
    assert_null(strstr(r.body, "<b>"));
    reply_close(&r);
}

static void test_below_v1_cs__the_containers_json_has_a_charset(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/cs/none", "", NULL);
    assert_int_equal(r.status, 404);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json;charset=UTF-8");
    reply_close(&r);
}

static void test_below_v1_ns__no_row_is_501_with_method_and_path(void **state)
{
    struct reply r = ask_with(*state, "POST /nacos/v1/ns/nothing?x=1", "", "");
    assert_int_equal(r.status, 501);
    assert_null(reply_header(&r, "Vary"));
    assert_null(reply_header(&r, "Content-Security-Policy"));
    assert_non_null(strstr(r.body,
                           "\"error\":\"Not Implemented\",\"message\":\"no such api:POST:/nacos/"
                           "v1/ns/nothing\",\"path\":\"/nacos/v1/ns/nothing\"}"));
    reply_close(&r);
    expect(*state, "DELETE /nacos/v1/ns/core", 501, "no such api:DELETE:/nacos/v1/ns/core");
    expect(*state, "BREW /nacos/v1/ns/core", 501, "no such api:BREW:/nacos/v1/ns/core");
    expect(*state, "OPTIONS /nacos/v1/ns/core", 501, "no such api:OPTIONS:");
}

static void test_wrong_method__elsewhere(void **state)
{
    expect(*state, "POST /nacos/v1/console/open", 500,
           "caused: Request method &#39;POST&#39; not supported;");
    expect(*state, "POST /nacos/v2/fail", 500,
           "{\"code\":500,\"message\":\"caused: Request method &#39;POST&#39; not "
           "supported;\",\"data\":null}");
    expect(*state, "BREW /nacos/v1/console/open", 500, "Request method &#39;BREW&#39; not");
}

static void test_head__where_get_is__but_501_below_v1_ns(void **state)
{
    struct reply r = ask_with(*state, "HEAD /nacos/v1/console/open", "", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Length"), "2");
    assert_int_equal(r.body_len, 0);
    reply_close(&r);
    r = ask_with(*state, "HEAD /nacos/v1/ns/echo", "", NULL);
    assert_int_equal(r.status, 501);
    reply_close(&r);
    r = ask_with(*state, "HEAD /nacos/", "", NULL);
    assert_int_equal(r.status, 200);
    reply_close(&r);
}

static void test_options__preflight_allows_what_is_asked(void **state)
{
    struct reply r = ask_with(*state, "OPTIONS /nacos/v1/ns/core",
                              "Origin: http://a.example\r\nAccess-Control-Request-Method: POST\r\n"
                              "Access-Control-Request-Headers: x-a, x-b\r\n",
                              NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin"), "http://a.example");
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Credentials"), "true");
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Methods"), "POST");
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Headers"), "x-a, x-b");
    assert_string_equal(reply_header(&r, "Access-Control-Max-Age"), "18000");
    assert_null(reply_header(&r, "Content-Security-Policy"));
    reply_close(&r);
}

static void test_options__preflight_below_v1_cs__has_the_preset_type(void **state)
{
    struct reply r = ask_with(*state, "OPTIONS /nacos/v1/cs/own",
                              "Origin: http://a\r\nAccess-Control-Request-Method: GET\r\n", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json;charset=UTF-8");
    reply_close(&r);
}

static void test_options__without_a_preflight__names_the_methods(void **state)
{
    struct reply r = ask_with(*state, "OPTIONS /nacos/v1/console/open", "", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Allow"), "GET,HEAD,OPTIONS");
    reply_close(&r);
}

static void test_origin__gets_the_cors_headers_of_an_answer(void **state)
{
    struct reply r =
        ask_with(*state, "GET /nacos/v1/ns/echo", "Origin: http://a.example\r\n", NULL);
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin"), "http://a.example");
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Credentials"), "true");
    assert_null(reply_header(&r, "Access-Control-Max-Age"));
    reply_close(&r);
}

static void test_every_answer__has_vary_and_the_policy(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/ns/echo", "", NULL);
    assert_string_equal(reply_header(&r, "Vary"),
                        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
    assert_string_equal(reply_header(&r, "Content-Security-Policy"), "script-src 'self'");
    assert_null(reply_header(&r, "Access-Control-Allow-Origin"));
    reply_close(&r);
}

static void test_page__context_leads_to_it(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos", "", NULL);
    assert_int_equal(r.status, 302);
    assert_string_equal(reply_header(&r, "Location"), "/nacos/");
    reply_close(&r);
    r = ask_with(*state, "GET /nacos/", "", NULL);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Type"), "text/html;charset=UTF-8");
    assert_string_equal(reply_header(&r, "Cache-Control"), "no-cache");
    assert_non_null(strstr(r.body, "<title>"));
    reply_close(&r);
    expect(*state, "GET /nacos/index.html", 200, "<title>");
}

static void test_context__may_be_empty(void **state)
{
    (void)state;
    const struct rig_options options = {.context = "/"};
    struct rig *rig = rig_start(&options);
    expect(rig, "GET /v1/ns/echo?a=1", 200, "\"a\",\"1\"");
    expect(rig, "GET /", 200, "<title>");
    expect(rig, "GET /nacos/v1/ns/echo", 404, "No message available");
    rig_stop(rig);
}

static void test_not_ready__naming_answers_503_and_the_rest_works(void **state)
{
    (void)state;
    const struct rig_options options = {.not_ready = true};
    struct rig *rig = rig_start(&options);
    struct reply r = ask_with(rig, "GET /nacos/v1/ns/echo", "", NULL);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "server is STARTINGnow, please try again later!");
    assert_null(reply_header(&r, "Content-Type"));
    reply_close(&r);
    expect(rig, "POST /nacos/v2/ns/instance", 503, "server is STARTINGnow");
    expect(rig, "GET /nacos/v1/ns/none", 503, "server is STARTINGnow");
    expect(rig, "GET /nacos/v1/console/open", 200, "OK");
    rig_stop(rig);
}

static void test_admin__is_never_open(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/admin", "", NULL);
    assert_int_equal(r.status, 403);
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
    assert_null(reply_header(&r, "Vary"));
    assert_non_null(strstr(r.body, "\"status\":403,\"error\":\"Forbidden\",\"message\":"));
    reply_close(&r);
}

static int forbid_reads(void *self, const struct api_call *call, struct fail *fail)
{
    (void)self;
    if (call->row->permission == API_NAMING_READ) {
        return fail_set(fail, E_FORBIDDEN, "user not found!");
    }
    return 0;
}

static void test_permit__decides_for_every_row_that_is_not_open(void **state)
{
    (void)state;
    const struct rig_options options = {.permit = forbid_reads};
    struct rig *rig = rig_start(&options);
    expect(rig, "GET /nacos/v1/ns/echo", 403, "\"message\":\"user not found!\"");
    expect(rig, "GET /nacos/v1/admin", 200, "OK");
    expect(rig, "GET /nacos/v1/console/open", 200, "OK");
    rig_stop(rig);
}

static void test_variant__its_shape_and_permission_count(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/cs/own?as=v2", "", NULL);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "\"data\":\"it's\""));
    reply_close(&r);
    expect(*state, "GET /nacos/v1/cs/own?as=admin", 403, "administration is not open");
    expect(*state, "GET /nacos/v1/cs/own?as=other", 200, "own");
}

static void test_bad_path__is_400(void **state)
{
    expect(*state, "GET /nacos/%zz", 400, "broken %-sequence");
    expect(*state, "GET /nacos/%00", 400, "broken %-sequence");
    expect(*state, "GET nacos", 400, "no path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row__with_and_without_a_trailing_slash),
        cmocka_unit_test(test_core_row__is_answered_by_the_core),
        cmocka_unit_test(test_unknown_path__is_the_containers_404),
        cmocka_unit_test(test_unknown_path__for_a_browser__is_a_page),
        cmocka_unit_test(test_below_v1_cs__the_containers_json_has_a_charset),
        cmocka_unit_test(test_below_v1_ns__no_row_is_501_with_method_and_path),
        cmocka_unit_test(test_wrong_method__elsewhere),
        cmocka_unit_test(test_head__where_get_is__but_501_below_v1_ns),
        cmocka_unit_test(test_options__preflight_allows_what_is_asked),
        cmocka_unit_test(test_options__preflight_below_v1_cs__has_the_preset_type),
        cmocka_unit_test(test_options__without_a_preflight__names_the_methods),
        cmocka_unit_test(test_origin__gets_the_cors_headers_of_an_answer),
        cmocka_unit_test(test_every_answer__has_vary_and_the_policy),
        cmocka_unit_test(test_page__context_leads_to_it),
        cmocka_unit_test(test_context__may_be_empty),
        cmocka_unit_test(test_not_ready__naming_answers_503_and_the_rest_works),
        cmocka_unit_test(test_admin__is_never_open),
        cmocka_unit_test(test_permit__decides_for_every_row_that_is_not_open),
        cmocka_unit_test(test_variant__its_shape_and_permission_count),
        cmocka_unit_test(test_bad_path__is_400),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
