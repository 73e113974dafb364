/* React: what this node does after an operation was applied: spoil the view, arm pushes, count and
 * trace, answer the waiting call.
 *
 * Thread:  core only.
 */
#ifndef NACRE_NAMING_REACT_H
#define NACRE_NAMING_REACT_H

#include "naming/apply.h"

/* An operation and what became of it. Plain data, borrowed. */
struct naming_applied {
    const struct naming_op *op;
    const struct changes *changes;
    int err; /* what apply returned, with its reason */
    const struct fail *fail;
    struct api_call *waiting; /* NULL: nobody here waits */
};

/* React to it. The waiting call is in out afterwards. */
void naming_react(struct naming *n, const struct naming_applied *a, struct now now,
                  struct outbox *out);

/* The success body of a call whose operation was applied; set by the row when it admits
 * (call->reply.body is prepared then and sent now), so react needs to know no message format. */

/* What is visible of s changed: its value is stale, its subscribers are pushed. */
void service_changed(struct naming *n, struct service *s, struct now now);

/* Make the view's value current if it is stale, and return it (borrowed until the next change);
 * NULL when the service is not visible. At most one build per service and turn happens because a
 * fresh value is kept until the next change. */
const struct service_value *service_refresh(struct naming *n, struct service *s, struct now now);

#endif
