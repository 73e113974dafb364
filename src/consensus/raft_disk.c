#include "consensus/raft_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <raft/uv.h>
#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"
#include "consensus/raft_mark.h"
#include "consensus/raft_segment.h"
#include "consensus/raft_transport.h"

#define HEADS_BYTES 4096      /* of segment, batch and block around an entry */
#define TICK_NEVER_MS 3600000 /* raft_uv's own tick is not used */

/* Lines of libraft's trace that tell of failures it keeps to itself. */
static const char *const silent_failures[] = {
    "retry failed write",  /* an append: its own retry would use freed memory */
    "truncate segment ",   /* closing or cutting a segment */
    "unlink segment ",     /* after a truncation */
    "sync data directory", /* likewise */
};

struct raft_disk {
    struct raft_disk_options options;
    char dir[PATH_MAX];
    char probe[PATH_MAX];
    struct raft_io io;
    struct raft_uv_transport transport;
    struct raft_tracer tracer;
    struct raft_mark mark;
    uv_check_t check; /* looks at what the trace told */
    size_t segment_bytes;
    atomic_bool is_retrying; /* a segment could not be made; from any thread */
    atomic_int failed;       /* 0; 1: words are being written; 2: they are there */
    char words[256];
    bool is_full;
    bool is_failed; /* on_fail was called */
    bool is_check_open;
    bool is_io_open;
    bool is_closing;
    bool is_closed;
};

/* ---------------------------------------------------------------- failures */

/* On the loop's thread or one of libuv's workers. */
static void on_trace(struct raft_tracer *t, int type, const void *info)
{
    struct raft_disk *d = t->impl;
    const struct raft_tracer_info *i = info;
    if (type != RAFT_TRACER_DIAGNOSTIC || !i) {
        return;
    }
    const char *message = i->diagnostic.message;
    if (strncmp(message, "retry creating segment", 22) == 0) {
        atomic_store(&d->is_retrying, true);
        return;
    }
    for (size_t k = 0; k < ARRAY_LEN(silent_failures); k++) {
        int free_slot = 0;
        if (strncmp(message, silent_failures[k], strlen(silent_failures[k])) != 0 ||
            !atomic_compare_exchange_strong(&d->failed, &free_slot, 1)) {
            continue;
        }
        (void)snprintf(d->words, sizeof d->words, "%.*s", (int)sizeof d->words - 1, message);
        if (k == 0) {
            /* The retry that comes next is not to happen: it would run with a wrong pointer. */
            raft_uv_set_disk_retry(&d->io, UINT_MAX);
        }
        atomic_store(&d->failed, 2);
    }
}

static void give_up(struct raft_disk *d, const char *words)
{
    if (d->is_failed || d->is_closing) {
        return;
    }
    d->is_failed = true;
    struct fail why = {0};
    fail_set(&why, E_IO, "the log in %s cannot go on: %s", d->dir, words);
    d->options.on_fail(d->options.self, &why);
}

