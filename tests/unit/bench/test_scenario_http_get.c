#include "bench/scenario_http_get.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_http.h"
#include "fixture.h"

#define PUBLISHED "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"
#define CONTENT "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0000000000kl"

static struct fake_http *http;

static int setup(void **state)
{
    struct fail fail;
    char *argv[] = {"http-get"};
    struct fixture *f = calloc(1, sizeof(*f));
    f->scenario = calloc(1, sizeof(*f->scenario));
    http = calloc(1, sizeof(*http));
    if (options_parse(1, argv, &f->options, &fail) || poller_create(&f->poller, &fail)) {
        return -1;
    }
    fake_http_open(http, f->poller);
    http->post_response = PUBLISHED;
    http->response = CONTENT;
    f->options.connections = 4;
    f->options.content_bytes = 12;
    f->options.seconds = 0.1;
    f->options.warmup_s = 0;
    f->options.port = http->port;
    f->scenario->options = &f->options;
    f->scenario->poller = f->poller;
    f->scenario->address = http->address;
    f->scenario->place = (struct msg_place){"public", "DEFAULT_GROUP", "bench"};
    f->scenario->report.options = &f->options;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fake_http_close(http);
    poller_destroy(f->poller);
    free(http);
    free(f->scenario);
    free(f);
    return 0;
}

static void test_get__publishes_then_reads(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_http_get(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_true(f->scenario->report.result.completed > 0);
    assert_int_equal(http->posts, 1);
    assert_true(http->requests > 1);
    assert_non_null(memmem(http->last.data, http->last.len, "GET /nacos/v1/cs/configs?", 25));
}

static void test_get__another_content_is_an_error(void **state)
{
    struct fixture *f = *state;
    http->response = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0000000001kl";
    assert_int_equal(scenario_http_get(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.completed, 0);
    assert_non_null(
        strstr(fail_text(&f->scenario->report.result.first_error), "HTTP status 200, 12 bytes"));
}

static void test_get__a_short_content_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->options.content_bytes = 13;
    assert_int_equal(scenario_http_get(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.completed, 0);
}

static void test_get__not_found_is_an_error(void **state)
{
    struct fixture *f = *state;
    http->response = "HTTP/1.1 404 No\r\nContent-Length: 21\r\n\r\nconfig data not exist";
    assert_int_equal(scenario_http_get(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.completed, 0);
    assert_non_null(strstr(fail_text(&f->scenario->report.result.first_error), "HTTP status 404"));
}

static void test_get__needs_its_configs(void **state)
{
    struct fixture *f = *state;
    http->post_response = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    f->options.configs = 7;
    assert_int_equal(scenario_http_get(f->scenario, &f->fail), E_IO);
    assert_non_null(strstr(fail_text(&f->fail), "7 of 7 configs could not be published"));
}

static void test_get__a_server_that_drops_everyone_ends_it(void **state)
{
    struct fixture *f = *state;
    http->drops = true;
    f->options.configs = 1000;
    assert_int_equal(scenario_http_get(f->scenario, &f->fail), E_CLOSED);
    assert_int_equal(http->requests, 4 * HTTP_GET_FAILURES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get__publishes_then_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get__another_content_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get__a_short_content_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get__not_found_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get__needs_its_configs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get__a_server_that_drops_everyone_ends_it, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
