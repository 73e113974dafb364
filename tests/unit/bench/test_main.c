#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_socket.h"

extern char **environ;

struct outcome {
    int code;
    char out[16384];
    char err[1024];
};

static void read_file(FILE *file, char *dst, size_t size)
{
    rewind(file);
    size_t len = fread(dst, 1, size - 1, file);
    dst[len] = '\0';
    (void)fclose(file);
}

/* Run nacre-bench (NACRE_BENCH is the build's own) and take what it says. */
static void run(struct outcome *o, char **argv)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, fileno(err), STDERR_FILENO), 0);
    assert_int_equal(posix_spawn(&pid, NACRE_BENCH, &actions, NULL, argv, environ), 0);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    o->code = WEXITSTATUS(status);
    (void)posix_spawn_file_actions_destroy(&actions);
    read_file(out, o->out, sizeof(o->out));
    read_file(err, o->err, sizeof(o->err));
}

#define RUN(o, ...) run((o), (char *[]){"nacre-bench", __VA_ARGS__, NULL})

static void test_help__is_printed_and_fine(void **state)
{
    (void)state;
    struct outcome o;
    RUN(&o, "--help");
    assert_int_equal(o.code, 0);
    assert_non_null(strstr(o.out, "usage: nacre-bench COMMAND"));
    assert_string_equal(o.err, "");
}

static void test_wrong_command_line__is_2_and_says_why(void **state)
{
    (void)state;
    struct outcome o;
    RUN(&o, "query", "--connections", "many");
    assert_int_equal(o.code, 2);
    assert_string_equal(o.out, "");
    assert_non_null(strstr(o.err, "nacre-bench: --connections: expected a whole number"));
}

static void test_no_server__is_1_and_says_why(void **state)
{
    (void)state;
    struct outcome o;
    char server[32];
    unsigned port = 0;
    char *commands[] = {"register",   "subscribe",        "idle",    "bulk", "config-publish",
                        "config-get", "listen-to-notify", "http-get"};
    (void)close(fake_listen(&port));
    (void)snprintf(server, sizeof(server), "127.0.0.1:%u", port);
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char grpc[16];
        (void)snprintf(grpc, sizeof(grpc), "%u", port);
        RUN(&o, commands[i], "--server", server, "--grpc-port", grpc);
        assert_int_equal(o.code, 1);
        assert_non_null(strstr(o.err, "refused"));
    }
}

static void test_unknown_host__is_1_and_says_why(void **state)
{
    (void)state;
    struct outcome o;
    RUN(&o, "query", "--server", "no such host:1");
    assert_int_equal(o.code, 1);
    assert_non_null(strstr(o.err, "no such host"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help__is_printed_and_fine),
        cmocka_unit_test(test_wrong_command_line__is_2_and_says_why),
        cmocka_unit_test(test_no_server__is_1_and_says_why),
        cmocka_unit_test(test_unknown_host__is_1_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
