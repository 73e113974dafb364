#include "http/http.h"

#include <microhttpd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "http/edge.h"
#include "http/head.h"
#include "http/request.h"

/* libmicrohttpd clears a connection's whole buffer after every request: at 32 KiB that is 1 us, at
 * 1 MiB 80 us and as much resident memory (measured). */
#define SMALL_BUFFER ((size_t)2 * HEAD_SMALL_MAX)
#define LARGE_BUFFER ((size_t)2 * HTTP_URL_MAX)
#define LARGE_OPEN_MAX 64   /* connections with a large head at a time */
#define HEAD_WAIT_MS 20000u /* for a connection's first complete head */
#define FLUSH_MS 200u       /* of the grace: for abandoned requests to get their 503 */

/* The thread names itself when it meets its first connection: libmicrohttpd tells of its threads
 * nowhere earlier. */
static void name_thread(struct http *h)
{
    if (thread_kind() != THREAD_NONE) {
        return;
    }
    char name[16];
    snprintf(name, sizeof(name), "http-%u", atomic_fetch_add(&h->threads_named, 1));
    thread_become(THREAD_HTTP, name);
}

static const struct sockaddr *address_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info->client_addr;
}

static void visit_fill(struct visit *v, const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, addr, sizeof(in4));
        inet_ntop(AF_INET, &in4.sin_addr, v->ip, sizeof(v->ip));
        v->port = ntohs(in4.sin_port);
        return;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, addr, sizeof(in6));
    v->port = ntohs(in6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
        inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, v->ip, sizeof(v->ip));
        return;
    }
    inet_ntop(AF_INET6, &in6.sin6_addr, v->ip, sizeof(v->ip));
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct lane *lane = cls;
    struct http *h = lane->http;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        name_thread(h);
        struct visit *v = mem_zalloc(1, sizeof(*v));
        visit_fill(v, address_of(connection));
        *context = v;
        return;
    }
    mem_free(*context);
    *context = NULL;
    gate_leave(h->gate, address_of(connection));
    atomic_fetch_sub(&lane->open, 1);
    atomic_fetch_sub(&h->counters.open, 1);
}

/* request_begin has its own copy of the URI; decoding it here as well would be for nobody. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

/* The front gives a connection that has begun to speak. */
static void take_connection(void *self, int take_fd, const struct sockaddr *addr, bool large_head)
{
    struct http *h = self;
    struct lane *lane = large_head ? &h->large : &h->small;
    socklen_t len =
        addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (large_head && atomic_load(&lane->open) >= LARGE_OPEN_MAX) {
        close(take_fd);
        gate_leave(h->gate, addr);
        atomic_fetch_add(&h->counters.refused, 1);
        return;
    }
    atomic_fetch_add(&lane->open, 1);
    atomic_fetch_add(&h->counters.open, 1);
    if (MHD_add_connection(lane->daemon, take_fd, addr, len) != MHD_YES) {
        gate_leave(h->gate, addr);
        atomic_fetch_sub(&lane->open, 1);
        atomic_fetch_sub(&h->counters.open, 1);
        atomic_fetch_add(&h->counters.refused, 1);
    }
}

int http_create(const struct http_options *options, struct http **ret_http, struct fail *fail)
{
    ASSERT(options->core.post != NULL);
    ASSERT(options->ready != NULL);
    struct http *h = mem_zalloc(1, sizeof(*h));
    h->options = *options;
    h->context = span_str(options->context_path);
    if (span_eq(h->context, SPAN("/"))) {
        h->context = SPAN("");
    }
    h->small = (struct lane){.http = h};
    h->large = (struct lane){.http = h, .one_shot = true};
    h->routes = routes_create(options->features, options->features_count);
    h->gate = gate_create(options->connections_max, options->connections_per_ip_max);
    ASSERT(pthread_mutex_init(&h->lock, NULL) == 0);
    pthread_condattr_t attr;
    ASSERT(pthread_condattr_init(&attr) == 0);
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&h->quiet, &attr) == 0);
    pthread_condattr_destroy(&attr);
    struct front_options front = {
        .bind = options->bind,
        .port = options->port,
        .gate = h->gate,
        .wait_ms =
            options->idle_timeout_ms < HEAD_WAIT_MS ? options->idle_timeout_ms : HEAD_WAIT_MS,
        .refused = &h->counters.refused,
        .hand_over = take_connection,
        .self = h,
    };
    int err = front_create(&front, &h->front, fail);
    if (err) {
        http_destroy(h);
        return err;
    }
    *ret_http = h;
    return 0;
}

