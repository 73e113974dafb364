#include "view/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../base/expect_abort.h"
#include "base/mem.h"
#include "base/thread.h"

struct number {
    struct view_value value; /* first: a view_value is a number */
    uint64_t n;
    uint64_t check; /* ~n: a reader sees a destroyed or half-made value */
};

static atomic_uint alive;

static void number_destroy(struct view_value *v)
{
    struct number *number = CONTAINER_OF(v, struct number, value);
    number->check = number->n;
    atomic_fetch_sub(&alive, 1);
    mem_free(number);
}

static struct view_value *number_create(uint64_t n)
{
    struct number *number = mem_zalloc(1, sizeof *number);
    atomic_init(&number->value.refs, 1);
    number->value.destroy = number_destroy;
    number->n = n;
    number->check = ~n;
    atomic_fetch_add(&alive, 1);
    return &number->value;
}

static uint64_t number_of(const struct view_value *v)
{
    const struct number *number = (const struct number *)(const void *)v;
    assert_true(number->check == ~number->n);
    return number->n;
}

static void test_view_take__no_such_key__is_none_with_the_clocks_stamp(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = (struct view_value *)v;
    int64_t stamp = 0;
    assert_int_equal(view_take(v, SPAN("a"), 77, &value, &stamp), VIEW_NONE);
    assert_null(value);
    assert_int_equal(stamp, 77);
    assert_int_equal(view_stamp(v, SPAN("a"), 78), 78);
    assert_int_equal(view_count(v), 0);
    /* A key from outside may be longer than any that exists. */
    static char key[VIEW_KEY_MAX + 1];
    assert_int_equal(view_take(v, span_of(key, sizeof key), 77, &value, &stamp), VIEW_NONE);
    assert_int_equal(view_take(v, (struct span){0}, 77, &value, &stamp), VIEW_NONE);
    view_destroy(v);
}

static void test_view_publish__is_taken_until_replaced(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *first = NULL;
    struct view_value *second = NULL;
    int64_t stamp = 0;
    view_publish(v, SPAN("a"), 1, number_create(1));
    assert_int_equal(view_take(v, SPAN("a"), 2, &first, &stamp), VIEW_FRESH);
    view_publish(v, SPAN("a"), 3, number_create(2));
    assert_int_equal(view_take(v, SPAN("a"), 4, &second, &stamp), VIEW_FRESH);
    assert_int_equal(number_of(first), 1);
    assert_int_equal(number_of(second), 2);
    assert_int_equal(view_count(v), 1);
    view_value_unref(first);
    assert_int_equal(atomic_load(&alive), 1);
    view_destroy(v);
    /* A reference outlives the view. */
    assert_int_equal(number_of(second), 2);
    view_value_unref(second);
    view_value_unref(NULL);
    assert_int_equal(atomic_load(&alive), 0);
}

static void test_view_spoil__next_take_is_stale_and_the_old_value_goes(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    view_publish(v, SPAN("a"), 1, number_create(1));
    view_spoil(v, SPAN("a"));
    assert_int_equal(atomic_load(&alive), 0);
    assert_int_equal(view_take(v, SPAN("a"), 2, &value, &stamp), VIEW_STALE);
    assert_null(value);
    view_spoil(v, SPAN("a"));
    view_publish(v, SPAN("a"), 3, number_create(2));
    assert_int_equal(view_take(v, SPAN("a"), 4, &value, &stamp), VIEW_FRESH);
    assert_int_equal(number_of(value), 2);
    view_value_unref(value);
    view_destroy(v);
}

static void test_view_spoil__absent_key__is_created_stale(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    view_spoil(v, SPAN("new"));
    assert_int_equal(view_count(v), 1);
    assert_int_equal(view_take(v, SPAN("new"), 2, &value, &stamp), VIEW_STALE);
    view_destroy(v);
}

