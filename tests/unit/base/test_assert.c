#include "base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expect_abort.h"

static void false_assert(void)
{
    ASSERT(1 + 1 == 3);
}

static void true_assert(void)
{
    ASSERT(1 + 1 == 2);
    DASSERT(1 + 1 == 2);
}

static void long_assert(void)
{
    char what[2000];
    memset(what, 'x', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    assert_fail("file.c", 1, what);
}

static void test_assert__false__aborts(void **state)
{
    (void)state;
    assert_true(aborts(false_assert));
}

static void test_assert__true__goes_on(void **state)
{
    (void)state;
    assert_false(aborts(true_assert));
}

static void test_assert__text_longer_than_its_line__still_aborts(void **state)
{
    (void)state;
    assert_true(aborts(long_assert));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assert__false__aborts),
        cmocka_unit_test(test_assert__true__goes_on),
        cmocka_unit_test(test_assert__text_longer_than_its_line__still_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
