/* The loader API: who is connected here, how full each node is, and clients sent elsewhere.
 *
 * Thread:  rows run as row.h says; admit_self: struct cluster_rows.
 * Source:  http-api.md 7.3; semantics.md 4.8; golden/http/core.jsonl ("loader ..."). All of them
 * are GET, the ones that change something, too. Nacos has them under /v2 only.
 */
#ifndef NACRE_NODE_LOADER_ROWS_H
#define NACRE_NODE_LOADER_ROWS_H

#include "node/cluster_rows.h"

/* The rows; the array is constant. */
const struct api_row *loader_http_rows(size_t *ret_count);

#endif
