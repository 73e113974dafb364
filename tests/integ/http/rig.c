#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "api/dispatch.h"
#include "api/outbox.h"
#include "base/assert.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/thread.h"
#include "loop/loop.h"

#define HELD_MAX 256
#define WAIT_S 5

struct rig {
    struct http *http;
    struct loop *loop;
    struct outbox outbox;
    pthread_t core;
    int post_error;
    atomic_bool ready;
    struct api_rows feature;
    pthread_mutex_t lock; /* guards held, held_count */
    pthread_cond_t more;
    struct api_call *held[HELD_MAX];
    size_t held_count;
};

static int no_decode(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    (void)call;
    (void)params;
    (void)fail;
    return 0;
}

static void write_pairs(struct json_out *j, const char *key, const struct api_param *list,
                        unsigned count)
{
    json_key(j, key);
    json_array(j);
    for (unsigned i = 0; i < count; i++) {
        json_str(j, list[i].name);
        json_str(j, list[i].value);
    }
    json_array_end(j);
}

/* The answer is made where the parameters still are. */
static int echo_decode(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    (void)fail;
    struct json_out j;
    json_init(&j, 0);
    json_object(&j);
    write_pairs(&j, "params", params->list, params->count);
    json_kstr(&j, "body", params->body);
    if (params->file.data) {
        json_kstr(&j, "file_name", params->file_name);
        json_kstr(&j, "file", params->file);
    }
    json_kstr(&j, "ip", call->caller.remote_ip);
    json_kbool(&j, "port", call->caller.remote_port != 0);
    json_kstr(&j, "app", call->caller.app);
    json_kstr(&j, "agent", call->caller.agent);
    json_object_end(&j);
    struct span *text = arena_alloc(&call->arena, sizeof(*text));
    *text = arena_span(&call->arena, json_text(&j));
    call->msg = text;
    json_close(&j);
    return 0;
}

static int echo_read(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)now;
    (void)fail;
    const struct span *text = call->msg;
    api_answer_text(call, *text);
    return API_ANSWERED;
}

static int ok_read(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)now;
    (void)fail;
    api_answer_text(call, SPAN("OK"));
    return API_ANSWERED;
}

/* Headers of the row's own; one value is empty. */
static int own_read(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    static const struct api_header headers[] = {
        {"Content-MD5", {"abc", 3}},
        {"Encrypted-Data-Key", {"", 0}},
        {"X-Broken", {"a\r\nX-Injected: b", 16}},
    };
    (void)self;
    (void)now;
    (void)fail;
    call->reply.headers = headers;
    call->reply.headers_count = ARRAY_LEN(headers);
    api_answer_text(call, SPAN("own"));
    return API_ANSWERED;
}

/* Answers as another row, whose shape and permission then count. */
static int admin_read(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)call;
    (void)now;
    return fail_set(fail, E_INVALID, "it's");
}

static const struct api_row variant_rows[2];

static int variant_decode(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    (void)fail;
    if (span_eq(params_get(params, "as"), SPAN("v2"))) {
        call->row = &variant_rows[0];
    } else if (span_eq(params_get(params, "as"), SPAN("admin"))) {
        call->row = &variant_rows[1];
    }
    return 0;
}

static int to_core(void *self, struct api_call *call, struct now now, struct fail *fail)
{
    (void)self;
    (void)call;
    (void)now;
    (void)fail;
    return API_TO_CORE;
}

static int ok_admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                    struct fail *fail)
{
    (void)self;
    (void)now;
    (void)out;
    (void)fail;
    api_answer_text(call, SPAN("ok"));
    return API_ANSWERED;
}

static int later_admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    (void)now;
    (void)out;
    struct rig *rig = self;
    pthread_mutex_lock(&rig->lock);
    bool full = rig->held_count == HELD_MAX;
    if (!full) {
        rig->held[rig->held_count++] = call;
        pthread_cond_broadcast(&rig->more);
    }
    pthread_mutex_unlock(&rig->lock);
    return full ? fail_set(fail, E_LIMIT, "too many") : API_LATER;
}

struct wanted_fail {
    int64_t code;
    int64_t http;
    int64_t nacos;
    int64_t v2;
    struct span text;
};

static int fail_decode(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    struct wanted_fail *w = arena_alloc(&call->arena, sizeof(*w));
    int err = params_int(params, "code", -100, 0, &w->code, fail);
    err = err ? err : params_int(params, "http", 0, 999, &w->http, fail);
    err = err ? err : params_int(params, "nacos", 0, 99999, &w->nacos, fail);
    err = err ? err : params_int(params, "v2", 0, 99999, &w->v2, fail);
    w->text = params_get(params, "text");
    call->msg = w;
    return err;
}

static int fail_admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                      struct fail *fail)
{
    (void)self;
    (void)now;
    (void)out;
    const struct wanted_fail *w = call->msg;
    call->reply.http_status = (int)w->http;
    return fail_set_codes(fail, (int)w->code, (int)w->nacos, (int)w->v2, "%.*s", SPAN_ARG(w->text));
}

