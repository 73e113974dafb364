#include "node/tables.h"

#include "disk_rig.h"
#include "node/core_state.h"
#include "store/applied.h"

static atomic_uint wakes;

static void wake(void *self)
{
    (void)self;
    atomic_fetch_add(&wakes, 1);
}

static int create(const struct disk *d, struct tables **ret, struct fail *fail)
{
    struct tables_options options = {
        .dir = d->dir, .wake = wake, .on_fatal = disk_on_fatal, .self = NULL};
    return tables_create(&options, ret, fail);
}

static void test_create__new__has_all_schemas_and_index_0(void **state)
{
    (void)state;
    struct disk d;
    struct tables *t = NULL;
    struct fail fail = {0};
    unsigned version = 0;
    disk_init(&d);
    assert_int_equal(create(&d, &t, &fail), 0);
    assert_true(tables_index(t) == 0);
    assert_int_equal(migrate_version(tables_db(t), "config", &version, &fail), 0);
    assert_true(version >= 1);
    assert_int_equal(migrate_version(tables_db(t), "namespace", &version, &fail), 0);
    assert_true(version >= 1);
    tables_loaded(t);
    assert_null(tables_db(t));
    assert_non_null(tables_writer(t));
    assert_non_null(strstr(tables_path(t), TABLES_FILE));
    tables_destroy(t);
    tables_destroy(NULL);
    disk_close(&d);
}

static void test_create__again__finds_where_it_was(void **state)
{
    (void)state;
    struct disk d;
    struct tables *t = NULL;
    struct fail fail = {0};
    disk_init(&d);
    assert_int_equal(create(&d, &t, &fail), 0);
    assert_int_equal(db_begin(tables_db(t), DB_TX_WRITE, &fail), 0);
    assert_int_equal(applied_set(tables_db(t), (struct applied){.index = 42}, &fail), 0);
    assert_int_equal(db_commit(tables_db(t), &fail), 0);
    tables_destroy(t);
    assert_int_equal(create(&d, &t, &fail), 0);
    assert_true(tables_index(t) == 42);
    tables_destroy(t);
    disk_close(&d);
}

static void test_create__no_database__names_the_file(void **state)
{
    (void)state;
    struct disk d;
    struct tables *t = NULL;
    struct fail fail = {0};
    char path[128];
    disk_init(&d);
    FILE *f = fopen(disk_path(&d, TABLES_FILE, path), "we");
    assert_non_null(f);
    for (int i = 0; i < 1000; i++) {
        assert_true(fputs("this is no database ", f) >= 0);
    }
    assert_int_equal(fclose(f), 0);
    assert_int_not_equal(create(&d, &t, &fail), 0);
    assert_non_null(strstr(fail.text, TABLES_FILE));
    disk_close(&d);
}

static void test_create__directory_with_a_long_name__is_refused(void **state)
{
    (void)state;
    struct tables *t = NULL;
    struct fail fail = {0};
    char name[5000];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct tables_options options = {.dir = name, .wake = wake, .on_fatal = disk_on_fatal};
    assert_int_equal(tables_create(&options, &t, &fail), E_TOO_LARGE);
}

int main(void)
{
    thread_become(THREAD_MAIN, "test");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create__new__has_all_schemas_and_index_0),
        cmocka_unit_test(test_create__again__finds_where_it_was),
        cmocka_unit_test(test_create__no_database__names_the_file),
        cmocka_unit_test(test_create__directory_with_a_long_name__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
