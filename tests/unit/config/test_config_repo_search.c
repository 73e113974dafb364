#include "config/config_repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "config_tables.h"

static struct config_tables t;

static void put(const char *data_id, const char *group, const char *content,
                struct config_publish more)
{
    struct config_publish p = tables_publish(data_id, content);
    p.key.group = span_str(group);
    p.key.tenant = more.key.tenant;
    p.type = more.type;
    p.app_name = more.app_name;
    p.tags = more.tags;
    (void)tables_put(&t, 0, &p);
}

static int setup(void **state)
{
    (void)state;
    tables_init(&t);
    put("s-1.yaml", "SG", "v: 1",
        (struct config_publish){
            .type = CONFIG_YAML, .app_name = SPAN("sapp"), .tags = SPAN("red,blue")});
    put("s-2.yaml", "SG", "v: 2 [x]", (struct config_publish){.type = CONFIG_YAML});
    put("s_3%.json", "SG", "{}",
        (struct config_publish){.type = CONFIG_JSON, .tags = SPAN("blue")});
    put("S-1.yaml", "OTHER", "V: 1", (struct config_publish){.type = CONFIG_YAML});
    put("s-ns", "SG", "n",
        (struct config_publish){.key = {.tenant = SPAN("ns_a")}, .tags = SPAN("red")});
    put("s-ns", "SG", "n", (struct config_publish){.key = {.tenant = SPAN("nsxa")}});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_close(&t);
    return 0;
}

static int collect(void *arg, const struct repo_row *row, struct fail *fail)
{
    (void)fail;
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 512 - len, "%s%llu", len ? "," : "", (unsigned long long)row->id);
    return 0;
}

/* The ids that s finds; the count must say as many (of all pages). */
static const char *ids_of(const struct repo_search *s)
{
    static char text[512];
    struct fail fail = {0};
    uint64_t count = 0;
    text[0] = '\0';
    assert_int_equal(config_repo_search(t.db, s, collect, text, &fail), 0);
    assert_int_equal(config_repo_count(t.db, s, &count, &fail), 0);
    uint64_t found = text[0] ? 1 : 0;
    for (const char *at = text; *at; at++) {
        found += *at == ',';
    }
    if (s->limit == 0 && s->offset == 0) {
        assert_int_equal(count, found);
    }
    return text;
}

#define EXPECT(ids, ...)                                                                           \
    do {                                                                                           \
        struct repo_search s_ = {__VA_ARGS__};                                                     \
        assert_string_equal(ids_of(&s_), ids);                                                     \
    } while (0)

static void test_search__no_filter__is_the_tenants_configs(void **state)
{
    (void)state;
    EXPECT("1,2,3,4", .tenant = SPAN(""));
    EXPECT("5", .tenant = SPAN("ns_a")); /* _ is no wildcard in a tenant either */
    EXPECT("", .tenant = SPAN("none"), .is_blur = true);
}

static void test_search__accurate__is_equality(void **state)
{
    (void)state;
    EXPECT("1", .data_id = SPAN("s-1.yaml"));
    EXPECT("", .data_id = SPAN("s-*"));
    EXPECT("4", .group = SPAN("OTHER"));
    EXPECT("", .data_id = SPAN("s-1.yaml"), .group = SPAN("OTHER"));
    EXPECT("1", .app_name = SPAN("sapp"));
}

static void test_search__blur__star_is_the_only_wildcard(void **state)
{
    (void)state;
    EXPECT("1,2", .is_blur = true, .data_id = SPAN("s-*"));
    EXPECT("1,2,4", .is_blur = true, .data_id = SPAN("**-**yaml*"));
    EXPECT("2", .is_blur = true, .data_id = SPAN("*-2*"));
    EXPECT("1", .is_blur = true, .data_id = SPAN("s-1.yaml"));
    EXPECT("", .is_blur = true, .data_id = SPAN("s-1"));
    EXPECT("3", .is_blur = true, .data_id = SPAN("s_*"));
    EXPECT("3", .is_blur = true, .data_id = SPAN("*%*"));
    EXPECT("", .is_blur = true, .data_id = SPAN("s?*"));
    EXPECT("", .is_blur = true, .data_id = SPAN("[s]*"));
    EXPECT("4", .is_blur = true, .group = SPAN("O*R"));
    EXPECT("1,2,3,4", .is_blur = true, .data_id = SPAN("*"), .group = SPAN("*"));
}

static void test_search__content__is_a_substring_or_a_pattern_in_it(void **state)
{
    (void)state;
    EXPECT("1,2", .content = SPAN("v: "));
    EXPECT("2", .content = SPAN("[x]"));
    EXPECT("2", .content = SPAN("v*x"));
    EXPECT("2", .content = SPAN("2 [*]"));
    EXPECT("", .content = SPAN("v: 3"));
    EXPECT("1", .content = SPAN("1"), .data_id = SPAN("s-1.yaml"));
}

static void test_search__tags_and_types__any_of_the_list_once(void **state)
{
    (void)state;
    EXPECT("1", .tags = SPAN("red"));
    EXPECT("1,3", .tags = SPAN("red,blue"));
    EXPECT("", .tags = SPAN("green"));
    EXPECT("1", .tags = SPAN("blue"), .types = SPAN("yaml"));
    EXPECT("1,2,3,4", .types = SPAN("json,,yaml"));
    EXPECT("5", .tenant = SPAN("ns_a"), .tags = SPAN("red,blue"));
}

