#include "rpc/door_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

#define BACKLOG 65535 /* the system cuts it to its own maximum (somaxconn) */

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof(own);
    int err = getsockname(fd, (struct sockaddr *)&own, &len);
    ASSERT(err == 0); /* it is bound */
    struct sockaddr_in in4 = {0};
    struct sockaddr_in6 in6 = {0};
    memcpy(&in4, &own, sizeof(in4));
    memcpy(&in6, &own, sizeof(in6));
    return ntohs(own.ss_family == AF_INET6 ? in6.sin6_port : in4.sin_port);
}

static int prepare(int fd, const struct addrinfo *at, bool dual, uint32_t user_timeout_ms)
{
    int err = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!err && at->ai_family == AF_INET6) {
        err = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual);
    }
    if (!err) {
        err = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    if (!err && user_timeout_ms > 0) {
        err = set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout_ms);
    }
    if (!err) {
        err = bind(fd, at->ai_addr, at->ai_addrlen);
    }
    return err ? err : listen(fd, BACKLOG);
}

/* 0 and one socket more in s, or an errno. */
static int open_one(struct addrinfo *at, bool dual, uint32_t user_timeout_ms,
                    struct door_sockets *s)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    if (prepare(fd, at, dual, user_timeout_ms) != 0) {
        int err = errno;
        (void)close(fd);
        return err;
    }
    s->fds[s->count++] = fd;
    s->port = bound_port(fd);
    return 0;
}

static void set_port(struct addrinfo *at, uint16_t port)
{
    /* The port stands at the same place in both families. */
    struct sockaddr_in in4 = {0};
    memcpy(&in4, at->ai_addr, sizeof(in4));
    in4.sin_port = htons(port);
    memcpy(at->ai_addr, &in4, sizeof(in4));
}

/* Open all that bind stands for: 0 if one could be, else the last errno; -1: it stands for nothing.
 */
static int open_all(const char *bind, uint16_t port, bool dual, uint32_t user_timeout_ms,
                    struct door_sockets *s)
{
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", (unsigned)port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    if (getaddrinfo(bind, service, &hints, &list) != 0) {
        return -1;
    }
    int err = 0;
    for (struct addrinfo *at = list; at && s->count < DOOR_SOCKETS_MAX; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) {
            continue;
        }
        if (s->count > 0) {
            set_port(at, s->port); /* port 0: where the first one is */
        }
        int reason = open_one(at, dual, user_timeout_ms, s);
        err = reason ? reason : err;
    }
    freeaddrinfo(list);
    return s->count > 0 ? 0 : err;
}

int door_listen(const char *bind, uint16_t port, uint32_t user_timeout_ms, struct door_sockets *ret,
                struct fail *fail)
{
    bool any = strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
    struct door_sockets s = {0};
    int err = open_all(any ? "::" : bind, port, any, user_timeout_ms, &s);
    if (any && (err == -1 || err == EAFNOSUPPORT || err == EADDRNOTAVAIL)) {
        err = open_all("0.0.0.0", port, false, user_timeout_ms, &s); /* a host without IPv6 */
    }
    if (err) {
        return fail_set(fail, E_IO,
                        strchr(bind, ':') ? "cannot listen for gRPC on [%s]:%u: %s"
                                          : "cannot listen for gRPC on %s:%u: %s",
                        bind, (unsigned)port,
                        err == -1 ? "not an IPv4 or IPv6 address or a name that resolves"
                                  : strerror(err));
    }
    *ret = s;
    return 0;
}

void door_listen_close(struct door_sockets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        (void)close(s->fds[i]);
    }
    s->count = 0;
}
