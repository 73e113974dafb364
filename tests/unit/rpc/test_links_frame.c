#include "rpc/links_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <grpc/byte_buffer_reader.h>

#include <peer.pb-c.h>

#include "base/mem.h"
#include "base/rand.h"
#include "rpc/links.h"

static int setup(void **state)
{
    (void)state;
    grpc_init();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    grpc_shutdown_blocking();
    return 0;
}

/* The bytes of a message, in memory of their own; frees the buffer. */
static struct span flatten(grpc_byte_buffer *take_buffer)
{
    grpc_byte_buffer_reader reader;
    assert_int_equal(grpc_byte_buffer_reader_init(&reader, take_buffer), 1);
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    size_t len = GRPC_SLICE_LENGTH(all);
    char *copy = mem_alloc(len);
    memcpy(copy, GRPC_SLICE_START_PTR(all), len);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(take_buffer);
    return span_of(copy, len);
}

static void drop(struct span s)
{
    union {
        const char *read;
        char *write;
    } data = {.read = s.data};
    mem_free(data.write);
}

static struct link_frame *make_frame(unsigned kind, size_t len)
{
    struct body body = {0};
    char *bytes = mem_alloc(len);
    memset(bytes, (int)kind, len);
    if (len > 1) {
        /* In two parts, as bodies come. */
        struct buf *buf = buf_take(bytes, len);
        body_add(&body, buf_ref(buf), 0, len / 2);
        body_add(&body, buf, len / 2, len - len / 2);
    } else {
        body_add_buf(&body, buf_take(bytes, len));
    }
    return link_frame_create(kind, &body);
}

static struct link_frame *make_list(const size_t *lens, size_t count)
{
    struct link_frame *first = NULL;
    for (size_t i = count; i > 0; i--) {
        struct link_frame *f = make_frame((unsigned)(i % 255) + 1, lens[i - 1]);
        f->next = first;
        first = f;
    }
    return first;
}

static void test_frames__written__are_what_protobuf_reads_and_we(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 127, 128, 4096, 4097, 5, 70000, 0, 300};
    struct link_frame *list = make_list(lens, ARRAY_LEN(lens));
    size_t frames = 0;
    size_t bytes = 0;
    struct span all = flatten(link_write_frames(&list, &frames, &bytes));
    assert_null(list);
    assert_int_equal(frames, ARRAY_LEN(lens));
    assert_int_equal(bytes, 1 + 127 + 128 + 4096 + 4097 + 5 + 70000 + 300);
    Nacre__PeerMessage *m = nacre__peer_message__unpack(NULL, all.len, (const uint8_t *)all.data);
    assert_non_null(m);
    assert_null(m->hello);
    assert_int_equal(m->n_frames, ARRAY_LEN(lens));
    assert_int_equal(link_check_frames(all, NULL), 0);
    struct span rest = all;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        unsigned kind = 0;
        struct span body = {0};
        assert_int_equal(link_read_frame(&rest, &kind, &body, NULL), 0);
        assert_int_equal(kind, m->frames[i]->kind);
        assert_int_equal(kind, (i + 1) % 255 + 1);
        assert_int_equal(body.len, lens[i]);
        assert_int_equal(m->frames[i]->body.len, lens[i]);
        if (lens[i] > 0) {
            assert_memory_equal(body.data, m->frames[i]->body.data, lens[i]);
            assert_int_equal((unsigned char)body.data[lens[i] - 1], kind);
        }
    }
    assert_int_equal(rest.len, 0);
    nacre__peer_message__free_unpacked(m, NULL);
    drop(all);
}

static void test_frames__of_protobuf__are_read(void **state)
{
    (void)state;
    uint8_t text[] = "twelve bytes";
    Nacre__PeerFrame frame = NACRE__PEER_FRAME__INIT;
    frame.kind = 200;
    frame.body = (ProtobufCBinaryData){.len = 12, .data = text};
    Nacre__PeerFrame *frames[] = {&frame, &frame};
    Nacre__PeerMessage message = NACRE__PEER_MESSAGE__INIT;
    message.n_frames = 2;
    message.frames = frames;
    uint8_t bytes[128];
    size_t len = nacre__peer_message__pack(&message, bytes);
    struct span rest = span_of((const char *)bytes, len);
    for (int i = 0; i < 2; i++) {
        unsigned kind = 0;
        struct span body = {0};
        assert_int_equal(link_read_frame(&rest, &kind, &body, NULL), 0);
        assert_int_equal(kind, 200);
        assert_true(span_eq(body, SPAN("twelve bytes")));
    }
    assert_int_equal(rest.len, 0);
}

static void test_batch__limits__hold(void **state)
{
    (void)state;
    size_t lens[LINK_BATCH_FRAMES + 10] = {0};
    struct link_frame *list = make_list(lens, ARRAY_LEN(lens));
    size_t frames = 0;
    size_t bytes = 0;
    drop(flatten(link_write_frames(&list, &frames, &bytes)));
    assert_int_equal(frames, LINK_BATCH_FRAMES);
    drop(flatten(link_write_frames(&list, &frames, &bytes)));
    assert_int_equal(frames, 10);
    assert_null(list);
    static const size_t large[] = {10, LINK_BATCH_BYTES, LINK_BATCH_BYTES / 2, LINK_BATCH_BYTES / 2,
                                   1};
    static const size_t expected[] = {1, 1, 2, 1};
    list = make_list(large, ARRAY_LEN(large));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        drop(flatten(link_write_frames(&list, &frames, &bytes)));
        assert_int_equal(frames, expected[i]);
    }
    assert_null(list);
}

