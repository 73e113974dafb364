/* Connections and calls that outlive each other: keep-alive, pipelining, disconnects while the core
 * has the call, stop. */
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

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

#define LATER "GET /nacos/v1/ns/later HTTP/1.1\r\nHost: x\r\n\r\n"
#define CORE "PUT /nacos/v1/ns/core HTTP/1.1\r\nHost: x\r\n\r\n"
#define ECHO "GET /nacos/v1/ns/echo?a=%d HTTP/1.1\r\nHost: x\r\n\r\n"

static void expect(int fd, int status, const char *part)
{
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, status);
    assert_non_null(strstr(r.body, part));
    reply_close(&r);
}

static void test_keep_alive__many_requests_on_one_connection(void **state)
{
    int fd = client_open(rig_port(*state));
    for (int i = 0; i < 200; i++) {
        char request[128];
        int len = snprintf(request, sizeof(request), ECHO CORE, i);
        assert_true(client_send(fd, request, (size_t)len));
        char part[32];
        snprintf(part, sizeof(part), "\"a\",\"%d\"", i);
        expect(fd, 200, part);
        expect(fd, 200, "ok");
    }
    close(fd);
}

static void test_http_1_0__closes_after_the_answer(void **state)
{
    int fd = client_open(rig_port(*state));
    assert_true(client_send(fd, "GET /nacos/v1/ns/echo HTTP/1.0\r\n\r\n", 34));
    expect(fd, 200, "params");
    assert_true(client_closed(fd));
    close(fd);
}

static void test_pipelining__answers_in_order(void **state)
{
    int fd = client_open(rig_port(*state));
    char requests[4096];
    size_t len = 0;
    for (int i = 0; i < 20; i++) {
        len += (size_t)snprintf(requests + len, sizeof(requests) - len, ECHO CORE, i);
    }
    assert_true(client_send(fd, requests, len));
    for (int i = 0; i < 20; i++) {
        char part[32];
        snprintf(part, sizeof(part), "\"a\",\"%d\"", i);
        expect(fd, 200, part);
        expect(fd, 200, "ok");
    }
    close(fd);
}

static void test_pipelining__waits_behind_a_suspended_request(void **state)
{
    int fd = client_open(rig_port(*state));
    const char *both = LATER CORE;
    assert_true(client_send(fd, both, strlen(both)));
    assert_true(rig_wait_held(*state, 1));
    assert_int_equal(rig_release(*state), 1);
    expect(fd, 200, "late");
    expect(fd, 200, "ok");
    close(fd);
}

static void test_suspended__others_are_served_meanwhile(void **state)
{
    int held[50];
    for (int i = 0; i < 50; i++) {
        held[i] = client_open(rig_port(*state));
        assert_true(client_send(held[i], LATER, strlen(LATER)));
    }
    assert_true(rig_wait_held(*state, 50));
    struct reply r = ask(*state, CORE);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    assert_int_equal(rig_release(*state), 50);
    for (int i = 0; i < 50; i++) {
        expect(held[i], 200, "late");
        close(held[i]);
    }
}

static void test_client_gone_while_suspended__the_call_survives_until_deliver(void **state)
{
    for (int round = 0; round < 5; round++) {
        int fds[40];
        for (int i = 0; i < 40; i++) {
            fds[i] = client_open(rig_port(*state));
            assert_true(client_send(fds[i], LATER, strlen(LATER)));
        }
        assert_true(rig_wait_held(*state, 40));
        for (int i = 0; i < 40; i++) {
            struct linger reset = {.l_onoff = 1, .l_linger = 0};
            if (i % 2) {
                setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            }
            close(fds[i]);
        }
        assert_int_equal(rig_release(*state), 40);
    }
    struct reply r = ask(*state, CORE);
    assert_int_equal(r.status, 200);
    reply_close(&r);
}

struct hammer {
    uint16_t port;
    unsigned seed;
};

/* Ask the core and hang up at different moments. */
static void *hammer_main(void *arg)
{
    struct hammer *h = arg;
    for (int i = 0; i < 300; i++) {
        int fd = client_open(h->port);
        if (fd < 0) {
            continue;
        }
        (void)client_send(fd, CORE, strlen(CORE));
        h->seed = h->seed * 1103515245u + 12345u;
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        switch (h->seed >> 30) {
        case 0:
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
            break;
        case 1: {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            (void)poll(&p, 1, 1);
            break;
        }
        case 2: {
            struct reply r = client_read(fd, false);
            reply_close(&r);
            break;
        }
        default:
            shutdown(fd, SHUT_WR);
        }
        close(fd);
    }
    return NULL;
}

