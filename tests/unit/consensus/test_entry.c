#include "consensus/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../base/expect_abort.h"
#include "base/mem.h"

static void check_next(struct entry_reader *r, unsigned kind, struct span op)
{
    unsigned got_kind = 0;
    struct span got = {0};
    assert_true(entry_next(r, &got_kind, &got));
    assert_int_equal(got_kind, kind);
    assert_true(span_eq(got, op));
}

static void check_end(struct entry_reader *r)
{
    unsigned kind = 0;
    struct span op = {0};
    assert_false(entry_next(r, &kind, &op));
}

static void test_entry__what_was_written_is_read(void **state)
{
    (void)state;
    struct entry_writer w = {0};
    struct entry_reader r;
    entry_add(&w, 1, SPAN("first"));
    entry_add(&w, 255, (struct span){0});
    entry_add(&w, 2, SPAN("\0\xFF"));
    assert_int_equal(entry_open(entry_bytes(&w), &r, NULL), 0);
    check_next(&r, 1, SPAN("first"));
    check_next(&r, 255, SPAN(""));
    check_next(&r, 2, SPAN("\0\xFF"));
    check_end(&r);
    entry_close(&w);
}

static void test_entry__format_is_fixed(void **state)
{
    (void)state;
    struct entry_writer w = {0};
    entry_add(&w, 2, SPAN("ab"));
    assert_true(span_eq(entry_bytes(&w), SPAN("\x01\x01\0\0\0\x02\x02\0\0\0ab")));
    entry_close(&w);
}

static void test_entry__empty__is_an_entry(void **state)
{
    (void)state;
    struct entry_writer w = {0};
    struct entry_reader r;
    assert_int_equal(entry_open(entry_bytes(&w), &r, NULL), 0);
    check_end(&r);
    entry_close(&w);
}

static void test_entry_reset__keeps_or_gives_back_memory(void **state)
{
    (void)state;
    struct entry_writer w = {0};
    struct entry_reader r;
    static char large[100000];
    entry_add(&w, 1, SPAN("x"));
    entry_reset(&w, 50000);
    assert_non_null(w.data);
    entry_add(&w, 1, span_of(large, sizeof large));
    entry_reset(&w, 50000);
    assert_null(w.data);
    entry_add(&w, 3, SPAN("y"));
    assert_int_equal(entry_open(entry_bytes(&w), &r, NULL), 0);
    check_next(&r, 3, SPAN("y"));
    check_end(&r);
    entry_close(&w);
}

static void check_refused(struct span bytes, const char *why)
{
    struct entry_reader r;
    struct fail fail = {0};
    /* A copy of exactly that size, so that AddressSanitizer sees a read behind it. */
    char *copy = mem_alloc(bytes.len);
    memcpy(copy, bytes.data, bytes.len);
    assert_int_equal(entry_open(span_of(copy, bytes.len), &r, &fail), E_PARSE);
    assert_non_null(strstr(fail_text(&fail), why));
    mem_free(copy);
}

static void test_entry_open__every_cut__is_refused(void **state)
{
    (void)state;
    struct entry_writer w = {0};
    entry_add(&w, 1, SPAN("first"));
    entry_add(&w, 2, SPAN("second"));
    struct span whole = entry_bytes(&w);
    for (size_t len = 0; len < whole.len; len++) {
        check_refused(span_of(whole.data, len), "log entry");
    }
    entry_close(&w);
}

static void test_entry_open__broken_bytes__are_refused(void **state)
{
    (void)state;
    check_refused(SPAN("\x02\0\0\0\0"), "version 2, expected 1");
    check_refused(SPAN("\x01\0\0\0\0x"), "1 bytes after");
    check_refused(SPAN("\x01\x01\0\0\0\0\0\0\0\0"), "operation 1 of 1");
    check_refused(SPAN("\x01\x01\0\0\0\x01\xFF\xFF\xFF\xFFx"), "operation 1 of 1");
    check_refused(SPAN("\x01\xFF\xFF\xFF\xFF\x01\0\0\0\0"), "operation 2 of 4294967295");
}

static void kind_0(void)
{
    struct entry_writer w = {0};
    entry_add(&w, 0, SPAN("x"));
}

static void kind_too_large(void)
{
    struct entry_writer w = {0};
    entry_add(&w, 256, SPAN("x"));
}

static void test_entry_add__kind_outside_a_byte__aborts(void **state)
{
    (void)state;
    assert_true(aborts(kind_0));
    assert_true(aborts(kind_too_large));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry__what_was_written_is_read),
        cmocka_unit_test(test_entry__format_is_fixed),
        cmocka_unit_test(test_entry__empty__is_an_entry),
        cmocka_unit_test(test_entry_reset__keeps_or_gives_back_memory),
        cmocka_unit_test(test_entry_open__every_cut__is_refused),
        cmocka_unit_test(test_entry_open__broken_bytes__are_refused),
        cmocka_unit_test(test_entry_add__kind_outside_a_byte__aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
