/* Figures about other nodes and strangers: links, the front door, members, elections.
 *
 * Thread:  core (metrics_write's).
 */
#ifndef NACRE_NODE_METRICS_PEERS_H
#define NACRE_NODE_METRICS_PEERS_H

#include "base/json_out.h"
#include "node/status.h"

/* Append the series. A node alone has those of the door only. */
void metrics_peers_write(const struct status *s, struct now now, struct json_out *text);

#endif
