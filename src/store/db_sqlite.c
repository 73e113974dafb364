#include "store/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/sqlite_conn.h"

#define APPLICATION_ID 0x4e616372 /* "Nacr", in the file's header */
#define STEPS_BETWEEN_LOOKS 4096  /* of SQLite's machine, some 0.1 ms */

struct sqlite_query {
    struct db_query q; /* first */
    sqlite3_stmt *stmt;
};

static struct sqlite_query *query_of(struct db_query *q)
{
    return CONTAINER_OF(q, struct sqlite_query, q);
}

static bool is_no_space(int sys_errno)
{
    return sys_errno == ENOSPC || sys_errno == EDQUOT || sys_errno == EFBIG;
}

static int interrupted(struct sqlite_conn *s, const char *what, struct fail *fail)
{
    if (atomic_load(&s->db.is_cancelled)) {
        return fail_set(fail, E_CLOSED, "%s: the database connection is being closed", what);
    }
    return fail_set(fail, E_TIMEOUT, "%s: took more than %llu ms", what,
                    (unsigned long long)s->db.statement_ms);
}

int sqlite_conn_fail(struct sqlite_conn *s, int rc, const char *what, struct fail *fail)
{
    static const struct {
        int rc;
        int err;
        const char *why;
    } rows[] = {
        {SQLITE_BUSY, E_BUSY, "another connection holds the database"},
        {SQLITE_LOCKED, E_BUSY, "another connection holds the table"},
        {SQLITE_FULL, E_FULL, "the disk is full; it goes on when there is room"},
        {SQLITE_CONSTRAINT, E_CONFLICT, "refused by the table's rules"},
        {SQLITE_CORRUPT, E_CORRUPT, "the database is damaged; restore it from a backup"},
        {SQLITE_NOTADB, E_CORRUPT, "not a database, or its head is damaged; restore a backup"},
        {SQLITE_TOOBIG, E_TOO_LARGE, "a row above the limit"},
        {SQLITE_CANTOPEN, E_IO, "a file of the database cannot be opened"},
        {SQLITE_READONLY, E_IO, "the database cannot be written"},
        {SQLITE_IOERR, E_IO, "the disk or file system fails"},
    };
    int primary = rc & 0xff;
    int sys_errno = sqlite3_system_errno(s->handle);
    if (primary == SQLITE_INTERRUPT) {
        return interrupted(s, what, fail);
    }
    if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && is_no_space(sys_errno)) {
        primary = SQLITE_FULL;
    }
    if (rc == SQLITE_READONLY_DBMOVED) {
        return fail_set(fail, E_GONE, "%s: the database file was moved or removed", what);
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].rc == primary) {
            return fail_set(fail, rows[i].err, "%s: %s (%s)", what, rows[i].why,
                            sqlite3_errmsg(s->handle));
        }
    }
    return fail_set(fail, E_INTERNAL, "%s: SQLite says %d: %s", what, rc,
                    sqlite3_errmsg(s->handle));
}

/* SQLite asks every STEPS_BETWEEN_LOOKS. Not 0 interrupts what runs. */
static int on_look(void *arg)
{
    struct sqlite_conn *s = arg;
    if (s->is_rolling_back) {
        return 0;
    }
    return atomic_load(&s->db.is_cancelled) ||
           (s->db.deadline_ms != UINT64_MAX && clock_mono_ms() >= s->db.deadline_ms);
}

static int sqlite_prepare(struct db *db, const struct db_stmt *stmt, struct db_query **ret_query,
                          struct fail *fail)
{
    struct sqlite_conn *s = sqlite_conn_of(db);
    ASSERT(stmt->sql_sqlite);
    sqlite3_stmt *made = NULL;
    const char *rest = NULL;
    int rc = sqlite3_prepare_v3(s->handle, stmt->sql_sqlite, -1, SQLITE_PREPARE_PERSISTENT, &made,
                                &rest);
    if (rc != SQLITE_OK) {
        return sqlite_conn_fail(s, rc, stmt->name, fail);
    }
    ASSERT(made);            /* not an empty text */
    ASSERT(!rest || !*rest); /* one statement, not two */
    struct sqlite_query *query = mem_zalloc(1, sizeof *query);
    query->stmt = made;
    query->q.params = (unsigned)sqlite3_bind_parameter_count(made);
    query->q.columns = (unsigned)sqlite3_column_count(made);
    query->q.is_write = !sqlite3_stmt_readonly(made);
    *ret_query = &query->q;
    return 0;
}

