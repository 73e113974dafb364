/* A node: everything one process runs, started and stopped in order.
 *
 * Start: data directory, file limit, core, gRPC edge, HTTP edge, ready.
 * Stop: not ready, clients are sent away, gRPC edge, HTTP edge, core.
 *
 * Thread:  main.
 */
#ifndef NACRE_NODE_NODE_H
#define NACRE_NODE_NODE_H

#include <stdint.h>

#include "base/fail.h"
#include "node/options.h"

struct node;

/* Start a node; options are borrowed until node_stop. On failure everything that was started is
 * stopped again.
 * It waits until all of earlier lives is applied, which with members needs them to be found; a
 * pending SIGTERM or SIGINT (blocked by the caller) ends the wait.
 * E_CLOSED    stopped by a signal before it was ready
 * E_CONFLICT  the data directory is in use   E_LIMIT  the system allows too few open files
 * E_IO        a port cannot be bound, the directory cannot be made */
MUST_USE int node_start(const struct options *options, struct node **ret_node, struct fail *fail);

/* Stop gracefully within the option's grace and free everything. */
void node_stop(struct node *take_node);

/* Called each second on main: look at cluster.conf, and give memory back to the system when much of
 * it was freed. */
void node_tick(struct node *n);

/* The ports that clients use. */
uint16_t node_http_port(const struct node *n);
uint16_t node_grpc_port(const struct node *n);

#endif
