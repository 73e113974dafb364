#include "wire/payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <nacos_grpc_service.pb-c.h>

#include "../base/expect_abort.h"
#include "base/mem.h"

#define ARENA_MAX (1u << 20)

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_MAX);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

/* Decodes a copy of exactly that size, so that AddressSanitizer sees a read behind it. */
static int decode(struct span bytes, struct payload *ret, struct fail *fail)
{
    char *copy = mem_alloc(bytes.len);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    int err = payload_decode(span_of(copy, bytes.len), &arena, ret, fail);
    mem_free(copy);
    return err;
}

/* The same message packed by protobuf-c. */
static struct span packed(const char *type, const char *client_ip, struct span body)
{
    char *writable_type = arena_str(&arena, span_str(type));
    char *writable_ip = arena_str(&arena, span_str(client_ip));
    char *writable_body = arena_str(&arena, body);
    Metadata metadata = METADATA__INIT;
    metadata.type = writable_type;
    metadata.clientip = writable_ip;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
    any.value.data = (uint8_t *)writable_body;
    any.value.len = body.len;
    Payload payload = PAYLOAD__INIT;
    payload.metadata = &metadata;
    payload.body = &any;
    uint8_t *bytes = arena_alloc(&arena, payload__get_packed_size(&payload));
    size_t len = payload__pack(&payload, bytes);
    return span_of((const char *)bytes, len);
}

static void check_head(const char *type, const char *client_ip, size_t body_len)
{
    char *bytes = mem_zalloc(body_len + 1, 1);
    memset(bytes, 'b', body_len);
    struct span expected = packed(type, client_ip, span_of(bytes, body_len));
    struct buf *head = payload_head(type, span_str(client_ip), body_len);
    struct span got = buf_span(head);
    assert_int_equal(got.len + body_len, expected.len);
    assert_memory_equal(got.data, expected.data, got.len);
    assert_memory_equal(bytes, expected.data + got.len, body_len);
    buf_unref(head);
    mem_free(bytes);
}

static void test_payload_head__and_body__is_what_protobuf_packs(void **state)
{
    (void)state;
    char longest[PAYLOAD_TYPE_MAX + 1];
    memset(longest, 'T', PAYLOAD_TYPE_MAX);
    longest[PAYLOAD_TYPE_MAX] = '\0';
    const char *const types[] = {"", "A", "ServerCheckResponse", longest};
    const char *const ips[] = {"", "10.0.0.9", "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"};
    /* Around each length of a varint, for the body and for the Any around it. */
    const size_t lens[] = {0,   1,   2,     100,   125,   126,   127,
                           128, 129, 16379, 16380, 16384, 16385, 70000};
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
            for (size_t l = 0; l < ARRAY_LEN(lens); l++) {
                check_head(types[t], ips[i], lens[l]);
                arena_close(&arena);
            }
        }
    }
}

static void test_payload_head__large_body__has_long_varints(void **state)
{
    (void)state;
    struct buf *head = payload_head("", (struct span){0}, 10u << 20);
    assert_true(span_eq(buf_span(head), SPAN("\x12\0\x1A\x85\x80\x80\x05\x12\x80\x80\x80\x05")));
    buf_unref(head);
}

static void type_too_long(void)
{
    char type[PAYLOAD_TYPE_MAX + 2];
    memset(type, 'T', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    buf_unref(payload_head(type, (struct span){0}, 2));
}

static void test_payload_head__type_too_long__aborts(void **state)
{
    (void)state;
    assert_true(aborts(type_too_long));
}

static void test_payload_decode__what_protobuf_packed(void **state)
{
    (void)state;
    struct payload p = {0};
    struct span bytes = packed("ServerCheckRequest", "10.0.0.9", SPAN("{\"a\":1}"));
    assert_int_equal(decode(bytes, &p, NULL), 0);
    assert_true(span_eq(p.type, SPAN("ServerCheckRequest")));
    assert_true(span_eq(p.client_ip, SPAN("10.0.0.9")));
    assert_true(span_eq(p.body, SPAN("{\"a\":1}")));
    assert_int_equal(p.headers_count, 0);
    assert_int_equal(payload_header_get(&p, "notify").len, 0);
}

static void test_payload_decode__absent_parts__are_empty(void **state)
{
    (void)state;
    const struct span bytes[] = {SPAN(""), SPAN("\x12\0"), SPAN("\x1A\0"), SPAN("\x1A\0\x12\0")};
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        struct payload p = {.type = SPAN("old"), .headers_count = 7};
        assert_int_equal(decode(bytes[i], &p, NULL), 0);
        assert_int_equal(p.type.len + p.client_ip.len + p.body.len + p.headers_count, 0);
    }
    struct payload p = {0};
    assert_int_equal(payload_decode((struct span){0}, &arena, &p, NULL), 0);
}

