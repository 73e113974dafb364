#include "rpc/absl_locks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grpc/grpc.h>

/* Debian 12's abseil, which the project is built against, has the switch. */
static void test_relax__on_debian_12__finds_the_switch(void **state)
{
    (void)state;
    grpc_init(); /* gRPC brings abseil along */
    assert_true(absl_locks_relax());
    assert_true(absl_locks_relax()); /* again is fine */
    grpc_shutdown_blocking();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relax__on_debian_12__finds_the_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
