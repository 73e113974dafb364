#include "config_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <utlist.h>

#include "base/mem.h"
#include "base/thread.h"
#include "config/config.h"
#include "store/applied.h"
#include "store/db_sqlite.h"
#include "store/migrate.h"

#define WAIT_S 20
#define ROUNDS_MAX 64

struct config_options cstory_options(void)
{
    return (struct config_options){
        .memory_bytes_max = 64u << 20,
        .content_chars_max = 10485760,
        .gray_max = CONFIG_GRAY_MAX,
        .notify_retry_ms = 1000,
        .notify_tries_max = 50,
        .poll_hold_least_ms = 10000,
        .polls_max = 1000,
        .listens_max = 100000,
    };
}

static int open_db(void *self, bool is_writer, struct db **ret_db, struct fail *fail)
{
    const struct cstory *s = self;
    struct db_sqlite_options options = {.must_exist = true, .is_reader = !is_writer};
    return db_sqlite_open(s->path, &options, ret_db, fail);
}

static void wake(void *self)
{
    struct cstory *s = self;
    (void)pthread_mutex_lock(&s->lock);
    s->wakes++;
    (void)pthread_cond_signal(&s->woken);
    (void)pthread_mutex_unlock(&s->lock);
}

static void on_fatal(void *self, const struct fail *why)
{
    struct cstory *s = self;
    s->fail = *why;
    s->fatal++;
}

static void check(int err, const struct fail *fail)
{
    if (err) {
        print_error("%s: %s\n", err_name(err), fail_text(fail));
    }
    assert_int_equal(err, 0);
}

/* What the log has beyond the tables. */
static void replay(struct cstory *s, uint64_t index)
{
    for (size_t i = 0; i < s->entries_count; i++) {
        const struct cstory_entry *e = &s->entries[i];
        if (e->index <= index) {
            continue;
        }
        config_commit(s->config, e->index, buf_span(e->op), NULL, s->now, &s->out);
        config_check(s->config);
        if (i + 1 == s->entries_count || s->entries[i + 1].index != e->index) {
            table_writer_entry_end(s->tables, e->index);
        }
    }
    outbox_clear(&s->out, 0);
}

/* Open or make the tables, load them, start the threads. */
static void start(struct cstory *s, const struct config_options *options)
{
    static const struct migration_set *const sets[] = {&migrate_store, &migrate_config};
    struct fail fail = {0};
    struct db *db = NULL;
    struct applied applied = {0};
    check(db_sqlite_open(s->path, NULL, &db, &fail), &fail);
    check(migrate_run(db, sets, ARRAY_LEN(sets), &fail), &fail);
    check(applied_get(db, &applied, &fail), &fail);
    struct db_worker_options worker = {.open = open_db, .wake = wake, .self = s, .readers = 2};
    check(db_worker_create(&worker, &s->worker, &fail), &fail);
    struct table_writer_options tables = {
        .worker = s->worker,
        .path = s->path,
        .index = applied.index,
        .on_fatal = on_fatal,
        .self = s,
    };
    s->tables = table_writer_create(&tables);
    s->view = view_create();
    s->config = config_create(options, s->view, s->tables);
    check(config_load_tables(s->config, db, s->now, &fail), &fail);
    config_check(s->config);
    db_destroy(db);
    replay(s, applied.index);
}

void cstory_begin(struct cstory *s, const struct config_options *options)
{
    thread_become(THREAD_CORE, "story");
    *s = (struct cstory){.now = {.mono_ms = 1000000, .wall_ms = 1700000000000}};
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&s->woken, NULL), 0);
    snprintf(s->dir, sizeof(s->dir), "/tmp/nacre-config-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->path, sizeof(s->path), "%s/config.db", s->dir);
    struct config_options usual = cstory_options();
    start(s, options ? options : &usual);
}

static void answer(struct cstory *s, struct api_call *api)
{
    (void)s;
    struct cstory_call *call = CONTAINER_OF(api, struct cstory_call, call);
    assert_false(call->answered);
    call->answered = true;
}

static void receive(struct cstory *s, const struct effect *e)
{
    size_t len = body_len(&e->u.push.body);
    for (size_t i = 0; i < e->u.push.count; i++) {
        struct cstory_push *push = calloc(1, sizeof(*push));
        assert_non_null(push);
        push->conn = e->u.push.conns[i];
        push->json = calloc(1, len + 1);
        assert_non_null(push->json);
        body_copy(&e->u.push.body, push->json);
        LL_APPEND(s->pushes, push);
    }
}

