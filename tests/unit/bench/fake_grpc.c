#include "fake_grpc.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "bench/messages.h"
#include "bench/net.h"
#include "fake_socket.h"

#define TURN_NS UINT64_C(5000000000)

/* One HTTP/2 stream: a unary call or the bidirectional stream. */
struct fake_stream {
    int32_t id;
    bool bidi;
    bool ended; /* the status follows what is in out */
    int status;
    struct bytes in;
    struct bytes out;
    struct fake_stream *next;
};

struct fake_conn {
    struct poll_watch watch;
    struct poll_job job;
    struct fake_grpc *fake;
    nghttp2_session *session;
    struct fake_stream *streams;
    struct fake_conn *next;
};

static void conn_drop(struct fake_conn *c)
{
    if (c->watch.fd < 0) {
        return;
    }
    poller_remove(c->fake->poller, &c->watch);
    (void)close(c->watch.fd);
    c->watch.fd = -1;
}

static void conn_write(struct poll_job *job)
{
    struct fake_conn *c = CONTAINER_OF(job, struct fake_conn, job);
    const uint8_t *data = NULL;
    ssize_t n = 0;
    while (c->watch.fd >= 0 && (n = nghttp2_session_mem_send(c->session, &data)) > 0) {
        if (send(c->watch.fd, data, (size_t)n, MSG_NOSIGNAL) != n) {
            conn_drop(c);
        }
    }
}

static void submit_status(struct fake_conn *c, struct fake_stream *s)
{
    char text[8];
    int len = snprintf(text, sizeof(text), "%d", s->status);
    nghttp2_nv trailer = {(uint8_t *)(uintptr_t) "grpc-status", (uint8_t *)text, 11, (size_t)len,
                          NGHTTP2_NV_FLAG_NONE};
    int err = nghttp2_submit_trailer(c->session, s->id, &trailer, c->fake->no_status ? 0 : 1);
    ASSERT(err == 0);
}

static ssize_t read_out(nghttp2_session *session, int32_t id, uint8_t *dst, size_t size,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)id;
    struct fake_stream *s = source->ptr;
    struct fake_conn *c = user;
    size_t len = s->out.len < size ? s->out.len : size;
    if (len > 0) {
        memcpy(dst, s->out.data, len);
    }
    bytes_drop(&s->out, len);
    if (s->out.len == 0 && s->ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (!c->fake->no_status) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_status(c, s);
        }
        return (ssize_t)len;
    }
    return len > 0 ? (ssize_t)len : NGHTTP2_ERR_DEFERRED;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* Headers, then what is in s->out. */
static void respond(struct fake_conn *c, struct fake_stream *s)
{
    char status[8];
    (void)snprintf(status, sizeof(status), "%d", c->fake->http_status ? c->fake->http_status : 200);
    nghttp2_nv headers[] = {header(":status", status), header("content-type", "application/grpc")};
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_out};
    int err = nghttp2_submit_response(c->session, s->id, headers, 2, &body);
    ASSERT(err == 0);
}

static void respond_status(struct fake_conn *c, struct fake_stream *s)
{
    char status[8];
    (void)snprintf(status, sizeof(status), "%d", c->fake->grpc_status);
    nghttp2_nv headers[] = {header(":status", "200"), header("content-type", "application/grpc"),
                            header("grpc-status", status), header("grpc-message", "because")};
    int err = nghttp2_submit_response(c->session, s->id, headers, 4, NULL);
    ASSERT(err == 0);
}

static void make_reply(struct fake_grpc *f, const struct frame_view *view, struct frame *reply)
{
    static const char success[] = "{\"resultCode\":200,\"errorCode\":0,\"success\":true}";
    if (span_eq(view->type, SPAN("ServerCheckRequest"))) {
        f->checks++;
        frame_build(reply, "ServerCheckResponse",
                    f->negotiates ? SPAN("{\"resultCode\":200,\"supportAbilityNegotiation\":true}")
                                  : SPAN("{\"resultCode\":200}"),
                    NULL);
        return;
    }
    if (span_eq(view->type, SPAN("HealthCheckRequest"))) {
        f->healths++;
        frame_build(reply, "HealthCheckResponse", SPAN("{\"resultCode\":200}"), NULL);
        return;
    }
    f->requests++;
    frame_build(reply, "Response", span_str(f->reply_body ? f->reply_body : success), NULL);
    if (f->on_request) {
        f->on_request(f, view->type, view->body, reply);
    }
}

