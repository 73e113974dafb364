#include "http/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#define FIELD(name, value)                                                                         \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name, file, value)                                                               \
    "--B\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" file                   \
    "\"\r\nContent-Type: application/zip\r\n\r\n" value "\r\n"
#define END "--B--\r\n"

/* A body on the heap, so that the sanitizer sees its ends. */
struct made {
    struct arena arena;
    char *text;
    struct multipart m;
    struct fail fail;
    int err;
};

static void make_len(struct made *made, const char *text, size_t len)
{
    *made = (struct made){0};
    arena_init(&made->arena, 1 << 20);
    made->text = mem_alloc(len ? len : 1);
    memcpy(made->text, text, len);
    made->err =
        multipart_read(span_of(made->text, len), SPAN("B"), &made->arena, &made->m, &made->fail);
}

static void make(struct made *made, const char *text)
{
    make_len(made, text, strlen(text));
}

static void unmake(struct made *made)
{
    mem_free(made->text);
    arena_close(&made->arena);
}

static void assert_span(struct span got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.data, wanted, got.len);
}

static void refused(const char *text, int err, const char *reason)
{
    struct made made;
    make(&made, text);
    assert_int_equal(made.err, err);
    assert_non_null(strstr(fail_text(&made.fail), reason));
    assert_int_equal(made.m.count, 0);
    unmake(&made);
}

static void test_read__fields_and_the_first_file(void **state)
{
    (void)state;
    struct made made;
    make(&made, FIELD("a", "1") FILE_PART("file", "x.zip", "PK\r\n\r\n--C") FIELD("b", "")
                    FILE_PART("other", "y", "no") END);
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.count, 2);
    assert_span(made.m.list[0].name, "a");
    assert_span(made.m.list[0].value, "1");
    assert_span(made.m.list[1].name, "b");
    assert_span(made.m.list[1].value, "");
    assert_span(made.m.file_field, "file");
    assert_span(made.m.file_name, "x.zip");
    assert_span(made.m.file, "PK\r\n\r\n--C");
    unmake(&made);
}

static void test_read__any_bytes_are_data(void **state)
{
    (void)state;
    char text[1024];
    size_t len = 0;
    const char *head = "--B\r\nContent-Disposition: form-data; name=f; filename=\"\"\r\n\r\n";
    memcpy(text, head, strlen(head));
    len += strlen(head);
    for (int i = 0; i < 256; i++) {
        text[len++] = (char)i;
    }
    memcpy(text + len, "\r\n" END, strlen("\r\n" END));
    len += strlen("\r\n" END);
    struct made made;
    make_len(&made, text, len);
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.file.len, 256);
    assert_int_equal((unsigned char)made.m.file.data[255], 255);
    assert_non_null(made.m.file_name.data); /* a file without a name is one */
    assert_int_equal(made.m.file_name.len, 0);
    unmake(&made);
}

static void test_read__data_that_begins_like_the_boundary(void **state)
{
    (void)state;
    struct made made;
    make(&made, FIELD("a", "x\r\n--Bx\r\n--B x\r\n--") END);
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.count, 1);
    assert_span(made.m.list[0].value, "x\r\n--Bx\r\n--B x\r\n--");
    unmake(&made);
}

static void test_read__what_stands_around_the_parts_is_for_nobody(void **state)
{
    (void)state;
    struct made made;
    make(&made, "hello --B\r\n" FIELD("a", "1") "--B-- good bye\r\n" FIELD("b", "2"));
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.count, 1);
    assert_span(made.m.list[0].value, "1");
    unmake(&made);
    make(&made, END);
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.count, 0);
    assert_null(made.m.file.data);
    unmake(&made);
}

static void test_read__blanks_case_and_quotes_of_headers(void **state)
{
    (void)state;
    struct made made;
    make(&made, "--B \t\r\nX: y\r\ncontent-DISPOSITION :  Form-Data ;  NAME = \"a;\\\"=b\" ; x\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n1\r\n" END);
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.count, 1);
    assert_span(made.m.list[0].name, "a;\\\"=b");
    unmake(&made);
}

