/* What operators set over instances: weight, enabled, metadata, kept apart from what clients
 * publish.
 *
 * Thread:  core only; called by apply.c.
 * Limits:  NAMING_OP_METADATA_BYTES_MAX and INSTANCE_METADATA_MAX of metadata per instance.
 * Source:  semantics.md 1.5; fields that were not set stay as published (DIFF(optional-overlay):
 * Nacos resets them).
 */
#ifndef NACRE_NAMING_OVERLAY_H
#define NACRE_NAMING_OVERLAY_H

#include "base/fail.h"
#include "naming/naming_op.h"
#include "naming/state.h"

/* What is shown of i under o (NULL: none); one reference. */
MUST_USE struct instance *overlay_effective(const struct service *s, struct instance *i,
                                            const struct overlay *o);

/* Pairs and their texts in one block for mem_free; NULL for none. */
struct instance_pair *overlay_pairs_copy(const struct instance_pair *pairs, size_t count);

/* Whether op (not a removal) may be set over s, NULL when the service does not exist. For admit and
 * apply: the same words.
 * E_NOT_FOUND  must_exist and nobody publishes the instance   E_INVALID  no such service (v2 21004)
 */
MUST_USE int overlay_check(const struct service *s, const struct naming_op *op, struct fail *fail);

/* Set or change the overlay that op names. The caller settles the slot's newest entry. E_LIMIT: too
 * much metadata; nothing changed. */
MUST_USE int overlay_put(struct service *s, const struct naming_op *op,
                         struct instance_slot **ret_slot, struct fail *fail);

/* The cleaner's removal: only while nothing uses the overlay, and nothing did since seen_ms. */
void overlay_drop(struct service *s, const struct naming_op *op);

#endif
