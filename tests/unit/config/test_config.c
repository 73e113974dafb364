/* The module as node/ sees it: start, commit, turns, stop. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config_harness.h"
#include "store/db_sqlite.h"

static struct cstory s;

static int setup(void **state)
{
    (void)state;
    cstory_begin(&s, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cstory_end(&s);
    return 0;
}

static void test_restart__everything_is_there(void **state)
{
    (void)state;
    struct config_reader x = {.tag = SPAN("x")};
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(cstory_publish(&s, "b", "two"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    assert_int_equal(cstory_publish_beta(&s, "only-gray", "10.0.0.1", "beta"), 0);
    assert_int_equal(cstory_remove(&s, "b", ""), 0);
    uint64_t last_id = s.config->last_id;
    uint64_t last_nid = s.config->last_nid;
    int64_t modified = cstory_item(&s, "a")->value->formal->modified_ms;
    cstory_settle(&s);
    cstory_restart(&s, NULL);
    assert_string_equal(cstory_read(&s, "a", NULL), "one");
    assert_null(cstory_read(&s, "b", NULL));
    assert_int_equal(cstory_item(&s, "a")->value->formal->modified_ms, modified);
    assert_int_equal(s.config->last_id, last_id);
    assert_int_equal(s.config->last_nid, last_nid);
    struct config_stats stats = config_stats(s.config);
    assert_int_equal(stats.configs, 1);
    assert_int_equal(stats.gray, 2);
    assert_string_equal(cstory_read(&s, "a", &x), "(cold)"); /* gray ones are read on demand */
    /* Ids are not given twice, although the newest row is gone. */
    assert_int_equal(cstory_publish(&s, "c", "three"), 0);
    assert_int_equal(cstory_item(&s, "c")->id, last_id + 1);
}

static void test_restart__tables_are_behind__the_log_gives_the_rest(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    cstory_settle(&s);
    s.tables_behind = true;
    assert_int_equal(cstory_publish(&s, "a", "two"), 0);
    assert_int_equal(cstory_publish(&s, "b", "new"), 0);
    s.tables_behind = false;
    cstory_restart(&s, NULL);
    assert_string_equal(cstory_read(&s, "a", NULL), "two");
    assert_string_equal(cstory_read(&s, "b", NULL), "new");
    assert_int_equal(cstory_item(&s, "b")->id, 2);
    assert_int_equal(s.config->last_nid, 3);
    cstory_settle(&s);
}

static void commit_bytes(struct span bytes, struct cstory_call *call)
{
    config_commit(s.config, ++s.index, bytes, call ? &call->call : NULL, s.now, &s.out);
    table_writer_entry_end(s.tables, s.index);
    cstory_turn(&s);
}

static void test_commit__damaged__counts_and_fails_the_call(void **state)
{
    (void)state;
    struct cstory_call *call = cstory_call(&s);
    commit_bytes(SPAN("\xff\xff"), call);
    assert_true(call->answered);
    assert_int_equal(call->call.reply.fail.code, E_INTERNAL);
    assert_non_null(strstr(call->call.reply.fail.text, "came back damaged from the log"));
    commit_bytes(SPAN("\x08\x63"), NULL); /* version 99 */
    commit_bytes(SPAN(""), NULL);
    assert_int_equal(atomic_load(&config_counters(s.config)->bad_ops), 3);
    assert_int_equal(cstory_publish(&s, "a", "goes on"), 0);
    cstory_settle(&s);
}

static void test_rejected__the_call_gets_the_reason(void **state)
{
    (void)state;
    struct cstory_call *call = cstory_call(&s);
    struct fail why = {0};
    (void)fail_set(&why, E_FULL, "no room");
    api_answer_text(&call->call, SPAN("true"));
    config_rejected(s.config, &call->call, &why, &s.out);
    cstory_turn(&s);
    assert_true(call->answered);
    assert_int_equal(call->call.reply.fail.code, E_FULL);
    assert_int_equal(body_len(&call->call.reply.body), 0);
}

static const struct db_stmt history_rows = {.name = "history",
                                            .sql_sqlite = "SELECT count(*) FROM his_config_info"};

static void test_trim__is_proposed_now_and_then(void **state)
{
    (void)state;
    struct config_options options = cstory_options();
    options.history_days = 30;
    cstory_restart(&s, &options);
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(cstory_publish(&s, "a", "two"), 0);
    assert_int_equal(cstory_number(&s, &history_rows), 2);
    s.now.wall_ms += 31LL * 24 * 60 * 60 * 1000;
    assert_int_equal(cstory_publish(&s, "a", "three"), 0);
    cstory_advance(&s, 61000); /* the first time after a minute */
    assert_int_equal(cstory_number(&s, &history_rows), 1);
    uint64_t index = s.index;
    cstory_advance(&s, 540000);
    assert_int_equal(s.index, index);
    cstory_advance(&s, 60000);
    assert_int_equal(s.index, index + 1);
    cstory_settle(&s);
}

