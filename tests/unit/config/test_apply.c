/* What an operation does to memory and tables. */
#include "config/apply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "config_harness.h"

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

static const struct db_stmt history_rows = {.name = "history",
                                            .sql_sqlite = "SELECT count(*) FROM his_config_info"};

static const struct config_version *formal(const char *data_id)
{
    const struct item *i = cstory_item(&s, data_id);
    assert_non_null(i);
    assert_non_null(i->value);
    assert_non_null(i->value->formal);
    return i->value->formal;
}

static void test_publish__first__gives_ids_and_is_read(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(cstory_publish(&s, "b", "two"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    assert_int_equal(cstory_item(&s, "a")->id, 1);
    assert_int_equal(cstory_item(&s, "b")->id, 2);
    assert_int_equal(cstory_item(&s, "a")->value->gray[0].id, 3);
    assert_int_equal(s.config->last_id, 3);
    assert_int_equal(s.config->last_nid, 3);
    assert_string_equal(cstory_read(&s, "a", NULL), "one");
    assert_int_equal(config_count_of(s.config, SPAN("")), 2);
    assert_int_equal(config_count_of(s.config, SPAN("other")), 0);
    assert_int_equal(cstory_number(&s, &history_rows), 3);
}

static void test_publish__again__keeps_id_and_draws_a_history_id(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    int64_t before = formal("a")->modified_ms;
    assert_int_equal(before, s.now.wall_ms);
    assert_int_equal(cstory_publish(&s, "a", "two"), 0);
    assert_int_equal(cstory_item(&s, "a")->id, 1);
    assert_int_equal(s.config->last_id, 1);
    assert_int_equal(s.config->last_nid, 2);
    assert_int_equal(formal("a")->modified_ms, before + 1); /* the same millisecond */
    assert_string_equal(cstory_read(&s, "a", NULL), "two");
}

static void test_publish__clock_goes_back__modified_does_not(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    int64_t before = formal("a")->modified_ms;
    s.now.wall_ms -= 5000;
    assert_int_equal(cstory_publish(&s, "a", "two"), 0);
    assert_int_equal(formal("a")->modified_ms, before + 1);
    s.now.wall_ms += 60000;
    assert_int_equal(cstory_publish(&s, "a", "three"), 0);
    assert_int_equal(formal("a")->modified_ms, s.now.wall_ms);
}

static void test_publish__same_content__is_an_update_with_the_same_md5(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    uint8_t md5[CONFIG_MD5_BYTES];
    memcpy(md5, formal("a")->md5, sizeof(md5));
    s.now.wall_ms += 10;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_memory_equal(formal("a")->md5, md5, sizeof(md5));
    assert_int_equal(formal("a")->modified_ms, s.now.wall_ms);
    assert_int_equal(cstory_number(&s, &history_rows), 2);
}

static int publish_cas(const char *tag, const char *content, const char *md5)
{
    struct config_form form = cstory_form("a", content);
    form.tag = span_str(tag);
    form.cas_md5 = span_str(md5);
    return cstory_publish_form(&s, &form);
}

#define MD5_ONE "f97c5d29941bfb1b2fdab0874906ab82"

static void test_publish__stale_md5__is_refused(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(publish_cas("", "two", "00000000000000000000000000000000"), E_CONFLICT);
    assert_string_equal(s.fail.text, "Cas publish fail, server md5 may have changed.");
    assert_int_equal(s.fail.nacos, 500);
    assert_int_equal(s.fail.v2, V2_RESOURCE_CONFLICT);
    assert_string_equal(cstory_read(&s, "a", NULL), "one");
    assert_int_equal(s.config->last_nid, 1);
    assert_int_equal(atomic_load(&s.config->counters.cas_failures), 1);
    assert_int_equal(cstory_number(&s, &history_rows), 1);
}

static void test_publish__right_md5__goes_through(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(publish_cas("", "two", MD5_ONE), 0);
    assert_string_equal(cstory_read(&s, "a", NULL), "two");
    assert_int_equal(publish_cas("", "three", MD5_ONE), E_CONFLICT);
}

static void test_publish__md5_in_upper_case__is_another_one(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    assert_int_equal(publish_cas("", "two", "F97C5D29941BFB1B2FDAB0874906AB82"), E_CONFLICT);
}

static void test_publish__md5_of_what_is_not_there__inserts(void **state)
{
    (void)state;
    assert_int_equal(publish_cas("", "one", "00000000000000000000000000000000"), 0);
    assert_string_equal(cstory_read(&s, "a", NULL), "one");
}

static void test_publish__gray_with_stale_md5__is_refused(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish(&s, "a", "one"), 0);
    /* There is no such version: nothing to compare with. */
    assert_int_equal(publish_cas("x", "gray", "00000000000000000000000000000000"), 0);
    /* The formal version's md5 is not the gray one's. */
    assert_int_equal(publish_cas("x", "gray 2", MD5_ONE), E_CONFLICT);
    assert_string_equal(s.fail.text, "Cas publish gray config fail, server md5 may have changed.");
    assert_int_equal(s.fail.v2, V2_RESOURCE_CONFLICT);
    struct config_reader x = {.tag = SPAN("x")};
    assert_string_equal(cstory_read(&s, "a", &x), "gray");
}

static void test_publish__gray_beyond_the_maximum__is_refused(void **state)
{
    (void)state;
    char tag[16];
    for (int n = 0; n < CONFIG_GRAY_MAX; n++) {
        snprintf(tag, sizeof(tag), "t%d", n);
        assert_int_equal(cstory_publish_tag(&s, "a", tag, "gray"), 0);
    }
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "beta"), E_LIMIT);
    assert_string_equal(s.fail.text, "gray config version is over max count :10");
    assert_int_equal(s.fail.v2, V2_GRAY_OVER_MAX);
    assert_int_equal(s.fail.nacos, 500);
    /* One that is there may change, and the formal one does not count. */
    assert_int_equal(cstory_publish_tag(&s, "a", "t3", "gray 2"), 0);
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(cstory_remove(&s, "a", "t3"), 0);
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "beta"), 0);
}

