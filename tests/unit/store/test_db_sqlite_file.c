#include "store/db_sqlite.h"

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

#include "base/err.h"
#include "scratch.h"

static struct scratch scratch;

static const struct db_stmt insert = {.name = "insert",
                                      .sql_sqlite = "INSERT INTO t (body) VALUES (zeroblob(?))"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};

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

static void add(struct db *db, unsigned rows, int64_t bytes)
{
    assert_int_equal(db_begin(db, DB_TX_WRITE, NULL), 0);
    for (unsigned i = 0; i < rows; i++) {
        struct db_query *q = NULL;
        assert_int_equal(db_query(db, &insert, &q, NULL), 0);
        db_bind_int64(q, bytes);
        assert_int_equal(db_exec(q, NULL, NULL), 0);
    }
    assert_int_equal(db_commit(db, NULL), 0);
}

static struct db *open_rows(const char *path, unsigned rows, int64_t bytes)
{
    struct db *db = scratch_open(path, NULL);
    scratch_script(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB) STRICT");
    add(db, rows, bytes);
    return db;
}

static int64_t rows_in(const char *path)
{
    struct db *db = scratch_open(path, &(struct db_sqlite_options){.must_exist = true});
    int64_t rows = scratch_number(db, &count);
    db_destroy(db);
    return rows;
}

static void test_checkpoint__nobody_reads__all_is_moved_and_the_wal_cut(void **state)
{
    (void)state;
    struct db *db = open_rows(scratch.db, 100, 1000);
    char wal[160];
    assert_true(scratch_size(scratch_path(&scratch, "data.db-wal", wal)) > 100000);
    struct db_checkpoint done = {0};
    assert_int_equal(db_sqlite_checkpoint(db, &done, NULL), 0);
    assert_true(done.pages > 25);
    assert_int_equal(done.pages, done.pages_moved);
    assert_int_equal(scratch_size(wal), 0);
    /* Nothing to do is no error. */
    assert_int_equal(db_sqlite_checkpoint(db, &done, NULL), 0);
    assert_int_equal(done.pages, 0);
    assert_int_equal(db_sqlite_checkpoint(db, NULL, NULL), 0);
    db_destroy(db);
}

/* A disk that has what was synced, and nothing else: each sync copies the file as it is. */
static sqlite3_vfs disk_vfs;
static sqlite3_io_methods disk_methods[2]; /* of the database, of the WAL */
static const sqlite3_io_methods *real_methods[2];
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static sqlite3_file *wal_file;

static int disk_sync(sqlite3_file *file, int flags)
{
    bool is_wal = file == wal_file;
    int rc = real_methods[is_wal]->xSync(file, flags);
    char from[160];
    char to[160];
    scratch_copy(scratch_path(&scratch, is_wal ? "data.db-wal" : "data.db", from),
                 scratch_path(&scratch, is_wal ? "durable.db-wal" : "durable.db", to));
    return rc;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    int rc = real_open(sqlite3_vfs_find("unix"), name, file, flags, out);
    if (rc == SQLITE_OK && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL))) {
        bool is_wal = flags & SQLITE_OPEN_WAL;
        real_methods[is_wal] = file->pMethods;
        disk_methods[is_wal] = *file->pMethods;
        disk_methods[is_wal].xSync = disk_sync;
        file->pMethods = &disk_methods[is_wal];
        wal_file = is_wal ? file : wal_file;
    }
    return rc;
}

static void disk_begin(void)
{
    disk_vfs = *sqlite3_vfs_find("unix");
    real_open = disk_vfs.xOpen;
    disk_vfs.xOpen = disk_open;
    disk_vfs.zName = "disk";
    assert_int_equal(sqlite3_vfs_register(&disk_vfs, 1), SQLITE_OK);
}

static void disk_end(void)
{
    assert_int_equal(sqlite3_vfs_unregister(&disk_vfs), SQLITE_OK);
    assert_int_equal(sqlite3_vfs_register(sqlite3_vfs_find("unix"), 1), SQLITE_OK);
}

