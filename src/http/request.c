#include "http/request.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/intake.h"
#include "http/screen.h"
#include "http/send.h"

#include <utlist.h>

/* A refused request's body up to this size is read and thrown away, so that the connection can go
 * on. */
#define DISCARD_MAX (1u << 20)

static bool move(struct request *r, int from, int to)
{
    return atomic_compare_exchange_strong(&r->state, &from, to);
}

static void request_unref(struct request *r)
{
    if (atomic_fetch_sub(&r->holders, 1) > 1) {
        return;
    }
    upload_close(&r->upload);
    body_close(&r->answer.body);
    body_close(&r->call.reply.body);
    arena_close(&r->call.arena);
    mem_free(r);
}

/* Signal http_stop, which waits for both counts; called with the lock held. */
static void left_locked(struct http *h)
{
    if (atomic_load(&h->stopping)) {
        pthread_cond_broadcast(&h->quiet);
    }
}

static void leave_running(struct http *h, struct request *r)
{
    pthread_mutex_lock(&h->lock);
    DL_DELETE(h->running, r);
    left_locked(h);
    pthread_mutex_unlock(&h->lock);
}

/* The core (or whoever it gave the call to) has answered. An abandoned request must not touch the
 * edge, which may be gone. */
static void deliver(struct api_call *call)
{
    struct request *r = (struct request *)(void *)call;
    if (move(r, STATE_POSTED, STATE_DELIVERED)) {
        MHD_resume_connection(r->connection);
        leave_running(r->http, r);
    }
    request_unref(r);
}

void *request_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    const struct lane *lane = cls;
    struct request *r = mem_zalloc(1, sizeof(*r));
    r->lane = lane;
    r->http = lane->http;
    r->connection = connection;
    atomic_init(&r->holders, 1);
    r->call.mail.kind = CORE_CALL;
    r->call.deliver = deliver;
    r->call.started_ns = clock_mono_ns();
    arena_init(&r->call.arena, API_ARENA_MAX);
    /* libmicrohttpd cuts and decodes the URI in place after this call. */
    struct span whole = span_str(uri ? uri : "");
    r->uri = arena_str(&r->call.arena, whole);
    r->uri_len = whole.len;
    pthread_mutex_lock(&r->http->lock);
    r->http->active++;
    pthread_mutex_unlock(&r->http->lock);
    return r;
}

void request_end(void *cls, struct MHD_Connection *connection, void **request,
                 enum MHD_RequestTerminationCode why)
{
    (void)cls;
    (void)connection;
    (void)why;
    struct request *r = *request;
    if (!r) {
        return;
    }
    *request = NULL;
    struct http *h = r->http;
    /* A suspended connection does not end in libmicrohttpd 0.9.75; should one ever, the core's
     * share lives on. */
    if (move(r, STATE_POSTED, STATE_ABANDONED)) {
        leave_running(h, r);
    }
    atomic_fetch_add(&h->counters.requests, 1);
    request_unref(r);
    pthread_mutex_lock(&h->lock);
    h->active--;
    left_locked(h);
    pthread_mutex_unlock(&h->lock);
}

const char *request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

void request_refuse(struct request *r)
{
    r->decided = true;
    atomic_fetch_add(&r->http->counters.refused, 1);
}

static void fail_with(struct request *r, const struct fail *fail)
{
    r->decided = true;
    answer_fail(&r->answer, r->call.row->shape, fail, r->call.reply.http_status, &r->asked);
    atomic_fetch_add(&r->http->counters.failures, 1);
}

static enum MHD_Result respond(struct request *r)
{
    ASSERT(r->decided);
    if (r->lane->one_shot || atomic_load(&r->http->stopping)) {
        r->answer.flags |= ANSWER_CLOSE;
    }
    return send_answer(r->connection, &r->answer);
}

static void look_at_target(struct request *r, const char *method)
{
    r->method = route_method(method);
    r->asked.method = method;
    const char *accept = request_header(r, "Accept");
    r->asked.html = accept && strstr(accept, "text/html");
    struct fail fail = {0};
    if (target_parse(r->uri, r->uri_len, r->http->context, &r->call.arena, &r->target, &fail) !=
        0) {
        answer_text(&r->answer, 400, span_str(fail_text(&fail)));
        request_refuse(r);
        return;
    }
    r->asked.path = r->target.path;
    r->asked.path_below = r->target.below;
    r->route = routes_find(r->http->routes, r->method, r->target.below);
}