static void test_gray__beta_first_then_tags_by_name(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish_tag(&s, "a", "y", "for y"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "for x"), 0);
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1,10.0.0.2", "beta"), 0);
    const struct config_value *v = cstory_item(&s, "a")->value;
    assert_int_equal(v->gray_count, 3);
    assert_true(v->gray[0].is_beta);
    assert_true(span_eq(v->gray[1].name, SPAN("tag_x")));
    assert_true(span_eq(v->gray[2].name, SPAN("tag_y")));
    struct config_reader beta = {.client_ip = SPAN("10.0.0.2"), .tag = SPAN("x")};
    assert_string_equal(cstory_read(&s, "a", &beta), "beta");
    assert_null(cstory_read(&s, "a", NULL)); /* no formal version */
}

static void test_gray__same_name__replaces_rule_and_content(void **state)
{
    (void)state;
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.1", "one"), 0);
    uint64_t id = cstory_item(&s, "a")->value->gray[0].id;
    assert_int_equal(cstory_publish_beta(&s, "a", "10.0.0.2", "two"), 0);
    assert_int_equal(cstory_item(&s, "a")->value->gray_count, 1);
    assert_int_equal(cstory_item(&s, "a")->value->gray[0].id, id);
    struct config_reader old = {.client_ip = SPAN("10.0.0.1")};
    struct config_reader new = {.client_ip = SPAN("10.0.0.2")};
    assert_null(cstory_read(&s, "a", &old));
    assert_string_equal(cstory_read(&s, "a", &new), "two");
}

static void test_remove__formal__leaves_gray_ones(void **state)
{
    (void)state;
    struct config_reader x = {.tag = SPAN("x")};
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    assert_int_equal(cstory_remove(&s, "a", ""), 0);
    assert_null(cstory_read(&s, "a", NULL));
    assert_string_equal(cstory_read(&s, "a", &x), "gray");
    assert_int_equal(config_stats(s.config).configs, 0);
    assert_int_equal(config_stats(s.config).gray, 1);
    /* A new formal version is another row. */
    assert_int_equal(cstory_publish(&s, "a", "again"), 0);
    assert_int_equal(cstory_item(&s, "a")->id, 3);
}

static void test_remove__last_version__frees_the_item_when_the_tables_have_it(void **state)
{
    (void)state;
    s.tables_behind = true;
    assert_int_equal(cstory_publish(&s, "a", "formal"), 0);
    assert_int_equal(cstory_remove(&s, "a", ""), 0);
    assert_null(cstory_read(&s, "a", NULL));
    assert_int_equal(view_count(s.view), 0);
    assert_non_null(cstory_item(&s, "a"));
    assert_int_equal(cstory_item(&s, "a")->dirty, 2);
    s.tables_behind = false;
    cstory_settle(&s);
    assert_null(cstory_item(&s, "a"));
    assert_int_equal(config_stats(s.config).content_bytes, 0);
    assert_int_equal(cstory_number(&s, &history_rows), 2);
}

static void test_remove__what_went_meanwhile__is_no_failure(void **state)
{
    (void)state;
    struct config_op op = {
        .kind = CONFIG_OP_REMOVE, .time_ms = s.now.wall_ms, .key = cstory_key("nothing")};
    cstory_commit(&s, &op);
    op.gray_name = SPAN("beta");
    cstory_commit(&s, &op);
    assert_int_equal(s.config->last_nid, 0);
    assert_int_equal(HASH_COUNT(s.config->items), 0);
}

