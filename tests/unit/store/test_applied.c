#include "store/applied.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "scratch.h"
#include "store/migrate.h"

static struct scratch scratch;
static struct db *db;

static int setup(void **state)
{
    (void)state;
    const struct migration_set *const sets[] = {&migrate_store};
    scratch_init(&scratch);
    db = scratch_open(scratch.db, NULL);
    return migrate_run(db, sets, 1, NULL);
}

static int teardown(void **state)
{
    (void)state;
    db_destroy(db);
    scratch_close(&scratch);
    return 0;
}

static int set(uint64_t index, uint64_t term, struct fail *fail)
{
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    int err = applied_set(db, (struct applied){index, term}, fail);
    if (err) {
        db_rollback(db);
        return err;
    }
    return db_commit(db, fail);
}

static void expect_applied(uint64_t index, uint64_t term)
{
    struct applied now = {0};
    assert_int_equal(applied_get(db, &now, NULL), 0);
    assert_true(now.index == index);
    assert_true(now.term == term);
}

static void test_applied__new_database__is_nothing(void **state)
{
    (void)state;
    expect_applied(0, 0);
}

static void test_applied_set__grows_and_is_kept(void **state)
{
    (void)state;
    assert_int_equal(set(5, 1, NULL), 0);
    assert_int_equal(set(INT64_MAX, INT64_MAX, NULL), 0);
    db_destroy(db);
    db = scratch_open(scratch.db, NULL);
    expect_applied(INT64_MAX, INT64_MAX);
}

static void test_applied_set__not_above__is_a_conflict(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_int_equal(set(5, 2, NULL), 0);
    assert_int_equal(set(5, 2, &fail), E_CONFLICT);
    assert_non_null(strstr(fail.text, "log entry 5 is in the database already"));
    assert_int_equal(set(4, 3, NULL), E_CONFLICT);
    expect_applied(5, 2);
}

static void test_applied__rolled_back_with_the_transaction(void **state)
{
    (void)state;
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(applied_set(db, (struct applied){9, 1}, NULL), 0);
    expect_applied(9, 1);
    db_rollback(db);
    expect_applied(0, 0);
}

static void test_applied_get__row_is_missing__is_corrupt(void **state)
{
    (void)state;
    struct applied now = {0};
    struct fail fail = {0};
    scratch_script(db, "DELETE FROM applied");
    assert_int_equal(applied_get(db, &now, &fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, "which log entry"));
    scratch_script(db, "DROP TABLE applied");
    assert_int_equal(applied_get(db, &now, &fail), E_INTERNAL);
}

static void test_applied_reset__a_restored_database__begins_below_any_log(void **state)
{
    (void)state;
    assert_int_equal(set(7, 3, NULL), 0);
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(applied_reset(db, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    expect_applied(0, 0);
    assert_int_equal(set(1, 1, NULL), 0);
    expect_applied(1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_applied__new_database__is_nothing),
        TEST(test_applied_set__grows_and_is_kept),
        TEST(test_applied_set__not_above__is_a_conflict),
        TEST(test_applied__rolled_back_with_the_transaction),
        TEST(test_applied_reset__a_restored_database__begins_below_any_log),
        TEST(test_applied_get__row_is_missing__is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