static int parts_decode(struct api_call *call, const struct api_params *params, struct fail *fail)
{
    int64_t *n = arena_alloc(&call->arena, sizeof(*n));
    call->msg = n;
    return params_int(params, "n", 1, 8 << 20, n, fail);
}

static int parts_admit(void *self, struct api_call *call, struct now now, struct outbox *out,
                       struct fail *fail)
{
    (void)self;
    (void)now;
    (void)out;
    (void)fail;
    const int64_t *n = call->msg;
    size_t len = (size_t)*n;
    struct body body = {0};
    for (int i = 0; i < 3; i++) {
        char *bytes = mem_alloc(len + 2);
        memset(bytes, 'a' + i, len + 2);
        body_add(&body, buf_take(bytes, len + 2), 1, len); /* a slice that is not the whole */
    }
    api_answer(call, &body);
    return API_ANSWERED;
}

#define ALL_METHODS (API_GET | API_POST | API_PUT | API_DELETE | API_PATCH)
#define ON_EDGE(path, m, s, p, dec, rd)                                                            \
    {                                                                                              \
        .name = (path), .methods = (m), .shape = (s), .permission = (p), .decode_http = (dec),     \
        .read = (rd)                                                                               \
    }
#define ON_CORE(path, m, s, dec, ad)                                                               \
    {                                                                                              \
        .name = (path), .methods = (m), .shape = (s), .permission = API_NAMING_WRITE,              \
        .decode_http = (dec), .read = to_core, .admit = (ad)                                       \
    }

static const struct api_row variant_rows[2] = {
    ON_EDGE("/v1/cs/own", API_GET, API_SHAPE_V2, API_OPEN, no_decode, admin_read),
    ON_EDGE("/v1/cs/own", API_GET, API_SHAPE_TEXT, API_ADMIN, no_decode, admin_read),
};

static const struct api_row rows[] = {
    ON_EDGE("/v1/cs/own", API_GET, API_SHAPE_TEXT, API_OPEN, variant_decode, own_read),
    ON_CORE("/v1/cs/fail", API_GET, API_SHAPE_TEXT, fail_decode, fail_admit),
    ON_EDGE("/v1/ns/echo", ALL_METHODS, API_SHAPE_NAMING1, API_NAMING_READ, echo_decode, echo_read),
    ON_EDGE("/v1/console/open", API_GET, API_SHAPE_TEXT, API_OPEN, no_decode, ok_read),
    ON_EDGE("/v1/admin", API_GET, API_SHAPE_TEXT, API_ADMIN, no_decode, ok_read),
    ON_CORE("/v1/ns/core", API_GET | API_PUT | API_POST, API_SHAPE_NAMING1, no_decode, ok_admit),
    ON_CORE("/v1/ns/later", API_GET, API_SHAPE_NAMING1, no_decode, later_admit),
    ON_CORE("/v1/ns/fail", API_GET, API_SHAPE_NAMING1, fail_decode, fail_admit),
    ON_CORE("/v1/ns/parts", API_GET, API_SHAPE_NAMING1, parts_decode, parts_admit),
    ON_CORE("/v2/fail", API_GET, API_SHAPE_V2, fail_decode, fail_admit),
    ON_CORE("/v1/console/fail", API_GET, API_SHAPE_TEXT, fail_decode, fail_admit),
};

static const unsigned char page[] = "<!DOCTYPE html><title>x</title>";
static const struct http_asset assets[] = {
    {"/", "text/html;charset=UTF-8", page, sizeof(page) - 1},
    {"/index.html", "text/html;charset=UTF-8", page, sizeof(page) - 1},
};

static void on_mail(void *self, struct mail *take_mail, struct now now)
{
    struct rig *rig = self;
    struct api_call *call = (struct api_call *)(void *)take_mail;
    dispatch_call(call, now, &rig->outbox);
}

static uint64_t on_turn(void *self, struct now now)
{
    (void)now;
    struct rig *rig = self;
    for (size_t i = 0; i < rig->outbox.count; i++) {
        struct api_call *call = rig->outbox.list[i].u.reply.call;
        call->deliver(call);
    }
    outbox_clear(&rig->outbox, 0);
    return UINT64_MAX;
}

static void *core_main(void *arg)
{
    struct rig *rig = arg;
    thread_become(THREAD_CORE, "core");
    loop_run(rig->loop);
    return NULL;
}

static int core_post(void *self, struct core_mail *take_mail)
{
    struct rig *rig = self;
    return rig->post_error ? rig->post_error : loop_post(rig->loop, &take_mail->mail);
}

