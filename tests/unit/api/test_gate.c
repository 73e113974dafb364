#include "api/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"

static unsigned asked;
static bool is_kept;

static bool keep(void *self, struct api_call *take_call, struct now now)
{
    (void)self;
    (void)take_call;
    (void)now;
    asked++;
    return is_kept;
}

static struct now at(uint64_t ms)
{
    return (struct now){.mono_ms = ms};
}

static void test_gate__nobody_else_writes__all_passes(void **state)
{
    (void)state;
    assert_true(read_gate_is_fresh(NULL, at(UINT64_MAX)));
    assert_true(read_gate_is_safe(NULL, UINT64_MAX));
}

static void test_gate__new__lets_nothing_pass(void **state)
{
    (void)state;
    struct read_gate g = {.keep = keep};
    assert_false(read_gate_is_fresh(&g, at(0)));
    assert_false(read_gate_is_safe(&g, 1));
    assert_true(read_gate_is_safe(&g, 0));
}

static void test_gate__is_fresh_until_and_safe_up_to(void **state)
{
    (void)state;
    struct read_gate g = {.keep = keep};
    read_gate_set(&g, 1000, 7);
    assert_true(read_gate_is_fresh(&g, at(999)));
    assert_false(read_gate_is_fresh(&g, at(1000)));
    assert_true(read_gate_is_safe(&g, 7));
    assert_false(read_gate_is_safe(&g, 8));
    read_gate_set(&g, 0, 7); /* a lease that is dropped */
    assert_false(read_gate_is_fresh(&g, at(1)));
}

static void test_look__says_whether_anybody_read_since(void **state)
{
    (void)state;
    struct read_gate g = {.keep = keep};
    assert_false(read_gate_look(&g));
    (void)read_gate_is_fresh(&g, at(1));
    (void)read_gate_is_safe(&g, 1);
    assert_true(read_gate_look(&g));
    assert_false(read_gate_look(&g));
}

static void test_holds__asks_the_owner_only_when_it_must(void **state)
{
    (void)state;
    struct read_gate g = {.keep = keep};
    struct api_call call = {0};
    asked = 0;
    is_kept = true;
    read_gate_set(&g, 1000, 7);
    assert_false(read_gate_holds(&g, &call, 7, at(999)));
    assert_int_equal(asked, 0);
    assert_int_equal(g.marked, 0);
    assert_true(read_gate_holds(&g, &call, 7, at(1000)));
    assert_int_equal(asked, 1);
    is_kept = false; /* there is no place, or no hope */
    assert_false(read_gate_holds(&g, &call, 7, at(1000)));
    call.is_as_it_is = true;
    assert_false(read_gate_holds(&g, &call, 8, at(1000)));
    assert_int_equal(asked, 2);
    assert_int_equal(g.marked, 0);
}

static void test_holds__not_safe__the_answer_waits_and_not_the_call(void **state)
{
    (void)state;
    struct read_gate g = {.keep = keep};
    struct api_call call = {0};
    asked = 0;
    read_gate_set(&g, 1000, 7);
    assert_false(read_gate_holds(&g, &call, 8, at(999)));
    assert_int_equal(call.gate_index, 8);
    assert_int_equal(g.marked, 1);
    read_gate_set(&g, 1000, 8);
    assert_false(read_gate_holds(&g, &call, 8, at(999)));
    assert_int_equal(call.gate_index, 0);
    assert_int_equal(asked, 0);
}

int main(void)
{
    thread_become(THREAD_CORE, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate__nobody_else_writes__all_passes),
        cmocka_unit_test(test_gate__new__lets_nothing_pass),
        cmocka_unit_test(test_gate__is_fresh_until_and_safe_up_to),
        cmocka_unit_test(test_look__says_whether_anybody_read_since),
        cmocka_unit_test(test_holds__not_safe__the_answer_waits_and_not_the_call),
        cmocka_unit_test(test_holds__asks_the_owner_only_when_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
