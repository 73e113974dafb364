/* kill -9 at any moment: rows and applied index agree afterwards, and nothing that was committed is
 * missing. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "scratch.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/migrate.h"

#define ROUNDS 40
#define ROWS_AN_ENTRY 5

static struct scratch scratch;

static const struct migration rows[] = {
    {1, "t",
     "CREATE TABLE t (id INTEGER PRIMARY KEY, entry INTEGER NOT NULL, body BLOB) STRICT;"
     "CREATE INDEX t_entry ON t (entry)"}};
static const struct migration_set test_set = {"test", rows, 1};

static const struct db_stmt insert = {
    .name = "insert", .sql_sqlite = "INSERT INTO t (entry, body) VALUES (?, zeroblob(700))"};
static const struct db_stmt touch_all = {.name = "touch_all",
                                         .sql_sqlite = "UPDATE t SET entry = ?"};
static const struct db_stmt count = {.name = "count", .sql_sqlite = "SELECT count(*) FROM t"};
static const struct db_stmt first = {.name = "first",
                                     .sql_sqlite = "SELECT coalesce(min(entry), 0) FROM t"};
static const struct db_stmt last = {.name = "last",
                                    .sql_sqlite = "SELECT coalesce(max(entry), 0) FROM t"};

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

/* In the child: a failure ends it, and the parent sees that it was not killed. */
static void need(int err)
{
    if (err) {
        _exit(3);
    }
}

static struct db *open_migrated(const char *path)
{
    const struct migration_set *const sets[] = {&migrate_store, &test_set};
    struct db *db = NULL;
    need(db_sqlite_open(path, &(struct db_sqlite_options){.checkpoint_pages = 50}, &db, NULL));
    need(migrate_run(db, sets, 2, NULL));
    return db;
}

static uint64_t applied_index(struct db *db)
{
    struct applied applied = {0};
    need(applied_get(db, &applied, NULL));
    return applied.index;
}

static void tell(int fd, uint64_t index)
{
    need(write(fd, &index, sizeof index) == (ssize_t)sizeof index ? 0 : E_IO);
}

/* Apply entry after entry, and tell each that is committed. Now and then a checkpoint. */
static void child_apply(int fd)
{
    struct db *db = open_migrated(scratch.db);
    for (uint64_t index = applied_index(db) + 1;; index++) {
        need(db_begin(db, DB_TX_WRITE, NULL));
        for (unsigned i = 0; i < ROWS_AN_ENTRY; i++) {
            struct db_query *q = NULL;
            need(db_query(db, &insert, &q, NULL));
            db_bind_int64(q, (int64_t)index);
            need(db_exec(q, NULL, NULL));
        }
        need(applied_set(db, (struct applied){index, 1}, NULL));
        need(db_commit(db, NULL));
        tell(fd, index);
        if (index % 37 == 0) {
            need(db_sqlite_checkpoint(db, NULL, NULL));
        }
    }
}

/* Copy, change the copy, put it in place, and tell; for ever. */
static void child_replace(int fd)
{
    char next[160];
    scratch_path(&scratch, "next.db", next);
    for (;;) {
        struct db *db = open_migrated(scratch.db);
        uint64_t index = applied_index(db) + 1;
        need(db_sqlite_backup(db, next, NULL, NULL, NULL));
        db_destroy(db);
        db = open_migrated(next);
        struct db_query *q = NULL;
        need(db_begin(db, DB_TX_WRITE, NULL));
        need(db_query(db, &touch_all, &q, NULL));
        db_bind_int64(q, (int64_t)index);
        need(db_exec(q, NULL, NULL));
        need(applied_set(db, (struct applied){index, 1}, NULL));
        need(db_commit(db, NULL));
        db_destroy(db);
        need(db_sqlite_replace(scratch.db, next, NULL));
        tell(fd, index);
    }
}

/* Let the child run for some of its steps and a little more, then kill it. Returns the last index
 * that it told. */
static uint64_t run_and_kill(void (*child_main)(int fd), unsigned steps, unsigned more_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        child_main(ends[1]);
        _exit(4);
    }
    assert_int_equal(close(ends[1]), 0);
    uint64_t index = 0;
    for (unsigned i = 0; i < steps; i++) {
        assert_int_equal(read(ends[0], &index, sizeof index), sizeof index);
    }
    uint64_t end_ns = clock_mono_ns() + (uint64_t)more_us * 1000;
    while (clock_mono_ns() < end_ns) {
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &index, sizeof index) == (ssize_t)sizeof index) {
    }
    assert_int_equal(close(ends[0]), 0);
    return index;
}

static struct db *reopen(void)
{
    return scratch_open(
        scratch.db, &(struct db_sqlite_options){.must_exist = true, .check = DB_SQLITE_CHECK_FULL});
}

static void test_kill__while_applying__rows_and_index_agree(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t told = run_and_kill(child_apply, 1 + (unsigned)rand_r(&seed) % 60,
                                     (unsigned)rand_r(&seed) % 2000);
        struct db *db = reopen();
        uint64_t index = applied_index(db);
        assert_true(index >= told);
        assert_true(index <= told + 1);
        assert_true((uint64_t)scratch_number(db, &count) == index * ROWS_AN_ENTRY);
        assert_true((uint64_t)scratch_number(db, &last) == index);
        db_destroy(db);
    }
}

static void test_kill__while_a_file_is_put_in_place__it_is_the_old_or_the_new_one(void **state)
{
    (void)state;
    (void)run_and_kill(child_apply, 30, 0);
    struct db *db = reopen();
    int64_t rows_before = scratch_number(db, &count);
    db_destroy(db);
    unsigned seed = 2;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t told = run_and_kill(child_replace, 1 + (unsigned)rand_r(&seed) % 3,
                                     (unsigned)rand_r(&seed) % 20000);
        db = reopen();
        uint64_t index = applied_index(db);
        assert_true(index == told || index == told + 1);
        assert_int_equal(scratch_number(db, &count), rows_before);
        assert_true((uint64_t)scratch_number(db, &first) == index);
        assert_true((uint64_t)scratch_number(db, &last) == index);
        db_destroy(db);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kill__while_applying__rows_and_index_agree),
        TEST(test_kill__while_a_file_is_put_in_place__it_is_the_old_or_the_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
