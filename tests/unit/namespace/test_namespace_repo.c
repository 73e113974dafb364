/* tenant_info: rows as Nacos writes them, so that its tables and ours can be exchanged. */
#include "namespace/namespace_repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/thread.h"
#include "namespace_bed.h"
#include "store/db_sqlite.h"

static struct db *open_tables(const struct namespace_bed *b)
{
    struct db *db = NULL;
    assert_int_equal(db_sqlite_open(b->path, NULL, &db, NULL), 0);
    return db;
}

static void script(const struct namespace_bed *b, const char *sql)
{
    struct db *db = open_tables(b);
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(db_script(db, sql, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
    db_destroy(db);
}

static void expect_number(const struct namespace_bed *b, const struct db_stmt *stmt,
                          int64_t expected)
{
    struct db *db = open_tables(b);
    struct db_query *q = NULL;
    bool has_row = false;
    assert_int_equal(db_query(db, stmt, &q, NULL), 0);
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    assert_true(has_row);
    assert_int_equal(db_col_int64(q, 0), expected);
    db_done(q);
    db_destroy(db);
}

/* Writes go on as entry of their own. */
static void end_entry(struct namespace_bed *b)
{
    table_writer_entry_end(b->tables, ++b->index);
    bed_flush(b);
}

static void test_put__writes_the_row_of_nacos(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    struct namespace_info info = {.id = SPAN("dev"),
                                  .name = SPAN("development"),
                                  .desc = SPAN("d"),
                                  .created_ms = 11,
                                  .modified_ms = 11};
    namespace_repo_put(b.tables, &info, true);
    end_entry(&b);
    static const struct db_stmt as_new = {
        .name = "as_new",
        .sql_sqlite = "SELECT count(*) FROM tenant_info WHERE kp = '1' AND tenant_id = 'dev' AND "
                      "tenant_name = 'development' AND tenant_desc = 'd' AND create_source = "
                      "'nacos' AND gmt_create = 11 AND gmt_modified = 11"};
    expect_number(&b, &as_new, 1);
    info.desc = (struct span){0};
    info.modified_ms = 12;
    namespace_repo_put(b.tables, &info, false);
    end_entry(&b);
    static const struct db_stmt changed = {
        .name = "changed",
        .sql_sqlite = "SELECT count(*) FROM tenant_info WHERE tenant_id = 'dev' AND tenant_desc "
                      "IS NULL AND gmt_create = 11 AND gmt_modified = 12"};
    expect_number(&b, &changed, 1);
    namespace_repo_remove(b.tables, SPAN("dev"));
    end_entry(&b);
    static const struct db_stmt all = {.name = "all",
                                       .sql_sqlite = "SELECT count(*) FROM tenant_info"};
    expect_number(&b, &all, 0);
    bed_end(&b);
}

static void count_row(void *arg, const struct namespace_info *info)
{
    unsigned *seen = arg;
    static const char *const ids[] = {"A", "b"};
    assert_true(span_eq(info->id, span_str(ids[*seen])));
    assert_int_equal(info->desc.data != NULL, *seen == 0);
    assert_int_equal(info->created_ms, 5);
    ++*seen;
}

static void test_load__other_rows__are_left_alone(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    script(&b, "INSERT INTO tenant_info (kp, tenant_id, tenant_name, tenant_desc, gmt_create, "
               "gmt_modified) VALUES ('1', 'b', 'x', NULL, 5, 6), ('1', 'A', '', '', 5, 6), "
               "('2', 'other', 'x', 'x', 5, 6)");
    struct db *db = open_tables(&b);
    unsigned seen = 0;
    assert_int_equal(namespace_repo_load(db, count_row, &seen, NULL), 0);
    assert_int_equal(seen, 2);
    db_destroy(db);
    bed_end(&b);
}

static void test_load__no_such_table__says_so(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    script(&b, "DROP TABLE tenant_info");
    struct db *db = open_tables(&b);
    struct fail fail = {0};
    assert_int_equal(namespace_load_tables(b.namespaces, db, &fail), E_INTERNAL);
    assert_non_null(strstr(fail.text, "tenant_info"));
    db_destroy(db);
    bed_end(&b);
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put__writes_the_row_of_nacos),
        cmocka_unit_test(test_load__other_rows__are_left_alone),
        cmocka_unit_test(test_load__no_such_table__says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
