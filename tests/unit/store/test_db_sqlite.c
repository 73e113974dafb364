#include "store/db_sqlite.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/thread.h"
#include "scratch.h"

static struct scratch scratch;

static const struct db_stmt insert = {
    .name = "insert", .sql_sqlite = "INSERT INTO t (id, name, body, rate) VALUES (?, ?, ?, ?)"};
static const struct db_stmt get = {.name = "get",
                                   .sql_sqlite = "SELECT id, name, body, rate FROM t WHERE id = ?"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};
static const struct db_stmt rename_all = {.name = "rename_all",
                                          .sql_sqlite = "UPDATE t SET name = ?"};
static const struct db_stmt endless = {
    .name = "endless",
    .sql_sqlite = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                  "SELECT count(*) FROM n"};
static const struct db_stmt wrong = {.name = "wrong", .sql_sqlite = "SELECT x FROM nowhere"};

#define TABLE                                                                                      \
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB, rate REAL) "    \
    "STRICT"

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

static void expect(int err, int expected, const struct fail *fail, const char *text)
{
    if (err != expected || !strstr(fail->text, text)) {
        fail_msg("%s '%s', expected %s '%s'", err_name(err), fail->text, err_name(expected), text);
    }
}

static struct db *open_table(void)
{
    struct db *db = scratch_open(scratch.db, NULL);
    scratch_script(db, TABLE);
    return db;
}

static int add(struct db *db, int64_t id, struct span name, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &insert, &q, fail);
    if (err) {
        return err;
    }
    db_bind_int64(q, id);
    db_bind_text(q, name);
    db_bind_blob(q, SPAN("\0\1\2"));
    db_bind_double(q, 0.25);
    return db_exec(q, NULL, fail);
}

static void add_one(struct db *db, int64_t id, struct span name)
{
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(add(db, id, name, NULL), 0);
    assert_int_equal(db_commit(db, NULL), 0);
}