static void test_view_remove__forgets_key_and_value(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    view_remove(v, SPAN("a"));
    view_publish(v, SPAN("a"), 1, number_create(1));
    view_spoil(v, SPAN("b"));
    view_remove(v, SPAN("a"));
    view_remove(v, SPAN("b"));
    assert_int_equal(atomic_load(&alive), 0);
    assert_int_equal(view_count(v), 0);
    assert_int_equal(view_take(v, SPAN("a"), 9, &value, &stamp), VIEW_NONE);
    view_destroy(v);
}

static void test_view_stamp__strictly_grows_whatever_the_clock_does(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    assert_int_equal(view_publish(v, SPAN("a"), 100, number_create(1)), 100);
    assert_int_equal(view_take(v, SPAN("a"), 100, &value, &stamp), VIEW_FRESH);
    view_value_unref(value);
    assert_int_equal(stamp, 101);
    assert_int_equal(view_stamp(v, SPAN("a"), 50), 102);
    view_spoil(v, SPAN("a"));
    assert_int_equal(view_stamp(v, SPAN("a"), 50), 103);
    assert_int_equal(view_publish(v, SPAN("a"), 50, number_create(2)), 104);
    assert_int_equal(view_stamp(v, SPAN("a"), 1000), 1000);
    /* Each key has its own. */
    assert_int_equal(view_publish(v, SPAN("b"), 100, number_create(1)), 100);
    view_destroy(v);
}

/* Clients drop what has a smaller stamp than they have seen, also of a key that was not there. */
static void test_view_stamp__of_a_key_that_comes_or_goes__never_falls(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    assert_int_equal(view_take(v, SPAN("a"), 6000, &value, &stamp), VIEW_NONE);
    assert_int_equal(stamp, 6000);
    /* The clock is put back. */
    assert_int_equal(view_take(v, SPAN("a"), 1000, &value, &stamp), VIEW_NONE);
    assert_int_equal(stamp, 6000);
    assert_int_equal(view_stamp(v, SPAN("a"), 1001), 6000);
    assert_int_equal(view_publish(v, SPAN("a"), 1002, number_create(1)), 6001);
    assert_int_equal(view_publish(v, SPAN("a"), 9000, number_create(2)), 9000);
    view_remove(v, SPAN("a"));
    assert_int_equal(view_take(v, SPAN("a"), 1003, &value, &stamp), VIEW_NONE);
    assert_int_equal(stamp, 9000);
    view_spoil(v, SPAN("a"));
    assert_int_equal(view_publish(v, SPAN("a"), 1004, number_create(3)), 9001);
    view_destroy(v);
}

static void test_view_take__many_in_one_millisecond__do_not_leave_the_clock(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    int64_t first = view_publish(v, SPAN("a"), 100, number_create(1));
    for (unsigned i = 0; i < 5 * VIEW_STAMP_LEAD_MAX_MS; i++) {
        assert_int_equal(view_take(v, SPAN("a"), 100, &value, &stamp), VIEW_FRESH);
        view_value_unref(value);
    }
    assert_int_equal(stamp, first + VIEW_STAMP_LEAD_MAX_MS);
    /* A newer value still carries a greater one. */
    assert_true(view_publish(v, SPAN("a"), 100, number_create(2)) > stamp);
    view_destroy(v);
}

static void test_view__keys_are_bytes_and_copied(void **state)
{
    (void)state;
    struct view *v = view_create();
    struct view_value *value = NULL;
    int64_t stamp = 0;
    char key[VIEW_KEY_MAX] = "a";
    view_publish(v, span_of(key, 2), 1, number_create(1));
    view_publish(v, span_of(key, 1), 1, number_create(2));
    view_publish(v, (struct span){0}, 1, number_create(3));
    view_publish(v, span_of(key, sizeof key), 1, number_create(4));
    assert_int_equal(view_count(v), 4);
    key[0] = 'x';
    assert_int_equal(view_take(v, span_of("a\0", 2), 2, &value, &stamp), VIEW_FRESH);
    assert_int_equal(number_of(value), 1);
    view_value_unref(value);
    assert_int_equal(view_take(v, (struct span){0}, 2, &value, &stamp), VIEW_FRESH);
    assert_int_equal(number_of(value), 3);
    view_value_unref(value);
    view_destroy(v);
}

