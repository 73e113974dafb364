/* The scenarios on the main port: http-beat (light beats of 1.x clients) and bulk (so many
 * registrations, once).
 *
 * Instance i lives in service i modulo --services. Beats go round all instances, so each is beaten
 * evenly.
 *
 * Thread:  main; turns the poller.
 */
#ifndef NACRE_BENCH_SCENARIO_HTTP_H
#define NACRE_BENCH_SCENARIO_HTTP_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

#define HTTP_FAILURES_MAX 3 /* connections lost in a row before a slot gives up */

/* Register all instances; for bulk that is what is measured (total_s), for http-beat the beats that
 * follow are. An instance that could not be registered ends http-beat. The errors of load_run;
 * E_IO: the preparation failed. */
MUST_USE int scenario_http(struct scenario *s, struct fail *fail);

#endif
