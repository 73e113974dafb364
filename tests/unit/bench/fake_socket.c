#include "fake_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/assert.h"

int fake_listen(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    int err = bind(fd, (struct sockaddr *)&address, len);
    ASSERT(err == 0);
    err = listen(fd, 1024);
    ASSERT(err == 0);
    err = getsockname(fd, (struct sockaddr *)&address, &len);
    ASSERT(err == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}
