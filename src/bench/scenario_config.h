/* The gRPC scenarios of the configuration centre: config-publish and config-get.
 *
 * A publish writes a content that no one wrote before (its revision is the request's number); a get
 * must bring the content that was published first, whole.
 *
 * Thread:  main; turns the poller.
 */
#ifndef NACRE_BENCH_SCENARIO_CONFIG_H
#define NACRE_BENCH_SCENARIO_CONFIG_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

#define CONFIG_READ_BACK_MAX 100 /* configs that config-publish reads at its end */

/* Run it. What is read back and is not the acknowledged content counts as an error. The errors of
 * fleet_open, fleet_ask and load_run. */
MUST_USE int scenario_config(struct scenario *s, struct fail *fail);

#endif
