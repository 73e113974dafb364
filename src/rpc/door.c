#include "rpc/door.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "rpc/accept_guard.h"
#include "rpc/door_first.h"
#include "rpc/door_guests.h"
#include "rpc/door_listen.h"

#define EVENTS 64
#define ACCEPTS 64    /* a turn, so that guests are not forgotten */
#define PAUSE_MS 100u /* when the system can give no connection at all */
#define WATCHED (EPOLLIN | EPOLLRDHUP | EPOLLET)

struct door {
    struct door_options options;
    struct door_sockets sockets;
    int epoll_fd;
    int wake_fd;
    int spare_fd; /* given up for a moment when no descriptor is left */
    bool has_thread;
    atomic_bool is_stopping;
    pthread_t thread;
    struct door_counters counters;
    /* Guards plain, peer, members and count. Held while C-core takes a connection, which may take
     * some ten microseconds and calls nothing of ours: only so is a way, once it is replaced, given
     * nothing more (peer-security.md 7). */
    pthread_mutex_t lock;
    struct door_way *plain;
    struct door_way *peer;
    struct door_ip members[DOOR_MEMBERS_MAX];
    size_t members_count;
    /* From here on the door's thread only. */
    struct guests *guests;
    uint64_t paused_until_ms; /* 0: accepting */
    char peek[DOOR_HELLO_MAX];
};

#define NO_HTTP(length, line)                                                                      \
    "HTTP/1.1 400 Bad Request\r\nContent-Type: "                                                   \
    "text/plain;charset=UTF-8\r\nContent-Length: " length "\r\nConnection: close\r\n\r\n" line     \
    "\n"

/* What differs from port to port. */
static const struct door_words {
    const char *thread;
    const char *no_http;
} words[DOOR_PORTS] = {
    [DOOR_CLIENTS] = {"rpc-door",
                      NO_HTTP("81", "This port speaks gRPC only; HTTP is served on the main port, "
                                    "which is 1000 less.")},
    [DOOR_PEERS] = {"peer-door",
                    NO_HTTP("92", "This port is for the other nodes only; HTTP is served on the "
                                  "main port, which is 1001 less.")},
};

static void count_up(atomic_ulong *figure)
{
    atomic_fetch_add_explicit(figure, 1, memory_order_relaxed);
}

static int watch(struct door *d, int operation, int fd, uint32_t events, void *ptr)
{
    struct epoll_event event = {.events = events, .data.ptr = ptr};
    return epoll_ctl(d->epoll_fd, operation, fd, &event);
}

/* All listening sockets have the door itself as their mark. */
static int watch_sockets(struct door *d)
{
    int err = 0;
    for (size_t i = 0; i < d->sockets.count; i++) {
        err |= watch(d, EPOLL_CTL_ADD, d->sockets.fds[i], EPOLLIN, d);
    }
    return err;
}

static void fill_options(struct door_options *o)
{
    o->decide_ms = o->decide_ms ? o->decide_ms : DOOR_DECIDE_MS;
    o->guests_max = o->guests_max ? o->guests_max : DOOR_GUESTS_MAX;
    o->guests_per_ip_max = o->guests_per_ip_max ? o->guests_per_ip_max : DOOR_GUESTS_PER_IP_MAX;
}

int door_create(const struct door_options *options, struct door **ret_door, struct fail *fail)
{
    struct door *d = mem_zalloc(1, sizeof(*d));
    d->options = *options;
    fill_options(&d->options);
    ASSERT(pthread_mutex_init(&d->lock, NULL) == 0);
    const struct guests_limits limits = {
        .max = d->options.guests_max,
        .per_ip_max = d->options.guests_per_ip_max,
        .hellos = {DOOR_HELLO_MS, DOOR_HELLO_BURST},
        .hellos_all = {DOOR_HELLO_ALL_MS, DOOR_HELLO_ALL_BURST},
    };
    d->guests = guests_create(&limits);
    d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int err = 0;
    if (d->epoll_fd < 0 || d->wake_fd < 0 || d->spare_fd < 0 ||
        watch(d, EPOLL_CTL_ADD, d->wake_fd, EPOLLIN, &d->wake_fd) != 0) {
        err = fail_set(fail, E_IO, "cannot watch the gRPC port: %s", strerror(errno));
        goto out;
    }
    err = door_listen(options->bind, options->port, options->user_timeout_ms, &d->sockets, fail);
    if (!err && watch_sockets(d) != 0) {
        err = fail_set(fail, E_IO, "cannot watch the gRPC port: %s", strerror(errno));
    }
    if (!err) {
        *ret_door = d;
        d = NULL;
    }
out:
    door_destroy(d);
    return err;
}

