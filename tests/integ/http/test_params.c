/* Where parameters come from, in which order, and how they are decoded (http-api.md 1.1). */
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

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

/* Ask the echo row; the reply's body must hold expected. */
static void expect(void **state, const char *line, const char *headers, const char *body,
                   const char *expected)
{
    struct reply r = ask_with(*state, line, headers, body);
    assert_int_equal(r.status, 200);
    if (!strstr(r.body, expected)) {
        fail_msg("%s\n  answered %s\n  wanted   %s", line, r.body, expected);
    }
    reply_close(&r);
}

static void test_query__in_its_order(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo?a=1&b=2&a=3", "", NULL,
           "{\"params\":[\"a\",\"1\",\"b\",\"2\",\"a\",\"3\"],\"body\":\"\"");
}

static void test_form__comes_after_the_query(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < 4; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%s /nacos/v1/ns/echo?a=query", methods[i]);
        expect(state, line, FORM, "a=form&b=form",
               "\"params\":[\"a\",\"query\",\"a\",\"form\",\"b\",\"form\"],\"body\":\"\"");
    }
}

static void test_form__content_type_with_charset_or_in_capitals(void **state)
{
    expect(state, "POST /nacos/v1/ns/echo",
           "Content-Type: Application/X-WWW-Form-Urlencoded;charset=GBK\r\n", "a=%E4%BD%A0",
           "\"params\":[\"a\",\"你\"]");
}

static void test_form__of_get__is_no_parameter(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo?a=1", FORM, "b=2",
           "\"params\":[\"a\",\"1\"],\"body\":\"\"");
}

static void test_form__chunked(void **state)
{
    struct reply r = ask(*state, "PUT /nacos/v1/ns/echo?q=0 HTTP/1.1\r\nHost: x\r\n" FORM
                                 "Transfer-Encoding: chunked\r\n\r\n"
                                 "3\r\na=1\r\n4\r\n2&b=\r\n1\r\n3\r\n0\r\n\r\n");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "[\"q\",\"0\",\"a\",\"12\",\"b\",\"3\"]"));
    reply_close(&r);
}

static void test_odd_content_type__query_counts_and_the_body_is_raw(void **state)
{
    expect(state, "POST /nacos/v1/ns/echo?a=1", "Content-Type: application/json\r\n", "{\"b\":2}",
           "\"params\":[\"a\",\"1\"],\"body\":\"{\\\"b\\\":2}\"");
    expect(state, "POST /nacos/v1/ns/echo?a=1", "Content-Type: text/plain\r\n", "",
           "\"params\":[\"a\",\"1\"],\"body\":\"\"");
    expect(state, "POST /nacos/v1/ns/echo?a=1", "", "b=2",
           "\"params\":[\"a\",\"1\"],\"body\":\"b=2\"");
}

static void test_multipart__fields_follow_the_query_and_a_file_is_kept(void **state)
{
    struct reply r = ask_with(*state, "POST /nacos/v1/ns/echo?a=1",
                              "Content-Type: multipart/form-data; boundary=x\r\n",
                              "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n"
                              "--x\r\nContent-Disposition: form-data; name=\"file\"; "
                              "filename=\"c.zip\"\r\n\r\nPK\r\n--x--\r\n");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"params\":[\"a\",\"1\",\"a\",\"2\"],\"body\":\"\","
                                   "\"file_name\":\"c.zip\",\"file\":\"PK\""));
    reply_close(&r);
}

static void test_multipart__broken__is_a_400_with_the_reason(void **state)
{
    struct reply r = ask_with(*state, "POST /nacos/v1/ns/echo",
                              "Content-Type: multipart/form-data; boundary=x\r\n", "--x\r\nab");
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "the headers of part 1 do not end"));
    reply_close(&r);
    r = ask_with(*state, "POST /nacos/v1/ns/echo", "Content-Type: multipart/form-data\r\n",
                 "--x--");
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body, "names no boundary"));
    reply_close(&r);
}

static void test_decoding__percent_plus_and_utf8(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo?n%61me=a+b%2Bc%20d&x=%E4%BD%A0%e5%a5%bd", "", NULL,
           "[\"name\",\"a b+c d\",\"x\",\"你好\"]");
    expect(state, "GET /nacos/v1/ns/echo?json=%7B%22a%22%3A%5B1%5D%7D&eq=a=b=c", "", NULL,
           "[\"json\",\"{\\\"a\\\":[1]}\",\"eq\",\"a=b=c\"]");
}

static void test_decoding__wrong_utf8__becomes_replacement_characters(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo?a=%FFx%C3", "", NULL,
           "[\"a\",\"\xEF\xBF\xBDx\xEF\xBF\xBD\"]");
}

static void test_decoding__broken_percent__loses_that_parameter_only(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo?a=1&b=%zz&c=%4&d=2&e=%", "", NULL,
           "[\"a\",\"1\",\"d\",\"2\"]");
}

static void test_odd_pieces__empty_names_are_skipped_empty_values_kept(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo?&&a&=x&b=&&c=1&", "", NULL,
           "[\"a\",\"\",\"b\",\"\",\"c\",\"1\"]");
    expect(state, "GET /nacos/v1/ns/echo?", "", NULL, "\"params\":[]");
}

static void test_caller__address_app_and_agent(void **state)
{
    expect(state, "GET /nacos/v1/ns/echo", "User-Agent: curl/8\r\nApp: shop\r\n", NULL,
           "\"ip\":\"127.0.0.1\",\"port\":true,\"app\":\"shop\",\"agent\":\"curl/8\"");
    expect(state, "GET /nacos/v1/ns/echo",
           "User-Agent: curl/8\r\nClient-Version: Nacos-Java-Client:v1.4.1\r\n", NULL,
           "\"agent\":\"Nacos-Java-Client:v1.4.1\"");
}

/* a=&a=&... n times. */
static struct reply ask_many(void **state, int n)
{
    char *line = calloc(1, (size_t)n * 3 + 64);
    char *at = line + sprintf(line, "GET /nacos/v1/ns/echo?");
    for (int i = 0; i < n; i++) {
        at += sprintf(at, "a=&");
    }
    struct reply r = ask_with(*state, line, "", NULL);
    free(line);
    return r;
}

static void test_too_many_parameters__are_refused(void **state)
{
    struct reply r = ask_many(state, 256);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    r = ask_many(state, 257);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "more than 256 parameters");
    reply_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query__in_its_order),
        cmocka_unit_test(test_form__comes_after_the_query),
        cmocka_unit_test(test_form__content_type_with_charset_or_in_capitals),
        cmocka_unit_test(test_form__of_get__is_no_parameter),
        cmocka_unit_test(test_form__chunked),
        cmocka_unit_test(test_odd_content_type__query_counts_and_the_body_is_raw),
        cmocka_unit_test(test_multipart__fields_follow_the_query_and_a_file_is_kept),
        cmocka_unit_test(test_multipart__broken__is_a_400_with_the_reason),
        cmocka_unit_test(test_decoding__percent_plus_and_utf8),
        cmocka_unit_test(test_decoding__wrong_utf8__becomes_replacement_characters),
        cmocka_unit_test(test_decoding__broken_percent__loses_that_parameter_only),
        cmocka_unit_test(test_odd_pieces__empty_names_are_skipped_empty_values_kept),
        cmocka_unit_test(test_caller__address_app_and_agent),
        cmocka_unit_test(test_too_many_parameters__are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
