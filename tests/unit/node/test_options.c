#include "node/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "node/properties.h"

static char *no_environment[] = {NULL};

/* A temporary file with text; the caller frees the path after unlink. */
static char *write_file(const char *text)
{
    char *path = mem_strndup("/tmp/nacre-options-XXXXXX", 25);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void remove_file(char *path)
{
    unlink(path);
    mem_free(path);
}

static void test_defaults__nothing_given__are_nacos_compatible(void **state)
{
    (void)state;
    struct options o;
    struct options_source source = {.environment = no_environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), 0);
    assert_int_equal(o.server_port, 8848);
    assert_string_equal(o.context_path, "/nacos");
    assert_int_equal(o.push_ack_timeout_ms, 5000);
    assert_true(o.expire_instances);
    assert_false(o.auth_enabled);
    options_close(&o);
}

static void test_order__command_line_beats_environment_beats_file(void **state)
{
    (void)state;
    char *path = write_file("server.port=1001\nnacos.naming.push.pushTaskTimeout=700\n"
                            "nacos.naming.push.pushTaskRetryDelay=70\n");
    char *environment[] = {"NACOS_APPLICATION_PORT=1002", "NACOS_NAMING_PUSH_PUSHTASKTIMEOUT=800",
                           NULL};
    struct option_arg args[] = {{SPAN("server.port"), SPAN("1003")}};
    struct options o;
    struct options_source source = {.config_path = path,
                                    .config_required = true,
                                    .args = args,
                                    .args_count = 1,
                                    .environment = environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), 0);
    assert_int_equal(o.server_port, 1003);
    assert_int_equal(o.push_ack_timeout_ms, 800);
    assert_int_equal(o.push_retry_ms, 70);
    options_close(&o);
    remove_file(path);
}

static void expect_fail(const char *text, char *const *environment, const char *words)
{
    char *path = write_file(text);
    struct options o;
    struct options_source source = {
        .config_path = path, .config_required = true, .environment = environment};
    struct fail fail = {0};
    assert_true(options_load(&o, &source, &fail) < 0);
    if (!strstr(fail.text, words)) {
        fail_msg("expected \"%s\" in \"%s\"", words, fail.text);
    }
    remove_file(path);
}

static void test_value__bad__names_file_line_and_range(void **state)
{
    (void)state;
    expect_fail("\nserver.port=99999", no_environment, "line 2");
    expect_fail("server.port=99999", no_environment, "from 1 to 64534");
    expect_fail("server.port=abc", no_environment, "got \"abc\"");
    expect_fail("nacos.naming.expireInstance=perhaps", no_environment, "true or false");
    expect_fail("nacre.log.level=loud", no_environment, "error,warn,info,debug");
    expect_fail("server.servlet.contextPath=nacos", no_environment, "expected a path");
}

static void test_value__bad_in_environment__names_the_variable(void **state)
{
    (void)state;
    char *environment[] = {"NACOS_APPLICATION_PORT=http", NULL};
    expect_fail("", environment, "environment variable NACOS_APPLICATION_PORT");
}

static void test_promise__not_kept_by_this_version__is_refused(void **state)
{
    (void)state;
    expect_fail("nacos.core.auth.enabled=true", no_environment, "no authentication yet");
    expect_fail("nacos.remote.server.rpc.tls.enableTls=true", no_environment, "no TLS");
    expect_fail("spring.datasource.platform=mysql", no_environment, "expected one of");
}

static void test_key__unknown_in_file__is_a_warning_with_the_nearest_name(void **state)
{
    (void)state;
    char *path = write_file("server.prot=1\nspring.application.name=nacos\n");
    char *text = NULL;
    size_t size = 0;
    FILE *warnings = open_memstream(&text, &size);
    struct options o;
    struct options_source source = {.config_path = path,
                                    .config_required = true,
                                    .environment = no_environment,
                                    .warnings = warnings};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), 0);
    fclose(warnings);
    assert_non_null(strstr(text, "line 1: unknown key server.prot"));
    assert_non_null(strstr(text, "did you mean server.port"));
    assert_null(strstr(text, "spring.application"));
    free(text);
    options_close(&o);
    remove_file(path);
}

static void test_key__unknown_on_the_command_line__is_an_error(void **state)
{
    (void)state;
    struct option_arg args[] = {{SPAN("server.prot"), SPAN("1")}};
    struct options o;
    struct options_source source = {.args = args, .args_count = 1, .environment = no_environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), E_INVALID);
    assert_non_null(strstr(fail.text, "did you mean server.port"));
}

static void test_file__missing_but_required__is_an_error(void **state)
{
    (void)state;
    struct options o;
    struct options_source source = {.config_path = "/nowhere/at/all.properties",
                                    .config_required = true,
                                    .environment = no_environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), E_IO);
    source.config_required = false;
    assert_int_equal(options_load(&o, &source, &fail), 0);
    options_close(&o);
}

static void test_placeholder__environment_or_default__is_filled_in(void **state)
{
    (void)state;
    char *path = write_file("server.port=${P:9000}\nnacre.data=${A}/x/${B:${C:deep}}\n"
                            "nacre.log.file=${NONE}\n");
    char *environment[] = {"A=/tmp", NULL};
    struct options o;
    struct options_source source = {
        .config_path = path, .config_required = true, .environment = environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), 0);
    assert_int_equal(o.server_port, 9000);
    assert_string_equal(o.data_dir, "/tmp/x/deep");
    assert_string_equal(o.log_file, "${NONE}");
    options_close(&o);
    remove_file(path);
}

