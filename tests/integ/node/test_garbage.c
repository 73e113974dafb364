/* Bytes that mean nothing on the port they are sent to: the connection ends, or is answered in
 * words; clients beside it do not notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bad.h"
#include "base/macros.h"
#include "rig.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
#define TLS_HELLO                                                                                  \
    "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"                                                 \
    "0123456789abcdef0123456789abcdef"                                                             \
    "\x00\x00\x04\x13\x01\x13\x02\x01\x00"
/* As long as C-core gives a connection to say something sensible, and a bit. */
#define HANDSHAKE_MS 20000
#define ROUNDS 300
#define RANDOM_MAX 4096

static struct rig *rig;
static struct guest guest;

static int setup(void **state)
{
    (void)state;
    rig = rig_start(NULL);
    guest = guest_open(rig_grpc(rig), rig_http(rig));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_close(&guest);
    rig_stop(rig);
    return 0;
}

static void expect_undisturbed(void)
{
    assert_true(guest_is_well(&guest));
    assert_false(client_stream_ended(guest.stream, 0));
    struct guest fresh = guest_open(rig_grpc(rig), rig_http(rig));
    assert_true(guest_is_well(&fresh));
    guest_close(&fresh);
}

/* A text with NULs, by its length. */
#define BYTES(text) (text), sizeof(text) - 1

