/* Imports and clones: pieces through the log, policies, and what the caller hears (http-api.md
 * 2.8; golden http/config-batch). */
#include "config/import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config_harness.h"

static int set_up(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    cstory_begin(s, NULL);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct cstory *s = *state;
    cstory_end(s);
    free(s);
    return 0;
}

/* An import of count configs "n0", "n1"... of one content. */
static struct import_job *job_of(struct cstory *s, struct cstory_call *call, size_t count,
                                 struct span content, enum config_policy policy)
{
    struct arena *arena = &call->call.arena;
    struct import_job *job = arena_alloc(arena, sizeof(*job));
    struct config_publish *list = arena_alloc(arena, count * sizeof(*list));
    struct fail fail = {0};
    for (size_t i = 0; i < count; i++) {
        struct config_form form = cstory_form(arena_printf(arena, "n%zu", i).data, "");
        form.content = content;
        assert_int_equal(
            config_form_check(&form, s->config->options.content_chars_max, arena, &list[i], &fail),
            0);
    }
    job->list = list;
    job->count = count;
    job->policy = policy;
    job->who = (struct config_actor){SPAN("joe"), SPAN("10.0.0.9")};
    job->done_message = IMPORT_DONE;
    return job;
}

/* Start it; 0, or the code of its failure (now or after the turn). */
static int start(struct cstory *s, struct import_job *job, struct cstory_call *call)
{
    struct fail fail = {0};
    int next = import_start(s->config, job, &call->call, s->now, &s->out, &fail);
    return cstory_conclude(s, call, next, &fail);
}

static void check_body(const struct cstory_call *call, const char *text)
{
    char got[4096] = "";
    assert_true(call->answered);
    assert_in_range(body_len(&call->call.reply.body), 1, sizeof(got) - 1);
    body_copy(&call->call.reply.body, got);
    assert_string_equal(got, text);
}

static void check_empty(const struct cstory *s)
{
    assert_null(s->config->imports);
    assert_int_equal(s->config->import_bytes, 0);
    assert_int_equal(s->config->clones_out, 0);
}

/* ------------------------------------------------------------------ policies */

static void test_import__nothing_there__all_are_stored(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(start(s, job_of(s, call, 3, SPAN("x"), CONFIG_ABORT), call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\","
                     "\"data\":{\"succCount\":3,\"skipCount\":0}}");
    assert_string_equal(cstory_read(s, "n2", NULL), "x");
    check_empty(s);
}

static void test_import__overwrite__replaces_what_is_there(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "n1", "old"), 0);
    assert_int_equal(start(s, job_of(s, call, 3, SPAN("x"), CONFIG_OVERWRITE), call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\","
                     "\"data\":{\"succCount\":3,\"skipCount\":0}}");
    assert_string_equal(cstory_read(s, "n1", NULL), "x");
}

static void test_import__skip__leaves_what_is_there(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "n1", "old"), 0);
    assert_int_equal(start(s, job_of(s, call, 3, SPAN("x"), CONFIG_SKIP), call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":2,"
                     "\"skipCount\":1,\"skipData\":[{\"dataId\":\"n1\",\"group\":"
                     "\"DEFAULT_GROUP\"}]}}");
    assert_string_equal(cstory_read(s, "n1", NULL), "old");
    assert_string_equal(cstory_read(s, "n2", NULL), "x");
}

static void test_import__abort__stops_at_the_first_that_is_there(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "n1", "old"), 0);
    assert_int_equal(start(s, job_of(s, call, 4, SPAN("x"), CONFIG_ABORT), call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":1,"
                     "\"skipCount\":2,"
                     "\"failData\":[{\"dataId\":\"n1\",\"group\":\"DEFAULT_GROUP\"}],"
                     "\"skipData\":[{\"dataId\":\"n2\",\"group\":\"DEFAULT_GROUP\"},"
                     "{\"dataId\":\"n3\",\"group\":\"DEFAULT_GROUP\"}]}}");
    assert_string_equal(cstory_read(s, "n0", NULL), "x");
    assert_string_equal(cstory_read(s, "n1", NULL), "old");
    assert_null(cstory_read(s, "n2", NULL));
    check_empty(s);
}

