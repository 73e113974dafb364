/* The program: arguments, signals, exit code.
 *
 * Signals are blocked before any thread exists (gRPC's threads inherit the mask) and taken here by
 * sigwait.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "node/cli.h"
#include "node/commands.h"
#include "node/node.h"
#include "node/options.h"

#define CONFIG_DEFAULT "conf/application.properties"
#define TRIM_BYTES (128 * 1024)
#define TICK_S 1

enum exit_code { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int complain(const struct fail *fail, enum exit_code code)
{
    fprintf(stderr, "nacre: %s\n", fail_text(fail));
    return code;
}

static enum log_level level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum log_level)i;
        }
    }
    return LOG_LEVEL_INFO;
}

/* glibc keeps freed memory up to a threshold that grows with use; a server that was busy once would
 * stay large. */
static void bound_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, TRIM_BYTES);
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
}

static int serve(const struct options *options, const sigset_t *signals)
{
    struct node *node = NULL;
    struct fail fail = {0};
    int err = node_start(options, &node, &fail);
    if (err) {
        return err == E_CLOSED ? EXIT_FINE : complain(&fail, EXIT_FAILED);
    }
    struct timespec pause = {.tv_sec = TICK_S};
    int signal_number = -1;
    while ((signal_number = sigtimedwait(signals, NULL, &pause)) < 0) {
        node_tick(node); /* nobody has called for TICK_S */
    }
    LOG_INFO("main", "event=signal number=%d", signal_number);
    node_stop(node);
    LOG_INFO("main", "event=stopped");
    return EXIT_FINE;
}

static int run_command(const struct cli *cli, const struct options *options)
{
    struct fail fail = {0};
    return commands_run(cli, options, &fail) == 0 ? EXIT_FINE : complain(&fail, EXIT_FAILED);
}

static int run_server(const struct options *options)
{
    struct fail fail = {0};
    log_set_level(level_of(options->log_level));
    if (options->log_file[0] && log_open(options->log_file, (uint64_t)options->log_size_max) != 0) {
        fail_set(&fail, E_IO, "cannot open the log file %s: %s", options->log_file,
                 strerror(errno));
        return complain(&fail, EXIT_FAILED);
    }
    sigset_t signals;
    block_signals(&signals);
    return serve(options, &signals);
}

static int run(const struct cli *cli)
{
    struct options options;
    struct fail fail = {0};
    struct options_source source = {
        .config_path = cli->config_path ? cli->config_path : CONFIG_DEFAULT,
        .config_required = cli->config_path != NULL,
        .args = cli->args,
        .args_count = cli->args_count,
        .environment = environ,
        .warnings = stderr,
    };
    if (options_load(&options, &source, &fail) != 0) {
        return complain(&fail, EXIT_USAGE);
    }
    int code = cli->command == CLI_SERVER ? run_server(&options) : run_command(cli, &options);
    options_close(&options);
    return code;
}

int main(int argc, char **argv)
{
    bound_memory();
    thread_become(THREAD_MAIN, "nacre");
    struct cli cli;
    struct fail fail = {0};
    if (cli_parse(argc, argv, &cli, &fail) != 0) {
        return complain(&fail, EXIT_USAGE);
    }
    switch (cli.command) {
    case CLI_HELP:
        cli_help(stdout);
        return EXIT_FINE;
    case CLI_VERSION:
        printf("nacre " NACRE_VERSION "\n");
        return EXIT_FINE;
    case CLI_SERVER:
    case CLI_BACKUP:
    case CLI_RESTORE:
    case CLI_IMPORT:
    case CLI_CLUSTER:
        return run(&cli);
    }
    return EXIT_USAGE;
}
