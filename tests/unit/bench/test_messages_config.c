#include "bench/messages_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct msg_place place = {"public", "DEFAULT_GROUP", "bench"};
static const struct msg_place elsewhere = {"ns-1", "G", "bench"};

static void assert_body(struct frame *f, const char *type, const char *body)
{
    struct frame_view view = {0};
    struct span message = {0};
    struct fail fail = {0};
    assert_int_equal(frame_message(frame_span(f), &message, &fail), 0);
    assert_int_equal(frame_view_open(message, &view, &fail), 0);
    char *text = strndup(view.body.data, view.body.len);
    assert_string_equal(text, body);
    free(text);
    assert_true(span_eq(view.type, span_str(type)));
    frame_view_close(&view);
    frame_close(f);
}

/* grpc-sdk.md 8.2, and the recordings of config-crud and config-listen. */
static void test_messages__as_java(void **state)
{
    (void)state;
    struct frame f = {0};
    msg_config_publish(&f, &place, 3, 12);
    assert_body(&f, "ConfigPublishRequest",
                "{\"headers\":{},\"dataId\":\"bench-0000000003\",\"group\":\"DEFAULT_GROUP\","
                "\"tenant\":\"\",\"content\":\"0000000000kl\",\"additionMap\":{"
                "\"encryptedDataKey\":\"\",\"type\":\"text\"},\"module\":\"config\"}");
    msg_config_query(&f, &elsewhere, 0);
    assert_body(&f, "ConfigQueryRequest",
                "{\"headers\":{},\"dataId\":\"bench-0000000000\",\"group\":\"G\",\"tenant\":"
                "\"ns-1\",\"notify\":false,\"module\":\"config\"}");
    msg_config_listen(&f, &place, 1, SPAN("abc"));
    assert_body(&f, "ConfigBatchListenRequest",
                "{\"headers\":{},\"listen\":true,\"configListenContexts\":[{\"group\":"
                "\"DEFAULT_GROUP\",\"md5\":\"abc\",\"dataId\":\"bench-0000000001\",\"tenant\":"
                "\"\"}],\"module\":\"config\"}");
}

/* Short contents are one line; longer ones have a newline every 64 bytes, which JSON escapes. */
static void test_content__has_the_length_and_lines(void **state)
{
    (void)state;
    struct frame f = {0};
    msg_config_publish(&f, &place, 0, 36);
    assert_non_null(
        memmem(f.data, f.len, "\"content\":\"0000000000klmnopqrstuvwxyzabcdefghij\"", 48));
    msg_config_publish(&f, &place, 0, 200);
    unsigned newlines = 0;
    for (const char *at = f.data; (at = memmem(at, f.len - (size_t)(at - f.data), "\\n", 2));
         at++) {
        newlines++;
    }
    assert_int_equal(newlines, 3);
    frame_close(&f);
}

static void test_offsets__patched_numbers_come_back(void **state)
{
    (void)state;
    struct frame f = {0};
    uint64_t revision = 0;
    msg_config_publish(&f, &place, 1, 36);
    frame_patch(&f, msg_config_offset(&f, &place), 999);
    frame_patch(&f, msg_content_offset(&f), 123456);
    assert_non_null(memmem(f.data, f.len, "\"bench-0000000999\"", 18));
    assert_true(msg_content_revision(frame_span(&f), &revision));
    assert_int_equal(revision, 123456);
    frame_close(&f);
}

static void test_reply_fields__absent_cut_or_foreign_are_not_found(void **state)
{
    (void)state;
    uint64_t revision = 5;
    assert_false(msg_content_revision(SPAN("{\"resultCode\":500}"), &revision));
    assert_false(msg_content_revision(SPAN("{\"content\":\"00000001"), &revision));
    assert_false(msg_content_revision(SPAN("{\"content\":\"somebody's\"}"), &revision));
    assert_false(msg_content_revision(SPAN("{\"content\":\"-000000001\"}"), &revision));
    assert_int_equal(revision, 5);
    assert_true(span_empty(msg_config_md5(SPAN("{\"md5\":\"short\"}"))));
    assert_true(span_empty(msg_config_md5(SPAN("{\"md5\":null}"))));
    assert_int_equal(msg_config_md5(SPAN("{\"md5\":\"0cc175b9c0f1b6a831c399e269772661\"}")).len,
                     32);
    assert_false(msg_config_changed(SPAN("{\"changedConfigs\":[],\"resultCode\":200}")));
    assert_true(msg_config_changed(SPAN("{\"changedConfigs\":[{\"group\":\"G\"}]}")));
}

static void test_http__get_and_publish_name_the_same_config(void **state)
{
    (void)state;
    char text[MSG_HTTP_MAX];
    size_t len = msg_http_config_get(text, "h:1", &elsewhere, 2);
    text[len] = '\0';
    assert_string_equal(text,
                        "GET /nacos/v1/cs/configs?dataId=bench-0000000002&group=G&tenant=ns-1 "
                        "HTTP/1.1\r\nHost: h:1\r\nUser-Agent: Nacos-Java-Client:v1.4.7\r\n"
                        "\r\n");
    struct bytes request = {0};
    msg_http_config_publish(&request, "h:1", &elsewhere, 2, 66);
    bytes_append(&request, "", 1);
    assert_string_equal(request.data,
                        "POST /nacos/v1/cs/configs HTTP/1.1\r\nHost: h:1\r\n"
                        "User-Agent: Nacos-Java-Client:v1.4.7\r\n"
                        "Content-Type: application/x-www-form-urlencoded\r\n"
                        "Content-Length: 120\r\n\r\n"
                        "dataId=bench-0000000002&group=G&tenant=ns-1&content=0000000002"
                        "klmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk%0Amn");
    bytes_close(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages__as_java),
        cmocka_unit_test(test_content__has_the_length_and_lines),
        cmocka_unit_test(test_offsets__patched_numbers_come_back),
        cmocka_unit_test(test_reply_fields__absent_cut_or_foreign_are_not_found),
        cmocka_unit_test(test_http__get_and_publish_name_the_same_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
