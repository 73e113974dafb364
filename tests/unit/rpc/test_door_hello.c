#include "rpc/door_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "door_hellos.h"

static struct span whole(const struct hello *h)
{
    return span_of((const char *)h->bytes, h->len);
}

static enum door_hello judge(const struct hello *h)
{
    struct span name = {0};
    return door_hello_read(whole(h), &name);
}

static void assert_name(const struct hello *h, const char *wanted)
{
    struct span name = SPAN("not written");
    assert_int_equal(door_hello_read(whole(h), &name), DOOR_HELLO_DONE);
    if (!span_eq(name, span_str(wanted))) {
        fail_msg("wanted %s, came %.*s", wanted, SPAN_ARG(name));
    }
}

static void test_read__hello_of_openssl__has_the_name(void **state)
{
    (void)state;
    struct hello h = hello_of_openssl("peer.nacre.internal", 0, "h2");
    assert_name(&h, "peer.nacre.internal");
    h = hello_of_openssl("peer.nacre.internal", TLS1_2_VERSION, NULL);
    assert_name(&h, "peer.nacre.internal");
    h = hello_of_openssl("a", TLS1_3_VERSION, "h2");
    assert_name(&h, "a");
}

static void test_read__without_a_name__is_whole_and_empty(void **state)
{
    (void)state;
    struct hello h = hello_of_openssl(NULL, 0, "h2");
    assert_name(&h, "");
    h = hello_made(&(struct hello_parts){.no_extensions = true});
    assert_name(&h, "");
}

static void test_read__each_beginning__wants_more(void **state)
{
    (void)state;
    struct hello h = hello_of_openssl("peer.nacre.internal", 0, "h2");
    for (size_t len = 0; len < h.len; len++) {
        struct span name = SPAN("not written");
        struct span seen = span_of((const char *)h.bytes, len);
        assert_int_equal(door_hello_read(seen, &name), DOOR_HELLO_MORE);
        assert_true(span_eq(name, SPAN("not written")));
    }
}

static void test_read__what_follows_the_record__does_not_matter(void **state)
{
    (void)state;
    struct hello h = hello_of_openssl("peer.nacre.internal", 0, "h2");
    memset(h.bytes + h.len, 0xff, 100);
    h.len += 100;
    assert_name(&h, "peer.nacre.internal");
}

static void test_read__first_host_name__counts(void **state)
{
    (void)state;
    static const uint8_t names[] = "\x00\x00\x00\x15" /* extension 0, 21 bytes */
                                   "\x00\x13"
                                   "\x07\x00\x01x" /* a type of name that nobody knows */
                                   "\x00\x00\x03one"
                                   "\x00\x00\x06second";
    struct hello h = hello_made(&(struct hello_parts){.extensions = names, .extensions_len = 25});
    assert_name(&h, "one");
}

static void test_read__what_is_no_hello__is_bad(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {"\x15\x03\x01\x00\x02\x01\x00", 7},         /* an alert */
        {"GET / HTTP/1.1\r\n", 16},                  /* no record */
        {"\x16\x02", 2},                             /* SSL 2 */
        {"\x16\x03\x01\x00\x00", 5},                 /* a record without content */
        {"\x16\x03\x01\x40\x01", 5},                 /* longer than records may be */
        {"\x16\x03\x01\x00\x04\x02", 6},             /* a ServerHello */
        {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9}, /* a hello without content */
        {"\x16\x03\x01\x00\x04\x01\x00\x00\x40", 9}, /* goes on in the next record */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct span name = {0};
        if (door_hello_read(span_of(rows[i].bytes, rows[i].len), &name) != DOOR_HELLO_BAD) {
            fail_msg("row %zu", i);
        }
    }
}

static void test_read__lengths_that_lie__are_bad(void **state)
{
    (void)state;
    struct hello h = hello_made(&(struct hello_parts){.session_len = 33});
    assert_int_equal(judge(&h), DOOR_HELLO_BAD);
    h = hello_made(&(struct hello_parts){.session_len = 32});
    assert_int_equal(judge(&h), DOOR_HELLO_DONE);
    h = hello_made(&(struct hello_parts){.ciphers_len = 3});
    assert_int_equal(judge(&h), DOOR_HELLO_BAD);
    h = hello_made(&(struct hello_parts){.no_compression = true});
    assert_int_equal(judge(&h), DOOR_HELLO_BAD);
    h = hello_made(&(struct hello_parts){.trailing = 1}); /* behind the extensions */
    assert_int_equal(judge(&h), DOOR_HELLO_BAD);
    static const char *const extensions[] = {
        "\x00",                                  /* half a type */
        "\x00\x05\x00\x09x",                     /* longer than the rest */
        "\x00\x00\x00\x02\x00\x05",              /* a list that is longer than its extension */
        "\x00\x00\x00\x06\x00\x03\x00\x00\x00x", /* a list that is shorter */
        "\x00\x00\x00\x05\x00\x03\x00\x00\x07",  /* a name that is longer than the list */
    };
    static const size_t lens[] = {1, 5, 6, 10, 9};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        h = hello_made(&(struct hello_parts){.extensions = (const uint8_t *)extensions[i],
                                             .extensions_len = lens[i]});
        if (judge(&h) != DOOR_HELLO_BAD) {
            fail_msg("extensions %zu", i);
        }
    }
}

/* Whatever one byte becomes, the answer stays inside the bytes. */
static void test_read__one_byte_changed__stays_inside(void **state)
{
    (void)state;
    struct hello h = hello_of_openssl("peer.nacre.internal", 0, "h2");
    for (size_t at = 0; at < h.len; at++) {
        uint8_t was = h.bytes[at];
        for (unsigned value = 0; value < 256; value += 15) {
            h.bytes[at] = (uint8_t)value;
            struct span name = {0};
            if (door_hello_read(whole(&h), &name) == DOOR_HELLO_DONE && name.len > 0) {
                assert_true(name.data > (const char *)h.bytes);
                assert_true(name.data + name.len <= (const char *)h.bytes + h.len);
            }
        }
        h.bytes[at] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__hello_of_openssl__has_the_name),
        cmocka_unit_test(test_read__without_a_name__is_whole_and_empty),
        cmocka_unit_test(test_read__each_beginning__wants_more),
        cmocka_unit_test(test_read__what_follows_the_record__does_not_matter),
        cmocka_unit_test(test_read__first_host_name__counts),
        cmocka_unit_test(test_read__what_is_no_hello__is_bad),
        cmocka_unit_test(test_read__lengths_that_lie__are_bad),
        cmocka_unit_test(test_read__one_byte_changed__stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
