/* How answers and failures look on the wire (http-api.md 1.1, 1.3, 1.6). */
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

static void expect(void **state, const char *path, int status, const char *type, const char *body)
{
    char line[256];
    snprintf(line, sizeof(line), "GET /nacos%s", path);
    struct reply r = ask_with(*state, line, "", NULL);
    assert_string_equal(r.body, body);
    assert_int_equal(r.status, status);
    const char *got = reply_header(&r, "Content-Type");
    assert_string_equal(got ? got : "none", type);
    reply_close(&r);
}

#define TEXT "text/plain;charset=UTF-8"
#define JSON "application/json"

static void test_naming1__bare_text_with_the_codes_status(void **state)
{
    expect(state, "/v1/ns/fail?code=-3&text=no+matched+ip+found!", 404, TEXT,
           "no matched ip found!");
    expect(state, "/v1/ns/fail?code=-2&text=a%3Cb", 400, TEXT, "a<b");
    expect(state, "/v1/ns/fail?code=-2&text=x&nacos=500", 500, TEXT, "x");
    expect(state, "/v1/ns/fail?code=-2&text=x&nacos=21001", 400, TEXT, "x");
    expect(state, "/v1/ns/fail?code=-2&text=x&http=418", 418, TEXT, "x");
    expect(state, "/v1/ns/fail?code=-5&text=", 503, TEXT, "a limit is reached");
}

static void test_naming1__an_internal_failure_is_caused(void **state)
{
    expect(state, "/v1/ns/fail?code=-14&text=boom", 500, TEXT, "caused: boom;");
}

static void test_decode_failure__has_the_same_shape(void **state)
{
    expect(state, "/v1/ns/fail?code=x", 400, TEXT, "For input string: \"x\"");
    expect(
        state, "/v2/fail?code=x", 400, JSON,
        "{\"code\":30000,\"message\":\"server error\",\"data\":\"For input string: \\\"x\\\"\"}");
}

static void test_console__caused_and_escaped(void **state)
{
    expect(state, "/v1/console/fail?code=-2&text=%3C'%22%26%3E", 400, TEXT,
           "caused: &lt;&#39;&quot;&amp;&gt;;");
    expect(state, "/v1/console/fail?code=-2&http=500&text=x", 500, TEXT, "caused: x;");
}

static void test_below_v1_cs__only_500_is_escaped(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/cs/fail?code=-2&text=it's", "", NULL);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "caused: it's;");
    assert_string_equal(reply_header(&r, "Content-Type"), "text/plain;charset=UTF-8");
    reply_close(&r);
    r = ask_with(*state, "GET /nacos/v1/cs/fail?code=-16&nacos=500&text=it's", "", NULL);
    assert_int_equal(r.status, 500);
    assert_string_equal(r.body, "caused: it&#39;s;");
    reply_close(&r);
}

static void test_v2__code_abstract_and_detail(void **state)
{
    expect(state, "/v2/fail?code=-3&v2=21003&text=gone", 404, JSON,
           "{\"code\":21003,\"message\":\"instance not found\",\"data\":\"gone\"}");
    expect(state, "/v2/fail?code=-2&text=x", 400, JSON,
           "{\"code\":30000,\"message\":\"server error\",\"data\":\"x\"}");
    expect(state, "/v2/fail?code=-16&text=x", 400, JSON,
           "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"x\"}");
}

static void test_param_check__is_bare_text_and_not_cached(void **state)
{
    static const char *const paths[] = {"/v1/ns/fail", "/v2/fail", "/v1/console/fail"};
    for (size_t i = 0; i < 3; i++) {
        char line[128];
        snprintf(line, sizeof(line), "GET /nacos%s?code=-20&text=Param", paths[i]);
        struct reply r = ask_with(*state, line, "", NULL);
        assert_int_equal(r.status, 400);
        assert_string_equal(r.body, "Param\r\n");
        assert_null(reply_header(&r, "Content-Type"));
        assert_null(reply_header(&r, "Vary"));
        assert_string_equal(reply_header(&r, "Pragma"), "no-cache");
        assert_string_equal(reply_header(&r, "Expires"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_string_equal(reply_header(&r, "Cache-Control"), "no-cache,no-store");
        reply_close(&r);
    }
}

static void test_text_for_a_browser__stays_text(void **state)
{
    struct reply r = ask_with(*state, "GET /nacos/v1/ns/fail?code=-2&text=<script>x</script>",
                              "Accept: text/html\r\n", NULL);
    assert_int_equal(r.status, 400);
    assert_string_equal(reply_header(&r, "Content-Type"), TEXT);
    reply_close(&r);
}

static void test_types__by_what_the_body_is(void **state)
{
    expect(state, "/v1/console/open", 200, TEXT, "OK");
    struct reply r = ask_with(*state, "GET /nacos/v1/ns/echo", "", NULL);
    assert_string_equal(reply_header(&r, "Content-Type"), JSON);
    reply_close(&r);
}

static void check_parts(void **state, size_t n)
{
    char line[64];
    snprintf(line, sizeof(line), "GET /nacos/v1/ns/parts?n=%zu", n);
    struct reply r = ask_with(*state, line, "", NULL);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 3 * n);
    for (size_t i = 0; i < 3 * n; i++) {
        if (r.body[i] != (char)('a' + (int)(i / n))) {
            fail_msg("byte %zu of 3 * %zu is %c", i, n, r.body[i]);
        }
    }
    reply_close(&r);
}

static void test_body_of_slices__arrives_whole(void **state)
{
    check_parts(state, 1);
    check_parts(state, 1000);
    check_parts(state, 3 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naming1__bare_text_with_the_codes_status),
        cmocka_unit_test(test_naming1__an_internal_failure_is_caused),
        cmocka_unit_test(test_decode_failure__has_the_same_shape),
        cmocka_unit_test(test_console__caused_and_escaped),
        cmocka_unit_test(test_below_v1_cs__only_500_is_escaped),
        cmocka_unit_test(test_v2__code_abstract_and_detail),
        cmocka_unit_test(test_param_check__is_bare_text_and_not_cached),
        cmocka_unit_test(test_text_for_a_browser__stays_text),
        cmocka_unit_test(test_types__by_what_the_body_is),
        cmocka_unit_test(test_body_of_slices__arrives_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
