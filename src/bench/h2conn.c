#include "bench/h2conn.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/assert.h"
#include "base/mem.h"
#include "bench/frame.h"
#include "bench/net.h"

/* Wide windows: flow control is not what is measured, and fewer WINDOW_UPDATEs are fewer wake-ups
 * of the server. */
#define STREAM_WINDOW (1 << 20)
#define CONNECTION_WINDOW (1 << 24)
#define OUT_ENOUGH ((size_t)256 * 1024) /* bytes gathered before one send */

enum state { STATE_CONNECTING, STATE_OPEN, STATE_CLOSED };

struct h2conn {
    struct poll_watch watch;
    struct poll_job job;
    struct poller *poller;
    const struct h2conn_ops *ops;
    void *self;
    nghttp2_session *session;
    struct h2call *calls; /* outstanding */
    struct bytes out;     /* written by nghttp2, not yet by the socket */
    int32_t stream_id;    /* of the bidirectional stream; 0 = none */
    struct bytes stream_out;
    struct bytes stream_in;
    struct h2call stream; /* statuses of the bidirectional stream; its request is unused */
    enum state state;
    bool wants_out; /* EPOLLOUT is set */
    bool failed;    /* found inside a callback of nghttp2; acted on after it returned */
    struct fail why;
};

static void finish_call(struct h2conn *c, struct h2call *call)
{
    DL_DELETE(c->calls, call);
    call->done(call);
}

static void conn_close(struct h2conn *c, int err, const char *text)
{
    if (c->state == STATE_CLOSED) {
        return;
    }
    if (!c->failed) {
        (void)fail_set(&c->why, err, "connection lost: %s", text);
    }
    c->state = STATE_CLOSED;
    poller_remove(c->poller, &c->watch);
    (void)close(c->watch.fd);
    c->watch.fd = -1;
    /* Not a loop over c->calls itself: done may try to start a call, which is refused from now on.
     */
    while (c->calls) {
        c->calls->lost = &c->why;
        finish_call(c, c->calls);
    }
    if (c->ops->on_closed) {
        c->ops->on_closed(c->self, &c->why);
    }
}

/* Inside a callback of nghttp2 the connection cannot be closed yet: the reason is kept. */
static void conn_doom(struct h2conn *c, int err, const char *text)
{
    if (!c->failed) {
        c->failed = true;
        (void)fail_set(&c->why, err, "connection lost: %s", text);
    }
}

static void queue_write(struct h2conn *c)
{
    if (c->state == STATE_OPEN) {
        poller_queue(c->poller, &c->job);
    }
}

