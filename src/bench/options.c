#include "bench/options.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "base/span.h"

#define GRPC_OFFSET 1000

#define BIT(command) (1U << (command))
#define ALL ((1U << CMD_COUNT) - 1)
#define CONFIGS                                                                                    \
    (BIT(CMD_CONFIG_PUBLISH) | BIT(CMD_CONFIG_GET) | BIT(CMD_LISTEN_TO_NOTIFY) | BIT(CMD_HTTP_GET))
#define ON_HTTP (BIT(CMD_HTTP_BEAT) | BIT(CMD_BULK) | BIT(CMD_HTTP_GET))
#define PUSHES (BIT(CMD_SUBSCRIBE) | BIT(CMD_LISTEN_TO_NOTIFY))
#define LOADS (ALL & ~(PUSHES | BIT(CMD_IDLE) | BIT(CMD_BULK)))
#define PLACED (ALL & ~(BIT(CMD_RAW) | BIT(CMD_IDLE)))
#define SERVICES (PLACED & ~CONFIGS)

struct command_row {
    const char *name;
    unsigned connections; /* default */
    unsigned services;
    unsigned instances;
    unsigned configs;
    const char *help;
};

static const struct command_row commands[CMD_COUNT] = {
    [CMD_REGISTER] = {"register", 100, 1000, 1, 0,
                      "each connection registers its own ephemeral instance, over and over; its\n"
                      "                   metadata changes every time (--same: not)"},
    [CMD_QUERY] = {"query", 100, 1, 10, 0,
                   "ask for a service of --instances instances that is registered first"},
    [CMD_DEREGISTER] = {"deregister", 100, 1000, 1, 0,
                        "register, deregister, register, ...; each of the two is a request"},
    [CMD_SUBSCRIBE] = {"subscribe", 1, 1, 1, 0,
                       "a publisher changes one service every --interval-ms; --subscribers\n"
                       "                   connections report when the push reached them"},
    [CMD_IDLE] = {"idle", 1000, 1, 1, 0,
                  "open --connections, hold them for --seconds with their health checks"},
    [CMD_HTTP_BEAT] = {"http-beat", 100, 100, 1000, 0,
                       "light beats of --instances HTTP-registered instances, HTTP/1.1 keep-alive"},
    [CMD_BULK] = {"bulk", 16, 1000, 10000, 0,
                  "register --instances instances over HTTP into --services services, once;\n"
                  "                   the total time is the result"},
    [CMD_RAW] = {"raw", 100, 1, 1, 0,
                 "any unary Payload: --type and --body; no setup of the connection unless --setup"},
    [CMD_CONFIG_PUBLISH] =
        {"config-publish", 100, 1, 1, 0,
         "publish contents of --content-bytes, each one a change, over and over;\n"
         "                   every request under way has a config of its own, or they "
         "go round\n"
         "                   --configs (1: one hot config); some are read back at the "
         "end"},
    [CMD_CONFIG_GET] = {"config-get", 100, 1, 1, 1,
                        "read --configs configs, which are published first"},
    [CMD_LISTEN_TO_NOTIFY] =
        {"listen-to-notify", 1, 1, 1, 10,
         "every --interval-ms publishers change --configs configs; "
         "--listeners\n"
         "                   connections report when they were told, and when they "
         "had read it"},
    [CMD_HTTP_GET] = {"http-get", 100, 1, 1, 1,
                      "read --configs configs over HTTP/1.1 keep-alive; they are published first"},
};

enum kind {
    KIND_UINT,
    KIND_INT,
    KIND_DOUBLE,
    KIND_TEXT,
    KIND_NAME,
    KIND_FLAG,
    KIND_SERVER,
    KIND_ONE
};

struct option_row {
    const char *name;
    const char *arg; /* what the help calls its value */
    size_t offset;
    double min;
    double max;
    enum kind kind;
    unsigned commands; /* which take it */
    const char *help;
};

#define FIELD(name) offsetof(struct options, name)

