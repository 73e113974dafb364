/* nacre-bench: reads the command line, runs one scenario, prints what it found. */
#include <netdb.h>
#include <stdio.h>

#include "base/mem.h"
#include "bench/net.h"
#include "bench/options.h"
#include "bench/scenario.h"
#include "bench/scenario_config.h"
#include "bench/scenario_http.h"
#include "bench/scenario_http_get.h"
#include "bench/scenario_idle.h"
#include "bench/scenario_listen.h"
#include "bench/scenario_rpc.h"
#include "bench/scenario_subscribe.h"

enum { EXIT_FINE = 0, EXIT_ERRORS = 1, EXIT_USAGE = 2 };

static bool is_http(enum command command)
{
    return command == CMD_HTTP_BEAT || command == CMD_BULK || command == CMD_HTTP_GET;
}

static unsigned sockets_of(const struct options *o)
{
    if (o->command == CMD_LISTEN_TO_NOTIFY) {
        return o->subscribers + LISTEN_PUBLISHERS_MAX;
    }
    return o->command == CMD_SUBSCRIBE ? o->subscribers + 1 : o->connections + 1;
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
    case CMD_CONFIG_PUBLISH:
    case CMD_CONFIG_GET:
        return scenario_config(s, fail);
    case CMD_LISTEN_TO_NOTIFY:
        return scenario_listen(s, fail);
    case CMD_HTTP_GET:
        return scenario_http_get(s, fail);
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
    unsigned port = is_http(o->command) ? o->port : o->grpc_port;
    int err = net_allow_sockets(sockets_of(o), fail);
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
