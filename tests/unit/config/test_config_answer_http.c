#include "config/config_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A call and a version to answer it with. */
struct bed {
    struct api_call call;
    struct config_version *version;
};

static void bed_open(struct bed *b, const char *content, const char *key, int64_t modified_ms)
{
    *b = (struct bed){0};
    arena_init(&b->call.arena, 1 << 16);
    uint8_t md5[CONFIG_MD5_BYTES];
    config_md5(span_str(content), md5);
    struct buf *bytes = buf_create(span_str(content));
    struct config_version_parts parts = {
        .type = CONFIG_JSON,
        .length = (uint32_t)strlen(content),
        .md5 = md5,
        .modified_ms = modified_ms,
        .content = bytes,
        .encrypted_key = span_str(key),
    };
    b->version = config_version_create(&parts);
    buf_unref(bytes);
}

static void bed_close(struct bed *b)
{
    body_close(&b->call.reply.body);
    config_version_unref(b->version);
    arena_close(&b->call.arena);
}

static const char *header(const struct bed *b, const char *name)
{
    for (unsigned i = 0; i < b->call.reply.headers_count; i++) {
        const struct api_header *h = &b->call.reply.headers[i];
        if (strcmp(h->name, name) == 0) {
            assert_int_equal(h->value.data[h->value.len], 0);
            return h->value.data;
        }
    }
    return NULL;
}

static const char *body(const struct bed *b)
{
    static char text[1024];
    size_t len = body_len(&b->call.reply.body);
    assert_true(len < sizeof(text));
    body_copy(&b->call.reply.body, text);
    text[len] = '\0';
    return text;
}

static void test_v1__formal__content_and_headers(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "{\"a\":1}", "", 1795503966999);
    config_answer_http(&b.call, &(struct config_choice){b.version, NULL}, false);
    assert_string_equal(body(&b), "{\"a\":1}");
    assert_ptr_equal(b.call.reply.body.part[0].buf, b.version->content);
    assert_string_equal(b.call.reply.content_type, "text/plain;charset=UTF-8");
    assert_string_equal(header(&b, "Config-Type"), "json");
    assert_string_equal(header(&b, "Last-Modified"), "Tue, 24 Nov 2026 07:06:06 GMT");
    assert_string_equal(header(&b, "Encrypted-Data-Key"), "");
    assert_null(header(&b, "isBeta"));
    assert_null(header(&b, "tag"));
    bed_close(&b);
}

static void test_gray__says_which(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "x", "", 0);
    struct config_gray gray = {.version = b.version, .is_beta = true, .name = SPAN("beta")};
    config_answer_http(&b.call, &(struct config_choice){b.version, &gray}, false);
    assert_string_equal(header(&b, "isBeta"), "true");
    assert_null(header(&b, "Encrypted-Data-Key"));
    assert_string_equal(header(&b, "Last-Modified"), "Thu, 01 Jan 1970 00:00:00 GMT");
    gray = (struct config_gray){.version = b.version, .rule = SPAN("a b:\xC3\xA9\r\n*._-")};
    config_answer_http(&b.call, &(struct config_choice){b.version, &gray}, false);
    assert_string_equal(header(&b, "tag"), "a+b%3A%C3%A9%0D%0A*._-");
    assert_null(header(&b, "isBeta"));
    bed_close(&b);
}

static void test_gray__with_a_key__shows_it(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "x", "thekey", 0);
    struct config_gray gray = {.version = b.version, .rule = SPAN("t")};
    config_answer_http(&b.call, &(struct config_choice){b.version, &gray}, false);
    assert_string_equal(header(&b, "Encrypted-Data-Key"), "thekey");
    assert_int_equal(b.call.reply.headers_count, 8);
    bed_close(&b);
}

static void test_times_that_no_date_has__are_the_epoch(void **state)
{
    (void)state;
    static const int64_t times[] = {INT64_MAX, INT64_MIN, 253402300800000};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct bed b;
        bed_open(&b, "x", "", times[i]);
        config_answer_http(&b.call, &(struct config_choice){b.version, NULL}, false);
        assert_string_equal(header(&b, "Last-Modified"), "Thu, 01 Jan 1970 00:00:00 GMT");
        bed_close(&b);
    }
}

static void test_v2__content_inside_the_envelope(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "a\"\n\xE4\xB8\xAD", "", 0);
    config_answer_http(&b.call, &(struct config_choice){b.version, NULL}, true);
    assert_string_equal(body(&b), "{\"code\":0,\"message\":\"success\",\"data\":\"a\\\"\\n\xE4\xB8"
                                  "\xAD\"}");
    assert_string_equal(b.call.reply.content_type, "application/json;charset=UTF-8");
    assert_string_equal(header(&b, "Config-Type"), "json");
    bed_close(&b);
}

static void test_not_found__is_an_answer_with_404(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, "", "", 0);
    config_not_found_http(&b.call, false);
    assert_int_equal(b.call.reply.http_status, 404);
    assert_int_equal(b.call.reply.fail.code, 0);
    assert_null(b.call.reply.content_type);
    assert_string_equal(body(&b), "config data not exist\n");
    config_not_found_http(&b.call, true);
    assert_string_equal(b.call.reply.content_type, "");
    assert_string_equal(body(&b), "{\"code\":20004,\"message\":\"resource not found\",\"data\":"
                                  "\"config data not exist\"}");
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1__formal__content_and_headers),
        cmocka_unit_test(test_gray__says_which),
        cmocka_unit_test(test_gray__with_a_key__shows_it),
        cmocka_unit_test(test_times_that_no_date_has__are_the_epoch),
        cmocka_unit_test(test_v2__content_inside_the_envelope),
        cmocka_unit_test(test_not_found__is_an_answer_with_404),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
