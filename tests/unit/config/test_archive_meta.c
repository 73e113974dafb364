/* The metadata of archives in both layouts (http-api.md 2.8; golden http/config-batch). */
#include "config/archive_meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

struct bed {
    struct arena arena;
    struct fail fail;
    struct archive_item *items;
    size_t count;
};

static int set_up(void **state)
{
    struct bed *b = mem_zalloc(1, sizeof(*b));
    arena_init(&b->arena, 16u << 20);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    arena_close(&b->arena);
    mem_free(b);
    return 0;
}

static int read_span(struct bed *b, struct span text)
{
    b->items = NULL;
    b->count = 0;
    b->fail = (struct fail){0};
    return archive_meta_read(text, &b->arena, &b->items, &b->count, &b->fail);
}

static void accept(struct bed *b, const char *text)
{
    int err = read_span(b, span_str(text));
    if (err) {
        fail_msg("refused: %s %s\n%s", err_name(err), b->fail.text, text);
    }
}

static void refuse(struct bed *b, const char *text, int err, const char *words)
{
    int got = read_span(b, span_str(text));
    if (got != err || !strstr(b->fail.text, words)) {
        fail_msg("expected %s '%s'\ngot      %s '%s'", err_name(err), words, err_name(got),
                 b->fail.text);
    }
}

static void check_text(struct span got, const char *text)
{
    if (!got.data || !span_eq(got, span_str(text))) {
        fail_msg("expected '%s'\ngot      '%.*s'", text, SPAN_ARG(got));
    }
}

/* ------------------------------------------------------------------ .metadata.yml */

static void test_read__fields__come_with_their_nulls(void **state)
{
    struct bed *b = *state;
    accept(b, "metadata:\n- appName: ''\n  dataId: 123\n  desc: null\n  group: true\n  type: ~x\n"
              "- {dataId: 'null', group: G, type: text, desc: ~, appName: \"a\\nb\"}\n");
    assert_int_equal(b->count, 2);
    check_text(b->items[0].app_name, "");
    check_text(b->items[0].data_id, "123");
    assert_null(b->items[0].desc.data);
    check_text(b->items[0].group, "true");
    check_text(b->items[0].type, "~x");
    check_text(b->items[1].data_id, "null");
    assert_null(b->items[1].desc.data);
    check_text(b->items[1].app_name, "a\nb");
}

static void test_read__unknown_fields__are_passed_over(void **state)
{
    struct bed *b = *state;
    accept(b,
           "version: [1, {a: b}]\nmetadata:\n- dataId: a\n  configTags: {x: [1, 2]}\n  group: G\n"
           "  type: text\n  extra: 7\nmore: 1\n");
    assert_int_equal(b->count, 1);
    check_text(b->items[0].type, "text");
}

static void test_read__byte_order_mark_and_crlf__are_taken(void **state)
{
    struct bed *b = *state;
    accept(b, "\357\273\277metadata:\r\n- dataId: a\r\n  group: G\r\n  type: text\r\n");
    assert_int_equal(b->count, 1);
}

static void test_read__required_field_missing__says_which_and_where(void **state)
{
    struct bed *b = *state;
    refuse(b, "metadata:\n- dataId: a\n  group: G\n", E_INVALID, "without type");
    refuse(b, "metadata:\n- dataId: a\n  type: t\n", E_INVALID, "without group");
    refuse(b, "metadata:\n- group: a\n  type: t\n", E_INVALID, "without dataId");
    refuse(b, "metadata:\n- group: a\n  type: t\n  dataId: ' '\n", E_INVALID, "without dataId");
    refuse(b, "metadata:\n- {dataId: a, group: G, type: t}\n- {dataId: a, group: null, type: t}\n",
           E_INVALID, "line 3: a config without group");
}

