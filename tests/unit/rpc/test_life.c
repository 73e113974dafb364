#include "rpc/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"

#define ROUNDS 2000

static void test_wait__nobody__returns_at_once(void **state)
{
    (void)state;
    struct life l;
    life_init(&l);
    assert_true(life_wait(&l, 0));
    life_close(&l);
}

static void test_wait__held__runs_out(void **state)
{
    (void)state;
    struct life l;
    life_init(&l);
    life_enter(&l);
    life_enter(&l);
    life_leave(&l);
    assert_false(life_wait(&l, 20));
    life_leave(&l);
    assert_true(life_wait(&l, 0));
    life_close(&l);
}

static void *leave_later(void *arg)
{
    struct life *l = arg;
    for (int i = 0; i < ROUNDS; i++) {
        life_enter(l);
        life_leave(l);
    }
    life_leave(l);
    return NULL;
}

/* The last to leave wakes the waiter, and touches nothing afterwards: the struct is gone at once.
 */
static void test_wait__the_last_of_several_threads__wakes_it(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct life *l = malloc(sizeof(*l));
        life_init(l);
        pthread_t threads[3];
        for (size_t i = 0; i < 3; i++) {
            life_enter(l);
            assert_int_equal(thread_start(&threads[i], leave_later, l), 0);
        }
        assert_true(life_wait(l, 10000));
        life_close(l);
        free(l);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait__nobody__returns_at_once),
        cmocka_unit_test(test_wait__held__runs_out),
        cmocka_unit_test(test_wait__the_last_of_several_threads__wakes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
