/* nacre-bench: reads the command line, runs one scenario, prints what it found. */
#include <netdb.h>
#include <stdio.h>

#include "base/mem.h"
#include "bench/net.h"
#include "bench/options.h"
#include "bench/scenario.h"
#include "bench/scenario_http.h"
#include "bench/scenario_idle.h"
#include "bench/scenario_rpc.h"
#include "bench/scenario_subscribe.h"

enum { EXIT_FINE = 0, EXIT_ERRORS = 1, EXIT_USAGE = 2 };

static bool is_http(enum command command)
{
    return command == CMD_HTTP_BEAT || command == CMD_BULK;
}

static int run_scenario(struct scenario *s, struct fail *fail)
{
    switch (s->options->command) {
    case CMD_SUBSCRIBE:
        return scenario_subscribe(s, fail);
    case CMD_IDLE:
        return scenario_idle(s, fail);
    case CMD_HTTP_BEAT:
    case CMD_BULK:
        return scenario_http(s, fail);
    case CMD_REGISTER:
    case CMD_QUERY:
    case CMD_DEREGISTER:
    case CMD_RAW:
    case CMD_COUNT:
        break;
    }
    return scenario_rpc(s, fail);
}

static int run(struct scenario *s, struct fail *fail)
{
    const struct options *o = s->options;
    struct addrinfo *address = NULL;
    unsigned sockets = o->command == CMD_SUBSCRIBE ? o->subscribers + 1 : o->connections + 1;
    unsigned port = is_http(o->command) ? o->port : o->grpc_port;
    int err = net_allow_sockets(sockets, fail);
    if (!err) {
        err = net_resolve(o->host, port, &address, fail);
    }
    if (!err) {
        err = poller_create(&s->poller, fail);
    }
    if (!err) {
        s->address = address;
        err = run_scenario(s, fail);
    }
    poller_destroy(s->poller);
    if (address) {
        freeaddrinfo(address);
    }
    return err;
}

int main(int argc, char **argv)
{
    struct options options;
    struct fail fail = {0};
    if (options_parse(argc - 1, argv + 1, &options, &fail)) {
        (void)fprintf(stderr, "nacre-bench: %s\n", fail_text(&fail));
        return EXIT_USAGE;
    }
    if (options.help) {
        options_help(stdout);
        return EXIT_FINE;
    }
    struct scenario *s = mem_zalloc(1, sizeof(*s));
    s->options = &options;
    s->report.options = &options;
    s->place = (struct msg_place){options.namespace_id, options.group, options.service};
    int err = run(s, &fail);
    if (err) {
        (void)fprintf(stderr, "nacre-bench: %s\n", fail_text(&fail));
    } else {
        report_print(&s->report, stdout);
    }
    int code = err || s->report.result.errors > 0 ? EXIT_ERRORS : EXIT_FINE;
    mem_free(s);
    return code;
}
