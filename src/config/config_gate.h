/* The read gate (api/gate.h) at the configs' reads: which entry an answer is as new as.
 *
 * A config that is there is as new as the entry that made its value; one that is not there as the
 * last entry that took any config away, since nothing is kept of what is gone.
 *
 * Thread:  as each says.
 */
#ifndef NACRE_CONFIG_CONFIG_GATE_H
#define NACRE_CONFIG_CONFIG_GATE_H

#include "config/config.h"
#include "config/config_value.h"

struct item;

/* After the value was taken (NULL: nothing was there), and the gate was fresh before: may it be
 * shown? Any thread. */
bool config_gate_is_safe(const struct config_edge *edge, const struct config_value *value);

/* Must the call wait (API_LATER) before i, or its absence if NULL, answers it? It is admitted
 * again. Core. */
bool config_gate_holds(const struct config *c, const struct item *i, struct api_call *call,
                       struct now now);

/* The same for what is made of many configs or of what exists: it is to hold every answered write.
 * That two such answers through two nodes come in order is not promised. */
bool config_gate_is_behind(const struct config *c, struct api_call *call, struct now now);

#endif
