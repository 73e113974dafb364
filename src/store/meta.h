/* Small facts about the database as a whole, by name: whose it is, what it was restored from.
 *
 * Thread:  the connection's.
 * Limits:  META_VALUE_BYTES_MAX.
 */
#ifndef NACRE_STORE_META_H
#define NACRE_STORE_META_H

#include <stddef.h>

#include "base/fail.h"
#include "base/macros.h"
#include "base/span.h"
#include "store/db.h"

#define META_VALUE_BYTES_MAX 4096

/* Copy the value and a NUL to dst.
 * E_NOT_FOUND  no such name   E_TOO_LARGE  does not fit */
MUST_USE int meta_get(struct db *db, const char *name, char *dst, size_t dst_size,
                      struct fail *fail);

/* Write it, new or again, in the caller's DB_TX_WRITE (asserted).
 * E_TOO_LARGE  over META_VALUE_BYTES_MAX */
MUST_USE int meta_set(struct db *db, const char *name, struct span value, struct fail *fail);

#endif
