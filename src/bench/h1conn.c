#include "bench/h1conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "bench/net.h"

static void drop_socket(struct h1conn *c)
{
    if (c->state == H1CONN_CLOSED) {
        return;
    }
    poller_remove(c->poller, &c->watch);
    (void)close(c->watch.fd);
    c->state = H1CONN_CLOSED;
    c->wants_out = false;
}

static void finish(struct h1conn *c, int err, const struct fail *fail)
{
    c->busy = false;
    c->done(c->self, err, c->reply.status, bytes_span(&c->reply.body), fail);
}

/* The connection went; a request that was under way learns why. */
static void lose(struct h1conn *c, const char *text)
{
    struct fail fail;
    drop_socket(c);
    if (!c->busy) {
        return;
    }
    int err = fail_set(&fail, E_CLOSED, "connection lost: %s", text);
    finish(c, err, &fail);
}

static void write_out(struct poll_job *job)
{
    struct h1conn *c = CONTAINER_OF(job, struct h1conn, job);
    if (c->state != H1CONN_OPEN) {
        return;
    }
    while (c->sent < c->out.len) {
        ssize_t n = send(c->watch.fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            lose(c, strerror(errno));
            return;
        }
        c->sent += (size_t)n;
    }
    bool wants_out = c->sent < c->out.len;
    if (wants_out != c->wants_out) {
        c->wants_out = wants_out;
        poller_change(c->poller, &c->watch, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void take(struct h1conn *c, struct span bytes)
{
    struct fail fail;
    size_t used = 0;
    if (!c->busy) {
        lose(c, "bytes that nobody asked for");
        return;
    }
    int err = h1reply_take(&c->reply, bytes, &used, &fail);
    if (err) {
        drop_socket(c);
        finish(c, err, &fail);
        return;
    }
    if (c->reply.state != H1_DONE) {
        return;
    }
    if (c->reply.close || used < bytes.len) {
        drop_socket(c);
    }
    finish(c, 0, NULL);
}

static void read_in(struct h1conn *c)
{
    char *scratch = poller_scratch(c->poller);
    ssize_t n = recv(c->watch.fd, scratch, POLLER_SCRATCH_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        lose(c, n == 0 ? "closed by the server" : strerror(errno));
        return;
    }
    take(c, span_of(scratch, (size_t)n));
}

static void on_event(struct poll_watch *watch, uint32_t events)
{
    struct h1conn *c = CONTAINER_OF(watch, struct h1conn, watch);
    if (c->state == H1CONN_CONNECTING) {
        int error = net_connect_error(watch->fd);
        if (error) {
            lose(c, strerror(error));
            return;
        }
        c->state = H1CONN_OPEN;
        poller_change(c->poller, watch, EPOLLIN);
        poller_queue(c->poller, &c->job);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        read_in(c);
    }
    if (c->state == H1CONN_OPEN && (events & EPOLLOUT)) {
        poller_queue(c->poller, &c->job);
    }
}

void h1conn_init(struct h1conn *c, struct poller *p, const struct addrinfo *address,
                 h1conn_done_fn done, void *self)
{
    *c = (struct h1conn){.poller = p, .address = address, .done = done, .self = self};
    c->watch = (struct poll_watch){.fd = -1, .fn = on_event};
    c->job.fn = write_out;
}

void h1conn_close(struct h1conn *c)
{
    poller_dequeue(c->poller, &c->job);
    drop_socket(c);
    h1reply_close(&c->reply);
    bytes_close(&c->out);
}

static int open_socket(struct h1conn *c, struct fail *fail)
{
    int err = net_connect(c->address, &c->watch.fd, fail);
    if (err) {
        return err;
    }
    if (poller_add(c->poller, &c->watch, EPOLLOUT)) {
        (void)close(c->watch.fd);
        return fail_set(fail, E_LIMIT, "epoll refuses another socket: %s", strerror(errno));
    }
    c->state = H1CONN_CONNECTING;
    return 0;
}

int h1conn_send(struct h1conn *c, struct span request, struct fail *fail)
{
    ASSERT(!c->busy);
    if (c->state == H1CONN_CLOSED) {
        int err = open_socket(c, fail);
        if (err) {
            return err;
        }
    }
    c->busy = true;
    c->sent = 0;
    bytes_clear(&c->out);
    bytes_append(&c->out, request.data, request.len);
    h1reply_reset(&c->reply);
    if (c->state == H1CONN_OPEN) {
        poller_queue(c->poller, &c->job);
    }
    return 0;
}
