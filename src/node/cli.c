#include "node/cli.h"

#include <string.h>

struct short_form {
    const char *flag;
    const char *key;
    const char *what;
};

static const struct short_form short_forms[] = {
    {"--port", "server.port", "a number, for example --port 8848"},
    {"--data", "nacre.data", "a directory, for example --data /var/lib/nacre"},
    {"--members", "nacre.members", "a list, for example --members n1:8848,n2:8848,n3:8848"},
    {"--address", "server.address", "an address, for example --address 127.0.0.1"},
};

static const struct {
    const char *name;
    enum cli_command command;
    const char *operand; /* what it needs, or NULL */
} commands[] = {
    {"server", CLI_SERVER, NULL},
    {"backup", CLI_BACKUP, "the file to write"},
    {"restore", CLI_RESTORE, "the backup file"},
    {"import", CLI_IMPORT, "the zip file of an export"},
    {"cluster", CLI_CLUSTER, NULL},
    {"help", CLI_HELP, NULL},
};

static int add_arg(struct cli *cli, struct span key, struct span value, struct fail *fail)
{
    if (cli->args_count == CLI_ARGS_MAX) {
        return fail_set(fail, E_LIMIT,
                        "more than %d options; put them into a file and use --config",
                        CLI_ARGS_MAX);
    }
    cli->args[cli->args_count++] = (struct option_arg){key, value};
    return 0;
}

/* key=value of -D, --key=value. */
static int add_pair(struct cli *cli, const char *text, struct fail *fail)
{
    struct span rest = span_str(text);
    struct span key = span_cut(&rest, '=');
    if (key.len == strlen(text)) {
        return fail_set(fail, E_INVALID, "%s: expected key=value, for example -D server.port=8848",
                        text);
    }
    return add_arg(cli, key, rest.data ? rest : span_of("", 0), fail);
}

/* Understand argv[*i]; moves *i over a value that it takes. */
static int parse_option(int argc, char *const *argv, int *i, struct cli *cli, struct fail *fail)
{
    const char *a = argv[*i];
    bool has_next = *i + 1 < argc;
    if (strcmp(a, "-D") == 0) {
        if (!has_next) {
            return fail_set(fail, E_INVALID, "-D: expected key=value after it");
        }
        return add_pair(cli, argv[++*i], fail);
    }
    if (strncmp(a, "-D", 2) == 0) {
        return add_pair(cli, a + 2, fail);
    }
    if (strcmp(a, "--config") == 0) {
        if (!has_next) {
            return fail_set(fail, E_INVALID, "--config: expected a file after it");
        }
        cli->config_path = argv[++*i];
        return 0;
    }
    for (size_t f = 0; f < ARRAY_LEN(short_forms); f++) {
        if (strcmp(a, short_forms[f].flag) == 0) {
            if (!has_next) {
                return fail_set(fail, E_INVALID, "%s: expected %s", a, short_forms[f].what);
            }
            return add_arg(cli, span_str(short_forms[f].key), span_str(argv[++*i]), fail);
        }
    }
    if (strncmp(a, "--", 2) == 0 && strchr(a, '=')) {
        return add_pair(cli, a + 2, fail);
    }
    return fail_set(fail, E_INVALID, "%s is not an option of nacre server; see nacre --help", a);
}

/* argv[1], if it is no option. */
static int parse_command(const char *word, struct cli *cli, struct fail *fail)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(word, commands[i].name) == 0) {
            cli->command = commands[i].command;
            return 0;
        }
    }
    return fail_set(fail, E_INVALID,
                    "%s is not a command of nacre; this version has: server, cluster, backup, "
                    "restore, import, help",
                    word);
}

/* Options and operands that only one command has. True: it was one of them. */
static bool parse_own(int argc, char *const *argv, int *i, struct cli *cli)
{
    const char *a = argv[*i];
    bool has_next = *i + 1 < argc;
    if (cli->command == CLI_RESTORE && strcmp(a, "--check") == 0) {
        cli->check_only = true;
        return true;
    }
    if (cli->command == CLI_IMPORT && has_next && strcmp(a, "--namespace") == 0) {
        cli->namespace_id = argv[++*i];
        return true;
    }
    if (cli->command == CLI_IMPORT && has_next && strcmp(a, "--policy") == 0) {
        cli->policy = argv[++*i];
        return true;
    }
    if (cli->command == CLI_CLUSTER && strcmp(a, "--json") == 0) {
        cli->is_json = true;
        return true;
    }
    if (cli->command == CLI_CLUSTER && a[0] != '-' && !cli->address) {
        *(cli->operand ? &cli->address : &cli->operand) = a;
        return true;
    }
    bool takes_file =
        cli->command == CLI_BACKUP || cli->command == CLI_RESTORE || cli->command == CLI_IMPORT;
    if (takes_file && !cli->operand && a[0] != '-') {
        cli->operand = a;
        return true;
    }
    return false;
}

