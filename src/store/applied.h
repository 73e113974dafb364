/* Up to which entry of the log the tables have taken over what it says.
 *
 * The row is written in the transaction of the entry's own changes, so after a crash the two agree:
 * entries up to it are skipped when the log gives them again (consensus.md 2.4 and 5.2).
 *
 * Thread:  the connection's.
 */
#ifndef NACRE_STORE_APPLIED_H
#define NACRE_STORE_APPLIED_H

#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "store/db.h"

/* Plain data. index 0: nothing yet. */
struct applied {
    uint64_t index;
    uint64_t term;
};

/* The row as the caller's transaction (or the database, without one) has it.
 * E_CORRUPT  it is missing */
MUST_USE int applied_get(struct db *db, struct applied *ret, struct fail *fail);

/* Write it in the caller's DB_TX_WRITE (asserted).
 * E_CONFLICT  the index that is there is not below: the entry was applied already */
MUST_USE int applied_set(struct db *db, struct applied now, struct fail *fail);

/* The tables are a beginning, below any log: index 0. In the caller's DB_TX_WRITE (asserted), and
 * only where no log is (a restore). */
MUST_USE int applied_reset(struct db *db, struct fail *fail);

#endif