/* Hand the gathered bytes to the socket. False when the connection went. */
static bool write_out(struct h2conn *c)
{
    while (c->out.len > 0) {
        ssize_t n = send(c->watch.fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n < 0) {
            conn_close(c, E_CLOSED, strerror(errno));
            return false;
        }
        bytes_drop(&c->out, (size_t)n);
    }
    bool wants_out = c->out.len > 0;
    if (wants_out != c->wants_out) {
        c->wants_out = wants_out;
        poller_change(c->poller, &c->watch, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    return true;
}

/* The end of a turn: all frames of this connection in as few sends as possible. */
static void conn_write(struct poll_job *job)
{
    struct h2conn *c = CONTAINER_OF(job, struct h2conn, job);
    if (c->state != STATE_OPEN) {
        return;
    }
    for (;;) {
        const uint8_t *data = NULL;
        ssize_t n = 0;
        while (c->out.len < OUT_ENOUGH && (n = nghttp2_session_mem_send(c->session, &data)) > 0) {
            bytes_append(&c->out, data, (size_t)n);
        }
        if (n < 0) {
            conn_close(c, E_INTERNAL, nghttp2_strerror((int)n));
            return;
        }
        if (c->out.len == 0 || !write_out(c) || c->out.len > 0) {
            return;
        }
    }
}

static void conn_read(struct h2conn *c)
{
    char *scratch = poller_scratch(c->poller);
    ssize_t n = recv(c->watch.fd, scratch, POLLER_SCRATCH_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        conn_close(c, E_CLOSED, n == 0 ? "closed by the server" : strerror(errno));
        return;
    }
    ssize_t used = nghttp2_session_mem_recv(c->session, (const uint8_t *)scratch, (size_t)n);
    if (used < 0) {
        conn_close(c, E_PARSE, nghttp2_strerror((int)used));
        return;
    }
    if (c->failed) {
        conn_close(c, E_CLOSED, "");
        return;
    }
    if (nghttp2_session_want_write(c->session)) {
        queue_write(c);
    }
}

static int h2_open(struct h2conn *c);

static void conn_event(struct poll_watch *watch, uint32_t events)
{
    struct h2conn *c = CONTAINER_OF(watch, struct h2conn, watch);
    if (c->state == STATE_CONNECTING) {
        int error = net_connect_error(watch->fd);
        if (error) {
            conn_close(c, E_CLOSED, strerror(error));
            return;
        }
        poller_change(c->poller, watch, EPOLLIN);
        c->state = STATE_OPEN;
        if (h2_open(c)) {
            conn_close(c, E_INTERNAL, "nghttp2 refused a session");
            return;
        }
        queue_write(c);
        if (c->ops->on_open) {
            c->ops->on_open(c->self);
        }
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        conn_read(c);
    }
    if (c->state == STATE_OPEN && (events & EPOLLOUT)) {
        queue_write(c);
    }
}

/* The call that a stream belongs to; the bidirectional stream has one of its own for its statuses.
 */
static struct h2call *call_of(struct h2conn *c, int32_t stream_id)
{
    return stream_id == c->stream_id ? &c->stream
                                     : nghttp2_session_get_stream_user_data(c->session, stream_id);
}

static int small_int(const uint8_t *value, size_t len)
{
    long long n = 0;
    return span_int(span_of((const char *)value, len), &n) && n >= 0 && n < 1000 ? (int)n : 999;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)session;
    (void)flags;
    struct h2conn *c = user;
    struct span key = span_of((const char *)name, name_len);
    struct h2call *call = call_of(c, frame->hd.stream_id);
    if (!call) {
        return 0;
    }
    if (span_eq(key, SPAN(":status"))) {
        call->http_status = small_int(value, value_len);
    } else if (span_eq(key, SPAN("grpc-status"))) {
        call->grpc_status = small_int(value, value_len);
    } else if (span_eq(key, SPAN("grpc-message"))) {
        (void)snprintf(call->grpc_message, sizeof(call->grpc_message), "%.*s", (int)value_len,
                       (const char *)value);
    }
    return 0;
}

/* Length of the first frame in bytes that have at least a prefix. */
static size_t frame_len(struct span bytes)
{
    const uint8_t *p = (const uint8_t *)bytes.data;
    return FRAME_PREFIX +
           ((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | (size_t)p[4]);
}

static void stream_bytes(struct h2conn *c, const uint8_t *data, size_t len)
{
    bytes_append(&c->stream_in, data, len);
    struct span rest = bytes_span(&c->stream_in);
    while (rest.len >= FRAME_PREFIX && !c->failed) {
        size_t whole = frame_len(rest);
        if (whole > H2CONN_MESSAGE_MAX) {
            conn_doom(c, E_TOO_LARGE, "a message over the limit on the stream");
            break;
        }
        if (rest.len < whole) {
            break;
        }
        struct span message = {0};
        struct fail fail;
        if (frame_message(span_of(rest.data, whole), &message, &fail)) {
            conn_doom(c, E_PARSE, fail_text(&fail));
            break;
        }
        if (c->ops->on_message) {
            c->ops->on_message(c->self, message);
        }
        rest = span_of(rest.data + whole, rest.len - whole);
    }
    bytes_drop(&c->stream_in, c->stream_in.len - rest.len);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    (void)session;
    (void)flags;
    struct h2conn *c = user;
    if (stream_id == c->stream_id) {
        stream_bytes(c, data, len);
        return 0;
    }
    struct h2call *call = call_of(c, stream_id);
    if (!call) {
        return 0;
    }
    if (call->reply.len + len > H2CONN_MESSAGE_MAX) {
        conn_doom(c, E_TOO_LARGE, "a reply over the limit");
        return 0;
    }
    bytes_append(&call->reply, data, len);
    return 0;
}

static void stream_ended(struct h2conn *c, uint32_t error_code)
{
    char text[200];
    (void)snprintf(text, sizeof(text),
                   "the server ended the stream (HTTP/2 code %u, grpc-status %d %s)", error_code,
                   c->stream.grpc_status, c->stream.grpc_message);
    conn_doom(c, E_CLOSED, text);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                           void *user)
{
    (void)session;
    struct h2conn *c = user;
    if (stream_id == c->stream_id) {
        stream_ended(c, error_code);
        return 0;
    }
    struct h2call *call = call_of(c, stream_id);
    if (call) {
        call->reset_code = error_code;
        finish_call(c, call);
    }
    return 0;
}

/* The server's end of the stream is the end of it, whether or not ours was closed. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct h2conn *c = user;
    bool has_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (has_end && frame->hd.stream_id == c->stream_id &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        stream_ended(c, 0);
    }
    return 0;
}

static int h2_open(struct h2conn *c)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks)) {
        return E_INTERNAL;
    }
    int err = nghttp2_option_new(&option);
    if (err) {
        nghttp2_session_callbacks_del(callbacks);
        return E_INTERNAL;
    }
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    err = nghttp2_session_client_new2(&c->session, callbacks, c, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (err) {
        return E_INTERNAL;
    }
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW}};
    err = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    if (!err) {
        err = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                                    CONNECTION_WINDOW);
    }
    return err ? E_INTERNAL : 0;
}

int h2conn_create(struct poller *p, const struct addrinfo *address, const struct h2conn_ops *ops,
                  void *self, struct h2conn **ret, struct fail *fail)
{
    int fd = -1;
    int err = net_connect(address, &fd, fail);
    if (err) {
        return err;
    }
    struct h2conn *c = mem_zalloc(1, sizeof(*c));
    c->watch = (struct poll_watch){.fd = fd, .fn = conn_event};
    c->job.fn = conn_write;
    c->poller = p;
    c->ops = ops;
    c->self = self;
    c->stream.grpc_status = -1;
    if (poller_add(p, &c->watch, EPOLLOUT)) {
        (void)close(fd);
        mem_free(c);
        return fail_set(fail, E_LIMIT, "epoll refuses another socket: %s", strerror(errno));
    }
    *ret = c;
    return 0;
}

void h2conn_destroy(struct h2conn *c)
{
    if (!c) {
        return;
    }
    poller_dequeue(c->poller, &c->job);
    if (c->state != STATE_CLOSED) {
        poller_remove(c->poller, &c->watch);
        (void)close(c->watch.fd);
    }
    nghttp2_session_del(c->session);
    bytes_close(&c->out);
    bytes_close(&c->stream_out);
    bytes_close(&c->stream_in);
    mem_free(c);
}

#define HEADER(name, value)                                                                        \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,                \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }
#define HEADERS(path)                                                                              \
    {                                                                                              \
        HEADER(":method", "POST"), HEADER(":scheme", "http"), HEADER(":path", path),               \
            HEADER(":authority", "nacos"), HEADER("content-type", "application/grpc"),             \
            HEADER("te", "trailers"), HEADER("user-agent", "nacre-bench")                          \
    }

/* NOLINTNEXTLINE(readability-function-size): the parameters are nghttp2's. */
static ssize_t read_request(nghttp2_session *session, int32_t stream_id, uint8_t *dst, size_t size,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)stream_id;
    (void)user;
    struct h2call *call = source->ptr;
    size_t left = call->request.len - call->sent;
    size_t len = left < size ? left : size;
    memcpy(dst, call->request.data + call->sent, len);
    call->sent += len;
    if (len == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

int h2conn_call(struct h2conn *c, struct h2call *call)
{
    static const nghttp2_nv headers[] = HEADERS("/Request/request");
    if (c->state != STATE_OPEN || c->failed) {
        return E_CLOSED;
    }
    call->sent = 0;
    call->http_status = 0;
    call->grpc_status = -1;
    call->reset_code = 0;
    call->grpc_message[0] = '\0';
    call->lost = NULL;
    bytes_clear(&call->reply);
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_request};
    int32_t id = nghttp2_submit_request(c->session, NULL, headers, ARRAY_LEN(headers), &body, call);
    if (id < 0) {
        return E_CLOSED;
    }
    DL_APPEND(c->calls, call);
    queue_write(c);
    return 0;
}

/* The parameters are nghttp2's.
 * NOLINTBEGIN(readability-function-size,readability-non-const-parameter) */
static ssize_t read_stream(nghttp2_session *session, int32_t stream_id, uint8_t *dst, size_t size,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)stream_id;
    (void)flags;
    (void)user;
    struct h2conn *c = source->ptr;
    size_t len = c->stream_out.len < size ? c->stream_out.len : size;
    if (len == 0) {
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(dst, c->stream_out.data, len);
    bytes_drop(&c->stream_out, len);
    return (ssize_t)len;
}
/* NOLINTEND(readability-function-size,readability-non-const-parameter) */

int h2conn_open_stream(struct h2conn *c)
{
    static const nghttp2_nv headers[] = HEADERS("/BiRequestStream/requestBiStream");
    ASSERT(c->stream_id == 0);
    if (c->state != STATE_OPEN || c->failed) {
        return E_CLOSED;
    }
    nghttp2_data_provider body = {.source.ptr = c, .read_callback = read_stream};
    int32_t id = nghttp2_submit_request(c->session, NULL, headers, ARRAY_LEN(headers), &body, NULL);
    if (id < 0) {
        return E_CLOSED;
    }
    c->stream_id = id;
    queue_write(c);
    return 0;
}

void h2conn_send(struct h2conn *c, struct span frame)
{
    if (c->state != STATE_OPEN || c->failed) {
        return;
    }
    ASSERT(c->stream_id != 0);
    bytes_append(&c->stream_out, frame.data, frame.len);
    /* An error means only that nothing was deferred: the frame goes out with what is already due.
     */
    (void)nghttp2_session_resume_data(c->session, c->stream_id);
    queue_write(c);
}

int h2call_reply(const struct h2call *call, struct span *ret_message, struct fail *fail)
{
    if (call->lost) {
        return fail_set(fail, E_CLOSED, "%s", fail_text(call->lost));
    }
    if (call->reset_code != 0) {
        return fail_set(fail, E_IO, "stream reset, HTTP/2 error code %u", call->reset_code);
    }
    if (call->http_status != 200) {
        return fail_set(fail, E_IO, "HTTP status %d", call->http_status);
    }
    if (call->grpc_status < 0) {
        return fail_set(fail, E_IO, "no grpc-status");
    }
    if (call->grpc_status > 0) {
        return fail_set(fail, E_IO, "gRPC status %d: %s", call->grpc_status, call->grpc_message);
    }
    return frame_message(bytes_span(&call->reply), ret_message, fail);
}

void h2call_close(struct h2call *call)
{
    bytes_close(&call->reply);
}
