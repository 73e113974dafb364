#include "store/written.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/thread.h"

#define LONG_MS 20000

static void test_wait__written_already__returns_at_once(void **state)
{
    (void)state;
    struct written w;
    written_init(&w, 7);
    assert_int_equal(written_wanted(&w), 0);
    assert_int_equal(written_wait(&w, 7, LONG_MS, NULL), 0);
    assert_int_equal(written_wait(&w, 3, 0, NULL), 0);
    assert_int_equal(written_wanted(&w), 7);
    written_end(&w);
    assert_int_equal(written_wait(&w, 7, LONG_MS, NULL), 0);
    written_close(&w);
}

static void test_wait__not_in_time__says_where_it_is(void **state)
{
    (void)state;
    struct written w;
    struct fail fail = {0};
    written_init(&w, 7);
    assert_int_equal(written_wait(&w, 8, 1, &fail), E_TIMEOUT);
    assert_string_equal(fail.text, "the tables are at log entry 7 after 1 ms, and not at 8");
    written_set(&w, 8);
    assert_int_equal(written_wait(&w, 8, 0, &fail), 0);
    written_close(&w);
}

struct waiter {
    struct written *w;
    uint64_t index;
    int err;
    pthread_t thread;
};

static void *wait_main(void *arg)
{
    struct waiter *one = arg;
    one->err = written_wait(one->w, one->index, LONG_MS, NULL);
    return NULL;
}

static void start(struct waiter *one, struct written *w, uint64_t index)
{
    *one = (struct waiter){.w = w, .index = index, .err = 1};
    assert_int_equal(thread_start(&one->thread, wait_main, one), 0);
}

static int end(struct waiter *one)
{
    assert_int_equal(pthread_join(one->thread, NULL), 0);
    return one->err;
}

static void test_wait__each_thread__returns_with_its_index(void **state)
{
    (void)state;
    struct written w;
    struct waiter all[4];
    written_init(&w, 0);
    for (unsigned i = 0; i < 4; i++) {
        start(&all[i], &w, i + 1);
    }
    for (unsigned i = 0; i < 3; i++) {
        written_set(&w, i + 1);
        assert_int_equal(end(&all[i]), 0);
    }
    written_end(&w);
    assert_int_equal(end(&all[3]), E_CLOSED);
    written_close(&w);
}

static void test_close__somebody_waits__waits_until_he_is_out(void **state)
{
    (void)state;
    struct written w;
    struct waiter one;
    written_init(&w, 0);
    start(&one, &w, 9);
    while (written_wanted(&w) < 9) {
    }
    written_close(&w);
    assert_int_equal(end(&one), E_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait__written_already__returns_at_once),
        cmocka_unit_test(test_wait__not_in_time__says_where_it_is),
        cmocka_unit_test(test_wait__each_thread__returns_with_its_index),
        cmocka_unit_test(test_close__somebody_waits__waits_until_he_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