static void test_import__same_config_twice__conflicts_with_itself(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct import_job *job = job_of(s, call, 2, SPAN("x"), CONFIG_ABORT);
    struct config_publish list[2] = {job->list[0], job->list[0]};
    job->list = list;
    assert_int_equal(start(s, job, call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":1,"
                     "\"skipCount\":0,"
                     "\"failData\":[{\"dataId\":\"n0\",\"group\":\"DEFAULT_GROUP\"}]}}");
}

static void test_import__refused_by_its_rules__is_in_fail_data(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "n0", "old"), 0);
    struct import_job *job = job_of(s, call, 1, SPAN("x"), CONFIG_OVERWRITE);
    struct config_publish p = job->list[0];
    p.cas_md5 = SPAN("0123456789abcdef0123456789abcdef");
    job->list = &p;
    assert_int_equal(start(s, job, call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":0,"
                     "\"skipCount\":0,"
                     "\"failData\":[{\"dataId\":\"n0\",\"group\":\"DEFAULT_GROUP\"}]}}");
}

static void test_import__unrecognized__are_counted_and_named(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    static const struct span names[] = {{"one-level", 9}, {"a\"b/c/d", 7}};
    struct import_job *job = job_of(s, call, 1, SPAN("x"), CONFIG_ABORT);
    job->unrecognized = names;
    job->unrecognized_count = 2;
    assert_int_equal(start(s, job, call), 0);
    check_body(call, "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":1,"
                     "\"unrecognizedCount\":2,\"skipCount\":0,\"unrecognizedData\":[{\"itemName\":"
                     "\"one-level\"},{\"itemName\":\"a\\\"b/c/d\"}]}}");
}

/* ------------------------------------------------------------------ pieces */

static void test_pieces__many_items__one_entry_per_thousand(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    uint64_t before = s->index;
    assert_int_equal(start(s, job_of(s, call, 2500, SPAN("x"), CONFIG_ABORT), call), 0);
    assert_int_equal(s->index - before, 3);
    check_body(call, "{\"code\":200,\"message\":\"import success\","
                     "\"data\":{\"succCount\":2500,\"skipCount\":0}}");
    assert_int_equal(config_stats(s->config).configs, 2500);
}

static void test_pieces__large_contents__fit_an_entry_each(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    size_t size = CONFIG_CONTENT_BYTES_MAX;
    char *content = mem_alloc(size);
    memset(content, 'x', size);
    uint64_t before = s->index;
    assert_int_equal(start(s, job_of(s, call, 2, span_of(content, size), CONFIG_ABORT), call), 0);
    assert_int_equal(s->index - before, 2);
    size = IMPORT_PIECE_BYTES / 2 - 100;
    struct cstory_call *second = cstory_call(s);
    before = s->index;
    assert_int_equal(
        start(s, job_of(s, second, 5, span_of(content, size), CONFIG_OVERWRITE), second), 0);
    assert_int_equal(s->index - before, 3);
    mem_free(content);
}

static void test_pieces__abort_in_the_second__ends_the_import(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    uint64_t before = s->index;
    assert_int_equal(cstory_publish(s, "n1000", "old"), 0);
    assert_int_equal(start(s, job_of(s, call, 2500, SPAN("x"), CONFIG_ABORT), call), 0);
    assert_int_equal(s->index - before, 3); /* the publish and two pieces */
    assert_true(call->answered);
    assert_int_equal(config_stats(s->config).configs, 1001);
    check_empty(s);
}

static void test_pieces__log_refuses_the_first__call_fails(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct fail why = {0};
    s->log_stuck = true;
    assert_int_equal(start(s, job_of(s, call, 3, SPAN("x"), CONFIG_ABORT), call), 0);
    assert_false(call->answered);
    assert_non_null(s->config->imports);
    assert_true(s->config->import_bytes > 0);
    (void)fail_set(&why, E_FULL, "the disk is full");
    s->log->waiting = NULL;
    config_rejected(s->config, &call->call, &why, &s->out);
    cstory_turn(s);
    assert_int_equal(call->call.reply.fail.code, E_FULL);
    assert_string_equal(call->call.reply.fail.text, "the disk is full");
    check_empty(s);
}

static void test_pieces__log_refuses_a_later_one__call_says_what_is_stored(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct import_job *job = job_of(s, call, 2000, SPAN("x"), CONFIG_SKIP);
    struct fail why = {0};
    assert_int_equal(cstory_publish(s, "n7", "old"), 0);
    s->log_stuck = true;
    assert_int_equal(start(s, job, call), 0);
    struct cstory_op *op = s->log;
    s->log = NULL;
    config_commit(s->config, ++s->index, buf_span(op->op), &call->call, s->now, &s->out);
    table_writer_entry_end(s->tables, s->index);
    buf_unref(op->op);
    free(op);
    cstory_turn(s);
    assert_non_null(s->log);
    assert_false(call->answered);
    (void)fail_set(&why, E_FULL, "the disk is full");
    s->log->waiting = NULL;
    config_rejected(s->config, &call->call, &why, &s->out);
    cstory_turn(s);
    assert_int_equal(call->call.reply.fail.code, E_FULL);
    assert_string_equal(call->call.reply.fail.text,
                        "1000 of 2000 configs were looked at, 999 of them stored, then: the disk "
                        "is full");
    check_empty(s);
}

