#include "namespace/namespace_repo.h"

#include <namespace_schema.h>
#include <string.h>

#include "base/err.h"
#include "base/macros.h"
#include "base/mem.h"

const struct migration_set migrate_namespace = {
    .owner = "namespace", .rows = namespace_migrations, .count = ARRAY_LEN(namespace_migrations)};

enum { INSERT, UPDATE, DELETE, EACH };

static const struct db_stmt stmts[] = {
    [INSERT] = {.name = "namespace_insert",
                .sql_sqlite = "INSERT INTO tenant_info (kp, create_source, tenant_name, "
                              "tenant_desc, gmt_create, gmt_modified, tenant_id) "
                              "VALUES ('1', 'nacos', ?, ?, ?, ?, ?)"},
    [UPDATE] = {.name = "namespace_update",
                .sql_sqlite = "UPDATE tenant_info SET tenant_name = ?, tenant_desc = ?, "
                              "gmt_create = ?, gmt_modified = ? WHERE kp = '1' AND tenant_id = ?"},
    [DELETE] = {.name = "namespace_delete",
                .sql_sqlite = "DELETE FROM tenant_info WHERE kp = '1' AND tenant_id = ?"},
    [EACH] = {.name = "namespace_each",
              .sql_sqlite = "SELECT tenant_id, tenant_name, tenant_desc, gmt_create, gmt_modified "
                            "FROM tenant_info WHERE kp = '1' ORDER BY tenant_id"},
};

/* A row on its way to db-0; the texts of info lie behind it. */
struct write {
    struct table_write w;
    int stmt;
    struct namespace_info info;
    char text[];
};

static int run(struct table_write *w, struct db *db, struct fail *fail)
{
    const struct write *one = CONTAINER_OF(w, struct write, w);
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[one->stmt], &q, fail);
    if (err) {
        return err;
    }
    if (one->stmt != DELETE) {
        db_bind_text(q, one->info.name);
        if (one->info.desc.data) {
            db_bind_text(q, one->info.desc);
        } else {
            db_bind_null(q);
        }
        db_bind_int64(q, one->info.created_ms);
        db_bind_int64(q, one->info.modified_ms);
    }
    db_bind_text(q, one->info.id);
    return db_exec(q, NULL, fail);
}

static void done(struct table_write *take_w)
{
    mem_free(CONTAINER_OF(take_w, struct write, w));
}

/* s moves to *at. */
static struct span keep(char **at, struct span s)
{
    if (!s.data) {
        return s;
    }
    char *to = *at;
    memcpy(to, s.data, s.len);
    *at += s.len;
    return span_of(to, s.len);
}

static void add(struct table_writer *tables, int stmt, const struct namespace_info *info)
{
    size_t len = info->id.len + info->name.len + info->desc.len;
    struct write *one = mem_zalloc(1, sizeof *one + len);
    char *at = one->text;
    one->w = (struct table_write){.bytes = sizeof *one + len, .run = run, .done = done};
    one->stmt = stmt;
    one->info = *info;
    one->info.id = keep(&at, info->id);
    one->info.name = keep(&at, info->name);
    one->info.desc = keep(&at, info->desc);
    table_writer_add(tables, &one->w);
}

void namespace_repo_put(struct table_writer *tables, const struct namespace_info *info, bool is_new)
{
    add(tables, is_new ? INSERT : UPDATE, info);
}

void namespace_repo_remove(struct table_writer *tables, struct span id)
{
    add(tables, DELETE, &(struct namespace_info){.id = id});
}

/* An empty text of a column may come without an address; here that would mean NULL. */
static struct span text_of(struct db_query *q, unsigned column)
{
    struct span text = db_col_text(q, column);
    return text.data ? text : SPAN("");
}

int namespace_repo_load(struct db *db, namespace_row_fn row, void *arg, struct fail *fail)
{
    struct db_query *q = NULL;
    int err = db_query(db, &stmts[EACH], &q, fail);
    if (err) {
        return err;
    }
    bool has_row = false;
    while ((err = db_step(q, &has_row, fail)) == 0 && has_row) {
        struct namespace_info info = {.id = text_of(q, 0),
                                      .name = text_of(q, 1),
                                      .created_ms = db_col_int64(q, 3),
                                      .modified_ms = db_col_int64(q, 4)};
        if (!db_col_is_null(q, 2)) {
            info.desc = text_of(q, 2);
        }
        row(arg, &info);
    }
    db_done(q);
    return err;
}