static void sqlite_finalize(struct db_query *take_q)
{
    struct sqlite_query *query = query_of(take_q);
    (void)sqlite3_finalize(query->stmt); /* gives the last step's error again */
    mem_free(query);
}

/* The bytes stay the caller's until db_done, so SQLite need not copy them. */
static int sqlite_bind(struct db_query *q, unsigned at, const struct db_value *value,
                       struct fail *fail)
{
    sqlite3_stmt *stmt = query_of(q)->stmt;
    const char *bytes = value->bytes.data ? value->bytes.data : "";
    int position = (int)at + 1;
    int rc = SQLITE_OK;
    switch (value->type) {
    case DB_NULL:
        rc = sqlite3_bind_null(stmt, position);
        break;
    case DB_INT64:
        rc = sqlite3_bind_int64(stmt, position, value->int64);
        break;
    case DB_DOUBLE:
        rc = sqlite3_bind_double(stmt, position, value->dbl);
        break;
    case DB_TEXT:
        rc = sqlite3_bind_text64(stmt, position, bytes, value->bytes.len, SQLITE_STATIC,
                                 SQLITE_UTF8);
        break;
    case DB_BLOB:
        rc = sqlite3_bind_blob64(stmt, position, bytes, value->bytes.len, SQLITE_STATIC);
        break;
    }
    return rc == SQLITE_OK ? 0 : sqlite_conn_fail(sqlite_conn_of(q->db), rc, q->stmt->name, fail);
}

static int sqlite_step(struct db_query *q, bool *ret_has_row, struct fail *fail)
{
    int rc = sqlite3_step(query_of(q)->stmt);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_has_row = rc == SQLITE_ROW;
        return 0;
    }
    return sqlite_conn_fail(sqlite_conn_of(q->db), rc, q->stmt->name, fail);
}

static bool sqlite_column(struct db_query *q, unsigned at, struct db_value *ret)
{
    sqlite3_stmt *stmt = query_of(q)->stmt;
    int column = (int)at;
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        return true;
    }
    const void *bytes = NULL;
    switch (ret->type) {
    case DB_NULL:
        break;
    case DB_INT64:
        ret->int64 = sqlite3_column_int64(stmt, column);
        break;
    case DB_DOUBLE:
        ret->dbl = sqlite3_column_double(stmt, column);
        break;
    case DB_TEXT:
        bytes = sqlite3_column_text(stmt, column);
        ret->bytes = span_of(bytes, (size_t)sqlite3_column_bytes(stmt, column));
        break;
    case DB_BLOB:
        bytes = sqlite3_column_blob(stmt, column);
        ret->bytes = span_of(bytes, (size_t)sqlite3_column_bytes(stmt, column));
        break;
    }
    return false;
}

static void sqlite_reset(struct db_query *q)
{
    sqlite3_stmt *stmt = query_of(q)->stmt;
    (void)sqlite3_reset(stmt); /* gives the last step's error again */
    (void)sqlite3_clear_bindings(stmt);
}

static int64_t sqlite_changed(const struct db *db)
{
    return sqlite3_changes64(((const struct sqlite_conn *)(const void *)db)->handle);
}

static int64_t sqlite_last_id(const struct db *db)
{
    return sqlite3_last_insert_rowid(((const struct sqlite_conn *)(const void *)db)->handle);
}

