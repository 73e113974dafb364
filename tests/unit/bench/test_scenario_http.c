#include "bench/scenario_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_http.h"
#include "fixture.h"

static struct fake_http *http;

static int setup_command(void **state, char *command)
{
    struct fail fail;
    char *argv[] = {command};
    struct fixture *f = calloc(1, sizeof(*f));
    f->scenario = calloc(1, sizeof(*f->scenario));
    http = calloc(1, sizeof(*http));
    if (options_parse(1, argv, &f->options, &fail) || poller_create(&f->poller, &fail)) {
        return -1;
    }
    fake_http_open(http, f->poller);
    f->options.connections = 4;
    f->options.instances = 25;
    f->options.services = 5;
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

static int setup_bulk(void **state)
{
    return setup_command(state, "bulk");
}

static int setup_beat(void **state)
{
    int err = setup_command(state, "http-beat");
    http->beat_response = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"code\":10200}";
    return err;
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

static void test_bulk__registers_each_instance_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_http(f->scenario, &f->fail), 0);
    assert_int_equal(http->requests, 25);
    assert_int_equal(http->opened, 4);
    assert_int_equal(f->scenario->report.result.completed, 25);
    assert_true(fixture_extra(f, "total_s") > 0);
    assert_non_null(memmem(http->last.data, http->last.len, "POST /nacos/v1/ns/instance?", 27));
}

static void test_bulk__refusals_are_errors_with_status_and_text(void **state)
{
    struct fixture *f = *state;
    http->response = "HTTP/1.1 400 Bad\r\nContent-Length: 7\r\n\r\ncaused:";
    assert_int_equal(scenario_http(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 25);
    assert_string_equal(fail_text(&f->scenario->report.result.first_error),
                        "HTTP status 400: caused:");
}

static void test_bulk__a_server_that_drops_everyone_ends_it(void **state)
{
    struct fixture *f = *state;
    http->drops = true;
    f->options.instances = 1000;
    assert_int_equal(scenario_http(f->scenario, &f->fail), E_CLOSED);
    assert_int_equal(http->requests, 4 * 3);
}

static void test_beat__registers_then_beats(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(scenario_http(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.errors, 0);
    assert_true(f->scenario->report.result.completed > 0);
    assert_true(http->requests > 25);
    assert_non_null(memmem(http->last.data, http->last.len, "PUT /nacos/v1/ns/instance/beat?", 31));
}

/* 20404: the server does not know the instance. */
static void test_beat__other_codes_are_errors(void **state)
{
    struct fixture *f = *state;
    http->beat_response = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"code\":20404}";
    assert_int_equal(scenario_http(f->scenario, &f->fail), 0);
    assert_int_equal(f->scenario->report.result.completed, 0);
    assert_non_null(strstr(fail_text(&f->scenario->report.result.first_error), "20404"));
}

static void test_beat__needs_its_instances(void **state)
{
    struct fixture *f = *state;
    http->response = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(scenario_http(f->scenario, &f->fail), E_IO);
    assert_non_null(strstr(fail_text(&f->fail), "25 of 25 instances could not be registered"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bulk__registers_each_instance_once, setup_bulk,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bulk__refusals_are_errors_with_status_and_text,
                                        setup_bulk, teardown),
        cmocka_unit_test_setup_teardown(test_bulk__a_server_that_drops_everyone_ends_it, setup_bulk,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_beat__registers_then_beats, setup_beat, teardown),
        cmocka_unit_test_setup_teardown(test_beat__other_codes_are_errors, setup_beat, teardown),
        cmocka_unit_test_setup_teardown(test_beat__needs_its_instances, setup_beat, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
