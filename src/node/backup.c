#include "node/backup.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/row.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "naming/naming_snapshot.h"
#include "node/core.h"
#include "node/core_state.h"
#include "node/datadir.h"
#include "node/filebytes.h"
#include "node/sections.h"
#include "store/applied.h"
#include "store/db_sqlite.h"

#define COPY_BYTES (256u << 10)
#define TABLES_WAIT_MS 60000

/* ---------------------------------------------------------------- writing */

/* A look into the core, as a call that is no request of anybody. */
struct look {
    struct api_call call; /* first */
    sem_t done;
    struct core *core;
    struct naming_snapshot *naming;
    uint64_t index;
};

static int admit_look(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    struct look *look = CONTAINER_OF(call, struct look, call);
    (void)self;
    (void)now;
    (void)out;
    if (!look->core->is_ready) {
        return fail_set(fail, E_STARTING, "the node is not ready yet; try again");
    }
    look->naming = naming_snapshot_collect(look->core->naming);
    look->index = look->core->entry_index;
    return API_ANSWERED;
}

static void look_done(struct api_call *call)
{
    struct look *look = CONTAINER_OF(call, struct look, call);
    ASSERT(sem_post(&look->done) == 0);
}

static int look_into(struct core *core, struct look *look, struct fail *fail)
{
    static const struct api_row row = {.name = "backup", .admit = admit_look};
    *look = (struct look){
        .call = {.mail = {.kind = CORE_CALL}, .row = &row, .deliver = look_done},
        .core = core,
    };
    ASSERT(sem_init(&look->done, 0, 0) == 0);
    struct core_port port = core_port(core);
    int err = port.post(port.self, &look->call.mail);
    if (err) {
        (void)fail_set(fail, err, "the node is stopping or overloaded; try again");
    } else {
        while (sem_wait(&look->done) != 0) {
        }
        err = look->call.reply.fail.code;
        if (err) {
            *fail = look->call.reply.fail;
        }
    }
    ASSERT(sem_destroy(&look->done) == 0);
    return err;
}

