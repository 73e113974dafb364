/* Archives that lie: sizes, checksums, offsets, overlaps, bombs. Made by hand, byte by byte. */
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

/* ------------------------------------------------------------------ zips that lie */

static void lie(struct bed *b, struct zip_part p, int err, const char *text)
{
    p.name = SPAN("G/a");
    (void)zip_part(b->zip, &p);
    refuse(b, err, text);
}

static void test_lie__size_larger_than_data__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abc"), .size = 4, .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__size_smaller_than_data__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abc"), .size = 2, .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

#define STORED_BLOCK span_of("\1\3\0\374\377abc", 8)

static void test_lie__deflated_larger_than_announced__is_refused(void **state)
{
    struct zip_part p = {.data = STORED_BLOCK,
                         .method = 8,
                         .size = 2,
                         .crc = zip_crc32(SPAN("abc")),
                         .lies_local = true};
    lie(*state, p, E_PARSE, "has not the 2 bytes");
}

static void test_lie__deflated_smaller_than_announced__is_refused(void **state)
{
    struct zip_part p = {.data = STORED_BLOCK,
                         .method = 8,
                         .size = 5u << 20,
                         .crc = zip_crc32(SPAN("abc")),
                         .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__wrong_checksum__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abc"), .crc = 0x12345678, .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__checksum_of_deflated__is_refused(void **state)
{
    struct zip_part p = {
        .data = STORED_BLOCK, .method = 8, .size = 3, .crc = 0x12345678, .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__garbage_as_deflated__is_refused(void **state)
{
    struct zip_part p = {
        .data = SPAN("\377\377\377\377"), .method = 8, .size = 3, .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__packed_beyond_the_end__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abc"), .packed = 100000, .lies_local = true};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__local_head_names_another__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abc"), .local_name = SPAN("G/b")};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__encrypted__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abcdefghijklmnop"), .flags = 1};
    lie(*state, p, E_PARSE, "");
}

static void test_lie__unknown_compression__is_refused(void **state)
{
    struct zip_part p = {.data = SPAN("abc"), .method = 12, .size = 3, .lies_local = true};
    lie(*state, p, E_UNSUPPORTED, "compressed by method 12");
}

static void test_lie__directory_points_beyond_the_end__is_refused(void **state)
{
    struct bed *b = *state;
    struct zip_part p = {.data = SPAN("abc"), .no_body = true, .at = 1u << 30};
    lie(b, p, E_PARSE, "");
    b->zip->len = b->zip->directory_len = b->zip->count = 0;
    zip_stored(b->zip, "G/b", "honest");
    lie(b, p, E_PARSE, "");
}

static void test_lie__entries_share_their_data__is_refused(void **state)
{
    /* Fifield's bomb: many entries, one block of data. */
    struct bed *b = *state;
    char data[4096];
    char name[16];
    memset(data, 'x', sizeof(data));
    struct zip_part p = {.name = SPAN("G/a00"), .data = span_of(data, sizeof(data))};
    p.at = (uint32_t)zip_part(b->zip, &p);
    p.no_body = true;
    for (int i = 1; i < 50; i++) {
        int len = snprintf(name, sizeof(name), "G/a%02d", i);
        p.name = span_of(name, (size_t)len);
        (void)zip_part(b->zip, &p);
    }
    refuse(b, E_PARSE, "");
}

static void test_lie__heads_quoted_inside_data__is_refused(void **state)
{
    /* Each entry's data is the rest of the file: heads agree with the directory, contents overlap.
     */
    struct bed *b = *state;
    struct zip_maker *z = b->zip;
    static const char *const names[] = {"G/a", "G/b", "G/c", "G/d"};
    struct span rest[4];
    char inner[4][512];
    size_t len = 0;
    for (int i = 3; i >= 0; i--) {
        struct zip_maker *piece = zip_maker_create();
        rest[i] =
            i == 3 ? SPAN("0123456789012345678901234567890123456789") : span_of(inner[i + 1], len);
        (void)zip_part(piece, &(struct zip_part){.name = span_str(names[i]), .data = rest[i]});
        len = piece->len;
        memcpy(inner[i], piece->bytes, len);
        zip_maker_destroy(piece);
    }
    zip_raw(z, span_of(inner[0], len));
    uint32_t at = 0;
    for (int i = 0; i < 4; i++) {
        (void)zip_part(z,
                       &(struct zip_part){
                           .name = span_str(names[i]), .data = rest[i], .no_body = true, .at = at});
        at += 33;
    }
    refuse(b, E_PARSE, "overlap");
}

static void test_lie__too_many_entries_announced__is_refused_before_they_are_made(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "1");
    refuse_span(b, zip_end_as(b->zip, 60000, 0), E_TOO_LARGE, "more than 20000 entries");
}

static void test_lie__more_entries_announced_than_there_are__is_refused(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "1");
    refuse_span(b, zip_end_as(b->zip, 19000, 0), E_PARSE, "");
}

static void test_lie__zip64_announces_millions__is_refused(void **state)
{
    /* The zip64 record may hold any number of entries; the old one says that there is one. */
    static const uint64_t counts[] = {2, 1000000, UINT64_MAX, UINT64_MAX / 46};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct bed *b = *state;
        struct zip_maker *z = zip_maker_create();
        zip_stored(z, "G/a", "1");
        size_t directory = z->len;
        zip_raw(z, span_of(z->directory, z->directory_len));
        size_t record = z->len;
        zip_raw(z, span_of("PK\6\6", 4));
        zip_u64(z, 44);
        zip_raw(z, span_of("\55\0\55\0", 4));
        zip_u64(z, 0);
        zip_u64(z, counts[i]);
        zip_u64(z, counts[i]);
        zip_u64(z, z->directory_len);
        zip_u64(z, directory);
        zip_raw(z, span_of("PK\6\7", 4));
        zip_u32(z, 0);
        zip_u64(z, record);
        zip_u32(z, 1);
        zip_raw(z, span_of("PK\5\6\0\0\0\0\1\0\1\0", 12));
        zip_u32(z, (uint32_t)z->directory_len);
        zip_u32(z, (uint32_t)directory);
        zip_raw(z, span_of("\0\0", 2));
        refuse_span(b, span_of(z->bytes, z->len), E_PARSE, "");
        zip_maker_destroy(z);
    }
}