static const struct option_row rows[] = {
    {"--server", "HOST:PORT", 0, 0, 0, KIND_SERVER, ALL,
     "main port of the server (127.0.0.1:8848)"},
    {"--grpc-port", "N", FIELD(grpc_port), 1, 65535, KIND_UINT, ALL,
     "gRPC port (main port + 1000)"},
    {"--connections", "N", FIELD(connections), 1, 100000, KIND_UINT, ALL & ~PUSHES,
     "connections (100; idle 1000, bulk 16)"},
    {"--inflight", "N", FIELD(inflight), 1, 1000, KIND_UINT, LOADS & ~ON_HTTP,
     "requests under way on each connection (1)"},
    {"--rate", "N", FIELD(rate), 0, 1e7, KIND_DOUBLE, LOADS,
     "open loop: requests per second over all connections (0: closed loop)"},
    {"--seconds", "S", FIELD(seconds), 0.1, 86400, KIND_DOUBLE, ALL & ~BIT(CMD_BULK),
     "measured time (5)"},
    {"--warmup", "S", FIELD(warmup_s), 0, 3600, KIND_DOUBLE, ALL & ~BIT(CMD_BULK),
     "time before it (1)"},
    {"--pid", "N", FIELD(pid), 1, INT_MAX, KIND_INT, ALL,
     "the server's process: its CPU per request and memory"},
    {"--json", NULL, FIELD(json), 0, 0, KIND_FLAG, ALL, "one JSON object instead of text"},
    {"--services", "N", FIELD(services), 1, 1000000, KIND_UINT, SERVICES & ~BIT(CMD_SUBSCRIBE),
     "spread over so many services (1000; http-beat 100, query 1)"},
    {"--one-service", NULL, 0, 0, 0, KIND_ONE, SERVICES & ~BIT(CMD_SUBSCRIBE),
     "same as --services 1"},
    {"--instances", "N", FIELD(instances), 1, 1000000, KIND_UINT,
     BIT(CMD_QUERY) | BIT(CMD_HTTP_BEAT) | BIT(CMD_BULK),
     "instances (bulk 10000, http-beat 1000); query: of each service (10)"},
    {"--publish-port", "N", FIELD(publish_port), 1, 65535, KIND_UINT, BIT(CMD_SUBSCRIBE),
     "gRPC port of another node, which the publisher uses (the same node)"},
    {"--subscribers", "N", FIELD(subscribers), 1, 100000, KIND_UINT, BIT(CMD_SUBSCRIBE),
     "subscribing connections (1)"},
    {"--interval-ms", "N", FIELD(interval_ms), 0, 60000, KIND_UINT, PUSHES,
     "from one change, all pushed, to the next (100)"},
    {"--listeners", "N", FIELD(subscribers), 1, 100000, KIND_UINT, BIT(CMD_LISTEN_TO_NOTIFY),
     "listening connections, each on one of the configs (100)"},
    {"--configs", "N", FIELD(configs), 1, 1000000, KIND_UINT, CONFIGS,
     "configs (config-get and http-get 1, listen-to-notify 10)"},
    {"--content-bytes", "N", FIELD(content_bytes), 10, 5000000, KIND_UINT, CONFIGS,
     "length of a content (36); above 64 it has lines"},
    {"--count", "N", FIELD(count), 1, 1e9, KIND_UINT, BIT(CMD_CONFIG_PUBLISH),
     "end after so many publishes, without warm-up; with --configs N, N configs are filled"},
    {"--same", NULL, FIELD(same), 0, 0, KIND_FLAG, BIT(CMD_REGISTER),
     "register the identical instance again and again"},
    {"--namespace", "TEXT", FIELD(namespace_id), 0, 0, KIND_NAME, PLACED, "namespace (public)"},
    {"--group", "TEXT", FIELD(group), 0, 0, KIND_NAME, PLACED, "group (DEFAULT_GROUP)"},
    {"--service", "TEXT", FIELD(service), 0, 0, KIND_NAME, SERVICES,
     "services are called TEXT-0000000000, -0000000001, ... (nacre-bench)"},
    {"--data-id", "TEXT", FIELD(service), 0, 0, KIND_NAME, CONFIGS, "dataIds, in the same way"},
    {"--type", "TEXT", FIELD(type), 0, 0, KIND_TEXT, BIT(CMD_RAW),
     "Payload type (InstanceRequest)"},
    {"--body", "JSON", FIELD(body), 0, 0, KIND_TEXT, BIT(CMD_RAW),
     "Payload body (a 410-byte registration)"},
    {"--expect", "TEXT", FIELD(expect), 0, 0, KIND_TEXT, BIT(CMD_RAW),
     "a reply without TEXT is an error (\"resultCode\":200)"},
    {"--setup", NULL, FIELD(setup), 0, 0, KIND_FLAG, BIT(CMD_RAW),
     "open registered connections first"},
};