static void test_disconnects_at_any_moment__race_with_deliver(void **state)
{
    pthread_t threads[4];
    struct hammer hammers[4];
    for (unsigned i = 0; i < 4; i++) {
        hammers[i] = (struct hammer){rig_port(*state), i * 77u + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_main, &hammers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    struct reply r = ask(*state, CORE);
    assert_int_equal(r.status, 200);
    reply_close(&r);
}

/* How many connections the edge counts, once it is n; false after five seconds. */
static bool wait_open(const struct rig *rig, unsigned long n)
{
    uint64_t end_ms = clock_mono_ms() + 5000;
    while (atomic_load(&rig_counters(rig)->open) != n) {
        if (clock_mono_ms() > end_ms) {
            return false;
        }
        struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
    return true;
}

static void test_held_longer_than_the_idle_time_out__is_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_start(&(struct rig_options){.idle_timeout_ms = 1000});
    int held = client_open(rig_port(rig));
    assert_true(client_send(held, LATER, strlen(LATER)));
    assert_true(rig_wait_held(rig, 1));
    /* An idle connection shows that the time-out has passed, twice. */
    for (int i = 0; i < 2; i++) {
        int idle = client_open(rig_port(rig));
        assert_true(client_send(idle, CORE, strlen(CORE)));
        expect(idle, 200, "ok");
        assert_true(client_closed(idle));
        close(idle);
    }
    assert_int_equal(rig_release(rig), 1);
    expect(held, 200, "late");
    assert_true(client_send(held, CORE, strlen(CORE)));
    expect(held, 200, "ok");
    close(held);
    rig_stop(rig);
}

static void test_client_gone_while_held__leaves_nothing_and_stop_is_quick(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    for (int i = 0; i < 20; i++) {
        int fd = client_open(rig_port(rig));
        assert_true(client_send(fd, LATER, strlen(LATER)));
        assert_true(rig_wait_held(rig, (size_t)i + 1));
        close(fd);
    }
    assert_int_equal(rig_release(rig), 20);
    assert_true(wait_open(rig, 0));
    int fd = client_open(rig_port(rig));
    assert_true(client_send(fd, LATER, strlen(LATER)));
    assert_true(rig_wait_held(rig, 1));
    close(fd);
    uint64_t start_ms = clock_mono_ms();
    rig_stop_edge(rig, 300);
    assert_true(clock_mono_ms() - start_ms < 2000);
    assert_int_equal(rig_release(rig), 1);
    rig_stop(rig);
}

static void test_half_closed_client__still_gets_its_answer(void **state)
{
    int fd = client_open(rig_port(*state));
    assert_true(client_send(fd, LATER, strlen(LATER)));
    shutdown(fd, SHUT_WR);
    assert_true(rig_wait_held(*state, 1));
    assert_int_equal(rig_release(*state), 1);
    expect(fd, 200, "late");
    close(fd);
}

static void test_core_refuses_mail__503_and_the_connection_goes_on(void **state)
{
    (void)state;
    const struct rig_options options = {.post_error = E_LIMIT};
    struct rig *rig = rig_start(&options);
    int fd = client_open(rig_port(rig));
    for (int i = 0; i < 3; i++) {
        assert_true(client_send(fd, CORE, strlen(CORE)));
        expect(fd, 503, "server is busy, please try again later");
    }
    close(fd);
    rig_stop(rig);
}

static void *release_main(void *arg)
{
    (void)poll(NULL, 0, 50); /* the edge is stopping by now; either order must work */
    rig_release(arg);
    return NULL;
}

static void test_stop__waits_for_running_calls(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    int fd = client_open(rig_port(rig));
    assert_true(client_send(fd, LATER, strlen(LATER)));
    assert_true(rig_wait_held(rig, 1));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_main, rig), 0);
    rig_stop_edge(rig, 5000);
    pthread_join(thread, NULL);
    expect(fd, 200, "late");
    assert_true(client_closed(fd));
    close(fd);
    rig_stop(rig);
}