static void test_read__other_shapes__are_invalid(void **state)
{
    struct bed *b = *state;
    refuse(b, "", E_INVALID, "expected the list 'metadata'");
    refuse(b, "text", E_INVALID, "expected the list 'metadata'");
    refuse(b, "- a", E_INVALID, "expected the list 'metadata'");
    refuse(b, "metadata: x", E_INVALID, "'metadata' is not a list");
    refuse(b, "metadata: {a: b}", E_INVALID, "'metadata' is not a list");
    refuse(b, "metadata: []\n", E_INVALID, "names no config");
    refuse(b, "other: 1\n", E_INVALID, "names no config");
    refuse(b, "metadata:\n- text\n", E_INVALID, "expected a config");
    refuse(b, "metadata:\n- dataId: [a]\n", E_INVALID, "expected a text");
    refuse(b, "metadata:\n- [a]: b\n", E_INVALID, "expected the name of a field");
    refuse(b, "metadata:\n- ? [a]\n  : b\n", E_INVALID, "expected the name of a field");
    refuse(b, "metadata:\n- {dataId: a, group: G, type: t}\n---\nx: 1\n", E_INVALID,
           "more than one document");
    refuse(b, "metadata: [\n", E_INVALID, "line");
    refuse(b, "metadata:\n\t- a\n", E_INVALID, "line");
    refuse(b, "metadata:\n- dataId: \377\n", E_INVALID, "line");
}

static void test_read__aliases__are_refused(void **state)
{
    struct bed *b = *state;
    refuse(b, "a: &a [x, x]\nb: &b [*a, *a]\nmetadata: []\n", E_INVALID, "aliases are not taken");
    refuse(b, "metadata:\n- &i {dataId: a, group: G, type: t}\n- *i\n", E_INVALID,
           "aliases are not taken");
}

static void test_read__deep_nesting__is_refused(void **state)
{
    struct bed *b = *state;
    char text[4096] = "deep: ";
    size_t len = strlen(text);
    memset(text + len, '[', 2000);
    refuse(b, text, E_INVALID, "nested too deeply");
    len = 0;
    for (int i = 0; i < 40; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%*sk:\n", i, "");
    }
    refuse(b, text, E_INVALID, "nested too deeply");
}

static void test_read__too_many_values__are_refused(void **state)
{
    struct bed *b = *state;
    size_t count = ARCHIVE_META_EVENTS_MAX;
    char *text = mem_zalloc(2 * count + 16, 1);
    memcpy(text, "a: [", 4);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + 4 + 2 * i, "1,", 2);
    }
    refuse(b, text, E_TOO_LARGE, "holds more than 500000 values");
    mem_free(text);
}

static void test_read__too_many_configs__are_refused(void **state)
{
    struct bed *b = *state;
    static const char line[] = "- {dataId: a, group: G, type: t}\n";
    size_t size = 16 + (ARCHIVE_ENTRIES_MAX + 1) * (sizeof(line) - 1);
    char *text = mem_zalloc(size + 1, 1);
    size_t len = (size_t)snprintf(text, size, "metadata:\n");
    for (size_t i = 0; i <= ARCHIVE_ENTRIES_MAX; i++) {
        memcpy(text + len, line, sizeof(line) - 1);
        len += sizeof(line) - 1;
    }
    refuse(b, text, E_TOO_LARGE, "names more than 20000 configs");
    mem_free(text);
}

static void test_read__arena_full__is_too_large(void **state)
{
    struct bed *b = *state;
    arena_close(&b->arena);
    arena_init(&b->arena, 100);
    refuse(b, "metadata:\n- {dataId: a, group: G, type: t}\n", E_TOO_LARGE,
           "larger than a request may be");
}

static void test_write__as_nacos_writes(void **state)
{
    (void)state;
    static const struct archive_item items[] = {
        {.app_name = {"sapp", 4},
         .data_id = {"s-1.yaml", 8},
         .group = {"SG", 2},
         .type = {"yaml", 4}},
        {.app_name = {"", 0}, .data_id = {"s-2.yaml", 8}, .group = {"SG", 2}, .type = {"yaml", 4}},
        {.data_id = {"7", 1}, .desc = {"a: b", 4}, .group = {"null", 4}, .type = {"text", 4}},
    };
    struct buf *text = NULL;
    struct fail fail = {0};
    assert_int_equal(archive_meta_write(items, 3, &text, &fail), 0);
    check_text(buf_span(text), "metadata:\n"
                               "- appName: sapp\n  dataId: s-1.yaml\n  group: SG\n  type: yaml\n"
                               "- appName: ''\n  dataId: s-2.yaml\n  group: SG\n  type: yaml\n"
                               "- dataId: '7'\n  desc: 'a: b'\n  group: 'null'\n  type: text\n");
    buf_unref(text);
}