static void take_op(struct cstory *s, struct effect *e)
{
    struct cstory_op *op = calloc(1, sizeof(*op));
    assert_non_null(op);
    assert_int_equal(e->u.propose.kind, CONSENSUS_CONFIG);
    op->op = e->u.propose.op;
    op->waiting = e->u.propose.waiting;
    e->u.propose.op = NULL;
    e->u.propose.waiting = NULL;
    LL_APPEND(s->log, op);
}

static void perform(struct cstory *s)
{
    for (size_t i = 0; i < s->out.count; i++) {
        struct effect *e = &s->out.list[i];
        switch (e->kind) {
        case EFFECT_REPLY:
            answer(s, e->u.reply.call);
            e->u.reply.call = NULL;
            break;
        case EFFECT_PUSH:
            receive(s, e);
            break;
        case EFFECT_PROPOSE:
            take_op(s, e);
            break;
        case EFFECT_CONN_ACCEPT:
        case EFFECT_CONN_CLOSE:
        case EFFECT_PEER:
            break; /* told to another node: the test looks at the outbox */
        case EFFECT_TRACE:
            break;
        }
    }
    outbox_clear(&s->out, 0);
}

static void keep_entry(struct cstory *s, struct buf *take_op)
{
    if (s->entries_count == s->entries_cap) {
        s->entries_cap = s->entries_cap ? s->entries_cap * 2 : 64;
        s->entries = mem_realloc(s->entries, s->entries_cap, sizeof(*s->entries));
    }
    s->entries[s->entries_count++] = (struct cstory_entry){s->index, take_op};
}

/* Everything proposed is one entry. */
static void commit_all(struct cstory *s)
{
    if (!s->log || s->log_stuck) {
        return;
    }
    struct cstory_op *list = s->log;
    s->log = NULL;
    s->index++;
    struct cstory_op *op = NULL;
    struct cstory_op *next = NULL;
    LL_FOREACH_SAFE(list, op, next)
    {
        config_commit(s->config, s->index, buf_span(op->op), op->waiting, s->now, &s->out);
        config_check(s->config);
        keep_entry(s, op->op);
        free(op);
    }
    table_writer_entry_end(s->tables, s->index);
}

void cstory_turn(struct cstory *s)
{
    (void)db_worker_collect(s->worker);
    perform(s);
    for (int round = 0; s->log && !s->log_stuck; round++) {
        assert_in_range(round, 0, ROUNDS_MAX);
        commit_all(s);
        perform(s);
    }
    config_turn(s->config, s->now, &s->out);
    config_check(s->config);
    perform(s);
    if (!s->tables_behind) {
        table_writer_turn(s->tables, s->now);
    }
}

/* Until a db thread has finished something. */
static void wait_wake(struct cstory *s)
{
    struct timespec end;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
    end.tv_sec += WAIT_S;
    int err = 0;
    (void)pthread_mutex_lock(&s->lock);
    while (s->wakes == s->wakes_seen && err == 0) {
        err = pthread_cond_timedwait(&s->woken, &s->lock, &end);
    }
    s->wakes_seen = s->wakes;
    (void)pthread_mutex_unlock(&s->lock);
    assert_int_equal(err, 0);
}

static bool is_loading(const struct cstory *s)
{
    for (const struct item *i = s->config->items; i; i = i->hh.next) {
        if (i->load) {
            return true;
        }
    }
    return false;
}

void cstory_settle(struct cstory *s)
{
    cstory_turn(s);
    while (table_writer_stats(s->tables).writes_waiting > 0 || is_loading(s)) {
        wait_wake(s);
        cstory_turn(s);
    }
}

void cstory_advance(struct cstory *s, uint64_t ms)
{
    uint64_t end = s->now.mono_ms + ms;
    int64_t wall_end = s->now.wall_ms + (int64_t)ms;
    cstory_turn(s);
    for (uint64_t at = config_deadline(s->config); at <= end; at = config_deadline(s->config)) {
        if (at > s->now.mono_ms) {
            s->now.wall_ms += (int64_t)(at - s->now.mono_ms);
            s->now.mono_ms = at;
        }
        cstory_turn(s);
    }
    s->now = (struct now){.mono_ms = end, .wall_ms = wall_end};
    cstory_turn(s);
}

