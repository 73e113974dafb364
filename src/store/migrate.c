#include "store/migrate.h"

#include <store_schema.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/span.h"

const struct migration_set migrate_store = {
    .owner = "store", .rows = store_migrations, .count = ARRAY_LEN(store_migrations)};

enum { CREATE, FIND, LIST, SET };

static const struct db_stmt stmts[] = {
    [CREATE] = {.name = "schema_version_create",
                .sql_sqlite = "CREATE TABLE IF NOT EXISTS schema_version ("
                              "owner TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL, "
                              "name TEXT NOT NULL, migrated_ms INTEGER NOT NULL"
                              ") STRICT, WITHOUT ROWID"},
    [FIND] = {.name = "schema_version_find",
              .sql_sqlite = "SELECT number FROM schema_version WHERE owner = ?"},
    [LIST] = {.name = "schema_version_list",
              .sql_sqlite = "SELECT owner, number, name FROM schema_version ORDER BY owner"},
    [SET] = {.name = "schema_version_set",
             .sql_sqlite = "INSERT INTO schema_version (owner, number, name, migrated_ms) "
                           "VALUES (?, ?, ?, ?) ON CONFLICT (owner) DO UPDATE SET "
                           "number = excluded.number, name = excluded.name, "
                           "migrated_ms = excluded.migrated_ms"},
};

static int create_table(struct db *db, struct fail *fail)
{
    int err = db_begin(db, DB_TX_WRITE, fail);
    if (err) {
        return err;
    }
    struct db_query *q = NULL;
    err = db_query(db, &stmts[CREATE], &q, fail);
    if (!err) {
        err = db_exec(q, NULL, fail);
    }
    if (!err) {
        return db_commit(db, fail);
    }
    db_rollback(db);
    return err;
}

int migrate_version(struct db *db, const char *owner, unsigned *ret_number, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[FIND], &q, fail);
    if (err) {
        return err;
    }
    bool has_row = false;
    db_bind_text(q, span_str(owner));
    err = db_step(q, &has_row, fail);
    int64_t number = !err && has_row ? db_col_int64(q, 0) : 0;
    db_done(q);
    if (!err && (number < 0 || number > INT32_MAX)) {
        err = fail_set(fail, E_CORRUPT, "schema_version: %lld cannot be the number of '%s'",
                       (long long)number, owner);
    }
    if (!err) {
        *ret_number = (unsigned)number;
    }
    return err;
}

static const struct migration_set *find_set(const struct migration_set *const *sets, unsigned count,
                                            struct span owner)
{
    for (unsigned i = 0; i < count; i++) {
        if (span_eq(span_str(sets[i]->owner), owner)) {
            return sets[i];
        }
    }
    return NULL;
}

/* One row of schema_version against what this program knows. */
static int check_row(struct db_query *q, const struct migration_set *const *sets, unsigned count,
                     struct fail *fail)
{
    struct span owner = db_col_text(q, 0);
    int64_t number = db_col_int64(q, 1);
    struct span name = db_col_text(q, 2);
    const struct migration_set *set = find_set(sets, count, owner);
    unsigned known = set ? set->count : 0;
    if (number <= known) {
        return 0;
    }
    return fail_set(fail, E_UNSUPPORTED,
                    "the database was written by a newer version: its schema of '%.*s' is number "
                    "%lld (%.*s), this version knows %u; start the newer version, or restore a "
                    "backup of before the upgrade",
                    SPAN_ARG(owner), (long long)number, SPAN_ARG(name), known);
}

static int check_none_newer(struct db *db, const struct migration_set *const *sets, unsigned count,
                            struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[LIST], &q, fail);
    bool has_row = true;
    while (!err && has_row) {
        err = db_step(q, &has_row, fail);
        if (!err && has_row) {
            err = check_row(q, sets, count, fail);
        }
    }
    db_done(q);
    return err;
}

static int migrate_one(struct db *db, const char *owner, const struct migration *m,
                       struct fail *fail)
{
    int err = db_begin(db, DB_TX_WRITE, fail);
    if (err) {
        return err;
    }
    struct fail why = {0};
    struct db_query *q = NULL;
    err = db_script(db, m->sql, &why);
    if (!err) {
        err = db_query(db, &stmts[SET], &q, &why);
    }
    if (!err) {
        db_bind_text(q, span_str(owner));
        db_bind_int64(q, m->number);
        db_bind_text(q, span_str(m->name));
        db_bind_int64(q, clock_wall_ms());
        err = db_exec(q, NULL, &why);
    }
    if (!err) {
        err = db_commit(db, &why);
    }
    if (!err) {
        return 0;
    }
    db_rollback(db);
    return fail_set(fail, err, "schema of '%s', number %u (%s): %s", owner, m->number, m->name,
                    fail_text(&why));
}

static int migrate_set(struct db *db, const struct migration_set *set, struct fail *fail)
{
    unsigned number = 0;
    int err = migrate_version(db, set->owner, &number, fail);
    for (unsigned i = number; !err && i < set->count; i++) {
        ASSERT(set->rows[i].number == i + 1);
        err = migrate_one(db, set->owner, &set->rows[i], fail);
    }
    return err;
}

int migrate_run(struct db *db, const struct migration_set *const *sets, unsigned count,
                struct fail *fail)
{
    ASSERT(count <= MIGRATE_SETS_MAX);
    uint64_t limit_ms = db_limit_time(db, 0);
    int err = create_table(db, fail);
    if (!err) {
        err = check_none_newer(db, sets, count, fail);
    }
    for (unsigned i = 0; !err && i < count; i++) {
        err = migrate_set(db, sets[i], fail);
    }
    (void)db_limit_time(db, limit_ms);
    return err;
}
