#include "rpc/accept_guard.h"

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

int accept_guard_limit(void)
{
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX) {
        return INT_MAX;
    }
    int files = (int)limit.rlim_cur;
    int reserve = files / 4 < ACCEPT_RESERVE ? files / 4 : ACCEPT_RESERVE;
    return files - reserve;
}

static void refuse(int fd)
{
    (void)close(fd);
    LOG_WARN("rpc", "event=connection_refused reason=\"too many open files\" do=\"raise the limit "
                    "of open files "
                    "(LimitNOFILE, ulimit -n)\"");
}

/* libc's, but for what happens at the limit. Descriptors are numbered from below, so a high number
 * means that few are left. By its label, because glibc declares accept4 with a type of its own. */
int accept_guarded(int fd, struct sockaddr *addr, socklen_t *addr_len,
                   int flags) __asm__("accept4");

int accept_guarded(int fd, struct sockaddr *addr, socklen_t *addr_len, int flags)
{
    socklen_t room = addr_len ? *addr_len : 0;
    for (int i = 0; i < ACCEPT_TURN; i++) {
        if (addr_len) {
            *addr_len = room;
        }
        long accepted = syscall(SYS_accept4, fd, addr, addr_len, flags);
        if (accepted < 0 && (errno == EMFILE || errno == ENFILE)) {
            LOG_ERROR("rpc", "event=accept_failed reason=\"no descriptor is left\" do=\"raise the "
                             "limit of open files "
                             "(LimitNOFILE, ulimit -n)\"");
            break;
        }
        if (accepted < 0 || accepted < accept_guard_limit()) {
            return (int)accepted;
        }
        refuse((int)accepted);
    }
    errno = EAGAIN;
    return -1;
}
