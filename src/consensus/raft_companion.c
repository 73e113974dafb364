#include "consensus/raft_companion.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

enum job_kind { JOB_BEGIN, JOB_WRITE, JOB_END };

/* A step of the incoming file; they are done one after the other. */
struct job {
    struct job *next;
    struct buf *bytes;
    enum job_kind kind;
    uint64_t generation;
    int err;
};

struct raft_companion {
    struct raft_companion_options options;
    char *outgoing, *incoming, *part, *folder;
    atomic_bool is_stopping;
    /* outgoing */
    uv_work_t making;
    bool is_making;
    raft_companion_made_fn made;
    void *made_arg;
    int made_err, made_fd;
    uint64_t made_bytes;
    unsigned closing;
    /* incoming */
    uv_work_t working;
    struct job *running;
    struct job *head, **tail;
    unsigned queued;
    uint64_t generation; /* of what is begun: jobs of an older one change nothing */
    struct raft_companion_state state;
    /* the worker's */
    int fd;
    uint64_t unsynced;
};

/* ---------------------------------------------------------------- outgoing */

static int open_made(struct raft_companion *c)
{
    struct stat st = {0};
    c->made_fd = open(c->outgoing, O_RDONLY | O_CLOEXEC);
    (void)unlink(c->outgoing);
    if (c->made_fd < 0 || fstat(c->made_fd, &st) != 0) {
        return E_IO;
    }
    c->made_bytes = (uint64_t)st.st_size;
    return c->made_bytes == 0 || c->made_bytes > RAFT_COMPANION_BYTES_MAX ? E_LIMIT : 0;
}

static void make_work(uv_work_t *work)
{
    struct raft_companion *c = work->data;
    c->made_fd = -1;
    c->made_err = c->options.make(c->options.make_self, c->outgoing, &c->is_stopping);
    if (!c->made_err) {
        c->made_err = open_made(c);
    }
    if (c->made_err && c->made_fd >= 0) {
        (void)close(c->made_fd);
        c->made_fd = -1;
    }
}

static void make_done(uv_work_t *work, int status)
{
    struct raft_companion *c = work->data;
    c->is_making = false;
    c->made(c->made_arg, status != 0 ? E_CLOSED : c->made_err, c->made_fd, c->made_bytes);
}

void raft_companion_make(struct raft_companion *c, raft_companion_made_fn done, void *arg)
{
    ASSERT(!c->is_making);
    c->is_making = true;
    c->made = done;
    c->made_arg = arg;
    c->made_err = E_CLOSED;
    c->made_fd = -1;
    c->making.data = c;
    if (c->options.loop) {
        ASSERT(uv_queue_work(c->options.loop, &c->making, make_work, make_done) == 0);
        return;
    }
    make_work(&c->making);
    make_done(&c->making, 0);
}

struct closing {
    uv_work_t work;
    struct raft_companion *c;
    int fd;
};

static void close_work(uv_work_t *work)
{
    const struct closing *closing = work->data;
    (void)close(closing->fd);
}

static void close_done(uv_work_t *work, int status)
{
    struct closing *closing = work->data;
    (void)status;
    closing->c->closing--;
    mem_free(closing);
}

void raft_companion_close(struct raft_companion *c, int take_fd)
{
    if (!c->options.loop) {
        (void)close(take_fd);
        return;
    }
    struct closing *closing = mem_zalloc(1, sizeof(*closing));
    closing->c = c;
    closing->fd = take_fd;
    closing->work.data = closing;
    c->closing++;
    ASSERT(uv_queue_work(c->options.loop, &closing->work, close_work, close_done) == 0);
}

/* ---------------------------------------------------------------- incoming, on a worker */

static void close_fd(struct raft_companion *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

static int write_all(struct raft_companion *c, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(c->fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return errno == ENOSPC ? E_FULL : E_IO;
        }
        size_t done = n > 0 ? (size_t)n : 0;
        bytes = span_of(bytes.data + done, bytes.len - done);
        c->unsynced += done;
    }
    if (c->unsynced >= RAFT_COMPANION_SYNC_BYTES) {
        c->unsynced = 0;
        return fdatasync(c->fd) != 0 ? E_IO : 0;
    }
    return 0;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_synced ? 0 : E_IO;
}

static int finish(struct raft_companion *c)
{
    bool is_synced = fsync(c->fd) == 0;
    close_fd(c);
    if (!is_synced || rename(c->part, c->incoming) != 0) {
        return E_IO;
    }
    return sync_folder(c->folder);
}