static void test_stop__calls_that_do_not_end__get_503_and_may_be_delivered_later(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = client_open(rig_port(rig));
        assert_true(client_send(fds[i], LATER, strlen(LATER)));
    }
    assert_true(rig_wait_held(rig, 20));
    rig_stop_edge(rig, 100);
    for (int i = 0; i < 20; i++) {
        expect(fds[i], 503, "the server is stopping");
        close(fds[i]);
    }
    assert_int_equal(rig_release(rig), 20); /* after http_destroy */
    rig_stop(rig);
}

static void test_stop__under_load__ends_in_time(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    pthread_t threads[2];
    struct hammer hammers[2];
    int fd = client_open(rig_port(rig));
    assert_true(client_send(fd, LATER, strlen(LATER)));
    assert_true(rig_wait_held(rig, 1));
    for (unsigned i = 0; i < 2; i++) {
        hammers[i] = (struct hammer){rig_port(rig), i + 5};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_main, &hammers[i]), 0);
    }
    rig_stop_edge(rig, 300);
    expect(fd, 503, "the server is stopping");
    rig_release(rig);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    close(fd);
    rig_stop(rig);
}

static void *release_now_main(void *arg)
{
    rig_release(arg);
    return NULL;
}

static void test_stop__races_with_deliver(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 20; round++) {
        struct rig *rig = rig_start(NULL);
        int fds[20];
        for (int i = 0; i < 20; i++) {
            fds[i] = client_open(rig_port(rig));
            assert_true(client_send(fds[i], LATER, strlen(LATER)));
        }
        assert_true(rig_wait_held(rig, 20));
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, release_now_main, rig), 0);
        rig_stop_edge(rig, round % 5);
        pthread_join(thread, NULL);
        for (int i = 0; i < 20; i++) {
            struct reply r = client_read(fds[i], false);
            assert_true(r.status == 200 || r.status == 503 || r.status == 0);
            reply_close(&r);
            close(fds[i]);
        }
        rig_stop(rig);
    }
}

static void test_counters__count(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    int fd = client_open(rig_port(rig));
    assert_true(client_send(fd, CORE, strlen(CORE)));
    expect(fd, 200, "ok");
    const char *none = "GET /nacos/none HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(client_send(fd, none, strlen(none)));
    expect(fd, 404, "No message");
    const char *bad = "GET /nacos/v1/ns/fail?code=-2&text=x HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(client_send(fd, bad, strlen(bad)));
    expect(fd, 400, "x");
    assert_true(client_send(fd, CORE, strlen(CORE)));
    expect(fd, 200, "ok");
    const struct http_counters *c = rig_counters(rig);
    assert_true(atomic_load(&c->requests) >= 3); /* the last one may not be over yet */
    assert_int_equal(atomic_load(&c->failures), 1);
    assert_int_equal(atomic_load(&c->refused), 1);
    assert_int_equal(atomic_load(&c->open), 1);
    close(fd);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive__many_requests_on_one_connection),
        cmocka_unit_test(test_http_1_0__closes_after_the_answer),
        cmocka_unit_test(test_pipelining__answers_in_order),
        cmocka_unit_test(test_pipelining__waits_behind_a_suspended_request),
        cmocka_unit_test(test_suspended__others_are_served_meanwhile),
        cmocka_unit_test(test_client_gone_while_suspended__the_call_survives_until_deliver),
        cmocka_unit_test(test_disconnects_at_any_moment__race_with_deliver),
        cmocka_unit_test(test_held_longer_than_the_idle_time_out__is_answered),
        cmocka_unit_test(test_client_gone_while_held__leaves_nothing_and_stop_is_quick),
        cmocka_unit_test(test_half_closed_client__still_gets_its_answer),
        cmocka_unit_test(test_core_refuses_mail__503_and_the_connection_goes_on),
        cmocka_unit_test(test_stop__waits_for_running_calls),
        cmocka_unit_test(test_stop__calls_that_do_not_end__get_503_and_may_be_delivered_later),
        cmocka_unit_test(test_stop__under_load__ends_in_time),
        cmocka_unit_test(test_stop__races_with_deliver),
        cmocka_unit_test(test_counters__count),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
