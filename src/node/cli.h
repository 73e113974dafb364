/* The command line: what to do, and with which options.
 *
 * Thread:  main.
 */
#ifndef NACRE_NODE_CLI_H
#define NACRE_NODE_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "base/fail.h"
#include "node/options.h"

#define CLI_ARGS_MAX 256

enum cli_command {
    CLI_SERVER,
    CLI_BACKUP,
    CLI_RESTORE,
    CLI_IMPORT,
    CLI_CLUSTER,
    CLI_HELP,
    CLI_VERSION
};

/* Plain data; texts point into argv. */
struct cli {
    enum cli_command command;
    const char *config_path; /* --config, or NULL */
    const char *operand; /* the file of backup, restore, import; what cluster is to do, or NULL */
    const char *address; /* of cluster add, remove, transfer, or NULL */
    const char *namespace_id; /* import --namespace, or NULL */
    const char *policy;       /* import --policy, or NULL */
    bool check_only;          /* restore --check */
    bool is_json;             /* cluster --json */
    struct option_arg args[CLI_ARGS_MAX];
    size_t args_count;
};

/* Understand argv. E_INVALID with what was not understood and what to write instead. */
MUST_USE int cli_parse(int argc, char *const *argv, struct cli *ret, struct fail *fail);

/* nacre --help. */
void cli_help(FILE *to);

#endif
