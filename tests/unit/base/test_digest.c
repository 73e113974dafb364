#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 4096

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void all_differ(uint64_t list[COUNT])
{
    qsort(list, COUNT, sizeof(list[0]), by_value);
    for (size_t i = 1; i < COUNT; i++) {
        assert_true(list[i - 1] != list[i]);
    }
}

/* The nodes of a cluster compare them: a value that changes needs a new DIGEST_VERSION
 * (cluster/digests.h). */
static void test_digest__is_the_same_in_every_process(void **state)
{
    (void)state;
    assert_true(digest_bytes(1, SPAN("nacre")) == UINT64_C(0xb7a27dda6eb527e5));
    assert_true(digest_number(1, 2) == UINT64_C(0x860f92d16a5a7f91));
    assert_true(digest_double(1, 0.5) == UINT64_C(0x5d2a053d07efe7c7));
}

static void test_digest_bytes__borders_count(void **state)
{
    (void)state;
    uint64_t one = digest_bytes(digest_bytes(0, SPAN("a")), SPAN("bc"));
    uint64_t two = digest_bytes(digest_bytes(0, SPAN("ab")), SPAN("c"));
    assert_true(one != two);
    assert_true(digest_bytes(0, SPAN("ab")) != digest_bytes(0, SPAN("ba")));
    assert_true(digest_bytes(1, SPAN("a")) != digest_bytes(2, SPAN("a")));
}

static void test_digest_bytes__absent_is_empty(void **state)
{
    (void)state;
    assert_true(digest_bytes(7, (struct span){0}) == digest_bytes(7, SPAN("")));
    assert_true(digest_bytes(7, SPAN("")) != 7);
}

static void test_digest_number__neighbours__differ(void **state)
{
    (void)state;
    static uint64_t list[COUNT];
    for (uint64_t i = 0; i < 64; i++) {
        for (uint64_t k = 0; k < 64; k++) {
            list[i * 64 + k] = digest_number(digest_number(0, i), k);
        }
    }
    all_differ(list);
}

static void test_digest_double__by_bits(void **state)
{
    (void)state;
    assert_true(digest_double(0, 1.0) != digest_double(0, 1.0000000000000002));
    assert_true(digest_double(0, 1.0) == digest_double(0, 0.5 + 0.5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest__is_the_same_in_every_process),
        cmocka_unit_test(test_digest_bytes__borders_count),
        cmocka_unit_test(test_digest_bytes__absent_is_empty),
        cmocka_unit_test(test_digest_number__neighbours__differ),
        cmocka_unit_test(test_digest_double__by_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
