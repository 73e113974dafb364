/* Apply: change the state by one committed operation, the same on every node. Total: whatever
 * comes, it does something defined.
 *
 * Reads no clock, no configuration, no randomness, no state of this node alone.
 *
 * Thread:  core only.
 */
#ifndef NACRE_NAMING_APPLY_H
#define NACRE_NAMING_APPLY_H

#include "base/fail.h"
#include "naming/naming_op.h"
#include "naming/state.h"

/* An address that is in the service's list no more, for react (trace, counters); not one that
 * another client publishes too. Borrowed until changes_close. */
struct change_removal {
    struct service *service;
    struct instance *instance; /* a reference */
    enum removal_reason reason;
};

/* What an operation changed. Embedded by the caller, zero-initialised. */
struct changes {
    struct service *touched; /* by touched_next: their lists changed */
    struct change_removal *removed;
    size_t removed_count, removed_cap;
    /* Changed where only what is pending of this node sees it (pending.h). */
    struct service **behind;
    size_t behind_count, behind_cap;
    struct service *created; /* made by this operation, or NULL */
    struct client *client;   /* of the operation, or NULL; closing frees it if nothing holds it */
    struct client **gone;    /* of a lost owner, sorted by id; freed likewise */
    size_t gone_count;
    bool unhealthy; /* a HEALTH operation made something unhealthy */
    bool moved; /* a PUBLISH brought the client to this owner, from another one or from nowhere */
};

/* Apply op (decoded, or passed by naming_op_check). Returns 0, or the reason why it had no effect,
 * for the client that waits (the same on every node; Nacos code and HTTP status 400 in all cases):
 *
 * E_INVALID  kind of service and of registration differ (texts of grpc-sdk.md 5.4.3);
 *            ServicePut with create on an existing one (v2 21007); a missing service (v2 21008,
 *            overlay 21004); ServiceRemove of one that is published (v2 21009)
 *
 * E_LIMIT    an overlay would carry more metadata than NAMING_OP_METADATA_BYTES_MAX */
int naming_apply(struct naming *n, const struct naming_op *op, struct changes *changes,
                 struct fail *fail);

/* An owner is lost (naming_owner_gone): what its connection and HTTP clients publish goes, client
 * by client in the order of their ids: the lists that entries leave keep one order on every node.
 */
void naming_apply_owner_gone(struct naming *n, uint64_t owner, int64_t time_ms,
                             struct changes *changes);

/* Clear the touched marks, drop the references; services and the client that nothing holds any more
 * are freed here. */
void changes_close(struct naming *n, struct changes *changes);

#endif