static void test_trim__history_for_ever__is_never_proposed(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    uint64_t index = s.index;
    cstory_advance(&s, 86400000);
    assert_int_equal(s.index, index);
    assert_int_equal(config_deadline(s.config), UINT64_MAX);
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

/* Loading fails with a sentence that contains part. */
static void expect_corrupt(const char *sql, const char *part)
{
    struct fail fail = {0};
    struct db *db = NULL;
    struct db_sqlite_options options = {.must_exist = true};
    struct config_options usual = cstory_options();
    script(sql);
    assert_int_equal(db_sqlite_open(s.path, &options, &db, &fail), 0);
    struct view *view = view_create();
    struct config *c = config_create(&usual, view, s.tables);
    assert_int_equal(config_load_tables(c, db, s.now, &fail), E_CORRUPT);
    assert_non_null(strstr(fail.text, part));
    config_destroy(c);
    view_destroy(view);
    db_destroy(db);
}

static void test_start__rows_that_cannot_be__say_so(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    cstory_settle(&s);
    expect_corrupt("UPDATE config_info SET md5 = 'x'", "\"x\" is no md5");
    expect_corrupt("UPDATE config_info SET md5 = 'F97C5D29941BFB1B2FDAB0874906AB82'", "is no md5");
    expect_corrupt("UPDATE config_info SET md5 = 'f97c5d29941bfb1b2fdab0874906ab82', "
                   "group_id = 'a b'",
                   "Param 'group' is illegal");
    expect_corrupt("UPDATE config_info SET group_id = 'g', content_length = 99999999999",
                   "a content of 99999999999 bytes");
    script("UPDATE config_info SET content_length = 3");
    cstory_restart(&s, NULL);
    struct config_key key = {SPAN(""), SPAN("g"), SPAN("a")};
    assert_non_null(item_find(s.config, &key));
}

static void test_stop__twice__is_fine(void **state)
{
    (void)state;
    config_stop(s.config, s.now, &s.out);
    config_stop(s.config, s.now, &s.out);
    config_destroy(NULL);
}

/* As a node does that starts with the tables of another one: what only its own had is not read any
 * more. */
static void test_destroy__the_view_has_none_of_its_values(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    cstory_settle(&s);
    struct fail fail = {0};
    struct db *db = NULL;
    struct db_sqlite_options options = {.must_exist = true};
    struct config_options usual = cstory_options();
    struct view *view = view_create();
    struct config *own = config_create(&usual, view, s.tables);
    assert_int_equal(db_sqlite_open(s.path, &options, &db, &fail), 0);
    assert_int_equal(config_load_tables(own, db, s.now, &fail), 0);
    assert_int_equal(view_count(view), 1);
    config_destroy(own);
    assert_int_equal(view_count(view), 0);
    view_destroy(view);
    db_destroy(db);
}

static void test_hot_key__rewritten_often__memory_and_reads_stay(void **state)
{
    (void)state;
    char content[32];
    for (int n = 0; n < 5000; n++) {
        snprintf(content, sizeof(content), "value %d", n);
        struct config_form form = cstory_form("hot", content);
        struct arena arena;
        arena_init(&arena, 4096);
        struct config_publish p = {0};
        struct fail fail = {0};
        assert_int_equal(config_form_check(&form, 100, &arena, &p, &fail), 0);
        struct config_op op = {
            .kind = CONFIG_OP_PUBLISH, .time_ms = s.now.wall_ms, .publish = &p, .publish_count = 1};
        struct buf *packed = config_op_encode(&op);
        commit_bytes(buf_span(packed), NULL);
        buf_unref(packed);
        arena_close(&arena);
    }
    assert_string_equal(cstory_read(&s, "hot", NULL), "value 4999");
    assert_int_equal(HASH_COUNT(s.config->items), 1);
    assert_int_equal(config_stats(s.config).content_bytes, strlen("value 4999"));
    cstory_settle(&s);
    assert_int_equal(cstory_item(&s, "hot")->dirty, 0);
    assert_int_equal(cstory_number(&s, &history_rows), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_restart__everything_is_there),
        TEST(test_restart__tables_are_behind__the_log_gives_the_rest),
        TEST(test_commit__damaged__counts_and_fails_the_call),
        TEST(test_rejected__the_call_gets_the_reason),
        TEST(test_trim__is_proposed_now_and_then),
        TEST(test_trim__history_for_ever__is_never_proposed),
        TEST(test_start__rows_that_cannot_be__say_so),
        TEST(test_destroy__the_view_has_none_of_its_values),
        TEST(test_stop__twice__is_fine),
        TEST(test_hot_key__rewritten_often__memory_and_reads_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