/* ------------------------------------------------------------------ fields */

static int64_t rows_with(const char *where)
{
    static char sql[512];
    static struct db_stmt stmt;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM config_info WHERE %s", where);
    stmt = (struct db_stmt){.name = "where", .sql_sqlite = sql};
    return cstory_number(&s, &stmt);
}

static void publish_with_fields(struct span app, struct span tags, struct span desc)
{
    struct config_form form = cstory_form("a", "one");
    form.type = SPAN("yaml");
    form.app_name = app;
    form.tags = tags;
    form.desc = desc;
    form.use = SPAN("for what");
    assert_int_equal(cstory_publish_form(&s, &form), 0);
}

static void test_fields__not_sent__app_and_tags_stay_others_are_cleared(void **state)
{
    (void)state;
    publish_with_fields(SPAN("app"), SPAN("t1,t2"), SPAN("words"));
    assert_int_equal(rows_with("app_name = 'app' AND c_desc = 'words' AND c_use = 'for what' AND "
                               "type = 'yaml' AND src_user = 'user' AND src_ip = '10.0.0.9'"),
                     1);
    assert_int_equal(cstory_publish(&s, "a", "two"), 0);
    assert_int_equal(rows_with("app_name = 'app' AND c_desc IS NULL AND c_use IS NULL AND "
                               "type = 'text' AND content = 'two'"),
                     1);
    assert_int_equal(rows_with("(SELECT count(*) FROM config_tags_relation) = 2"), 1);
}

static void test_fields__sent_empty__app_and_tags_go(void **state)
{
    (void)state;
    publish_with_fields(SPAN("app"), SPAN("t1,t2"), SPAN("words"));
    publish_with_fields(SPAN(""), SPAN(""), SPAN(""));
    assert_int_equal(rows_with("app_name = '' AND c_desc = ''"), 1);
    assert_int_equal(rows_with("(SELECT count(*) FROM config_tags_relation) = 0"), 1);
}

static void test_fields__encrypted_key__stands_with_the_version(void **state)
{
    (void)state;
    struct config_form form = cstory_form("cipher-aes-a", "ciphertext");
    form.encrypted_key = SPAN("the key");
    assert_int_equal(cstory_publish_form(&s, &form), 0);
    const struct config_version *v = formal("cipher-aes-a");
    assert_true(span_eq(span_of(v->encrypted_key, v->encrypted_key_len), SPAN("the key")));
    assert_int_equal(rows_with("encrypted_data_key = 'the key' AND content = 'ciphertext'"), 1);
    assert_int_equal(cstory_publish(&s, "cipher-aes-a", "plain"), 0);
    assert_int_equal(formal("cipher-aes-a")->encrypted_key_len, 0);
}

static void test_content__of_10_mib__comes_back_byte_for_byte(void **state)
{
    (void)state;
    size_t len = CONFIG_CONTENT_BYTES_MAX;
    char *text = mem_alloc(len);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)('a' + i * 7 % 26);
    }
    struct config_form form = cstory_form("a", "");
    form.content = span_of(text, len);
    assert_int_equal(cstory_publish_form(&s, &form), 0);
    assert_true(span_eq(buf_span(formal("a")->content), form.content));
    assert_int_equal(config_stats(s.config).content_bytes, len);
    cstory_settle(&s);
    cstory_restart(&s, NULL);
    assert_true(span_eq(buf_span(formal("a")->content), form.content));
    mem_free(text);
}

/* ------------------------------------------------------------------ imports */

#define LIST 4

/* a, b, c, d with content "new". */
static void make_list(struct config_publish list[LIST], struct arena *arena)
{
    static const char *const names[LIST] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < LIST; i++) {
        struct config_form form = cstory_form(names[i], "new");
        struct fail fail = {0};
        assert_int_equal(config_form_check(&form, 100, arena, &list[i], &fail), 0);
    }
}

static void import(enum config_policy policy, enum config_outcome outcomes[LIST])
{
    struct arena arena;
    arena_init(&arena, 1u << 20);
    struct config_publish list[LIST];
    make_list(list, &arena);
    struct config_op op = {
        .kind = CONFIG_OP_IMPORT,
        .time_ms = s.now.wall_ms,
        .publish = list,
        .publish_count = LIST,
        .policy = policy,
    };
    struct config_changes changes = {0};
    struct fail fail = {0};
    assert_int_equal(config_apply(s.config, ++s.index, &op, s.now, &changes, &fail), 0);
    assert_int_equal(changes.outcomes_count, LIST);
    memcpy(outcomes, changes.outcomes, LIST * sizeof(*outcomes));
    config_changes_close(s.config, &changes);
    table_writer_entry_end(s.tables, s.index);
    config_check(s.config);
    arena_close(&arena);
    cstory_turn(&s);
}

