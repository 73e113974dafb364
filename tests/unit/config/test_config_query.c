#include "config/config_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/row.h"
#include "api/v2_codes.h"
#include "config_harness.h"

static int setup(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    cstory_begin(s, NULL);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    cstory_end(*state);
    free(*state);
    return 0;
}

static const struct db_stmt configs = {.name = "configs",
                                       .sql_sqlite = "SELECT count(*) FROM config_info"};

/* The answer is how many configs there are. */
static int count_configs(struct db *db, struct api_call *call, struct fail *fail)
{
    struct db_query *q = NULL;
    bool has_row = false;
    int err = db_query(db, &configs, &q, fail);
    if (err) {
        return err;
    }
    err = db_step(q, &has_row, fail);
    char digit = (char)('0' + db_col_int64(q, 0));
    db_done(q);
    /* In a transaction: what follows sees the same. */
    if (db_in_tx(db) == DB_TX_READ) {
        api_answer_text(call, span_of(&digit, 1));
    }
    return err;
}

/* msg: the code to fail with. */
static int refuse(struct db *db, struct api_call *call, struct fail *fail)
{
    (void)db;
    api_answer_text(call, SPAN("half an answer"));
    return fail_set(fail, *(int *)call->msg, "told to");
}

static void test_query__sees_what_is_applied_already(void **state)
{
    struct cstory *s = *state;
    struct fail fail = {0};
    s->tables_behind = true;
    assert_int_equal(cstory_publish(s, "a", "A"), 0);
    assert_int_equal(cstory_publish(s, "b", "B"), 0);
    struct cstory_call *c = cstory_call(s);
    assert_int_equal(config_query(s->config, &c->call, count_configs, s->now, &fail), API_LATER);
    s->tables_behind = false;
    assert_int_equal(cstory_wait(s, c), 0);
    char text[8] = "";
    body_copy(&c->call.reply.body, text);
    assert_string_equal(text, "2");
}

static void expect_failure(struct cstory *s, int code, int v2)
{
    struct fail fail = {0};
    struct cstory_call *c = cstory_call(s);
    c->call.msg = &code;
    assert_int_equal(config_query(s->config, &c->call, refuse, s->now, &fail), API_LATER);
    assert_int_equal(cstory_wait(s, c), code);
    assert_int_equal(s->fail.v2, v2);
    assert_string_equal(fail_text(&s->fail), "told to");
}

static void test_query__fails__says_why_without_half_an_answer(void **state)
{
    struct cstory *s = *state;
    expect_failure(s, E_INVALID, 0);
    expect_failure(s, E_FORBIDDEN, 0);
    expect_failure(s, E_IO, V2_DATA_ACCESS_ERROR);
    expect_failure(s, E_CORRUPT, V2_DATA_ACCESS_ERROR);
}

static void test_query__node_ends_before_the_tables_came_so_far__is_closed(void **state)
{
    struct cstory *s = *state;
    struct fail fail = {0};
    s->tables_behind = true;
    assert_int_equal(cstory_publish(s, "a", "A"), 0);
    struct cstory_call *c = cstory_call(s);
    assert_int_equal(config_query(s->config, &c->call, count_configs, s->now, &fail), API_LATER);
    cstory_restart(s, NULL);
    assert_true(c->delivered);
    assert_int_equal(c->call.reply.fail.code, E_CLOSED);
    assert_int_equal(c->call.reply.body.parts, 0);
    c->answered = true;
}

static struct cstory_call *ask(struct cstory *s)
{
    struct fail fail = {0};
    struct cstory_call *c = cstory_call(s);
    assert_int_equal(config_query(s->config, &c->call, count_configs, s->now, &fail), API_LATER);
    return c;
}

static void test_query__many__run_one_by_one_in_order(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *calls[CONFIG_QUERIES_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        calls[i] = ask(s);
    }
    assert_int_equal(s->config->queries_count, CONFIG_QUERIES_MAX);
    struct cstory_call *one_more = cstory_call(s);
    assert_int_equal(config_query(s->config, &one_more->call, count_configs, s->now, &s->fail),
                     E_LIMIT);
    assert_string_equal(fail_text(&s->fail), "64 searches wait already");
    one_more->answered = true;
    assert_int_equal(cstory_wait(s, calls[CONFIG_QUERIES_MAX]), 0);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        assert_int_equal(cstory_wait(s, calls[i]), 0);
    }
    assert_int_equal(s->config->queries_count, 0);
    assert_false(s->config->is_query_out);
}

static void test_stop__those_that_wait_are_answered_the_one_that_runs_ends(void **state)
{
    struct cstory *s = *state;
    struct cstory_call *runs = ask(s);
    struct cstory_call *waits = ask(s);
    config_query_stop(s->config, &s->out);
    assert_int_equal(s->out.count, 1);
    assert_int_equal(cstory_wait(s, waits), E_CLOSED);
    assert_int_equal(cstory_wait(s, runs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_query__sees_what_is_applied_already),
        T(test_query__fails__says_why_without_half_an_answer),
        T(test_query__node_ends_before_the_tables_came_so_far__is_closed),
        T(test_query__many__run_one_by_one_in_order),
        T(test_stop__those_that_wait_are_answered_the_one_that_runs_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