static void test_open__new_file__is_ours_alone_and_in_wal_mode(void **state)
{
    (void)state;
    mode_t before = umask(0);
    struct db *db = open_table();
    (void)umask(before);
    const char *const names[] = {"data.db", "data.db-wal", "data.db-shm"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[160];
        struct stat st;
        assert_int_equal(stat(scratch_path(&scratch, names[i], path), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    db_destroy(db);
    char path[160];
    assert_int_equal(scratch_size(scratch_path(&scratch, "data.db-wal", path)), -1);
}

static void test_open__file_that_others_may_read__is_closed_to_them(void **state)
{
    (void)state;
    db_destroy(open_table());
    assert_int_equal(chmod(scratch.db, 0644), 0);
    db_destroy(scratch_open(scratch.db, NULL));
    struct stat st;
    assert_int_equal(stat(scratch.db, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_values__round_trip(void **state)
{
    (void)state;
    struct db *db = open_table();
    add_one(db, INT64_MIN, SPAN("n\xc3\xa4me with\0zero"));
    struct db_query *q = NULL;
    bool has_row = false;
    assert_int_equal(db_query(db, &get, &q, NULL), 0);
    db_bind_int64(q, INT64_MIN);
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    assert_true(has_row);
    assert_true(db_col_int64(q, 0) == INT64_MIN);
    assert_true(span_eq(db_col_text(q, 1), SPAN("n\xc3\xa4me with\0zero")));
    assert_true(span_eq(db_col_blob(q, 2), SPAN("\0\1\2")));
    assert_true(db_col_double(q, 3) > 0.24 && db_col_double(q, 3) < 0.26);
    assert_false(db_col_is_null(q, 3));
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    assert_false(has_row);
    db_done(q);
    db_destroy(db);
}

static void test_values__empty_is_not_null(void **state)
{
    (void)state;
    struct db *db = open_table();
    add_one(db, 1, (struct span){0});
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    struct db_query *q = NULL;
    assert_int_equal(db_query(db, &insert, &q, NULL), 0);
    db_bind_int64(q, 2);
    db_bind_text(q, SPAN("two"));
    db_bind_null(q);
    db_bind_null(q);
    assert_int_equal(db_exec(q, NULL, NULL), 0);
    assert_int_equal(db_last_id(db), 2);
    assert_int_equal(db_commit(db, NULL), 0);
    bool has_row = false;
    for (int64_t id = 1; id <= 2; id++) {
        assert_int_equal(db_query(db, &get, &q, NULL), 0);
        db_bind_int64(q, id);
        assert_int_equal(db_step(q, &has_row, NULL), 0);
        assert_false(db_col_is_null(q, 1));
        assert_int_equal(db_col_is_null(q, 2), id == 2);
        assert_int_equal(db_col_is_null(q, 3), id == 2);
        db_done(q);
    }
    db_destroy(db);
}

static void test_values__ten_megabytes__round_trip_and_more_is_refused(void **state)
{
    (void)state;
    struct db *db = open_table();
    char *big = mem_zalloc(1, (size_t)DB_VALUE_BYTES_MAX + 1);
    memset(big, 'x', (size_t)DB_VALUE_BYTES_MAX + 1);
    struct span most = span_of(big, DB_VALUE_BYTES_MAX);
    add_one(db, 1, most);
    struct db_query *q = NULL;
    bool has_row = false;
    assert_int_equal(db_query(db, &get, &q, NULL), 0);
    db_bind_int64(q, 1);
    assert_int_equal(db_step(q, &has_row, NULL), 0);
    assert_true(span_eq(db_col_text(q, 1), most));
    db_done(q);
    struct fail fail = {0};
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    expect(add(db, 2, span_of(big, most.len + 1), &fail), E_TOO_LARGE, &fail, "insert: value 2");
    db_rollback(db);
    /* A row above the limit of rows, made of values below theirs. */
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(db_query(db, &insert, &q, NULL), 0);
    db_bind_int64(q, 3);
    db_bind_text(q, span_of(big, most.len - 1));
    db_bind_blob(q, most);
    db_bind_null(q);
    expect(db_exec(q, NULL, &fail), E_TOO_LARGE, &fail, "insert: a row above the limit");
    db_rollback(db);
    mem_free(big);
    db_destroy(db);
}

static void test_constraint__is_a_conflict_and_the_transaction_goes_on(void **state)
{
    (void)state;
    struct db *db = open_table();
    struct fail fail = {0};
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(add(db, 1, SPAN("a"), NULL), 0);
    expect(add(db, 1, SPAN("b"), &fail), E_CONFLICT, &fail, "insert: refused by the table's rules");
    assert_int_equal(add(db, 2, SPAN("b"), NULL), 0);
    struct db_query *q = NULL;
    int64_t changed = -1;
    assert_int_equal(db_query(db, &rename_all, &q, NULL), 0);
    db_bind_text(q, SPAN("same for both"));
    expect(db_exec(q, &changed, &fail), E_CONFLICT, &fail, "UNIQUE constraint failed: t.name");
    assert_int_equal(db_commit(db, NULL), 0);
    assert_int_equal(scratch_number(db, &count), 2);
    db_destroy(db);
}

static void test_rollback__takes_all_back(void **state)
{
    (void)state;
    struct db *db = open_table();
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(add(db, 1, SPAN("a"), NULL), 0);
    db_rollback(db);
    assert_int_equal(scratch_number(db, &count), 0);
    db_destroy(db);
}

static void test_read_transaction__sees_one_state(void **state)
{
    (void)state;
    struct db *writer = open_table();
    struct db *reader = scratch_open(
        scratch.db, &(struct db_sqlite_options){.is_reader = true, .must_exist = true});
    add_one(writer, 1, SPAN("a"));
    assert_int_equal(db_begin(reader, DB_TX_READ, NULL), 0);
    assert_int_equal(scratch_number(reader, &count), 1);
    add_one(writer, 2, SPAN("b")); /* does not wait for the reader */
    assert_int_equal(scratch_number(reader, &count), 1);
    assert_int_equal(db_commit(reader, NULL), 0);
    assert_int_equal(scratch_number(reader, &count), 2);
    db_destroy(reader);
    db_destroy(writer);
}

static void test_reader__cannot_write(void **state)
{
    (void)state;
    db_destroy(open_table());
    struct db *reader = scratch_open(scratch.db, &(struct db_sqlite_options){.is_reader = true});
    struct fail fail = {0};
    int err = db_begin(reader, DB_TX_WRITE, &fail);
    if (!err) {
        err = add(reader, 1, SPAN("a"), &fail);
    }
    expect(err, E_IO, &fail, "cannot be written");
    db_destroy(reader);
}

static void test_begin__two_writers__the_second_is_busy(void **state)
{
    (void)state;
    struct db *one = open_table();
    struct db *two = scratch_open(scratch.db, &(struct db_sqlite_options){.busy_ms = 20});
    assert_int_equal(db_begin(one, DB_TX_WRITE, NULL), 0);
    struct fail fail = {0};
    expect(db_begin(two, DB_TX_WRITE, &fail), E_BUSY, &fail, "another connection holds");
    db_rollback(one);
    add_one(two, 1, SPAN("a"));
    db_destroy(two);
    db_destroy(one);
}

static void test_statement__takes_too_long__is_ended(void **state)
{
    (void)state;
    struct db *db = scratch_open(scratch.db, &(struct db_sqlite_options){.statement_ms = 30});
    struct db_query *q = NULL;
    bool has_row = false;
    struct fail fail = {0};
    assert_int_equal(db_query(db, &endless, &q, NULL), 0);
    uint64_t begin_ms = clock_mono_ms();
    expect(db_step(q, &has_row, &fail), E_TIMEOUT, &fail, "endless: took more than 30 ms");
    assert_in_range(clock_mono_ms() - begin_ms, 25, 5000);
    db_done(q);
    scratch_script(db, TABLE); /* and the connection is as good as before */
    db_destroy(db);
}

static void *cancel(void *arg)
{
    db_cancel(arg);
    return NULL;
}

static void test_cancel__from_another_thread__ends_what_runs(void **state)
{
    (void)state;
    struct db *db = open_table();
    (void)db_limit_time(db, 60000);
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(add(db, 1, SPAN("a"), NULL), 0);
    struct db_query *q = NULL;
    bool has_row = false;
    struct fail fail = {0};
    assert_int_equal(db_query(db, &endless, &q, NULL), 0);
    pthread_t thread;
    assert_int_equal(thread_start(&thread, cancel, db), 0);
    expect(db_step(q, &has_row, &fail), E_CLOSED, &fail, "being closed");
    assert_int_equal(pthread_join(thread, NULL), 0);
    db_done(q);
    db_rollback(db); /* works although the connection is cancelled */
    db_destroy(db);
    db = scratch_open(scratch.db, NULL);
    assert_int_equal(scratch_number(db, &count), 0);
    db_destroy(db);
}

static void test_wrong_sql__says_which_statement(void **state)
{
    (void)state;
    struct db *db = open_table();
    struct db_query *q = NULL;
    struct fail fail = {0};
    expect(db_query(db, &wrong, &q, &fail), E_INTERNAL, &fail,
           "wrong: SQLite says 1: no such table");
    db_destroy(db);
}

static int try_open(const struct db_sqlite_options *options, struct fail *fail)
{
    struct db *db = NULL;
    int err = db_sqlite_open(scratch.db, options, &db, fail);
    db_destroy(db);
    return err;
}

static void test_open__must_exist_and_does_not__is_gone(void **state)
{
    (void)state;
    struct fail fail = {0};
    expect(try_open(&(struct db_sqlite_options){.must_exist = true}, &fail), E_GONE, &fail,
           "data.db: the database file is not there");
    assert_int_equal(scratch_size(scratch.db), -1);
}

static void test_open__no_folder_or_no_file__says_so(void **state)
{
    (void)state;
    struct db *db = NULL;
    struct fail fail = {0};
    expect(db_sqlite_open("/nowhere/at/all.db", NULL, &db, &fail), E_IO, &fail, "cannot be made");
    assert_int_equal(mkdir(scratch.db, 0700), 0);
    expect(try_open(NULL, &fail), E_INVALID, &fail, "expected a file");
    assert_int_equal(rmdir(scratch.db), 0);
    assert_int_equal(symlink("elsewhere", scratch.db), 0);
    expect(try_open(NULL, &fail), E_INVALID, &fail, "expected a file");
}

static void write_at(long offset, const char *bytes, size_t len)
{
    FILE *file = fopen(scratch.db, "r+b");
    if (!file) {
        file = fopen(scratch.db, "wb");
    }
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void test_open__no_database__is_refused_in_one_sentence(void **state)
{
    (void)state;
    char text[8192];
    memset(text, 'a', sizeof text);
    write_at(0, text, sizeof text);
    struct fail fail = {0};
    expect(try_open(NULL, &fail), E_CORRUPT, &fail, "data.db: not a database");
}

static void test_open__other_programs_database__is_refused(void **state)
{
    (void)state;
    sqlite3 *other = NULL;
    struct fail fail = {0};
    assert_int_equal(sqlite3_open(scratch.db, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE x (y)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    expect(try_open(NULL, &fail), E_INVALID, &fail, "another program (application id 0)");
    assert_int_equal(sqlite3_open(scratch.db, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "PRAGMA application_id=7", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    expect(try_open(NULL, &fail), E_INVALID, &fail, "another program (application id 7)");
}

static void make_some_rows(void)
{
    struct db *db = open_table();
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    for (int64_t id = 1; id <= 2000; id++) {
        char name[64];
        (void)snprintf(name, sizeof name, "a name that is long enough %lld", (long long)id);
        assert_int_equal(add(db, id, span_str(name), NULL), 0);
    }
    assert_int_equal(db_commit(db, NULL), 0);
    db_destroy(db);
}

static void test_open__damaged_page__is_found_when_asked(void **state)
{
    (void)state;
    make_some_rows();
    char zeros[4096] = {0};
    write_at(4096L * 5, zeros, sizeof zeros);
    struct fail fail = {0};
    expect(try_open(&(struct db_sqlite_options){.check = DB_SQLITE_CHECK_QUICK}, &fail), E_CORRUPT,
           &fail, "the database is damaged; restore it from a backup (");
    assert_int_equal(try_open(NULL, &fail), 0);
}

static void test_open__cut_file__is_found_when_asked(void **state)
{
    (void)state;
    make_some_rows();
    assert_int_equal(truncate(scratch.db, 4096 * 7 + 100), 0);
    struct fail fail = {0};
    expect(try_open(&(struct db_sqlite_options){.check = DB_SQLITE_CHECK_QUICK}, &fail), E_CORRUPT,
           &fail, "data.db: ");
}

static void test_open__index_that_lies__is_found_by_the_full_check_only(void **state)
{
    (void)state;
    make_some_rows();
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(scratch.db, &other), SQLITE_OK);
    /* The index is no longer about the column that it was made of. */
    assert_int_equal(sqlite3_exec(other,
                                  "CREATE INDEX i ON t (rate); PRAGMA writable_schema=ON;"
                                  "UPDATE sqlite_schema SET sql='CREATE INDEX i ON t (id)' "
                                  "WHERE name='i'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    struct fail fail = {0};
    assert_int_equal(try_open(&(struct db_sqlite_options){.check = DB_SQLITE_CHECK_QUICK}, &fail),
                     0);
    expect(try_open(&(struct db_sqlite_options){.check = DB_SQLITE_CHECK_FULL}, &fail), E_CORRUPT,
           &fail, "index i");
}

static void test_file__removed_under_us__is_gone_and_not_made_anew(void **state)
{
    (void)state;
    struct db *db = open_table();
    assert_int_equal(unlink(scratch.db), 0);
    struct fail fail = {0};
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    int err = add(db, 1, SPAN("a"), &fail);
    if (!err) {
        err = db_commit(db, &fail);
    } else {
        db_rollback(db);
    }
    /* SQLite looks for it only when it makes its journal: with an open WAL nothing is noticed. */
    assert_true(err == 0 || err == E_GONE);
    db_destroy(db);
    expect(try_open(&(struct db_sqlite_options){.must_exist = true}, &fail), E_GONE, &fail,
           "is not there");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open__new_file__is_ours_alone_and_in_wal_mode),
        TEST(test_open__file_that_others_may_read__is_closed_to_them),
        TEST(test_values__round_trip),
        TEST(test_values__empty_is_not_null),
        TEST(test_values__ten_megabytes__round_trip_and_more_is_refused),
        TEST(test_constraint__is_a_conflict_and_the_transaction_goes_on),
        TEST(test_rollback__takes_all_back),
        TEST(test_read_transaction__sees_one_state),
        TEST(test_reader__cannot_write),
        TEST(test_begin__two_writers__the_second_is_busy),
        TEST(test_statement__takes_too_long__is_ended),
        TEST(test_cancel__from_another_thread__ends_what_runs),
        TEST(test_wrong_sql__says_which_statement),
        TEST(test_open__must_exist_and_does_not__is_gone),
        TEST(test_open__no_folder_or_no_file__says_so),
        TEST(test_open__no_database__is_refused_in_one_sentence),
        TEST(test_open__other_programs_database__is_refused),
        TEST(test_open__damaged_page__is_found_when_asked),
        TEST(test_open__cut_file__is_found_when_asked),
        TEST(test_open__index_that_lies__is_found_by_the_full_check_only),
        TEST(test_file__removed_under_us__is_gone_and_not_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
