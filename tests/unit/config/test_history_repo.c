#include "config/history_repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

static int see(void *arg, const struct history_row *row, struct fail *fail)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)fail;
    (void)snprintf(text + len, 1024 - len, "%llu:%llu %.*s %.*s %.*s %.*s;",
                   (unsigned long long)row->nid, (unsigned long long)row->id,
                   SPAN_ARG(row->op_type), SPAN_ARG(row->publish_type), SPAN_ARG(row->gray_name),
                   SPAN_ARG(row->content));
    return 0;
}

static const char *list(const struct config_key *key, uint64_t offset, uint64_t limit)
{
    static char text[1024];
    text[0] = '\0';
    assert_int_equal(
        history_list(t.db, key, (struct history_slice){offset, limit}, see, text, NULL), 0);
    return text;
}

static uint64_t count(const struct config_key *key)
{
    uint64_t n = 0;
    assert_int_equal(history_count(t.db, key, &n, NULL), 0);
    return n;
}

/* "a": one, two, gray, removed, three; "b": other. */
static struct config_publish put_some(void)
{
    struct config_publish p = tables_publish("a", "one");
    struct config_publish other = tables_publish("b", "other");
    struct config_publish gray = tables_publish("a", "gray");
    gray.gray_name = SPAN("beta");
    gray.gray_rule = SPAN("1.1.1.1");
    uint64_t id = tables_put(&t, 0, &p); /* nid 1, id 1 */
    (void)tables_put(&t, 0, &other);     /* nid 2, id 2 */
    p = tables_publish("a", "two");
    (void)tables_put(&t, id, &p);   /* nid 3 */
    (void)tables_put(&t, 0, &gray); /* nid 4, id 3 */
    tables_remove(&t, id, &p);      /* nid 5 */
    p = tables_publish("a", "three");
    (void)tables_put(&t, 0, &p); /* nid 6, id 4 */
    return p;
}

static void test_list__of_a_key__all_lives_and_gray_newest_first_without_content(void **state)
{
    (void)state;
    struct config_publish p = put_some();
    assert_int_equal(count(&p.key), 5);
    assert_string_equal(list(&p.key, 0, 500), "6:4 I formal  ;5:1 D formal  ;4:3 I gray beta ;"
                                              "3:1 U formal  ;1:1 I formal  ;");
    assert_string_equal(list(&p.key, 1, 2), "5:1 D formal  ;4:3 I gray beta ;");
    assert_string_equal(list(&p.key, 5, 2), "");
    assert_string_equal(list(&p.key, UINT64_MAX, 2), "");
}

static void test_list__other_keys__are_not_in_it(void **state)
{
    (void)state;
    struct config_publish p = put_some();
    p.key.data_id = SPAN("b");
    assert_string_equal(list(&p.key, 0, 10), "2:2 I formal  ;");
    p.key.group = SPAN("other");
    assert_int_equal(count(&p.key), 0);
    assert_string_equal(list(&p.key, 0, 10), "");
    p.key.group = SPAN("g");
    p.key.tenant = SPAN("ns");
    assert_int_equal(count(&p.key), 0);
}

static void test_find__by_nid__is_whole(void **state)
{
    (void)state;
    (void)put_some();
    char text[1024] = "";
    assert_int_equal(history_find(t.db, 3, see, text, NULL), 0);
    assert_string_equal(text, "3:1 U formal  one;");
    assert_int_equal(history_find(t.db, 99, see, text, NULL), E_NOT_FOUND);
}

static void test_previous__is_what_was_before_the_last_change(void **state)
{
    (void)state;
    struct config_publish p = put_some();
    char text[1024] = "";
    assert_int_equal(history_previous(t.db, 4, see, text, NULL), E_NOT_FOUND); /* a first publish */
    assert_int_equal(history_previous(t.db, 1, see, text, NULL), 0);
    assert_string_equal(text, "5:1 D formal  two;");
    p.content = SPAN("four");
    (void)tables_put(&t, 4, &p);
    text[0] = '\0';
    assert_int_equal(history_previous(t.db, 4, see, text, NULL), 0);
    assert_string_equal(text, "7:4 U formal  three;");
}

static int after(void *arg, const struct history_row *row, struct fail *fail)
{
    return history_after(t.db, row, see, arg, fail);
}

static void test_after__is_the_next_rows_before_or_what_is_there_now(void **state)
{
    (void)state;
    struct config_publish p = put_some();
    p.content = SPAN("four");
    (void)tables_put(&t, 4, &p); /* nid 7 */
    char text[1024] = "";
    assert_int_equal(history_find(t.db, 3, after, text, NULL), 0);
    assert_string_equal(text, "5:1 D formal  two;");
    text[0] = '\0';
    assert_int_equal(history_find(t.db, 7, after, text, NULL), 0);
    assert_string_equal(text, "0:4    four;");
    text[0] = '\0';
    assert_int_equal(history_find(t.db, 4, after, text, NULL), 0);
    assert_string_equal(text, "0:3    gray;");
    assert_int_equal(history_find(t.db, 5, after, text, NULL), E_NOT_FOUND);
}

static void see_config(void *arg, const struct history_config *config)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 1024 - len, "%.*s/%.*s/%.*s %.*s;", SPAN_ARG(config->key.tenant),
                   SPAN_ARG(config->key.group), SPAN_ARG(config->key.data_id),
                   SPAN_ARG(config->type));
    assert_true(config->modified_ms > 0);
}

static void test_configs__of_a_tenant__by_id(void **state)
{
    (void)state;
    (void)put_some();
    char text[1024] = "";
    assert_int_equal(history_configs(t.db, SPAN(""), see_config, text, NULL), 0);
    assert_string_equal(text, "/g/b text;/g/a text;");
    text[0] = '\0';
    assert_int_equal(history_configs(t.db, SPAN("ns"), see_config, text, NULL), 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_list__of_a_key__all_lives_and_gray_newest_first_without_content),
        T(test_list__other_keys__are_not_in_it),
        T(test_find__by_nid__is_whole),
        T(test_previous__is_what_was_before_the_last_change),
        T(test_after__is_the_next_rows_before_or_what_is_there_now),
        T(test_configs__of_a_tenant__by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
