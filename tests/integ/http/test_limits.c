/* What is too large, too many, too slow or no HTTP at all: each is bounded and nobody else notices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

static int setup(void **state)
{
    *state = rig_start(NULL);
    return 0;
}

static int teardown(void **state)
{
    rig_stop(*state);
    return 0;
}

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "http/head.h"

/* "GET /nacos/v1/ns/echo?a=xxx... HTTP/1.1" with len bytes of value; free it. */
static char *long_request(size_t len)
{
    char *request = malloc(len + 256);
    char *at = request + sprintf(request, "GET /nacos/v1/ns/echo?a=");
    memset(at, 'x', len);
    at += len;
    sprintf(at, " HTTP/1.1\r\nHost: x\r\n\r\n");
    return request;
}

static void check_long(void **state, size_t len, int status)
{
    char *request = long_request(len);
    struct reply r = ask(*state, request);
    assert_int_equal(r.status, status);
    if (status == 200) {
        assert_true(r.body_len > len);
    }
    reply_close(&r);
    free(request);
}

static void test_url__up_to_the_limit_is_taken(void **state)
{
    check_long(state, 1000, 200);
    check_long(state, HEAD_SMALL_MAX - 100, 200);
    check_long(state, HEAD_SMALL_MAX, 200);
    check_long(state, 100000, 200);
    check_long(state, HTTP_URL_MAX - 1000, 200);
}

static void test_url__over_the_limit_is_refused(void **state)
{
    check_long(state, HTTP_URL_MAX + 1, 400);
    check_long(state, 900000, 400);
    char *request = long_request(4 << 20);
    struct reply r = ask(*state, request);
    assert_true(r.status == 0 || r.status >= 400);
    reply_close(&r);
    free(request);
    check_long(state, 1000, 200);
}

static void test_large_head__in_small_pieces(void **state)
{
    char *request = long_request(60000);
    size_t len = strlen(request);
    int fd = client_open(rig_port(*state));
    for (size_t sent = 0; sent < len; sent += 1500) {
        assert_true(client_send(fd, request + sent, len - sent < 1500 ? len - sent : 1500));
    }
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    assert_true(client_closed(fd));
    reply_close(&r);
    close(fd);
    free(request);
}

static void test_many_headers__are_refused_or_taken_but_never_hang(void **state)
{
    char *request = malloc(1 << 20);
    char *at = request + sprintf(request, "GET /nacos/v1/ns/echo HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 20000; i++) {
        at += sprintf(at, "x-%d: y\r\n", i);
    }
    sprintf(at, "\r\n");
    struct reply r = ask(*state, request);
    assert_true(r.status == 200 || r.status >= 400 || r.status == 0);
    reply_close(&r);
    free(request);
    check_long(state, 10, 200);
}

/* POST a form of len bytes; announced: with Content-Length. Returns the response. */
static struct reply post_form(void **state, size_t len, size_t announced)
{
    int fd = client_open(rig_port(*state));
    char head[256];
    int head_len = snprintf(head, sizeof(head),
                            "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\nContent-Type: "
                            "application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n",
                            announced);
    assert_true(client_send(fd, head, (size_t)head_len));
    char *body = malloc(len);
    memset(body, 'b', len);
    (void)client_send(fd, body, len);
    free(body);
    struct reply r = client_read(fd, false);
    close(fd);
    return r;
}

static void test_body__up_to_the_limit_is_taken(void **state)
{
    struct reply r = post_form(state, HTTP_FORM_MAX, HTTP_FORM_MAX);
    assert_int_equal(r.status, 200);
    reply_close(&r);
}

static void test_body__announced_too_long__is_refused_before_it_comes(void **state)
{
    struct reply r = post_form(state, 1, HTTP_FORM_MAX + 1);
    assert_int_equal(r.status, 413);
    assert_string_equal(r.body, "the request body is too large");
    reply_close(&r);
}

