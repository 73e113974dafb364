#include "node/rebuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cluster/identity.h"
#include "cluster/pins.h"
#include "node/backup.h"
#include "node/filebytes.h"
#include "node/tables.h"

#define ABOUT_NAME "about"

/* All that is not the operator's, nor of this process (lock, control socket). */
static const char *const state_names[] = {
    "log",
    "log.mark",
    TABLES_FILE,
    TABLES_FILE "-wal", /* NOLINT(bugprone-suspicious-missing-comma): a name and its suffix */
    TABLES_FILE "-shm", /* NOLINT(bugprone-suspicious-missing-comma): the same */
    BACKUP_BASE_FILE,
    TABLES_INCOMING,
    TABLES_OUTGOING,
    PINS_NAME,
    "node.key",
    "node.crt",
};

static void path_of(char dst[FILEBYTES_PATH_MAX], const char *dir, const char *name)
{
    (void)snprintf(dst, FILEBYTES_PATH_MAX, "%s/%s", dir, name);
}

static int io_error(const char *what, const char *path, struct fail *fail)
{
    return fail_set(fail, errno == ENOSPC ? E_FULL : E_IO, "cannot %s %s: %s", what, path,
                    strerror(errno));
}

/* The time in the name of a directory that was set aside; 0: it is none. */
static int64_t aside_time(const char *name)
{
    const size_t len = sizeof(REBUILD_ASIDE_PREFIX) - 1;
    long long ms = 0;
    if (strncmp(name, REBUILD_ASIDE_PREFIX, len) != 0 || !span_int(span_str(name + len), &ms)) {
        return 0;
    }
    return ms > 0 ? ms : 0;
}

/* ---------------------------------------------------------------- what lies there */

static FTS *walk(const char *folder)
{
    char copy[FILEBYTES_PATH_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", folder);
    char *const roots[] = {copy, NULL};
    return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
}

static uint64_t size_of(const char *folder)
{
    uint64_t sum = 0;
    FTS *tree = walk(folder);
    const FTSENT *e = NULL;
    while (tree && (e = fts_read(tree)) != NULL) {
        sum += e->fts_info == FTS_F ? (uint64_t)e->fts_statp->st_blocks * 512 : 0;
    }
    if (tree) {
        (void)fts_close(tree);
    }
    return sum;
}

/* But the file kept (NULL: none); the folder stays when it is not empty. */
static void empty(const char *folder, const char *kept)
{
    FTS *tree = walk(folder);
    const FTSENT *e = NULL;
    while (tree && (e = fts_read(tree)) != NULL) {
        if (e->fts_info == FTS_DP) {
            (void)rmdir(e->fts_path);
        } else if (e->fts_info != FTS_D && !(kept && strcmp(e->fts_path, kept) == 0)) {
            (void)unlink(e->fts_path);
        }
    }
    if (tree) {
        (void)fts_close(tree);
    }
}

/* The time of the newest one that is not after limit_ms; 0: there is none. */
static int64_t newest_aside(const char *dir, int64_t limit_ms)
{
    DIR *d = opendir(dir);
    struct dirent *entry = NULL;
    int64_t newest = 0;
    while (d && (entry = readdir(d)) != NULL) {
        int64_t ms = aside_time(entry->d_name);
        newest = ms > newest && ms <= limit_ms ? ms : newest;
    }
    if (d) {
        (void)closedir(d);
    }
    return newest;
}

static void remove_others(const char *dir, const char *kept)
{
    DIR *d = opendir(dir);
    struct dirent *entry = NULL;
    while (d && (entry = readdir(d)) != NULL) {
        char path[FILEBYTES_PATH_MAX];
        path_of(path, dir, entry->d_name);
        if (aside_time(entry->d_name) > 0 && strcmp(path, kept) != 0) {
            empty(path, NULL);
        }
    }
    if (d) {
        (void)closedir(d);
    }
}

/* ---------------------------------------------------------------- the order */

int rebuild_order(const char *dir, int64_t wall_ms, struct span about, struct fail *fail)
{
    int64_t last = newest_aside(dir, wall_ms);
    if (last > 0 && wall_ms - last < REBUILD_AGAIN_MS) {
        return fail_set(fail, E_CONFLICT,
                        "this node's state differs from the cluster's for the second time within "
                        "an hour (%.*s); that is no accident: keep %s/%s%lld, look at its disk and "
                        "memory, report it, and begin with an empty directory",
                        SPAN_ARG(about), dir, REBUILD_ASIDE_PREFIX, (long long)last);
    }
    char path[FILEBYTES_PATH_MAX];
    char text[REBUILD_ABOUT_MAX + 64];
    struct filebytes file = {0};
    about.len = about.len < REBUILD_ABOUT_MAX ? about.len : REBUILD_ABOUT_MAX;
    int len = snprintf(text, sizeof(text), "%lld\n%.*s\n", (long long)wall_ms, SPAN_ARG(about));
    path_of(path, dir, REBUILD_ORDER_FILE);
    int err = filebytes_create(&file, path, fail);
    if (err) {
        return err;
    }
    struct byte_sink sink = filebytes_sink(&file);
    err = sink.write(sink.self, span_of(text, (size_t)len), fail);
    if (err) {
        filebytes_drop(&file);
        return err;
    }
    return filebytes_finish(&file, false, fail);
}

/* The order's time; *ret_ms 0: there is no order. */
static int read_order(const char *path, int64_t *ret_ms, struct fail *fail)
{
    char text[32] = "";
    long long ms = 0;
    FILE *file = fopen(path, "re");
    *ret_ms = 0;
    if (!file) {
        return errno == ENOENT ? 0 : io_error("read", path, fail);
    }
    bool is_line = fgets(text, sizeof(text), file) != NULL;
    (void)fclose(file);
    if (!is_line || !span_int(span_trim(span_str(text)), &ms) || ms <= 0) {
        return fail_set(fail, E_CORRUPT,
                        "%s does not say when it was written: remove it, or, to begin anew, "
                        "everything in its directory",
                        path);
    }
    *ret_ms = ms;
    return 0;
}

static int sync_folder(const char *path, struct fail *fail)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0;
    int err = failed ? io_error("sync", path, fail) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return err;
}

