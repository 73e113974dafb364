#include "cluster/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GRACE 10000

static struct now at(uint64_t ms)
{
    return (struct now){.mono_ms = ms};
}

static struct owners three(void)
{
    struct owners o = {0};
    for (uint64_t id = 1; id <= 3; id++) {
        assert_true(owners_up(&o, id, 1));
    }
    return o;
}

static void test_lost__only_by_the_leader_and_only_after_the_grace(void **state)
{
    (void)state;
    struct owners o = three();
    struct watch w;
    watch_init(&w, 1, GRACE);
    watch_heard(&w, 2, at(1000));
    assert_null(watch_lost(&w, &o, at(100000))); /* a follower gives nobody up */
    watch_lead(&w, true, at(100000));
    assert_null(watch_lost(&w, &o, at(100000 + GRACE))); /* a new leader has heard nobody yet */
    watch_heard(&w, 3, at(105000));
    const struct owner *lost = watch_lost(&w, &o, at(100001 + GRACE));
    assert_non_null(lost);
    assert_true(lost->id == 2);
    assert_null(watch_lost(&w, &o, at(100002 + GRACE))); /* its end is on its way */
    assert_true(owners_expire(&o, 2, 1));
    lost = watch_lost(&w, &o, at(105001 + GRACE));
    assert_non_null(lost);
    assert_true(lost->id == 3);
}

static void test_lost__not_taken_by_the_log__is_named_again(void **state)
{
    (void)state;
    struct owners o = three();
    struct watch w;
    watch_init(&w, 1, GRACE);
    watch_lead(&w, true, at(1000));
    watch_heard(&w, 3, at(60000));
    assert_non_null(watch_lost(&w, &o, at(50000)));
    assert_null(watch_lost(&w, &o, at(50000 + GRACE)));
    assert_non_null(watch_lost(&w, &o, at(50001 + GRACE)));
}

static void test_lost__itself__never(void **state)
{
    (void)state;
    struct owners o = {0};
    struct watch w;
    assert_true(owners_up(&o, 1, 1));
    watch_init(&w, 1, GRACE);
    watch_lead(&w, true, at(1));
    assert_null(watch_lost(&w, &o, at(1000000)));
}

static void test_lead__again__grants_a_full_period(void **state)
{
    (void)state;
    struct owners o = three();
    struct watch w;
    watch_init(&w, 1, GRACE);
    watch_lead(&w, true, at(1000));
    watch_lead(&w, false, at(2000));
    watch_lead(&w, true, at(90000));
    watch_lead(&w, true, at(95000)); /* still */
    assert_null(watch_lost(&w, &o, at(90000 + GRACE)));
    assert_non_null(watch_lost(&w, &o, at(90001 + GRACE)));
}

static void test_speak__once_a_period(void **state)
{
    (void)state;
    struct watch w;
    watch_init(&w, 1, GRACE);
    assert_true(watch_speak(&w, at(5000)));
    assert_false(watch_speak(&w, at(5999)));
    assert_true(watch_deadline(&w) == 6000);
    assert_true(watch_speak(&w, at(6000)));
}

static void test_silence__is_told_for_people(void **state)
{
    (void)state;
    struct watch w;
    watch_init(&w, 1, GRACE);
    assert_true(watch_silence_ms(&w, 2, at(5000)) == UINT64_MAX);
    watch_heard(&w, 2, at(4000));
    assert_true(watch_silence_ms(&w, 2, at(5000)) == 1000);
    for (uint64_t id = 10; id < 10 + 2 * OWNERS_MAX; id++) {
        watch_heard(&w, id,
                    at(1)); /* more than there can be: forgotten, not written past the end */
    }
    assert_int_equal(w.count, OWNERS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost__only_by_the_leader_and_only_after_the_grace),
        cmocka_unit_test(test_lost__not_taken_by_the_log__is_named_again),
        cmocka_unit_test(test_lost__itself__never),
        cmocka_unit_test(test_lead__again__grants_a_full_period),
        cmocka_unit_test(test_speak__once_a_period),
        cmocka_unit_test(test_silence__is_told_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
