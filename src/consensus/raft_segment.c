#include "consensus/raft_segment.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT_BYTES 8
#define BATCH_HEAD_BYTES 16
#define ENTRY_HEAD_BYTES 16
#define ENTRIES_MAX (1u << 18) /* libraft refuses a greater count by itself */

static uint64_t get_u64(const char *at)
{
    uint64_t n = 0;
    memcpy(&n, at, sizeof n);
    return le64toh(n);
}

static uint32_t get_u32(const char *at)
{
    uint32_t n = 0;
    memcpy(&n, at, sizeof n);
    return le32toh(n);
}

/* Bytes of the batch at the front; 0 when none begins there. May be more than len. */
static size_t batch_bytes(const char *at, size_t len)
{
    if (len < BATCH_HEAD_BYTES) {
        return BATCH_HEAD_BYTES;
    }
    uint64_t count = get_u64(at + 8);
    if (count == 0 || count > ENTRIES_MAX) {
        return 0;
    }
    size_t bytes = BATCH_HEAD_BYTES + (size_t)count * ENTRY_HEAD_BYTES;
    if (bytes > len) {
        return bytes;
    }
    for (uint64_t i = 0; i < count; i++) {
        bytes += get_u32(at + BATCH_HEAD_BYTES + i * ENTRY_HEAD_BYTES + 12);
    }
    return bytes;
}

/* Where the file has to end. */
static size_t sound_length(const char *data, size_t len)
{
    size_t at = FORMAT_BYTES;
    while (at < len) {
        size_t batch = batch_bytes(data + at, len - at);
        if (batch == 0) {
            return len;
        }
        if (batch > len - at) {
            break;
        }
        at += batch;
    }
    return at > FORMAT_BYTES ? at : 0;
}

static int trim(const char *path, struct fail *fail)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st = {0};
    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = fail_set(fail, E_IO, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    int err = 0;
    size_t len = (size_t)st.st_size;
    if (len > 0) {
        void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
        size_t sound = data == MAP_FAILED ? len : sound_length(data, len);
        if (data == MAP_FAILED || (sound < len && ftruncate(fd, (off_t)sound) != 0)) {
            err = fail_set(fail, E_IO, "%s cannot be checked: %s", path, strerror(errno));
        }
        if (data != MAP_FAILED) {
            (void)munmap(data, len);
        }
    }
    (void)close(fd);
    return err;
}

int raft_segment_trim_all(const char *dir, struct fail *fail)
{
    DIR *d = opendir(dir);
    if (!d) {
        return fail_set(fail, E_IO, "%s cannot be read: %s", dir, strerror(errno));
    }
    int err = 0;
    for (struct dirent *entry = readdir(d); entry && !err; entry = readdir(d)) {
        char path[PATH_MAX + 260];
        if (strncmp(entry->d_name, "open-", 5) == 0) {
            (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            err = trim(path, fail);
        }
    }
    (void)closedir(d);
    return err;
}