/* The most slices that a message can have. */
static void test_batch__all_just_too_large_to_copy__fit(void **state)
{
    (void)state;
    size_t lens[LINK_BATCH_BYTES / LINK_COPY_MAX + 2];
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        lens[i] = LINK_COPY_MAX + 1;
    }
    struct link_frame *list = make_list(lens, ARRAY_LEN(lens));
    size_t frames = 0;
    size_t bytes = 0;
    struct span all = flatten(link_write_frames(&list, &frames, &bytes));
    assert_int_equal(link_check_frames(all, NULL), 0);
    assert_int_equal(frames, LINK_BATCH_BYTES / (LINK_COPY_MAX + 1));
    drop(all);
    link_frames_free(list);
}

static void test_hello__goes_there_and_back(void **state)
{
    (void)state;
    struct link_hello hello = {.version = 7, .life = UINT64_MAX, .number = 1u << 31};
    rand_bytes(hello.id.bytes, NODE_ID_BYTES);
    struct span all = flatten(link_write_hello(&hello));
    struct link_hello got = {0};
    assert_int_equal(link_read_hello(all, &got, NULL), 0);
    assert_int_equal(got.version, 7);
    assert_true(got.life == hello.life && got.number == hello.number);
    assert_true(node_id_eq(&got.id, &hello.id));
    struct fail fail = {0};
    assert_int_equal(link_check_frames(all, &fail), E_PARSE);
    for (size_t len = 0; len < all.len; len++) {
        assert_int_equal(link_read_hello(span_of(all.data, len), &got, &fail), E_PARSE);
        assert_true(fail.text[0] != '\0');
    }
    drop(all);
}

static void test_hello__something_else__is_refused_with_what_was_expected(void **state)
{
    (void)state;
    char long_one[LINK_HELLO_MAX + 1] = {0};
    const struct {
        struct span bytes;
        const char *why;
    } bad[] = {
        {SPAN(""), "expected a hello alone, got none"},
        {SPAN("\x12\x02\x08\x01"), "got none and 1 frames"},
        {SPAN("\x0a\x02\x08\x01"), "hello.id: expected 32 bytes, got 0"},
        {SPAN("\x0a\x05\x12\x03"
              "abc"),
         "hello.id: expected 32 bytes, got 3"},
        {SPAN("\xff\xff\xff"), "is no hello"},
        {SPAN("\x0a\xff\xff\xff\xff\x7f"), "is no hello"},
        {span_of(long_one, sizeof(long_one)), "at most 256 bytes, got 257"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct link_hello got = {0};
        struct fail fail = {0};
        assert_int_equal(link_read_hello(bad[i].bytes, &got, &fail), E_PARSE);
        if (!strstr(fail.text, bad[i].why)) {
            fail_msg("expected \"%s\", got: %s", bad[i].why, fail.text);
        }
    }
}

static void test_frame__malformed__is_refused_with_where(void **state)
{
    (void)state;
    static const struct {
        struct span bytes;
        const char *why;
    } bad[] = {
        {{"\x0a", 1}, "no row of whole frames"},
        {{"\x12", 1}, "no row of whole frames"},
        {{"\x12\x03\x08\x01", 4}, "no row of whole frames"},
        {{"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, "no row of whole frames"},
        {{"\x12\x82\x00\x08\x01", 5}, "no row of whole frames"}, /* longer than it need be */
        {{"\x12\x00", 2}, "without its kind"},
        {{"\x12\x02\x12\x00", 4}, "without its kind"},
        {{"\x12\x01\x08", 3}, "frame.kind: expected 1 to 255"},
        {{"\x12\x02\x08\x00", 4}, "frame.kind: expected 1 to 255, got 0"},
        {{"\x12\x03\x08\x80\x02", 5}, "frame.kind: expected 1 to 255, got 256"},
        {{"\x12\x03\x08\x01\x12", 5}, "frame.body"},
        {{"\x12\x05\x08\x01\x12\x02x", 7}, "frame.body"},
        {{"\x12\x06\x08\x01\x12\x01xy", 8}, "frame.body"},
        {{"\x12\x04\x08\x01\x1a\x00", 6}, "frame.body"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fail fail = {0};
        assert_int_equal(link_check_frames(bad[i].bytes, &fail), E_PARSE);
        if (!strstr(fail.text, bad[i].why)) {
            fail_msg("%zu: expected \"%s\", got: %s", i, bad[i].why, fail.text);
        }
    }
    assert_int_equal(link_check_frames(SPAN("\x12\x02\x08\x01\x12\x04\x08\x01\x12\x00"), NULL), 0);
}

static void test_frame__body_over_the_limit__is_refused(void **state)
{
    (void)state;
    size_t len = (size_t)LINK_FRAME_MAX + 1 + 64;
    char *bytes = mem_zalloc(1, len);
    static const char head[] = "\x12\x88\x80\x80\x08\x08\x01\x12\x81\x80\x80\x08";
    memcpy(bytes, head, sizeof(head) - 1);
    struct fail fail = {0};
    assert_int_equal(link_check_frames(span_of(bytes, 5 + 7 + LINK_FRAME_MAX + 1), &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "frame.body: expected at most 16777216 bytes, got 16777217"));
    mem_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames__written__are_what_protobuf_reads_and_we),
        cmocka_unit_test(test_frames__of_protobuf__are_read),
        cmocka_unit_test(test_batch__limits__hold),
        cmocka_unit_test(test_batch__all_just_too_large_to_copy__fit),
        cmocka_unit_test(test_hello__goes_there_and_back),
        cmocka_unit_test(test_hello__something_else__is_refused_with_what_was_expected),
        cmocka_unit_test(test_frame__malformed__is_refused_with_where),
        cmocka_unit_test(test_frame__body_over_the_limit__is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
