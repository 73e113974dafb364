/* The database on a file system of 48 MB that is full: refusals with the reason, reads go on, and
 * it goes on by itself when there is room. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "scratch.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/migrate.h"

#define SKIPPED 77
#define BODY_BYTES 1000

static struct scratch scratch;
static char filler[160];

static const struct migration rows[] = {
    {1, "t", "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT"}};
static const struct migration_set test_set = {"test", rows, 1};

static const struct db_stmt insert = {
    .name = "insert", .sql_sqlite = "INSERT INTO t (id, body) VALUES (?, zeroblob(?))"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};
static const struct db_stmt last = {.name = "last", .sql_sqlite = "SELECT max(id) FROM t"};

/* Returns why not; NULL when dir is a file system of its own. It goes with the process. */
static const char *mount_small(const char *dir)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return "no mount namespace";
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return "the mounts cannot be made private";
    }
    return mount("tmpfs", dir, "tmpfs", 0, "size=48m") == 0 ? NULL : "tmpfs cannot be mounted";
}

/* Take what is left of the disk. */
static void fill(void)
{
    static const char zeros[4096];
    int fd = open(filler, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, zeros, sizeof zeros) > 0) {
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(close(fd), 0);
}

static int setup(void **state)
{
    (void)state;
    char path[160];
    (void)unlink(scratch_path(&scratch, "data.db", path));
    (void)unlink(scratch_path(&scratch, "data.db-wal", path));
    (void)unlink(scratch_path(&scratch, "data.db-shm", path));
    (void)unlink(scratch_path(&scratch, "filler", filler));
    return 0;
}

static struct db *open_migrated(void)
{
    const struct migration_set *const sets[] = {&migrate_store, &test_set};
    struct db *db = scratch_open(scratch.db, NULL);
    assert_int_equal(migrate_run(db, sets, 2, NULL), 0);
    return db;
}

/* One entry of the log: a row and the index, in one transaction. */
static int apply(struct db *db, uint64_t index, struct fail *fail)
{
    int err = db_begin(db, DB_TX_WRITE, fail);
    if (err) {
        return err;
    }
    struct db_query *q = NULL;
    err = db_query(db, &insert, &q, fail);
    if (!err) {
        db_bind_int64(q, (int64_t)index);
        db_bind_int64(q, BODY_BYTES);
        err = db_exec(q, NULL, fail);
    }
    if (!err) {
        err = applied_set(db, (struct applied){index, 1}, fail);
    }
    if (!err) {
        return db_commit(db, fail);
    }
    db_rollback(db);
    return err;
}

/* Apply from index on until the disk is full; returns the first index that was refused. */
static uint64_t apply_until_full(struct db *db, uint64_t index, struct fail *fail)
{
    int err = 0;
    while (!(err = apply(db, index, fail))) {
        index++;
    }
    assert_int_equal(err, E_FULL);
    return index;
}

static void expect_at(struct db *db, uint64_t index)
{
    struct applied applied = {0};
    assert_int_equal(applied_get(db, &applied, NULL), 0);
    assert_true(applied.index == index);
    assert_true((uint64_t)scratch_number(db, &count) == index);
    assert_true((uint64_t)scratch_number(db, &last) == index);
}

static void test_full__writes_are_refused_reads_go_on_and_it_recovers(void **state)
{
    (void)state;
    struct db *db = open_migrated();
    struct db *reader = scratch_open(
        scratch.db, &(struct db_sqlite_options){.is_reader = true, .must_exist = true});
    uint64_t next = 1;
    for (; next <= 2000; next++) {
        assert_int_equal(apply(db, next, NULL), 0);
    }
    fill();
    struct fail fail = {0};
    next = apply_until_full(db, next, &fail);
    assert_non_null(strstr(fail.text, "the disk is full; it goes on when there is room"));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(apply(db, next, &fail), E_FULL);
        expect_at(db, next - 1);
        expect_at(reader, next - 1);
    }
    assert_int_equal(unlink(filler), 0);
    for (uint64_t end = next + 1000; next < end; next++) {
        assert_int_equal(apply(db, next, &fail), 0);
    }
    expect_at(db, next - 1);
    expect_at(reader, next - 1);
    db_destroy(reader);
    db_destroy(db);
    db = scratch_open(scratch.db, &(struct db_sqlite_options){.check = DB_SQLITE_CHECK_FULL});
    expect_at(db, next - 1);
    db_destroy(db);
}

