#include "rpc/accept_guard.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

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

/* What a server says first, an empty SETTINGS, and GOAWAY: last stream 0, ENHANCE_YOUR_CALM. */
static const char goodbye[] = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                              "\x00\x00\x1c\x07\x00\x00\x00\x00\x00"
                              "\x00\x00\x00\x00\x00\x00\x00\x0b"
                              "too many connections";

/* As far as it goes without waiting. Reading first lets the words arrive: closing with unread bytes
 * resets the connection. */
void accept_guard_refuse(int take_fd)
{
    char said[512];
    (void)recv(take_fd, said, sizeof(said), MSG_DONTWAIT);
    (void)send(take_fd, goodbye, sizeof(goodbye) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)close(take_fd);
    LOG_WARN("rpc", "event=connection_refused reason=\"too many open files\" do=\"raise the limit "
                    "of open files "
                    "(LimitNOFILE, ulimit -n)\"");
}

/* The listener itself is gone, or a signal came. Whatever else accept says is about one connection,
 * or about resources that come back. */
static bool is_final(int error)
{
    return error == EBADF || error == EINVAL || error == ENOTSOCK || error == EINTR;
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
        int accepted = (int)syscall(SYS_accept4, fd, addr, addr_len, flags);
        if (thread_kind() == THREAD_HTTP || (accepted < 0 && is_final(errno))) {
            return accepted;
        }
        if (accepted < 0 && errno != EAGAIN) {
            LOG_ERROR("rpc",
                      "event=accept_failed errno=%d hint=\"if it is the limit of open files, "
                      "raise it (LimitNOFILE, ulimit -n)\"",
                      errno);
        }
        if (accepted < 0) {
            break;
        }
        if (accepted < accept_guard_limit()) {
            return accepted;
        }
        accept_guard_refuse(accepted);
    }
    errno = EAGAIN;
    return -1;
}