static void test_checkpoint__a_reader_holds_on__all_is_durable_nevertheless(void **state)
{
    (void)state;
    disk_begin();
    struct db *db = open_rows(scratch.db, 10, 1000);
    assert_int_equal(db_sqlite_checkpoint(db, NULL, NULL), 0);
    add(db, 1, 10);
    disk_end(); /* the reader's own files are not looked at */
    struct db *reader = scratch_open(scratch.db, &(struct db_sqlite_options){.is_reader = true});
    assert_int_equal(db_begin(reader, DB_TX_READ, NULL), 0);
    assert_int_equal(scratch_number(reader, &count), 11);
    assert_int_equal(db_sqlite_checkpoint(db, NULL, NULL), 0); /* as far as the reader stands */
    add(db, 20, 1000);
    struct db_checkpoint done = {0};
    assert_int_equal(db_sqlite_checkpoint(db, &done, NULL), 0);
    assert_true(done.pages_moved < done.pages);
    /* The power goes. */
    char durable[160];
    scratch_path(&scratch, "durable.db", durable);
    assert_int_equal(rows_in(durable), 31);
    db_destroy(reader);
    db_destroy(db);
}

static bool count_calls(void *arg, uint64_t done, uint64_t total)
{
    unsigned *calls = arg;
    assert_true(done < total);
    (*calls)++;
    return true;
}

static void test_backup__is_whole_and_ours_alone(void **state)
{
    (void)state;
    struct db *db = open_rows(scratch.db, 10000, 1000);
    char copy[160];
    char part[160];
    unsigned calls = 0;
    struct fail fail = {0};
    scratch_path(&scratch, "copy.db", copy);
    scratch_path(&scratch, "copy.db.part", part);
    assert_int_equal(db_sqlite_backup(db, copy, count_calls, &calls, &fail), 0);
    assert_true(calls >= 2);
    assert_true(db_is_idle(db));
    assert_int_equal(scratch_size(part), -1);
    struct stat st;
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(db_sqlite_verify(copy, &fail), 0);
    assert_int_equal(rows_in(copy), 10000);
    /* Once more to the same name: replaced. */
    add(db, 5, 10);
    assert_int_equal(db_sqlite_backup(db, copy, NULL, NULL, &fail), 0);
    assert_int_equal(rows_in(copy), 10005);
    db_destroy(db);
}

static bool write_meanwhile(void *arg, uint64_t done, uint64_t total)
{
    (void)total;
    assert_true(done > 0);
    add(arg, 100, 1000);
    return true;
}

static void test_backup__writers_go_on__it_has_one_state_and_ends(void **state)
{
    (void)state;
    struct db *writer = open_rows(scratch.db, 10000, 1000);
    struct db *reader = scratch_open(scratch.db, &(struct db_sqlite_options){.is_reader = true});
    char copy[160];
    scratch_path(&scratch, "copy.db", copy);
    assert_int_equal(db_sqlite_backup(reader, copy, write_meanwhile, writer, NULL), 0);
    assert_int_equal(rows_in(copy), 10000);
    assert_true(scratch_number(writer, &count) > 10000);
    db_destroy(reader);
    db_destroy(writer);
}

static bool stop(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    (void)done;
    (void)total;
    return false;
}

static void test_backup__stopped__leaves_nothing(void **state)
{
    (void)state;
    struct db *db = open_rows(scratch.db, 10000, 1000);
    char copy[160];
    char part[160];
    struct fail fail = {0};
    scratch_path(&scratch, "copy.db", copy);
    expect(db_sqlite_backup(db, copy, stop, NULL, &fail), E_CLOSED, &fail, "stopped at page 1024");
    assert_int_equal(scratch_size(copy), -1);
    assert_int_equal(scratch_size(scratch_path(&scratch, "copy.db.part", part)), -1);
    assert_int_equal(db_sqlite_backup(db, "/nowhere/copy.db", NULL, NULL, &fail), E_IO);
    add(db, 1, 1); /* the connection is as good as before */
    db_destroy(db);
}