static void test_lie__cut_off_anywhere__is_refused_or_empty(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "some content");
    zip_stored(b->zip, "G/b", "more content");
    struct span whole = zip_end(b->zip);
    for (size_t len = 0; len < whole.len; len++) {
        int err = read_span(b, span_of(whole.data, len));
        if (len >= 4) {
            assert_int_equal(err, E_PARSE);
        }
        assert_int_equal(b->archive.count, 0);
    }
}

static void test_lie__any_byte_flipped__never_gives_other_content(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "some content");
    struct span whole = zip_end(b->zip);
    for (size_t i = 0; i < whole.len; i++) {
        char *bytes = mem_strndup(whole.data, whole.len);
        bytes[i] = (char)(bytes[i] ^ 0x10);
        if (read_span(b, span_of(bytes, whole.len)) == 0 && b->archive.count > 0) {
            check_text(b->archive.items[0].content, "some content");
        }
        mem_free(bytes);
    }
}

/* ------------------------------------------------------------------ limits */

/* A zip of count entries of size zeros each: small packed, large unpacked. */
static struct buf *bomb(unsigned count, size_t size)
{
    struct archive_writer *w = archive_writer_create(ARCHIVE_OLD, 0);
    char *zeros = mem_zalloc(size, 1);
    struct fail fail = {0};
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        int len = snprintf(name, sizeof(name), "z%u", i);
        struct archive_item item = {.group = SPAN("G"),
                                    .data_id = span_of(name, (size_t)len),
                                    .content = span_of(zeros, size)};
        assert_int_equal(archive_writer_add(w, &item, &fail), 0);
    }
    struct buf *zip = NULL;
    assert_int_equal(archive_writer_finish(w, &zip, &fail), 0);
    archive_writer_destroy(w);
    mem_free(zeros);
    return zip;
}

