/* What people ask for: SQL on a db reader, after the tables have caught up with all that is
 * applied.
 *
 * One query runs at a time, the others wait here in order: a search through all contents may take
 * seconds, and the other readers are for contents that clients wait for (load.h).
 *
 * Thread:  core. The function: db-N; it fills call->reply (or returns an error with fail set).
 * Limits:  CONFIG_QUERIES_MAX wait (E_LIMIT, 503); CONFIG_QUERY_WAIT_MS for the tables and for a
 *          reader (E_TIMEOUT, 503); the connection's statement time while it runs.
 */
#ifndef NACRE_CONFIG_CONFIG_QUERY_H
#define NACRE_CONFIG_CONFIG_QUERY_H

#include "config/state.h"

#define CONFIG_QUERIES_MAX 64
#define CONFIG_QUERY_WAIT_MS 8000 /* as Nacos's queue of detail searches */

/* In a DB_TX_READ: several statements see one state. call->msg is the row's decoded request.
 * Returns 0 or a negative code with fail set. */
typedef int (*config_query_fn)(struct db *db, struct api_call *call, struct fail *fail);

/* Returns API_LATER (the call goes back to its edge by itself), or a negative code. With other
 * nodes it waits until what is here is fresh (config_gate.h); the call is admitted again then. */
int config_query(struct config *c, struct api_call *call, config_query_fn run, struct now now,
                 struct fail *fail);

/* Answer all that wait: the node stops. The one that runs is answered when it ends. */
void config_query_stop(struct config *c, struct outbox *out);

#endif