static void test_payload_decode__unknown_fields__are_skipped(void **state)
{
    (void)state;
    struct payload p = {0};
    /* Field 1 varint, 4 fixed64, 5 fixed32 and bytes 15 around a metadata that has its own unknown
     * field. */
    assert_int_equal(decode(SPAN("\x08\x96\x01\x21"
                                 "12345678"
                                 "\x12\x06\x1A\x02"
                                 "AB"
                                 "\x08\x01"
                                 "\x2D"
                                 "1234"
                                 "\x7A\x01x"),
                            &p, NULL),
                     0);
    assert_true(span_eq(p.type, SPAN("AB")));
}

static void test_payload_decode__metadata_twice__is_merged(void **state)
{
    (void)state;
    struct payload p = {0};
    /* As protobuf has it: later scalars win, maps add up. */
    assert_int_equal(decode(SPAN("\x12\x0B\x1A\x01"
                                 "A"
                                 "\x3A\x06\x0A\x01k\x12\x01v"
                                 "\x12\x0B\x1A\x01"
                                 "B"
                                 "\x3A\x06\x0A\x01l\x12\x01w"),
                            &p, NULL),
                     0);
    assert_true(span_eq(p.type, SPAN("B")));
    assert_int_equal(p.headers_count, 2);
    assert_true(span_eq(payload_header_get(&p, "k"), SPAN("v")));
    assert_true(span_eq(payload_header_get(&p, "l"), SPAN("w")));
}

static void test_payload_header_get__exact_name_and_last_of_twins(void **state)
{
    (void)state;
    struct payload p = {0};
    assert_int_equal(decode(SPAN("\x12\x19\x3A\x06\x0A\x01k\x12\x01v\x3A\x06\x0A\x01K\x12\x01x"
                                 "\x3A\x07\x0A\x01k\x12\x02ww"),
                            &p, NULL),
                     0);
    assert_int_equal(p.headers_count, 3);
    assert_true(span_eq(payload_header_get(&p, "k"), SPAN("ww")));
    assert_true(span_eq(payload_header_get(&p, "K"), SPAN("x")));
    assert_int_equal(payload_header_get(&p, "").len, 0);
}

static void test_payload_decode__invalid_utf8__is_taken_as_bytes(void **state)
{
    (void)state;
    struct payload p = {0};
    assert_int_equal(decode(SPAN("\x12\x04\x1A\x02\xFF\x80\x1A\x03\x12\x01\xFE"), &p, NULL), 0);
    assert_true(span_eq(p.type, SPAN("\xFF\x80")));
    assert_true(span_eq(p.body, SPAN("\xFE")));
}

static void test_payload_decode__no_payload__is_refused(void **state)
{
    (void)state;
    const struct span bad[] = {
        SPAN("\x12"),     /* tag without length */
        SPAN("\x12\x05"), /* length without bytes */
        SPAN("\x12\x05\x1A\x02"
             "AB"), /* one byte short */
        SPAN("\x12\x04\x1A\x7F"
             "AB"), /* inner length past the outer end */
        SPAN("\x12\xFF\xFF\xFF\xFF\x07"
             "AB"), /* 2 GiB */
        SPAN("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
             "AB"), /* 2^64 - 1 */
        SPAN("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
             "AB"),       /* varint without end */
        SPAN("\x08\xFF"), /* varint cut */
        SPAN("\x21"
             "1234"),             /* fixed64 cut */
        SPAN("\x13\x14"),         /* groups */
        SPAN("\x16"),             /* no such wire type */
        SPAN("{\"headers\":{}}"), /* JSON where protobuf is expected */
        SPAN("PRI * HTTP/2.0"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct payload p = {.type = SPAN("old")};
        struct fail fail = {0};
        assert_int_equal(decode(bad[i], &p, &fail), E_PARSE);
        assert_string_equal(fail_text(&fail), "the message is not a Payload");
        assert_true(span_eq(p.type, SPAN("old")));
    }
}

static void test_payload_decode__wrong_wire_type_of_a_known_field__does_no_harm(void **state)
{
    (void)state;
    /* metadata as varint, type as varint, value as fixed32: refused or skipped, protobuf-c's
     * choice. */
    const struct span odd[] = {SPAN("\x10\x05"), SPAN("\x12\x02\x18\x05"),
                               SPAN("\x1A\x05\x15"
                                    "1234")};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct payload p = {0};
        int err = decode(odd[i], &p, NULL);
        assert_true(err == 0 || err == E_PARSE);
    }
}

static struct span with_headers(unsigned count)
{
    char *bytes = arena_alloc(&arena, 16 + count * 8ul);
    size_t len = count * 8ul;
    bytes[0] = 0x12;
    bytes[1] = (char)(len | 0x80);
    bytes[2] = (char)(len >> 7);
    for (unsigned i = 0; i < count; i++) {
        memcpy(bytes + 3 + i * 8ul, "\x3A\x06\x0A\x01k\x12\x01v", 8);
    }
    return span_of(bytes, 3 + len);
}

