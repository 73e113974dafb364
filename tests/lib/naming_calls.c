#include "naming_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <utlist.h>

#include "base/mem.h"
#include "http/form.h"
#include "naming/naming_http.h"
#include "naming/naming_rows.h"

void answer_free(struct answer *a)
{
    mem_free(a->text);
    a->text = NULL;
}

const struct api_row *row_of_rpc(const char *type)
{
    size_t count = 0;
    const struct api_row *rows = naming_rpc_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, type) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row takes %s", type);
    return NULL;
}

const struct api_row *row_of_http(unsigned method, const char *path)
{
    size_t count = 0;
    const struct api_row *rows = naming_http_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].methods & method && strcmp(rows[i].name, path) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row takes method %u of %s", method, path);
    return NULL;
}

/* Linked into the story, which marks it answered. */
static struct story_call *call_create(struct story *s, const struct api_row *row)
{
    struct story_call *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    arena_init(&c->call.arena, API_ARENA_MAX);
    c->call.row = row;
    c->call.caller.client_ip = SPAN("192.0.2.9");
    c->call.caller.remote_ip = SPAN("192.0.2.9");
    LL_PREPEND(s->calls, c);
    return c;
}

static struct answer finish(struct story *s, struct story_call *c, int err, const struct fail *why)
{
    struct answer a = {.err = err, .fail = *why};
    if (!err) {
        assert_true(c->answered);
        a.fail = c->call.reply.fail;
        a.err = a.fail.code;
    }
    if (a.err) {
        assert_int_equal(a.fail.code, a.err);
        const char *text = fail_text(&a.fail);
        a.text = mem_strndup(text, strlen(text));
        s->fail = a.fail;
    } else {
        size_t len = body_len(&c->call.reply.body);
        a.text = mem_zalloc(len + 1, 1);
        body_copy(&c->call.reply.body, a.text);
    }
    body_close(&c->call.reply.body);
    arena_close(&c->call.arena);
    LL_DELETE(s->calls, c);
    free(c);
    return a;
}

/* From the decoded call to its answer. */
static struct answer run(struct story *s, struct story_call *c)
{
    struct fail fail = {0};
    const struct api_row *row = c->call.row;
    if (row->read) {
        int next = row->read(s->view, &c->call, s->now, &fail);
        assert_true(next != API_LATER);
        if (next != API_TO_CORE) {
            c->answered = next == API_ANSWERED;
            struct answer a = finish(s, c, next, &fail);
            a.read = true;
            return a;
        }
    }
    assert_non_null(row->admit);
    int next = row->admit(s->naming, &c->call, s->now, &s->out, &fail);
    assert_true(next != API_TO_CORE);
    c->answered = next == API_ANSWERED;
    story_turn(s);
    return finish(s, c, next < 0 ? next : 0, &fail);
}

/* As if input had taken all that it may. */
static void fill(struct arena *arena)
{
    arena->max = arena->used;
    assert_null(arena_try(arena, 1));
}

static struct answer play_rpc(struct story *s, uint64_t conn, const char *type, struct span json,
                              bool full)
{
    struct story_call *c = call_create(s, row_of_rpc(type));
    const struct client *client = client_of_conn(s->naming, conn);
    c->call.caller.source = API_GRPC;
    c->call.caller.conn = conn;
    c->call.caller.conn_id =
        client ? span_of(client->id, client->id_len) : SPAN("id-of-the-caller");
    struct fail fail = {0};
    if (full) {
        fill(&c->call.arena);
    }
    int err = c->call.row->decode_rpc(&c->call, json, &fail);
    return err ? finish(s, c, err, &fail) : run(s, c);
}

struct answer call_rpc_span(struct story *s, uint64_t conn, const char *type, struct span json)
{
    return play_rpc(s, conn, type, json, false);
}

struct answer call_rpc_full(struct story *s, uint64_t conn, const char *type, const char *json)
{
    return play_rpc(s, conn, type, span_str(json), true);
}

struct answer call_rpc(struct story *s, uint64_t conn, const char *type, const char *json)
{
    return call_rpc_span(s, conn, type, span_str(json));
}

static struct answer play_http(struct story *s, unsigned method, const char *path,
                               const char *params, bool full)
{
    struct story_call *c = call_create(s, row_of_http(method, path));
    c->call.caller.source = API_HTTP;
    struct fail fail = {0};
    char *query = mem_strndup(params, strlen(params));
    struct form form;
    form_init(&form, &c->call.arena, span_str(query), (struct span){0});
    int err = form_add(&form, query, strlen(query), &fail);
    assert_int_equal(err, 0);
    struct api_params p = {.list = form.list, .count = form.count};
    if (full) {
        fill(&c->call.arena);
    }
    err = c->call.row->decode_http(&c->call, &p, &fail);
    struct answer a = err ? finish(s, c, err, &fail) : run(s, c);
    mem_free(query);
    return a;
}

/* Replace the number behind each lastRefTime by 0. */
static void blank_stamps(char *text)
{
    const char *key = "\"lastRefTime\":";
    for (char *at = strstr(text, key); at; at = strstr(at, key)) {
        at += strlen(key);
        size_t digits = strspn(at, "0123456789");
        assert_true(digits == 13); /* milliseconds of this age: what clients compare */
        *at = '0';
        memmove(at + 1, at + digits, strlen(at + digits) + 1);
    }
}

struct answer call_http(struct story *s, unsigned method, const char *path, const char *params)
{
    return play_http(s, method, path, params, false);
}

struct answer call_http_full(struct story *s, unsigned method, const char *path, const char *params)
{
    return play_http(s, method, path, params, true);
}

static void expect(struct answer *a, int err, const char *text)
{
    if (!err) {
        blank_stamps(a->text);
    }
    if (a->err != err || strcmp(a->text, text) != 0) {
        fail_msg("expected %s\n  %s\ngot %s\n  %s", err_name(err), text, err_name(a->err), a->text);
    }
    answer_free(a);
}

void expect_rpc(struct story *s, uint64_t conn, const char *type, const char *json,
                const char *body)
{
    struct answer a = call_rpc(s, conn, type, json);
    expect(&a, 0, body);
}

void refuse_rpc(struct story *s, uint64_t conn, const char *type, const char *json, int err,
                const char *text)
{
    struct answer a = call_rpc(s, conn, type, json);
    expect(&a, err, text);
}

void expect_http(struct story *s, unsigned method, const char *path, const char *params,
                 const char *body)
{
    struct answer a = call_http(s, method, path, params);
    expect(&a, 0, body);
}

void refuse_http(struct story *s, unsigned method, const char *path, const char *params, int err,
                 const char *text)
{
    struct answer a = call_http(s, method, path, params);
    expect(&a, err, text);
}