static void test_grpc_port__garbage__ends_that_connection(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {BYTES("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
        {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff")},
        {BYTES(TLS_HELLO)},
        {BYTES("GET /nacos/ HTTP/1.1\r\nHost: nacre\r\n\r\n")},
        {BYTES("POST /Request/request HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")},
        {BYTES("SSH-2.0-OpenSSH_9.2\r\n")},
        {BYTES("PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n")},
        {BYTES(PREFACE "hello, is anybody there?")},
        /* Frames: settings of 5 bytes, 16 MiB of settings, headers that no table has, a
         * continuation of nothing, a window that grows by nothing. */
        {BYTES(PREFACE "\x00\x00\x05\x04\x00\x00\x00\x00\x00hello")},
        {BYTES(PREFACE SETTINGS "\xff\xff\xff\x04\x00\x00\x00\x00\x00")},
        {BYTES(PREFACE SETTINGS "\x00\x00\x04\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff")},
        {BYTES(PREFACE SETTINGS "\x00\x00\x01\x09\x04\x00\x00\x00\x01x")},
        {BYTES(PREFACE SETTINGS "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char answer[4096];
        bool ended = false;
        int fd = web_open(rig_grpc(rig));
        assert_true(fd >= 0);
        (void)web_send(fd, rows[i].bytes, rows[i].len);
        (void)web_read_all(fd, answer, sizeof(answer), &ended);
        if (!ended) {
            fail_msg("row %zu: the connection goes on", i);
        }
        (void)close(fd);
        assert_true(guest_is_well(&guest));
    }
    expect_undisturbed();
}

#define BAD_PORT "HTTP/1.1 400 Bad Request\r\n", "this port speaks plain HTTP/1.1\n"

static void test_http_port__garbage__is_answered_in_words(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *status;
        const char *words;
    } rows[] = {
        {BYTES("\x00\x00\x00\x00"), BAD_PORT},
        {BYTES("\xff\xff\xff\xff"), BAD_PORT},
        {BYTES(TLS_HELLO), BAD_PORT},
        {BYTES(PREFACE), BAD_PORT},
        {BYTES(PREFACE SETTINGS), BAD_PORT},
        {BYTES("PRI * HTTP/2.0\r\n"), BAD_PORT},
        {BYTES("{\"ip\":\"1.2.3.4\"}"), BAD_PORT},
        {BYTES("GET /nacos/\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n", ""},
        {BYTES("GET  HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n", ""},
        {BYTES("GET /nacos/ HTTP/2.0\r\n\r\n"), "HTTP/1.1 505 ", ""},
        {BYTES("GET * HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 400 ", "the request has no path"},
        {BYTES("GET /nacos/%zz HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 400 ", "%-sequence"},
        {BYTES("GET /nacos/%00 HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 400 ", "%-sequence"},
        {BYTES("GET /nacos/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 ", ""},
        {BYTES("POST /nacos/v1/ns/instance HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello"),
         "HTTP/1.1 400 ", ""},
        {BYTES("POST /nacos/v1/ns/instance HTTP/1.1\r\nHost: x\r\n"
               "Content-Length: 99999999999999999999\r\n\r\nhello"),
         "HTTP/1.1 413 ", ""},
        {BYTES("POST /nacos/v1/ns/instance HTTP/1.1\r\nHost: x\r\n"
               "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello"),
         "HTTP/1.1 400 ", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int fd = web_open(rig_http(rig));
        assert_true(fd >= 0);
        assert_true(web_send(fd, rows[i].bytes, rows[i].len));
        struct web_reply r = web_read(fd);
        (void)close(fd);
        if (strncmp(r.head ? r.head : "", rows[i].status, strlen(rows[i].status)) != 0 ||
            !strstr(r.body, rows[i].words)) {
            fail_msg("row %zu: wanted %s %s, came %s %s", i, rows[i].status, rows[i].words,
                     r.head ? r.head : "nothing", r.body);
        }
        web_reply_close(&r);
        assert_true(guest_is_well(&guest));
    }
    expect_undisturbed();
}

/* Whatever the bytes are; the seed is fixed, so that a failure comes again. */
static void test_both_ports__random_bytes__change_nothing(void **state)
{
    (void)state;
    unsigned seed = 20240611;
    struct figures before = figures_read(rig_http(rig));
    for (int round = 0; round < ROUNDS; round++) {
        char bytes[RANDOM_MAX];
        size_t len = 1 + (size_t)rand_r(&seed) % RANDOM_MAX;
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)rand_r(&seed);
        }
        bool to_grpc = round % 2 == 0;
        int fd = web_open(to_grpc ? rig_grpc(rig) : rig_http(rig));
        assert_true(fd >= 0);
        if (round % 3 == 0) { /* behind a good beginning */
            const char *begin = to_grpc ? PREFACE SETTINGS : "PUT /nacos/v1/ns/instance?";
            size_t begin_len = to_grpc ? sizeof(PREFACE SETTINGS) - 1 : strlen(begin);
            (void)web_send(fd, begin, begin_len);
        }
        (void)web_send(fd, bytes, len);
        (void)close(fd);
        if (round % 20 == 0) {
            assert_true(guest_is_well(&guest));
        }
    }
    expect_undisturbed();
    struct figures after = figures_read(rig_http(rig));
    assert_int_equal(before.instances, after.instances);
}

/* Beginnings of a preface, and then silence: what bounds half-open connections. */
static void test_grpc_port__silence__ends_by_the_handshake_timeout(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        {BYTES("")},
        {BYTES("P")},
        {BYTES("PRI * HTTP/2.0\r\n")},
        {BYTES(PREFACE)},
        {BYTES(PREFACE "\x00\x00\x00")},
    };
    (void)state;
    int fds[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fds[i] = web_open(rig_grpc(rig));
        assert_true(fds[i] >= 0);
        assert_true(web_send(fds[i], rows[i].bytes, rows[i].len));
    }
    uint64_t until = now_ms() + HANDSHAKE_MS;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char answer[4096];
        bool ended = false;
        while (!ended) {
            (void)web_read_all(fds[i], answer, sizeof(answer), &ended);
            assert_true(ended || now_ms() < until);
        }
        (void)close(fds[i]);
    }
    expect_undisturbed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grpc_port__garbage__ends_that_connection),
        cmocka_unit_test(test_http_port__garbage__is_answered_in_words),
        cmocka_unit_test(test_both_ports__random_bytes__change_nothing),
        cmocka_unit_test(test_grpc_port__silence__ends_by_the_handshake_timeout),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
