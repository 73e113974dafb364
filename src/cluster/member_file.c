#include "cluster/member_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

/* Two writes within one tick of the file system's clock look the same: a file that was written just
 * now is read again at the next look. */
#define SETTLED_MS 2000

void member_file_init(struct member_file *f, const char *name, const struct member_list *list,
                      uint16_t port_default, uint64_t now_ms)
{
    *f = (struct member_file){.port_default = port_default, .due_ms = now_ms + MEMBER_FILE_LOOK_MS};
    if (list) {
        f->list = *list;
        f->has_list = true;
    }
    (void)snprintf(f->name, sizeof(f->name), "%s", name);
}

bool member_file_due(struct member_file *f, uint64_t now_ms)
{
    if (now_ms < f->due_ms) {
        return false;
    }
    f->due_ms = now_ms + MEMBER_FILE_WAIT_MS;
    return true;
}

uint64_t member_file_deadline(const struct member_file *f)
{
    return f->due_ms;
}

/* Looking */

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct member_stamp stamp_of(const struct stat *st)
{
    return (struct member_stamp){
        .size = (int64_t)st->st_size,
        .mtime_ns = ns_of(st->st_mtim),
        .ctime_ns = ns_of(st->st_ctim),
        .inode = (uint64_t)st->st_ino,
        .is_there = true,
        .is_known = true,
    };
}

static bool stamp_eq(const struct member_stamp *a, const struct member_stamp *b)
{
    return a->is_known && b->is_known && a->is_there == b->is_there && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->inode == b->inode;
}

/* The content of fd, or why not. One byte more than allowed is read: members_parse refuses it. */
static void read_text(int fd, const char *path, struct member_look *look)
{
    char *text = mem_alloc(MEMBERS_TEXT_MAX + 1);
    size_t len = 0;
    ssize_t n = 1;
    while (len < MEMBERS_TEXT_MAX + 1 && n != 0) {
        n = read(fd, text + len, MEMBERS_TEXT_MAX + 1 - len);
        if (n < 0 && errno != EINTR) {
            (void)fail_set(&look->fail, E_IO, "cannot read %s: %s", path, strerror(errno));
            mem_free(text);
            return;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    look->text = buf_take(text, len);
}

void member_file_look(const char *path, const struct member_stamp *known, struct member_look *ret)
{
    *ret = (struct member_look){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st = {0};
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        ret->stamp.is_known = true;
        ret->is_read = !stamp_eq(&ret->stamp, known);
        return;
    }
    if (fd < 0 || fstat(fd, &st) != 0) {
        ret->is_read = true;
        (void)fail_set(&ret->fail, E_IO, "cannot open %s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        ret->is_read = true;
        (void)fail_set(&ret->fail, E_IO, "%s is no regular file", path);
    } else {
        ret->stamp = stamp_of(&st);
        ret->stamp.is_known = clock_wall_ms() - ret->stamp.mtime_ns / 1000000 >= SETTLED_MS;
        ret->is_read = !stamp_eq(&ret->stamp, known);
        if (ret->is_read) {
            read_text(fd, path, ret);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* Judging */

/* The list of a text that was read; E_NOT_FOUND: there is none in it. */
static int judge(const struct member_file *f, const struct member_look *look,
                 struct member_list *ret, struct fail *fail)
{
    if (look->fail.code) {
        *fail = look->fail;
        return look->fail.code;
    }
    if (!look->text) {
        return fail_set(fail, E_NOT_FOUND, "%s is not there any more; the last list stays",
                        f->name);
    }
    int err = members_parse(f->name, buf_span(look->text), f->port_default, ret, fail);
    if (err == 0 && ret->count == 0) {
        return fail_set(fail, E_NOT_FOUND, "%s names no member; the last list stays", f->name);
    }
    return err;
}

/* What is worth telling once. Never 0. */
static uint64_t mark_of(const struct member_look *look, const struct fail *why)
{
    struct span text = look->text ? buf_span(look->text) : span_str(why->text);
    uint64_t hash = hash_more(hash_bytes(text.data, text.len), &why->code, sizeof(why->code));
    return hash ? hash : 1;
}

enum member_file_news member_file_take(struct member_file *f, struct member_look *take_look,
                                       uint64_t now_ms, struct fail *fail)
{
    f->due_ms = now_ms + MEMBER_FILE_LOOK_MS;
    f->stamp = take_look->stamp;
    enum member_file_news news = MEMBER_FILE_SAME;
    struct member_list *list = NULL;
    struct fail why = {0};
    if (!take_look->is_read) {
        goto out;
    }
    list = mem_zalloc(1, sizeof(*list));
    int err = judge(f, take_look, list, &why);
    if (err == E_NOT_FOUND && !f->has_list) {
        goto out;
    }
    if (err) {
        uint64_t mark = mark_of(take_look, &why);
        if (mark != f->told) {
            f->told = mark;
            *fail = why;
            news = MEMBER_FILE_BAD;
        }
        goto out;
    }
    f->told = 0;
    if (!f->has_list || !members_eq(&f->list, list)) {
        news = MEMBER_FILE_CHANGED;
    }
    f->list = *list;
    f->has_list = true;
out:
    buf_unref(take_look->text);
    take_look->text = NULL;
    mem_free(list);
    return news;
}
