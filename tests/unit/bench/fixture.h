/* A scenario against the fake gRPC server: what the tests of the scenarios share.
 *
 * Thread:  the test's.
 */
#ifndef NACRE_TESTS_BENCH_FIXTURE_H
#define NACRE_TESTS_BENCH_FIXTURE_H

#include <stdlib.h>
#include <unistd.h>

#include "bench/scenario.h"
#include "fake_grpc.h"

struct fixture {
    struct poller *poller;
    struct fake_grpc fake;
    struct options options;
    struct scenario *scenario;
    struct fail fail;
};

/* Server and scenario, with the options of this command line; run for 0.2 s. */
static inline int fixture_open(void **state, char *command)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char *argv[] = {command, "--seconds", "0.2", "--warmup", "0"};
    f->scenario = calloc(1, sizeof(*f->scenario));
    if (options_parse(5, argv, &f->options, &f->fail) || poller_create(&f->poller, &f->fail)) {
        return -1;
    }
    f->fake.negotiates = true;
    f->fake.acks_setup = true;
    fake_grpc_open(&f->fake, f->poller);
    f->options.connections = 3;
    f->options.pid = getpid();
    f->scenario->options = &f->options;
    f->scenario->poller = f->poller;
    f->scenario->address = f->fake.address;
    f->scenario->place =
        (struct msg_place){f->options.namespace_id, f->options.group, f->options.service};
    f->scenario->report.options = &f->options;
    *state = f;
    return 0;
}

static inline int fixture_close(void **state)
{
    struct fixture *f = *state;
    fake_grpc_close(&f->fake);
    poller_destroy(f->poller);
    free(f->scenario);
    free(f);
    return 0;
}

/* A value that the scenario added to its report; -1 when it did not. */
static inline double fixture_extra(const struct fixture *f, const char *name)
{
    const struct report *r = &f->scenario->report;
    for (unsigned i = 0; i < r->extras; i++) {
        if (strcmp(r->extra[i].name, name) == 0) {
            return r->extra[i].value;
        }
    }
    return -1;
}

#endif
