/* The schema: numbered migrations, embedded at build time (nacre_schema in cmake/nacre.cmake).
 *
 * Each owner (store itself, a feature) numbers its own from 1 without gaps; a row of schema_version
 * per owner says how far the database is. A migration is never changed once released: another one
 * follows it.
 *
 * Thread:  the owner of the connection, before others use the database.
 * Limits:  MIGRATE_SETS_MAX owners. A migration has no time limit.
 */
#ifndef NACRE_STORE_MIGRATE_H
#define NACRE_STORE_MIGRATE_H

#include <stdint.h>

#include "base/fail.h"
#include "base/macros.h"
#include "store/db.h"

#define MIGRATE_SETS_MAX 16

/* One file NNNN_name.sql: statements without parameters and without transactions. */
struct migration {
    unsigned number;
    const char *name;
    const char *sql;
};

/* What one owner brings, numbers ascending from 1 (asserted). */
struct migration_set {
    const char *owner;
    const struct migration *rows;
    unsigned count;
};

/* Store's own: applied and meta. Always the first of those given to migrate_run. */
extern const struct migration_set migrate_store;

/* Bring the database up to the sets: what is missing is applied, each migration in one transaction
 * with its schema_version row. Looks first, so a refusal has changed nothing.
 * E_UNSUPPORTED  a newer Nacre has written to it: says whose schema, which number is there and
 *                which is known   otherwise as db.h */
MUST_USE int migrate_run(struct db *db, const struct migration_set *const *sets, unsigned count,
                         struct fail *fail);

/* The number that the owner's schema has; 0: none yet. */
MUST_USE int migrate_version(struct db *db, const char *owner, unsigned *ret_number,
                             struct fail *fail);

#endif