static void test_search__export__data_id_anywhere_group_exact(void **state)
{
    (void)state;
    EXPECT("1,4", .is_export = true, .data_id = SPAN("-1.y"));
    EXPECT("", .is_export = true, .data_id = SPAN("-1"), .group = SPAN("S*"));
    EXPECT("1", .is_export = true, .data_id = SPAN("-1"), .group = SPAN("SG"));
    EXPECT("1,2,3,4", .is_export = true);
}

static void test_search__ids__only_of_the_tenant_unless_any(void **state)
{
    (void)state;
    const uint64_t ids[] = {5, 1, 999, 1};
    EXPECT("1", .ids = ids, .ids_count = 4);
    EXPECT("1,5", .ids = ids, .ids_count = 4, .any_tenant = true);
    EXPECT("5", .ids = ids, .ids_count = 4, .tenant = SPAN("ns_a"));
    EXPECT("", .ids = ids, .ids_count = 0, .any_tenant = true);
}

static void test_search__pages__by_id(void **state)
{
    (void)state;
    EXPECT("1,2", .limit = 2);
    EXPECT("3,4", .limit = 2, .offset = 2);
    EXPECT("", .limit = 2, .offset = 4);
    EXPECT("", .limit = 2, .offset = UINT64_MAX);
}

static void test_search__pattern_or_list_too_long__is_invalid(void **state)
{
    (void)state;
    char *text = mem_alloc(REPO_PATTERN_MAX + 1);
    memset(text, '*', REPO_PATTERN_MAX + 1);
    struct span longer = span_of(text, REPO_PATTERN_MAX + 1);
    struct span longest = span_of(text, REPO_PATTERN_MAX);
    const struct repo_search bad[] = {{.data_id = longer, .is_blur = true},
                                      {.group = longer},
                                      {.content = longer},
                                      {.tags = longer},
                                      {.types = longer}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fail fail = {0};
        uint64_t count = 0;
        char ids[512] = "";
        assert_int_equal(config_repo_search(t.db, &bad[i], collect, ids, &fail), E_INVALID);
        assert_non_null(strstr(fail_text(&fail), "8193 bytes, the limit is 8192"));
        assert_int_equal(config_repo_count(t.db, &bad[i], &count, &fail), E_INVALID);
    }
    EXPECT("1,2,3,4", .data_id = longest, .is_blur = true);
    memset(text, '[', REPO_PATTERN_MAX);
    EXPECT("", .data_id = longest, .is_blur = true);
    text[0] = '*';
    EXPECT("", .data_id = longest, .is_blur = true);
    mem_free(text);
}

static int copy(void *arg, const struct repo_row *row, struct fail *fail)
{
    (void)fail;
    char *text = arg;
    (void)snprintf(text, 512, "%.*s/%.*s/%.*s %.*s %.*s [%.*s] %.*s %.*s %.*s by %.*s@%.*s %.*s %d",
                   SPAN_ARG(row->key.tenant), SPAN_ARG(row->key.group), SPAN_ARG(row->key.data_id),
                   SPAN_ARG(row->content), SPAN_ARG(row->md5), SPAN_ARG(row->tags),
                   SPAN_ARG(row->app_name), SPAN_ARG(row->type), SPAN_ARG(row->encrypted_key),
                   SPAN_ARG(row->src_user), SPAN_ARG(row->src_ip), SPAN_ARG(row->gray_rule),
                   (int)(row->modified_ms - row->created_ms));
    assert_null(row->desc.data);
    assert_null(row->use.data);
    assert_null(row->effect.data);
    assert_null(row->schema.data);
    return 0;
}

static void test_find__formal__has_every_field(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("s-1.yaml", "again");
    p.key.group = SPAN("SG");
    p.encrypted_key = SPAN("key");
    (void)tables_put(&t, 1, &p);
    char text[512] = "";
    assert_int_equal(config_repo_find(t.db, &p.key, (struct span){0}, copy, text, NULL), 0);
    assert_string_equal(text, "/SG/s-1.yaml again 639849f6b368019778991b32434354fc [red,blue] sapp "
                              "text key by user@10.0.0.1  6");
}

static void test_find__gray__has_its_rule(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("s-1.yaml", "gray");
    p.key.group = SPAN("SG");
    p.gray_name = SPAN("beta");
    p.gray_rule = SPAN("1.1.1.1,2.2.2.2");
    (void)tables_put(&t, 0, &p);
    char text[512] = "";
    assert_int_equal(config_repo_find(t.db, &p.key, SPAN("beta"), copy, text, NULL), 0);
    assert_string_equal(text, "/SG/s-1.yaml gray cda7a650c5856cf2f6738072447d7825 []  text  by "
                              "user@10.0.0.1 1.1.1.1,2.2.2.2 0");
}

static void test_find__missing__is_not_found(void **state)
{
    (void)state;
    struct config_publish p = tables_publish("s-1.yaml", "");
    char text[512] = "";
    assert_int_equal(config_repo_find(t.db, &p.key, (struct span){0}, copy, text, NULL),
                     E_NOT_FOUND);
    p.key.group = SPAN("SG");
    assert_int_equal(config_repo_find(t.db, &p.key, SPAN("beta"), copy, text, NULL), E_NOT_FOUND);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_search__no_filter__is_the_tenants_configs),
        T(test_search__accurate__is_equality),
        T(test_search__blur__star_is_the_only_wildcard),
        T(test_search__content__is_a_substring_or_a_pattern_in_it),
        T(test_search__tags_and_types__any_of_the_list_once),
        T(test_search__export__data_id_anywhere_group_exact),
        T(test_search__ids__only_of_the_tenant_unless_any),
        T(test_search__pages__by_id),
        T(test_search__pattern_or_list_too_long__is_invalid),
        T(test_find__formal__has_every_field),
        T(test_find__gray__has_its_rule),
        T(test_find__missing__is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
