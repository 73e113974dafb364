#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "base/err.h"
#include "expect_abort.h"

struct seen {
    enum thread_kind kind_before;
    enum thread_kind kind;
    char name[16];
    int is_blocked;
};

static void *look(void *arg)
{
    struct seen *seen = arg;
    seen->kind_before = thread_kind();
    thread_become(THREAD_RPC, "rpc-0-with-a-long-name");
    seen->kind = thread_kind();
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->is_blocked =
        sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT) && sigismember(&mask, SIGUSR1);
    return NULL;
}

static void test_thread_start__new_thread__blocks_all_signals(void **state)
{
    (void)state;
    struct seen seen = {0};
    pthread_t thread;
    assert_int_equal(thread_start(&thread, look, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(seen.is_blocked);
    /* The starter's mask is as before. */
    sigset_t mask;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_false(sigismember(&mask, SIGTERM));
}

static void test_thread_start__system_refuses__is_a_limit(void **state)
{
    (void)state;
    pthread_attr_t attr;
    size_t before = 0;
    assert_int_equal(pthread_getattr_default_np(&attr), 0);
    assert_int_equal(pthread_attr_getstacksize(&attr, &before), 0);
    /* No address space has room for this stack. */
    assert_int_equal(pthread_attr_setstacksize(&attr, (size_t)1 << 50), 0);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    pthread_t thread;
    int err = thread_start(&thread, look, &(struct seen){0});
    assert_int_equal(pthread_attr_setstacksize(&attr, before), 0);
    assert_int_equal(pthread_setattr_default_np(&attr), 0);
    assert_int_equal(pthread_attr_destroy(&attr), 0);
    assert_int_equal(err, E_LIMIT);
}

static void test_thread_become__kind_is_the_threads_own(void **state)
{
    (void)state;
    thread_become(THREAD_CORE, "core");
    struct seen seen = {0};
    pthread_t thread;
    assert_int_equal(thread_start(&thread, look, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(seen.kind_before, THREAD_NONE);
    assert_int_equal(seen.kind, THREAD_RPC);
    assert_string_equal(seen.name, "rpc-0-with-a-lo");
    assert_int_equal(thread_kind(), THREAD_CORE);
}

static void on_core(void)
{
    thread_become(THREAD_CORE, "core");
    ASSERT_ON(THREAD_CORE);
}

static void on_another(void)
{
    thread_become(THREAD_CORE, "core");
    ASSERT_ON(THREAD_DB);
}

static void test_assert_on__another_kind__aborts(void **state)
{
    (void)state;
    assert_false(aborts(on_core));
    assert_true(aborts(on_another));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_start__new_thread__blocks_all_signals),
        cmocka_unit_test(test_thread_start__system_refuses__is_a_limit),
        cmocka_unit_test(test_thread_become__kind_is_the_threads_own),
        cmocka_unit_test(test_assert_on__another_kind__aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