static void test_import__abort__stops_at_the_first_that_exists(void **state)
{
    (void)state;
    enum config_outcome outcomes[LIST];
    assert_int_equal(cstory_publish(&s, "b", "old"), 0);
    import(CONFIG_ABORT, outcomes);
    assert_int_equal(outcomes[0], CONFIG_DONE);
    assert_int_equal(outcomes[1], CONFIG_EXISTS);
    assert_int_equal(outcomes[2], CONFIG_SKIPPED);
    assert_int_equal(outcomes[3], CONFIG_SKIPPED);
    assert_string_equal(cstory_read(&s, "a", NULL), "new");
    assert_string_equal(cstory_read(&s, "b", NULL), "old");
    assert_null(cstory_read(&s, "c", NULL));
}

static void test_import__skip__leaves_those_that_exist(void **state)
{
    (void)state;
    enum config_outcome outcomes[LIST];
    assert_int_equal(cstory_publish(&s, "b", "old"), 0);
    import(CONFIG_SKIP, outcomes);
    assert_int_equal(outcomes[0], CONFIG_DONE);
    assert_int_equal(outcomes[1], CONFIG_SKIPPED);
    assert_int_equal(outcomes[2], CONFIG_DONE);
    assert_int_equal(outcomes[3], CONFIG_DONE);
    assert_string_equal(cstory_read(&s, "b", NULL), "old");
    assert_string_equal(cstory_read(&s, "d", NULL), "new");
}

static void test_import__overwrite__replaces(void **state)
{
    (void)state;
    enum config_outcome outcomes[LIST];
    assert_int_equal(cstory_publish(&s, "b", "old"), 0);
    import(CONFIG_OVERWRITE, outcomes);
    for (size_t i = 0; i < LIST; i++) {
        assert_int_equal(outcomes[i], CONFIG_DONE);
    }
    assert_string_equal(cstory_read(&s, "b", NULL), "new");
    assert_int_equal(cstory_number(&s, &history_rows), 5);
}

static void test_import__only_a_gray_version_exists__is_no_conflict(void **state)
{
    (void)state;
    enum config_outcome outcomes[LIST];
    assert_int_equal(cstory_publish_tag(&s, "a", "x", "gray"), 0);
    import(CONFIG_ABORT, outcomes);
    assert_int_equal(outcomes[0], CONFIG_DONE);
    assert_int_equal(cstory_item(&s, "a")->value->gray_count, 1);
}

/* ------------------------------------------------------------------ history */

static void test_trim__old_history_goes(void **state)
{
    (void)state;
    for (int n = 0; n < 5; n++) {
        assert_int_equal(cstory_publish(&s, "a", n % 2 ? "odd" : "even"), 0);
        s.now.wall_ms += 1000;
    }
    assert_int_equal(cstory_number(&s, &history_rows), 5);
    struct config_op op = {.kind = CONFIG_OP_TRIM_HISTORY,
                           .time_ms = s.now.wall_ms,
                           .before_ms = s.now.wall_ms - 2500};
    cstory_commit(&s, &op);
    assert_int_equal(cstory_number(&s, &history_rows), 2);
    assert_int_equal(s.config->last_nid, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_publish__first__gives_ids_and_is_read),
        TEST(test_publish__again__keeps_id_and_draws_a_history_id),
        TEST(test_publish__clock_goes_back__modified_does_not),
        TEST(test_publish__same_content__is_an_update_with_the_same_md5),
        TEST(test_publish__stale_md5__is_refused),
        TEST(test_publish__right_md5__goes_through),
        TEST(test_publish__md5_in_upper_case__is_another_one),
        TEST(test_publish__md5_of_what_is_not_there__inserts),
        TEST(test_publish__gray_with_stale_md5__is_refused),
        TEST(test_publish__gray_beyond_the_maximum__is_refused),
        TEST(test_gray__beta_first_then_tags_by_name),
        TEST(test_gray__same_name__replaces_rule_and_content),
        TEST(test_remove__formal__leaves_gray_ones),
        TEST(test_remove__last_version__frees_the_item_when_the_tables_have_it),
        TEST(test_remove__what_went_meanwhile__is_no_failure),
        TEST(test_fields__not_sent__app_and_tags_stay_others_are_cleared),
        TEST(test_fields__sent_empty__app_and_tags_go),
        TEST(test_fields__encrypted_key__stands_with_the_version),
        TEST(test_content__of_10_mib__comes_back_byte_for_byte),
        TEST(test_import__abort__stops_at_the_first_that_exists),
        TEST(test_import__skip__leaves_those_that_exist),
        TEST(test_import__overwrite__replaces),
        TEST(test_import__only_a_gray_version_exists__is_no_conflict),
        TEST(test_trim__old_history_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
