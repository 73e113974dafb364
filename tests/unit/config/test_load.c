/* Contents that are not in memory: one job for all that ask, and only what was published. */
#include "config/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/dispatch.h"
#include "config_harness.h"
#include "store/db_sqlite.h"

static struct cstory s;

/* What the last calls were told. */
static struct {
    unsigned ready;
    int err;
    struct fail fail;
    bool was_gone; /* the item had no value */
    bool was_hot;
} told;

/* Everything is cold: no budget at all. */
static struct config_options cold_options(void)
{
    struct config_options options = cstory_options();
    options.memory_bytes_max = 0;
    return options;
}

static int setup(void **state)
{
    (void)state;
    struct config_options options = cold_options();
    memset(&told, 0, sizeof(told));
    cstory_begin(&s, &options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&s);
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the seven parameters are load_ready_fn's. */
static void ready(struct config *c, struct item *i, struct api_call *take_call, int err,
                  const struct fail *fail, struct now now, struct outbox *out)
{
    (void)c;
    (void)now;
    told.ready++;
    told.err = err;
    told.was_gone = i->value == NULL;
    told.was_hot = i->value && i->value->formal && i->value->formal->content;
    if (err) {
        told.fail = *fail;
        dispatch_fail(take_call, fail, out);
        return;
    }
    api_answer_text(take_call, SPAN("here"));
    outbox_reply(out, take_call);
}

static struct cstory_call *wait_for(const char *data_id)
{
    struct cstory_call *call = cstory_call(&s);
    struct fail fail = {0};
    assert_int_equal(
        load_wait(s.config, cstory_item(&s, data_id), &call->call, ready, s.now, &fail), API_LATER);
    return call;
}

static void test_load__cold__brings_all_versions(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "beta"), 0);
    cstory_settle(&s);
    assert_string_equal(cstory_read(&s, "a", NULL), "(cold)");
    s.config->options.memory_bytes_max = 1000;
    assert_int_equal(cstory_wait(&s, wait_for("a")), 0);
    assert_true(told.was_hot);
    struct config_reader x = {.tag = SPAN("x")};
    struct config_reader beta = {.client_ip = SPAN("10.0.0.1")};
    assert_string_equal(cstory_read(&s, "a", NULL), "formal");
    assert_string_equal(cstory_read(&s, "a", &x), "gray");
    assert_string_equal(cstory_read(&s, "a", &beta), "beta");
    assert_int_equal(atomic_load(&s.config->counters.loads), 1);
    assert_int_equal(config_stats(s.config).content_bytes, 14);
}

static void test_load__many_ask__one_job_answers_all(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    cstory_settle(&s);
    struct cstory_call *calls[50];
    for (size_t n = 0; n < ARRAY_LEN(calls); n++) {
        calls[n] = wait_for("a");
    }
    for (size_t n = 0; n < ARRAY_LEN(calls); n++) {
        assert_int_equal(cstory_wait(&s, calls[n]), 0);
    }
    assert_int_equal(told.ready, 50);
    assert_int_equal(atomic_load(&s.config->counters.loads), 1);
    assert_null(cstory_item(&s, "a")->load);
}

static void test_load__published_meanwhile__the_newer_one_stays(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "old"), 0);
    cstory_settle(&s);
    s.tables_behind = true;
    struct cstory_call *call = wait_for("a");
    assert_int_equal(cstory_publish(&s, "a", "new"), 0);
    assert_int_equal(cstory_wait(&s, call), 0);
    assert_true(told.was_hot);
    assert_string_equal(cstory_read(&s, "a", NULL), "new");
    s.tables_behind = false;
    cstory_settle(&s);
}

static void test_load__removed_meanwhile__is_told(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "old"), 0);
    cstory_settle(&s);
    struct cstory_call *call = wait_for("a");
    assert_int_equal(cstory_remove(&s, "a", ""), 0);
    assert_int_equal(cstory_wait(&s, call), 0);
    assert_true(told.was_gone);
    cstory_settle(&s);
    assert_null(cstory_item(&s, "a"));
}

