/* What every scenario is given and what it fills.
 *
 * Thread:  main only; the scenarios turn the poller themselves.
 */
#ifndef NACRE_BENCH_SCENARIO_H
#define NACRE_BENCH_SCENARIO_H

#include <netdb.h>

#include "bench/messages.h"
#include "bench/options.h"
#include "bench/poller.h"
#include "bench/report.h"

/* Borrowed by the scenarios; large: on the heap. */
struct scenario {
    const struct options *options;
    struct poller *poller;
    const struct addrinfo *address; /* of the port that this command speaks to */
    struct msg_place place;
    struct report report;
};

#endif
