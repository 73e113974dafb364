/* The scenarios that make unary calls as fast, or as steadily, as asked: register, deregister,
 * query, raw.
 *
 * Slot number g (connection times inflight plus position) always registers in service g modulo
 * --services, so every connection publishes its own instance, once per service, as clients do. The
 * revision in its metadata grows with each request, so each is a real change, unless --same.
 *
 * Thread:  main; turns the poller.
 */
#ifndef NACRE_BENCH_SCENARIO_RPC_H
#define NACRE_BENCH_SCENARIO_RPC_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

/* Open the connections, prepare (query: register what is asked for), run, and fill s->report. The
 * errors of fleet_open, fleet_ask and load_run. */
MUST_USE int scenario_rpc(struct scenario *s, struct fail *fail);

#endif
