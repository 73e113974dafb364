/* A node whose state is not what the log says is made anew: what the log made of it is set aside at
 * the next start, and the cluster takes the empty node in again by its usual rules
 * (cluster/membership.h). That includes its key: a voter that comes back without its log would be
 * one that may vote twice.
 *
 * Two steps, so that nothing is moved under a running node's feet: an order on disk, and the start
 * that carries it out. Each may be cut off anywhere and is done again.
 *
 * Files:   DIR/rebuild.order (time and reason); DIR/diverged-TIME, one of them: what was set aside,
 *          for whoever looks for the defect, and its "about". Without room for a second copy of the
 *          state only "about" stays.
 * Thread:  rebuild_order: any that may block. rebuild_carry_out: main, before anything is opened;
 *          the directory is locked.
 */
#ifndef NACRE_NODE_REBUILD_H
#define NACRE_NODE_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"

#define REBUILD_ORDER_FILE "rebuild.order"
#define REBUILD_ASIDE_PREFIX "diverged-"
#define REBUILD_AGAIN_MS INT64_C(3600000) /* a second time within so long is no accident */
#define REBUILD_SPARE_BYTES (UINT64_C(64) << 20)
#define REBUILD_ABOUT_MAX 1024

/* The next start on dir begins anew. about: why, for people.
 * E_CONFLICT  it was made anew less than REBUILD_AGAIN_MS ago   E_IO, E_FULL  cannot be written */
MUST_USE int rebuild_order(const char *dir, int64_t wall_ms, struct span about, struct fail *fail);

/* Carry out what was ordered. *ret_done: something was. E_IO, E_CORRUPT  with the way out */
MUST_USE int rebuild_carry_out(const char *dir, bool *ret_done, struct fail *fail);

#endif
