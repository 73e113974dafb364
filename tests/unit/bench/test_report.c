#include "bench/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

struct fixture {
    struct options options;
    struct report report;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->options = (struct options){.command = CMD_QUERY, .connections = 100, .inflight = 2};
    f->report.options = &f->options;
    f->report.unit = "requests";
    f->report.result.completed = 1000;
    f->report.result.usage = (struct usage){.has_server = true,
                                            .elapsed_ns = 2000000000,
                                            .server_cpu_ns = 20000000,
                                            .self_cpu_ns = 10000000,
                                            .server_rss_kb = 2048};
    for (unsigned i = 0; i < 1000; i++) {
        histogram_add(&f->report.result.latency, 64000);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* What the report prints; the caller frees it. */
static char *printed(const struct report *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    report_print(r, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("no \"%s\" in:\n%s", part, text);
    }
}

static void test_text__rate_latency_cpu(void **state)
{
    struct fixture *f = *state;
    report_add(&f->report, "total_s", 1.5);
    char *text = printed(&f->report);
    assert_has(text, "query: 100 connections x 2 in flight, 2.00 s\n");
    assert_has(text, "500 requests/s (1000)");
    assert_has(text, "p50 0.064 ms, p99 0.064 ms, p99.9 0.064 ms, max 0.064 ms");
    assert_has(text, "errors     0\n");
    assert_has(text, "server     20.0 us CPU each, 1.0 % of a core, RSS 2.0 MB");
    assert_has(text, "generator  10.0 us CPU each, 0.5 % of a core");
    assert_has(text, "total_s 1.500");
    assert_null(strstr(text, "note"));
    free(text);
}

static void test_text__first_error_and_notes(void **state)
{
    struct fixture *f = *state;
    f->report.result.unsent = 7;
    f->report.result.usage.self_cpu_ns = 1900000000;
    f->options.rate = 100;
    report_error(&f->report, E_IO, "first");
    report_error(&f->report, E_IO, "second");
    char *text = printed(&f->report);
    assert_has(text, "open loop at 100/s");
    assert_has(text, "errors     2: first\n");
    assert_has(text, "7 requests were due and never sent");
    assert_has(text, "the generator itself was busy");
    free(text);
}

static void test_json__is_one_object_on_one_line(void **state)
{
    struct fixture *f = *state;
    f->options.json = true;
    report_add(&f->report, "open_s", 0.25);
    report_error(&f->report, E_IO, "say \"why\"");
    char *text = printed(&f->report);
    assert_has(text, "{\"command\":\"query\",\"connections\":100,\"inflight\":2,\"seconds\":2.000,"
                     "\"completed\":1000,\"errors\":1,"
                     "\"first_error\":\"say \\\"why\\\"\",\"rate_per_s\":500.000,");
    assert_has(text, "\"p50_us\":64.000");
    assert_has(text, "\"server_cpu_us\":20.000");
    assert_has(text, "\"server_rss_kb\":2048");
    assert_has(text, "\"open_s\":0.250}\n");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    free(text);
}

static void test_nothing_done__divides_by_nothing(void **state)
{
    struct fixture *f = *state;
    memset(&f->report.result, 0, sizeof(f->report.result));
    char *text = printed(&f->report);
    assert_null(strstr(text, "latency"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    free(text);
    f->options.json = true;
    text = printed(&f->report);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf,"));
    assert_null(strstr(text, "p50_us"));
    free(text);
}

static void test_subscribe__has_its_own_head(void **state)
{
    struct fixture *f = *state;
    f->options.command = CMD_SUBSCRIBE;
    f->options.subscribers = 1000;
    f->options.interval_ms = 100;
    char *text = printed(&f->report);
    assert_has(text, "subscribe: 1000 subscribers, a change every 100 ms, 2.00 s\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text__rate_latency_cpu, setup, teardown),
        cmocka_unit_test_setup_teardown(test_text__first_error_and_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__is_one_object_on_one_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_done__divides_by_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscribe__has_its_own_head, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
