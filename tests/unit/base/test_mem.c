#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expect_abort.h"

static void test_mem_alloc__size_0__is_a_valid_pointer(void **state)
{
    (void)state;
    void *a = mem_alloc(0);
    void *b = mem_zalloc(0, 8);
    void *c = mem_realloc(NULL, 0, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    c = mem_realloc(c, 0, 0);
    assert_non_null(c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}

static void test_mem_zalloc__is_zero(void **state)
{
    (void)state;
    unsigned char *p = mem_zalloc(100, 3);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(p[i], 0);
    }
    mem_free(p);
}

static void test_mem_realloc__keeps_the_bytes(void **state)
{
    (void)state;
    char *p = mem_realloc(NULL, 4, 1);
    memcpy(p, "abc", 4);
    p = mem_realloc(p, 1000, 1);
    assert_string_equal(p, "abc");
    mem_free(p);
}

static void test_mem_strndup__adds_the_nul(void **state)
{
    (void)state;
    char *p = mem_strndup("abcdef", 3);
    assert_string_equal(p, "abc");
    mem_free(p);
    p = mem_strndup(NULL, 0);
    assert_string_equal(p, "");
    mem_free(p);
}

static void zalloc_overflow(void)
{
    mem_free(mem_zalloc(SIZE_MAX / 2, 3));
}

static void realloc_overflow(void)
{
    mem_free(mem_realloc(NULL, SIZE_MAX / 2, 3));
}

static void test_mem__overflow__aborts(void **state)
{
    (void)state;
    assert_true(aborts(zalloc_overflow));
    assert_true(aborts(realloc_overflow));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_alloc__size_0__is_a_valid_pointer),
        cmocka_unit_test(test_mem_zalloc__is_zero),
        cmocka_unit_test(test_mem_realloc__keeps_the_bytes),
        cmocka_unit_test(test_mem_strndup__adds_the_nul),
        cmocka_unit_test(test_mem__overflow__aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
