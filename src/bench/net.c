#include "bench/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define OTHER_DESCRIPTORS 32 /* what the process has open besides */

int net_resolve(const char *host, unsigned port, struct addrinfo **ret, struct fail *fail)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    (void)snprintf(service, sizeof(service), "%u", port & 0xFFFF);
    int err = getaddrinfo(host, service, &hints, ret);
    if (err) {
        return fail_set(fail, E_NOT_FOUND, "--server %s: %s", host, gai_strerror(err));
    }
    return 0;
}

int net_connect(const struct addrinfo *address, int *ret_fd, struct fail *fail)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail_set(fail, E_LIMIT, "socket: %s", strerror(errno));
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS) {
        int error = errno;
        (void)close(fd);
        return fail_set(fail, E_IO, "connect: %s", strerror(error));
    }
    *ret_fd = fd;
    return 0;
}

int net_connect_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
        return errno;
    }
    return error;
}

int net_allow_sockets(unsigned wanted, struct fail *fail)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return fail_set(fail, E_LIMIT, "getrlimit: %s", strerror(errno));
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < (rlim_t)wanted + OTHER_DESCRIPTORS) {
        return fail_set(fail, E_LIMIT,
                        "%u connections need %u open files, the hard limit is %llu (ulimit -Hn)",
                        wanted, wanted + OTHER_DESCRIPTORS, (unsigned long long)limit.rlim_max);
    }
    return 0;
}
