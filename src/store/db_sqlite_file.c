#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/assert.h"
#include "base/err.h"
#include "store/db_sqlite.h"
#include "store/sqlite_conn.h"

#define BACKUP_STEP_PAGES 1024 /* 4 MB between two looks at progress and cancellation */
#define PATH_BYTES_MAX 4096

int db_sqlite_checkpoint(struct db *db, struct db_checkpoint *ret_done, struct fail *fail)
{
    struct sqlite_conn *s = sqlite_conn_of(db);
    ASSERT(db_is_idle(db));
    /* SQLite syncs the WAL only for the pages that it is about to move, and a reader can keep it
     * from moving any. So the sync comes first, by itself. */
    sqlite3_file *wal = NULL;
    int rc = sqlite3_file_control(s->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&wal);
    ASSERT(rc == SQLITE_OK);
    if (wal && wal->pMethods) {
        rc = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
    }
    if (rc != SQLITE_OK) {
        return sqlite_conn_fail(s, rc, "checkpoint", fail);
    }
    int pages = 0;
    int moved = 0;
    rc = sqlite3_wal_checkpoint_v2(s->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    if (rc == SQLITE_OK && pages > 0 && moved == pages) {
        /* All is moved: only now a cut, which would otherwise wait for readers. */
        (void)sqlite3_busy_timeout(s->handle, 0);
        rc = sqlite3_wal_checkpoint_v2(s->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        (void)sqlite3_busy_timeout(s->handle, s->busy_ms);
    }
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY) {
        return sqlite_conn_fail(s, rc, "checkpoint", fail);
    }
    if (ret_done) {
        *ret_done =
            (struct db_checkpoint){.pages = (unsigned)pages, .pages_moved = (unsigned)moved};
    }
    return 0;
}

/* Hold one state of the database, so that writers do not make the backup start over. */
static int pin_snapshot(struct db *db, struct fail *fail)
{
    static const struct db_stmt look = {.name = "backup",
                                        .sql_sqlite = "SELECT count(*) FROM sqlite_schema"};
    int err = db_begin(db, DB_TX_READ, fail);
    if (err) {
        return err;
    }
    struct db_query *q = NULL;
    bool has_row = false;
    err = db_query(db, &look, &q, fail);
    if (!err) {
        err = db_step(q, &has_row, fail);
    }
    db_done(q);
    return err;
}

static int copy_pages(struct sqlite_conn *s, sqlite3_backup *copy, db_sqlite_progress_fn progress,
                      void *arg, struct fail *fail)
{
    for (;;) {
        int rc = sqlite3_backup_step(copy, BACKUP_STEP_PAGES);
        uint64_t total = (uint64_t)sqlite3_backup_pagecount(copy);
        uint64_t done = total - (uint64_t)sqlite3_backup_remaining(copy);
        if (rc == SQLITE_DONE) {
            return 0;
        }
        if (rc != SQLITE_OK) {
            return rc;
        }
        if (atomic_load(&s->db.is_cancelled) || (progress && !progress(arg, done, total))) {
            return fail_set(fail, E_CLOSED, "backup: stopped at page %llu of %llu",
                            (unsigned long long)done, (unsigned long long)total);
        }
    }
}

/* The whole database into an empty file that has its mode already. */
static int copy_to(struct sqlite_conn *s, const char *part, db_sqlite_progress_fn progress,
                   void *arg, struct fail *fail)
{
    struct sqlite_conn to = {.db = {.deadline_ms = UINT64_MAX}};
    sqlite3_backup *copy = NULL;
    int err = 0;
    int rc =
        sqlite3_open_v2(part, &to.handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK) {
        copy = sqlite3_backup_init(to.handle, "main", s->handle, "main");
        rc = copy ? SQLITE_OK : sqlite3_extended_errcode(to.handle);
    }
    if (rc != SQLITE_OK) {
        err = sqlite_conn_fail(&to, rc, part, fail);
        goto out;
    }
    rc = copy_pages(s, copy, progress, arg, fail);
    err = rc < 0 ? rc : 0; /* ours are negative, SQLite's are not */
    int last = sqlite3_backup_finish(copy);
    if (!err && (rc != SQLITE_OK || last != SQLITE_OK)) {
        err = sqlite_conn_fail(&to, rc != SQLITE_OK ? rc : last, part, fail);
    }
out:
    (void)sqlite3_close(to.handle);
    return err;
}

static int sys_fail(struct fail *fail, const char *path, const char *what)
{
    int sys_errno = errno;
    int err = sys_errno == ENOSPC || sys_errno == EDQUOT ? E_FULL : E_IO;
    return fail_set(fail, err, "%s: %s: %s", path, what, strerror(sys_errno));
}

static int sync_file(const char *path, struct fail *fail)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return sys_fail(fail, path, "cannot be opened");
    }
    int err = fsync(fd) == 0 ? 0 : sys_fail(fail, path, "cannot be synced");
    (void)close(fd);
    return err;
}

