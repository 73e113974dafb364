#include "store/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "scratch.h"
#include "store/applied.h"

static struct scratch scratch;
static struct db *db;

static const struct migration feature_rows[] = {
    {1, "one", "CREATE TABLE one (x INTEGER) STRICT; INSERT INTO one VALUES (1);"},
    {2, "two", "UPDATE one SET x = x + 1;"},
    {3, "three", "UPDATE one SET x = x * 10;"},
};
static const struct migration_set feature_1 = {"feature", feature_rows, 1};
static const struct migration_set feature_3 = {"feature", feature_rows, 3};
static const struct migration broken_rows[] = {
    {1, "one", "CREATE TABLE one (x INTEGER) STRICT; INSERT INTO one VALUES (1);"},
    {2, "two", "UPDATE one SET x = 5; INSERT INTO nowhere VALUES (1);"},
};
static const struct migration_set broken = {"feature", broken_rows, 2};

static const struct db_stmt one = {.name = "one", .sql_sqlite = "SELECT x FROM one"};
static const struct db_stmt tables = {.name = "tables",
                                      .sql_sqlite = "SELECT count(*) FROM sqlite_schema"};

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    db = scratch_open(scratch.db, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_destroy(db);
    scratch_close(&scratch);
    return 0;
}

static int run(const struct migration_set *feature, struct fail *fail)
{
    const struct migration_set *const sets[] = {&migrate_store, feature};
    return migrate_run(db, sets, feature ? 2 : 1, fail);
}

static unsigned version(const char *owner)
{
    unsigned number = 99;
    assert_int_equal(migrate_version(db, owner, &number, NULL), 0);
    return number;
}

static void test_migrate__new_database__has_all(void **state)
{
    (void)state;
    assert_int_equal(run(&feature_3, NULL), 0);
    assert_int_equal(version("store"), migrate_store.count);
    assert_int_equal(version("feature"), 3);
    assert_int_equal(version("nobody"), 0);
    assert_int_equal(scratch_number(db, &one), 20);
    struct applied applied = {0};
    assert_int_equal(applied_get(db, &applied, NULL), 0);
}

static void test_migrate__again__changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(&feature_3, NULL), 0);
        assert_int_equal(scratch_number(db, &one), 20);
    }
}

static void test_migrate__older_database__gets_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(run(NULL, NULL), 0);
    assert_int_equal(run(&feature_1, NULL), 0);
    assert_int_equal(scratch_number(db, &one), 1);
    assert_int_equal(run(&feature_3, NULL), 0);
    assert_int_equal(scratch_number(db, &one), 20);
}

static void test_migrate__newer_schema__is_refused_untouched(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(run(&feature_3, NULL), 0);
    assert_int_equal(run(&feature_1, &fail), E_UNSUPPORTED);
    assert_non_null(strstr(fail.text, "newer version: its schema of 'feature' is number 3 (three), "
                                      "this version knows 1; start the newer version"));
    assert_int_equal(version("feature"), 3);
}

static void test_migrate__owner_that_is_not_known__is_refused(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(run(&feature_1, NULL), 0);
    assert_int_equal(run(NULL, &fail), E_UNSUPPORTED);
    assert_non_null(strstr(fail.text, "'feature' is number 1 (one), this version knows 0"));
}

static void test_migrate__newer_owner_beside_an_older__nothing_is_applied(void **state)
{
    (void)state;
    assert_int_equal(run(&feature_1, NULL), 0);
    scratch_script(db, "UPDATE schema_version SET number = 77 WHERE owner = 'store'");
    assert_int_equal(run(&feature_3, NULL), E_UNSUPPORTED);
    assert_int_equal(version("feature"), 1);
}

static void test_migrate__one_fails__the_ones_before_stay_and_it_is_named(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(run(&broken, &fail), E_INTERNAL);
    assert_non_null(strstr(fail.text, "schema of 'feature', number 2 (two): "));
    assert_non_null(strstr(fail.text, "nowhere"));
    assert_int_equal(version("feature"), 1);
    assert_int_equal(scratch_number(db, &one), 1);
    assert_true(db_is_idle(db));
    assert_int_equal(run(&feature_3, NULL), 0);
    assert_int_equal(scratch_number(db, &one), 20);
}

static void test_migrate__number_that_cannot_be__is_corrupt(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(run(NULL, NULL), 0);
    scratch_script(db, "UPDATE schema_version SET number = -1");
    assert_int_equal(run(NULL, &fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, "-1 cannot be the number of 'store'"));
}

static void test_migrate__database_is_busy__is_told(void **state)
{
    (void)state;
    db_destroy(db);
    db = scratch_open(scratch.db, &(struct db_sqlite_options){.busy_ms = 20});
    struct db *other = scratch_open(scratch.db, NULL);
    assert_int_equal(db_begin(other, DB_TX_WRITE, NULL), 0);
    assert_int_equal(run(NULL, NULL), E_BUSY);
    db_rollback(other);
    db_destroy(other);
    assert_int_equal(scratch_number(db, &tables), 0);
    assert_int_equal(run(NULL, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_migrate__new_database__has_all),
        TEST(test_migrate__again__changes_nothing),
        TEST(test_migrate__older_database__gets_what_is_missing),
        TEST(test_migrate__newer_schema__is_refused_untouched),
        TEST(test_migrate__owner_that_is_not_known__is_refused),
        TEST(test_migrate__newer_owner_beside_an_older__nothing_is_applied),
        TEST(test_migrate__one_fails__the_ones_before_stay_and_it_is_named),
        TEST(test_migrate__number_that_cannot_be__is_corrupt),
        TEST(test_migrate__database_is_busy__is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
