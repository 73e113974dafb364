#include "http/front.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "http/head.h"
#include "http/listen.h"

#include <utlist.h>

#define FRONT_EVENTS 64
#define FRONT_ACCEPTS 64    /* per turn, so that waiting connections are not forgotten */
#define FRONT_PAUSE_MS 100u /* when the system can give no connection at all */

/* A connection whose first head has not come completely. */
struct waiting {
    int fd;
    struct sockaddr_storage addr;
    uint64_t until_ms;
    struct waiting *prev;
    struct waiting *next;
};

struct front {
    struct front_options options;
    int listen_fd;
    int epoll_fd;
    int wake_fd;
    int reserve_fd; /* given up for a moment to refuse a connection when there are no descriptors
                       left */
    uint16_t port;
    bool started;
    atomic_bool stopping;
    pthread_t thread;
    /* From here on the front's thread only. */
    struct waiting *waiting;  /* oldest first */
    uint64_t paused_until_ms; /* 0: accepting */
    char peek[HEAD_SMALL_MAX + 1];
};

#define TEXT_ANSWER(status, len, text)                                                             \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: " len        \
    "\r\nConnection: close\r\n\r\n" text
static const char too_many[] =
    TEXT_ANSWER("503 Service Unavailable", "21", "too many connections\n");
static const char no_http[] =
    TEXT_ANSWER("400 Bad Request", "32", "this port speaks plain HTTP/1.1\n");

static int watch(struct front *f, int fd, uint32_t events, void *ptr)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    return epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int front_create(const struct front_options *options, struct front **ret_front, struct fail *fail)
{
    ASSERT(options->gate != NULL);
    ASSERT(options->hand_over != NULL);
    struct front *f = mem_zalloc(1, sizeof(*f));
    f->options = *options;
    f->listen_fd = f->epoll_fd = f->wake_fd = f->reserve_fd = -1;
    int err = listen_open(options->bind, options->port, &f->listen_fd, &f->port, fail);
    if (err) {
        goto out;
    }
    f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (f->epoll_fd < 0 || f->wake_fd < 0 || f->reserve_fd < 0 ||
        watch(f, f->listen_fd, EPOLLIN, &f->listen_fd) != 0 ||
        watch(f, f->wake_fd, EPOLLIN, &f->wake_fd) != 0) {
        err = fail_set(fail, E_IO, "cannot watch the HTTP port: %s", strerror(errno));
        goto out;
    }
    *ret_front = f;
    f = NULL;
out:
    front_destroy(f);
    return err;
}

/* Tell the client why and close, as far as that goes without waiting for it. Reading first what it
 * sent lets the text arrive: closing with unread bytes would reset the connection. */
static void refuse(struct front *f, int take_fd, struct span answer)
{
    atomic_fetch_add(f->options.refused, 1);
    ssize_t got = recv(take_fd, f->peek, sizeof(f->peek), MSG_DONTWAIT);
    if (got != 0) {
        (void)send(take_fd, answer.data, answer.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    close(take_fd);
}

/* Stop waiting for w: its socket is closed or somebody else's by now. */
static void forget(struct front *f, struct waiting *w)
{
    DL_DELETE(f->waiting, w);
    mem_free(w);
}

/* A socket that is closed is out of epoll, too. */
static void count_out(struct front *f, struct waiting *w)
{
    gate_leave(f->options.gate, (const struct sockaddr *)&w->addr);
    forget(f, w);
}

static void drop(struct front *f, struct waiting *w)
{
    close(w->fd);
    count_out(f, w);
}

/* Peek at a connection and do what its first bytes say. ended: the client sends no more. True when
 * there is nothing more to wait for: w is gone. */
static bool look(struct front *f, struct waiting *w, bool ended)
{
    ssize_t got = recv(w->fd, f->peek, sizeof(f->peek), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        drop(f, w);
        return true;
    }
    enum head_kind kind = head_look(span_of(f->peek, (size_t)got));
    if (kind == HEAD_MORE && !ended) {
        return false;
    }
    if (kind == HEAD_MORE) {
        drop(f, w);
        return true;
    }
    if (kind == HEAD_ALIEN) {
        refuse(f, w->fd, span_of(no_http, sizeof(no_http) - 1));
        count_out(f, w);
        return true;
    }
    epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL); /* ENOENT when it was never watched */
    f->options.hand_over(f->options.self, w->fd, (const struct sockaddr *)&w->addr,
                         kind == HEAD_LARGE);
    forget(f, w);
    return true;
}

/* The connection that has been silent longest, of any address or of ip only. */
static struct waiting *silent(struct front *f, const struct sockaddr *ip)
{
    struct waiting *w = NULL;
    DL_FOREACH(f->waiting, w)
    {
        if (!ip || gate_same_ip((const struct sockaddr *)&w->addr, ip)) {
            return w;
        }
    }
    return NULL;
}

/* Let a connection in, at the price of a silent one when a limit is reached. */
static bool enter(struct front *f, const struct sockaddr *addr)
{
    enum gate_answer answer = gate_enter(f->options.gate, addr);
    if (answer == GATE_OPEN) {
        return true;
    }
    struct waiting *oldest = silent(f, answer == GATE_FULL ? NULL : addr);
    if (!oldest) {
        LOG_WARN("http", "event=refused reason=%s",
                 answer == GATE_FULL ? "connections" : "connections-of-address");
        return false;
    }
    atomic_fetch_add(f->options.refused, 1);
    drop(f, oldest);
    return gate_enter(f->options.gate, addr) == GATE_OPEN;
}

static void arrived(struct front *f, int take_fd, const struct sockaddr_storage *addr)
{
    if (!enter(f, (const struct sockaddr *)addr)) {
        refuse(f, take_fd, span_of(too_many, sizeof(too_many) - 1));
        return;
    }
    struct waiting *w = mem_zalloc(1, sizeof(*w));
    w->fd = take_fd;
    w->addr = *addr;
    w->until_ms = clock_mono_ms() + f->options.wait_ms;
    DL_APPEND(f->waiting, w);
    if (look(f, w, false)) {
        return; /* the request came with the connection, as it mostly does */
    }
    if (watch(f, w->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, w) != 0) {
        drop(f, w);
    }
}

static void pause_accepting(struct front *f)
{
    f->paused_until_ms = clock_mono_ms() + FRONT_PAUSE_MS;
    epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, f->listen_fd, NULL);
}