static int perform(struct raft_companion *c, const struct job *job)
{
    if (job->kind == JOB_BEGIN) {
        close_fd(c);
        c->unsynced = 0;
        c->fd = open(c->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        return c->fd < 0 ? E_IO : 0;
    }
    if (c->fd < 0) {
        return E_IO; /* it failed before */
    }
    int err = job->kind == JOB_WRITE ? write_all(c, buf_span(job->bytes)) : finish(c);
    if (err) {
        close_fd(c);
        (void)unlink(c->part);
    }
    return err;
}

static void work(uv_work_t *work)
{
    struct raft_companion *c = work->data;
    c->running->err = perform(c, c->running);
}

/* ---------------------------------------------------------------- incoming, on core */

static void job_free(struct job *job)
{
    buf_unref(job->bytes);
    mem_free(job);
}

static struct job *take(struct raft_companion *c)
{
    struct job *job = c->head;
    if (job) {
        c->head = job->next;
        c->tail = c->head ? c->tail : &c->head;
        c->queued--;
    }
    return job;
}

static void note(struct raft_companion *c, const struct job *job)
{
    if (job->generation != c->generation) {
        return;
    }
    c->state.err = c->state.err ? c->state.err : job->err;
    if (c->state.err) {
        return;
    }
    c->state.written += job->bytes ? job->bytes->len : 0;
    c->state.is_done = job->kind == JOB_END;
}

/* What was dropped is not written, but a file that is begun has to be. */
static struct job *take_wanted(struct raft_companion *c)
{
    struct job *job = take(c);
    while (job && job->generation != c->generation) {
        job_free(job);
        job = take(c);
    }
    return job;
}

static void run_played(struct raft_companion *c)
{
    for (struct job *job = take_wanted(c); job; job = take_wanted(c)) {
        job->err = perform(c, job);
        note(c, job);
        job_free(job);
    }
}

static void run_next(struct raft_companion *c);

/* NOLINTNEXTLINE(misc-no-recursion): the loop calls it later, not run_next */
static void work_done(uv_work_t *work, int status)
{
    struct raft_companion *c = work->data;
    struct job *job = c->running;
    c->running = NULL;
    job->err = status != 0 ? E_CLOSED : job->err;
    note(c, job);
    job_free(job);
    run_next(c);
    if (c->options.wake && !atomic_load(&c->is_stopping)) {
        c->options.wake(c->options.wake_self);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as work_done */
static void run_next(struct raft_companion *c)
{
    if (!c->options.loop) {
        run_played(c);
        return;
    }
    if (c->running || atomic_load(&c->is_stopping)) {
        return;
    }
    c->running = take_wanted(c);
    if (c->running) {
        c->working.data = c;
        ASSERT(uv_queue_work(c->options.loop, &c->working, work, work_done) == 0);
    }
}

static void push(struct raft_companion *c, enum job_kind kind, struct buf *take_bytes)
{
    struct job *job = mem_zalloc(1, sizeof(*job));
    job->kind = kind;
    job->bytes = take_bytes;
    job->generation = c->generation;
    *c->tail = job;
    c->tail = &job->next;
    c->queued++;
    run_next(c);
}

void raft_companion_drop(struct raft_companion *c)
{
    c->generation++;
    c->state = (struct raft_companion_state){0};
}

void raft_companion_begin(struct raft_companion *c)
{
    raft_companion_drop(c);
    push(c, JOB_BEGIN, NULL);
}

bool raft_companion_write(struct raft_companion *c, struct span bytes)
{
    if (c->queued >= RAFT_COMPANION_QUEUE) {
        return false;
    }
    push(c, JOB_WRITE, buf_create(bytes));
    return true;
}

void raft_companion_end(struct raft_companion *c)
{
    push(c, JOB_END, NULL);
}

struct raft_companion_state raft_companion_state(const struct raft_companion *c)
{
    return c->state;
}

/* ---------------------------------------------------------------- life */

static char *join(const char *a, const char *b)
{
    size_t len = strlen(a) + strlen(b) + 1;
    char *s = mem_alloc(len);
    (void)snprintf(s, len, "%s%s", a, b);
    return s;
}

struct raft_companion *raft_companion_create(const struct raft_companion_options *options)
{
    struct raft_companion *c = mem_zalloc(1, sizeof(*c));
    const char *slash = strrchr(options->incoming, '/');
    c->options = *options;
    c->outgoing = mem_strndup(options->outgoing, strlen(options->outgoing));
    c->incoming = mem_strndup(options->incoming, strlen(options->incoming));
    c->folder = slash ? mem_strndup(options->incoming, (size_t)(slash - options->incoming) + 1)
                      : mem_strndup(".", 1);
    c->part = join(options->incoming, ".part");
    c->tail = &c->head;
    c->fd = -1;
    (void)unlink(c->part); /* of a life that was cut off */
    (void)unlink(c->outgoing);
    atomic_init(&c->is_stopping, false);
    return c;
}

void raft_companion_destroy(struct raft_companion *c)
{
    if (!c) {
        return;
    }
    atomic_store(&c->is_stopping, true);
    while (c->is_making || c->running || c->closing > 0) {
        (void)uv_run(c->options.loop, UV_RUN_ONCE);
    }
    for (struct job *job = take(c); job; job = take(c)) {
        job_free(job);
    }
    close_fd(c);
    (void)unlink(c->part);
    (void)unlink(c->outgoing);
    mem_free(c->outgoing);
    mem_free(c->incoming);
    mem_free(c->part);
    mem_free(c->folder);
    mem_free(c);
}