/* What cluster is to do, and with which address. */
static int check_cluster(const struct cli *cli, struct fail *fail)
{
    static const struct {
        const char *verb;
        bool needs_address, may_have_address;
    } verbs[] = {
        {"members", false, false},
        {"add", true, true},
        {"remove", true, true},
        {"transfer", false, true},
    };
    const char *verb = cli->operand ? cli->operand : "members";
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(verb, verbs[i].verb) != 0) {
            continue;
        }
        if (verbs[i].needs_address && !cli->address) {
            return fail_set(fail, E_INVALID,
                            "nacre cluster %s: expected an address after it, for example n4:8848",
                            verb);
        }
        if (!verbs[i].may_have_address && cli->address) {
            return fail_set(fail, E_INVALID, "nacre cluster %s takes no address (%s)", verb,
                            cli->address);
        }
        return 0;
    }
    return fail_set(fail, E_INVALID,
                    "nacre cluster %s: expected members, add HOST:PORT, remove HOST:PORT or "
                    "transfer [HOST:PORT]",
                    verb);
}

static int check_operand(const struct cli *cli, struct fail *fail)
{
    if (cli->command == CLI_CLUSTER) {
        return check_cluster(cli, fail);
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (commands[i].command == cli->command && commands[i].operand && !cli->operand) {
            return fail_set(fail, E_INVALID, "nacre %s: expected %s after it", commands[i].name,
                            commands[i].operand);
        }
    }
    return 0;
}

int cli_parse(int argc, char *const *argv, struct cli *ret, struct fail *fail)
{
    struct cli cli = {.command = CLI_SERVER};
    int first = 1;
    if (argc > 1 && argv[1][0] != '-') {
        int err = parse_command(argv[1], &cli, fail);
        if (err) {
            return err;
        }
        first = 2;
    }
    for (int i = first; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            cli.command = CLI_HELP;
            break;
        }
        if (strcmp(argv[i], "--version") == 0) {
            cli.command = CLI_VERSION;
            break;
        }
        int err = parse_own(argc, argv, &i, &cli) ? 0 : parse_option(argc, argv, &i, &cli, fail);
        if (err) {
            return err;
        }
    }
    int err = check_operand(&cli, fail);
    if (!err) {
        *ret = cli;
    }
    return err;
}

void cli_help(FILE *to)
{
    fprintf(
        to,
        "Nacre " NACRE_VERSION
        ": a service registry and configuration centre that Nacos 2.x clients use "
        "unchanged.\n"
        "\n"
        "  nacre server [--port 8848] [--data DIR] [--address A] [--config FILE] [-D key=value "
        "...]\n"
        "  nacre cluster [members [--json] | add HOST:PORT | remove HOST:PORT | transfer "
        "[HOST:PORT]]\n"
        "                [--data DIR]\n"
        "  nacre backup FILE [--data DIR]\n"
        "  nacre restore FILE [--data DIR] [--check]\n"
        "  nacre import FILE.zip [--namespace ID] [--policy ABORT|SKIP|OVERWRITE] [--port 8848]\n"
        "  nacre --help | --version\n"
        "\n"
        "The server listens on the main port (HTTP and the page under /nacos) and on main port + "
        "1000\n"
        "(gRPC of the clients). It stops on SIGTERM or SIGINT, sending its clients away first.\n"
        "Everything it acknowledges is on disk in the data directory.\n"
        "\n"
        "cluster asks the node that runs on the data directory, on any machine of the cluster: "
        "members\n"
        "shows who is there, who leads, and how far each is behind; add takes in the empty node "
        "that runs\n"
        "at an address, remove lets a member go, transfer hands leadership to another. Addresses "
        "are those\n"
        "of main ports. An order counts until the next one, whatever lists of members say.\n"
        "\n"
        "backup writes the running node's whole state to one file; restore checks such a file and "
        "puts\n"
        "it into an empty data directory (--check: only checks it). import sends the zip that a "
        "Nacos or\n"
        "Nacre console exported to the running node.\n"
        "\n"
        "Options, later wins: default, the file given by --config or conf/application.properties "
        "in the\n"
        "current directory, environment, command line. A key's environment variable is its name "
        "in\n"
        "upper case with dots as underscores and without dashes, or the docker image's name "
        "below.\n"
        "\n");
    options_print(to);
    fprintf(to,
            "\n"
            "Try it:\n"
            "  curl -X POST "
            "'http://127.0.0.1:8848/nacos/v1/ns/instance?serviceName=hello&ip=10.0.0.1&port=80'\n"
            "  curl 'http://127.0.0.1:8848/nacos/v1/ns/instance/list?serviceName=hello'\n");
}
