#include "bench/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_append__grows_and_keeps_what_was_there(void **state)
{
    (void)state;
    struct bytes b = {0};
    for (unsigned i = 0; i < 1000; i++) {
        bytes_append(&b, "abc", 3);
    }
    assert_int_equal(b.len, 3000);
    assert_memory_equal(b.data, "abcabc", 6);
    assert_memory_equal(b.data + 2997, "abc", 3);
    assert_true(span_eq(span_of(b.data, b.len), bytes_span(&b)));
    bytes_close(&b);
    assert_null(b.data);
}

static void test_append__nothing_allocates_nothing(void **state)
{
    (void)state;
    struct bytes b = {0};
    bytes_append(&b, NULL, 0);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    bytes_close(&b);
}

static void test_drop__moves_the_rest_to_the_front(void **state)
{
    (void)state;
    struct bytes b = {0};
    bytes_append(&b, "hello", 5);
    bytes_drop(&b, 2);
    assert_true(span_eq(bytes_span(&b), SPAN("llo")));
    bytes_drop(&b, 3);
    assert_int_equal(b.len, 0);
    bytes_close(&b);
}

static void test_clear__keeps_the_memory(void **state)
{
    (void)state;
    struct bytes b = {0};
    bytes_append(&b, "hello", 5);
    const char *data = b.data;
    bytes_clear(&b);
    bytes_append(&b, "x", 1);
    assert_ptr_equal(b.data, data);
    assert_int_equal(b.len, 1);
    bytes_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append__grows_and_keeps_what_was_there),
        cmocka_unit_test(test_append__nothing_allocates_nothing),
        cmocka_unit_test(test_drop__moves_the_rest_to_the_front),
        cmocka_unit_test(test_clear__keeps_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
