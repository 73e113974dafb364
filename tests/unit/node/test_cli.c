#include "node/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PARSE(cli, fail, ...)                                                                      \
    cli_parse((int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[]){__VA_ARGS__},    \
              (cli), (fail))

static void test_server__is_the_default_command(void **state)
{
    (void)state;
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(PARSE(&cli, &fail, "nacre"), 0);
    assert_int_equal(cli.command, CLI_SERVER);
    assert_int_equal(cli.args_count, 0);
}

static void test_options__all_forms__become_keys(void **state)
{
    (void)state;
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "--port", "1", "-D", "a=b", "-Dc=d=e",
                           "--f=g", "--config", "x", "--data", "y"),
                     0);
    assert_int_equal(cli.args_count, 5);
    assert_true(span_eq(cli.args[0].key, SPAN("server.port")));
    assert_true(span_eq(cli.args[2].value, SPAN("d=e")));
    assert_true(span_eq(cli.args[3].key, SPAN("f")));
    assert_true(span_eq(cli.args[4].key, SPAN("nacre.data")));
    assert_string_equal(cli.config_path, "x");
}

static void test_help_and_version__win_anywhere(void **state)
{
    (void)state;
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "--help"), 0);
    assert_int_equal(cli.command, CLI_HELP);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "--version"), 0);
    assert_int_equal(cli.command, CLI_VERSION);
}

static void test_bad__says_what_to_write(void **state)
{
    (void)state;
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(PARSE(&cli, &fail, "nacre", "serve"), E_INVALID);
    assert_non_null(strstr(fail.text, "serve is not a command"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "--port"), E_INVALID);
    assert_non_null(strstr(fail.text, "--port 8848"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "-D"), E_INVALID);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "-D", "novalue"), E_INVALID);
    assert_non_null(strstr(fail.text, "key=value"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "stray"), E_INVALID);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "--config"), E_INVALID);
}

static void test_commands__beside_the_server__take_their_file(void **state)
{
    (void)state;
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(PARSE(&cli, &fail, "nacre", "backup", "--data", "d", "f"), 0);
    assert_int_equal(cli.command, CLI_BACKUP);
    assert_string_equal(cli.operand, "f");
    assert_int_equal(PARSE(&cli, &fail, "nacre", "restore", "f", "--check"), 0);
    assert_true(cli.check_only);
    assert_int_equal(
        PARSE(&cli, &fail, "nacre", "import", "z", "--namespace", "n", "--policy", "SKIP"), 0);
    assert_string_equal(cli.namespace_id, "n");
    assert_string_equal(cli.policy, "SKIP");
    assert_int_equal(PARSE(&cli, &fail, "nacre", "backup"), E_INVALID);
    assert_non_null(strstr(fail.text, "the file to write"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "backup", "f", "g"), E_INVALID);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "server", "--check"), E_INVALID);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "import", "z", "--policy"), E_INVALID);
}

static void test_cluster__verbs_and_addresses__are_checked(void **state)
{
    (void)state;
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster"), 0);
    assert_int_equal(cli.command, CLI_CLUSTER);
    assert_null(cli.operand);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "--json", "--data", "d"), 0);
    assert_true(cli.is_json);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "add", "n4:8848"), 0);
    assert_string_equal(cli.operand, "add");
    assert_string_equal(cli.address, "n4:8848");
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "transfer"), 0);
    assert_null(cli.address);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "add"), E_INVALID);
    assert_non_null(strstr(fail.text, "n4:8848"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "members", "n4"), E_INVALID);
    assert_non_null(strstr(fail.text, "takes no address"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "dance"), E_INVALID);
    assert_non_null(strstr(fail.text, "transfer [HOST:PORT]"));
    assert_int_equal(PARSE(&cli, &fail, "nacre", "cluster", "add", "a", "b"), E_INVALID);
    assert_int_equal(PARSE(&cli, &fail, "nacre", "backup", "f", "--json"), E_INVALID);
}

static void test_options__too_many__are_refused(void **state)
{
    (void)state;
    char *argv[CLI_ARGS_MAX + 3];
    argv[0] = "nacre";
    argv[1] = "server";
    for (int i = 0; i <= CLI_ARGS_MAX; i++) {
        argv[i + 2] = "-Da=b";
    }
    struct cli cli;
    struct fail fail = {0};
    assert_int_equal(cli_parse(CLI_ARGS_MAX + 3, argv, &cli, &fail), E_LIMIT);
}

static void test_help__names_commands_and_options(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cli_help(to);
    fclose(to);
    assert_non_null(strstr(text, "nacre server"));
    assert_non_null(strstr(text, "server.port"));
    assert_non_null(strstr(text, "curl"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server__is_the_default_command),
        cmocka_unit_test(test_options__all_forms__become_keys),
        cmocka_unit_test(test_help_and_version__win_anywhere),
        cmocka_unit_test(test_bad__says_what_to_write),
        cmocka_unit_test(test_commands__beside_the_server__take_their_file),
        cmocka_unit_test(test_cluster__verbs_and_addresses__are_checked),
        cmocka_unit_test(test_options__too_many__are_refused),
        cmocka_unit_test(test_help__names_commands_and_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
