#include "scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void scratch_init(struct scratch *s)
{
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/nacre-store-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->db, sizeof s->db, "%s/data.db", s->dir);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void scratch_close(struct scratch *s)
{
    assert_int_equal(nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

char *scratch_path(const struct scratch *s, const char *name, char *dst)
{
    (void)snprintf(dst, 160, "%s/%s", s->dir, name);
    return dst;
}

static void expect_ok(int err, const struct fail *fail)
{
    if (err) {
        fail_msg("%s: %s", err_name(err), fail_text(fail));
    }
}

struct db *scratch_open(const char *path, const struct db_sqlite_options *options)
{
    struct db *db = NULL;
    struct fail fail = {0};
    expect_ok(db_sqlite_open(path, options, &db, &fail), &fail);
    return db;
}

void scratch_script(struct db *db, const char *sql)
{
    struct fail fail = {0};
    expect_ok(db_begin(db, DB_TX_WRITE, &fail), &fail);
    expect_ok(db_script(db, sql, &fail), &fail);
    expect_ok(db_commit(db, &fail), &fail);
}

int64_t scratch_number(struct db *db, const struct db_stmt *stmt)
{
    struct db_query *q = NULL;
    struct fail fail = {0};
    bool has_row = false;
    expect_ok(db_query(db, stmt, &q, &fail), &fail);
    expect_ok(db_step(q, &has_row, &fail), &fail);
    assert_true(has_row);
    int64_t number = db_col_int64(q, 0);
    db_done(q);
    return number;
}

int64_t scratch_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

void scratch_copy(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    char bytes[65536];
    for (size_t len = 0; (len = fread(bytes, 1, sizeof bytes, in)) > 0;) {
        assert_int_equal(fwrite(bytes, 1, len, out), len);
    }
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}
