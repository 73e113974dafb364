/* The scenario "idle": connections that only exist, and what they cost the server in memory and
 * health checks.
 *
 * Thread:  main; turns the poller.
 */
#ifndef NACRE_BENCH_SCENARIO_IDLE_H
#define NACRE_BENCH_SCENARIO_IDLE_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

/* Open the connections, hold them through warm-up and measured time, and fill s->report; with a pid
 * rss_kb_per_connection is the growth since before the first. A lost connection is an error of the
 * report. The errors of fleet_open and procstat_read. */
MUST_USE int scenario_idle(struct scenario *s, struct fail *fail);

#endif