static void test_rejected__call_of_another_feature__is_not_ours(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct fail why = {.code = E_FULL};
    assert_false(import_on_rejected(s->config, &call->call, &why, &s->out));
}

/* ------------------------------------------------------------------ limits */

static void test_limit__too_many_items__are_refused(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct import_job *job = job_of(s, call, 1, SPAN("x"), CONFIG_ABORT);
    job->count = CONFIG_IMPORT_MAX + 1;
    assert_int_equal(start(s, job, call), E_TOO_LARGE);
    assert_string_equal(s->fail.text, "at most 10000 configs in one request, got 10001");
    check_empty(s);
}

static void test_limit__bytes_of_all_imports__are_bounded(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    s->config->import_bytes = IMPORT_BYTES_MAX - 1;
    assert_int_equal(start(s, job_of(s, call, 1, SPAN("x"), CONFIG_ABORT), call), E_LIMIT);
    assert_non_null(strstr(s->fail.text, "bytes of imports go on already"));
    s->config->import_bytes = 0;
    call = cstory_call(s);
    assert_int_equal(start(s, job_of(s, call, 1, SPAN("x"), CONFIG_ABORT), call), 0);
}

/* ------------------------------------------------------------------ codes */

static void test_codes__have_their_texts(void **state)
{
    struct cstory *s = *state;
    static const struct {
        enum import_code code;
        bool with_count;
        const char *why;
        const char *body;
    } rows[] = {
        {IMPORT_NO_NAMESPACE, true, NULL,
         "{\"code\":100001,\"message\":\"目标 namespace 不存在\",\"data\":{\"succCount\":0}}"},
        {IMPORT_BAD_METADATA, true, "line 1: \"x\"",
         "{\"code\":100002,\"message\":\"导入的元数据非法\",\"data\":{\"succCount\":0,"
         "\"reason\":\"line 1: \\\"x\\\"\"}}"},
        {IMPORT_NO_VALID_DATA, true, NULL,
         "{\"code\":100003,\"message\":\"未读取到合法数据\",\"data\":{\"succCount\":0}}"},
        {IMPORT_UNREADABLE, true, NULL,
         "{\"code\":100004,\"message\":\"解析数据失败\",\"data\":{\"succCount\":0}}"},
        {IMPORT_EMPTY, false, NULL,
         "{\"code\":100005,\"message\":\"导入的文件数据为空\",\"data\":{}}"},
        {IMPORT_NOTHING_CHOSEN, true, NULL,
         "{\"code\":100006,\"message\":\"没有选择任何配置\",\"data\":{\"succCount\":0}}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cstory_call *call = cstory_call(s);
        import_answer_code(&call->call, rows[i].code, rows[i].with_count, rows[i].why);
        call->answered = true;
        check_body(call, rows[i].body);
    }
}

/* ------------------------------------------------------------------ clones */

static struct import_clone *clone_of(struct cstory_call *call, const struct import_pick *picks,
                                     size_t count)
{
    struct import_clone *m = arena_alloc(&call->call.arena, sizeof(*m));
    m->picks = picks;
    m->count = count;
    m->tenant = SPAN("clone-ns");
    m->policy = CONFIG_ABORT;
    m->who = (struct config_actor){SPAN("joe"), SPAN("10.0.0.9")};
    return m;
}

/* Play it until its answer. */
static int play(struct cstory *s, const struct import_clone *m, struct cstory_call *call)
{
    struct fail fail = {0};
    int next = import_clone(s->config, m, &call->call, &fail);
    if (next < 0) {
        return cstory_conclude(s, call, next, &fail);
    }
    return cstory_wait(s, call);
}

static uint64_t id_of(struct cstory *s, const char *data_id)
{
    const struct item *i = cstory_item(s, data_id);
    assert_non_null(i);
    return i->id;
}

static const char *read_cloned(struct cstory *s, const char *group, const char *data_id)
{
    static char text[256];
    struct config_key key = {SPAN("clone-ns"), span_str(group), span_str(data_id)};
    const struct item *i = item_find(s->config, &key);
    if (!i || !i->value || !i->value->formal) {
        return NULL;
    }
    struct span content = buf_span(i->value->formal->content);
    (void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(content));
    return text;
}

static void test_clone__ids__are_copied_with_new_names(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "a", "1"), 0);
    assert_int_equal(cstory_publish(s, "b", "2"), 0);
    struct import_pick picks[] = {
        {.id = id_of(s, "a"), .data_id = SPAN("cloned-1"), .group = SPAN("CG")},
        {.id = id_of(s, "b"), .data_id = SPAN(" ")},
    };
    assert_int_equal(play(s, clone_of(call, picks, 2), call), 0);
    check_body(call, "{\"code\":200,\"message\":\"Clone Completed Successfully\","
                     "\"data\":{\"succCount\":2,\"skipCount\":0}}");
    assert_string_equal(read_cloned(s, "CG", "cloned-1"), "1");
    assert_string_equal(read_cloned(s, "DEFAULT_GROUP", "b"), "2");
    check_empty(s);
    call = cstory_call(s);
    assert_int_equal(play(s, clone_of(call, picks, 2), call), 0);
    check_body(call, "{\"code\":200,\"message\":\"Clone Completed Successfully\",\"data\":{"
                     "\"succCount\":0,\"skipCount\":1,"
                     "\"failData\":[{\"dataId\":\"cloned-1\",\"group\":\"CG\"}],"
                     "\"skipData\":[{\"dataId\":\"b\",\"group\":\"DEFAULT_GROUP\"}]}}");
}

