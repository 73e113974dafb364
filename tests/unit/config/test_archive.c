/* Archives of configs: what a Nacos makes is read, what lies is refused (http-api.md 2.8; golden
 * http/config-batch). Those that lie are made by hand, byte by byte. */
#include "config/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "zip_maker.h"

struct bed {
    struct zip_maker *zip;
    struct arena arena;
    struct archive archive;
    struct fail fail;
};

static int set_up(void **state)
{
    struct bed *b = mem_zalloc(1, sizeof(*b));
    b->zip = zip_maker_create();
    arena_init(&b->arena, 160u << 20);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    arena_close(&b->arena);
    zip_maker_destroy(b->zip);
    mem_free(b);
    return 0;
}

static int read_span(struct bed *b, struct span zip)
{
    b->archive = (struct archive){0};
    b->fail = (struct fail){0};
    return archive_read(zip, &b->arena, &b->archive, &b->fail);
}

static void accept(struct bed *b)
{
    int err = read_span(b, zip_end(b->zip));
    if (err) {
        fail_msg("refused: %s %s", err_name(err), b->fail.text);
    }
}

static void refuse_span(struct bed *b, struct span zip, int err, const char *text)
{
    int got = read_span(b, zip);
    if (got != err || !strstr(b->fail.text, text)) {
        fail_msg("expected %s '%s'\ngot      %s '%s'", err_name(err), text, err_name(got),
                 b->fail.text);
    }
    assert_null(b->archive.items);
}

static void refuse(struct bed *b, int err, const char *text)
{
    refuse_span(b, zip_end(b->zip), err, text);
}

static void check_text(struct span got, const char *text)
{
    if (!span_eq(got, span_str(text))) {
        fail_msg("expected '%s'\ngot      '%.*s'", text, SPAN_ARG(got));
    }
}

static void check_item(const struct archive_item *i, const char *group, const char *data_id,
                       const char *content)
{
    check_text(i->group, group);
    check_text(i->data_id, data_id);
    check_text(i->content, content);
}

/* ------------------------------------------------------------------ what is read */

static void test_old_layout__without_metadata__takes_type_from_extension(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "NG/new-1.properties", "a=1");
    zip_stored(b->zip, "NG/new-2.json", "{}");
    zip_stored(b->zip, "one-level", "x");
    zip_stored(b->zip, "a/b/c", "x");
    accept(b);
    assert_int_equal(b->archive.layout, ARCHIVE_OLD);
    assert_int_equal(b->archive.count, 2);
    check_item(&b->archive.items[0], "NG", "new-1.properties", "a=1");
    check_item(&b->archive.items[1], "NG", "new-2.json", "{}");
    check_text(b->archive.items[0].type, "properties");
    check_text(b->archive.items[1].type, "json");
    assert_null(b->archive.items[0].app_name.data);
    assert_int_equal(b->archive.unrecognized_count, 2);
    check_text(b->archive.unrecognized[0], "one-level");
    check_text(b->archive.unrecognized[1], "a/b/c");
}

static void test_type__each_extension__is_known(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a.properties", "properties"},
        {"a.XML", "xml"},
        {"a.json", "json"},
        {"a.htm", "html"},
        {"a.html", "html"},
        {"a.yaml", "yaml"},
        {"a.yml", "yaml"},
        {"a.toml", "toml"},
        {"a.txt", "text"},
        {"a", "text"},
        {"json", "text"},
        {"a.", "text"},
        {"", "text"},
        {".json", "json"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        check_text(archive_type_of(span_str(pairs[i][0])), pairs[i][1]);
    }
}

static void test_old_layout__meta_yml__gives_applications(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "SG/s-1.yaml", "v: 1");
    zip_stored(b->zip, "SG/s-2.yaml", "v: 2");
    zip_stored(b->zip, "SG/plain", "3");
    zip_stored(b->zip, ".meta.yml", "SG.s-1~yaml.app=sapp\r\nSG.plain.app=other\r\n");
    accept(b);
    assert_int_equal(b->archive.count, 3);
    check_text(b->archive.items[0].app_name, "sapp");
    assert_null(b->archive.items[1].app_name.data);
    check_text(b->archive.items[2].app_name, "other");
    assert_int_equal(b->archive.unrecognized_count, 0);
}

