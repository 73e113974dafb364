#include "config_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/config_http.h"
#include "http/answer.h"
#include "http/form.h"

#define HEADERS_MAX 32

static const struct api_row *row_of(const struct http_request *r)
{
    size_t count = 0;
    const struct api_row *rows = config_http_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, r->path) == 0 && (rows[i].methods & r->method)) {
            return &rows[i];
        }
    }
    fail_msg("no row takes method %u of %s", r->method, r->path);
    return NULL;
}

/* Everything in the call's arena, where the edge has it. */
static void read_params(struct api_call *call, const struct http_request *r, struct api_params *p)
{
    struct span given = span_str(r->params ? r->params : "");
    char *text = arena_str(&call->arena, given);
    struct form form;
    struct fail fail = {0};
    form_init(&form, &call->arena, given, (struct span){0});
    assert_int_equal(form_add(&form, text, given.len, &fail), 0);
    struct api_param *headers = arena_alloc(&call->arena, HEADERS_MAX * sizeof(*headers));
    struct span rest = arena_span(&call->arena, span_str(r->headers ? r->headers : ""));
    unsigned count = 0;
    while (!span_empty(rest)) {
        assert_true(count < HEADERS_MAX);
        struct span value = span_cut(&rest, '\n');
        struct span name = span_cut(&value, ':');
        headers[count++] = (struct api_param){name, span_trim(value)};
    }
    *p = (struct api_params){
        .list = form.list,
        .count = form.count,
        .headers = headers,
        .headers_count = count,
        .body = r->body,
        .file = r->file,
        .file_field = r->file_field ? span_str(r->file_field) : (struct span){0},
        .file_name = r->file_name ? span_str(r->file_name) : (struct span){0},
    };
}

/* As request.c and dispatch.c do it. *ret_read: the view had it. */
static struct cstory_call *play(struct cstory *s, const struct http_request *r, bool *ret_read)
{
    struct cstory_call *c = cstory_call(s);
    struct api_call *call = &c->call;
    struct api_params params = {0};
    struct fail fail = {0};
    call->caller.source = API_HTTP;
    call->row = row_of(r);
    call->admit_self = s->config;
    read_params(call, r, &params);
    int next = call->row->decode_http(call, &params, &fail);
    next = next ? next : API_TO_CORE;
    if (next == API_TO_CORE && call->row->read) {
        struct config_edge edge = *config_edge(s->config);
        next = call->row->read(&edge, call, s->now, &fail);
        *ret_read = next == API_ANSWERED;
    }
    if (next == API_TO_CORE) {
        next = call->row->admit(s->config, call, s->now, &s->out, &fail);
        assert_int_not_equal(next, API_TO_CORE);
    }
    if (next < 0) {
        fail.code = fail.code ? fail.code : next;
        body_close(&call->reply.body);
        call->reply.fail = fail;
    }
    if (next == API_ANSWERED || next < 0) {
        c->answered = true;
    }
    cstory_turn(s);
    return c;
}

static struct http_answer written(struct cstory_call *c, const struct http_request *r, bool read)
{
    struct asked asked = {
        .method = "X", .path = span_str(r->path), .path_below = span_str(r->path)};
    struct answer a = {0};
    answer_reply(&a, c->call.row->shape, &c->call.reply, &asked);
    struct http_answer out = {
        .status = a.status,
        .content_type = a.content_type && a.content_type[0] ? a.content_type : NULL,
        .len = body_len(&a.body),
        .read = read,
        .headers = a.headers,
        .headers_count = a.headers_count,
    };
    out.text = calloc(1, out.len + 1);
    assert_non_null(out.text);
    body_copy(&a.body, out.text);
    body_close(&a.body);
    return out;
}

struct http_answer http_play(struct cstory *s, const struct http_request *r)
{
    bool read = false;
    struct cstory_call *c = play(s, r, &read);
    if (!c->answered) {
        (void)cstory_wait(s, c);
    }
    return written(c, r, read);
}

struct cstory_call *http_begin(struct cstory *s, const struct http_request *r)
{
    bool read = false;
    struct cstory_call *c = play(s, r, &read);
    return c->answered ? NULL : c;
}

void http_answer_close(struct http_answer *a)
{
    free(a->text);
    *a = (struct http_answer){0};
}

const char *http_answer_header(const struct http_answer *a, const char *name)
{
    for (unsigned i = 0; i < a->headers_count; i++) {
        if (strcmp(a->headers[i].name, name) == 0) {
            return a->headers[i].value.data;
        }
    }
    return NULL;
}

void http_expect(struct cstory *s, const struct http_request *r, int status,
                 const char *content_type, const char *body)
{
    struct http_answer a = http_play(s, r);
    const char *type = a.content_type ? a.content_type : "(none)";
    if (a.status != status || strcmp(a.text, body) != 0 ||
        strcmp(type, content_type ? content_type : "(none)") != 0) {
        fail_msg("%s %s: expected %d %s\n  %s\ngot %d %s\n  %s", r->path,
                 r->params ? r->params : "", status, content_type ? content_type : "(none)", body,
                 a.status, type, a.text);
    }
    http_answer_close(&a);
}
