#include "bench/session.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "bench/messages.h"

#define NS_PER_MS UINT64_C(1000000)

void session_frames_init(struct session_frames *frames, const char *module)
{
    *frames = (struct session_frames){0};
    msg_server_check(&frames->check);
    msg_setup(&frames->setup, module);
    msg_health_check(&frames->health);
}

void session_frames_close(struct session_frames *frames)
{
    frame_close(&frames->check);
    frame_close(&frames->setup);
    frame_close(&frames->health);
}

static void lose(struct session *s, const struct fail *why)
{
    if (s->state == SESSION_LOST) {
        return;
    }
    s->state = SESSION_LOST;
    s->why = *why;
    if (s->ops->on_lost) {
        s->ops->on_lost(s, &s->why);
    }
}

static void become_ready(struct session *s)
{
    s->state = SESSION_READY;
    s->heard_ns = poller_now(s->poller);
    if (s->ops->on_ready) {
        s->ops->on_ready(s);
    }
}

static void begin_setup(struct session *s, struct span check_reply)
{
    const struct span negotiates = SPAN("\"supportAbilityNegotiation\":true");
    struct fail unused;
    s->waits_for_ack = frame_expect(check_reply, negotiates, &unused) == 0;
    s->state = SESSION_SETUP;
    s->setup_ns = poller_now(s->poller);
    if (h2conn_open_stream(s->conn)) {
        struct fail fail;
        (void)fail_set(&fail, E_CLOSED, "the server takes no stream");
        lose(s, &fail);
        return;
    }
    h2conn_send(s->conn, frame_span(&s->frames->setup));
}

/* The answer to a server check or a health check. */
static void on_internal(struct h2call *call)
{
    struct session *s = CONTAINER_OF(call, struct session, internal);
    struct span message = {0};
    struct fail fail;
    s->internal_busy = false;
    int err = h2call_reply(call, &message, &fail);
    if (!err) {
        err = frame_expect(message, SPAN("\"resultCode\":200"), &fail);
    }
    if (err) {
        struct fail why;
        (void)fail_set(&why, err, "%s: %s",
                       s->state == SESSION_CHECKING ? "server check" : "health check",
                       fail_text(&fail));
        lose(s, &why);
        return;
    }
    session_heard(s);
    if (s->state == SESSION_CHECKING) {
        begin_setup(s, message);
    }
}

static void internal_call(struct session *s, const struct frame *frame)
{
    s->internal.request = frame_span(frame);
    s->internal.done = on_internal;
    s->internal_busy = h2conn_call(s->conn, &s->internal) == 0;
}

static void on_open(void *self)
{
    struct session *s = self;
    if (s->raw) {
        become_ready(s);
        return;
    }
    s->state = SESSION_CHECKING;
    internal_call(s, &s->frames->check);
}

/* The ack of a push: its type is the push's with Response for Request. */
static void send_ack(struct session *s, struct span type, struct span request_id)
{
    const struct span suffix = SPAN("Request");
    char ack_type[128];
    if (span_empty(request_id) || type.len <= suffix.len || type.len + 2 > sizeof(ack_type)) {
        return;
    }
    size_t stem = type.len - suffix.len;
    memcpy(ack_type, type.data, stem);
    memcpy(ack_type + stem, "Response", sizeof("Response"));
    struct frame ack = {0};
    msg_ack(&ack, ack_type, request_id);
    h2conn_send(s->conn, frame_span(&ack));
    frame_close(&ack);
}

static bool is_change(struct span type)
{
    return span_eq(type, SPAN("NotifySubscriberRequest")) ||
           span_eq(type, SPAN("ConfigChangeNotifyRequest"));
}

static void on_message(void *self, struct span message)
{
    struct session *s = self;
    struct frame_view view = {0};
    struct fail fail;
    if (frame_view_open(message, &view, &fail)) {
        lose(s, &fail);
        return;
    }
    if (span_eq(view.type, SPAN("SetupAckRequest"))) {
        if (s->state == SESSION_SETUP) {
            become_ready(s);
        }
    } else {
        s->pushes++;
        if (s->ops->on_push && is_change(view.type)) {
            s->ops->on_push(s, view.body, poller_now(s->poller));
        }
        send_ack(s, view.type, msg_request_id(view.body));
    }
    frame_view_close(&view);
}

static void on_closed(void *self, const struct fail *why)
{
    lose(self, why);
}

int session_init(struct session *s, const struct session_config *config, struct fail *fail)
{
    static const struct h2conn_ops ops = {
        .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
    *s = (struct session){.poller = config->poller,
                          .frames = config->frames,
                          .ops = config->ops,
                          .self = config->self,
                          .raw = config->raw,
                          .begun_ns = clock_mono_ns()};
    return h2conn_create(config->poller, config->address, &ops, s, &s->conn, fail);
}

void session_close(struct session *s)
{
    h2conn_destroy(s->conn);
    h2call_close(&s->internal);
    s->conn = NULL;
    s->state = SESSION_LOST;
}

static bool due(uint64_t now_ns, uint64_t since_ns, uint64_t ms)
{
    return now_ns >= since_ns && now_ns - since_ns >= ms * NS_PER_MS;
}

void session_tick(struct session *s, uint64_t now_ns)
{
    if (s->state == SESSION_LOST) {
        return;
    }
    if (s->state == SESSION_READY) {
        if (!s->raw && !s->internal_busy && due(now_ns, s->heard_ns, SESSION_HEALTH_MS)) {
            s->heard_ns = now_ns;
            internal_call(s, &s->frames->health);
        }
        return;
    }
    if (s->state == SESSION_SETUP && !s->waits_for_ack &&
        due(now_ns, s->setup_ns, SESSION_QUIET_MS)) {
        become_ready(s);
        return;
    }
    if (due(now_ns, s->begun_ns, SESSION_SETUP_MS)) {
        struct fail fail;
        static const char *const stuck[] = {
            [SESSION_OPENING] = "the TCP connection",
            [SESSION_CHECKING] = "the answer to ServerCheckRequest",
            [SESSION_SETUP] = "SetupAckRequest",
        };
        (void)fail_set(&fail, E_TIMEOUT, "waited %d ms for %s", SESSION_SETUP_MS, stuck[s->state]);
        lose(s, &fail);
    }
}

void session_heard(struct session *s)
{
    s->heard_ns = poller_now(s->poller);
}