/* Its socket is somebody else's by now, or closed. */
static void forget(struct door *d, struct guest *guest)
{
    guests_remove(d->guests, guest);
    atomic_store_explicit(&d->counters.guests, guests_count(d->guests), memory_order_relaxed);
}

/* A socket that is closed is out of epoll, too. */
static void drop(struct door *d, struct guest *guest, atomic_ulong *figure)
{
    if (guest->state == GUEST_UNDECIDED) {
        count_up(figure); /* who leaves was counted when it was told to */
    }
    (void)close(guest->fd);
    forget(d, guest);
}

/* Whether there is still somebody at the other end: C-core would log a line for each that is not.
 */
static bool is_connected(int fd)
{
    struct sockaddr_storage other = {0};
    socklen_t len = sizeof(other);
    return getpeername(fd, (struct sockaddr *)&other, &len) == 0;
}

/* Give the guest's socket to whoever *way is now. */
static void give(struct door *d, struct guest *guest, struct door_way *const *way,
                 atomic_ulong *figure)
{
    if (!is_connected(guest->fd)) {
        drop(d, guest, &d->counters.gone);
        return;
    }
    (void)watch(d, EPOLL_CTL_DEL, guest->fd, 0, NULL); /* ENOENT when it was never watched */
    ASSERT(pthread_mutex_lock(&d->lock) == 0);
    struct door_way *to = *way;
    if (to) {
        door_way_give(to, guest->listen_fd, guest->fd);
    }
    ASSERT(pthread_mutex_unlock(&d->lock) == 0);
    if (!to) {
        drop(d, guest, &d->counters.refused_ready);
        return;
    }
    count_up(figure);
    forget(d, guest);
}

static bool is_member(struct door *d, const struct door_ip *ip)
{
    bool found = false;
    ASSERT(pthread_mutex_lock(&d->lock) == 0);
    for (size_t i = 0; i < d->members_count && !found; i++) {
        found = door_ip_equal(&d->members[i], ip);
    }
    ASSERT(pthread_mutex_unlock(&d->lock) == 0);
    return found;
}

static bool has_peers(struct door *d)
{
    ASSERT(pthread_mutex_lock(&d->lock) == 0);
    bool has = d->peer != NULL;
    ASSERT(pthread_mutex_unlock(&d->lock) == 0);
    return has;
}

static void give_plain(struct door *d, struct guest *guest)
{
    if (d->options.whose == DOOR_PEERS) {
        drop(d, guest, &d->counters.alien);
        return;
    }
    give(d, guest, &d->plain, &d->counters.plain);
}

static void give_peer(struct door *d, struct guest *guest)
{
    if (!has_peers(d)) {
        drop(d, guest, &d->counters.tls);
        return;
    }
    if (!is_member(d, &guest->ip) && !guests_take_hello(d->guests, &guest->ip, clock_mono_ms())) {
        drop(d, guest, &d->counters.refused_rate);
        return;
    }
    give(d, guest, &d->peer, &d->counters.peers);
}

/* Answer, say that nothing more will come, and listen until the client has understood: closing at
 * once would reset the connection, and the answer with it. */
