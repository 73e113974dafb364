#include "fake_http.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/net.h"
#include "fake_socket.h"

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void conn_drop(struct fake_http_conn *c)
{
    if (c->watch.fd <= 0) {
        return;
    }
    poller_remove(c->fake->poller, &c->watch);
    (void)close(c->watch.fd);
    c->watch.fd = 0;
    bytes_close(&c->in);
}

static void answer(struct fake_http_conn *c)
{
    struct fake_http *f = c->fake;
    f->requests++;
    bytes_clear(&f->last);
    bytes_append(&f->last, c->in.data, c->in.len);
    bool beat = memmem(c->in.data, c->in.len, "/beat", 5) != NULL;
    const char *response = f->response ? f->response : ok;
    response = beat && f->beat_response ? f->beat_response : response;
    bool post = memcmp(c->in.data, "POST", 4) == 0;
    f->posts += post;
    response = post && f->post_response ? f->post_response : response;
    bytes_clear(&c->in);
    if (!f->drops) {
        ssize_t n = send(c->watch.fd, response, strlen(response), MSG_NOSIGNAL);
        ASSERT(n == (ssize_t)strlen(response));
    }
    if (f->drops || f->closes) {
        conn_drop(c);
    }
}

/* Head and body (by Content-Length) of one request are there. */
static bool is_whole(const struct bytes *in)
{
    const char *end = memmem(in->data, in->len, "\r\n\r\n", 4);
    const char *length = memmem(in->data, in->len, "Content-Length: ", 16);
    long body = length && end && length < end ? strtol(length + 16, NULL, 10) : 0;
    return end && in->len == (size_t)(end - in->data) + 4 + (size_t)body;
}

static void conn_event(struct poll_watch *watch, uint32_t events)
{
    (void)events;
    struct fake_http_conn *c = CONTAINER_OF(watch, struct fake_http_conn, watch);
    char *scratch = poller_scratch(c->fake->poller);
    ssize_t n = recv(watch->fd, scratch, POLLER_SCRATCH_SIZE, 0);
    if (n <= 0) {
        conn_drop(c);
        return;
    }
    bytes_append(&c->in, scratch, (size_t)n);
    if (is_whole(&c->in)) {
        answer(c);
    }
}

static void accept_event(struct poll_watch *watch, uint32_t events)
{
    (void)events;
    struct fake_http *f = CONTAINER_OF(watch, struct fake_http, listen);
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct fake_http_conn *c = f->conn;
    while (c->watch.fd > 0) {
        c++;
        ASSERT(c < f->conn + FAKE_HTTP_CONNS);
    }
    c->watch = (struct poll_watch){.fd = fd, .fn = conn_event};
    c->fake = f;
    f->opened++;
    int err = poller_add(f->poller, &c->watch, EPOLLIN);
    ASSERT(err == 0);
}

void fake_http_open(struct fake_http *f, struct poller *p)
{
    struct fail fail;
    f->poller = p;
    f->listen = (struct poll_watch){.fd = fake_listen(&f->port), .fn = accept_event};
    int err = poller_add(p, &f->listen, EPOLLIN);
    ASSERT(err == 0);
    err = net_resolve("127.0.0.1", f->port, &f->address, &fail);
    ASSERT(err == 0);
}

void fake_http_close(struct fake_http *f)
{
    for (unsigned i = 0; i < FAKE_HTTP_CONNS; i++) {
        conn_drop(&f->conn[i]);
    }
    poller_remove(f->poller, &f->listen);
    (void)close(f->listen.fd);
    freeaddrinfo(f->address);
    bytes_close(&f->last);
}