static void test_payload_decode__too_many_headers__is_refused(void **state)
{
    (void)state;
    struct payload p = {0};
    struct fail fail = {0};
    assert_int_equal(decode(with_headers(PAYLOAD_HEADERS_MAX), &p, &fail), 0);
    assert_int_equal(p.headers_count, PAYLOAD_HEADERS_MAX);
    assert_int_equal(decode(with_headers(PAYLOAD_HEADERS_MAX + 1), &p, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "payload with 65 headers, at most 64");
}

static void test_payload_decode__type_too_long__is_refused(void **state)
{
    (void)state;
    char type[PAYLOAD_TYPE_MAX + 2];
    memset(type, 'T', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    struct payload p = {0};
    struct fail fail = {0};
    assert_int_equal(decode(packed(type, "", SPAN("{}")), &p, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "payload type of 129 bytes, at most 128");
    type[PAYLOAD_TYPE_MAX] = '\0';
    assert_int_equal(decode(packed(type, "", SPAN("{}")), &p, &fail), 0);
}

/* What protobuf-c needs for each of them is many times what they take on the wire: the arena ends
 * it. */
static void check_bomb(struct span piece)
{
    size_t count = 200000;
    char *bytes = mem_alloc(count * piece.len);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + i * piece.len, piece.data, piece.len);
    }
    struct payload p = {0};
    struct fail fail = {0};
    assert_int_equal(payload_decode(span_of(bytes, count * piece.len), &arena, &p, &fail), E_PARSE);
    assert_string_equal(fail_text(&fail), "payload takes more memory than a request may");
    arena_close(&arena);
    mem_free(bytes);
}

static void test_payload_decode__millions_of_tiny_fields__end_at_the_arenas_limit(void **state)
{
    (void)state;
    check_bomb(SPAN("\x08\x01"));               /* unknown fields */
    check_bomb(SPAN("\x12\0"));                 /* empty metadata, merged */
    check_bomb(SPAN("\x12\x04\x3A\x02\x0A\0")); /* headers, merged */
    check_bomb(SPAN("\x1A\x02\x0A\0"));         /* bodies, merged */
}

static void test_payload_decode__arena_of_any_size__never_breaks(void **state)
{
    (void)state;
    /* Every allocation of protobuf-c fails once. */
    struct span bytes = SPAN("\x08\x96\x01\x12\x17\x1A\x01"
                             "A"
                             "\x3A\x06\x0A\x01k\x12\x01v"
                             "\x3A\x06\x0A\x01l\x12\x01w"
                             "\x42\x02xy"
                             "\x1A\x05\x12\x03{ }"
                             "\x12\x03\x1A\x01"
                             "B");
    int last_err = E_PARSE;
    for (size_t max = 16; max < 2048; max += 16) {
        struct arena small;
        arena_init(&small, max);
        struct payload p = {0};
        int err = payload_decode(bytes, &small, &p, NULL);
        assert_true(err == 0 || (err == E_PARSE && last_err == E_PARSE));
        last_err = err;
        arena_close(&small);
    }
    assert_int_equal(last_err, 0);
}

static void test_payload_decode__damaged_bytes__never_break(void **state)
{
    (void)state;
    char bytes[] = "\x12\x17\x1A\x01"
                   "A"
                   "\x3A\x06\x0A\x01k\x12\x01v"
                   "\x3A\x06\x0A\x01l\x12\x01w"
                   "\x42\x02xy"
                   "\x1A\x05\x12\x03{ }";
    size_t len = sizeof bytes - 1;
    for (size_t at = 0; at < len; at++) {
        for (int c = 0; c < 256; c++) {
            char kept = bytes[at];
            bytes[at] = (char)c;
            struct payload p = {0};
            int err = decode(span_of(bytes, len), &p, NULL);
            assert_true(err == 0 || err == E_PARSE);
            bytes[at] = kept;
            arena_close(&arena);
        }
        struct payload p = {0};
        int err = decode(span_of(bytes, at), &p, NULL);
        assert_true(err == 0 || err == E_PARSE);
    }
}

#define IN_ARENA(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ARENA(test_payload_head__and_body__is_what_protobuf_packs),
        IN_ARENA(test_payload_head__large_body__has_long_varints),
        IN_ARENA(test_payload_head__type_too_long__aborts),
        IN_ARENA(test_payload_decode__what_protobuf_packed),
        IN_ARENA(test_payload_decode__absent_parts__are_empty),
        IN_ARENA(test_payload_decode__unknown_fields__are_skipped),
        IN_ARENA(test_payload_decode__metadata_twice__is_merged),
        IN_ARENA(test_payload_header_get__exact_name_and_last_of_twins),
        IN_ARENA(test_payload_decode__invalid_utf8__is_taken_as_bytes),
        IN_ARENA(test_payload_decode__no_payload__is_refused),
        IN_ARENA(test_payload_decode__wrong_wire_type_of_a_known_field__does_no_harm),
        IN_ARENA(test_payload_decode__too_many_headers__is_refused),
        IN_ARENA(test_payload_decode__type_too_long__is_refused),
        IN_ARENA(test_payload_decode__millions_of_tiny_fields__end_at_the_arenas_limit),
        IN_ARENA(test_payload_decode__arena_of_any_size__never_breaks),
        IN_ARENA(test_payload_decode__damaged_bytes__never_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
