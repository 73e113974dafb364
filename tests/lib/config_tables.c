#include "config_tables.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "config/config.h"
#include "store/db_sqlite.h"

static void expect_ok(int err, const struct fail *fail)
{
    if (err) {
        fail_msg("%s: %s", err_name(err), fail_text(fail));
    }
}

void tables_init(struct config_tables *t)
{
    static const struct migration_set *const sets[] = {&migrate_store, &migrate_config};
    struct fail fail = {0};
    *t = (struct config_tables){.now_ms = 1700000000000};
    (void)snprintf(t->dir, sizeof t->dir, "/tmp/nacre-config-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    (void)snprintf(t->path, sizeof t->path, "%s/data.db", t->dir);
    expect_ok(db_sqlite_open(t->path, NULL, &t->db, &fail), &fail);
    expect_ok(migrate_run(t->db, sets, ARRAY_LEN(sets), &fail), &fail);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tables_close(struct config_tables *t)
{
    db_destroy(t->db);
    assert_int_equal(nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct config_publish tables_publish(const char *data_id, const char *content)
{
    struct config_publish p = {
        .key = {.tenant = SPAN(""), .group = SPAN("g"), .data_id = span_str(data_id)},
        .content = span_str(content),
        .type = CONFIG_TEXT,
    };
    config_md5(p.content, p.md5);
    return p;
}

static void write_one(struct config_tables *t, const struct repo_write *w)
{
    struct fail fail = {0};
    expect_ok(db_begin(t->db, DB_TX_WRITE, &fail), &fail);
    expect_ok(config_repo_write(t->db, w, &fail), &fail);
    expect_ok(db_commit(t->db, &fail), &fail);
}

uint64_t tables_put(struct config_tables *t, uint64_t id, const struct config_publish *p)
{
    t->now_ms++;
    struct repo_write w = {
        .id = id ? id : ++t->last_id,
        .nid = ++t->last_nid,
        .is_new = id == 0,
        .modified_ms = t->now_ms,
        .time_ms = t->now_ms,
        .src_user = SPAN("user"),
        .src_ip = SPAN("10.0.0.1"),
        .publish = *p,
    };
    write_one(t, &w);
    return w.id;
}

void tables_remove(struct config_tables *t, uint64_t id, const struct config_publish *p)
{
    t->now_ms++;
    struct repo_write w = {
        .id = id,
        .nid = ++t->last_nid,
        .is_remove = true,
        .time_ms = t->now_ms,
        .src_user = SPAN("remover"),
        .src_ip = SPAN("10.0.0.2"),
        .publish = {.key = p->key, .gray_name = p->gray_name},
    };
    write_one(t, &w);
}

int64_t tables_number(struct config_tables *t, const struct db_stmt *stmt)
{
    struct db_query *q = NULL;
    struct fail fail = {0};
    bool has_row = false;
    expect_ok(db_query(t->db, stmt, &q, &fail), &fail);
    expect_ok(db_step(q, &has_row, &fail), &fail);
    assert_true(has_row);
    int64_t number = db_col_int64(q, 0);
    db_done(q);
    return number;
}
