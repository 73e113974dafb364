#include "http/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "http/head.h"

/* Hands connections to the test through a pipe, as "fd, large". */
struct taker {
    struct gate *gate;
    struct front *front;
    atomic_ulong refused;
    int pipe[2];
};

struct taken {
    int fd;
    bool large;
};

static void take(void *self, int take_fd, const struct sockaddr *addr, bool large_head)
{
    struct taker *t = self;
    struct taken taken = {take_fd, large_head};
    gate_leave(t->gate, addr);
    assert_int_equal(write(t->pipe[1], &taken, sizeof(taken)), sizeof(taken));
}

static void start(struct taker *t, unsigned max, uint32_t wait_ms)
{
    *t = (struct taker){.gate = gate_create(max, max)};
    assert_int_equal(pipe(t->pipe), 0);
    struct front_options options = {
        .bind = "127.0.0.1",
        .gate = t->gate,
        .wait_ms = wait_ms,
        .refused = &t->refused,
        .hand_over = take,
        .self = t,
    };
    struct fail fail = {0};
    assert_int_equal(front_create(&options, &t->front, &fail), 0);
    assert_int_equal(front_start(t->front, &fail), 0);
}

static void stop(struct taker *t)
{
    front_stop(t->front);
    assert_int_equal(gate_count(t->gate), 0);
    front_destroy(t->front);
    gate_destroy(t->gate);
    close(t->pipe[0]);
    close(t->pipe[1]);
}

static int connect_to(const struct taker *t)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(front_port(t->front))};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static struct taken next(const struct taker *t)
{
    struct taken taken = {-1, false};
    assert_true(readable(t->pipe[0], 5000));
    assert_int_equal(read(t->pipe[0], &taken, sizeof(taken)), sizeof(taken));
    return taken;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void test_speaking__is_handed_over_with_its_bytes(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 10, 5000);
    int fd = connect_to(&t);
    send_text(fd, "GET / HT");
    assert_false(readable(t.pipe[0], 20));
    send_text(fd, "TP/1.1\r\n\r\n");
    struct taken taken = next(&t);
    assert_false(taken.large);
    char text[64] = "";
    assert_int_equal(recv(taken.fd, text, sizeof(text), 0), 18);
    assert_string_equal(text, "GET / HTTP/1.1\r\n\r\n");
    close(taken.fd);
    close(fd);
    stop(&t);
}

static void test_large_head__is_said_so(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 10, 5000);
    int fd = connect_to(&t);
    char *text = calloc(1, HEAD_SMALL_MAX + 2);
    memset(text, 'G', HEAD_SMALL_MAX + 1);
    send_text(fd, text);
    struct taken taken = next(&t);
    assert_true(taken.large);
    free(text);
    close(taken.fd);
    close(fd);
    stop(&t);
}

static void test_silent__is_closed_after_its_time(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 10, 50);
    int fd = connect_to(&t);
    char byte = 0;
    assert_true(readable(fd, 5000));
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    assert_false(readable(t.pipe[0], 0));
    close(fd);
    stop(&t);
}

static void test_closed_before_its_head__is_forgotten(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 1, 60000);
    for (int i = 0; i < 20; i++) {
        int fd = connect_to(&t);
        send_text(fd, "GET");
        close(fd);
    }
    int fd = connect_to(&t);
    send_text(fd, "GET / HTTP/1.1\r\n\r\n");
    close(next(&t).fd);
    close(fd);
    stop(&t);
}

static void test_full__the_oldest_silent_one_gives_way(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 2, 60000);
    int first = connect_to(&t);
    int second = connect_to(&t);
    int third = connect_to(&t);
    char byte = 0;
    assert_true(readable(first, 5000));
    assert_int_equal(recv(first, &byte, 1, 0), 0);
    assert_int_equal(atomic_load(&t.refused), 1);
    send_text(second, "GET / HTTP/1.1\r\n\r\n");
    send_text(third, "GET / HTTP/1.1\r\n\r\n");
    close(next(&t).fd);
    close(next(&t).fd);
    close(first);
    close(second);
    close(third);
    stop(&t);
}

static void test_stop__closes_who_waits(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 10, 60000);
    int fd = connect_to(&t);
    send_text(fd, "GE");
    stop(&t);
    char byte = 0;
    assert_true(readable(fd, 5000));
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static void test_create__port_in_use(void **state)
{
    (void)state;
    struct taker t;
    start(&t, 10, 1000);
    struct front_options options = {.bind = "127.0.0.1",
                                    .port = front_port(t.front),
                                    .gate = t.gate,
                                    .refused = &t.refused,
                                    .hand_over = take};
    struct front *second = NULL;
    struct fail fail = {0};
    assert_int_equal(front_create(&options, &second, &fail), E_IO);
    assert_null(second);
    stop(&t);
    front_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speaking__is_handed_over_with_its_bytes),
        cmocka_unit_test(test_large_head__is_said_so),
        cmocka_unit_test(test_silent__is_closed_after_its_time),
        cmocka_unit_test(test_closed_before_its_head__is_forgotten),
        cmocka_unit_test(test_full__the_oldest_silent_one_gives_way),
        cmocka_unit_test(test_stop__closes_who_waits),
        cmocka_unit_test(test_create__port_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
