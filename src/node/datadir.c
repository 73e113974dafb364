#include "node/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/span.h"

static int make_parents(const char *path, struct fail *fail)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part)) {
        return fail_set(fail, E_INVALID,
                        "data directory: expected a path of 1 to %zu bytes, got %zu",
                        sizeof(part) - 1, len);
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return fail_set(fail, E_IO, "cannot make the directory %s: %s", part, strerror(errno));
        }
        part[i] = kept;
    }
    return 0;
}

/* Who holds the lock: the pid that the holder wrote, or "another process". */
static void read_holder(int fd, char *dst, size_t size)
{
    ssize_t n = pread(fd, dst, size - 1, 0);
    if (n <= 0) {
        snprintf(dst, size, "another process");
        return;
    }
    dst[n] = '\0';
    dst[strcspn(dst, "\n")] = '\0';
}

static int take_lock(int dir, const char *path, int *ret_fd, struct fail *fail)
{
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail_set(fail, E_IO, "cannot open %s/lock: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        char holder[64];
        read_holder(fd, holder, sizeof(holder));
        close(fd);
        return fail_set(fail, E_CONFLICT,
                        "the data directory %s is in use by %s; stop that node or give this one "
                        "another directory with --data",
                        path, holder);
    }
    char text[64];
    int len = snprintf(text, sizeof(text), "nacre pid %ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        int err = fail_set(fail, E_IO, "cannot write %s/lock: %s", path, strerror(errno));
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

int datadir_open(struct datadir *d, const char *path, struct fail *fail)
{
    int err = make_parents(path, fail);
    if (err) {
        return err;
    }
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return fail_set(fail, E_IO, "cannot open the data directory %s: %s", path, strerror(errno));
    }
    if (fchmod(dir, 0700) != 0) {
        err = fail_set(fail, E_IO,
                       "cannot close the data directory %s to others (mode 0700): %s; run as its "
                       "owner or choose another with --data",
                       path, strerror(errno));
    } else {
        err = take_lock(dir, path, &d->lock_fd, fail);
    }
    close(dir);
    return err;
}

void datadir_close(struct datadir *d)
{
    close(d->lock_fd);
    d->lock_fd = -1;
}