static void test_old_layout__line_without_value__is_invalid_metadata(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "NG/new-4.properties", "a=1");
    zip_stored(b->zip, ".meta.yml", "garbage line\r\n");
    refuse(b, E_INVALID, ".meta.yml line 1: expected key=value");
}

#define V2_OF_SG                                                                                   \
    "metadata:\n- appName: sapp\n  dataId: s-1.yaml\n  group: SG\n  type: yaml\n- appName: ''\n  " \
    "dataId: s-2.yaml\n  desc: second\n  group: SG\n  type: yaml\n"

static void test_v2__export_of_nacos__is_read_in_order_of_metadata(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "SG/s-2.yaml", "v: 2");
    zip_stored(b->zip, "SG/s-1.yaml", "v: 1");
    zip_stored(b->zip, ".metadata.yml", V2_OF_SG);
    accept(b);
    assert_int_equal(b->archive.layout, ARCHIVE_V2);
    assert_int_equal(b->archive.count, 2);
    check_item(&b->archive.items[0], "SG", "s-1.yaml", "v: 1");
    check_item(&b->archive.items[1], "SG", "s-2.yaml", "v: 2");
    check_text(b->archive.items[0].app_name, "sapp");
    check_text(b->archive.items[0].type, "yaml");
    assert_null(b->archive.items[0].desc.data);
    check_text(b->archive.items[1].app_name, "");
    check_text(b->archive.items[1].desc, "second");
    assert_int_equal(b->archive.unrecognized_count, 0);
}

static void test_v2__either_side_missing__is_unrecognised_with_reason(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "SG/s-1.yaml", "v: 1");
    zip_stored(b->zip, "SG/extra", "x");
    zip_stored(b->zip, "deep/er/x", "x");
    zip_stored(b->zip, ".meta.yml", "not looked at");
    zip_stored(b->zip, ".metadata.yml", V2_OF_SG);
    accept(b);
    assert_int_equal(b->archive.count, 1);
    assert_int_equal(b->archive.unrecognized_count, 4);
    check_text(b->archive.unrecognized[0], "未在元数据中找到: SG/extra");
    check_text(b->archive.unrecognized[1], "deep/er/x");
    check_text(b->archive.unrecognized[2], ".meta.yml");
    check_text(b->archive.unrecognized[3], "未在文件中找到: SG/s-2.yaml");
}

static void test_v2__config_named_twice__is_invalid_metadata(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "1");
    zip_stored(
        b->zip, ".metadata.yml",
        "metadata:\n- {dataId: a, group: G, type: text}\n- {dataId: a, group: G, type: text}\n");
    refuse(b, E_INVALID, "names 'G/a' twice");
}

static void test_v2__names_that_lead_elsewhere__are_not_found(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "../a", "1");
    zip_stored(b->zip, ".metadata.yml", "metadata:\n- {dataId: a, group: .., type: text}\n");
    accept(b);
    assert_int_equal(b->archive.count, 0);
    assert_int_equal(b->archive.unrecognized_count, 2);
    check_text(b->archive.unrecognized[0], "../a");
    check_text(b->archive.unrecognized[1], "未在文件中找到: ../a");
}

static void test_read__no_zip_at_all__is_empty(void **state)
{
    struct bed *b = *state;
    static const char *const texts[] = {"", "x", "the text hello", "PK", "<html></html>"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_span(b, span_str(texts[i])), 0);
        assert_int_equal(b->archive.count, 0);
        assert_int_equal(b->archive.unrecognized_count, 0);
    }
}

static void test_read__zip_without_entries__is_empty(void **state)
{
    struct bed *b = *state;
    accept(b);
    assert_int_equal(b->archive.count, 0);
}

static void test_read__empty_content__is_given_not_null(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "");
    accept(b);
    assert_int_equal(b->archive.count, 1);
    assert_non_null(b->archive.items[0].content.data);
    assert_int_equal(b->archive.items[0].content.len, 0);
}

static void test_read__folders__are_passed_over(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/", "");
    zip_stored(b->zip, "G/a", "1");
    accept(b);
    assert_int_equal(b->archive.count, 1);
    assert_int_equal(b->archive.unrecognized_count, 0);
}