static int write_about(struct sections_out *out, uint64_t index, struct fail *fail)
{
    char about[BACKUP_ABOUT_MAX];
    char when[32] = "";
    time_t now = time(NULL);
    struct tm utc = {0};
    if (gmtime_r(&now, &utc)) {
        (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    int len = snprintf(about, sizeof(about), "version=%s\ntime=%s\nentry=%llu\n", NACRE_VERSION,
                       when, (unsigned long long)index);
    struct byte_sink sink = {0};
    int err = section_open(out, SECTION_ABOUT, &sink, fail);
    if (!err) {
        err = sink.write(sink.self, span_of(about, (size_t)len), fail);
    }
    return err ? err : section_close(out, fail);
}

static int write_naming(struct sections_out *out, const struct naming_snapshot *naming,
                        struct fail *fail)
{
    struct byte_sink sink = {0};
    int err = section_open(out, SECTION_NAMING, &sink, fail);
    if (!err) {
        err = naming_snapshot_write(naming, &sink, fail);
    }
    return err ? err : section_close(out, fail);
}

static int write_file(struct sections_out *out, const char *path, struct fail *fail)
{
    struct byte_sink sink = {0};
    FILE *file = fopen(path, "re");
    if (!file) {
        return fail_set(fail, E_IO, "cannot read %s: %s", path, strerror(errno));
    }
    char *bytes = mem_alloc(COPY_BYTES);
    int err = section_open(out, SECTION_DATABASE, &sink, fail);
    while (!err) {
        size_t len = fread(bytes, 1, COPY_BYTES, file);
        if (len == 0) {
            break;
        }
        err = sink.write(sink.self, span_of(bytes, len), fail);
    }
    if (!err && ferror(file)) {
        err = fail_set(fail, E_IO, "cannot read %s: %s", path, strerror(errno));
    }
    mem_free(bytes);
    (void)fclose(file);
    return err ? err : section_close(out, fail);
}

struct progress {
    backup_progress_fn fn;
    void *arg;
};

static bool on_progress(void *arg, uint64_t done, uint64_t total)
{
    const struct progress *p = arg;
    if (p->fn) {
        p->fn(p->arg, done, total);
    }
    return true;
}

/* A copy of the tables as they are now. */
static int copy_tables(const char *tables, const char *copy, db_sqlite_progress_fn progress,
                       void *arg, struct fail *fail)
{
    struct db *db = NULL;
    struct db_sqlite_options options = {.must_exist = true, .is_reader = true};
    int err = db_sqlite_open(tables, &options, &db, fail);
    if (err) {
        return err;
    }
    err = db_sqlite_backup(db, copy, progress, arg, fail);
    db_destroy(db);
    return err;
}

static int write_sections(const struct look *look, const char *copy, struct filebytes *file,
                          struct fail *fail)
{
    struct sections_out out;
    struct byte_sink to = filebytes_sink(file);
    int err = sections_begin(&out, &to, fail);
    if (!err) {
        err = write_about(&out, look->index, fail);
    }
    if (!err) {
        err = write_naming(&out, look->naming, fail);
    }
    if (!err) {
        err = write_file(&out, copy, fail);
    }
    return err ? err : sections_finish(&out, fail);
}

int backup_write(struct core *core, const char *path, backup_progress_fn fn, void *arg,
                 uint64_t *ret_bytes, struct fail *fail)
{
    char copy[FILEBYTES_PATH_MAX + 16];
    struct look look = {0};
    struct filebytes file = {0};
    struct progress progress = {fn, arg};
    if (access(path, F_OK) == 0) {
        return fail_set(fail, E_CONFLICT, "%s exists already; give another name, or move it away",
                        path);
    }
    snprintf(copy, sizeof(copy), "%s.tables", path);
    int err = look_into(core, &look, fail);
    if (err) {
        return err;
    }
    err = table_writer_wait_durable(core_tables(core), look.index, TABLES_WAIT_MS, fail);
    if (!err) {
        err = copy_tables(tables_path(core->tables), copy, on_progress, &progress, fail);
    }
    if (!err) {
        err = filebytes_create(&file, path, fail);
    }
    if (!err) {
        err = write_sections(&look, copy, &file, fail);
    }
    if (!err) {
        *ret_bytes = file.bytes + FILEBYTES_DIGEST;
        err = filebytes_finish(&file, true, fail);
    } else {
        filebytes_drop(&file);
    }
    (void)unlink(copy);
    naming_snapshot_free(look.naming);
    return err;
}

/* ---------------------------------------------------------------- reading */

/* What is made of each section while a file is read: NULL paths for a check. */
struct reading {
    struct filebytes *naming;   /* where the registry goes, as sections again */
    struct filebytes *database; /* where the tables go */
    char *about;
    bool has_naming, has_database;
};

static int copy_section(struct sections_in *in, const struct byte_sink *to, struct fail *fail)
{
    char *bytes = mem_alloc(COPY_BYTES);
    size_t len = 0;
    int err = 0;
    do {
        err = section_read_some(in, bytes, COPY_BYTES, &len, fail);
        if (!err && len && to) {
            err = to->write(to->self, span_of(bytes, len), fail);
        }
    } while (!err && len);
    mem_free(bytes);
    return err;
}

static int read_naming(struct sections_in *in, struct reading *r, struct fail *fail)
{
    r->has_naming = true;
    if (!r->naming) {
        return copy_section(in, NULL, fail);
    }
    struct sections_out out;
    struct byte_sink file = filebytes_sink(r->naming);
    struct byte_sink sink = {0};
    int err = sections_begin(&out, &file, fail);
    if (!err) {
        err = section_open(&out, SECTION_NAMING, &sink, fail);
    }
    if (!err) {
        err = copy_section(in, &sink, fail);
    }
    if (!err) {
        err = section_close(&out, fail);
    }
    return err ? err : sections_finish(&out, fail);
}

static int read_about(struct sections_in *in, struct reading *r, struct fail *fail)
{
    size_t used = 0;
    size_t len = 0;
    int err = 0;
    char about[BACKUP_ABOUT_MAX];
    do {
        err = section_read_some(in, about + used, sizeof(about) - 1 - used, &len, fail);
        used += err ? 0 : len;
    } while (!err && len && used < sizeof(about) - 1);
    about[used] = '\0';
    if (!err && r->about) {
        memcpy(r->about, about, sizeof(about));
    }
    return err;
}

static int read_section(struct sections_in *in, uint32_t kind, struct reading *r, struct fail *fail)
{
    if (kind == SECTION_NAMING) {
        return read_naming(in, r, fail);
    }
    if (kind == SECTION_ABOUT) {
        return read_about(in, r, fail);
    }
    if (kind == SECTION_DATABASE) {
        r->has_database = true;
        struct byte_sink to = {0};
        if (r->database) {
            to = filebytes_sink(r->database);
        }
        return copy_section(in, r->database ? &to : NULL, fail);
    }
    return 0; /* of a newer version: skipped */
}

static int read_file(const char *path, struct reading *r, struct fail *fail)
{
    struct filebytes file = {0};
    struct sections_in in;
    struct byte_source section = {0};
    uint32_t kind = 0;
    int err = filebytes_open(&file, path, fail);
    if (err) {
        return err;
    }
    struct byte_source from = filebytes_source(&file);
    err = sections_open(&in, &from, fail);
    while (!err) {
        err = sections_next(&in, &kind, &section, fail);
        if (err || kind == SECTION_END) {
            break;
        }
        err = read_section(&in, kind, r, fail);
    }
    if (!err) {
        err = filebytes_verify(&file, fail);
    }
    if (!err && (!r->has_naming || !r->has_database)) {
        err = fail_set(fail, E_CORRUPT, "%s is no whole backup: %s is missing", path,
                       r->has_naming ? "the database" : "the registry");
    }
    filebytes_close(&file);
    return err;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): read_file fills about */
int backup_check(const char *file, char about[BACKUP_ABOUT_MAX], struct fail *fail)
{
    struct reading r = {.about = about};
    return read_file(file, &r, fail);
}

struct stop {
    const atomic_bool *is_stopping;
};

static bool go_on(void *arg, uint64_t done, uint64_t total)
{
    const struct stop *stop = arg;
    (void)done;
    (void)total;
    return !atomic_load(stop->is_stopping);
}

int backup_copy_tables(const char *tables, const char *copy, const atomic_bool *is_stopping,
                       struct fail *fail)
{
    struct stop stop = {is_stopping};
    return copy_tables(tables, copy, go_on, &stop, fail);
}

/* ---------------------------------------------------------------- restoring */

static int refuse_used(const char *dir, struct fail *fail)
{
    static const char *const names[] = {"log", "log.mark", TABLES_FILE, BACKUP_BASE_FILE};
    char path[FILEBYTES_PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        if (access(path, F_OK) == 0) {
            return fail_set(fail, E_CONFLICT,
                            "%s holds data already (%s): restore into an empty directory, or move "
                            "it away first",
                            dir, names[i]);
        }
    }
    return 0;
}

/* The restored tables are what lies below the new log's first entry. */
static int prepare_tables(const char *path, struct fail *fail)
{
    struct db *db = NULL;
    struct db_sqlite_options options = {.must_exist = true, .is_full_sync = true};
    int err = db_sqlite_verify(path, fail);
    if (!err) {
        err = db_sqlite_open(path, &options, &db, fail);
    }
    if (!err) {
        err = db_begin(db, DB_TX_WRITE, fail);
    }
    if (!err) {
        err = applied_reset(db, fail);
        if (err) {
            db_rollback(db);
        } else {
            err = db_commit(db, fail);
        }
    }
    if (!err) {
        err = db_sqlite_checkpoint(db, NULL, fail);
    }
    db_destroy(db);
    return err;
}

/* Both files under their last names, the tables last: a directory with tables is a whole one. */
static int restore_into(const char *file, const char *dir, FILE *say, struct fail *fail)
{
    char tables[FILEBYTES_PATH_MAX];
    char fresh[FILEBYTES_PATH_MAX];
    char base[FILEBYTES_PATH_MAX];
    char about[BACKUP_ABOUT_MAX] = "";
    struct filebytes naming = {0};
    struct filebytes database = {0};
    snprintf(tables, sizeof(tables), "%s/" TABLES_FILE, dir);
    snprintf(fresh, sizeof(fresh), "%s/" TABLES_FILE ".restored", dir);
    snprintf(base, sizeof(base), "%s/" BACKUP_BASE_FILE, dir);
    struct reading r = {.about = about};
    int err = filebytes_create(&naming, base, fail);
    if (!err) {
        err = filebytes_create(&database, fresh, fail);
    }
    if (!err) {
        r.naming = &naming;
        r.database = &database;
        err = read_file(file, &r, fail);
    }
    if (!err) {
        fprintf(say, "read %s\n%s", file, about);
        err = filebytes_finish(&database, false, fail);
    }
    if (!err) {
        err = prepare_tables(fresh, fail);
    }
    if (!err) {
        err = filebytes_finish(&naming, true, fail);
    }
    if (!err && rename(fresh, tables) != 0) {
        err = fail_set(fail, E_IO, "cannot rename %s: %s", fresh, strerror(errno));
    }
    if (err) {
        filebytes_drop(&naming);
        filebytes_drop(&database);
        (void)unlink(fresh);
        (void)unlink(base);
    }
    return err;
}

int backup_restore(const char *file, const char *dir, FILE *say, struct fail *fail)
{
    struct datadir lock = {0};
    int err = backup_check(file, NULL, fail);
    if (err) {
        return err;
    }
    err = datadir_open(&lock, dir, fail);
    if (err) {
        return err;
    }
    err = refuse_used(dir, fail);
    if (!err) {
        err = restore_into(file, dir, say, fail);
    }
    datadir_close(&lock);
    if (!err) {
        fprintf(say, "restored into %s; start the server with --data %s\n", dir, dir);
    }
    return err;
}

/* ---------------------------------------------------------------- the base of a restored node */

int backup_load_base(struct core *core, const char *dir, struct fail *fail)
{
    char path[FILEBYTES_PATH_MAX];
    struct filebytes file = {0};
    snprintf(path, sizeof(path), "%s/" BACKUP_BASE_FILE, dir);
    if (access(path, F_OK) != 0) {
        return 0;
    }
    int err = filebytes_open(&file, path, fail);
    if (!err) {
        struct byte_source from = filebytes_source(&file);
        err = core_load_sections(core, &from, fail);
    }
    if (!err) {
        err = filebytes_verify(&file, fail);
    }
    filebytes_close(&file);
    return err;
}

void backup_drop_base(const char *dir)
{
    char path[FILEBYTES_PATH_MAX];
    snprintf(path, sizeof(path), "%s/" BACKUP_BASE_FILE, dir);
    if (unlink(path) == 0) {
        LOG_INFO("node", "event=base_dropped file=%s", path);
    }
}