static void test_clone__everything_that_was_given__comes_along(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct config_form form = cstory_form("cipher-x", "secret");
    form.type = SPAN("yaml");
    form.app_name = SPAN("app");
    form.tags = SPAN("t1,t2");
    form.desc = SPAN("desc");
    form.use = SPAN("use");
    form.effect = SPAN("effect");
    form.schema = SPAN("schema");
    form.encrypted_key = SPAN("key");
    assert_int_equal(cstory_publish_form(s, &form), 0);
    struct import_pick pick = {.id = id_of(s, "cipher-x")};
    assert_int_equal(play(s, clone_of(call, &pick, 1), call), 0);
    static const struct db_stmt same = {
        .name = "test_clone",
        .sql_sqlite =
            "SELECT count(*) FROM config_info WHERE tenant_id = 'clone-ns' AND type = 'yaml' AND "
            "app_name = 'app' AND c_desc = 'desc' AND c_use = 'use' AND effect = 'effect' AND "
            "c_schema = 'schema' AND encrypted_data_key = 'key' AND src_user = 'joe'"};
    static const struct db_stmt tags = {
        .name = "test_clone_tags",
        .sql_sqlite = "SELECT count(*) FROM config_tags_relation WHERE tenant_id = 'clone-ns'"};
    assert_int_equal(cstory_number(s, &same), 1);
    assert_int_equal(cstory_number(s, &tags), 2);
}

static void test_clone__unknown_ids__are_nothing(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct import_pick pick = {.id = 99999999};
    assert_int_equal(play(s, clone_of(call, &pick, 1), call), 0);
    check_body(call, "{\"code\":100005,\"message\":\"导入的文件数据为空\","
                     "\"data\":{\"succCount\":0}}");
}

static void test_clone__illegal_new_name__says_which(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "a", "1"), 0);
    struct import_pick pick = {.id = id_of(s, "a"), .data_id = SPAN("a/b")};
    assert_int_equal(play(s, clone_of(call, &pick, 1), call), E_PARAM);
    assert_string_equal(s->fail.text,
                        "DEFAULT_GROUP/a/b: Param 'dataId' is illegal, illegal characters should "
                        "not appear in the param.");
    check_empty(s);
}

static void test_clone__limits__are_told(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct import_pick pick = {.id = 1};
    s->config->clones_out = IMPORT_CLONES_MAX;
    assert_int_equal(play(s, clone_of(call, &pick, 1), call), E_LIMIT);
    s->config->clones_out = 0;
    assert_int_equal(cstory_publish(s, "a", "1"), 0);
    pick.id = id_of(s, "a");
    s->config->import_bytes = IMPORT_BYTES_MAX;
    call = cstory_call(s);
    assert_int_equal(play(s, clone_of(call, &pick, 1), call), E_LIMIT);
    s->config->import_bytes = 0;
}