/* threads: 0 = one thread without a pool. */
static struct MHD_Daemon *lane_start(struct lane *lane, unsigned threads, size_t buffer)
{
    const struct http_options *options = &lane->http->options;
    /* The gate keeps the limit; libmicrohttpd's own is only there not to be in the way, also while
     * closed connections are not yet cleaned up. */
    unsigned connections_max = 2 * options->connections_max + 64;
    unsigned timeout_s = (options->idle_timeout_ms + 999) / 1000;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, request_handle, lane,        /* then options */
                            MHD_OPTION_ARRAY, threads ? pool : pool + 1,       /* */
                            MHD_OPTION_CONNECTION_LIMIT, connections_max,      /* */
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, buffer,        /* */
                            MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,          /* */
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, lane, /* */
                            MHD_OPTION_NOTIFY_COMPLETED, request_end, lane,    /* */
                            MHD_OPTION_URI_LOG_CALLBACK, request_begin, lane,  /* */
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, lane, /* */
                            MHD_OPTION_END);
}

static void lane_stop(struct lane *lane)
{
    if (lane->daemon) {
        MHD_stop_daemon(lane->daemon);
        lane->daemon = NULL;
    }
}

int http_start(struct http *h, struct fail *fail)
{
    /* Signals are main's (style.md 3): libmicrohttpd's threads inherit a full mask. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    h->small.daemon = lane_start(&h->small, HTTP_THREADS, SMALL_BUFFER);
    h->large.daemon = lane_start(&h->large, 0, LARGE_BUFFER);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    int err = 0;
    if (!h->small.daemon || !h->large.daemon) {
        err = fail_set(fail, E_LIMIT, "cannot start the HTTP threads");
    } else {
        err = front_start(h->front, fail);
    }
    if (err) {
        lane_stop(&h->small);
        lane_stop(&h->large);
    }
    return err;
}

uint16_t http_port(const struct http *h)
{
    return front_port(h->front);
}

/* Wait until no request is under way, at most until the deadline. */
static void wait_quiet(struct http *h, uint64_t until_ms)
{
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };
    pthread_mutex_lock(&h->lock);
    int err = 0;
    while (h->active > 0 && err == 0) {
        err = pthread_cond_timedwait(&h->quiet, &h->lock, &until);
    }
    pthread_mutex_unlock(&h->lock);
}

void http_stop(struct http *h, uint32_t grace_ms)
{
    uint32_t flush_ms = grace_ms / 2 < FLUSH_MS ? grace_ms / 2 : FLUSH_MS;
    uint64_t end_ms = clock_mono_ms() + grace_ms;
    front_stop(h->front);
    atomic_store(&h->stopping, true);
    wait_quiet(h, end_ms - flush_ms);
    request_abandon_running(h);
    wait_quiet(h, end_ms);
    lane_stop(&h->small);
    lane_stop(&h->large);
}

void http_destroy(struct http *h)
{
    if (!h) {
        return;
    }
    ASSERT(!h->small.daemon && !h->large.daemon);
    front_destroy(h->front);
    gate_destroy(h->gate);
    routes_destroy(h->routes);
    pthread_cond_destroy(&h->quiet);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}

const struct http_counters *http_counters(const struct http *h)
{
    return &h->counters;
}
