#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_err__each_row__has_name_text_codes(void **state)
{
    (void)state;
#define X(name, value, text, nacos, http)                                                          \
    assert_int_equal(name, value);                                                                 \
    assert_string_equal(err_name(name), #name);                                                    \
    assert_string_equal(err_text(name), text);                                                     \
    assert_int_equal(err_nacos(name), nacos);                                                      \
    assert_int_equal(err_http(name), http);
    ERR_MAP(X)
#undef X
}

static void test_err__zero__is_success(void **state)
{
    (void)state;
    assert_int_equal(err_nacos(0), 0);
    assert_int_equal(err_http(0), 200);
}

static void test_err__outside_the_table__is_a_server_error(void **state)
{
    (void)state;
    const int outside[] = {1, 500, -1000, -2147483647 - 1, 2147483647};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        assert_string_equal(err_name(outside[i]), "E_UNKNOWN");
        assert_string_equal(err_text(outside[i]), "unknown error");
        assert_int_equal(err_nacos(outside[i]), 500);
        assert_int_equal(err_http(outside[i]), 500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__each_row__has_name_text_codes),
        cmocka_unit_test(test_err__zero__is_success),
        cmocka_unit_test(test_err__outside_the_table__is_a_server_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
