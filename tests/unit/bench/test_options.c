#include "bench/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#define PARSE(o, fail, ...) parse((o), (fail), (char *[]){__VA_ARGS__, NULL})

static int parse(struct options *o, struct fail *fail, char **argv)
{
    int argc = 0;
    while (argv[argc]) {
        argc++;
    }
    *fail = (struct fail){0};
    return options_parse(argc, argv, o, fail);
}

static void test_defaults__are_those_of_the_command(void **state)
{
    (void)state;
    struct options o;
    struct fail fail;
    assert_int_equal(PARSE(&o, &fail, "query"), 0);
    assert_int_equal(o.command, CMD_QUERY);
    assert_string_equal(o.host, "127.0.0.1");
    assert_int_equal(o.port, 8848);
    assert_int_equal(o.grpc_port, 9848);
    assert_int_equal(o.connections, 100);
    assert_int_equal(o.instances, 10);
    assert_int_equal(o.services, 1);
    assert_true(o.rate <= 0);
    assert_false(o.json);
    assert_int_equal(PARSE(&o, &fail, "bulk"), 0);
    assert_int_equal(o.instances, 10000);
    assert_int_equal(o.services, 1000);
    assert_int_equal(PARSE(&o, &fail, "config-publish"), 0);
    assert_int_equal(o.configs, 0);
    assert_int_equal(o.content_bytes, 36);
    assert_int_equal(o.count, 0);
    assert_int_equal(PARSE(&o, &fail, "listen-to-notify"), 0);
    assert_int_equal(o.configs, 10);
    assert_int_equal(o.subscribers, 100);
}

static void test_every_option_is_taken(void **state)
{
    (void)state;
    struct options o;
    struct fail fail;
    assert_int_equal(PARSE(&o, &fail, "register", "--server", "[::1]:21000", "--grpc-port", "7",
                           "--connections", "5", "--inflight", "3", "--rate", "1.5e3", "--seconds",
                           "0.5", "--warmup", "0", "--pid", "42", "--json", "--one-service",
                           "--same", "--namespace", "n-1", "--group", "g.1", "--service", "a_b"),
                     0);
    assert_string_equal(o.host, "::1");
    assert_int_equal(o.port, 21000);
    assert_int_equal(o.grpc_port, 7);
    assert_int_equal(o.connections, 5);
    assert_int_equal(o.inflight, 3);
    assert_true(o.rate > 1499 && o.rate < 1501);
    assert_true(o.seconds > 0.49 && o.seconds < 0.51);
    assert_true(o.warmup_s <= 0);
    assert_int_equal(o.pid, 42);
    assert_true(o.json && o.same);
    assert_int_equal(o.services, 1);
    assert_string_equal(o.namespace_id, "n-1");
    assert_string_equal(o.group, "g.1");
    assert_string_equal(o.service, "a_b");
    assert_int_equal(
        PARSE(&o, &fail, "raw", "--type", "T", "--body", "{}", "--expect", "", "--setup"), 0);
    assert_string_equal(o.type, "T");
    assert_string_equal(o.body, "{}");
    assert_string_equal(o.expect, "");
    assert_true(o.setup);
    assert_int_equal(PARSE(&o, &fail, "subscribe", "--subscribers", "9", "--interval-ms", "0"), 0);
    assert_int_equal(o.subscribers, 9);
    assert_int_equal(o.interval_ms, 0);
    assert_int_equal(o.publish_port, 0);
    assert_int_equal(PARSE(&o, &fail, "subscribe", "--publish-port", "9850"), 0);
    assert_int_equal(o.publish_port, 9850);
    assert_int_equal(PARSE(&o, &fail, "http-beat", "--instances", "3", "--services", "2"), 0);
    assert_int_equal(o.instances, 3);
    assert_int_equal(PARSE(&o, &fail, "config-publish", "--configs", "7", "--content-bytes", "5120",
                           "--count", "9", "--data-id", "d.1", "--inflight", "2"),
                     0);
    assert_int_equal(o.configs, 7);
    assert_int_equal(o.content_bytes, 5120);
    assert_int_equal(o.count, 9);
    assert_string_equal(o.service, "d.1");
    assert_int_equal(PARSE(&o, &fail, "listen-to-notify", "--listeners", "3"), 0);
    assert_int_equal(o.subscribers, 3);
}

static void assert_refused(int err, const struct fail *fail, const char *text)
{
    assert_int_equal(err, E_INVALID);
    if (!strstr(fail_text(fail), text)) {
        fail_msg("\"%s\" does not say \"%s\"", fail_text(fail), text);
    }
}

