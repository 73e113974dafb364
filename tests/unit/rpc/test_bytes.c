#include "rpc/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grpc/byte_buffer.h>

#include "base/mem.h"
#include "wire/payload.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    grpc_init();
    arena_init(&arena, 1u << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_close(&arena);
    grpc_shutdown_blocking();
    return 0;
}

static struct buf *letters(char c, size_t len)
{
    char *text = mem_alloc(len);
    memset(text, c, len);
    return buf_take(text, len);
}

/* Two parts of a and b letters, the second with an offset of one. */
static struct body two_parts(size_t a, size_t b)
{
    struct body body = {0};
    body_add_buf(&body, letters('a', a));
    body_add(&body, letters('b', b + 1), 1, b);
    return body;
}

/* What the client would decode. */
static void expect(grpc_byte_buffer *buffer, const char *type, size_t a, size_t b)
{
    struct span bytes = {0};
    struct payload p = {0};
    assert_int_equal(bytes_flatten(buffer, &arena, &bytes, NULL), 0);
    assert_int_equal(payload_decode(bytes, &arena, &p, NULL), 0);
    assert_true(span_eq(p.type, span_str(type)));
    assert_int_equal(p.headers_count, 0);
    assert_int_equal(p.body.len, a + b);
    for (size_t i = 0; i < p.body.len; i++) {
        assert_int_equal(p.body.data[i], i < a ? 'a' : 'b');
    }
}

static void test_pack__small__is_one_slice(void **state)
{
    (void)state;
    struct body body = two_parts(10, 20);
    grpc_byte_buffer *buffer = bytes_pack("XResponse", &body);
    assert_int_equal(body.parts, 0);
    assert_int_equal(buffer->data.raw.slice_buffer.count, 1);
    expect(buffer, "XResponse", 10, 20);
    grpc_byte_buffer_destroy(buffer);
}

static void test_pack__large__shares_the_bytes(void **state)
{
    (void)state;
    struct buf *shared = letters('a', 100000);
    struct body body = {0};
    body_add_buf(&body, buf_ref(shared));
    body_add_buf(&body, letters('b', 7));
    grpc_byte_buffer *buffer = bytes_pack("XResponse", &body);
    assert_int_equal(buffer->data.raw.slice_buffer.count, 3);
    assert_ptr_equal(GRPC_SLICE_START_PTR(buffer->data.raw.slice_buffer.slices[1]), shared->data);
    expect(buffer, "XResponse", 100000, 7);
    assert_int_equal(shared->refs, 2);
    grpc_byte_buffer_destroy(buffer);
    assert_int_equal(shared->refs, 1); /* C-core let go of it */
    buf_unref(shared);
}

static void test_pack__empty_body__is_a_payload_without_one(void **state)
{
    (void)state;
    struct body body = {0};
    grpc_byte_buffer *buffer = bytes_pack("XResponse", &body);
    expect(buffer, "XResponse", 0, 0);
    grpc_byte_buffer_destroy(buffer);
}

static void message_many_times(size_t a, size_t b)
{
    struct body body = two_parts(a, b);
    struct message *m = message_create("NotifySubscriberRequest", &body);
    assert_int_equal(body.parts, 0);
    grpc_byte_buffer *one = message_buffer(m);
    grpc_byte_buffer *two = message_buffer(m);
    assert_int_equal(grpc_byte_buffer_length(one), m->len);
    expect(one, "NotifySubscriberRequest", a, b);
    grpc_byte_buffer_destroy(one);
    message_unref(message_ref(m));
    message_unref(m);
    expect(two, "NotifySubscriberRequest", a, b); /* the last one keeps the bytes alive */
    grpc_byte_buffer_destroy(two);
    message_unref(NULL);
}

static void test_message__is_sent_any_number_of_times(void **state)
{
    (void)state;
    message_many_times(10, 20);
    message_many_times(100000, 50000);
}

static void test_flatten__one_slice__is_in_place(void **state)
{
    (void)state;
    grpc_slice slice = grpc_slice_from_copied_string("a text of more than twenty-three bytes");
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    struct span bytes = {0};
    assert_int_equal(bytes_flatten(buffer, &arena, &bytes, NULL), 0);
    assert_ptr_equal(bytes.data, GRPC_SLICE_START_PTR(slice));
    assert_int_equal(arena.used, 0);
    grpc_slice_unref(slice);
    grpc_byte_buffer_destroy(buffer);
}

static void test_flatten__several_slices__are_joined(void **state)
{
    (void)state;
    grpc_slice slices[3] = {grpc_slice_from_copied_string("one "),
                            grpc_slice_from_copied_string(""),
                            grpc_slice_from_copied_string("two and more than is inlined")};
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 3);
    struct span bytes = {0};
    assert_int_equal(bytes_flatten(buffer, &arena, &bytes, NULL), 0);
    assert_true(span_eq(bytes, SPAN("one two and more than is inlined")));
    for (size_t i = 0; i < 3; i++) {
        grpc_slice_unref(slices[i]);
    }
    grpc_byte_buffer_destroy(buffer);
}

static void test_flatten__nothing__is_empty(void **state)
{
    (void)state;
    struct span bytes = SPAN("before");
    assert_int_equal(bytes_flatten(NULL, &arena, &bytes, NULL), 0);
    assert_int_equal(bytes.len, 0);
}

static void test_flatten__more_than_the_arena_holds__is_too_large(void **state)
{
    (void)state;
    grpc_slice slices[2] = {grpc_slice_malloc(1u << 20), grpc_slice_malloc(1u << 20)};
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(slices, 2);
    struct span bytes = {0};
    struct fail fail = {0};
    assert_int_equal(bytes_flatten(buffer, &arena, &bytes, &fail), E_TOO_LARGE);
    assert_non_null(strstr(fail_text(&fail), "2097152"));
    grpc_slice_unref(slices[0]);
    grpc_slice_unref(slices[1]);
    grpc_byte_buffer_destroy(buffer);
}

static void test_flatten__compressed__is_refused(void **state)
{
    (void)state;
    grpc_slice slice = grpc_slice_from_copied_string("zip");
    grpc_byte_buffer *buffer =
        grpc_raw_compressed_byte_buffer_create(&slice, 1, GRPC_COMPRESS_GZIP);
    struct span bytes = {0};
    assert_int_equal(bytes_flatten(buffer, &arena, &bytes, NULL), E_PARSE);
    grpc_slice_unref(slice);
    grpc_byte_buffer_destroy(buffer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pack__small__is_one_slice),
        TEST(test_pack__large__shares_the_bytes),
        TEST(test_pack__empty_body__is_a_payload_without_one),
        TEST(test_message__is_sent_any_number_of_times),
        TEST(test_flatten__one_slice__is_in_place),
        TEST(test_flatten__several_slices__are_joined),
        TEST(test_flatten__nothing__is_empty),
        TEST(test_flatten__more_than_the_arena_holds__is_too_large),
        TEST(test_flatten__compressed__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