static int set_aside(const char *dir, const char *aside, struct fail *fail)
{
    char from[FILEBYTES_PATH_MAX];
    char to[FILEBYTES_PATH_MAX];
    if (mkdir(aside, 0700) != 0 && errno != EEXIST) {
        return io_error("make", aside, fail);
    }
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
        path_of(from, dir, state_names[i]);
        path_of(to, aside, state_names[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return io_error("set aside", from, fail);
        }
    }
    int err = sync_folder(aside, fail);
    return err ? err : sync_folder(dir, fail);
}

/* Room for the state that comes, or what was set aside goes. */
static void make_room(const char *dir, const char *aside)
{
    char about[FILEBYTES_PATH_MAX];
    struct statvfs fs = {0};
    bool is_known = statvfs(dir, &fs) == 0;
    if (is_known && (uint64_t)fs.f_bavail * fs.f_frsize < size_of(aside) + REBUILD_SPARE_BYTES) {
        path_of(about, aside, ABOUT_NAME);
        empty(aside, about);
    }
}

int rebuild_carry_out(const char *dir, bool *ret_done, struct fail *fail)
{
    char order[FILEBYTES_PATH_MAX];
    char aside[FILEBYTES_PATH_MAX];
    char about[FILEBYTES_PATH_MAX];
    int64_t ms = 0;
    *ret_done = false;
    path_of(order, dir, REBUILD_ORDER_FILE);
    int err = read_order(order, &ms, fail);
    if (err || ms == 0) {
        return err;
    }
    (void)snprintf(aside, sizeof(aside), "%s/" REBUILD_ASIDE_PREFIX "%lld", dir, (long long)ms);
    remove_others(dir, aside);
    err = set_aside(dir, aside, fail);
    if (err) {
        return err;
    }
    path_of(about, aside, ABOUT_NAME);
    if (rename(order, about) != 0) {
        return io_error("set aside", order, fail);
    }
    make_room(dir, aside);
    *ret_done = true;
    return sync_folder(dir, fail);
}
