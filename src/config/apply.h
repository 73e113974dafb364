/* Apply: change the state by one committed operation, the same on every node. Total: whatever
 * comes, it does something defined. Each change also becomes a table_write (config_repo.h), with
 * the ids that apply has given, so that the tables end the same on every node too.
 *
 * Reads no clock, no configuration (the operation says how many gray versions there may be), no
 * randomness, no state of this node alone.
 *
 * Rules (semantics.md 2.4 to 2.7): a publish replaces the formal or the one gray version; with
 * cas_md5 the stored md5 must equal it if there is a version (E_CONFLICT, Nacos 500, v2 20005, the
 * texts of 2.4), of gray versions, too; a gray version beyond gray_max is E_LIMIT (v2 20010, HTTP
 * 400). DIFF(gray-stays): removing the formal version leaves gray ones, which go on being served.
 * modified_ms is max(op time, what was there + 1): it never goes back.
 *
 * Thread:  core only.
 */
#ifndef NACRE_CONFIG_APPLY_H
#define NACRE_CONFIG_APPLY_H

#include "config/config_op.h"
#include "config/state.h"

/* What became of one publish of an operation. */
enum config_outcome {
    CONFIG_DONE,
    CONFIG_EXISTS,  /* policy ABORT: this one stopped the import */
    CONFIG_SKIPPED, /* policy SKIP, or after an EXISTS */
    CONFIG_REFUSED, /* CAS, gray_max */
};

/* An item whose readers may now get something else. */
struct config_change {
    struct item *item; /* borrowed until config_changes_close, which releases it */
    bool is_removed;   /* a version went (and none came) */
};

/* What an operation changed. Embedded by the caller, zero-initialised. */
struct config_changes {
    struct config_change *list;
    size_t count, cap;
    enum config_outcome *outcomes; /* one per publish of the operation */
    size_t outcomes_count;
};

/* Apply op, of entry index; what the tables need of it is copied. Returns 0, or why it had no
 * effect, for the client that waits (E_CONFLICT, E_LIMIT: as above). Removing what is not there and
 * an import whose items were refused are no failures. */
int config_apply(struct config *c, uint64_t index, const struct config_op *op, struct now now,
                 struct config_changes *changes, struct fail *fail);

/* Release the items that nothing holds any more, and the arrays. */
void config_changes_close(struct config *c, struct config_changes *changes);

#endif