static void test_backup__files_of_a_killed_one__do_not_get_into_it(void **state)
{
    (void)state;
    char copy[160];
    char path[160];
    scratch_path(&scratch, "copy.db", copy);
    struct db *db = open_rows(scratch.db, 10, 10);
    struct db *other = open_rows(copy, 500, 1000); /* its -wal stays behind */
    char keep[160];
    scratch_path(&scratch, "copy.db-wal", path);
    scratch_copy(path, scratch_path(&scratch, "keep", keep));
    db_destroy(other);
    scratch_copy(keep, path);
    const char *const left[] = {"copy.db.part", "copy.db.part-journal", "copy.db.part-wal"};
    for (size_t i = 0; i < 3; i++) {
        scratch_copy(keep, scratch_path(&scratch, left[i], path));
    }
    assert_int_equal(db_sqlite_backup(db, copy, NULL, NULL, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(scratch_size(scratch_path(&scratch, left[i], path)), -1);
    }
    assert_int_equal(rows_in(copy), 10);
    db_destroy(db);
}

static void test_verify__damaged__says_what_to_do(void **state)
{
    (void)state;
    db_destroy(open_rows(scratch.db, 1000, 1000));
    assert_int_equal(truncate(scratch.db, 4096 * 9), 0);
    struct fail fail = {0};
    expect(db_sqlite_verify(scratch.db, &fail), E_CORRUPT, &fail, "restore");
    expect(db_sqlite_verify("/nowhere.db", &fail), E_GONE, &fail, "not there");
}

static void test_replace__the_new_one_is_there_and_no_old_wal(void **state)
{
    (void)state;
    char from[160];
    char left[160];
    struct fail fail = {0};
    scratch_path(&scratch, "new.db", from);
    db_destroy(open_rows(from, 7, 10));
    db_destroy(open_rows(scratch.db, 1000, 1000));
    /* As after a kill: the old database's -wal is still there. */
    struct db *db = scratch_open(scratch.db, NULL);
    add(db, 50, 1000);
    char keep[160];
    scratch_copy(scratch_path(&scratch, "data.db-wal", left), scratch_path(&scratch, "keep", keep));
    db_destroy(db);
    scratch_copy(keep, left);
    assert_int_equal(db_sqlite_replace(scratch.db, from, &fail), 0);
    assert_int_equal(scratch_size(from), -1);
    assert_int_equal(scratch_size(left), -1);
    assert_int_equal(rows_in(scratch.db), 7);
}

static void test_replace__old_one_missing_or_damaged__does_not_matter(void **state)
{
    (void)state;
    char from[160];
    struct fail fail = {0};
    scratch_path(&scratch, "new.db", from);
    db_destroy(open_rows(from, 7, 10));
    assert_int_equal(db_sqlite_replace(scratch.db, from, &fail), 0);
    assert_int_equal(rows_in(scratch.db), 7);
    db_destroy(open_rows(from, 8, 10));
    FILE *file = fopen(scratch.db, "wb");
    assert_non_null(file);
    assert_true(fputs("this is not a database, and longer than a header would be: "
                      "sixty bytes and then some more of them, to be sure that it is",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(db_sqlite_replace(scratch.db, from, &fail), 0);
    assert_int_equal(rows_in(scratch.db), 8);
}

static void test_replace__new_one_is_damaged__the_old_stays(void **state)
{
    (void)state;
    char from[160];
    struct fail fail = {0};
    scratch_path(&scratch, "new.db", from);
    db_destroy(open_rows(scratch.db, 3, 10));
    db_destroy(open_rows(from, 1000, 1000));
    assert_int_equal(truncate(from, 4096 * 9), 0);
    expect(db_sqlite_replace(scratch.db, from, &fail), E_CORRUPT, &fail, "new.db");
    assert_int_equal(rows_in(scratch.db), 3);
}

static void test_replace__somebody_has_it_open__is_refused(void **state)
{
    (void)state;
    char from[160];
    struct fail fail = {0};
    scratch_path(&scratch, "new.db", from);
    db_destroy(open_rows(from, 7, 10));
    struct db *db = open_rows(scratch.db, 3, 10);
    expect(db_sqlite_replace(scratch.db, from, &fail), E_BUSY, &fail, "somebody else");
    assert_int_equal(scratch_number(db, &count), 3);
    db_destroy(db);
    assert_int_equal(db_sqlite_replace(scratch.db, from, &fail), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_checkpoint__nobody_reads__all_is_moved_and_the_wal_cut),
        TEST(test_checkpoint__a_reader_holds_on__all_is_durable_nevertheless),
        TEST(test_backup__is_whole_and_ours_alone),
        TEST(test_backup__writers_go_on__it_has_one_state_and_ends),
        TEST(test_backup__stopped__leaves_nothing),
        TEST(test_backup__files_of_a_killed_one__do_not_get_into_it),
        TEST(test_verify__damaged__says_what_to_do),
        TEST(test_replace__the_new_one_is_there_and_no_old_wal),
        TEST(test_replace__old_one_missing_or_damaged__does_not_matter),
        TEST(test_replace__new_one_is_damaged__the_old_stays),
        TEST(test_replace__somebody_has_it_open__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
