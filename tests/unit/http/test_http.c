#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "rig.h"

static void test_start_and_stop__without_any_request(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    assert_true(rig_port(rig) > 0);
    rig_stop(rig);
}

static void test_create__then_destroy_without_start(void **state)
{
    (void)state;
    static const atomic_bool ready = true;
    struct http_options options = {
        .bind = "127.0.0.1",
        .context_path = "/nacos",
        .connections_max = 1,
        .connections_per_ip_max = 1,
        .idle_timeout_ms = 1000,
        .core = {NULL, (int (*)(void *, struct core_mail *))1},
        .ready = &ready,
    };
    struct http *h = NULL;
    struct fail fail = {0};
    assert_int_equal(http_create(&options, &h, &fail), 0);
    struct http *second = NULL;
    options.port = http_port(h);
    assert_int_equal(http_create(&options, &second, &fail), E_IO);
    assert_non_null(strstr(fail_text(&fail), "Address already in use"));
    assert_null(second);
    http_destroy(h);
    http_destroy(NULL);
}

static void test_stop__closes_idle_connections_and_refuses_new_ones(void **state)
{
    (void)state;
    struct rig *rig = rig_start(NULL);
    uint16_t port = rig_port(rig);
    int fd = client_open(port);
    const char *request = "GET /nacos/v1/ns/echo HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_true(client_send(fd, request, strlen(request)));
    struct reply r = client_read(fd, false);
    assert_int_equal(r.status, 200);
    reply_close(&r);
    rig_stop_edge(rig, 1000);
    assert_true(client_closed(fd));
    assert_int_equal(client_open(port), -1);
    close(fd);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_and_stop__without_any_request),
        cmocka_unit_test(test_create__then_destroy_without_start),
        cmocka_unit_test(test_stop__closes_idle_connections_and_refuses_new_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
