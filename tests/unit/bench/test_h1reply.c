#include "bench/h1reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Feed text in pieces of every size and expect the same outcome. */
static void assert_reply(const char *text, int status, const char *body, bool close)
{
    size_t len = strlen(text);
    for (size_t piece = 1; piece <= len; piece++) {
        struct h1reply r = {0};
        struct fail fail = {0};
        size_t at = 0;
        while (at < len && r.state != H1_DONE) {
            size_t used = 0;
            size_t give = len - at < piece ? len - at : piece;
            assert_int_equal(h1reply_take(&r, span_of(text + at, give), &used, &fail), 0);
            assert_int_equal(used, give);
            at += used;
        }
        assert_int_equal(r.state, H1_DONE);
        assert_int_equal(at, len);
        assert_int_equal(r.status, status);
        assert_true(span_eq(bytes_span(&r.body), span_str(body)));
        assert_int_equal(r.close, close);
        h1reply_close(&r);
    }
}

static void test_take__content_length_in_any_pieces(void **state)
{
    (void)state;
    assert_reply("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 2\r\n\r\nok", 200,
                 "ok", false);
    assert_reply("HTTP/1.1 404 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 404, "", true);
    assert_reply("HTTP/1.0 200 OK\nContent-Length: 1\n\nx", 200, "x", true);
    assert_reply("HTTP/1.1 204 No Content\r\n\r\n", 204, "", false);
}

static void test_take__chunks_in_any_pieces(void **state)
{
    (void)state;
    assert_reply("HTTP/1.1 200\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n2\r\nok\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                 200, "ok0123456789", false);
    assert_reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
                 200, "", false);
}

static void test_take__continue_is_not_the_response(void **state)
{
    (void)state;
    assert_reply("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200,
                 "ok", false);
}

static void test_take__stops_at_the_end_of_the_response(void **state)
{
    (void)state;
    struct h1reply r = {0};
    struct fail fail = {0};
    size_t used = 0;
    const struct span two = SPAN("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500");
    assert_int_equal(h1reply_take(&r, two, &used, &fail), 0);
    assert_int_equal(used, two.len - 12);
    h1reply_reset(&r);
    assert_int_equal(r.state, H1_STATUS);
    assert_int_equal(r.body.len, 0);
    h1reply_close(&r);
}

static void assert_refused(const char *text, int err)
{
    struct h1reply r = {0};
    struct fail fail = {0};
    size_t used = 0;
    assert_int_equal(h1reply_take(&r, span_str(text), &used, &fail), err);
    assert_true(fail_text(&fail)[0] != '\0');
    h1reply_close(&r);
}

static void test_take__what_is_not_http_is_refused(void **state)
{
    (void)state;
    assert_refused("SSH-2.0-OpenSSH\r\n", E_PARSE);
    assert_refused("HTTP/1.1 abc\r\n", E_PARSE);
    assert_refused("HTTP/1.1 042 x\r\n", E_PARSE);
    assert_refused("\r\n", E_PARSE);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", E_PARSE);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", E_PARSE);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", E_PARSE);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", E_PARSE);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", E_PARSE);
    assert_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", E_PARSE);
}

static void test_take__too_large_is_refused(void **state)
{
    (void)state;
    char *line = calloc(1, H1_LINE_MAX + 3);
    memset(line, 'x', H1_LINE_MAX + 2);
    assert_refused(line, E_TOO_LARGE);
    free(line);
    assert_refused("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", E_TOO_LARGE);
}

static void test_take__chunks_over_the_limit_are_refused(void **state)
{
    (void)state;
    struct h1reply r = {0};
    struct fail fail = {0};
    size_t used = 0;
    int err = h1reply_take(&r, SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), &used,
                           &fail);
    char *chunk = malloc(0x100000);
    memset(chunk, 'x', 0x100000);
    for (unsigned i = 0; i < 20 && !err; i++) {
        err = h1reply_take(&r, SPAN("100000\r\n"), &used, &fail);
        err = err ? err : h1reply_take(&r, span_of(chunk, 0x100000), &used, &fail);
        err = err ? err : h1reply_take(&r, SPAN("\r\n"), &used, &fail);
    }
    assert_int_equal(err, E_TOO_LARGE);
    assert_true(r.body.len <= H1_BODY_MAX);
    free(chunk);
    h1reply_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take__content_length_in_any_pieces),
        cmocka_unit_test(test_take__chunks_in_any_pieces),
        cmocka_unit_test(test_take__continue_is_not_the_response),
        cmocka_unit_test(test_take__stops_at_the_end_of_the_response),
        cmocka_unit_test(test_take__what_is_not_http_is_refused),
        cmocka_unit_test(test_take__too_large_is_refused),
        cmocka_unit_test(test_take__chunks_over_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
