#include "node/commands.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/members.h"
#include "node/backup.h"
#include "node/control.h"
#include "node/import_command.h"

/* The node has another working directory. */
static int absolute(const char *file, char dst[PATH_MAX * 2], struct fail *fail)
{
    char cwd[PATH_MAX];
    if (file[0] == '/') {
        snprintf(dst, PATH_MAX * 2, "%s", file);
        return 0;
    }
    if (!getcwd(cwd, sizeof(cwd))) {
        return fail_set(fail, E_IO, "the current directory is gone; give an absolute file name");
    }
    snprintf(dst, PATH_MAX * 2, "%s/%s", cwd, file);
    return 0;
}

static int run_backup(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char file[PATH_MAX * 2];
    char command[PATH_MAX * 2 + 16];
    int err = absolute(cli->operand, file, fail);
    if (err) {
        return err;
    }
    snprintf(command, sizeof(command), "backup %s", file);
    return control_ask(options->data_dir, command, stdout, fail);
}

static int run_restore(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char about[BACKUP_ABOUT_MAX] = "";
    if (!cli->check_only) {
        return backup_restore(cli->operand, options->data_dir, stdout, fail);
    }
    int err = backup_check(cli->operand, about, fail);
    if (!err) {
        printf("%s is a whole backup\n%s", cli->operand, about);
    }
    return err;
}

/* One address as the node will understand it, or why it is none. */
static int check_address(const char *text, struct fail *fail)
{
    struct member_list list = {0};
    int err = members_parse("the address", span_str(text), MEMBER_PORT_DEFAULT, &list, fail);
    if (!err && list.count != 1) {
        return fail_set(fail, E_INVALID, "%s: expected one address, HOST:PORT", text);
    }
    return err;
}

static int run_cluster(const struct cli *cli, const struct options *options, struct fail *fail)
{
    char command[CONTROL_LINE_MAX];
    const char *verb = cli->operand ? cli->operand : "members";
    int err = cli->address ? check_address(cli->address, fail) : 0;
    if (err) {
        return err;
    }
    bool is_json = cli->is_json && strcmp(verb, "members") == 0;
    snprintf(command, sizeof(command), "cluster %s%s%s%s", verb, is_json ? "-json" : "",
             cli->address ? " " : "", cli->address ? cli->address : "");
    return control_ask(options->data_dir, command, stdout, fail);
}

int commands_run(const struct cli *cli, const struct options *options, struct fail *fail)
{
    switch (cli->command) {
    case CLI_BACKUP:
        return run_backup(cli, options, fail);
    case CLI_RESTORE:
        return run_restore(cli, options, fail);
    case CLI_IMPORT:
        return import_command(cli, options, fail);
    case CLI_CLUSTER:
        return run_cluster(cli, options, fail);
    case CLI_SERVER:
    case CLI_HELP:
    case CLI_VERSION:
        break;
    }
    return fail_set(fail, E_INTERNAL, "no such command");
}
