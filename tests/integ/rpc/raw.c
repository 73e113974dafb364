#include "raw.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define HEAD 9

int raw_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

bool raw_connect(int fd, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) == 0;
}

int raw_open(uint16_t port)
{
    int fd = raw_socket();
    if (fd >= 0 && !raw_connect(fd, port)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool raw_send(int fd, const void *bytes, size_t len)
{
    return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

bool raw_hello(int fd)
{
    static const unsigned char settings[HEAD] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    return raw_send(fd, PREFACE, strlen(PREFACE)) && raw_send(fd, settings, sizeof(settings));
}

bool raw_ping(int fd, uint64_t number)
{
    unsigned char frame[HEAD + 8] = {0, 0, 8, RAW_PING, 0, 0, 0, 0, 0};
    memcpy(frame + HEAD, &number, 8);
    return raw_send(fd, frame, sizeof(frame));
}

/* Read exactly len bytes by the deadline: 1, 0 when the time is out, -1 when closed. */
static int read_all(int fd, void *dst, size_t len, uint64_t until_ms)
{
    for (size_t at = 0; at < len;) {
        uint64_t now_ms = clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now_ms >= until_ms || poll(&p, 1, (int)(until_ms - now_ms)) <= 0) {
            return 0;
        }
        ssize_t got = recv(fd, (char *)dst + at, len - at, 0);
        if (got <= 0) {
            return -1;
        }
        at += (size_t)got;
    }
    return 1;
}

int raw_count(int fd, unsigned type, int ms)
{
    uint64_t until_ms = clock_mono_ms() + (uint64_t)ms;
    int count = 0;
    for (;;) {
        unsigned char head[HEAD];
        unsigned char body[65536];
        int got = read_all(fd, head, sizeof(head), until_ms);
        if (got <= 0) {
            return got == 0 ? count : -1;
        }
        size_t len = ((size_t)head[0] << 16) + ((size_t)head[1] << 8) + head[2];
        if (len > sizeof(body) || read_all(fd, body, len, until_ms) <= 0) {
            return -1;
        }
        count += head[3] == type;
    }
}

bool raw_closed(int fd, int ms)
{
    uint64_t until_ms = clock_mono_ms() + (uint64_t)ms;
    for (;;) {
        unsigned char byte = 0;
        int got = read_all(fd, &byte, 1, until_ms);
        if (got <= 0) {
            return got < 0;
        }
    }
}
