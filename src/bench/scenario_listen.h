/* listen-to-notify: publishers change configs, listeners on other connections are told and read.
 *
 * A listener does what the SDKs do: told of a change, it listens with the md5 that it holds, learns
 * that the config has changed, reads it, and listens again with the new md5. A round is over when
 * every listener has read the round's content and is at rest.
 *
 * Thread:  main; turns the poller.
 * Limits:  LISTEN_ROUND_MS for a round; a listener that is not there by then is an error.
 *          LISTEN_PUBLISHERS_MAX connections publish.
 * Source:  grpc-sdk.md 5.3.4, 5.3.5.
 */
#ifndef NACRE_BENCH_SCENARIO_LISTEN_H
#define NACRE_BENCH_SCENARIO_LISTEN_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

#define LISTEN_ROUND_MS 5000
#define LISTEN_PUBLISHERS_MAX 100

/* Run it. The report's latency is from the publish's answer to the notice; the answer's arrival and
 * the notice's in one turn of the poller count as 0. The errors of fleet_open, or E_TIMEOUT,
 * E_CLOSED, E_INTERNAL when no round can go on. */
MUST_USE int scenario_listen(struct scenario *s, struct fail *fail);

#endif