static void test_read__broken_bodies__are_refused_with_the_part(void **state)
{
    (void)state;
    refused("", E_PARSE, "the boundary is not in the body");
    refused("abc", E_PARSE, "the boundary is not in the body");
    refused("--B", E_PARSE, "the boundary is not in the body");
    refused("--B\r\n", E_PARSE, "the headers of part 1 do not end");
    refused("--B\n\n--B--", E_PARSE, "the boundary is not in the body");
    refused("--B\r\n\r\n1\r\n" END, E_PARSE, "part 1 has no name");
    refused(FIELD("a", "1") "--B\r\nno colon\r\n\r\n1\r\n" END, E_PARSE,
            "part 2 has a header without a colon");
    refused("--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n" END, E_PARSE,
            "part 1 is no form-data");
    refused("--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n" END, E_PARSE,
            "part 1 has no name");
    refused(FIELD("a", "1"), E_PARSE, "part 1 does not end with the boundary");
    refused("--B\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: "
            "base64\r\n\r\n1\r\n" END,
            E_PARSE, "part 1 has a transfer encoding");
}

static void test_read__endless_headers__are_refused(void **state)
{
    (void)state;
    char text[MULTIPART_HEAD_MAX + 64];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "--B\r\nX:", 7);
    refused(text, E_PARSE, "do not end within 4096 bytes");
}

static void test_read__too_many_parts__are_refused(void **state)
{
    (void)state;
    struct span part = SPAN(FIELD("a", "1"));
    char *text = mem_zalloc(1, part.len * (MULTIPART_PARTS_MAX + 1) + sizeof(END));
    for (size_t i = 0; i < MULTIPART_PARTS_MAX; i++) {
        memcpy(text + i * part.len, part.data, part.len);
    }
    struct made made;
    memcpy(text + MULTIPART_PARTS_MAX * part.len, END, sizeof(END));
    make(&made, text);
    assert_int_equal(made.err, 0);
    assert_int_equal(made.m.count, MULTIPART_PARTS_MAX);
    unmake(&made);
    memcpy(text + MULTIPART_PARTS_MAX * part.len, part.data, part.len);
    memcpy(text + (MULTIPART_PARTS_MAX + 1) * part.len, END, sizeof(END));
    refused(text, E_INVALID, "more than 256 parts");
    mem_free(text);
}

static void boundary(const char *type, int err, const char *wanted)
{
    struct span got = {0};
    struct fail fail = {0};
    assert_int_equal(multipart_boundary(span_str(type), &got, &fail), err);
    if (err) {
        assert_non_null(strstr(fail_text(&fail), wanted));
    } else {
        assert_span(got, wanted);
    }
}

static void test_boundary__bare_or_quoted(void **state)
{
    (void)state;
    boundary("multipart/form-data; boundary=abc", 0, "abc");
    boundary("multipart/form-data;charset=UTF-8; Boundary=\"a b;c\"; x=y", 0, "a b;c");
    boundary("multipart/form-data;boundary=----WebKitFormBoundaryABC", 0,
             "----WebKitFormBoundaryABC");
}

static void test_boundary__missing_or_out_of_bounds__is_refused(void **state)
{
    (void)state;
    boundary(NULL, E_PARSE, "names no boundary");
    boundary("multipart/form-data", E_PARSE, "names no boundary");
    boundary("multipart/form-data; boundary", E_PARSE, "names no boundary");
    boundary("multipart/form-data; boundary=\"abc", E_PARSE, "names no boundary");
    boundary("multipart/form-data; boundary=", E_PARSE, "1 to 70 characters, not 0");
    char type[128] = "multipart/form-data; boundary=";
    memset(type + strlen(type), 'b', MULTIPART_BOUNDARY_MAX + 1);
    boundary(type, E_PARSE, "1 to 70 characters, not 71");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__fields_and_the_first_file),
        cmocka_unit_test(test_read__any_bytes_are_data),
        cmocka_unit_test(test_read__data_that_begins_like_the_boundary),
        cmocka_unit_test(test_read__what_stands_around_the_parts_is_for_nobody),
        cmocka_unit_test(test_read__blanks_case_and_quotes_of_headers),
        cmocka_unit_test(test_read__broken_bodies__are_refused_with_the_part),
        cmocka_unit_test(test_read__endless_headers__are_refused),
        cmocka_unit_test(test_read__too_many_parts__are_refused),
        cmocka_unit_test(test_boundary__bare_or_quoted),
        cmocka_unit_test(test_boundary__missing_or_out_of_bounds__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
