/* http-get: reads of configs over HTTP/1.1 with keep-alive.
 *
 * Thread:  main; turns the poller.
 */
#ifndef NACRE_BENCH_SCENARIO_HTTP_GET_H
#define NACRE_BENCH_SCENARIO_HTTP_GET_H

#include "base/fail.h"
#include "base/macros.h"
#include "bench/scenario.h"

#define HTTP_GET_FAILURES_MAX 3 /* connections lost in a row before a slot gives up */

/* Publish the configs, then read them; a body that is not the published content, byte for byte in
 * its length and its revision, is an error. The errors of load_run; E_IO: the preparation failed.
 */
MUST_USE int scenario_http_get(struct scenario *s, struct fail *fail);

#endif