static int join(char *dst, const char *path, const char *suffix, struct fail *fail)
{
    int len = snprintf(dst, PATH_BYTES_MAX, "%s%s", path, suffix);
    return len < PATH_BYTES_MAX ? 0 : fail_set(fail, E_INVALID, "the path is too long");
}

static int remove_beside(const char *path, const char *suffix, struct fail *fail)
{
    char name[PATH_BYTES_MAX];
    int err = join(name, path, suffix, fail);
    if (err) {
        return err;
    }
    return unlink(name) == 0 || errno == ENOENT ? 0 : sys_fail(fail, name, "cannot be removed");
}

/* SQLite's own files beside a database that is not the one that they belong to: they would be
 * applied to it. */
static int remove_companions(const char *path, struct fail *fail)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    int err = 0;
    for (size_t i = 0; !err && i < ARRAY_LEN(suffixes); i++) {
        err = remove_beside(path, suffixes[i], fail);
    }
    return err;
}

/* An empty file in place of what a backup that was killed left. */
static int make_part(const char *part, struct fail *fail)
{
    int err = remove_companions(part, fail);
    if (err) {
        return err;
    }
    if (unlink(part) != 0 && errno != ENOENT) {
        return sys_fail(fail, part, "cannot be removed");
    }
    int fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return sys_fail(fail, part, "cannot be made");
    }
    (void)close(fd);
    return 0;
}

int db_sqlite_backup(struct db *db, const char *path, db_sqlite_progress_fn progress, void *arg,
                     struct fail *fail)
{
    struct sqlite_conn *s = sqlite_conn_of(db);
    char part[PATH_BYTES_MAX];
    int err = join(part, path, ".part", fail);
    if (err) {
        return err;
    }
    err = make_part(part, fail);
    if (err) {
        return err;
    }
    err = pin_snapshot(db, fail);
    if (!err) {
        err = copy_to(s, part, progress, arg, fail);
    }
    db_rollback(db);
    if (!err) {
        err = sync_file(part, fail);
    }
    if (!err) {
        err = remove_companions(path, fail);
    }
    if (!err && rename(part, path) != 0) {
        err = sys_fail(fail, path, "cannot be put in place");
    }
    if (err) {
        (void)unlink(part);
        return err;
    }
    return sqlite_conn_sync_folder(path, fail);
}

int db_sqlite_verify(const char *path, struct fail *fail)
{
    struct db *db = NULL;
    int err = db_sqlite_open(
        path, &(struct db_sqlite_options){.must_exist = true, .check = DB_SQLITE_CHECK_FULL}, &db,
        fail);
    db_destroy(db);
    return err;
}

static bool exists_beside(const char *path, const char *suffix)
{
    char name[PATH_BYTES_MAX];
    struct stat st;
    return join(name, path, suffix, NULL) == 0 && lstat(name, &st) == 0;
}

/* A -wal that stayed behind would be applied to the new file. Closing the last connection moves it
 * into the old database, which is whole then; one that cannot be opened loses it. */
static int retire(const char *path, struct fail *fail)
{
    struct db *db = NULL;
    struct fail why = {0};
    int err = db_sqlite_open(path, &(struct db_sqlite_options){.must_exist = true}, &db, &why);
    if (!err) {
        err = db_sqlite_checkpoint(db, NULL, &why);
    }
    db_destroy(db);
    if (err == E_BUSY || err == E_FULL) {
        return fail_set(fail, err, "%s", fail_text(&why));
    }
    if (!err && exists_beside(path, "-wal")) {
        return fail_set(fail, E_BUSY, "%s: somebody else has the database open", path);
    }
    err = remove_companions(path, fail);
    return err ? err : sqlite_conn_sync_folder(path, fail);
}

int db_sqlite_replace(const char *path, const char *from, struct fail *fail)
{
    int err = db_sqlite_verify(from, fail);
    if (!err) {
        err = sync_file(from, fail);
    }
    if (!err) {
        err = retire(path, fail);
    }
    if (!err && rename(from, path) != 0) {
        err = sys_fail(fail, path, "cannot be replaced");
    }
    return err ? err : sqlite_conn_sync_folder(path, fail);
}
