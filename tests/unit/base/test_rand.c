#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_rand_bytes__fills_every_byte(void **state)
{
    (void)state;
    /* Over the system call's 256-byte promise; a byte that stays 0 in 64 draws was not written. */
    unsigned char seen[600] = {0};
    for (int round = 0; round < 64; round++) {
        unsigned char drawn[sizeof seen];
        rand_bytes(drawn, sizeof drawn);
        for (size_t i = 0; i < sizeof seen; i++) {
            seen[i] |= drawn[i];
        }
    }
    for (size_t i = 0; i < sizeof seen; i++) {
        assert_int_not_equal(seen[i], 0);
    }
    rand_bytes(NULL, 0);
}

static void test_rand_u64__differs(void **state)
{
    (void)state;
    uint64_t a = rand_u64();
    uint64_t b = rand_u64();
    assert_true(a != b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rand_bytes__fills_every_byte),
        cmocka_unit_test(test_rand_u64__differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
