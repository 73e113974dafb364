#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/batch.h"

static void test_add__many_operations__keeps_each_cookie_beside_its_operation(void **state)
{
    (void)state;
    struct batch b = {0};
    static char cookies[200];
    for (size_t i = 0; i < sizeof cookies; i++) {
        batch_add(&b, 1, span_of((const char *)&i, sizeof i), &cookies[i]);
    }
    struct entry_reader reader = {0};
    assert_int_equal(entry_open(entry_bytes(&b.entry), &reader, NULL), 0);
    unsigned kind = 0;
    struct span op = {0};
    for (size_t i = 0; entry_next(&reader, &kind, &op); i++) {
        assert_memory_equal(op.data, &i, sizeof i);
        assert_ptr_equal(b.cookies[i], &cookies[i]);
    }
    batch_close(&b);
}

static void test_reset__large_entry__gives_memory_back(void **state)
{
    (void)state;
    struct batch b = {0};
    static const char big[10000];
    batch_add(&b, 1, span_of(big, sizeof big), NULL);
    batch_reset(&b, 100);
    assert_int_equal(b.entry.cap, 0);
    assert_int_equal(b.entry.count, 0);
    batch_close(&b);
    assert_null(b.cookies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add__many_operations__keeps_each_cookie_beside_its_operation),
        cmocka_unit_test(test_reset__large_entry__gives_memory_back),
    };
    return cmocka_run_group_tests_name("consensus.batch", tests, NULL, NULL);
}