/* text, count times over. The caller frees it. */
static char *repeat(const char *begin, const char *text, size_t count)
{
    size_t begin_len = strlen(begin);
    size_t len = strlen(text);
    char *all = mem_zalloc(begin_len + len * count + 1, 1);
    memcpy(all, begin, begin_len);
    for (size_t i = 0; i < count; i++) {
        memcpy(all + begin_len + i * len, text, len);
    }
    return all;
}

static void test_placeholder__nested_too_deep__stays_as_it_is(void **state)
{
    (void)state;
    char *path = write_file("nacre.data=${A:${A:${A:${A:${A:${A:${A:${A:${A:x}}}}}}}}}\n"
                            "nacre.log.file=${${B}}${:}${C:}${\n");
    char *environment[] = {"B=never looked for", NULL};
    struct options o;
    struct options_source source = {
        .config_path = path, .config_required = true, .environment = environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), 0);
    assert_string_equal(o.data_dir, "${A:x}");
    assert_string_equal(o.log_file, "${${B}}${");
    options_close(&o);
    remove_file(path);
}

static void test_placeholder__thousands_of_them__cost_no_stack_and_little_memory(void **state)
{
    (void)state;
    char *text = repeat("server.port=", "${P:}", 13000);
    char *path = write_file(text);
    char *environment[] = {"Q=1", NULL};
    struct options o;
    struct options_source source = {
        .config_path = path, .config_required = true, .environment = environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), E_INVALID);
    assert_non_null(strstr(fail.text, "got \"\""));
    remove_file(path);
    mem_free(text);
}

static void test_placeholder__value_grows_too_long__is_refused(void **state)
{
    (void)state;
    char *variable = repeat("LONG=", "0123456789abcdef", 1000);
    char *environment[] = {variable, NULL};
    expect_fail("nacre.data=${LONG}${LONG}${LONG}${LONG}${LONG}", environment,
                "nacre.data: over 65536 bytes once its placeholders are replaced");
    expect_fail("nacre.data=${LONG}", environment, "nacre.data: expected at most 2048 bytes");
    mem_free(variable);
}

static void test_file__same_key_ten_thousand_times__last_one_counts(void **state)
{
    (void)state;
    char *text = repeat("", "nacre.data=/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y\n",
                        PROPERTIES_MAX - 1);
    char *all = repeat(text, "nacre.data=/last\n", 1);
    char *path = write_file(all);
    struct options o;
    struct options_source source = {
        .config_path = path, .config_required = true, .environment = no_environment};
    struct fail fail = {0};
    assert_int_equal(options_load(&o, &source, &fail), 0);
    assert_string_equal(o.data_dir, "/last");
    options_close(&o);
    remove_file(path);
    mem_free(all);
    mem_free(text);
}

static void test_print__lists_every_key_with_its_range(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    options_print(to);
    fclose(to);
    assert_non_null(strstr(text, "server.port=8848"));
    assert_non_null(strstr(text, "(1 to 64534)"));
    assert_non_null(strstr(text, "NACOS_APPLICATION_PORT"));
    free(text);
}

static void test_bytes__with_a_unit__are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } cases[] = {
        {"33554432", 33554432}, {"32MB", 33554432}, {"32 mb", 33554432}, {"64KB", 65536},
        {"2GB", 2147483648},    {"MB", -1},         {"-1MB", -1},        {"1.5MB", -1},
        {"9999999999GB", -1},   {"32M", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct option_arg arg = {SPAN("nacre.config.memory.max"), span_str(cases[i].text)};
        struct options_source source = {.args = &arg, .args_count = 1};
        struct options o;
        struct fail fail = {0};
        int err = options_load(&o, &source, &fail);
        assert_int_equal(err, cases[i].bytes < 0 ? E_INVALID : 0);
        if (!err) {
            assert_true(o.config_memory_max == cases[i].bytes);
            options_close(&o);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes__with_a_unit__are_read),
        cmocka_unit_test(test_defaults__nothing_given__are_nacos_compatible),
        cmocka_unit_test(test_order__command_line_beats_environment_beats_file),
        cmocka_unit_test(test_value__bad__names_file_line_and_range),
        cmocka_unit_test(test_value__bad_in_environment__names_the_variable),
        cmocka_unit_test(test_promise__not_kept_by_this_version__is_refused),
        cmocka_unit_test(test_key__unknown_in_file__is_a_warning_with_the_nearest_name),
        cmocka_unit_test(test_key__unknown_on_the_command_line__is_an_error),
        cmocka_unit_test(test_file__missing_but_required__is_an_error),
        cmocka_unit_test(test_placeholder__environment_or_default__is_filled_in),
        cmocka_unit_test(test_placeholder__nested_too_deep__stays_as_it_is),
        cmocka_unit_test(test_placeholder__thousands_of_them__cost_no_stack_and_little_memory),
        cmocka_unit_test(test_placeholder__value_grows_too_long__is_refused),
        cmocka_unit_test(test_file__same_key_ten_thousand_times__last_one_counts),
        cmocka_unit_test(test_print__lists_every_key_with_its_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
