#include "store/meta.h"

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

static int set(struct span value, struct fail *fail)
{
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    int err = meta_set(db, "owner", value, fail);
    if (err) {
        db_rollback(db);
        return err;
    }
    return db_commit(db, fail);
}

static void test_meta__set_and_set_again__the_last_is_there(void **state)
{
    (void)state;
    char value[16];
    assert_int_equal(set(SPAN("one"), NULL), 0);
    assert_int_equal(set(SPAN("two"), NULL), 0);
    assert_int_equal(meta_get(db, "owner", value, sizeof value, NULL), 0);
    assert_string_equal(value, "two");
    assert_int_equal(set((struct span){0}, NULL), 0);
    assert_int_equal(meta_get(db, "owner", value, sizeof value, NULL), 0);
    assert_string_equal(value, "");
}

static void test_meta_get__no_such_name__is_not_found(void **state)
{
    (void)state;
    char value[16] = "as before";
    struct fail fail = {0};
    assert_int_equal(meta_get(db, "other", value, sizeof value, &fail), E_NOT_FOUND);
    assert_string_equal(value, "as before");
    assert_non_null(strstr(fail.text, "'other'"));
}

static void test_meta_get__does_not_fit__is_refused(void **state)
{
    (void)state;
    char value[4];
    struct fail fail = {0};
    assert_int_equal(set(SPAN("four"), NULL), 0);
    assert_int_equal(meta_get(db, "owner", value, sizeof value, &fail), E_TOO_LARGE);
    assert_non_null(strstr(fail.text, "4 bytes, there is room for 3"));
}

static void test_meta_set__above_the_limit__is_refused(void **state)
{
    (void)state;
    static const char zeros[META_VALUE_BYTES_MAX + 1];
    assert_int_equal(set(span_of(zeros, META_VALUE_BYTES_MAX), NULL), 0);
    assert_int_equal(set(span_of(zeros, META_VALUE_BYTES_MAX + 1), NULL), E_TOO_LARGE);
}

static void test_meta__no_table__is_our_mistake(void **state)
{
    (void)state;
    char value[4];
    scratch_script(db, "DROP TABLE meta");
    assert_int_equal(meta_get(db, "owner", value, sizeof value, NULL), E_INTERNAL);
    assert_int_equal(set(SPAN("x"), NULL), E_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_meta__set_and_set_again__the_last_is_there),
        TEST(test_meta_get__no_such_name__is_not_found),
        TEST(test_meta_get__does_not_fit__is_refused),
        TEST(test_meta_set__above_the_limit__is_refused),
        TEST(test_meta__no_table__is_our_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
