/* What people ask for: SQL on a db reader, after the tables have caught up with all that is
 * applied.
 *
 * Thread:  config_query: core. The function: db-N; it fills call->reply (or returns an error with
 *          fail set), and the call goes back to its edge from there.
 */
#ifndef NACRE_CONFIG_CONFIG_QUERY_H
#define NACRE_CONFIG_CONFIG_QUERY_H

#include "config/state.h"

#define CONFIG_QUERY_WAIT_MS 8000 /* as Nacos's queue of detail searches */

/* In a DB_TX_READ: several statements see one state. call->msg is the row's decoded request.
 * Returns 0 or a negative code with fail set. */
typedef int (*config_query_fn)(struct db *db, struct api_call *call, struct fail *fail);

/* Returns API_LATER, or a negative code. */
int config_query(struct config *c, struct api_call *call, config_query_fn run, struct fail *fail);

#endif