static void test_read__sizes_behind_the_data__are_read(void **state)
{
    /* As Java's ZipOutputStream writes: the head before the data says 0 three times. */
    struct bed *b = *state;
    static const char deflated[] = "\1\3\0\374\377a=1"; /* one stored block */
    struct span content = SPAN("a=1");
    struct zip_maker *z = b->zip;
    struct zip_part p = {.name = SPAN("G/a"),
                         .data = span_of(deflated, 8),
                         .method = 8,
                         .flags = 8,
                         .size = 3,
                         .crc = zip_crc32(content)};
    zip_raw(z, span_of("PK\3\4\24\0\10\0\10\0\41\0\0\0", 14));
    zip_raw(z, span_of("\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0", 16));
    zip_raw(z, p.name);
    zip_raw(z, p.data);
    zip_raw(z, span_of("PK\7\10", 4));
    zip_u32(z, p.crc);
    zip_u32(z, 8);
    zip_u32(z, 3);
    p.no_body = true;
    (void)zip_part(z, &p);
    accept(b);
    assert_int_equal(b->archive.count, 1);
    check_item(&b->archive.items[0], "G", "a", "a=1");
}

/* ------------------------------------------------------------------ names */

static void test_names__not_two_safe_parts__are_unrecognised(void **state)
{
    struct bed *b = *state;
    static const struct {
        const char *name;
        size_t len;
    } evil[] = {
        {"../etc", 6},  {"../../etc/passwd", 16},
        {"/etc", 4},    {"//x", 3},
        {"/a/b", 4},    {"a/..", 4},
        {"./a", 3},     {"a/.", 3},
        {"..\\a/b", 6}, {"a\\b", 3},
        {"C:\\a/b", 6}, {"a//b", 4},
        {"a", 1},       {"a/b/c", 5},
        {"a/b\n", 4},   {"a/b\177", 4},
        {"\303(/x", 4}, {"a/\377", 3},
    };
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        (void)zip_part(b->zip, &(struct zip_part){.name = span_of(evil[i].name, evil[i].len),
                                                  .data = SPAN("x")});
    }
    accept(b);
    assert_int_equal(b->archive.count, 0);
    assert_int_equal(b->archive.unrecognized_count, sizeof(evil) / sizeof(evil[0]));
}

static void test_names__nul_inside__does_not_cut_the_name(void **state)
{
    struct bed *b = *state;
    (void)zip_part(b->zip, &(struct zip_part){.name = span_of("G/a\0/../x", 9), .data = SPAN("1")});
    accept(b);
    assert_int_equal(b->archive.count, 0);
    assert_int_equal(b->archive.unrecognized_count, 1);
}

static void test_names__empty__is_unrecognised(void **state)
{
    struct bed *b = *state;
    (void)zip_part(b->zip, &(struct zip_part){.name = span_of("", 0), .data = SPAN("1")});
    accept(b);
    assert_int_equal(b->archive.count, 0);
    assert_int_equal(b->archive.unrecognized_count, 1);
}

static void test_names__twice_the_same__is_refused(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "1");
    zip_stored(b->zip, "G/a", "2");
    refuse(b, E_PARSE, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_old_layout__without_metadata__takes_type_from_extension),
        TEST(test_type__each_extension__is_known),
        TEST(test_old_layout__meta_yml__gives_applications),
        TEST(test_old_layout__line_without_value__is_invalid_metadata),
        TEST(test_v2__export_of_nacos__is_read_in_order_of_metadata),
        TEST(test_v2__either_side_missing__is_unrecognised_with_reason),
        TEST(test_v2__config_named_twice__is_invalid_metadata),
        TEST(test_v2__names_that_lead_elsewhere__are_not_found),
        TEST(test_read__no_zip_at_all__is_empty),
        TEST(test_read__zip_without_entries__is_empty),
        TEST(test_read__empty_content__is_given_not_null),
        TEST(test_read__folders__are_passed_over),
        TEST(test_read__sizes_behind_the_data__are_read),
        TEST(test_names__not_two_safe_parts__are_unrecognised),
        TEST(test_names__nul_inside__does_not_cut_the_name),
        TEST(test_names__empty__is_unrecognised),
        TEST(test_names__twice_the_same__is_refused),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