static void test_body__chunked_and_too_long__is_refused(void **state)
{
    int fd = client_open(rig_port(*state));
    const char *head = "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n";
    assert_true(client_send(fd, head, strlen(head)));
    size_t len = 1 << 20;
    char *chunk = malloc(len + 16);
    size_t at = (size_t)sprintf(chunk, "%zx\r\n", len);
    memset(chunk + at, 'c', len);
    memcpy(chunk + at + len, "\r\n", 2);
    for (int i = 0; i < 40; i++) {
        assert_true(client_send(fd, chunk, at + len + 2));
    }
    assert_true(client_send(fd, "0\r\n\r\n", 5));
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, 413);
    reply_close(&r);
    close(fd);
    /* One that never ends is cut off. */
    fd = client_open(rig_port(*state));
    assert_true(client_send(fd, head, strlen(head)));
    bool cut = false;
    for (int i = 0; i < 200 && !cut; i++) {
        cut = !client_send(fd, chunk, at + len + 2);
    }
    assert_true(cut);
    close(fd);
    free(chunk);
}

static void test_body__whose_end_is_told_twice__is_refused_and_closes(void **state)
{
    static const char *const framings[] = {
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    };
    for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
        char bytes[256];
        int len = snprintf(bytes, sizeof(bytes),
                           "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\n%s\r\n"
                           "5\r\nhello\r\n0\r\n\r\n",
                           framings[i]);
        int fd = client_open(rig_port(*state));
        assert_true(client_send(fd, bytes, (size_t)len));
        struct reply r = client_read(fd, false);
        assert_int_equal(r.status, 400);
        assert_non_null(strstr(r.head, "Connection: close"));
        reply_close(&r);
        /* Nothing of the rest is taken for a request. */
        r = client_read(fd, false);
        assert_int_equal(r.status, 0);
        reply_close(&r);
        close(fd);
    }
}

static void test_refused_request_with_a_body__keeps_the_connection(void **state)
{
    int fd = client_open(rig_port(*state));
    const char *bad = "POST /nacos/none HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    const char *good = "GET /nacos/v1/ns/echo HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(client_send(fd, bad, strlen(bad)));
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, 404);
    reply_close(&r);
    assert_true(client_send(fd, good, strlen(good)));
    r = client_read(fd, false);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    close(fd);
}

static void test_garbage__gets_an_error_or_the_door(void **state)
{
    static const char *const garbage[] = {
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\r\n\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /nacos/ HTTP/9.9\r\n\r\n",
        "GET /nacos/ HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\nContent-Length: banana\r\n\r\n",
        "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "ffffffffffffffffff\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        int fd = client_open(rig_port(*state));
        assert_true(client_send(fd, garbage[i], strlen(garbage[i])));
        shutdown(fd, SHUT_WR);
        struct reply r = client_read(fd, false);
        assert_true(r.status == 0 || r.status >= 400);
        reply_close(&r);
        close(fd);
    }
    check_long(state, 10, 200);
}

static void test_no_http__is_told_so_at_once(void **state)
{
    int fd = client_open(rig_port(*state));
    assert_true(client_send(fd, "\x16\x03\x01\x02\x00\x01", 6));
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, 400);
    assert_string_equal(r.body, "this port speaks plain HTTP/1.1\n");
    assert_true(client_closed(fd));
    reply_close(&r);
    close(fd);
}

static void test_silent_connection__is_closed_in_time(void **state)
{
    (void)state;
    const struct rig_options options = {.idle_timeout_ms = 300};
    struct rig *rig = rig_start(&options);
    int silent = client_open(rig_port(rig));
    int half = client_open(rig_port(rig));
    assert_true(client_send(half, "GET /nacos/v1", 13));
    int idle = client_open(rig_port(rig));
    const char *good = "GET /nacos/v1/ns/echo HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(client_send(idle, good, strlen(good)));
    struct reply r = client_read(idle, false);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    int body = client_open(rig_port(rig));
    const char *part = "POST /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab";
    assert_true(client_send(body, part, strlen(part)));
    assert_true(client_closed(silent));
    assert_true(client_closed(half));
    assert_true(client_closed(idle));
    assert_true(client_closed(body));
    close(silent);
    close(half);
    close(idle);
    close(body);
    rig_stop(rig);
}