const char *command_name(enum command command)
{
    return commands[command].name;
}

static int set_number(const struct option_row *row, const char *value, void *field,
                      struct fail *fail)
{
    long long n = 0;
    double d = 0;
    struct span text = span_str(value);
    bool whole = row->kind != KIND_DOUBLE;
    bool good = whole ? span_int(text, &n) : span_double(text, &d);
    if (whole) {
        d = (double)n;
    }
    if (!good || d < row->min || d > row->max) {
        return fail_set(fail, E_INVALID, "%s: expected %s from %g to %g, found \"%s\"", row->name,
                        whole ? "a whole number" : "a number", row->min, row->max, value);
    }
    if (row->kind == KIND_DOUBLE) {
        *(double *)field = d;
    } else if (row->kind == KIND_UINT) {
        *(unsigned *)field = (unsigned)n;
    } else {
        *(int *)field = (int)n;
    }
    return 0;
}

/* Names go into JSON and into query strings as they are. */
static int set_name(const struct option_row *row, const char *value, const char **field,
                    struct fail *fail)
{
    size_t len = strlen(value);
    bool good = len > 0 && len < OPTION_NAME_MAX;
    for (size_t i = 0; good && i < len; i++) {
        good = isalnum((unsigned char)value[i]) || strchr("._-:", value[i]);
    }
    if (!good) {
        return fail_set(fail, E_INVALID,
                        "%s: expected 1 to %d letters, digits or any of . _ - :, found \"%s\"",
                        row->name, OPTION_NAME_MAX - 1, value);
    }
    *field = value;
    return 0;
}

static int set_server(const char *value, struct options *o, struct fail *fail)
{
    const char *colon = strrchr(value, ':');
    long long port = 0;
    struct span host = span_of(value, colon ? (size_t)(colon - value) : 0);
    if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = span_of(host.data + 1, host.len - 2);
    }
    if (!colon || !span_int(span_str(colon + 1), &port) || port < 1 || port > 65535 ||
        host.len == 0 || host.len >= sizeof(o->host)) {
        return fail_set(fail, E_INVALID, "--server: expected HOST:PORT, found \"%s\"", value);
    }
    memcpy(o->host, host.data, host.len);
    o->host[host.len] = '\0';
    o->port = (unsigned)port;
    return 0;
}

static int set_value(const struct option_row *row, const char *value, struct options *o,
                     struct fail *fail)
{
    void *field = (char *)o + row->offset;
    switch (row->kind) {
    case KIND_SERVER:
        return set_server(value, o, fail);
    case KIND_FLAG:
        *(bool *)field = true;
        return 0;
    case KIND_ONE:
        o->services = 1;
        return 0;
    case KIND_TEXT:
        *(const char **)field = value;
        return 0;
    case KIND_NAME:
        return set_name(row, value, field, fail);
    case KIND_UINT:
    case KIND_INT:
    case KIND_DOUBLE:
        break;
    }
    return set_number(row, value, field, fail);
}

static const struct option_row *find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static int find_command(const char *name, enum command *ret)
{
    for (unsigned i = 0; i < CMD_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            *ret = (enum command)i;
            return 0;
        }
    }
    return E_NOT_FOUND;
}

