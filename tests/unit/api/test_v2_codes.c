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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__of_known_codes),
        cmocka_unit_test(test_text__of_unknown_codes__is_server_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