static void explain(struct door *d, struct guest *guest)
{
    count_up(&d->counters.http1);
    const char *why = words[d->options.whose].no_http;
    (void)send(guest->fd, why, strlen(why), MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(guest->fd, SHUT_WR);
    guests_leave(d->guests, guest, clock_mono_ms() + DOOR_LEAVE_MS);
    /* It may be watched or not; from now on whenever there is something, so that one read a turn
     * is enough. */
    if (watch(d, EPOLL_CTL_MOD, guest->fd, EPOLLIN, guest) != 0 &&
        watch(d, EPOLL_CTL_ADD, guest->fd, EPOLLIN, guest) != 0) {
        drop(d, guest, &d->counters.gone);
    }
}

static void listen_to_the_end(struct door *d, struct guest *guest)
{
    ssize_t got = recv(guest->fd, d->peek, sizeof(d->peek), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(d, guest, &d->counters.gone);
    }
}

/* Look at what has come and do what it says. ended: the client sends no more. True when it is
 * decided: guest may be gone. */
static bool look(struct door *d, struct guest *guest, bool ended)
{
    ssize_t got = recv(guest->fd, d->peek, sizeof(d->peek), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        drop(d, guest, &d->counters.gone);
        return true;
    }
    switch (door_first_look(span_of(d->peek, (size_t)got))) {
    case DOOR_FIRST_MORE:
        /* A peek never sees the end behind bytes that are not read. */
        if (ended) {
            drop(d, guest, &d->counters.gone);
        }
        return ended;
    case DOOR_FIRST_PLAIN:
        give_plain(d, guest);
        return true;
    case DOOR_FIRST_PEER:
        give_peer(d, guest);
        return true;
    case DOOR_FIRST_TLS:
        drop(d, guest, &d->counters.tls);
        return true;
    case DOOR_FIRST_HTTP1:
        explain(d, guest);
        return true;
    case DOOR_FIRST_ALIEN:
        break;
    }
    drop(d, guest, &d->counters.alien);
    return true;
}

static void arrived(struct door *d, int listen_fd, int take_fd, const struct sockaddr *address)
{
    count_up(&d->counters.accepted);
    if (take_fd >= accept_guard_limit()) {
        count_up(&d->counters.refused_files);
        accept_guard_refuse(take_fd);
        return;
    }
    struct door_ip ip = door_ip_of(address);
    struct guest *oldest = guests_in_the_way(d->guests, &ip);
    if (oldest) {
        drop(d, oldest, &d->counters.crowded);
    }
    struct guest *guest =
        guests_add(d->guests, take_fd, &ip, clock_mono_ms() + d->options.decide_ms);
    guest->listen_fd = listen_fd;
    if (look(d, guest, false)) {
        return; /* the bytes came with the connection, as they often do */
    }
    atomic_store_explicit(&d->counters.guests, guests_count(d->guests), memory_order_relaxed);
    if (watch(d, EPOLL_CTL_ADD, take_fd, WATCHED, guest) != 0) {
        drop(d, guest, &d->counters.crowded);
    }
}

/* libc's: the one that accept_guard.h puts in its place hides what happens at the limit. */
static int accept_one(int listen_fd, struct sockaddr_storage *address)
{
    socklen_t len = sizeof(*address);
    return (int)syscall(SYS_accept4, listen_fd, address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void pause_accepting(struct door *d)
{
    d->paused_until_ms = clock_mono_ms() + PAUSE_MS;
    for (size_t i = 0; i < d->sockets.count; i++) {
        (void)watch(d, EPOLL_CTL_DEL, d->sockets.fds[i], 0, NULL);
    }
}

/* No descriptor is left: use the spare one to say so. */
static void accept_without_descriptors(struct door *d, int listen_fd)
{
    if (d->spare_fd >= 0) {
        (void)close(d->spare_fd);
        struct sockaddr_storage address = {0};
        int fd = accept_one(listen_fd, &address);
        if (fd >= 0) {
            count_up(&d->counters.accepted);
            count_up(&d->counters.refused_files);
            accept_guard_refuse(fd);
        }
    }
    d->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (d->spare_fd < 0) {
        pause_accepting(d);
    }
}

/* What the next accept would say as well. */
static bool is_lasting(int error)
{
    return error == ENOBUFS || error == ENOMEM || error == EBADF || error == EINVAL ||
           error == ENOTSOCK;
}

static void accept_some(struct door *d, int listen_fd)
{
    for (int i = 0; i < ACCEPTS && d->paused_until_ms == 0; i++) {
        struct sockaddr_storage address = {0};
        int fd = accept_one(listen_fd, &address);
        if (fd >= 0) {
            arrived(d, listen_fd, fd, (const struct sockaddr *)&address);
            continue;
        }
        if (errno == EAGAIN) {
            return;
        }
        if (errno == EMFILE || errno == ENFILE) {
            accept_without_descriptors(d, listen_fd);
        } else if (is_lasting(errno)) {
            pause_accepting(d);
        }
        /* Anything else is about one connection, which is gone already. */
    }
}

static void expire(struct door *d, uint64_t now_ms)
{
    for (int state = 0; state < GUEST_STATES; state++) {
        struct guest *first = NULL;
        while ((first = guests_first(d->guests, (enum guest_state)state)) &&
               first->until_ms <= now_ms) {
            drop(d, first, &d->counters.late);
        }
    }
    if (d->paused_until_ms && d->paused_until_ms <= now_ms) {
        d->paused_until_ms = 0;
        (void)watch_sockets(d);
        if (d->spare_fd < 0) {
            d->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
    }
}

static int sleep_ms(const struct door *d, uint64_t now_ms)
{
    uint64_t until_ms = d->paused_until_ms ? d->paused_until_ms : UINT64_MAX;
    for (int state = 0; state < GUEST_STATES; state++) {
        const struct guest *first = guests_first(d->guests, (enum guest_state)state);
        if (first && first->until_ms < until_ms) {
            until_ms = first->until_ms;
        }
    }
    if (until_ms == UINT64_MAX) {
        return -1;
    }
    return until_ms <= now_ms ? 0 : (int)(until_ms - now_ms);
}

/* Guests first, each touching only itself: accepting may drop others, whose events must not follow.
 */
static void turn(struct door *d, const struct epoll_event *events, int count)
{
    bool accepting = false;
    for (int i = 0; i < count; i++) {
        void *mark = events[i].data.ptr;
        if (mark == d || mark == &d->wake_fd) {
            accepting |= mark == d;
            continue;
        }
        struct guest *guest = mark;
        if (guest->state == GUEST_LEAVING) {
            listen_to_the_end(d, guest);
        } else {
            (void)look(d, guest, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
    }
    for (size_t i = 0; accepting && i < d->sockets.count; i++) {
        accept_some(d, d->sockets.fds[i]);
    }
}

static void *door_main(void *arg)
{
    struct door *d = arg;
    thread_become(THREAD_RPC, words[d->options.whose].thread);
    struct epoll_event events[EVENTS];
    while (!atomic_load(&d->is_stopping)) {
        int count = epoll_wait(d->epoll_fd, events, EVENTS, sleep_ms(d, clock_mono_ms()));
        turn(d, events, count);
        expire(d, clock_mono_ms());
    }
    expire(d, UINT64_MAX);
    return NULL;
}

int door_start(struct door *d, struct fail *fail)
{
    ASSERT(!d->has_thread);
    if (thread_start(&d->thread, door_main, d) != 0) {
        return fail_set(fail, E_LIMIT, "cannot start the thread that accepts gRPC connections");
    }
    d->has_thread = true;
    return 0;
}

void door_stop(struct door *d)
{
    if (d->has_thread) {
        atomic_store(&d->is_stopping, true);
        uint64_t one = 1;
        ASSERT(write(d->wake_fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
        ASSERT(pthread_join(d->thread, NULL) == 0);
        d->has_thread = false;
    }
    door_listen_close(&d->sockets);
}

void door_destroy(struct door *d)
{
    if (!d) {
        return;
    }
    door_stop(d);
    int fds[] = {d->epoll_fd, d->wake_fd, d->spare_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    guests_destroy(d->guests);
    ASSERT(pthread_mutex_destroy(&d->lock) == 0);
    mem_free(d);
}

static void set_way(struct door *d, struct door_way **at, struct door_way *way)
{
    ASSERT(!way || way->handler);
    ASSERT(pthread_mutex_lock(&d->lock) == 0);
    *at = way;
    ASSERT(pthread_mutex_unlock(&d->lock) == 0);
}

void door_set_plain(struct door *d, struct door_way *way)
{
    set_way(d, &d->plain, way);
}

void door_set_peer(struct door *d, struct door_way *way)
{
    set_way(d, &d->peer, way);
}

size_t door_set_members(struct door *d, const char *const *addresses, size_t count)
{
    struct door_ip members[DOOR_MEMBERS_MAX];
    size_t taken = 0;
    for (size_t i = 0; i < count && taken < DOOR_MEMBERS_MAX; i++) {
        taken += door_ip_parse(addresses[i], &members[taken]);
    }
    ASSERT(pthread_mutex_lock(&d->lock) == 0);
    memcpy(d->members, members, taken * sizeof(members[0]));
    d->members_count = taken;
    ASSERT(pthread_mutex_unlock(&d->lock) == 0);
    return taken;
}

uint16_t door_port(const struct door *d)
{
    return d->sockets.port;
}

const struct door_counters *door_counters(const struct door *d)
{
    return &d->counters;
}