static void set_defaults(struct options *o, enum command command)
{
    *o = (struct options){
        .command = command,
        .host = "127.0.0.1",
        .port = 8848,
        .connections = commands[command].connections,
        .inflight = 1,
        .seconds = 5,
        .warmup_s = 1,
        .services = commands[command].services,
        .instances = commands[command].instances,
        .subscribers = command == CMD_LISTEN_TO_NOTIFY ? 100 : 1,
        .configs = commands[command].configs,
        .content_bytes = 36,
        .interval_ms = 100,
        .namespace_id = "public",
        .group = "DEFAULT_GROUP",
        .service = "nacre-bench",
        .type = "InstanceRequest",
        .expect = "\"resultCode\":200",
    };
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0 || strcmp(arg, "help") == 0;
}

static int parse_rest(int argc, char *const *argv, struct options *o, struct fail *fail)
{
    for (int i = 1; i < argc; i++) {
        if (is_help(argv[i])) {
            o->help = true;
            return 0;
        }
        const struct option_row *row = find_row(argv[i]);
        if (!row) {
            return fail_set(fail, E_INVALID, "unknown option \"%s\"; see nacre-bench --help",
                            argv[i]);
        }
        if (!(row->commands & BIT(o->command))) {
            return fail_set(fail, E_INVALID, "%s has no meaning for \"%s\"", row->name,
                            command_name(o->command));
        }
        if (row->arg && i + 1 == argc) {
            return fail_set(fail, E_INVALID, "%s: expected %s after it, found the end", row->name,
                            row->arg);
        }
        int err = set_value(row, row->arg ? argv[++i] : "", o, fail);
        if (err) {
            return err;
        }
    }
    return 0;
}

int options_parse(int argc, char *const *argv, struct options *ret, struct fail *fail)
{
    enum command command = CMD_REGISTER;
    if (argc > 0 && is_help(argv[0])) {
        set_defaults(ret, command);
        ret->help = true;
        return 0;
    }
    if (argc < 1) {
        return fail_set(fail, E_INVALID, "expected a command; see nacre-bench --help");
    }
    if (find_command(argv[0], &command)) {
        return fail_set(fail, E_INVALID, "unknown command \"%s\"; see nacre-bench --help", argv[0]);
    }
    struct options o;
    set_defaults(&o, command);
    int err = parse_rest(argc, argv, &o, fail);
    if (err) {
        return err;
    }
    if (o.grpc_port == 0) {
        o.grpc_port = o.port + GRPC_OFFSET;
    }
    if (o.grpc_port > 65535 && !(BIT(command) & ON_HTTP)) {
        return fail_set(fail, E_INVALID,
                        "--server: port %u leaves no room for the gRPC port %u; give --grpc-port",
                        o.port, o.grpc_port);
    }
    *ret = o;
    return 0;
}

void options_help(FILE *out)
{
    (void)fputs("nacre-bench: load for a Nacos-compatible server, from registered connections\n"
                "\n"
                "usage: nacre-bench COMMAND [OPTION...]\n"
                "\n"
                "commands:\n",
                out);
    for (unsigned i = 0; i < CMD_COUNT; i++) {
        (void)fprintf(out, "  %-16s %s\n", commands[i].name, commands[i].help);
    }
    (void)fputs("\noptions (defaults in brackets):\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)fprintf(out, "  %-16s %-10s %s\n", rows[i].name, rows[i].arg ? rows[i].arg : "",
                      rows[i].help);
    }
    (void)fputs(
        "\n"
        "A closed loop sends the next request when the last is answered: it finds the highest rate "
        "and\n"
        "the CPU per request. An open loop (--rate) sends at fixed instants and measures from "
        "them, so a\n"
        "server that stalls is seen in p99: it finds the latency that clients get at that rate.\n"
        "Every reply is checked (grpc-status 0, resultCode 200, or the HTTP status and body); "
        "anything\n"
        "else counts as an error, and the first one is shown. Exit status: 0, 1 when there were "
        "errors\n"
        "or the server could not be reached, 2 for a wrong command line.\n"
        "\n"
        "  taskset -c 1 nacre-bench query --connections 100 --pid $(pidof nacre)\n"
        "  nacre-bench register --rate 5000 --seconds 30\n"
        "  nacre-bench subscribe --subscribers 1000\n"
        "  nacre-bench config-publish --configs 100000 --count 100000 --content-bytes 1024\n"
        "  nacre-bench bulk --instances 10000 --one-service\n",
        out);
}