static void test_view__many_keys__each_finds_its_own(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct view *v = view_create();
    char key[16];
    for (unsigned i = 0; i < COUNT; i++) {
        int len = snprintf(key, sizeof key, "k%u", i);
        view_publish(v, span_of(key, (size_t)len), 1, number_create(i));
    }
    assert_int_equal(view_count(v), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        struct view_value *value = NULL;
        int64_t stamp = 0;
        int len = snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(view_take(v, span_of(key, (size_t)len), 2, &value, &stamp), VIEW_FRESH);
        assert_int_equal(number_of(value), i);
        view_value_unref(value);
    }
    view_destroy(v);
    assert_int_equal(atomic_load(&alive), 0);
}

#define READERS 3
#define KEYS 8
#define ROUNDS 4000

static struct view *shared;
static atomic_bool is_done;

/* Values of a key only grow, and so do stamps; a value of before never carries a stamp of after. */
static void *read_all(void *arg)
{
    uint64_t *ret_takes = arg;
    uint64_t last[KEYS] = {0};
    int64_t last_stamp[KEYS] = {0};
    while (!atomic_load(&is_done)) {
        for (unsigned k = 0; k < KEYS; k++) {
            char key = (char)('a' + k);
            struct view_value *value = NULL;
            int64_t stamp = 0;
            if (view_take(shared, span_of(&key, 1), 1, &value, &stamp) != VIEW_FRESH) {
                continue;
            }
            uint64_t n = number_of(value);
            assert_true(n >= last[k]);
            assert_true(n > last[k] ? stamp > last_stamp[k] : stamp >= last_stamp[k]);
            last[k] = n;
            last_stamp[k] = stamp;
            view_value_unref(value);
            (*ret_takes)++;
        }
    }
    return NULL;
}

static void test_view__readers_and_a_writer__see_whole_values_in_order(void **state)
{
    (void)state;
    shared = view_create();
    pthread_t threads[READERS];
    uint64_t takes[READERS] = {0};
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(thread_start(&threads[i], read_all, &takes[i]), 0);
    }
    for (uint64_t n = 1; n <= ROUNDS; n++) {
        for (unsigned k = 0; k < KEYS; k++) {
            char key = (char)('a' + k);
            if (n % 7 == k) {
                view_spoil(shared, span_of(&key, 1));
            }
            view_publish(shared, span_of(&key, 1), 1, number_create(n));
        }
    }
    atomic_store(&is_done, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    view_destroy(shared);
    assert_int_equal(atomic_load(&alive), 0);
}

static void publish_off_core(void)
{
    struct view *v = view_create();
    thread_become(THREAD_RPC, "rpc-0");
    view_publish(v, SPAN("a"), 1, number_create(1));
}

static void key_too_long(void)
{
    struct view *v = view_create();
    static char key[VIEW_KEY_MAX + 1];
    view_spoil(v, span_of(key, sizeof key));
}

static void test_view__our_own_mistakes__abort(void **state)
{
    (void)state;
    assert_true(aborts(publish_off_core));
    assert_true(aborts(key_too_long));
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_take__no_such_key__is_none_with_the_clocks_stamp),
        cmocka_unit_test(test_view_publish__is_taken_until_replaced),
        cmocka_unit_test(test_view_spoil__next_take_is_stale_and_the_old_value_goes),
        cmocka_unit_test(test_view_spoil__absent_key__is_created_stale),
        cmocka_unit_test(test_view_remove__forgets_key_and_value),
        cmocka_unit_test(test_view_stamp__strictly_grows_whatever_the_clock_does),
        cmocka_unit_test(test_view_stamp__of_a_key_that_comes_or_goes__never_falls),
        cmocka_unit_test(test_view_take__many_in_one_millisecond__do_not_leave_the_clock),
        cmocka_unit_test(test_view__keys_are_bytes_and_copied),
        cmocka_unit_test(test_view__many_keys__each_finds_its_own),
        cmocka_unit_test(test_view__readers_and_a_writer__see_whole_values_in_order),
        cmocka_unit_test(test_view__our_own_mistakes__abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
