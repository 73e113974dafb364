#include "bench/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

/* grpc-sdk.md 8.5 B01: what a Java client sends, header included. */
static void test_build__is_the_payload_that_java_sends(void **state)
{
    (void)state;
    static const char hex[] = "0000000047"
                              "121f1a12536572766572436865636b526571756573744209"
                              "3132372e302e302e31" /* differs from B01 by the address only */;
    struct frame f = {0};
    frame_build(&f, "ServerCheckRequest", SPAN("{\"headers\":{},\"module\":\"internal\"}"), NULL);
    char got[2 * 64 + 1];
    for (unsigned i = 0; i < 38; i++) {
        (void)snprintf(got + (size_t)2 * i, 3, "%02x", (unsigned char)f.data[i]);
    }
    assert_memory_equal(got, hex, 76);
    assert_int_equal(f.len, 5 + 0x47);
    frame_close(&f);
}

static void test_build__round_trip_with_header(void **state)
{
    (void)state;
    struct frame f = {0};
    struct frame copy = {0};
    struct span message = {0};
    struct frame_view view = {0};
    struct fail fail = {0};
    frame_build(&f, "X", SPAN("{}"), "app");
    frame_copy(&copy, &f);
    frame_close(&f);
    assert_int_equal(frame_message(frame_span(&copy), &message, &fail), 0);
    assert_int_equal(frame_view_open(message, &view, &fail), 0);
    assert_true(span_eq(view.type, SPAN("X")));
    assert_true(span_eq(view.body, SPAN("{}")));
    assert_non_null(memmem(copy.data, copy.len, "app", 3));
    frame_view_close(&view);
    frame_close(&copy);
}

static void test_patch__overwrites_ten_digits(void **state)
{
    (void)state;
    struct frame f = {0};
    frame_build(&f, "X", SPAN("{\"n\":\"0000000000\"}"), NULL);
    size_t at = frame_find(&f, SPAN("\"n\":\""));
    frame_patch(&f, at, 1234567890123);
    assert_memory_equal(f.data + at, "4567890123\"", 11);
    frame_patch(&f, at, 7);
    assert_memory_equal(f.data + at, "0000000007\"", 11);
    frame_close(&f);
}

static void test_message__bad_prefixes_are_refused(void **state)
{
    (void)state;
    struct span message = {0};
    struct fail fail = {0};
    assert_int_equal(frame_message(span_of("\0\0\0\0", 4), &message, &fail), E_PARSE);
    assert_int_equal(frame_message(span_of("\1\0\0\0\0", 5), &message, &fail), E_PARSE);
    assert_non_null(strstr(fail_text(&fail), "compressed"));
    assert_int_equal(frame_message(span_of("\0\0\0\0\2x", 6), &message, &fail), E_PARSE);
    assert_int_equal(frame_message(span_of("\0\0\0\0\1xy", 7), &message, &fail), E_PARSE);
    assert_int_equal(frame_message(span_of("\0\0\0\0\0", 5), &message, &fail), 0);
    assert_int_equal(message.len, 0);
}

static void test_view__garbage_is_refused_and_empty_is_not(void **state)
{
    (void)state;
    struct frame_view view = {0};
    struct fail fail = {0};
    assert_int_equal(frame_view_open(SPAN("garbage"), &view, &fail), E_PARSE);
    assert_int_equal(frame_view_open((struct span){0}, &view, &fail), 0);
    assert_int_equal(view.type.len, 0);
    assert_int_equal(view.body.len, 0);
    frame_view_close(&view);
}

static void test_expect__says_what_came_instead(void **state)
{
    (void)state;
    struct fail fail = {0};
    const struct span ok = SPAN("\"resultCode\":200");
    assert_int_equal(frame_expect(SPAN("..{\"resultCode\":200,\"x\":1}"), ok, &fail), 0);
    assert_int_equal(frame_expect(SPAN("anything"), (struct span){0}, &fail), 0);
    assert_int_equal(
        frame_expect(
            SPAN("{\"resultCode\":500,\"errorCode\":301,\"message\":\"Connection is \\\"x\\\".\"}"),
            ok, &fail),
        E_INTERNAL);
    assert_string_equal(fail_text(&fail),
                        "resultCode 500, errorCode 301: Connection is \\\"x\\\".");
    assert_int_equal(frame_expect(SPAN("\x01nothing known"), ok, &fail), E_INTERNAL);
    assert_string_equal(fail_text(&fail), "unexpected reply of 14 bytes: .nothing known");
    assert_int_equal(frame_expect(SPAN("{\"resultCode\":200}"), SPAN("hosts"), &fail), E_INTERNAL);
    assert_string_equal(fail_text(&fail), "unexpected reply of 18 bytes: {\"resultCode\":200}");
}

/* Cut in the middle of what is shown: nothing behind the end may be read. */
static void test_expect__cut_replies(void **state)
{
    (void)state;
    struct fail fail = {0};
    const char *text = "{\"resultCode\":500,\"message\":\"abc\\";
    for (size_t len = 0; len <= strlen(text); len++) {
        char *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, text, len);
        assert_int_equal(frame_expect(span_of(exact, len), SPAN("\"resultCode\":200"), &fail),
                         E_INTERNAL);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build__is_the_payload_that_java_sends),
        cmocka_unit_test(test_build__round_trip_with_header),
        cmocka_unit_test(test_patch__overwrites_ten_digits),
        cmocka_unit_test(test_message__bad_prefixes_are_refused),
        cmocka_unit_test(test_view__garbage_is_refused_and_empty_is_not),
        cmocka_unit_test(test_expect__says_what_came_instead),
        cmocka_unit_test(test_expect__cut_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
