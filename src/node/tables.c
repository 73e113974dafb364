#include "node/tables.h"

#include <stdio.h>

#include "base/mem.h"
#include "config/config.h"
#include "namespace/namespace.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/migrate.h"

#define PATH_BYTES 4096
/* Pages that random publishes touch: 16 MB save a fifth of their time. Less with a small budget. */
#define WRITER_CACHE_KB_MAX 16384
#define WRITER_CACHE_KB_MIN 2048
#define WRITER_CACHE_SHARE 16 /* of the budget */
#define READER_CACHE_KB 1024

struct tables {
    void (*wake)(void *self);
    void *wake_self;
    struct db *loading;
    struct db_worker *worker;
    struct table_writer *writer;
    uint64_t index;
    unsigned writer_cache_kb;
    bool is_played;
    char path[PATH_BYTES];
};

/* For db-N: the file is there, or it was taken away under us. */
static int open_again(void *self, bool is_writer, struct db **ret_db, struct fail *fail)
{
    const struct tables *t = self;
    struct db_sqlite_options options = {
        .must_exist = true,
        .is_reader = !is_writer,
        .cache_kb = is_writer ? t->writer_cache_kb : READER_CACHE_KB,
        .no_sync = t->is_played,
    };
    return db_sqlite_open(t->path, &options, ret_db, fail);
}

static unsigned cache_of(uint64_t memory_bytes)
{
    uint64_t kb = memory_bytes / 1024 / WRITER_CACHE_SHARE;
    if (kb > WRITER_CACHE_KB_MAX) {
        return WRITER_CACHE_KB_MAX;
    }
    return kb < WRITER_CACHE_KB_MIN ? WRITER_CACHE_KB_MIN : (unsigned)kb;
}

static void wake(void *self)
{
    const struct tables *t = self;
    t->wake(t->wake_self);
}

static int open_first(struct tables *t, struct fail *fail)
{
    static const struct migration_set *const sets[] = {&migrate_store, &migrate_namespace,
                                                       &migrate_config};
    const struct db_sqlite_options options = {.no_sync = t->is_played};
    int err = db_sqlite_open(t->path, &options, &t->loading, fail);
    if (err) {
        return err;
    }
    err = migrate_run(t->loading, sets, ARRAY_LEN(sets), fail);
    if (err) {
        return err;
    }
    struct applied applied = {0};
    err = applied_get(t->loading, &applied, fail);
    t->index = applied.index;
    return err;
}

int tables_create(const struct tables_options *options, struct tables **ret, struct fail *fail)
{
    struct tables *t = mem_zalloc(1, sizeof(*t));
    t->wake = options->wake;
    t->wake_self = options->self;
    t->writer_cache_kb = cache_of(options->memory_bytes);
    t->is_played = options->is_played;
    int err = 0;
    if ((size_t)snprintf(t->path, sizeof(t->path), "%s/" TABLES_FILE, options->dir) >=
        sizeof(t->path)) {
        err =
            fail_set(fail, E_TOO_LARGE, "the data directory's name is too long: %s", options->dir);
        goto out;
    }
    err = open_first(t, fail);
    if (err) {
        goto out;
    }
    struct db_worker_options worker = {
        .open = open_again,
        .wake = wake,
        .self = t,
        .readers = TABLES_READERS,
        .is_stepped = options->is_played,
    };
    err = db_worker_create(&worker, &t->worker, fail);
    if (err) {
        goto out;
    }
    struct table_writer_options writer = {
        .worker = t->worker,
        .path = t->path,
        .index = t->index,
        .on_fatal = options->on_fatal,
        .self = options->self,
    };
    t->writer = table_writer_create(&writer);
    *ret = t;
    t = NULL;
out:
    tables_destroy(t);
    return err;
}

void tables_destroy(struct tables *t)
{
    if (!t) {
        return;
    }
    db_destroy(t->loading);
    db_worker_destroy(t->worker);
    table_writer_destroy(t->writer);
    mem_free(t);
}

struct db *tables_db(struct tables *t)
{
    return t->loading;
}

void tables_loaded(struct tables *t)
{
    db_destroy(t->loading);
    t->loading = NULL;
}

uint64_t tables_index(const struct tables *t)
{
    return t->index;
}

struct table_writer *tables_writer(struct tables *t)
{
    return t->writer;
}

struct db_worker *tables_worker(struct tables *t)
{
    return t->worker;
}

const char *tables_path(const struct tables *t)
{
    return t->path;
}