static void test_full__by_the_database_alone__again_and_again(void **state)
{
    (void)state;
    struct db *db = open_migrated();
    struct fail fail = {0};
    uint64_t next = apply_until_full(db, 1, &fail);
    for (int i = 0; i < 20; i++) {
        expect_at(db, next - 1);
        /* A checkpoint finds room, or says that there is none; both leave everything as it is. */
        int err = db_sqlite_checkpoint(db, NULL, &fail);
        assert_true(err == 0 || err == E_FULL);
        next = apply_until_full(db, next, &fail);
    }
    db_destroy(db);
    db = scratch_open(scratch.db, &(struct db_sqlite_options){.check = DB_SQLITE_CHECK_FULL});
    expect_at(db, next - 1);
    db_destroy(db);
}

static void test_full__restart__opens_with_all_or_says_that_it_is_full(void **state)
{
    (void)state;
    struct db *db = open_migrated();
    struct fail fail = {0};
    for (uint64_t i = 1; i <= 3000; i++) {
        assert_int_equal(apply(db, i, NULL), 0);
    }
    fill();
    uint64_t next = apply_until_full(db, 3001, &fail);
    db_destroy(db);
    int err = db_sqlite_open(scratch.db, NULL, &db, &fail);
    if (err) {
        assert_int_equal(err, E_FULL);
        assert_non_null(strstr(fail.text, "data.db: the disk is full"));
        assert_int_equal(unlink(filler), 0);
        db = scratch_open(scratch.db, NULL);
    }
    expect_at(db, next - 1);
    db_destroy(db);
}

static void test_full__new_database__is_refused_in_one_sentence(void **state)
{
    (void)state;
    fill();
    struct db *db = NULL;
    struct fail fail = {0};
    assert_int_equal(db_sqlite_open(scratch.db, NULL, &db, &fail), E_FULL);
    assert_non_null(strstr(fail.text, "data.db: the disk is full"));
    assert_int_equal(unlink(filler), 0);
    db_destroy(open_migrated());
}

static void test_full__backup__leaves_nothing_and_the_old_one(void **state)
{
    (void)state;
    struct db *db = open_migrated();
    char copy[160];
    char part[160];
    struct fail fail = {0};
    scratch_path(&scratch, "copy.db", copy);
    for (uint64_t i = 1; i <= 3000; i++) {
        assert_int_equal(apply(db, i, NULL), 0);
    }
    assert_int_equal(db_sqlite_backup(db, copy, NULL, NULL, &fail), 0);
    for (uint64_t i = 3001; i <= 6000; i++) {
        assert_int_equal(apply(db, i, NULL), 0);
    }
    fill();
    assert_int_equal(db_sqlite_backup(db, copy, NULL, NULL, &fail), E_FULL);
    assert_non_null(strstr(fail.text, "copy.db.part: the disk is full"));
    assert_int_equal(scratch_size(scratch_path(&scratch, "copy.db.part", part)), -1);
    assert_int_equal(unlink(filler), 0);
    assert_int_equal(apply(db, 6001, &fail), 0);
    db_destroy(db);
    db = scratch_open(copy, &(struct db_sqlite_options){.check = DB_SQLITE_CHECK_FULL});
    expect_at(db, 3000);
    db_destroy(db);
    assert_int_equal(unlink(copy), 0);
}

int main(void)
{
    scratch_init(&scratch);
    const char *why = mount_small(scratch.dir);
    if (why) {
        (void)printf("skipped: %s (%s)\n", why, strerror(errno));
        (void)rmdir(scratch.dir);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_full__writes_are_refused_reads_go_on_and_it_recovers, setup),
        cmocka_unit_test_setup(test_full__by_the_database_alone__again_and_again, setup),
        cmocka_unit_test_setup(test_full__restart__opens_with_all_or_says_that_it_is_full, setup),
        cmocka_unit_test_setup(test_full__new_database__is_refused_in_one_sentence, setup),
        cmocka_unit_test_setup(test_full__backup__leaves_nothing_and_the_old_one, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)umount2(scratch.dir, MNT_DETACH);
    (void)rmdir(scratch.dir);
    return failed;
}