static void test_clone__larger_than_a_request__is_refused(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    assert_int_equal(cstory_publish(s, "a", "0123456789012345678901234567890123456789"), 0);
    struct import_pick pick = {.id = id_of(s, "a")};
    struct import_clone *m = clone_of(call, &pick, 1);
    call->call.arena.max = call->call.arena.used + 250;
    assert_int_equal(play(s, m, call), E_TOO_LARGE);
    check_empty(s);
}

/* ------------------------------------------------------------------ the end */

static unsigned delivered;

static void deliver(struct api_call *call)
{
    (void)call;
    delivered++;
}

static void test_stop__clone_is_being_read__goes_back_to_its_edge(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct fail fail = {0};
    assert_int_equal(cstory_publish(s, "a", "1"), 0);
    struct import_pick pick = {.id = id_of(s, "a")};
    call->call.deliver = deliver;
    delivered = 0;
    s->tables_behind = true;
    assert_int_equal(import_clone(s->config, clone_of(call, &pick, 1), &call->call, &fail),
                     API_LATER);
    cstory_restart(s, NULL);
    assert_int_equal(delivered, 1);
    assert_int_equal(call->call.reply.fail.code, E_CLOSED);
    s->tables_behind = false;
    check_empty(s);
}

static void test_stop__clone_was_read__is_answered(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    struct fail fail = {0};
    assert_int_equal(cstory_publish(s, "a", "1"), 0);
    cstory_settle(s);
    struct import_pick pick = {.id = id_of(s, "a")};
    assert_int_equal(import_clone(s->config, clone_of(call, &pick, 1), &call->call, &fail),
                     API_LATER);
    while (!s->config->clones_ended) {
        (void)db_worker_collect(s->worker);
    }
    config_stop(s->config, s->now, &s->out);
    cstory_turn(s);
    assert_true(call->answered);
    assert_int_equal(call->call.reply.fail.code, E_CLOSED);
    call = cstory_call(s);
    assert_int_equal(play(s, clone_of(call, &pick, 1), call), E_CLOSED);
    assert_int_equal(start(s, job_of(s, call, 1, SPAN("x"), CONFIG_ABORT), cstory_call(s)),
                     E_CLOSED);
}

static void test_stop__import_between_pieces__says_what_is_stored(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *call = cstory_call(s);
    s->log_stuck = true;
    assert_int_equal(start(s, job_of(s, call, 1500, SPAN("x"), CONFIG_ABORT), call), 0);
    config_stop(s->config, s->now, &s->out);
    s->log_stuck = false;
    cstory_turn(s);
    assert_true(call->answered);
    assert_int_equal(call->call.reply.fail.code, E_CLOSED);
    assert_string_equal(call->call.reply.fail.text,
                        "1000 of 1500 configs were looked at, 1000 of them stored, then: the "
                        "server is stopping");
    check_empty(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_import__nothing_there__all_are_stored),
        TEST(test_import__overwrite__replaces_what_is_there),
        TEST(test_import__skip__leaves_what_is_there),
        TEST(test_import__abort__stops_at_the_first_that_is_there),
        TEST(test_import__same_config_twice__conflicts_with_itself),
        TEST(test_import__refused_by_its_rules__is_in_fail_data),
        TEST(test_import__unrecognized__are_counted_and_named),
        TEST(test_pieces__many_items__one_entry_per_thousand),
        TEST(test_pieces__large_contents__fit_an_entry_each),
        TEST(test_pieces__abort_in_the_second__ends_the_import),
        TEST(test_pieces__log_refuses_the_first__call_fails),
        TEST(test_pieces__log_refuses_a_later_one__call_says_what_is_stored),
        TEST(test_rejected__call_of_another_feature__is_not_ours),
        TEST(test_limit__too_many_items__are_refused),
        TEST(test_limit__bytes_of_all_imports__are_bounded),
        TEST(test_codes__have_their_texts),
        TEST(test_clone__ids__are_copied_with_new_names),
        TEST(test_clone__everything_that_was_given__comes_along),
        TEST(test_clone__unknown_ids__are_nothing),
        TEST(test_clone__illegal_new_name__says_which),
        TEST(test_clone__limits__are_told),
        TEST(test_clone__larger_than_a_request__is_refused),
        TEST(test_stop__clone_is_being_read__goes_back_to_its_edge),
        TEST(test_stop__clone_was_read__is_answered),
        TEST(test_stop__import_between_pieces__says_what_is_stored),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
