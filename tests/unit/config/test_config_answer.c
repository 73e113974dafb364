/* Byte for byte as in golden grpc: config-crud, config-beta, config-cipher. */
#include "config/config_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/json_out.h"
#include "base/mem.h"

static struct api_call call;

static int setup(void **state)
{
    (void)state;
    call = (struct api_call){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    body_close(&call.reply.body);
    return 0;
}

static struct config_version *version(struct span content, enum config_type type, const char *key)
{
    uint8_t md5[CONFIG_MD5_BYTES];
    config_md5(content, md5);
    struct buf *bytes = buf_create(content);
    struct config_version_parts parts = {.type = type,
                                         .length = (uint32_t)content.len,
                                         .md5 = md5,
                                         .modified_ms = 1795501009199,
                                         .content = bytes,
                                         .encrypted_key = span_str(key)};
    struct config_version *v = config_version_create(&parts);
    buf_unref(bytes);
    return v;
}

/* The whole answer; freed by the caller. */
static char *answer(struct config_version *take_version, const struct config_gray *gray)
{
    struct config_choice choice = {take_version, gray};
    config_answer_rpc(&call, &choice);
    config_version_unref(take_version); /* what is shared lives on in the body */
    size_t len = body_len(&call.reply.body);
    char *text = mem_alloc(len + 1);
    body_copy(&call.reply.body, text);
    text[len] = '\0';
    return text;
}

static void expect(struct config_version *take_version, const struct config_gray *gray,
                   const char *wanted)
{
    char *text = answer(take_version, gray);
    assert_string_equal(text, wanted);
    mem_free(text);
}

static void test_formal__without_a_key__says_an_empty_one(void **state)
{
    (void)state;
    expect(version(SPAN("v1"), CONFIG_TEXT, ""), NULL,
           "{\"resultCode\":200,\"errorCode\":0,\"content\":\"v1\",\"encryptedDataKey\":\"\","
           "\"contentType\":\"text\",\"md5\":\"6654c734ccab8f440ff0825eb443dc7f\","
           "\"lastModified\":1795501009199,\"beta\":false,\"success\":true}");
}

static void test_formal__encrypted__says_the_key(void **state)
{
    (void)state;
    expect(version(SPAN("FAoPFgAaEEI="), CONFIG_TEXT, "FQADEBcBQgcXDB0RBkIEEQs="), NULL,
           "{\"resultCode\":200,\"errorCode\":0,\"content\":\"FAoPFgAaEEI=\","
           "\"encryptedDataKey\":\"FQADEBcBQgcXDB0RBkIEEQs=\",\"contentType\":\"text\","
           "\"md5\":\"29a860204ff7defdeab91c74169b871c\",\"lastModified\":1795501009199,"
           "\"beta\":false,\"success\":true}");
}

static void test_beta__without_a_key__leaves_it_out(void **state)
{
    (void)state;
    struct config_gray gray = {.is_beta = true};
    expect(version(SPAN("beta-content"), CONFIG_TEXT, ""), &gray,
           "{\"resultCode\":200,\"errorCode\":0,\"content\":\"beta-content\","
           "\"contentType\":\"text\",\"md5\":\"9a415512e32ce16908f92d64bc1a22bb\","
           "\"lastModified\":1795501009199,\"beta\":true,\"success\":true}");
}

/* R8: never "tag". */
static void test_tag__is_not_beta_and_says_no_tag(void **state)
{
    (void)state;
    struct config_gray gray = {.is_beta = false, .name = SPAN("tag_x"), .rule = SPAN("x")};
    char *text = answer(version(SPAN("t"), CONFIG_PROPERTIES, "k"), &gray);
    assert_non_null(strstr(text, "\"beta\":false"));
    assert_non_null(strstr(text, "\"contentType\":\"properties\""));
    assert_non_null(strstr(text, "\"encryptedDataKey\":\"k\""));
    assert_null(strstr(text, "\"tag\""));
    mem_free(text);
}

static void test_content__is_escaped(void **state)
{
    (void)state;
    char *text = answer(version(SPAN("a=1\n\"\\\t\xE4\xB8\xAD"), CONFIG_JSON, "\"k\""), NULL);
    assert_non_null(strstr(text, "\"content\":\"a=1\\n\\\"\\\\\\t\xE4\xB8\xAD\""));
    assert_non_null(strstr(text, "\"encryptedDataKey\":\"\\\"k\\\"\""));
    mem_free(text);
}

static void test_long_content__without_escapes__is_shared(void **state)
{
    (void)state;
    char *bytes = mem_alloc(100000);
    memset(bytes, 'x', 100000);
    struct config_version *v = version(span_of(bytes, 100000), CONFIG_TEXT, "");
    const struct buf *content = v->content;
    char *text = answer(v, NULL);
    assert_int_equal(call.reply.body.parts, 3);
    assert_ptr_equal(call.reply.body.part[1].buf, content);
    assert_true(strncmp(text + 43, bytes, 1000) == 0);
    assert_non_null(
        strstr(text, "x\",\"encryptedDataKey\":\"\",\"contentType\":\"text\",\"md5\":"));
    mem_free(text);
    bytes[99999] = '\n';
    body_close(&call.reply.body);
    text = answer(version(span_of(bytes, 100000), CONFIG_TEXT, ""), NULL);
    assert_int_equal(call.reply.body.parts, 1);
    assert_non_null(strstr(text, "x\\n\",\"encryptedDataKey\""));
    mem_free(text);
    mem_free(bytes);
}

static void test_not_found__is_300(void **state)
{
    (void)state;
    struct fail fail = {0};
    assert_true(config_not_found_rpc(&fail) < 0);
    assert_int_equal(fail_nacos(&fail), 300);
    assert_string_equal(fail_text(&fail), "config data not exist");
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Escaping 5 KB is a few microseconds (2 in a release build); the bound holds in any build. */
static void test_cost__of_five_kilobytes__is_small(void **state)
{
    (void)state;
    static char lines[5120];
    for (size_t i = 0; i < sizeof(lines); i++) {
        lines[i] = "abcdefghijklmnopqrstuvwxyz012345678901\n"[i % 39];
    }
    struct config_version *v = version(span_of(lines, sizeof(lines)), CONFIG_YAML, "");
    struct config_choice choice = {v, NULL};
    double from = now_us();
    for (int i = 0; i < 2000; i++) {
        config_answer_rpc(&call, &choice);
    }
    double each = (now_us() - from) / 2000;
    print_message("an answer of 5 KB: %.2f us\n", each);
    assert_true(each < 200);
    config_version_unref(v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_formal__without_a_key__says_an_empty_one),
        TEST(test_formal__encrypted__says_the_key),
        TEST(test_beta__without_a_key__leaves_it_out),
        TEST(test_tag__is_not_beta_and_says_no_tag),
        TEST(test_content__is_escaped),
        TEST(test_long_content__without_escapes__is_shared),
        TEST(test_not_found__is_300),
        TEST(test_cost__of_five_kilobytes__is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
