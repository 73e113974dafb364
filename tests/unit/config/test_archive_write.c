/* Archives that we write: entries and metadata as Nacos's, and what is read from them again. */
#include "config/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

#define TIME_MS 1700000000000

struct bed {
    struct archive_writer *writer;
    struct buf *zip;
    struct arena arena;
    struct archive archive;
    struct fail fail;
};

static int set_up(void **state)
{
    struct bed *b = mem_zalloc(1, sizeof(*b));
    arena_init(&b->arena, 160u << 20);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    archive_writer_destroy(b->writer);
    buf_unref(b->zip);
    arena_close(&b->arena);
    mem_free(b);
    return 0;
}

static void begin(struct bed *b, enum archive_layout layout)
{
    b->writer = archive_writer_create(layout, TIME_MS);
}

static int add(struct bed *b, const char *group, const char *data_id, const char *content,
               const char *app)
{
    struct archive_item item = {.group = span_str(group),
                                .data_id = span_str(data_id),
                                .content = span_str(content),
                                .app_name = span_str(app),
                                .type = SPAN("yaml")};
    b->fail = (struct fail){0};
    return archive_writer_add(b->writer, &item, &b->fail);
}

static void finish(struct bed *b)
{
    assert_int_equal(archive_writer_finish(b->writer, &b->zip, &b->fail), 0);
    int err = archive_read(buf_span(b->zip), &b->arena, &b->archive, &b->fail);
    if (err) {
        fail_msg("our own archive is refused: %s", b->fail.text);
    }
}

static void check_text(struct span got, const char *text)
{
    if (!span_eq(got, span_str(text))) {
        fail_msg("expected '%s'\ngot      '%.*s'", text, SPAN_ARG(got));
    }
}

static void test_v2__everything__comes_back_in_order(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_V2);
    assert_int_equal(add(b, "SG", "s-2.yaml", "v: 2", NULL), 0);
    assert_int_equal(add(b, "AG", "s-1", "", "app"), 0);
    finish(b);
    assert_int_equal(b->archive.layout, ARCHIVE_V2);
    assert_int_equal(b->archive.count, 2);
    check_text(b->archive.items[0].group, "SG");
    check_text(b->archive.items[0].content, "v: 2");
    assert_null(b->archive.items[0].app_name.data);
    check_text(b->archive.items[1].data_id, "s-1");
    check_text(b->archive.items[1].content, "");
    check_text(b->archive.items[1].app_name, "app");
    check_text(b->archive.items[1].type, "yaml");
    assert_int_equal(b->archive.unrecognized_count, 0);
}

static void test_old__applications__come_back(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_OLD);
    assert_int_equal(add(b, "SG", "s-1.json", "{}", "sapp"), 0);
    assert_int_equal(add(b, "SG", "s-2.json", "{}", ""), 0);
    finish(b);
    assert_int_equal(b->archive.layout, ARCHIVE_OLD);
    assert_int_equal(b->archive.count, 2);
    check_text(b->archive.items[0].app_name, "sapp");
    check_text(b->archive.items[0].type, "json");
    assert_null(b->archive.items[1].app_name.data);
}

static void test_empty__each_layout__is_a_zip(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_OLD);
    finish(b);
    assert_int_equal(b->zip->len, 22);
    buf_unref(b->zip);
    b->zip = NULL;
    archive_writer_destroy(b->writer);
    begin(b, ARCHIVE_V2);
    assert_int_equal(archive_writer_finish(b->writer, &b->zip, &b->fail), 0);
    assert_int_equal(archive_read(buf_span(b->zip), &b->arena, &b->archive, &b->fail), E_INVALID);
    assert_string_equal(b->fail.text, ".metadata.yml names no config");
}

static void test_same_input__same_bytes(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_V2);
    assert_int_equal(add(b, "G", "a", "text", NULL), 0);
    finish(b);
    struct buf *first = b->zip;
    archive_writer_destroy(b->writer);
    begin(b, ARCHIVE_V2);
    assert_int_equal(add(b, "G", "a", "text", NULL), 0);
    finish(b);
    assert_true(span_eq(buf_span(first), buf_span(b->zip)));
    buf_unref(first);
}

static void test_add__names_that_are_not_safe__are_refused(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_V2);
    static const char *const evil[][2] = {{"..", "x"},  {"G", ".."},  {"", "x"},     {"G", ""},
                                          {"a/b", "x"}, {"G", "a/b"}, {"G", "a\\b"}, {"G", "\n"}};
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        assert_int_equal(add(b, evil[i][0], evil[i][1], "x", NULL), E_INVALID);
        assert_non_null(strstr(b->fail.text, "is no name for an entry"));
    }
}

static void test_add__twice_the_same__is_a_conflict(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_OLD);
    assert_int_equal(add(b, "G", "a", "1", NULL), 0);
    assert_int_equal(add(b, "G", "a", "2", NULL), E_CONFLICT);
    assert_string_equal(b->fail.text, "'G/a' is in the archive already");
    finish(b);
    assert_int_equal(b->archive.count, 1);
}

static void test_add__contents_over_the_limit__are_refused(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_OLD);
    size_t size = ARCHIVE_CONTENTS_MAX / 4;
    char *zeros = mem_zalloc(size + 1, 1);
    for (int i = 0; i < 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%d", i);
        struct archive_item item = {
            .group = SPAN("G"), .data_id = span_str(name), .content = span_of(zeros, size)};
        int err = archive_writer_add(b->writer, &item, &b->fail);
        assert_int_equal(err, i < 4 ? 0 : E_TOO_LARGE);
    }
    assert_non_null(strstr(b->fail.text, "ask for fewer configs"));
    mem_free(zeros);
}

static void test_add__as_many_as_can_be_read__and_no_more(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_V2);
    for (unsigned i = 0; i < ARCHIVE_ENTRIES_MAX - 1; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(add(b, "G", name, "x", NULL), 0);
    }
    assert_int_equal(add(b, "G", "more", "x", NULL), E_TOO_LARGE);
    finish(b);
    assert_int_equal(b->archive.count, ARCHIVE_ENTRIES_MAX - 1);
}

static void test_finish__texts_that_are_no_utf8__are_refused(void **state)
{
    struct bed *b = *state;
    begin(b, ARCHIVE_V2);
    assert_int_equal(add(b, "G", "a", "\377", "\377"), 0);
    assert_int_equal(archive_writer_finish(b->writer, &b->zip, &b->fail), E_INVALID);
    assert_string_equal(b->fail.text, "G/a has texts that are not UTF-8");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_v2__everything__comes_back_in_order),
        TEST(test_old__applications__come_back),
        TEST(test_empty__each_layout__is_a_zip),
        TEST(test_same_input__same_bytes),
        TEST(test_add__names_that_are_not_safe__are_refused),
        TEST(test_add__twice_the_same__is_a_conflict),
        TEST(test_add__contents_over_the_limit__are_refused),
        TEST(test_add__as_many_as_can_be_read__and_no_more),
        TEST(test_finish__texts_that_are_no_utf8__are_refused),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
