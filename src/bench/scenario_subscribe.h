/* The scenario "subscribe": how long from a change to the push of it.
 *
 * One publisher changes one service (a growing revision in its instance's metadata); each of
 * --subscribers connections notes when a push with this revision, or a later one, reached it. The
 * next change comes --interval-ms after the last subscriber has it. Times are taken when the poller
 * hands the bytes out, so the generator's own work on a thousand pushes is not part of them.
 *
 * Two origins: the register request's sending, and its answer (a push that overtakes the answer
 * counts as 0).
 *
 * Thread:  main; turns the poller.
 */
#ifndef NACRE_BENCH_SCENARIO_SUBSCRIBE_H
#define NACRE_BENCH_SCENARIO_SUBSCRIBE_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

#define SUBSCRIBE_ROUND_MS                                                                         \
    5000 /* a subscriber without the push after this has missed it: an error */

/* Run for warm-up and measured time and fill s->report: latency is answer to push. The errors of
 * fleet_open and fleet_ask. */
MUST_USE int scenario_subscribe(struct scenario *s, struct fail *fail);

#endif