static void stop(struct cstory *s)
{
    config_stop(s->config, s->now, &s->out);
    perform(s);
    struct cstory_op *op = NULL;
    struct cstory_op *next = NULL;
    struct fail why = {0};
    (void)fail_set(&why, E_CLOSED, "the server is stopping");
    LL_FOREACH_SAFE(s->log, op, next)
    {
        if (op->waiting) {
            config_rejected(s->config, op->waiting, &why, &s->out);
        }
        buf_unref(op->op);
        free(op);
    }
    s->log = NULL;
    db_worker_destroy(s->worker);
    table_writer_destroy(s->tables);
    config_stop(s->config, s->now, &s->out);
    perform(s);
    config_check(s->config);
    config_destroy(s->config);
    view_destroy(s->view);
}

void cstory_restart(struct cstory *s, const struct config_options *options)
{
    struct config_options same = s->config->options;
    stop(s);
    start(s, options ? options : &same);
}

static void drop_pushes(struct cstory *s)
{
    struct cstory_push *push = NULL;
    struct cstory_push *next = NULL;
    LL_FOREACH_SAFE(s->pushes, push, next)
    {
        free(push->json);
        free(push);
    }
}

static void drop_calls(struct cstory *s)
{
    struct cstory_call *call = NULL;
    struct cstory_call *next = NULL;
    LL_FOREACH_SAFE(s->calls, call, next)
    {
        body_close(&call->call.reply.body);
        arena_close(&call->call.arena);
        free(call);
    }
}

void cstory_end(struct cstory *s)
{
    static const char *const files[] = {"config.db", "config.db-wal", "config.db-shm"};
    stop(s);
    drop_pushes(s);
    drop_calls(s);
    outbox_close(&s->out);
    for (size_t i = 0; i < s->entries_count; i++) {
        buf_unref(s->entries[i].op);
    }
    mem_free(s->entries);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", s->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(s->dir);
    assert_int_equal(s->fatal, 0);
    (void)pthread_cond_destroy(&s->woken);
    (void)pthread_mutex_destroy(&s->lock);
}

/* A db thread has answered a query. */
static void deliver(struct api_call *api)
{
    struct cstory_call *call = CONTAINER_OF(api, struct cstory_call, call);
    (void)pthread_mutex_lock(&call->story->lock);
    call->delivered = true;
    (void)pthread_mutex_unlock(&call->story->lock);
    wake(call->story);
}

static bool is_delivered(struct cstory_call *call)
{
    (void)pthread_mutex_lock(&call->story->lock);
    bool delivered = call->delivered;
    (void)pthread_mutex_unlock(&call->story->lock);
    return delivered;
}

struct cstory_call *cstory_call(struct cstory *s)
{
    struct cstory_call *call = calloc(1, sizeof(*call));
    assert_non_null(call);
    arena_init(&call->call.arena, API_ARENA_MAX);
    call->call.caller.remote_ip = SPAN("10.0.0.9");
    call->call.caller.client_ip = SPAN("10.0.0.9");
    call->call.deliver = deliver;
    call->story = s;
    LL_PREPEND(s->calls, call);
    return call;
}

static int code_of(struct cstory *s, const struct cstory_call *call)
{
    if (call->answered && call->call.reply.fail.code) {
        assert_int_equal(call->call.reply.body.parts, 0);
        s->fail = call->call.reply.fail;
        return call->call.reply.fail.code;
    }
    return 0;
}

int cstory_conclude(struct cstory *s, struct cstory_call *call, int next, const struct fail *fail)
{
    if (next < 0) {
        assert_int_equal(fail->code, next);
        s->fail = *fail;
        call->answered = true;
        cstory_turn(s);
        return next;
    }
    if (next == API_ANSWERED) {
        call->answered = true;
    }
    cstory_turn(s);
    return code_of(s, call);
}

int cstory_wait(struct cstory *s, struct cstory_call *call)
{
    cstory_turn(s);
    while (!call->answered) {
        if (is_delivered(call)) {
            call->answered = true;
            break;
        }
        /* The turn itself may have proposed: a clone's import. */
        if (!s->log || s->log_stuck) {
            wait_wake(s);
        }
        cstory_turn(s);
    }
    return code_of(s, call);
}