static size_t head_size(const struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

/* How the body's end is told. */
struct framing {
    unsigned lengths; /* Content-Length headers */
    bool transfer_encoding;
};

static enum MHD_Result look_at_framing(void *cls, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    (void)kind;
    (void)value;
    struct framing *f = cls;
    f->lengths += span_ieq(span_str(name), SPAN("Content-Length"));
    f->transfer_encoding |= span_ieq(span_str(name), SPAN("Transfer-Encoding"));
    return MHD_YES;
}

/* A proxy before us may see another end than libmicrohttpd does, and take the rest for the next
 * request (RFC 9112, 6.1 and 6.3). */
static bool is_ambiguous(const struct request *r)
{
    struct framing f = {0};
    MHD_get_connection_values(r->connection, MHD_HEADER_KIND, look_at_framing, &f);
    return f.lengths > 1 || (f.lengths > 0 && f.transfer_encoding);
}

/* Limits that are known before the body comes. True when the request ends here and now:
 * libmicrohttpd then reads no more of it. */
static bool over_limits(struct request *r)
{
    const char *announced = request_header(r, "Content-Length");
    long long length = 0;
    bool known = announced && span_int(span_str(announced), &length);
    if (is_ambiguous(r)) {
        answer_text(&r->answer, 400,
                    SPAN("more than one Content-Length, or Content-Length with Transfer-Encoding"));
    } else if (head_size(r) > HTTP_URL_MAX) {
        answer_text(&r->answer, 400, SPAN("the request line and headers are too large"));
    } else if (known && length > (long long)HTTP_FORM_MAX) {
        answer_text(&r->answer, 413, SPAN("the request body is too large"));
    } else {
        return r->decided && known && length > (long long)DISCARD_MAX;
    }
    request_refuse(r);
    r->answer.flags |= ANSWER_BARE | ANSWER_CLOSE;
    return true;
}

static enum MHD_Result read_head(struct request *r, const char *method)
{
    r->step = STEP_BODY;
    look_at_target(r, method);
    if (!r->decided) {
        screen_request(r);
    }
    /* An answer given now ends the connection, because the body stays unread; so it waits for the
     * body where that is affordable. */
    return over_limits(r) ? respond(r) : MHD_YES;
}

static bool has_form_method(const struct request *r)
{
    return r->method & (API_POST | API_PUT | API_PATCH | API_DELETE);
}

/* Take a piece of the body. MHD_NO closes the connection: for a body that has been refused and does
 * not end. */
static enum MHD_Result read_body(struct request *r, struct span piece)
{
    if (r->decided || !has_form_method(r)) {
        r->discarded += piece.len;
        return r->discarded > HTTP_FORM_MAX ? MHD_NO : MHD_YES;
    }
    struct fail fail = {0};
    if (upload_add(&r->upload, piece, &r->http->upload_bytes, &fail) != 0) {
        upload_close(&r->upload);
        answer_text(&r->answer, err_http(fail.code), span_str(fail_text(&fail)));
        r->answer.flags |= ANSWER_BARE | ANSWER_CLOSE;
        request_refuse(r);
    }
    return MHD_YES;
}

/* May this caller do this? A refusal has the container's shape, as Nacos's filter gives it. */
static bool is_permitted(struct request *r)
{
    const struct http_options *options = &r->http->options;
    struct fail fail = {0};
    int err = 0;
    if (r->call.row->permission == API_OPEN) {
        return true;
    }
    if (options->permit) {
        err = options->permit(options->permit_self, &r->call, &fail);
    } else if (r->call.row->permission == API_ADMIN) {
        err = fail_set(&fail, E_FORBIDDEN, "administration is not open on this node");
    }
    if (!err) {
        return true;
    }
    answer_container(&r->answer, err_http(err), span_str(fail_text(&fail)), &r->asked);
    r->answer.flags |= ANSWER_BARE;
    r->decided = true;
    atomic_fetch_add(&r->http->counters.failures, 1);
    return false;
}

static void take_reply(struct request *r)
{
    if (r->call.reply.fail.code < 0) {
        atomic_fetch_add(&r->http->counters.failures, 1);
    }
    answer_reply(&r->answer, r->call.row->shape, &r->call.reply, &r->asked);
    r->decided = true;
}

static void refuse_busy(struct request *r, int err)
{
    struct fail fail = {0};
    (void)fail_set(&fail, err, "server is busy, please try again later");
    fail_with(r, &fail);
    MHD_resume_connection(r->connection);
}

/* Count the call among those that the core has. False once the edge takes no more. */
static bool enter_running(struct http *h, struct request *r)
{
    pthread_mutex_lock(&h->lock);
    bool open = !h->closed;
    if (open) {
        DL_APPEND(h->running, r);
        atomic_fetch_add(&r->holders, 1);
        ASSERT(move(r, STATE_OPEN, STATE_POSTED));
    }
    pthread_mutex_unlock(&h->lock);
    return open;
}

/* Mail the call to the core. The connection is suspended before, because the answer may come at
 * once. */
static void post(struct request *r)
{
    struct http *h = r->http;
    r->call.admit_self = r->route.feature->admit_self;
    MHD_suspend_connection(r->connection);
    if (!enter_running(h, r)) {
        refuse_busy(r, E_CLOSED);
        return;
    }
    int err = h->options.core.post(h->options.core.self, &r->call.mail);
    if (!err) {
        return; /* the call is another thread's, answered or gone by now */
    }
    if (move(r, STATE_POSTED, STATE_OPEN)) {
        leave_running(h, r);
        refuse_busy(r, err);
    }
    request_unref(r);
}

/* Decode, check, and let the row answer from the view. True when the answer is decided, false when
 * it is the core's to decide. */
static bool answered_here(struct request *r)
{
    struct fail fail = {0};
    struct api_params params = {0};
    r->call.row = r->route.row;
    int err = intake_read(r, &params, &fail);
    if (!err) {
        err = r->call.row->decode_http(&r->call, &params, &fail);
    }
    const struct api_row *row = r->call.row; /* decode may have put another one in its place */
    if (!err && !is_permitted(r)) {
        return true;
    }
    int next = API_TO_CORE;
    if (!err && row->read) {
        next = row->read(r->route.feature->read_self, &r->call, clock_now(), &fail);
        err = next < 0 ? next : 0;
    }
    if (err) {
        fail.code = fail.code ? fail.code : err;
        fail_with(r, &fail);
        return true;
    }
    if (next == API_ANSWERED) {
        take_reply(r);
        return true;
    }
    ASSERT(row->admit != NULL);
    return false;
}

/* The whole request is here. */
static enum MHD_Result run(struct request *r)
{
    r->step = STEP_ANSWER;
    if (!r->decided && !answered_here(r)) {
        post(r);
        return MHD_YES;
    }
    return respond(r);
}

/* The connection was resumed. */
static enum MHD_Result answer(struct request *r)
{
    int state = atomic_load(&r->state);
    if (state == STATE_POSTED) {
        return MHD_YES;
    }
    if (state == STATE_DELIVERED) {
        take_reply(r);
    } else if (state == STATE_ABANDONED) {
        answer_text(&r->answer, 503, SPAN("the server is stopping"));
        request_refuse(r);
    }
    return respond(r);
}

/* NOLINTNEXTLINE(readability-function-size): libmicrohttpd gives it eight parameters. */
enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_size, void **request)
{
    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    struct request *r = *request;
    switch (r->step) {
    case STEP_HEAD:
        return read_head(r, method);
    case STEP_BODY: {
        if (*upload_size == 0) {
            return run(r);
        }
        struct span piece = span_of(upload_data, *upload_size);
        *upload_size = 0;
        return read_body(r, piece);
    }
    case STEP_ANSWER:
        return answer(r);
    }
    return MHD_NO;
}

void request_abandon_running(struct http *h)
{
    struct request *list = NULL;
    struct request *r = NULL;
    struct request *next = NULL;
    pthread_mutex_lock(&h->lock);
    h->closed = true;
    DL_FOREACH_SAFE(h->running, r, next)
    {
        if (move(r, STATE_POSTED, STATE_ABANDONED)) {
            DL_DELETE(h->running, r);
            DL_APPEND(list, r);
        }
    }
    pthread_mutex_unlock(&h->lock);
    /* Their connections are suspended, so they cannot end before they are resumed here. */
    DL_FOREACH_SAFE(list, r, next)
    {
        MHD_resume_connection(r->connection);
    }
    pthread_mutex_lock(&h->lock);
    while (h->running) {
        pthread_cond_wait(&h->quiet, &h->lock);
    }
    pthread_mutex_unlock(&h->lock);
}