static void test_load__tables_are_behind__is_read_all_the_same(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    cstory_settle(&s);
    s.tables_behind = true;
    assert_int_equal(cstory_publish(&s, "b", "waits"), 0);
    assert_int_equal(cstory_wait(&s, wait_for("a")), 0);
    assert_true(told.was_hot);
    s.tables_behind = false;
}

static void script(const char *sql)
{
    struct fail fail = {0};
    struct db *db = NULL;
    struct db_sqlite_options options = {.must_exist = true};
    assert_int_equal(db_sqlite_open(s.path, &options, &db, &fail), 0);
    assert_int_equal(db_begin(db, DB_TX_WRITE, &fail), 0);
    assert_int_equal(db_script(db, sql, &fail), 0);
    assert_int_equal(db_commit(db, &fail), 0);
    db_destroy(db);
}

static void test_load__stored_bytes_are_others__is_corrupt(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    cstory_settle(&s);
    script("UPDATE config_info SET content = 'farmol'");
    assert_int_equal(cstory_wait(&s, wait_for("a")), E_CORRUPT);
    assert_non_null(strstr(told.fail.text, "config a of group DEFAULT_GROUP"));
    assert_int_equal(atomic_load(&s.config->counters.load_failures), 1);
    /* A publish heals it. */
    assert_int_equal(cstory_publish(&s, "a", "again"), 0);
    cstory_settle(&s);
    assert_int_equal(cstory_wait(&s, wait_for("a")), 0);
}

static void test_start__stored_bytes_are_others__stay_cold(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(cstory_publish(&s, "b", "other"), 0);
    cstory_settle(&s);
    script("UPDATE config_info SET content = 'farmol' WHERE data_id = 'a'");
    struct config_options options = cstory_options();
    cstory_restart(&s, &options);
    assert_string_equal(cstory_read(&s, "a", NULL), "(cold)");
    assert_string_equal(cstory_read(&s, "b", NULL), "other");
    assert_int_equal(cstory_wait(&s, wait_for("a")), E_CORRUPT);
}

/* NOLINTNEXTLINE(readability-function-size): the seven parameters are load_ready_fn's. */
static void count_only(struct config *c, struct item *i, struct api_call *take_call, int err,
                       const struct fail *fail, struct now now, struct outbox *out)
{
    (void)c;
    (void)i;
    (void)take_call;
    (void)err;
    (void)fail;
    (void)now;
    (void)out;
    told.ready++;
}

static void test_load__too_many_wait__are_refused(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    cstory_settle(&s);
    struct item *i = cstory_item(&s, "a");
    struct fail fail = {0};
    /* One call stands in for all: who is ready only counts. */
    struct cstory_call *call = cstory_call(&s);
    for (int n = 0; n < LOAD_WAITERS_MAX; n++) {
        assert_int_equal(load_wait(s.config, i, &call->call, count_only, s.now, &fail), API_LATER);
    }
    assert_int_equal(load_wait(s.config, i, &call->call, count_only, s.now, &fail), E_LIMIT);
    assert_non_null(strstr(fail.text, "at most 100000 requests wait"));
    cstory_settle(&s);
    assert_int_equal(told.ready, LOAD_WAITERS_MAX);
    assert_null(cstory_item(&s, "a")->load);
}

static void test_stop__who_waits_is_answered(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    cstory_settle(&s);
    struct cstory_call *call = wait_for("a");
    cstory_restart(&s, NULL);
    assert_true(call->answered);
    assert_int_equal(told.ready, 1);
    assert_true(told.err == E_CLOSED || told.err == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_load__cold__brings_all_versions),
        TEST(test_load__many_ask__one_job_answers_all),
        TEST(test_load__published_meanwhile__the_newer_one_stays),
        TEST(test_load__removed_meanwhile__is_told),
        TEST(test_load__tables_are_behind__is_read_all_the_same),
        TEST(test_load__stored_bytes_are_others__is_corrupt),
        TEST(test_start__stored_bytes_are_others__stay_cold),
        TEST(test_load__too_many_wait__are_refused),
        TEST(test_stop__who_waits_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