static void test_write__no_configs__is_an_empty_list(void **state)
{
    (void)state;
    struct buf *text = NULL;
    struct fail fail = {0};
    assert_int_equal(archive_meta_write(NULL, 0, &text, &fail), 0);
    check_text(buf_span(text), "metadata: []\n");
    buf_unref(text);
}

static void test_write__text_that_is_no_utf8__is_refused(void **state)
{
    (void)state;
    struct archive_item item = {
        .data_id = SPAN("a"), .group = SPAN("G"), .type = SPAN("text"), .desc = SPAN("\377")};
    struct buf *text = NULL;
    struct fail fail = {0};
    assert_int_equal(archive_meta_write(&item, 1, &text, &fail), E_INVALID);
    assert_string_equal(fail.text, "G/a has texts that are not UTF-8");
}

/* Texts that YAML might read as something else. */
static const char *const awkward[] = {
    "plain",
    "",
    " lead",
    "trail ",
    "123",
    "1.5",
    "0x1F",
    "1e3",
    "true",
    "No",
    "null",
    "~",
    "- a",
    "a: b",
    "a #b",
    "#a",
    "'q'",
    "\"q\"",
    "a\nb",
    "a\r\nb",
    "\n",
    "a\n\n b",
    "\t",
    "tab\there",
    "[x]",
    "{x: y}",
    "*a",
    "&a",
    "!t",
    "|",
    ">",
    "%x",
    "@x",
    "`x",
    "?",
    "-",
    "---",
    "...",
    "=",
    "<<",
    "2024-01-02",
    "12:30:45",
    "说明",
    "\xF0\x9F\x98\x80",
    "a\xC2\x85"
    "b",
    "a\xE2\x80\xA8"
    "b",
    "\xEF\xBB\xBF"
    "bom",
    "very long text with blanks that is longer than eighty characters so that "
    "an emitter would like to fold it into several lines of text",
    "a:",
    ":a",
    "a'b",
    "a\\b",
    "\1",
    "\177",
};

static void test_write__any_text__comes_back(void **state)
{
    struct bed *b = *state;
    for (size_t i = 0; i < sizeof(awkward) / sizeof(awkward[0]); i++) {
        struct archive_item item = {.data_id = SPAN("a"),
                                    .group = SPAN("G"),
                                    .type = SPAN("text"),
                                    .app_name = SPAN("end"),
                                    .desc = span_str(awkward[i])};
        struct buf *text = NULL;
        struct fail fail = {0};
        assert_int_equal(archive_meta_write(&item, 1, &text, &fail), 0);
        if (read_span(b, buf_span(text)) != 0 || !span_eq(b->items[0].desc, item.desc) ||
            !span_eq(b->items[0].app_name, item.app_name)) {
            fail_msg("'%s' became '%.*s' %s by way of\n%.*s", awkward[i],
                     SPAN_ARG(b->count ? b->items[0].desc : (struct span){0}), b->fail.text,
                     SPAN_ARG(buf_span(text)));
        }
        buf_unref(text);
    }
}

/* ------------------------------------------------------------------ .meta.yml */

static void expect_app(const struct archive_app *apps, size_t count, const char *group,
                       const char *data_id, const char *app)
{
    struct archive_item item = {.group = span_str(group), .data_id = span_str(data_id)};
    struct span got = archive_apps_find(apps, count, &item);
    if (app) {
        check_text(got, app);
    } else {
        assert_null(got.data);
    }
}