struct rig *rig_start(const struct rig_options *o)
{
    static const struct rig_options none;
    static const struct loop_ops ops = {on_mail, on_turn};
    o = o ? o : &none;
    struct rig *rig = mem_zalloc(1, sizeof(*rig));
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->more, NULL);
    rig->post_error = o->post_error;
    atomic_init(&rig->ready, !o->not_ready);
    rig->feature = (struct api_rows){
        .http = rows, .http_count = ARRAY_LEN(rows), .read_self = rig, .admit_self = rig};
    ASSERT(loop_create(&ops, rig, &rig->loop) == 0);
    ASSERT(thread_start(&rig->core, core_main, rig) == 0);
    struct http_options options = {
        .bind = "127.0.0.1",
        .context_path = o->context ? o->context : "/nacos",
        .connections_max = o->connections_max ? o->connections_max : 1000,
        .connections_per_ip_max = o->per_ip_max ? o->per_ip_max : 1000,
        .idle_timeout_ms = o->idle_timeout_ms ? o->idle_timeout_ms : 10000,
        .features = &rig->feature,
        .features_count = 1,
        .assets = assets,
        .assets_count = ARRAY_LEN(assets),
        .core = {rig, core_post},
        .permit = o->permit,
        .ready = &rig->ready,
    };
    struct fail fail = {0};
    ASSERT(http_create(&options, &rig->http, &fail) == 0);
    ASSERT(http_start(rig->http, &fail) == 0);
    return rig;
}

void rig_stop_edge(struct rig *rig, uint32_t grace_ms)
{
    http_stop(rig->http, grace_ms);
    http_destroy(rig->http);
    rig->http = NULL;
}

void rig_stop(struct rig *rig)
{
    if (rig->http) {
        rig_stop_edge(rig, 1000);
    }
    loop_stop(rig->loop);
    pthread_join(rig->core, NULL);
    loop_destroy(rig->loop, NULL);
    outbox_close(&rig->outbox);
    pthread_mutex_destroy(&rig->lock);
    pthread_cond_destroy(&rig->more);
    mem_free(rig);
}

bool rig_wait_held(struct rig *rig, size_t n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int err = 0;
    pthread_mutex_lock(&rig->lock);
    while (rig->held_count < n && err == 0) {
        err = pthread_cond_timedwait(&rig->more, &rig->lock, &until);
    }
    bool enough = rig->held_count >= n;
    pthread_mutex_unlock(&rig->lock);
    return enough;
}

size_t rig_release(struct rig *rig)
{
    struct api_call *list[HELD_MAX];
    pthread_mutex_lock(&rig->lock);
    size_t count = rig->held_count;
    memcpy(list, rig->held, count * sizeof(list[0]));
    rig->held_count = 0;
    pthread_mutex_unlock(&rig->lock);
    for (size_t i = 0; i < count; i++) {
        api_answer_text(list[i], SPAN("late"));
        list[i]->deliver(list[i]);
    }
    return count;
}

uint16_t rig_port(const struct rig *rig)
{
    return http_port(rig->http);
}

const struct http_counters *rig_counters(const struct rig *rig)
{
    return http_counters(rig->http);
}

void reply_close(struct reply *r)
{
    free(r->head);
    free(r->body);
    *r = (struct reply){0};
}

const char *reply_header(const struct reply *r, const char *name)
{
    static _Thread_local char value[512];
    size_t len = strlen(name);
    for (const char *line = r->head; line; line = strstr(line, "\r\n")) {
        line += line == r->head ? 0 : 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            sscanf(line + len + 1, " %511[^\r]", value);
            return value;
        }
    }
    return NULL;
}

int client_open(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval wait = {.tv_sec = WAIT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool client_send(int fd, const char *bytes, size_t len)
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

/* Read up to and including the empty line, byte by byte, so that nothing of the next response is
 * taken. */
static char *read_head(int fd)
{
    size_t cap = 16384;
    char *head = calloc(1, cap);
    for (size_t len = 0; len + 1 < cap; len++) {
        if (recv(fd, head + len, 1, 0) != 1) {
            break;
        }
        if (len >= 3 && memcmp(head + len - 3, "\r\n\r\n", 4) == 0) {
            return head;
        }
    }
    free(head);
    return NULL;
}

struct reply client_read(int fd, bool head_only)
{
    struct reply r = {.head = read_head(fd)};
    if (!r.head) {
        return r;
    }
    sscanf(r.head, "HTTP/1.%*d %d", &r.status);
    if (r.status == 100) {
        reply_close(&r);
        return client_read(fd, head_only);
    }
    const char *length = reply_header(&r, "Content-Length");
    size_t wanted = length && !head_only ? strtoul(length, NULL, 10) : 0;
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

bool client_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

struct reply ask(const struct rig *rig, const char *request)
{
    int fd = client_open(rig_port(rig));
    ASSERT(fd >= 0);
    ASSERT(client_send(fd, request, strlen(request)));
    struct reply r = client_read(fd, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return r;
}

struct reply ask_with(const struct rig *rig, const char *line, const char *headers,
                      const char *body)
{
    size_t cap = strlen(line) + strlen(headers) + (body ? strlen(body) : 0) + 256;
    char *request = calloc(1, cap);
    char length[64] = "";
    if (body) {
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(body));
    }
    snprintf(request, cap, "%s HTTP/1.1\r\nHost: x\r\n%s%s\r\n%s", line, headers, length,
             body ? body : "");
    struct reply r = ask(rig, request);
    free(request);
    return r;
}