/* Why can no segment be made? A full disk is waited for, anything else is not. Returns an errno. */
static int probe(const struct raft_disk *d)
{
    int fd = open(d->probe, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    int err = posix_fallocate(fd, 0, (off_t)d->segment_bytes);
    (void)close(fd);
    (void)unlink(d->probe);
    return err;
}

static void look_at_room(struct raft_disk *d)
{
    int err = probe(d);
    if (err == ENOSPC || err == EDQUOT || err == EFBIG) {
        d->is_full = true;
    } else if (err != 0) {
        char words[256];
        (void)snprintf(words, sizeof words, "no new segment can be made: %s", strerror(err));
        give_up(d, words);
    }
}

static void on_check(uv_check_t *check)
{
    struct raft_disk *d = check->data;
    if (atomic_load(&d->failed) == 2) {
        give_up(d, d->words);
    } else if (atomic_exchange(&d->is_retrying, false)) {
        look_at_room(d);
    } else if (d->is_full && d->io.capacity > 0) {
        d->is_full = false;
    }
}

/* ---------------------------------------------------------------- storage */

static int set_term(void *self, uint64_t term)
{
    struct raft_disk *d = self;
    return d->io.set_term(&d->io, term);
}

static int set_vote(void *self, uint64_t id)
{
    struct raft_disk *d = self;
    return d->io.set_vote(&d->io, id);
}

static int truncate_from(void *self, uint64_t index)
{
    struct raft_disk *d = self;
    return d->io.truncate(&d->io, index);
}

struct append {
    struct raft_io_append req;
    raft_done_fn done;
    void *arg;
};

static void on_append(struct raft_io_append *req, int status)
{
    struct append *a = CONTAINER_OF(req, struct append, req);
    a->done(a->arg, status);
    mem_free(a);
}

static int append(void *self, uint64_t index, const struct raft_entry *entries, unsigned n,
                  raft_done_fn done, void *arg)
{
    struct raft_disk *d = self;
    (void)index; /* raft_uv counts by itself */
    struct append *a = mem_zalloc(1, sizeof *a);
    a->done = done;
    a->arg = arg;
    int err = d->io.append(&d->io, &a->req, entries, n, on_append);
    if (err) {
        mem_free(a);
    }
    return err;
}

struct put {
    struct raft_io_snapshot_put req;
    raft_done_fn done;
    void *arg;
};

static void on_put(struct raft_io_snapshot_put *req, int status)
{
    struct put *p = CONTAINER_OF(req, struct put, req);
    p->done(p->arg, status);
    mem_free(p);
}

static int put_snapshot(void *self, const struct raft_snapshot *snapshot, unsigned trailing,
                        raft_done_fn done, void *arg)
{
    struct raft_disk *d = self;
    struct put *p = mem_zalloc(1, sizeof *p);
    p->done = done;
    p->arg = arg;
    int err = d->io.snapshot_put(&d->io, trailing, &p->req, snapshot, on_put);
    if (err) {
        mem_free(p);
    }
    return err;
}

struct get {
    struct raft_io_snapshot_get req;
    raft_got_fn got;
    void *arg;
};

static void take_snapshot(struct raft_snapshot *s, struct raft_snapshot_metadata *ret_meta,
                          struct raft_buffer *ret_data)
{
    *ret_meta = (struct raft_snapshot_metadata){.index = s->index,
                                                .term = s->term,
                                                .configuration_index = s->configuration_index,
                                                .configuration = s->configuration};
    *ret_data = s->bufs[0];
    raft_free(s->bufs);
    raft_free(s);
}

static void on_get(struct raft_io_snapshot_get *req, struct raft_snapshot *snapshot, int status)
{
    struct get *g = CONTAINER_OF(req, struct get, req);
    struct raft_snapshot_metadata meta = {0};
    struct raft_buffer data = {0};
    if (status == 0) {
        take_snapshot(snapshot, &meta, &data);
    }
    g->got(g->arg, status, &meta, &data);
    mem_free(g);
}

static int get_snapshot(void *self, raft_got_fn got, void *arg)
{
    struct raft_disk *d = self;
    struct get *g = mem_zalloc(1, sizeof *g);
    g->got = got;
    g->arg = arg;
    int err = d->io.snapshot_get(&d->io, &g->req, on_get);
    if (err) {
        mem_free(g);
    }
    return err;
}

static unsigned short capacity(void *self)
{
    const struct raft_disk *d = self;
    return d->is_full ? 0 : d->io.capacity;
}

static void reached(void *self, uint64_t index)
{
    struct raft_disk *d = self;
    raft_mark_set(&d->mark, index);
}

static const char *error(void *self)
{
    const struct raft_disk *d = self;
    return d->io.errmsg[0] ? d->io.errmsg : "input/output error";
}

static const struct raft_storage_ops ops = {set_term, set_vote,     truncate_from,
                                            append,   put_snapshot, get_snapshot,
                                            capacity, reached,      error};

struct raft_storage raft_disk_storage(struct raft_disk *d)
{
    return (struct raft_storage){&ops, d};
}

bool raft_disk_has_room_for(const struct raft_disk *d, size_t len)
{
    struct statvfs st = {0};
    if (len + HEADS_BYTES <= d->segment_bytes) {
        return true;
    }
    return statvfs(d->dir, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize >= 2 * (uint64_t)len;
}

bool raft_disk_is_full(const struct raft_disk *d)
{
    return d->is_full;
}

/* ---------------------------------------------------------------- opening */

static void on_io_closed(struct raft_io *io)
{
    *(bool *)io->data = true;
}

/* raft_uv closes over several rounds of the loop. */
static void close_io(struct raft_io *io, uv_loop_t *loop)
{
    bool is_closed = false;
    io->data = &is_closed;
    io->version = 0; /* with data set, it would take us for its older layer */
    io->close(io, on_io_closed);
    while (!is_closed) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
    raft_uv_close(io);
}

static int open_io(struct raft_disk *d, uv_loop_t *loop, const char *dir, struct fail *fail)
{
    raft_transport_init(&d->transport);
    d->io = (struct raft_io){.data = NULL};
    int err = raft_uv_init(&d->io, loop, dir, &d->transport);
    if (err) {
        return fail_set(fail, E_IO, "the log cannot use %s: %s", dir, raft_strerror(err));
    }
    d->io.version = 1;
    raft_uv_set_tracer(&d->io, &d->tracer);
    raft_uv_set_segment_size(&d->io, d->segment_bytes);
    raft_uv_set_disk_retry(&d->io, RAFT_DISK_RETRY_MS);
    raft_uv_set_auto_recovery(&d->io, false); /* it would set damaged files aside and go on */
    err = d->io.init(&d->io, d->options.id, d->options.address);
    if (err) {
        err = fail_set(fail, E_IO,
                       "the log cannot use %s: %s (a local file system with O_DIRECT or tmpfs is "
                       "needed, and the kernel's asynchronous I/O)",
                       dir, d->io.errmsg);
        raft_uv_close(&d->io);
    }
    return err;
}

static int alone(const struct raft_disk *d, struct raft_configuration *conf)
{
    raft_configuration_init(conf);
    return raft_configuration_add(conf, d->options.id, d->options.address, RAFT_VOTER);
}

static void clear_dir(const char *dir)
{
    uv_fs_t req = {0};
    uv_dirent_t entry;
    if (uv_fs_scandir(NULL, &req, dir, 0, NULL) < 0) {
        return;
    }
    while (uv_fs_scandir_next(&req, &entry) == 0) {
        char path[PATH_MAX + 256];
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry.name);
        (void)unlink(path);
    }
    uv_fs_req_cleanup(&req);
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int err = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return err;
}

static int write_first(struct raft_disk *d, const char *dir, struct fail *fail)
{
    struct raft_configuration conf = {0};
    int err = alone(d, &conf);
    ASSERT(!err);
    err = d->io.bootstrap(&d->io, d->options.first ? d->options.first : &conf);
    raft_configuration_close(&conf);
    return err ? fail_set(fail, E_IO, "the first log cannot be written to %s: %s", dir,
                          d->io.errmsg)
               : 0;
}

/* Made beside its place and moved there whole: a log that was begun only half has voted, perhaps,
 * and could not be told from one that lost its entries. */
static int make_first(struct raft_disk *d, struct fail *fail)
{
    char fresh[PATH_MAX + 8];
    (void)snprintf(fresh, sizeof fresh, "%s.new", d->dir);
    clear_dir(fresh);
    if (mkdir(fresh, 0700) != 0 && errno != EEXIST) {
        return fail_set(fail, E_IO, "%s cannot be made: %s", fresh, strerror(errno));
    }
    uv_loop_t loop;
    int err = uv_loop_init(&loop);
    if (err) {
        return fail_set(fail, E_IO, "the system gives no event loop: %s", uv_strerror(err));
    }
    err = open_io(d, &loop, fresh, fail);
    if (!err && d->options.is_first_voter) {
        err = write_first(d, fresh, fail);
    }
    if (d->io.impl) {
        close_io(&d->io, &loop);
    }
    ASSERT(uv_loop_close(&loop) == 0);
    if (!err && (rename(fresh, d->dir) != 0 || sync_dir(d->options.dir) != 0)) {
        err = fail_set(fail, E_IO, "%s cannot be moved into place: %s", fresh, strerror(errno));
    }
    return err;
}

static int ensure_dir(struct raft_disk *d, struct fail *fail)
{
    struct stat st = {0};
    if (stat(d->dir, &st) == 0) {
        return 0;
    }
    if (errno != ENOENT) {
        return fail_set(fail, E_IO, "%s cannot be used: %s", d->dir, strerror(errno));
    }
    if (d->mark.index > 0) {
        return fail_set(fail, E_IO,
                        "%s is missing, but the node had reached entry %llu: restore a backup, or "
                        "remove log.mark too to begin empty",
                        d->dir, (unsigned long long)d->mark.index);
    }
    return make_first(d, fail);
}

static int load(struct raft_disk *d, struct raft_loaded *ret, struct fail *fail)
{
    struct raft_loaded l = {0};
    struct raft_snapshot *snapshot = NULL;
    raft_term term = 0;
    raft_id vote = 0;
    raft_index start = 0;
    int err = d->io.load(&d->io, &term, &vote, &snapshot, &start, &l.entries, &l.n);
    if (err) {
        return fail_set(fail, E_IO,
                        "the log in %s is damaged: %s; restore a backup, or let this node join its "
                        "cluster empty",
                        d->dir, d->io.errmsg[0] ? d->io.errmsg : raft_strerror(err));
    }
    l.term = term;
    l.vote = vote;
    l.start_index = start;
    if (snapshot) {
        l.has_snapshot = true;
        take_snapshot(snapshot, &l.meta, &l.data);
    }
    *ret = l;
    return 0;
}

static void free_loaded(struct raft_loaded *l)
{
    void *last = NULL;
    for (size_t i = 0; i < l->n; i++) {
        if (l->entries[i].batch != last) {
            last = l->entries[i].batch;
            raft_free(last);
        }
    }
    raft_free(l->entries);
    if (l->has_snapshot) {
        raft_configuration_close(&l->meta.configuration);
        raft_free(l->data.base);
    }
    *l = (struct raft_loaded){0};
}

/* Everything that was acknowledged has to be there, and the term that was promised. */
static int check_loaded(struct raft_disk *d, struct raft_loaded *l, struct fail *fail)
{
    uint64_t last = l->start_index + l->n - 1;
    uint64_t term = l->n > 0 ? l->entries[l->n - 1].term : l->has_snapshot ? l->meta.term : 0;
    if (l->term < term) {
        return fail_set(fail, E_IO,
                        "the log in %s has entries of term %llu, but its files metadata1 and "
                        "metadata2 say %llu: they are damaged or missing; restore a backup, or let "
                        "this node join its cluster empty",
                        d->dir, (unsigned long long)term, (unsigned long long)l->term);
    }
    if (last >= d->mark.index) {
        l->reached = d->mark.index;
        return 0;
    }
    return fail_set(
        fail, E_IO,
        "the log in %s ends at entry %llu, but the node had reached %llu: its last file "
        "is damaged or missing; restore a backup, or let this node join its cluster empty",
        d->dir, (unsigned long long)last, (unsigned long long)d->mark.index);
}

static int recover(struct raft_disk *d, struct fail *fail)
{
    struct raft_configuration conf = {0};
    int err = alone(d, &conf);
    ASSERT(!err);
    err = d->io.recover(&d->io, &conf);
    raft_configuration_close(&conf);
    return err ? fail_set(fail, E_IO, "the log in %s cannot be taken over: %s", d->dir,
                          d->io.errmsg)
               : 0;
}

static void on_check_closed(uv_handle_t *handle)
{
    struct raft_disk *d = handle->data;
    d->is_closed = true;
}

static int open_steps(struct raft_disk *d, struct raft_loaded *ret_loaded, struct fail *fail)
{
    char mark[PATH_MAX];
    (void)snprintf(mark, sizeof mark, "%s/log.mark", d->options.dir);
    int err = raft_mark_open(&d->mark, mark, fail);
    if (!err) {
        err = ensure_dir(d, fail);
    }
    if (!err) {
        err = open_io(d, d->options.loop, d->dir, fail);
        d->is_io_open = !err;
    }
    if (!err) {
        err = raft_segment_trim_all(d->dir, fail);
    }
    if (!err && d->options.is_recovering) {
        err = recover(d, fail);
    }
    if (!err) {
        err = load(d, ret_loaded, fail);
    }
    if (!err) {
        err = check_loaded(d, ret_loaded, fail);
    }
    /* Not before load: it would destroy the segments that a crash left open. */
    if (!err && d->io.start(&d->io, TICK_NEVER_MS, NULL, NULL) != 0) {
        err = fail_set(fail, E_IO, "the log in %s cannot start: %s", d->dir, d->io.errmsg);
    }
    return err;
}

int raft_disk_open(const struct raft_disk_options *options, struct raft_disk **ret,
                   struct raft_loaded *ret_loaded, struct fail *fail)
{
    struct raft_disk *d = mem_zalloc(1, sizeof *d);
    d->options = *options;
    d->segment_bytes = options->segment_bytes ? options->segment_bytes : RAFT_DISK_SEGMENT_BYTES;
    d->tracer = (struct raft_tracer){.impl = d, .version = 2, .emit = on_trace};
    struct raft_loaded loaded = {0};
    int err = 0;
    if (snprintf(d->dir, sizeof d->dir, "%s/log", options->dir) >= (int)sizeof d->dir - 16 ||
        snprintf(d->probe, sizeof d->probe, "%s/log.probe", options->dir) >= (int)sizeof d->probe) {
        err = fail_set(fail, E_IO, "the path of the data directory is too long");
    }
    if (!err) {
        err = open_steps(d, &loaded, fail);
    }
    if (err) {
        free_loaded(&loaded);
        raft_disk_close(d);
        return err;
    }
    ASSERT(uv_check_init(options->loop, &d->check) == 0);
    ASSERT(uv_check_start(&d->check, on_check) == 0);
    uv_unref((uv_handle_t *)&d->check);
    d->check.data = d;
    d->is_check_open = true;
    *ret_loaded = loaded;
    *ret = d;
    return 0;
}

void raft_disk_close(struct raft_disk *d)
{
    if (!d) {
        return;
    }
    d->is_closing = true;
    if (d->is_io_open) {
        close_io(&d->io, d->options.loop);
    }
    if (d->is_check_open) {
        uv_close((uv_handle_t *)&d->check, on_check_closed);
        while (!d->is_closed) {
            (void)uv_run(d->options.loop, UV_RUN_NOWAIT);
        }
    }
    raft_mark_close(&d->mark);
    mem_free(d);
}
