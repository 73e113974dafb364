/* Figures as Prometheus text: Nacos's own series names where they exist, ours as nacre_*.
 *
 * Thread:  core.
 * Source:  http-api.md 10.2; Nacos 2.5.1 naming/.../monitor/MetricsMonitor.java,
 * core/.../monitor/MetricsMonitor.java.
 */
#ifndef NACRE_NODE_METRICS_H
#define NACRE_NODE_METRICS_H

#include "base/clock.h"
#include "base/json_out.h"
#include "node/status.h"

/* Write all series to text (as raw bytes). */
void metrics_write(const struct status *s, struct now now, struct json_out *text);

#endif
