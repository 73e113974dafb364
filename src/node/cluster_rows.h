/* What the node says of its cluster over HTTP: members, their state, role, term, lag.
 *
 * Thread:  rows run as row.h says; admit_self: struct cluster_rows.
 * Source:  http-api.md 7.1, 7.3; Nacos 2.5.1 core/.../cluster/Member.java (the members of the
 * JSON). "nacre" inside extendInfo is ours: what an operator wants to know of a member.
 */
#ifndef NACRE_NODE_CLUSTER_ROWS_H
#define NACRE_NODE_CLUSTER_ROWS_H

#include "api/row.h"
#include "node/core.h"
#include "node/options.h"

/* Embedded by the node; borrowed pointers. */
struct cluster_rows {
    struct core *core;
    const struct options *options;
};

/* The members as this node sees them; a node alone with its own address. Core. */
struct members_view;
void cluster_rows_view(const struct cluster_rows *r, struct now now, struct members_view *ret);

/* The rows; the array is constant. */
const struct api_row *cluster_http_rows(size_t *ret_count);

#endif