static void test_apps__lines__are_found_by_config(void **state)
{
    struct bed *b = *state;
    struct archive_app *apps = NULL;
    size_t count = 0;
    assert_int_equal(
        archive_apps_read(SPAN("SG.s-1~yaml.app=one\r\nSG.a.b~c.app=two\n\nSG.plain.app=x=y\r\n"
                               "SG.s-1~yaml.app=last\r\n"),
                          &b->arena, &apps, &count, &b->fail),
        0);
    assert_int_equal(count, 3);
    expect_app(apps, count, "SG", "s-1.yaml", "last");
    expect_app(apps, count, "SG", "a.b.c", "two");
    expect_app(apps, count, "SG", "plain", "x=y");
    expect_app(apps, count, "SG", "other", NULL);
    expect_app(apps, count, "", "", NULL);
    expect_app(apps, 0, "SG", "plain", NULL);
}

static void test_apps__long_names__have_none(void **state)
{
    struct bed *b = *state;
    struct archive_app *apps = NULL;
    size_t count = 0;
    char name[2000];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(archive_apps_read(SPAN("a.b.app=c"), &b->arena, &apps, &count, &b->fail), 0);
    expect_app(apps, count, "G", name, NULL);
    expect_app(apps, count, name, "a", NULL);
}

static void test_apps__bad_lines__are_named(void **state)
{
    struct bed *b = *state;
    static const char *const bad[] = {"x", "=x", "x=", "a=b\nx"};
    struct archive_app *apps = NULL;
    size_t count = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(archive_apps_read(span_str(bad[i]), &b->arena, &apps, &count, &b->fail),
                         E_INVALID);
        assert_non_null(strstr(b->fail.text, i == 3 ? ".meta.yml line 2" : ".meta.yml line 1"));
    }
}

static void test_apps__too_many_lines__are_refused(void **state)
{
    struct bed *b = *state;
    size_t size = 2 * ARCHIVE_ENTRIES_MAX + 1;
    char *text = mem_alloc(size);
    memset(text, '\n', size);
    struct archive_app *apps = NULL;
    size_t count = 0;
    assert_int_equal(archive_apps_read(span_of(text, size), &b->arena, &apps, &count, &b->fail),
                     E_TOO_LARGE);
    mem_free(text);
}

static void test_apps__written__as_nacos_writes(void **state)
{
    (void)state;
    static const struct archive_item items[] = {
        {.app_name = {"sapp", 4}, .data_id = {"s-1.yaml", 8}, .group = {"SG", 2}},
        {.app_name = {"", 0}, .data_id = {"s-2.yaml", 8}, .group = {"SG", 2}},
        {.data_id = {"s-3.yaml", 8}, .group = {"SG", 2}},
        {.app_name = {"a\nb", 3}, .data_id = {"s-4", 3}, .group = {"SG", 2}},
        {.app_name = {"x", 1}, .data_id = {"a.b.c", 5}, .group = {"G.H", 3}},
    };
    struct buf *text = archive_apps_write(items, 5);
    check_text(buf_span(text), "SG.s-1~yaml.app=sapp\r\nG.H.a.b~c.app=x\r\n");
    buf_unref(text);
    assert_null(archive_apps_write(items + 1, 3));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_read__fields__come_with_their_nulls),
        TEST(test_read__unknown_fields__are_passed_over),
        TEST(test_read__byte_order_mark_and_crlf__are_taken),
        TEST(test_read__required_field_missing__says_which_and_where),
        TEST(test_read__other_shapes__are_invalid),
        TEST(test_read__aliases__are_refused),
        TEST(test_read__deep_nesting__is_refused),
        TEST(test_read__too_many_values__are_refused),
        TEST(test_read__too_many_configs__are_refused),
        TEST(test_read__arena_full__is_too_large),
        TEST(test_write__as_nacos_writes),
        TEST(test_write__no_configs__is_an_empty_list),
        TEST(test_write__text_that_is_no_utf8__is_refused),
        TEST(test_write__any_text__comes_back),
        TEST(test_apps__lines__are_found_by_config),
        TEST(test_apps__long_names__have_none),
        TEST(test_apps__bad_lines__are_named),
        TEST(test_apps__too_many_lines__are_refused),
        TEST(test_apps__written__as_nacos_writes),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
