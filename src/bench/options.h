/* The command line of nacre-bench: one table of options, one of commands, and the help made from
 * them.
 *
 * Thread:  any. The strings are borrowed from argv.
 */
#ifndef NACRE_BENCH_OPTIONS_H
#define NACRE_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/macros.h"

#define OPTION_NAME_MAX 128

enum command {
    CMD_REGISTER,
    CMD_QUERY,
    CMD_DEREGISTER,
    CMD_SUBSCRIBE,
    CMD_IDLE,
    CMD_HTTP_BEAT,
    CMD_BULK,
    CMD_RAW,
    CMD_CONFIG_PUBLISH,
    CMD_CONFIG_GET,
    CMD_LISTEN_TO_NOTIFY,
    CMD_HTTP_GET,
    CMD_COUNT
};

/* Everything that was asked for. Plain data. */
struct options {
    enum command command;
    char host[OPTION_NAME_MAX];
    unsigned port;      /* HTTP */
    unsigned grpc_port; /* port + 1000 unless given */
    unsigned connections;
    unsigned inflight;
    double rate;
    double seconds;
    double warmup_s;
    int pid;
    bool json;
    bool same;
    bool setup;
    bool help;
    unsigned services;
    unsigned instances;
    unsigned subscribers;  /* listeners too */
    unsigned publish_port; /* gRPC port of the publisher's node; 0: the same as everybody's */
    unsigned configs;      /* 0: one for each request under way */
    unsigned content_bytes;
    unsigned count; /* end after so many requests; 0: by time */
    unsigned interval_ms;
    const char *namespace_id;
    const char *group;
    const char *service; /* of the dataIds, too */
    const char *type;
    const char *body;
    const char *expect;
};

/* Read argv (without the program's name). Defaults depend on the command. E_INVALID: what was
 * expected, what was found. help is set when help was asked for; then nothing else is required. */
MUST_USE int options_parse(int argc, char *const *argv, struct options *ret, struct fail *fail);

/* The name of a command as typed. */
const char *command_name(enum command command);

/* Print the whole help. */
void options_help(FILE *out);

#endif