static void on_unary(struct fake_conn *c, struct fake_stream *s)
{
    struct fake_grpc *f = c->fake;
    struct span message = {0};
    struct frame_view view = {0};
    struct frame reply = {0};
    struct fail fail;
    int err = frame_message(bytes_span(&s->in), &message, &fail);
    ASSERT(err == 0);
    err = frame_view_open(message, &view, &fail);
    ASSERT(err == 0);
    bool internal = span_eq(view.type, SPAN("ServerCheckRequest"));
    bool health = span_eq(view.type, SPAN("HealthCheckRequest"));
    make_reply(f, &view, &reply);
    frame_view_close(&view);
    if (!internal && f->resets) {
        err = nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id,
                                        NGHTTP2_ENHANCE_YOUR_CALM);
        ASSERT(err == 0);
    } else if (!internal && f->grpc_status) {
        respond_status(c, s);
    } else if (!(f->silent && !internal) && !(f->silent_health && health)) {
        bytes_append(&s->out, reply.data, reply.len - (f->cuts && !internal ? 1 : 0));
        s->ended = true;
        respond(c, s);
    }
    frame_close(&reply);
}

static void stream_put(struct fake_conn *c, struct fake_stream *s, struct span bytes)
{
    bytes_append(&s->out, bytes.data, bytes.len);
    (void)nghttp2_session_resume_data(c->session, s->id);
    poller_queue(c->fake->poller, &c->job);
}

static void on_stream_message(struct fake_conn *c, struct fake_stream *s, struct span message)
{
    struct fake_grpc *f = c->fake;
    struct frame_view view = {0};
    struct fail fail;
    int err = frame_view_open(message, &view, &fail);
    ASSERT(err == 0);
    if (span_eq(view.type, SPAN("ConnectionSetupRequest"))) {
        f->setups++;
        if (f->acks_setup) {
            struct frame ack = {0};
            frame_build(&ack, "SetupAckRequest", SPAN("{\"abilityTable\":{}}"), NULL);
            stream_put(c, s, frame_span(&ack));
            frame_close(&ack);
        }
    } else {
        f->acks++;
        (void)snprintf(f->last_ack_type, sizeof(f->last_ack_type), "%.*s", SPAN_ARG(view.type));
        (void)snprintf(f->last_ack_body, sizeof(f->last_ack_body), "%.*s", SPAN_ARG(view.body));
    }
    frame_view_close(&view);
}

static void stream_in(struct fake_conn *c, struct fake_stream *s)
{
    while (s->in.len >= FRAME_PREFIX) {
        const uint8_t *p = (const uint8_t *)s->in.data;
        size_t len = (size_t)p[3] << 8 | p[4];
        if (s->in.len < FRAME_PREFIX + len) {
            return;
        }
        on_stream_message(c, s, span_of(s->in.data + FRAME_PREFIX, len));
        bytes_drop(&s->in, FRAME_PREFIX + len);
    }
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct fake_conn *c = user;
    struct fake_stream *s = mem_zalloc(1, sizeof(*s));
    s->id = frame->hd.stream_id;
    s->next = c->streams;
    c->streams = s;
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags;
    (void)user;
    struct fake_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s && span_eq(span_of((const char *)name, name_len), SPAN(":path"))) {
        s->bidi = span_eq(span_of((const char *)value, value_len),
                          SPAN("/BiRequestStream/requestBiStream"));
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user)
{
    (void)flags;
    struct fake_conn *c = user;
    struct fake_stream *s = nghttp2_session_get_stream_user_data(session, id);
    bytes_append(&s->in, data, len);
    if (s->bidi) {
        stream_in(c, s);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct fake_conn *c = user;
    struct fake_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && s->bidi) {
        respond(c, s);
    }
    if (!s->bidi && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        on_unary(c, s);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)session;
    (void)code;
    struct fake_conn *c = user;
    for (struct fake_stream **at = &c->streams; *at; at = &(*at)->next) {
        struct fake_stream *s = *at;
        if (s->id == id) {
            *at = s->next;
            bytes_close(&s->in);
            bytes_close(&s->out);
            mem_free(s);
            break;
        }
    }
    return 0;
}

