#include "api/v2_codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_text__of_known_codes(void **state)
{
    (void)state;
    assert_string_equal(v2_code_text(0), "success");
    assert_string_equal(v2_code_text(20004), "resource not found");
    assert_string_equal(v2_code_text(20010), "config gray version version over max count");
    assert_string_equal(v2_code_text(V2_NAMESPACE_NOT_EXIST), "namespace not exist");
}

static void test_text__of_unknown_codes__is_server_error(void **state)
{
    (void)state;
    assert_string_equal(v2_code_text(30000), "server error");
    assert_string_equal(v2_code_text(1), "server error");
    assert_string_equal(v2_code_text(-5), "server error");
}

static void expect_text(struct json_out *j, const char *expected)
{
    struct span text = json_text(j);
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
    json_close(j);
}

static void test_v2__is_its_head_and_tail_around_a_value(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    v2_begin(&j);
    json_bool(&j, true);
    v2_end(&j);
    expect_text(&j, V2_HEAD "true" V2_TAIL);
}

static void test_rest__without_a_message__has_null(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    rest_begin(&j, 200, NULL);
    json_array(&j);
    json_array_end(&j);
    rest_end(&j);
    expect_text(&j, "{\"code\":200,\"message\":null,\"data\":[]}");
}

static void test_rest__message__is_escaped(void **state)
{
    (void)state;
    struct json_out j;
    json_init(&j, 0);
    rest_begin(&j, 100005, "a \"b\"");
    json_null(&j);
    rest_end(&j);
    expect_text(&j, "{\"code\":100005,\"message\":\"a \\\"b\\\"\",\"data\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__of_known_codes),
        cmocka_unit_test(test_text__of_unknown_codes__is_server_error),
        cmocka_unit_test(test_v2__is_its_head_and_tail_around_a_value),
        cmocka_unit_test(test_rest__without_a_message__has_null),
        cmocka_unit_test(test_rest__message__is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
