/* The registry's gRPC request types, a row each.
 *
 * Thread:  the table is constant; its functions run as row.h says. read_self: struct view *,
 *          admit_self: struct naming *.
 */
#ifndef NACRE_NAMING_NAMING_ROWS_H
#define NACRE_NAMING_NAMING_ROWS_H

#include "api/row.h"
#include "naming/name.h"
#include "naming/service_value.h"

/* The rows; the array is constant. */
const struct api_row *naming_rpc_rows(size_t *ret_count);

/* A question for ServiceInfo and what stands around it in the answer. Plain data, borrowed. */
struct info_request {
    const struct service_name *service;
    const struct service_query *query;
    struct span head;
    struct span tail;
};

/* Answer call with head + ServiceInfo + tail from the view. API_ANSWERED, or API_TO_CORE when the
 * value is stale. */
struct view;
int naming_read_info(struct view *view, struct api_call *call, const struct info_request *r,
                     struct now now);

/* On core: make the value current, then as naming_read_info. */
struct naming;
void naming_answer_info(struct naming *n, struct api_call *call, const struct info_request *r,
                        struct now now);

#endif
