#include "node/sections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BYTES_MAX 4096

struct memory {
    char bytes[BYTES_MAX];
    size_t len;
    size_t at;
    size_t room; /* writes beyond fail */
};

static int put(void *self, struct span bytes, struct fail *fail)
{
    struct memory *m = self;
    if (m->len + bytes.len > m->room) {
        return fail_set(fail, E_FULL, "no room");
    }
    memcpy(m->bytes + m->len, bytes.data, bytes.len);
    m->len += bytes.len;
    return 0;
}

static int get(void *self, void *dst, size_t len, struct fail *fail)
{
    struct memory *m = self;
    if (m->at + len > m->len) {
        return fail_set(fail, E_PARSE, "the end");
    }
    memcpy(dst, m->bytes + m->at, len);
    m->at += len;
    return 0;
}

static int write_two(struct memory *m, struct fail *fail)
{
    struct sections_out out;
    struct byte_sink to = {m, put};
    struct byte_sink sink = {0};
    int err = sections_begin(&out, &to, fail);
    err = err ? err : section_open(&out, SECTION_ABOUT, &sink, fail);
    err = err ? err : sink.write(sink.self, SPAN("one"), fail);
    err = err ? err : sink.write(sink.self, SPAN(""), fail);
    err = err ? err : sink.write(sink.self, SPAN("two"), fail);
    err = err ? err : section_close(&out, fail);
    err = err ? err : section_open(&out, SECTION_NAMING, &sink, fail);
    err = err ? err : section_close(&out, fail);
    err = err ? err : section_open(&out, SECTION_TABLES, &sink, fail);
    err = err ? err : sink.write(sink.self, SPAN("12345678"), fail);
    err = err ? err : section_close(&out, fail);
    return err ? err : sections_finish(&out, fail);
}

static void test_sections__come_back_in_order(void **state)
{
    (void)state;
    struct memory m = {.room = BYTES_MAX};
    struct fail fail = {0};
    assert_int_equal(write_two(&m, &fail), 0);
    struct sections_in in;
    struct byte_source from = {&m, get};
    struct byte_source section = {0};
    uint32_t kind = 0;
    char text[16] = "";
    assert_int_equal(sections_open(&in, &from, &fail), 0);
    assert_int_equal(sections_next(&in, &kind, &section, &fail), 0);
    assert_int_equal(kind, SECTION_ABOUT);
    assert_int_equal(section.read(section.self, text, 6, &fail), 0);
    assert_string_equal(text, "onetwo");
    assert_int_equal(sections_next(&in, &kind, &section, &fail), 0);
    assert_int_equal(kind, SECTION_NAMING);
    size_t len = 1;
    assert_int_equal(section_read_some(&in, text, sizeof(text), &len, &fail), 0);
    assert_int_equal(len, 0);
    assert_int_equal(sections_next(&in, &kind, &section, &fail), 0);
    assert_int_equal(kind, SECTION_TABLES);
    assert_int_equal(sections_next(&in, &kind, &section, &fail), 0); /* skips what was not read */
    assert_int_equal(kind, SECTION_END);
    assert_int_equal(m.at, m.len);
}

static void test_read__beyond_a_section__is_refused(void **state)
{
    (void)state;
    struct memory m = {.room = BYTES_MAX};
    struct fail fail = {0};
    assert_int_equal(write_two(&m, &fail), 0);
    struct sections_in in;
    struct byte_source from = {&m, get};
    struct byte_source section = {0};
    uint32_t kind = 0;
    char text[16];
    assert_int_equal(sections_open(&in, &from, &fail), 0);
    assert_int_equal(sections_next(&in, &kind, &section, &fail), 0);
    assert_int_equal(section.read(section.self, text, 7, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "1 bytes too early"));
}

static void test_cut__anywhere__is_an_error(void **state)
{
    (void)state;
    struct memory whole = {.room = BYTES_MAX};
    struct fail fail = {0};
    assert_int_equal(write_two(&whole, &fail), 0);
    for (size_t len = 0; len < whole.len; len++) {
        struct memory m = whole;
        m.len = len;
        struct sections_in in;
        struct byte_source from = {&m, get};
        struct byte_source section = {0};
        uint32_t kind = 1;
        int err = sections_open(&in, &from, &fail);
        while (!err && kind != SECTION_END) {
            err = sections_next(&in, &kind, &section, &fail);
        }
        assert_int_equal(err, E_PARSE);
    }
}

static void test_foreign__magic_or_version__is_named(void **state)
{
    (void)state;
    struct memory m = {.room = BYTES_MAX};
    struct fail fail = {0};
    struct sections_in in;
    struct byte_source from = {&m, get};
    assert_int_equal(write_two(&m, &fail), 0);
    m.bytes[8] = 2;
    assert_int_equal(sections_open(&in, &from, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "format 2"));
    m.at = 0;
    m.bytes[0] = 'X';
    assert_int_equal(sections_open(&in, &from, &fail), E_PARSE);
    assert_non_null(strstr(fail.text, "no snapshot or backup"));
}

static void test_write__that_fails_anywhere__is_told(void **state)
{
    (void)state;
    struct memory whole = {.room = BYTES_MAX};
    struct fail fail = {0};
    assert_int_equal(write_two(&whole, &fail), 0);
    for (size_t room = 0; room < whole.len; room++) {
        struct memory m = {.room = room};
        assert_int_equal(write_two(&m, &fail), E_FULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections__come_back_in_order),
        cmocka_unit_test(test_read__beyond_a_section__is_refused),
        cmocka_unit_test(test_cut__anywhere__is_an_error),
        cmocka_unit_test(test_foreign__magic_or_version__is_named),
        cmocka_unit_test(test_write__that_fails_anywhere__is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