static int run_control(struct sqlite_conn *s, enum sqlite_control which, struct fail *fail)
{
    static const char *const texts[SQLITE_CONTROL_COUNT] = {
        [SQLITE_CONTROL_BEGIN_READ] = "BEGIN",
        [SQLITE_CONTROL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
        [SQLITE_CONTROL_COMMIT] = "COMMIT",
        [SQLITE_CONTROL_ROLLBACK] = "ROLLBACK",
    };
    int rc = SQLITE_OK;
    if (!s->control[which]) {
        rc = sqlite3_prepare_v3(s->handle, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                &s->control[which], NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(s->control[which]);
    }
    int err = rc == SQLITE_DONE ? 0 : sqlite_conn_fail(s, rc, texts[which], fail);
    (void)sqlite3_reset(s->control[which]);
    return err;
}

static int sqlite_begin(struct db *db, enum db_tx kind, struct fail *fail)
{
    return run_control(sqlite_conn_of(db),
                       kind == DB_TX_WRITE ? SQLITE_CONTROL_BEGIN_WRITE : SQLITE_CONTROL_BEGIN_READ,
                       fail);
}

static int sqlite_commit(struct db *db, struct fail *fail)
{
    return run_control(sqlite_conn_of(db), SQLITE_CONTROL_COMMIT, fail);
}

static int sqlite_rollback(struct db *db)
{
    struct sqlite_conn *s = sqlite_conn_of(db);
    if (sqlite3_get_autocommit(s->handle)) {
        return 0; /* a full disk and the like roll back by themselves */
    }
    s->is_rolling_back = true;
    int err = run_control(s, SQLITE_CONTROL_ROLLBACK, NULL);
    s->is_rolling_back = false;
    return err;
}

static int sqlite_script(struct db *db, const char *sql, struct fail *fail)
{
    struct sqlite_conn *s = sqlite_conn_of(db);
    int rc = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sqlite_conn_fail(s, rc, "script", fail);
}

static void sqlite_destroy(struct db *take_db)
{
    struct sqlite_conn *s = sqlite_conn_of(take_db);
    for (size_t i = 0; i < ARRAY_LEN(s->control); i++) {
        (void)sqlite3_finalize(s->control[i]);
    }
    s->is_rolling_back = true; /* the last connection's checkpoint is not interrupted */
    ASSERT(sqlite3_close(s->handle) == SQLITE_OK);
    mem_free(s);
}

static const struct db_ops sqlite_ops = {
    .name = "sqlite",
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .column = sqlite_column,
    .reset = sqlite_reset,
    .changed = sqlite_changed,
    .last_id = sqlite_last_id,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .script = sqlite_script,
    .destroy = sqlite_destroy,
};

struct sqlite_conn *sqlite_conn_of(struct db *db)
{
    ASSERT(db->ops == &sqlite_ops);
    return CONTAINER_OF(db, struct sqlite_conn, db);
}

/* Our own mode, before SQLite makes the file with another; its -wal and -shm take after it. Never
 * opens a file that exists: closing it would drop the locks of this process's other connections. */
static int make_file(const char *path, bool must_exist, struct fail *fail)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode)) {
            return fail_set(fail, E_INVALID, "%s: expected a file", path);
        }
        if ((st.st_mode & 077) != 0 && chmod(path, 0600) != 0) {
            return fail_set(fail, E_IO, "%s: others may read it and that cannot be changed: %s",
                            path, strerror(errno));
        }
        return 0;
    }
    if (errno == ENOENT && must_exist) {
        return fail_set(fail, E_GONE, "%s: the database file is not there", path);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_set(fail, is_no_space(errno) ? E_FULL : E_IO, "%s: cannot be made: %s", path,
                        strerror(errno));
    }
    (void)close(fd);
    return sqlite_conn_sync_folder(path, fail);
}

int sqlite_conn_sync_folder(const char *path, struct fail *fail)
{
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path + 1), path);
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0;
    int sys_errno = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (failed) {
        return fail_set(fail, is_no_space(sys_errno) ? E_FULL : E_IO, "%s: cannot be synced: %s",
                        folder, strerror(sys_errno));
    }
    return 0;
}

/* One statement whose first row's first column matters. text may be NULL. */
static int ask(struct sqlite_conn *s, const char *sql, char *text, size_t text_size, int64_t *value)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW && text) {
        const unsigned char *found = sqlite3_column_text(stmt, 0);
        (void)snprintf(text, text_size, "%s", found ? (const char *)found : "");
    }
    if (rc == SQLITE_ROW && value) {
        *value = sqlite3_column_int64(stmt, 0);
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }
    int last = sqlite3_finalize(stmt);
    return rc == SQLITE_OK ? last : rc;
}

/* Files may come from elsewhere (https://www.sqlite.org/security.html, untrusted files). */
static void defend(sqlite3 *handle)
{
    static const struct {
        int op;
        int value;
    } rows[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 0},    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ASSERT(sqlite3_db_config(handle, rows[i].op, rows[i].value, (int *)NULL) == SQLITE_OK);
    }
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, (int)DB_ROW_BYTES_MAX);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, 0);
}

static unsigned or_default(unsigned value, unsigned fallback)
{
    return value ? value : fallback;
}

