#include "namespace_bed.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/form.h"
#include "namespace/namespace_http.h"
#include "store/applied.h"
#include "store/db_sqlite.h"

#define FLUSH_MS 20000

static void expect_ok(int err, const struct fail *fail)
{
    if (err) {
        fail_msg("%s: %s", err_name(err), fail_text(fail));
    }
}

static int open_one(void *self, bool is_writer, struct db **ret_db, struct fail *fail)
{
    const struct namespace_bed *b = self;
    struct db_sqlite_options options = {.is_reader = !is_writer};
    return db_sqlite_open(b->path, &options, ret_db, fail);
}

static void wake(void *self)
{
    struct namespace_bed *b = self;
    atomic_fetch_add(&b->wakes, 1);
}

static void on_fatal(void *self, const struct fail *why)
{
    (void)self;
    fail_msg("the tables gave up: %s", fail_text(why));
}

static size_t count_configs(void *self, struct span id)
{
    const struct namespace_bed *b = self;
    return span_empty(id) ? 3 : b->configs;
}

static void start(struct namespace_bed *b)
{
    static const struct migration_set *const sets[] = {&migrate_store, &migrate_namespace};
    struct fail fail = {0};
    struct db *db = NULL;
    struct applied applied = {0};
    expect_ok(db_sqlite_open(b->path, NULL, &db, &fail), &fail);
    expect_ok(migrate_run(db, sets, ARRAY_LEN(sets), &fail), &fail);
    expect_ok(applied_get(db, &applied, &fail), &fail);
    struct db_worker_options worker = {.open = open_one, .wake = wake, .self = b};
    expect_ok(db_worker_create(&worker, &b->worker, &fail), &fail);
    b->tables = table_writer_create(&(struct table_writer_options){.worker = b->worker,
                                                                   .path = b->path,
                                                                   .index = applied.index,
                                                                   .on_fatal = on_fatal,
                                                                   .self = b});
    struct namespace_options options = {.count_configs = count_configs, .self = b, .gate = b->gate};
    b->namespaces = namespace_create(&options, b->tables);
    expect_ok(namespace_load_tables(b->namespaces, db, &fail), &fail);
    db_destroy(db);
}

static void stop(struct namespace_bed *b)
{
    db_worker_destroy(b->worker);
    table_writer_destroy(b->tables);
    namespace_destroy(b->namespaces);
}

void bed_begin(struct namespace_bed *b)
{
    *b = (struct namespace_bed){.now = {.mono_ms = 1000, .wall_ms = 1700000000000}};
    (void)snprintf(b->dir, sizeof b->dir, "/tmp/nacre-namespace-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    (void)snprintf(b->path, sizeof b->path, "%s/data.db", b->dir);
    start(b);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void bed_end(struct namespace_bed *b)
{
    stop(b);
    outbox_close(&b->out);
    assert_int_equal(nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void bed_reopen(struct namespace_bed *b)
{
    stop(b);
    start(b);
}

void bed_commit(struct namespace_bed *b, struct span op, struct api_call *waiting)
{
    b->index++;
    namespace_commit(b->namespaces, b->index, op, waiting, b->now, &b->out);
    table_writer_entry_end(b->tables, b->index);
}

void bed_apply(struct namespace_bed *b, const struct namespace_op *op)
{
    struct buf *bytes = namespace_op_encode(op);
    bed_commit(b, buf_span(bytes), NULL);
    buf_unref(bytes);
}

void bed_flush(struct namespace_bed *b)
{
    uint64_t begin_ms = clock_mono_ms();
    while (table_writer_stats(b->tables).writes_waiting > 0) {
        assert_true(clock_mono_ms() < begin_ms + FLUSH_MS);
        (void)db_worker_collect(b->worker);
        table_writer_turn(b->tables, b->now);
    }
}

static const struct api_row *row_of(unsigned method, const char *path)
{
    size_t count = 0;
    const struct api_row *rows = namespace_http_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].methods & method && strcmp(rows[i].name, path) == 0) {
            return &rows[i];
        }
    }
    fail_msg("no row takes method %u of %s", method, path);
    return NULL;
}

/* What was proposed is committed; the call has an answer then. */
static void run_log(struct namespace_bed *b, const struct api_call *call)
{
    bool has_reply = false;
    for (size_t i = 0; i < b->out.count; i++) {
        struct effect *e = &b->out.list[i];
        if (e->kind == EFFECT_PROPOSE) {
            struct buf *op = e->u.propose.op;
            struct api_call *waiting = e->u.propose.waiting;
            assert_int_equal(e->u.propose.kind, CONSENSUS_NAMESPACE);
            e->u.propose.op = NULL;
            bed_commit(b, buf_span(op), waiting); /* may move the list */
            buf_unref(op);
        } else if (e->kind == EFFECT_REPLY) {
            assert_ptr_equal(e->u.reply.call, call);
            assert_false(has_reply);
            has_reply = true;
        }
    }
    assert_true(has_reply);
    outbox_clear(&b->out, 0);
}

static void take_answer(struct namespace_bed *b, struct api_call *call, int err)
{
    b->err = err;
    if (!err) {
        b->fail = call->reply.fail;
        b->err = b->fail.code;
    }
    b->content_type = call->reply.content_type;
    if (b->err) {
        assert_int_equal(b->fail.code, b->err);
        (void)snprintf(b->text, sizeof b->text, "%s", fail_text(&b->fail));
    } else {
        size_t len = body_len(&call->reply.body);
        assert_in_range(len, 1, sizeof b->text - 1);
        body_copy(&call->reply.body, b->text);
        b->text[len] = '\0';
    }
    body_close(&call->reply.body);
    arena_close(&call->arena);
}

void bed_call_after(struct namespace_bed *b, unsigned method, const char *path, const char *params,
                    void (*between)(struct namespace_bed *b))
{
    struct api_call call = {.row = row_of(method, path)};
    arena_init(&call.arena, API_ARENA_MAX);
    b->fail = (struct fail){0};
    char *query = mem_strndup(params, strlen(params));
    struct form form;
    form_init(&form, &call.arena, span_str(query), (struct span){0});
    assert_int_equal(form_add(&form, query, strlen(query), &b->fail), 0);
    struct api_params p = {.list = form.list, .count = form.count};
    int err = call.row->decode_http(&call, &p, &b->fail);
    if (!err) {
        int next = call.row->admit(b->namespaces, &call, b->now, &b->out, &b->fail);
        if (next == API_LATER) {
            if (between) {
                between(b);
            }
            run_log(b, &call);
        }
        err = next < 0 ? next : 0;
    }
    take_answer(b, &call, err);
    mem_free(query);
}

void bed_call(struct namespace_bed *b, unsigned method, const char *path, const char *params)
{
    bed_call_after(b, method, path, params, NULL);
}

static void expect(const struct namespace_bed *b, int err, const char *text)
{
    if (b->err != err || strcmp(b->text, text) != 0) {
        fail_msg("expected %s\n  %s\ngot %s\n  %s", err_name(err), text, err_name(b->err), b->text);
    }
}

void bed_expect(struct namespace_bed *b, unsigned method, const char *path, const char *params,
                const char *body)
{
    bed_call(b, method, path, params);
    expect(b, 0, body);
    assert_string_equal(b->content_type, "application/json");
}

void bed_refuse(struct namespace_bed *b, unsigned method, const char *path, const char *params,
                int err, const char *text)
{
    bed_call(b, method, path, params);
    expect(b, err, text);
}