struct config_form cstory_form(const char *data_id, const char *content)
{
    return (struct config_form){.key = cstory_key(data_id), .content = span_str(content)};
}

struct config_key cstory_key(const char *data_id)
{
    return (struct config_key){SPAN(""), SPAN("DEFAULT_GROUP"), span_str(data_id)};
}

static const struct config_actor usual_actor = {{"user", 4}, {"10.0.0.9", 8}};

int cstory_publish_form(struct cstory *s, const struct config_form *form)
{
    struct cstory_call *call = cstory_call(s);
    struct fail fail = {0};
    struct config_publish p = {0};
    api_answer_text(&call->call, SPAN("true"));
    int err =
        config_form_check(form, s->config->options.content_chars_max, &call->call.arena, &p, &fail);
    if (!err) {
        err =
            config_admit_publish(s->config, &p, &usual_actor, &call->call, s->now, &s->out, &fail);
    }
    return cstory_conclude(s, call, err, &fail);
}

int cstory_publish(struct cstory *s, const char *data_id, const char *content)
{
    struct config_form form = cstory_form(data_id, content);
    return cstory_publish_form(s, &form);
}

int cstory_publish_tag(struct cstory *s, const char *data_id, const char *tag, const char *content)
{
    struct config_form form = cstory_form(data_id, content);
    form.tag = span_str(tag);
    return cstory_publish_form(s, &form);
}

int cstory_publish_beta(struct cstory *s, const char *data_id, const char *ips, const char *content)
{
    struct config_form form = cstory_form(data_id, content);
    form.beta_ips = span_str(ips);
    return cstory_publish_form(s, &form);
}

int cstory_remove(struct cstory *s, const char *data_id, const char *gray)
{
    struct cstory_call *call = cstory_call(s);
    struct fail fail = {0};
    struct config_key key = cstory_key(data_id);
    api_answer_text(&call->call, SPAN("true"));
    int next = config_admit_remove(s->config, &key, span_str(gray), &usual_actor, &call->call,
                                   s->now, &s->out, &fail);
    return cstory_conclude(s, call, next, &fail);
}

void cstory_commit(struct cstory *s, const struct config_op *op)
{
    outbox_propose(&s->out, CONSENSUS_CONFIG, config_op_encode(op), NULL);
    cstory_turn(s);
}

struct item *cstory_item(struct cstory *s, const char *data_id)
{
    struct config_key key = cstory_key(data_id);
    return item_find(s->config, &key);
}

const char *cstory_read(struct cstory *s, const char *data_id, const struct config_reader *reader)
{
    static char text[64 * 1024];
    char buffer[VIEW_KEY_MAX];
    struct config_key key = cstory_key(data_id);
    struct view_value *base = NULL;
    int64_t stamp = 0;
    enum view_take take =
        view_take(s->view, config_key_view(&key, buffer), s->now.wall_ms, &base, &stamp);
    assert_int_not_equal(take, VIEW_STALE);
    struct config_value *value = base ? CONTAINER_OF(base, struct config_value, base) : NULL;
    struct config_reader nobody = {0};
    struct config_choice choice = config_choose(value, reader ? reader : &nobody);
    const char *result = NULL;
    if (choice.version && !choice.version->content) {
        result = "(cold)";
    } else if (choice.version) {
        struct span bytes = buf_span(choice.version->content);
        assert_in_range(bytes.len, 0, sizeof(text) - 1);
        memcpy(text, bytes.data, bytes.len);
        text[bytes.len] = '\0';
        result = text;
    }
    if (value) {
        atomic_store(&value->used, true);
    }
    view_value_unref(base);
    return result;
}

int64_t cstory_number(struct cstory *s, const struct db_stmt *stmt)
{
    cstory_settle(s);
    struct fail fail = {0};
    struct db *db = NULL;
    struct db_query *q = NULL;
    bool has_row = false;
    struct db_sqlite_options options = {.must_exist = true, .is_reader = true};
    check(db_sqlite_open(s->path, &options, &db, &fail), &fail);
    check(db_query(db, stmt, &q, &fail), &fail);
    check(db_step(q, &has_row, &fail), &fail);
    assert_true(has_row);
    int64_t number = db_col_int64(q, 0);
    db_done(q);
    db_destroy(db);
    return number;
}