static const char *sync_of(const struct db_sqlite_options *o)
{
    if (o->no_sync) {
        return "OFF";
    }
    return o->is_full_sync ? "FULL" : "NORMAL";
}

static int configure(struct sqlite_conn *s, const char *path, const struct db_sqlite_options *o,
                     struct fail *fail)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
                   "PRAGMA synchronous=%s; PRAGMA cache_size=-%u; PRAGMA wal_autocheckpoint=%u;"
                   "PRAGMA journal_size_limit=%d; PRAGMA query_only=%d;",
                   sync_of(o), or_default(o->cache_kb, DB_SQLITE_CACHE_KB),
                   or_default(o->checkpoint_pages, DB_SQLITE_CHECKPOINT_PAGES),
                   DB_SQLITE_WAL_BYTES_KEPT, o->is_reader);
    char mode[16] = "";
    int rc = ask(s, "PRAGMA journal_mode=WAL", mode, sizeof mode, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        return sqlite_conn_fail(s, rc, path, fail);
    }
    if (strcmp(mode, "wal") != 0) {
        return fail_set(fail, E_IO, "%s: the file system cannot carry a WAL (it stays in mode %s)",
                        path, mode);
    }
    return 0;
}

/* Ours, or new and empty. */
static int check_owner(struct sqlite_conn *s, const char *path, bool is_reader, struct fail *fail)
{
    int64_t id = 0;
    int64_t tables = 0;
    int rc = ask(s, "PRAGMA application_id", NULL, 0, &id);
    if (rc == SQLITE_OK) {
        rc = ask(s, "SELECT count(*) FROM sqlite_schema", NULL, 0, &tables);
    }
    if (rc == SQLITE_OK && id == 0 && tables == 0 && !is_reader) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "PRAGMA application_id=%d", APPLICATION_ID);
        rc = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
        id = APPLICATION_ID;
    }
    if (rc != SQLITE_OK) {
        return sqlite_conn_fail(s, rc, path, fail);
    }
    if (id != APPLICATION_ID && (id != 0 || tables != 0)) {
        return fail_set(fail, E_INVALID, "%s: a database of another program (application id %lld)",
                        path, (long long)id);
    }
    return 0;
}

static int check_whole(struct sqlite_conn *s, const char *path, enum db_sqlite_check check,
                       struct fail *fail)
{
    if (check == DB_SQLITE_CHECK_NONE) {
        return 0;
    }
    char found[200] = "";
    int rc = ask(
        s, check == DB_SQLITE_CHECK_FULL ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)",
        found, sizeof found, NULL);
    if (rc != SQLITE_OK) {
        return sqlite_conn_fail(s, rc, path, fail);
    }
    if (strcmp(found, "ok") != 0) {
        return fail_set(fail, E_CORRUPT,
                        "%s: the database is damaged; restore it from a backup (%s)", path, found);
    }
    return 0;
}

int db_sqlite_open(const char *path, const struct db_sqlite_options *options, struct db **ret_db,
                   struct fail *fail)
{
    static const struct db_sqlite_options defaults = {0};
    const struct db_sqlite_options *o = options ? options : &defaults;
    int err = make_file(path, o->must_exist, fail);
    if (err) {
        return err;
    }
    struct sqlite_conn *s = mem_zalloc(1, sizeof *s);
    db_base_init(&s->db, &sqlite_ops, or_default(o->statement_ms, DB_SQLITE_STATEMENT_MS));
    int rc = sqlite3_open_v2(path, &s->handle,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
                             NULL);
    ASSERT(s->handle); /* NULL only when memory is out */
    if (rc != SQLITE_OK) {
        err = sqlite_conn_fail(s, rc, path, fail);
        goto out;
    }
    defend(s->handle);
    s->busy_ms = (int)or_default(o->busy_ms, DB_SQLITE_BUSY_MS);
    (void)sqlite3_busy_timeout(s->handle, s->busy_ms);
    sqlite3_progress_handler(s->handle, STEPS_BETWEEN_LOOKS, on_look, s);
    err = configure(s, path, o, fail);
    if (!err) {
        err = check_owner(s, path, o->is_reader, fail);
    }
    if (!err) {
        err = check_whole(s, path, o->check, fail);
    }
    if (!err) {
        *ret_db = &s->db;
        s = NULL;
    }
out:
    db_destroy(s ? &s->db : NULL);
    return err;
}
