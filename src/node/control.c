#include "node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/span.h"
#include "base/thread.h"
#include "node/ask.h"
#include "node/backup.h"

#define BACKLOG 4
#define PROGRESS_MS 500

/* A command that runs. */
struct session {
    struct control *control;
    pthread_t thread;
    int fd;
    bool is_used;        /* the thread is to be joined */
    atomic_bool is_over; /* at once */
};

struct control {
    struct core *core;
    int dir_fd;
    int listen_fd;
    int stop_pipe[2]; /* written once: the thread ends */
    pthread_t thread;
    bool running;
    atomic_bool is_stopping;
    atomic_bool has_backup;                        /* one runs */
    struct session sessions[CONTROL_SESSIONS_MAX]; /* of the server's thread */
};

/* A socket's name may have 107 bytes; a directory's may have more: reach it through its
 * descriptor. */
static struct sockaddr_un address_of(int dir_fd)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/" CONTROL_FILE, dir_fd);
    return at;
}

static void say_line(int fd, const char *what, const char *text)
{
    char line[CONTROL_LINE_MAX];
    int len = snprintf(line, sizeof(line), "%s %s\n", what, text);
    if (len > 0) {
        size_t n = (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
        (void)send(fd, line, n, MSG_NOSIGNAL); /* a client that is gone hears nothing */
    }
}

/* One line without its end. False: none came in time, or it is too long. */
static bool read_line(int fd, char line[CONTROL_LINE_MAX])
{
    size_t used = 0;
    while (used < CONTROL_LINE_MAX - 1) {
        ssize_t got = recv(fd, line + used, 1, 0);
        if (got <= 0) {
            return false;
        }
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
    return false;
}

struct telling {
    int fd;
    uint64_t next_ms;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct telling *t = arg;
    uint64_t now = clock_mono_ms();
    if (now < t->next_ms) {
        return;
    }
    t->next_ms = now + PROGRESS_MS;
    char text[64];
    snprintf(text, sizeof(text), "%.0f %%", total ? 100.0 * (double)done / (double)total : 100.0);
    say_line(t->fd, "progress", text);
}

static int backup(struct control *c, int fd, const char *file, uint64_t *ret_bytes,
                  struct fail *fail)
{
    struct telling telling = {.fd = fd};
    if (file[0] != '/') {
        return fail_set(fail, E_INVALID, "backup: expected an absolute file name");
    }
    if (atomic_exchange(&c->has_backup, true)) {
        return fail_set(fail, E_CONFLICT, "a backup is being written already");
    }
    int err = backup_write(c->core, file, on_progress, &telling, ret_bytes, fail);
    atomic_store(&c->has_backup, false); /* before it is said: the next may follow at once */
    return err;
}

static void do_backup(struct control *c, int fd, const char *file)
{
    struct fail fail = {0};
    uint64_t bytes = 0;
    char text[CONTROL_LINE_MAX - 16];
    if (backup(c, fd, file, &bytes, &fail) != 0) {
        LOG_WARN("node", "event=backup_failed file=%s reason=\"%s\"", file, fail_text(&fail));
        say_line(fd, "error", fail_text(&fail));
        return;
    }
    LOG_INFO("node", "event=backup file=%s bytes=%llu", file, (unsigned long long)bytes);
    snprintf(text, sizeof(text), "%s: %llu bytes", file, (unsigned long long)bytes);
    say_line(fd, "done", text);
}

/* ---------------------------------------------------------------- cluster */

/* Every line of a text but the last as progress, the last as what. */
static void say_lines(int fd, const char *what, struct span text)
{
    char line[CONTROL_LINE_MAX - 16];
    while (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    do {
        struct span one = span_cut(&text, '\n');
        snprintf(line, sizeof(line), "%.*s", SPAN_ARG(one));
        say_line(fd, span_empty(text) ? what : "progress", line);
    } while (!span_empty(text));
}

static void on_words(void *arg, struct span text)
{
    const struct session *s = arg;
    say_lines(s->fd, "progress", text);
}

/* The node stops, or the command was interrupted. */
static bool is_left(void *arg)
{
    const struct session *s = arg;
    struct pollfd fd = {.fd = s->fd, .events = POLLRDHUP};
    return atomic_load(&s->control->is_stopping) || poll(&fd, 1, 0) > 0;
}

static bool find_kind(struct span verb, enum query_kind *ret)
{
    static const struct {
        const char *verb;
        enum query_kind kind;
    } kinds[] = {
        {"members", QUERY_MEMBERS}, {"members-json", QUERY_MEMBERS}, {"add", QUERY_ADD},
        {"remove", QUERY_REMOVE},   {"transfer", QUERY_TRANSFER},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (span_eq(verb, span_str(kinds[i].verb))) {
            *ret = kinds[i].kind;
            return true;
        }
    }
    return false;
}

static void do_cluster(struct session *s, struct span rest)
{
    struct query q = {0};
    struct fail fail = {0};
    struct buf *text = NULL;
    struct ask_listener listener = {on_words, is_left, s};
    struct span verb = span_cut(&rest, ' ');
    bool needs_address = span_eq(verb, SPAN("add")) || span_eq(verb, SPAN("remove"));
    if (!find_kind(verb, &q.kind) || rest.len > QUERY_ADDRESS_MAX ||
        (needs_address && rest.len == 0)) {
        say_line(s->fd, "error",
                 "cluster: expected members, add, remove or transfer, and for "
                 "the last three an address");
        return;
    }
    q.is_json = span_eq(verb, SPAN("members-json"));
    snprintf(q.address, sizeof(q.address), "%.*s", SPAN_ARG(rest));
    if (ask_core(s->control->core, &q, &listener, &text, &fail) != 0) {
        say_line(s->fd, "error", fail_text(&fail));
        return;
    }
    say_lines(s->fd, "done", buf_span(text));
    buf_unref(text);
}

/* ---------------------------------------------------------------- sessions */

static void serve(struct session *s)
{
    struct control *c = s->control;
    int fd = s->fd;
    char line[CONTROL_LINE_MAX];
    struct timeval idle = {.tv_sec = CONTROL_IDLE_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof(idle));
    if (!read_line(fd, line)) {
        return;
    }
    struct span rest = span_str(line);
    struct span verb = span_cut(&rest, ' ');
    if (span_eq(verb, SPAN("backup"))) {
        do_backup(c, fd, rest.data ? rest.data : "");
    } else if (span_eq(verb, SPAN("cluster"))) {
        do_cluster(s, rest);
    } else {
        say_line(fd, "error", "unknown command; this node knows: backup FILE, cluster VERB");
    }
}

static void *run_session(void *arg)
{
    struct session *s = arg;
    thread_become(THREAD_NONE, "control-cmd");
    serve(s);
    (void)close(s->fd);
    atomic_store(&s->is_over, true);
    return NULL;
}

/* A free one; threads that are over are joined. NULL: all of them run. */
static struct session *free_session(struct control *c)
{
    struct session *free = NULL;
    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++) {
        struct session *s = &c->sessions[i];
        if (s->is_used && atomic_load(&s->is_over)) {
            pthread_join(s->thread, NULL);
            s->is_used = false;
        }
        free = s->is_used ? free : s;
    }
    return free;
}

static void begin_session(struct control *c, int fd)
{
    struct session *s = free_session(c);
    if (!s) {
        say_line(fd, "error", "too many commands run at a time; try again");
        (void)close(fd);
        return;
    }
    s->control = c;
    s->fd = fd;
    atomic_store(&s->is_over, false);
    s->is_used = thread_start(&s->thread, run_session, s) == 0;
    if (!s->is_used) {
        say_line(fd, "error", "the system gives no thread for the command");
        (void)close(fd);
    }
}

static void join_sessions(struct control *c)
{
    for (size_t i = 0; i < CONTROL_SESSIONS_MAX; i++) {
        if (c->sessions[i].is_used) {
            pthread_join(c->sessions[i].thread, NULL);
        }
    }
}

static void *run(void *arg)
{
    struct control *c = arg;
    thread_become(THREAD_NONE, "control");
    for (;;) {
        struct pollfd fds[2] = {{.fd = c->listen_fd, .events = POLLIN},
                                {.fd = c->stop_pipe[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (fds[1].revents) {
            return NULL;
        }
        int fd = fds[0].revents ? accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0) {
            begin_session(c, fd);
        }
    }
}

static int listen_in(struct control *c, const char *dir, struct fail *fail)
{
    c->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->dir_fd < 0 || c->listen_fd < 0 || pipe2(c->stop_pipe, O_CLOEXEC) != 0) {
        return fail_set(fail, E_IO, "%s/" CONTROL_FILE ": %s", dir, strerror(errno));
    }
    struct sockaddr_un at = address_of(c->dir_fd);
    (void)unlinkat(c->dir_fd, CONTROL_FILE, 0); /* of a node that was killed; ours is the lock */
    if (bind(c->listen_fd, (struct sockaddr *)(void *)&at, sizeof(at)) != 0 ||
        fchmodat(c->dir_fd, CONTROL_FILE, 0600, 0) != 0 || listen(c->listen_fd, BACKLOG) != 0) {
        return fail_set(fail, E_IO, "%s/" CONTROL_FILE ": %s", dir, strerror(errno));
    }
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

int control_start(const char *dir, struct core *core, struct control **ret, struct fail *fail)
{
    struct control *c = mem_zalloc(1, sizeof(*c));
    c->core = core;
    c->dir_fd = c->listen_fd = c->stop_pipe[0] = c->stop_pipe[1] = -1;
    int err = listen_in(c, dir, fail);
    if (!err) {
        err = thread_start(&c->thread, run, c);
        if (err) {
            (void)fail_set(fail, err, "the system gives no thread for the control socket");
        }
    }
    if (err) {
        control_stop(c);
        return err;
    }
    c->running = true;
    *ret = c;
    return 0;
}

void control_stop(struct control *take_control)
{
    struct control *c = take_control;
    if (!c) {
        return;
    }
    if (c->running) {
        atomic_store(&c->is_stopping, true);
        (void)!write(c->stop_pipe[1], "x", 1);
        pthread_join(c->thread, NULL);
        join_sessions(c);
        (void)unlinkat(c->dir_fd, CONTROL_FILE, 0);
    }
    close_fd(c->listen_fd);
    close_fd(c->stop_pipe[0]);
    close_fd(c->stop_pipe[1]);
    close_fd(c->dir_fd);
    mem_free(c);
}

static int connect_to(const char *dir, int *ret_fd, struct fail *fail)
{
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return fail_set(fail, E_NOT_FOUND, "data directory %s: %s", dir, strerror(errno));
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un at = address_of(dir_fd);
    int err = 0;
    if (fd < 0 || connect(fd, (struct sockaddr *)(void *)&at, sizeof(at)) != 0) {
        err = fail_set(fail, E_NOT_FOUND,
                       "no node runs on %s (%s); start it, or give its directory with --data", dir,
                       strerror(errno));
        close_fd(fd);
        fd = -1;
    }
    (void)close(dir_fd);
    *ret_fd = fd;
    return err;
}

int control_ask(const char *dir, const char *command, FILE *say, struct fail *fail)
{
    char line[CONTROL_LINE_MAX];
    int fd = -1;
    int len = snprintf(line, sizeof(line), "%s\n", command);
    if (len < 0 || (size_t)len >= sizeof(line)) {
        return fail_set(fail, E_INVALID, "the command is longer than %d bytes", CONTROL_LINE_MAX);
    }
    int err = connect_to(dir, &fd, fail);
    if (err) {
        return err;
    }
    /* A node that takes no command says why and closes, perhaps before this: it is read below. */
    (void)send(fd, line, (size_t)len, MSG_NOSIGNAL);
    err = fail_set(fail, E_CLOSED, "the node on %s went away before it was done", dir);
    while (read_line(fd, line)) {
        struct span rest = span_str(line);
        struct span what = span_cut(&rest, ' ');
        if (span_eq(what, SPAN("error"))) {
            err = fail_set(fail, E_INVALID, "%.*s", SPAN_ARG(rest));
            break;
        }
        fprintf(say, "%.*s\n", SPAN_ARG(rest));
        (void)fflush(say); /* who waits wants to see it now, also through a pipe */
        if (span_eq(what, SPAN("done"))) {
            err = 0;
            break;
        }
    }
    (void)close(fd);
    return err;
}