static void test_half_open_sockets__give_way_to_who_speaks(void **state)
{
    (void)state;
    const struct rig_options options = {.connections_max = 50, .per_ip_max = 50};
    struct rig *rig = rig_start(&options);
    int silent[200];
    for (size_t i = 0; i < 200; i++) {
        silent[i] = client_open(rig_port(rig));
        assert_true(silent[i] >= 0);
    }
    for (int i = 0; i < 20; i++) {
        struct reply r = ask_with(rig, "GET /nacos/v1/ns/echo", "", NULL);
        assert_int_equal(r.status, 200);
        reply_close(&r);
    }
    assert_true(client_closed(silent[0]));
    for (size_t i = 0; i < 200; i++) {
        close(silent[i]);
    }
    rig_stop(rig);
}

static void check_refused(const struct rig_options *options, unsigned max)
{
    struct rig *rig = rig_start(options);
    int fds[16];
    const char *good = "GET /nacos/v1/ns/echo HTTP/1.1\r\nHost: x\r\n\r\n";
    for (unsigned i = 0; i < max; i++) {
        fds[i] = client_open(rig_port(rig));
        assert_true(client_send(fds[i], good, strlen(good)));
        struct reply r = client_read(fds[i], false);
        assert_int_equal(r.status, 200);
        reply_close(&r);
    }
    int fd = client_open(rig_port(rig));
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "too many connections\n");
    reply_close(&r);
    close(fd);
    assert_true(atomic_load(&rig_counters(rig)->refused) > 0);
    /* A place that becomes free is given again. */
    close(fds[0]);
    int status = 0;
    for (int i = 0; i < 500 && status != 200; i++) {
        r = ask(rig, good);
        status = r.status;
        reply_close(&r);
        (void)poll(NULL, 0, 2);
    }
    assert_int_equal(status, 200);
    for (unsigned i = 1; i < max; i++) {
        close(fds[i]);
    }
    rig_stop(rig);
}

static void test_too_many_connections__are_told_so(void **state)
{
    (void)state;
    check_refused(&(struct rig_options){.connections_max = 8}, 8);
    check_refused(&(struct rig_options){.per_ip_max = 4}, 4);
}

static void test_no_file_descriptors__refused_and_alive_afterwards(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int spare = client_open(rig_port(rig));
    int clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    struct rlimit none = {.rlim_cur = (rlim_t)clients[2] + 1, .rlim_max = before.rlim_max};
    /* Fill the holes below, so that accept finds nothing. */
    setrlimit(RLIMIT_NOFILE, &none);
    int holes[64];
    int count = 0;
    while (count < 64 && (holes[count] = dup(spare)) >= 0) {
        count++;
    }
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(rig_port(rig))};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 3; i++) {
        struct timeval wait = {.tv_sec = 5};
        setsockopt(clients[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
        assert_int_equal(connect(clients[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
        struct reply r = client_read(clients[i], false);
        assert_int_equal(r.status, 503);
        reply_close(&r);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    while (count > 0) {
        close(holes[--count]);
    }
    for (int i = 0; i < 3; i++) {
        close(clients[i]);
    }
    close(spare);
    struct reply r = ask_with(rig, "GET /nacos/v1/ns/echo", "", NULL);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__up_to_the_limit_is_taken),
        cmocka_unit_test(test_url__over_the_limit_is_refused),
        cmocka_unit_test(test_large_head__in_small_pieces),
        cmocka_unit_test(test_many_headers__are_refused_or_taken_but_never_hang),
        cmocka_unit_test(test_body__up_to_the_limit_is_taken),
        cmocka_unit_test(test_body__announced_too_long__is_refused_before_it_comes),
        cmocka_unit_test(test_body__chunked_and_too_long__is_refused),
        cmocka_unit_test(test_body__whose_end_is_told_twice__is_refused_and_closes),
        cmocka_unit_test(test_refused_request_with_a_body__keeps_the_connection),
        cmocka_unit_test(test_garbage__gets_an_error_or_the_door),
        cmocka_unit_test(test_no_http__is_told_so_at_once),
        cmocka_unit_test(test_silent_connection__is_closed_in_time),
        cmocka_unit_test(test_half_open_sockets__give_way_to_who_speaks),
        cmocka_unit_test(test_too_many_connections__are_told_so),
        cmocka_unit_test(test_no_file_descriptors__refused_and_alive_afterwards),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