static void conn_event(struct poll_watch *watch, uint32_t events)
{
    (void)events;
    struct fake_conn *c = CONTAINER_OF(watch, struct fake_conn, watch);
    char *scratch = poller_scratch(c->fake->poller);
    ssize_t n = recv(watch->fd, scratch, POLLER_SCRATCH_SIZE, 0);
    if (n <= 0 || nghttp2_session_mem_recv(c->session, (const uint8_t *)scratch, (size_t)n) != n) {
        conn_drop(c);
        return;
    }
    poller_queue(c->fake->poller, &c->job);
}

static void accept_event(struct poll_watch *watch, uint32_t events)
{
    (void)events;
    struct fake_grpc *f = CONTAINER_OF(watch, struct fake_grpc, listen);
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct fake_conn *c = mem_zalloc(1, sizeof(*c));
    c->watch = (struct poll_watch){.fd = fd, .fn = conn_event};
    c->job.fn = conn_write;
    c->fake = f;
    c->next = f->conns;
    f->conns = c;
    f->opened++;
    nghttp2_session_callbacks *callbacks = NULL;
    int err = nghttp2_session_callbacks_new(&callbacks);
    ASSERT(err == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    err = nghttp2_session_server_new(&c->session, callbacks, c);
    ASSERT(err == 0);
    nghttp2_session_callbacks_del(callbacks);
    err = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
    ASSERT(err == 0);
    err = poller_add(f->poller, &c->watch, EPOLLIN);
    ASSERT(err == 0);
    poller_queue(f->poller, &c->job);
}

void fake_grpc_open(struct fake_grpc *f, struct poller *p)
{
    unsigned port = 0;
    struct fail fail;
    f->poller = p;
    f->listen = (struct poll_watch){.fd = fake_listen(&port), .fn = accept_event};
    int err = poller_add(p, &f->listen, EPOLLIN);
    ASSERT(err == 0);
    err = net_resolve("127.0.0.1", port, &f->address, &fail);
    ASSERT(err == 0);
}

/* Every bidirectional stream of every open connection. */
#define FOR_STREAMS(f, c, s)                                                                       \
    for (struct fake_conn *c = (f)->conns; c; c = c->next)                                         \
        for (struct fake_stream *s = c->watch.fd >= 0 ? c->streams : NULL; s; s = s->next)         \
            if (s->bidi)

void fake_grpc_push(struct fake_grpc *f, const char *type, const char *body)
{
    struct frame frame = {0};
    frame_build(&frame, type, span_str(body), NULL);
    fake_grpc_raw(f, frame_span(&frame));
    frame_close(&frame);
}

void fake_grpc_raw(struct fake_grpc *f, struct span bytes)
{
    FOR_STREAMS(f, c, s)
    {
        stream_put(c, s, bytes);
    }
}

void fake_grpc_end_streams(struct fake_grpc *f, int status)
{
    FOR_STREAMS(f, c, s)
    {
        s->ended = true;
        s->status = status;
        stream_put(c, s, (struct span){0});
    }
}

void fake_grpc_drop(struct fake_grpc *f)
{
    for (struct fake_conn *c = f->conns; c; c = c->next) {
        conn_drop(c);
    }
}

void fake_grpc_close(struct fake_grpc *f)
{
    while (f->conns) {
        struct fake_conn *c = f->conns;
        f->conns = c->next;
        poller_dequeue(f->poller, &c->job);
        conn_drop(c);
        while (c->streams) {
            (void)on_stream_close(c->session, c->streams->id, 0, c);
        }
        nghttp2_session_del(c->session);
        mem_free(c);
    }
    poller_remove(f->poller, &f->listen);
    (void)close(f->listen.fd);
    freeaddrinfo(f->address);
}

bool turn_until(struct poller *p, const unsigned *value, unsigned wanted)
{
    uint64_t until_ns = clock_mono_ns() + TURN_NS;
    while (*value < wanted && clock_mono_ns() < until_ns) {
        poller_turn(p, until_ns);
    }
    return *value >= wanted;
}