/* No descriptor is left: use the reserve to say so. */
static void accept_without_descriptors(struct front *f)
{
    LOG_ERROR("http",
              "event=refused reason=file-descriptors hint=\"raise the limit of open files\"");
    if (f->reserve_fd >= 0) {
        close(f->reserve_fd);
        int fd = accept4(f->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            refuse(f, fd, span_of(too_many, sizeof(too_many) - 1));
        }
    }
    f->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (f->reserve_fd < 0) {
        pause_accepting(f);
    }
}

static void accept_some(struct front *f)
{
    for (int i = 0; i < FRONT_ACCEPTS; i++) {
        struct sockaddr_storage addr = {0};
        socklen_t len = sizeof(addr);
        int fd =
            accept4(f->listen_fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            arrived(f, fd, &addr);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE) {
            accept_without_descriptors(f);
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(f);
        }
        if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void expire(struct front *f, uint64_t now_ms)
{
    while (f->waiting && f->waiting->until_ms <= now_ms) {
        drop(f, f->waiting);
    }
    if (f->paused_until_ms && f->paused_until_ms <= now_ms) {
        f->paused_until_ms = 0;
        (void)watch(f, f->listen_fd, EPOLLIN, &f->listen_fd);
    }
}

static int sleep_ms(const struct front *f, uint64_t now_ms)
{
    uint64_t until_ms = UINT64_MAX;
    if (f->waiting) {
        until_ms = f->waiting->until_ms;
    }
    if (f->paused_until_ms && f->paused_until_ms < until_ms) {
        until_ms = f->paused_until_ms;
    }
    if (until_ms == UINT64_MAX) {
        return -1;
    }
    return until_ms <= now_ms ? 0 : (int)(until_ms - now_ms);
}

static void *front_main(void *arg)
{
    struct front *f = arg;
    thread_become(THREAD_HTTP, "http-accept");
    struct epoll_event events[FRONT_EVENTS];
    while (!atomic_load(&f->stopping)) {
        int count = epoll_wait(f->epoll_fd, events, FRONT_EVENTS, sleep_ms(f, clock_mono_ms()));
        bool accepting = false;
        /* Waiting connections first, each only touching itself: accepting may drop others, whose
         * events must not follow. */
        for (int i = 0; i < count; i++) {
            void *ptr = events[i].data.ptr;
            if (ptr == &f->listen_fd) {
                accepting = true;
            } else if (ptr != &f->wake_fd) {
                (void)look(f, ptr, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
            }
        }
        if (accepting) {
            accept_some(f);
        }
        expire(f, clock_mono_ms());
    }
    while (f->waiting) {
        drop(f, f->waiting);
    }
    return NULL;
}

int front_start(struct front *f, struct fail *fail)
{
    ASSERT(!f->started);
    if (thread_start(&f->thread, front_main, f) != 0) {
        return fail_set(fail, E_LIMIT, "cannot start the thread that accepts HTTP connections");
    }
    f->started = true;
    return 0;
}

void front_stop(struct front *f)
{
    if (f->started) {
        atomic_store(&f->stopping, true);
        uint64_t one = 1;
        ssize_t written = write(f->wake_fd, &one, sizeof(one));
        ASSERT(written == (ssize_t)sizeof(one));
        pthread_join(f->thread, NULL);
        f->started = false;
    }
    if (f->listen_fd >= 0) {
        close(f->listen_fd);
        f->listen_fd = -1;
    }
}

void front_destroy(struct front *f)
{
    if (!f) {
        return;
    }
    front_stop(f);
    int fds[] = {f->epoll_fd, f->wake_fd, f->reserve_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    mem_free(f);
}

uint16_t front_port(const struct front *f)
{
    return f->port;
}
