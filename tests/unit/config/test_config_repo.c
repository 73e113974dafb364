#include "config/config_repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "config_tables.h"

static struct config_tables t;

static int setup(void **state)
{
    (void)state;
    tables_init(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_close(&t);
    return 0;
}

/* What the tables say, as one text: rows joined by newlines, columns by '|'. */
static const char *dump(const struct db_stmt *stmt)
{
    static char text[4096];
    struct db_query *q = NULL;
    bool has_row = false;
    size_t len = 0;
    text[0] = '\0';
    assert_int_equal(db_query(t.db, stmt, &q, NULL), 0);
    while (!db_step(q, &has_row, NULL) && has_row) {
        struct span row = db_col_text(q, 0);
        int wrote =
            snprintf(text + len, sizeof text - len, "%s%.*s", len ? "\n" : "", SPAN_ARG(row));
        assert_true(wrote >= 0 && (size_t)wrote < sizeof text - len);
        len += (size_t)wrote;
    }
    db_done(q);
    return text;
}

static const struct db_stmt history_rows = {
    .name = "history_rows",
    .sql_sqlite = "SELECT nid || '|' || id || '|' || op_type || '|' || publish_type || '|' || "
                  "gray_name || '|' || content || '|' || ifnull(src_user, '-') || '|' || src_ip "
                  "FROM his_config_info ORDER BY nid"};
static const struct db_stmt history_ext = {
    .name = "history_ext", .sql_sqlite = "SELECT ext_info FROM his_config_info ORDER BY nid"};
static const struct db_stmt tag_rows = {
    .name = "tag_rows",
    .sql_sqlite = "SELECT id || '|' || tag_name FROM config_tags_relation ORDER BY nid"};
static const struct db_stmt current_rows = {
    .name = "current_rows",
    .sql_sqlite = "SELECT id || '|' || data_id || '|' || content || '|' || app_name || '|' || "
                  "ifnull(c_desc, '-') || '|' || type || '|' || content_length || '|' || md5 "
                  "FROM config_info ORDER BY id"};
static const struct db_stmt history_count = {.name = "history_count",
                                             .sql_sqlite = "SELECT count(*) FROM his_config_info"};
static const struct db_stmt lives_count = {.name = "lives_count",
                                           .sql_sqlite = "SELECT count(*) FROM config_lives"};

static void test_publish__first__is_a_row_and_history_with_new_content_and_id(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    uint64_t id = tables_put(&t, 0, &p);
    assert_int_equal(id, 1);
    assert_string_equal(dump(&current_rows), "1|d|one||-|text|3|f97c5d29941bfb1b2fdab0874906ab82");
    assert_string_equal(dump(&history_rows), "1|1|I|formal||one|user|10.0.0.1");
}

static void test_publish__again__history_keeps_what_was_there(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    uint64_t id = tables_put(&t, 0, &p);
    p = tables_publish("d", "two!");
    (void)tables_put(&t, id, &p);
    assert_string_equal(dump(&current_rows),
                        "1|d|two!||-|text|4|9f5b6d9a034d175868bf593885b7dc4e" + 0);
    assert_string_equal(dump(&history_rows), "1|1|I|formal||one|user|10.0.0.1\n"
                                             "2|1|U|formal||one|user|10.0.0.1");
}

static void test_remove__formal__history_keeps_content_and_tags_go(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    p.tags = SPAN("red,blue");
    uint64_t id = tables_put(&t, 0, &p);
    assert_string_equal(dump(&tag_rows), "1|red\n1|blue");
    tables_remove(&t, id, &p);
    assert_string_equal(dump(&current_rows), "");
    assert_string_equal(dump(&tag_rows), "");
    assert_string_equal(dump(&history_rows), "1|1|I|formal||one|user|10.0.0.1\n"
                                             "2|1|D|formal||one|remover|10.0.0.2");
}

static void test_ext_info__is_of_the_version_in_the_row(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    p.tags = SPAN("red,blue");
    p.desc = SPAN("say \"hi\"");
    p.use = SPAN(" ");
    uint64_t id = tables_put(&t, 0, &p);
    p = tables_publish("d", "two");
    p.type = CONFIG_YAML;
    p.effect = SPAN("e");
    p.schema = SPAN("s");
    (void)tables_put(&t, id, &p); /* tags not sent: they stay */
    tables_remove(&t, id, &p);
    assert_string_equal(dump(&history_ext),
                        "{\"type\":\"text\",\"config_tags\":\"red,blue\",\"src_user\":\"user\","
                        "\"c_desc\":\"say \\\"hi\\\"\"}\n"
                        "{\"type\":\"text\",\"config_tags\":\"red,blue\",\"src_user\":\"user\","
                        "\"c_desc\":\"say \\\"hi\\\"\"}\n"
                        "{\"type\":\"yaml\",\"config_tags\":\"red,blue\",\"src_user\":\"user\","
                        "\"effect\":\"e\",\"c_schema\":\"s\"}");
}

static void test_publish__tags_sent__replace_and_empty_ones_take_away(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    p.tags = SPAN("a,b");
    uint64_t id = tables_put(&t, 0, &p);
    p.tags = SPAN("c,,c,a"); /* named twice: kept once */
    (void)tables_put(&t, id, &p);
    assert_string_equal(dump(&tag_rows), "1|c\n1|a");
    p.tags = (struct span){0};
    (void)tables_put(&t, id, &p);
    assert_string_equal(dump(&tag_rows), "1|c\n1|a");
    p.tags = SPAN("");
    (void)tables_put(&t, id, &p);
    assert_string_equal(dump(&tag_rows), "");
    (void)tables_put(&t, id, &p);
    struct span all = span_str(dump(&history_ext));
    const char *last = strrchr(all.data, '\n') + 1;
    assert_string_equal(last, "{\"type\":\"text\",\"src_user\":\"user\"}");
}

static void test_publish__fields_not_sent__are_cleared_but_app_name(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    p.app_name = SPAN("app");
    p.desc = SPAN("desc");
    uint64_t id = tables_put(&t, 0, &p);
    p = tables_publish("d", "one");
    (void)tables_put(&t, id, &p);
    assert_string_equal(dump(&current_rows),
                        "1|d|one|app|-|text|3|f97c5d29941bfb1b2fdab0874906ab82");
    p.app_name = SPAN("");
    p.desc = SPAN("");
    (void)tables_put(&t, id, &p);
    assert_string_equal(dump(&current_rows), "1|d|one|||text|3|f97c5d29941bfb1b2fdab0874906ab82");
}

static void test_gray__has_rows_and_history_of_its_own(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "gray");
    p.gray_name = SPAN("beta");
    p.gray_rule = SPAN("10.0.0.9");
    uint64_t id = tables_put(&t, 0, &p);
    p.content = SPAN("gray2");
    (void)tables_put(&t, id, &p);
    tables_remove(&t, id, &p);
    assert_string_equal(dump(&current_rows), "");
    assert_string_equal(dump(&history_rows), "1|1|I|gray|beta|gray|user|10.0.0.1\n"
                                             "2|1|U|gray|beta|gray|user|10.0.0.1\n"
                                             "3|1|D|gray|beta|gray2|remover|10.0.0.2");
    assert_non_null(
        strstr(dump(&history_ext),
               "{\"gray_name\":\"beta\",\"src_user\":\"user\",\"gray_rule\":"
               "\"{\\\"type\\\":\\\"beta\\\",\\\"expr\\\":\\\"10.0.0.9\\\","
               "\\\"version\\\":\\\"1.0.0\\\",\\\"priority\\\":\\\"2147483647\\\"}\"}"));
}

