#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

static int bound_port(int fd, uint16_t *ret_port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } addr = {0};
    socklen_t len = sizeof(addr);
    if (getsockname(fd, &addr.any, &len) != 0) {
        return E_IO;
    }
    *ret_port = ntohs(addr.any.sa_family == AF_INET6 ? addr.in6.sin6_port : addr.in4.sin_port);
    return 0;
}

/* 0 with a listening socket, or an errno. */
static int open_one(const struct addrinfo *at, bool both_families, int *ret_fd)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int on = 1;
    int off = 0;
    int err = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!err && at->ai_family == AF_INET6) {
        err = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? &off : &on, sizeof(on));
    }
    if (!err) {
        err = bind(fd, at->ai_addr, at->ai_addrlen);
    }
    if (!err) {
        err = listen(fd, LISTEN_BACKLOG);
    }
    if (err) {
        err = errno;
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

/* Resolve address and open the first that it stands for; *ret_errno says why not when the result is
 * E_IO. */
static int open_at(const char *address, uint16_t port, bool both_families, int *ret_fd,
                   int *ret_errno)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    if (getaddrinfo(address, service, &hints, &list) != 0) {
        return E_INVALID;
    }
    *ret_errno = open_one(list, both_families, ret_fd);
    freeaddrinfo(list);
    return *ret_errno ? E_IO : 0;
}

int listen_open(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port,
                struct fail *fail)
{
    bool everywhere = !address || address[0] == '\0';
    int fd = -1;
    int reason = 0;
    int err = open_at(everywhere ? "::" : address, port, everywhere, &fd, &reason);
    if (everywhere && (err == E_INVALID || reason == EAFNOSUPPORT)) {
        err = open_at("0.0.0.0", port, false, &fd, &reason);
    }
    if (err == E_INVALID) {
        return fail_set(fail, err, "bind address '%.200s' is no address of this machine or name",
                        address ? address : "");
    }
    if (err) {
        return fail_set(fail, err, "cannot listen on %.200s port %u: %s",
                        everywhere ? "all addresses," : address, (unsigned)port, strerror(reason));
    }
    err = bound_port(fd, ret_port);
    ASSERT(err == 0);
    *ret_fd = fd;
    return 0;
}
