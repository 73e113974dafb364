#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expect_abort.h"

static void test_arena_alloc__is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    for (size_t size = 0; size < 300; size++) {
        unsigned char *p = arena_alloc(&a, size);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(p[i], 0);
            p[i] = 0xFF;
        }
    }
    arena_close(&a);
}

static void test_arena_try__past_max__is_null_and_changes_nothing(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1000);
    assert_null(arena_try(&a, 1001));
    assert_null(arena_try(&a, SIZE_MAX));
    assert_null(arena_try(&a, SIZE_MAX - 15));
    assert_non_null(arena_try(&a, 900));
    assert_null(arena_try(&a, 900));
    assert_non_null(arena_try(&a, 50));
    arena_close(&a);
}

static void test_arena_try__size_0_without_end__is_bounded(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1600);
    unsigned count = 0;
    while (arena_try(&a, 0)) {
        count++;
    }
    assert_int_equal(count, 100);
    arena_close(&a);
}

static void test_arena_close__can_be_used_again(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1000);
    assert_non_null(arena_try(&a, 900));
    arena_close(&a);
    assert_non_null(arena_try(&a, 900));
    arena_close(&a);
    arena_close(&a);
}

static void test_arena_reset__keeps_a_small_block_and_forgets_the_rest(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1u << 20);
    arena_reset(&a);
    char *first = arena_alloc(&a, 100);
    memset(first, 'x', 100);
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    char *again = arena_alloc(&a, 100);
    assert_ptr_equal(again, first);
    assert_int_equal(again[99], 0);
    /* Many blocks: only the newest may stay, and only when it is small. */
    for (int i = 0; i < 1000; i++) {
        assert_non_null(arena_alloc(&a, 200));
    }
    arena_reset(&a);
    assert_null(a.head);
    assert_non_null(arena_alloc(&a, 100000));
    arena_reset(&a);
    assert_null(a.head);
    arena_close(&a);
}

static void test_arena__large_piece__leaves_the_small_block_in_use(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char *first = arena_alloc(&a, 16);
    char *large = arena_alloc(&a, 200000);
    char *second = arena_alloc(&a, 16);
    assert_ptr_equal(second, first + 16);
    memset(large, 'x', 200000);
    arena_close(&a);
    /* A large piece first. */
    large = arena_alloc(&a, 200000);
    memset(large, 'x', 200000);
    assert_non_null(arena_alloc(&a, 16));
    arena_close(&a);
}

static void test_arena_span__is_a_copy_with_nul(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1000);
    char text[] = "abc";
    struct span s = arena_span(&a, span_of(text, 2));
    text[0] = 'x';
    assert_string_equal(s.data, "ab");
    assert_int_equal(s.len, 2);
    s = arena_span(&a, (struct span){0});
    assert_string_equal(s.data, "");
    assert_string_equal(arena_str(&a, SPAN("xyz")), "xyz");
    arena_close(&a);
}

static void test_arena_printf__short_and_long(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    struct span s = arena_printf(&a, "%s@@%s", "g", "s");
    assert_string_equal(s.data, "g@@s");
    assert_int_equal(s.len, 4);
    for (int width = 254; width < 259; width++) {
        s = arena_printf(&a, "%*d", width, 7);
        assert_int_equal(s.len, width);
        assert_int_equal(strlen(s.data), width);
    }
    arena_close(&a);
}

/* What input may fill is full, and still the few pieces of bounded size that a request needs are
 * there. */
static void test_arena_alloc__brim_full_of_input__has_spare_room(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1600);
    while (arena_try(&a, 16)) {
    }
    assert_int_equal(a.used, 1600);
    assert_non_null(arena_alloc(&a, 400));
    assert_int_equal(arena_printf(&a, "%s", "text").len, 4);
    assert_null(arena_try(&a, 1));
    arena_close(&a);
}

static void alloc_past_max(void)
{
    struct arena a;
    arena_init(&a, 100);
    (void)!arena_alloc(&a, 200 + ARENA_SPARE);
}

static void span_past_max(void)
{
    struct arena a;
    arena_init(&a, 100);
    static char text[200 + ARENA_SPARE];
    (void)arena_span(&a, span_of(text, sizeof text));
}

static void test_arena_alloc__past_max__aborts(void **state)
{
    (void)state;
    assert_true(aborts(alloc_past_max));
    assert_true(aborts(span_past_max));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alloc__is_zeroed_and_aligned),
        cmocka_unit_test(test_arena_try__past_max__is_null_and_changes_nothing),
        cmocka_unit_test(test_arena_try__size_0_without_end__is_bounded),
        cmocka_unit_test(test_arena_close__can_be_used_again),
        cmocka_unit_test(test_arena_reset__keeps_a_small_block_and_forgets_the_rest),
        cmocka_unit_test(test_arena__large_piece__leaves_the_small_block_in_use),
        cmocka_unit_test(test_arena_span__is_a_copy_with_nul),
        cmocka_unit_test(test_arena_printf__short_and_long),
        cmocka_unit_test(test_arena_alloc__brim_full_of_input__has_spare_room),
        cmocka_unit_test(test_arena_alloc__past_max__aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