static void test_write__row_that_memory_thinks_is_there_is_not__is_corrupt(void **state)
{
    (void)state;
    struct repo_write w = {
        .id = 7, .nid = 1, .time_ms = 1, .modified_ms = 1, .publish = tables_publish("d", "x")};
    struct fail fail = {0};
    assert_int_equal(db_begin(t.db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(config_repo_write(t.db, &w, &fail), E_CORRUPT);
    assert_non_null(strstr(fail_text(&fail), "'d'"));
    db_rollback(t.db);
}

static void test_write__row_exists_but_is_called_new__is_a_conflict(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    (void)tables_put(&t, 0, &p);
    struct repo_write w = {.id = 2, .nid = 2, .is_new = true, .publish = p};
    assert_int_equal(db_begin(t.db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(config_repo_write(t.db, &w, NULL), E_CONFLICT);
    db_rollback(t.db);
}

static void test_last_ids__rows_are_gone__are_not_forgotten(void **state)
{
    (void)state;
    uint64_t id = 0;
    uint64_t nid = 0;
    assert_int_equal(config_repo_last_ids(t.db, &id, &nid, NULL), 0);
    assert_int_equal(id, 0);
    assert_int_equal(nid, 0);
    struct config_publish p = tables_publish("d", "one");
    struct config_publish gray = tables_publish("d", "gray");
    gray.gray_name = SPAN("tag_a");
    (void)tables_put(&t, 0, &p);
    uint64_t gray_id = tables_put(&t, 0, &gray);
    tables_remove(&t, gray_id, &gray);
    bool more = true;
    assert_int_equal(db_begin(t.db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(config_repo_trim_history(t.db, INT64_MAX, &more, NULL), 0);
    assert_int_equal(db_commit(t.db, NULL), 0);
    assert_int_equal(tables_number(&t, &history_count), 0);
    assert_int_equal(config_repo_last_ids(t.db, &id, &nid, NULL), 0);
    assert_int_equal(id, gray_id);
    assert_int_equal(nid, 3);
}

static bool trim(int64_t before_ms)
{
    bool more = false;
    assert_int_equal(db_begin(t.db, DB_TX_WRITE, NULL), 0);
    assert_int_equal(config_repo_trim_history(t.db, before_ms, &more, NULL), 0);
    assert_int_equal(db_commit(t.db, NULL), 0);
    return more;
}

static void test_trim_history__takes_what_is_older_in_pieces(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    uint64_t id = tables_put(&t, 0, &p);
    for (int i = 0; i < 1500; i++) {
        (void)tables_put(&t, id, &p);
    }
    int64_t boundary_ms = t.now_ms;
    (void)tables_put(&t, id, &p);
    assert_true(trim(boundary_ms));
    assert_int_equal(tables_number(&t, &history_count), 502);
    assert_false(trim(boundary_ms));
    assert_int_equal(tables_number(&t, &history_count), 2); /* not before: equal and later */
    assert_false(trim(boundary_ms));
    assert_int_equal(tables_number(&t, &history_count), 2);
}

static void test_trim_history__lives_go_with_their_last_row(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("d", "one");
    uint64_t id = tables_put(&t, 0, &p);
    tables_remove(&t, id, &p);
    (void)tables_put(&t, 0, &p);
    int64_t last_ms = t.now_ms;
    assert_int_equal(tables_number(&t, &lives_count), 2);
    assert_false(trim(last_ms - 1)); /* the row of the removal is not older */
    assert_int_equal(tables_number(&t, &lives_count), 2);
    assert_false(trim(last_ms));
    assert_int_equal(tables_number(&t, &lives_count), 1);
    assert_false(trim(last_ms + 1)); /* the config is there */
    assert_int_equal(tables_number(&t, &lives_count), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_publish__first__is_a_row_and_history_with_new_content_and_id),
        T(test_publish__again__history_keeps_what_was_there),
        T(test_remove__formal__history_keeps_content_and_tags_go),
        T(test_ext_info__is_of_the_version_in_the_row),
        T(test_publish__tags_sent__replace_and_empty_ones_take_away),
        T(test_publish__fields_not_sent__are_cleared_but_app_name),
        T(test_gray__has_rows_and_history_of_its_own),
        T(test_write__row_that_memory_thinks_is_there_is_not__is_corrupt),
        T(test_write__row_exists_but_is_called_new__is_a_conflict),
        T(test_last_ids__rows_are_gone__are_not_forgotten),
        T(test_trim_history__takes_what_is_older_in_pieces),
        T(test_trim_history__lives_go_with_their_last_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
