/* Contents that are not in memory: one db job per item brings all its cold versions, and every call
 * that asked meanwhile is answered.
 *
 * Thread:  core; the job runs on db-N.
 * Limits:  LOAD_WAITERS_MAX calls wait for one item (E_LIMIT beyond).
 */
#ifndef NACRE_CONFIG_LOAD_H
#define NACRE_CONFIG_LOAD_H

#include "config/state.h"

#define LOAD_WAITERS_MAX 100000

/* Called on core when the item's content is there (err 0; i->value is hot, or NULL if the config
 * went meanwhile) or cannot be had. Answers call (into out). */
typedef void (*load_ready_fn)(struct config *c, struct item *i, struct api_call *take_call, int err,
                              const struct fail *fail, struct now now, struct outbox *out);

/* Wait for the item's contents. Returns API_LATER, or a negative code. */
int load_wait(struct config *c, struct item *i, struct api_call *call, load_ready_fn ready,
              struct now now, struct fail *fail);

/* Finish what db jobs have brought. */
void load_turn(struct config *c, struct now now, struct outbox *out);

/* Answer everything that waits: the node stops. */
void load_stop(struct config *c, struct outbox *out);

#endif