static void test_bomb__one_content_over_the_limit__is_refused(void **state)
{
    struct buf *zip = bomb(1, ARCHIVE_CONTENT_MAX + 1);
    assert_true(zip->len < 100000);
    refuse_span(*state, buf_span(zip), E_TOO_LARGE, "is larger than 10485760 bytes");
    buf_unref(zip);
}

static void test_bomb__content_at_the_limit__is_read(void **state)
{
    struct bed *b = *state;
    struct buf *zip = bomb(1, ARCHIVE_CONTENT_MAX);
    assert_int_equal(read_span(b, buf_span(zip)), 0);
    assert_int_equal(b->archive.items[0].content.len, ARCHIVE_CONTENT_MAX);
    buf_unref(zip);
}

static void test_bomb__more_than_the_arena_holds__is_refused(void **state)
{
    struct bed *b = *state;
    struct buf *zip = bomb(7, ARCHIVE_CONTENT_MAX);
    arena_close(&b->arena);
    arena_init(&b->arena, 64u << 20);
    refuse_span(b, buf_span(zip), E_TOO_LARGE, "larger than a request may be");
    buf_unref(zip);
}

static uint32_t u32_at(const char *at)
{
    uint32_t n = 0;
    memcpy(&n, at, sizeof(n));
    return n;
}

static void test_bomb__all_contents_over_the_limit__is_refused(void **state)
{
    /* Thirteen honest entries of 10 MiB in a zip of some 130 KB. */
    struct bed *b = *state;
    struct buf *zip = bomb(1, ARCHIVE_CONTENT_MAX);
    struct zip_part p = {.method = 8, .size = ARCHIVE_CONTENT_MAX, .lies_local = true};
    p.crc = u32_at(zip->data + 14);
    p.data = span_of(zip->data + 30 + 4, u32_at(zip->data + 18)); /* "G/z0" */
    for (int i = 0; i < 13; i++) {
        char name[16];
        int len = snprintf(name, sizeof(name), "G/%d", i);
        p.name = span_of(name, (size_t)len);
        (void)zip_part(b->zip, &p);
    }
    refuse(b, E_TOO_LARGE, "unpacked is larger than 134217728 bytes");
    buf_unref(zip);
}

static void test_limit__archive_over_32_mib__is_refused(void **state)
{
    size_t size = ARCHIVE_BYTES_MAX + 1;
    char *bytes = mem_zalloc(size, 1);
    refuse_span(*state, span_of(bytes, size), E_TOO_LARGE, "at most 33554432 are taken");
    mem_free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_lie__size_larger_than_data__is_refused),
        TEST(test_lie__size_smaller_than_data__is_refused),
        TEST(test_lie__deflated_larger_than_announced__is_refused),
        TEST(test_lie__deflated_smaller_than_announced__is_refused),
        TEST(test_lie__wrong_checksum__is_refused),
        TEST(test_lie__checksum_of_deflated__is_refused),
        TEST(test_lie__garbage_as_deflated__is_refused),
        TEST(test_lie__packed_beyond_the_end__is_refused),
        TEST(test_lie__local_head_names_another__is_refused),
        TEST(test_lie__encrypted__is_refused),
        TEST(test_lie__unknown_compression__is_refused),
        TEST(test_lie__directory_points_beyond_the_end__is_refused),
        TEST(test_lie__entries_share_their_data__is_refused),
        TEST(test_lie__heads_quoted_inside_data__is_refused),
        TEST(test_lie__too_many_entries_announced__is_refused_before_they_are_made),
        TEST(test_lie__more_entries_announced_than_there_are__is_refused),
        TEST(test_lie__zip64_announces_millions__is_refused),
        TEST(test_lie__cut_off_anywhere__is_refused_or_empty),
        TEST(test_lie__any_byte_flipped__never_gives_other_content),
        TEST(test_bomb__one_content_over_the_limit__is_refused),
        TEST(test_bomb__content_at_the_limit__is_read),
        TEST(test_bomb__more_than_the_arena_holds__is_refused),
        TEST(test_bomb__all_contents_over_the_limit__is_refused),
        TEST(test_limit__archive_over_32_mib__is_refused),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
