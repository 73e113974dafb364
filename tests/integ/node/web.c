#include "web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/assert.h"

#define HEAD_MAX 16384

void web_reply_close(struct web_reply *r)
{
    free(r->head);
    free(r->body);
    *r = (struct web_reply){0};
}

int web_open(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    struct timeval wait = {.tv_sec = WEB_WAIT_MS / 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool web_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

size_t web_read_all(int fd, char *dst, size_t cap, bool *ret_ended)
{
    size_t len = 0;
    ssize_t got = 1;
    while (len < cap && got > 0) {
        got = recv(fd, dst + len, cap - len, 0);
        len += got > 0 ? (size_t)got : 0;
    }
    *ret_ended = got == 0 || (got < 0 && errno != EAGAIN);
    return len;
}

/* Up to and including the empty line, byte by byte, so that nothing behind it is taken. */
static char *read_head(int fd)
{
    char *head = calloc(1, HEAD_MAX);
    for (size_t len = 0; len + 1 < HEAD_MAX && recv(fd, head + len, 1, 0) == 1; len++) {
        if (len >= 3 && memcmp(head + len - 3, "\r\n\r\n", 4) == 0) {
            return head;
        }
    }
    free(head);
    return NULL;
}

static struct web_reply read_reply(int fd, bool head_only)
{
    struct web_reply r = {.head = read_head(fd)};
    if (!r.head) {
        r.body = calloc(1, 1);
        return r;
    }
    r.status = atoi(r.head + strlen("HTTP/1.1 "));
    const char *length = strcasestr(r.head, "\r\nContent-Length:");
    size_t wanted =
        length && !head_only ? strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
    r.body = calloc(1, wanted + 1);
    while (r.body_len < wanted) {
        ssize_t got = recv(fd, r.body + r.body_len, wanted - r.body_len, 0);
        if (got <= 0) {
            break;
        }
        r.body_len += (size_t)got;
    }
    return r;
}

struct web_reply web_read(int fd)
{
    return read_reply(fd, false);
}

struct web_reply web_talk(int fd, const char *line, const char *headers, const char *body)
{
    size_t cap = strlen(line) + strlen(headers) + (body ? strlen(body) : 0) + 256;
    char *request = calloc(1, cap);
    char about[128] = "";
    if (body) {
        (void)snprintf(about, sizeof(about),
                       "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n",
                       strlen(body));
    }
    int len = snprintf(request, cap, "%s HTTP/1.1\r\nHost: nacre\r\n%s%s\r\n%s", line, headers,
                       about, body ? body : "");
    ASSERT(len > 0);
    ASSERT((size_t)len < cap);
    (void)web_send(fd, request, (size_t)len);
    free(request);
    return read_reply(fd, strncmp(line, "HEAD ", 5) == 0);
}

struct web_reply web_ask(uint16_t port, const char *line, const char *headers, const char *body)
{
    int fd = web_open(port);
    if (fd < 0) {
        return (struct web_reply){.body = calloc(1, 1)};
    }
    struct web_reply r = web_talk(fd, line, headers, body);
    (void)close(fd);
    return r;
}

static long number_of(const char *json, const char *key)
{
    const char *at = strstr(json, key);
    ASSERT(at != NULL);
    return strtol(at + strlen(key), NULL, 10);
}

struct figures figures_read(uint16_t port)
{
    struct web_reply r =
        web_ask(port, "GET /nacos/v1/ns/operator/metrics?onlyStatus=false", "", NULL);
    ASSERT(r.status == 200);
    struct figures f = {
        .services = number_of(r.body, "\"serviceCount\":"),
        .instances = number_of(r.body, "\"instanceCount\":"),
        .clients = number_of(r.body, "\"clientCount\":"),
        .subscriptions = number_of(r.body, "\"subscribeCount\":"),
    };
    web_reply_close(&r);
    return f;
}