static void test_refusals__say_what_was_expected_and_found(void **state)
{
    (void)state;
    struct options o;
    struct fail fail;
    assert_refused(options_parse(0, NULL, &o, &fail), &fail, "expected a command");
    assert_refused(PARSE(&o, &fail, "fly"), &fail, "unknown command \"fly\"");
    assert_refused(PARSE(&o, &fail, "query", "--fly"), &fail, "unknown option \"--fly\"");
    assert_refused(PARSE(&o, &fail, "query", "fly"), &fail, "unknown option \"fly\"");
    assert_refused(PARSE(&o, &fail, "query", "--rate"), &fail,
                   "expected N after it, found the end");
    assert_refused(PARSE(&o, &fail, "query", "--rate", "fast"), &fail, "expected a number from 0");
    assert_refused(PARSE(&o, &fail, "query", "--connections", "1.5"), &fail,
                   "expected a whole number from 1");
    assert_refused(PARSE(&o, &fail, "query", "--connections", "0"), &fail, "found \"0\"");
    assert_refused(PARSE(&o, &fail, "query", "--connections", ""), &fail, "found \"\"");
    assert_refused(PARSE(&o, &fail, "query", "--connections", "99999999999999999999"), &fail,
                   "--connections");
    assert_refused(PARSE(&o, &fail, "query", "--subscribers", "5"), &fail,
                   "--subscribers has no meaning for \"query\"");
    assert_refused(PARSE(&o, &fail, "register", "--publish-port", "5"), &fail, "no meaning");
    assert_refused(PARSE(&o, &fail, "http-beat", "--inflight", "5"), &fail, "no meaning");
    assert_refused(PARSE(&o, &fail, "http-get", "--inflight", "5"), &fail, "no meaning");
    assert_refused(PARSE(&o, &fail, "config-get", "--count", "5"), &fail, "no meaning");
    assert_refused(PARSE(&o, &fail, "config-get", "--service", "a"), &fail, "no meaning");
    assert_refused(PARSE(&o, &fail, "query", "--configs", "5"), &fail, "no meaning");
    assert_refused(PARSE(&o, &fail, "config-get", "--content-bytes", "9"), &fail, "from 10");
    assert_refused(PARSE(&o, &fail, "register", "--service", "a b"), &fail, "letters, digits");
    assert_refused(PARSE(&o, &fail, "register", "--group", ""), &fail, "letters, digits");
}

static void test_server__host_and_port_are_both_wanted(void **state)
{
    (void)state;
    struct options o;
    struct fail fail;
    char long_host[OPTION_NAME_MAX + 8];
    memset(long_host, 'h', sizeof(long_host));
    memcpy(long_host + sizeof(long_host) - 4, ":99", 4);
    assert_refused(PARSE(&o, &fail, "query", "--server", "localhost"), &fail, "expected HOST:PORT");
    assert_refused(PARSE(&o, &fail, "query", "--server", ":8848"), &fail, "expected HOST:PORT");
    assert_refused(PARSE(&o, &fail, "query", "--server", "a:0"), &fail, "expected HOST:PORT");
    assert_refused(PARSE(&o, &fail, "query", "--server", "a:65536"), &fail, "expected HOST:PORT");
    assert_refused(PARSE(&o, &fail, "query", "--server", "a:x"), &fail, "expected HOST:PORT");
    assert_refused(PARSE(&o, &fail, "query", "--server", long_host), &fail, "expected HOST:PORT");
    assert_refused(PARSE(&o, &fail, "query", "--server", "a:65000"), &fail, "--grpc-port");
    assert_int_equal(PARSE(&o, &fail, "bulk", "--server", "a:65000"), 0);
}

static void test_help__wins_over_errors_that_follow(void **state)
{
    (void)state;
    struct options o;
    struct fail fail;
    assert_int_equal(PARSE(&o, &fail, "--help"), 0);
    assert_true(o.help);
    assert_int_equal(PARSE(&o, &fail, "query", "-h", "--nonsense"), 0);
    assert_true(o.help);
}

static void test_help__names_every_command(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    options_help(out);
    assert_int_equal(fclose(out), 0);
    for (unsigned i = 0; i < CMD_COUNT; i++) {
        assert_non_null(strstr(text, command_name((enum command)i)));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults__are_those_of_the_command),
        cmocka_unit_test(test_every_option_is_taken),
        cmocka_unit_test(test_refusals__say_what_was_expected_and_found),
        cmocka_unit_test(test_server__host_and_port_are_both_wanted),
        cmocka_unit_test(test_help__wins_over_errors_that_follow),
        cmocka_unit_test(test_help__names_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
