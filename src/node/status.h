/* What the node says of itself over HTTP: health, state, figures.
 *
 * Thread:  status_init: main, before the edges start. Its rows run as row.h says.
 * Source:  http-api.md 4.5 (operator metrics), 8.3, 8.4, 10; Nacos 2.5.1
 *          console/.../HealthController.java, ServerStateController.java.
 */
#ifndef NACRE_NODE_STATUS_H
#define NACRE_NODE_STATUS_H

#include <stdatomic.h>

#include "api/row.h"
#include "node/core.h"
#include "node/machine.h"
#include "node/options.h"

struct http;

/* Embedded by the node. */
struct status {
    struct core *core;
    const struct options *options;
    const struct rpc *rpc;   /* set before the edges start */
    const struct http *http; /* set before the edges start */
    const atomic_bool *ready;
    uint64_t started_ns;
    int64_t started_wall_ms;
    struct cpu_meter cpu; /* core only */
};

/* core, options and ready are borrowed; rpc and http are filled in by the owner. */
void status_init(struct status *s, struct core *core, const struct options *options,
                 const atomic_bool *ready);

/* The rows; the array is constant. */
const struct api_row *status_rows(size_t *ret_count);

#endif
