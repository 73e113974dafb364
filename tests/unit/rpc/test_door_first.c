#include "rpc/door_first.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "door_hellos.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void expect(struct span seen, enum door_first wanted)
{
    enum door_first kind = door_first_look(seen);
    if (kind != wanted) {
        fail_msg("'%.*s' of %zu bytes: wanted %d, came %d", SPAN_ARG(seen), seen.len, wanted, kind);
    }
}

/* Wanted for the whole; all its beginnings want more. */
static void expect_at_last(struct span whole, enum door_first wanted)
{
    for (size_t len = 0; len < whole.len; len++) {
        expect(span_of(whole.data, len), DOOR_FIRST_MORE);
    }
    expect(whole, wanted);
}

static struct span bytes_of(const struct hello *h)
{
    return span_of((const char *)h->bytes, h->len);
}

static void test_look__preface__is_plain_when_it_is_whole(void **state)
{
    (void)state;
    expect_at_last(SPAN(PREFACE), DOOR_FIRST_PLAIN);
    expect(SPAN(PREFACE "\0\0\0\4\0\0\0\0\0"), DOOR_FIRST_PLAIN);
}

static void test_look__hello__goes_by_its_name(void **state)
{
    (void)state;
    struct hello h = hello_of_openssl("peer.nacre.internal", 0, "h2");
    expect_at_last(bytes_of(&h), DOOR_FIRST_PEER);
    h = hello_of_openssl("Peer.Nacre.INTERNAL", TLS1_2_VERSION, NULL);
    expect_at_last(bytes_of(&h), DOOR_FIRST_PEER);
    static const char *const others[] = {"peer.nacre.internal.", "peer.nacre.interna",
                                         "xpeer.nacre.internal", "localhost", NULL};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        h = hello_of_openssl(others[i], 0, "h2");
        expect(bytes_of(&h), DOOR_FIRST_TLS);
    }
    h.bytes[8] ^= 1; /* the length of the message */
    expect(bytes_of(&h), DOOR_FIRST_ALIEN);
}

static void test_look__request_lines__are_http1(void **state)
{
    static const char *const lines[] = {"GET ",    "POST ",    "PUT ",   "HEAD ",
                                        "DELETE ", "OPTIONS ", "PATCH ", "CONNECT "};
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[64];
        expect_at_last(span_str(lines[i]), DOOR_FIRST_HTTP1);
        (void)snprintf(line, sizeof(line), "%s/nacos/v1/ns HTTP/1.1\r\nHost: x\r\n", lines[i]);
        expect(span_str(line), DOOR_FIRST_HTTP1);
    }
}

static void test_look__anything_else__is_alien(void **state)
{
    static const char *const words[] = {"X",
                                        "PX",
                                        "GETT",
                                        "get /",
                                        "PRI * HTTP/1.1\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
                                        "\x80",
                                        "\x15\x03",
                                        "\r\n",
                                        "SSH-2",
                                        "\x16\x03\x01\x00\x01\x02"};
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        expect(i + 1 == sizeof(words) / sizeof(words[0]) ? span_of(words[i], 6)
                                                         : span_str(words[i]),
               DOOR_FIRST_ALIEN);
    }
    expect(span_of("\0", 1), DOOR_FIRST_ALIEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look__preface__is_plain_when_it_is_whole),
        cmocka_unit_test(test_look__hello__goes_by_its_name),
        cmocka_unit_test(test_look__request_lines__are_http1),
        cmocka_unit_test(test_look__anything_else__is_alien),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
