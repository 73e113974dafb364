/* React: what this node does after an operation was applied: count, tell listeners and held polls,
 * answer the waiting call.
 *
 * Thread:  core only.
 */
#ifndef NACRE_CONFIG_REACT_H
#define NACRE_CONFIG_REACT_H

#include "config/apply.h"

/* An operation and what became of it. Plain data, borrowed. */
struct config_applied {
    const struct config_op *op;
    const struct config_changes *changes;
    int err; /* what apply returned, with its reason */
    const struct fail *fail;
    struct api_call *waiting; /* NULL: nobody here waits */
};

/* React to it. The waiting call is in out afterwards, unless an import goes on (import.h). Its
 * success body was set by the row when it admitted. */
void config_react(struct config *c, const struct config_applied *a, struct now now,
                  struct outbox *out);

#endif
