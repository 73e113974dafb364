#include "consensus/raft_mark.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define SLOT_BYTES 16

static uint64_t slot_read(const unsigned char *at)
{
    uint64_t pair[2];
    memcpy(pair, at, sizeof pair);
    uint64_t index = le64toh(pair[0]);
    return le64toh(pair[1]) == (index ^ RAFT_MARK_KEY) ? index : 0;
}

int raft_mark_open(struct raft_mark *m, const char *path, struct fail *fail)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail_set(fail, E_IO, "%s cannot be opened: %s", path, strerror(errno));
    }
    int err = 0;
    void *page = MAP_FAILED;
    struct stat st = {0};
    /* Its block is taken now: a full disk must not show as a bus error later. */
    int refusal = posix_fallocate(fd, 0, PAGE_BYTES);
    if (refusal != 0 || fstat(fd, &st) != 0) {
        err = fail_set(fail, E_IO, "%s cannot be written: %s", path,
                       strerror(refusal ? refusal : errno));
        goto out;
    }
    page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        err = fail_set(fail, E_IO, "%s cannot be mapped: %s", path, strerror(errno));
        goto out;
    }
    m->page = page;
    uint64_t a = slot_read(m->page);
    uint64_t b = slot_read(m->page + SLOT_BYTES);
    m->index = a > b ? a : b;
    m->turn = a > b ? 1 : 0;
out:
    (void)close(fd);
    return err;
}

void raft_mark_close(struct raft_mark *m)
{
    if (m->page) {
        (void)munmap(m->page, PAGE_BYTES);
    }
    *m = (struct raft_mark){0};
}

void raft_mark_set(struct raft_mark *m, uint64_t index)
{
    if (index <= m->index) {
        return;
    }
    uint64_t pair[2] = {htole64(index), htole64(index ^ RAFT_MARK_KEY)};
    memcpy(m->page + (size_t)m->turn * SLOT_BYTES, pair, sizeof pair);
    m->turn ^= 1;
    m->index = index;
}
