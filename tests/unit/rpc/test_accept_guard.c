#include "rpc/accept_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "raw.h"

static struct rlimit before;
static int listener;
static uint16_t port;

static int setup(void **state)
{
    (void)state;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(own);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = bind(listener, (struct sockaddr *)(void *)&own, len);
    err |= listen(listener, 16);
    err |= getsockname(listener, (struct sockaddr *)(void *)&own, &len);
    port = ntohs(own.sin_port);
    return err | getrlimit(RLIMIT_NOFILE, &before);
}

static int teardown(void **state)
{
    (void)state;
    (void)close(listener);
    return setrlimit(RLIMIT_NOFILE, &before);
}

static void limit_to(rlim_t files)
{
    struct rlimit low = {.rlim_cur = files, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

static void test_limit__leaves_a_reserve(void **state)
{
    (void)state;
    limit_to(1000);
    assert_int_equal(accept_guard_limit(), 1000 - ACCEPT_RESERVE);
    limit_to(100);
    assert_int_equal(accept_guard_limit(), 75);
}

static void test_accept__below_the_limit__is_libc_s(void **state)
{
    (void)state;
    int fd = raw_open(port);
    struct sockaddr_in from = {0};
    socklen_t len = sizeof(from);
    int got =
        accept4(listener, (struct sockaddr *)(void *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(got >= 0);
    assert_int_equal(from.sin_family, AF_INET);
    assert_int_equal(len, sizeof(from));
    assert_true(fcntl(got, F_GETFL) & O_NONBLOCK);
    assert_int_equal(accept4(listener, NULL, NULL, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(accept4(-1, NULL, NULL, 0), -1);
    assert_int_equal(errno, EBADF);
    (void)close(got);
    (void)close(fd);
}

static void test_accept__in_the_reserve__closes_all_that_wait(void **state)
{
    (void)state;
    int fds[5];
    for (size_t i = 0; i < 5; i++) {
        fds[i] = raw_open(port);
    }
    limit_to((rlim_t)fds[4] + 3);
    assert_int_equal(accept4(listener, NULL, NULL, 0), -1);
    assert_int_equal(errno, EAGAIN);
    for (size_t i = 0; i < 5; i++) {
        char words[64] = "";
        assert_int_equal(recv(fds[i], words, sizeof(words), 0), 46);
        assert_memory_equal(words + 26, "too many connections", 20); /* behind two frames' heads */
        assert_true(raw_closed(fds[i], 1000));
        (void)close(fds[i]);
    }
}

/* As http/ calls it; the result goes to *arg. */
static void *accept_as_http(void *arg)
{
    thread_become(THREAD_HTTP, "http-accept");
    int got = accept4(listener, NULL, NULL, 0);
    *(int *)arg = got < 0 ? -errno : got;
    return NULL;
}

static void test_accept__of_http__is_libc_s_at_the_limit_too(void **state)
{
    (void)state;
    int fd = raw_open(port);
    int got = 0;
    pthread_t thread;
    limit_to((rlim_t)fd + 1);
    assert_int_equal(thread_start(&thread, accept_as_http, &got), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(got, -EMFILE);
    limit_to((rlim_t)fd + 3); /* in the reserve */
    assert_int_equal(thread_start(&thread, accept_as_http, &got), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(got >= 0);
    (void)close(got);
    (void)close(fd);
}

static void test_accept__listener_shut_down__says_so(void **state)
{
    (void)state;
    assert_int_equal(shutdown(listener, SHUT_RDWR), 0);
    assert_int_equal(accept4(listener, NULL, NULL, 0), -1);
    assert_int_equal(errno, EINVAL);
}

static void test_accept__no_descriptor_left__says_try_again(void **state)
{
    (void)state;
    int fd = raw_open(port);
    limit_to((rlim_t)fd + 1);
    assert_int_equal(accept4(listener, NULL, NULL, 0), -1);
    assert_int_equal(errno, EAGAIN);
    limit_to(before.rlim_cur);
    int got = accept4(listener, NULL, NULL, 0); /* it waited */
    assert_true(got >= 0);
    (void)close(got);
    (void)close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_limit__leaves_a_reserve),
        TEST(test_accept__below_the_limit__is_libc_s),
        TEST(test_accept__in_the_reserve__closes_all_that_wait),
        TEST(test_accept__no_descriptor_left__says_try_again),
        TEST(test_accept__of_http__is_libc_s_at_the_limit_too),
        TEST(test_accept__listener_shut_down__says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
