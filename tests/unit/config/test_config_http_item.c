#include "config/config_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/config_answer.h"
#include "config_calls.h"

#define JSON1 "application/json;charset=UTF-8"
#define TEXT "text/plain;charset=UTF-8"
#define JSON2 "application/json"
#define H1 "dataId=h-1&group=DEFAULT_GROUP"
#define NOT_FOUND "config data not exist\n"
#define V2_NOT_FOUND                                                                               \
    "{\"code\":20004,\"message\":\"resource not found\",\"data\":\"config data not exist\"}"
#define V2_TRUE "{\"code\":0,\"message\":\"success\",\"data\":true}"
#define CAS_TEXT "Cas publish fail, server md5 may have changed."

static int setup(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    cstory_begin(s, NULL);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    cstory_end(*state);
    free(*state);
    return 0;
}

static struct http_request v1(unsigned method, const char *params, const char *headers)
{
    return (struct http_request){
        .method = method, .path = "/v1/cs/configs", .params = params, .headers = headers};
}

static struct http_request v2(unsigned method, const char *params, const char *headers)
{
    return (struct http_request){
        .method = method, .path = "/v2/cs/config", .params = params, .headers = headers};
}

static void publish(struct cstory *s, const char *params, const char *headers)
{
    struct http_request r = v1(API_POST, params, headers);
    http_expect(s, &r, 200, JSON1, "true");
}

static void expect1(struct cstory *s, unsigned method, const char *params, const char *headers,
                    int status, const char *type, const char *body)
{
    struct http_request r = v1(method, params, headers);
    http_expect(s, &r, status, type, body);
}

static void expect2(struct cstory *s, unsigned method, const char *params, const char *headers,
                    int status, const char *type, const char *body)
{
    struct http_request r = v2(method, params, headers);
    http_expect(s, &r, status, type, body);
}

static void reads(struct cstory *s, const char *params, const char *headers, const char *content)
{
    expect1(s, API_GET, params, headers, 200, TEXT, content);
}

static void reads_nothing(struct cstory *s, const char *params, const char *headers)
{
    expect1(s, API_GET, params, headers, 404, JSON1, NOT_FOUND);
}

static void test_read__what_was_published__from_the_view_with_its_headers(void **state)
{
    struct cstory *s = *state;
    reads_nothing(s, H1, NULL);
    publish(s, H1 "&content=a%3D1&type=properties", NULL);
    struct http_request r = v1(API_GET, H1, NULL);
    struct http_answer a = http_play(s, &r);
    assert_true(a.read);
    assert_string_equal(a.text, "a=1");
    static const char *const headers[][2] = {
        {"Config-Type", "properties"},
        {"Content-MD5", "3872c9ae3f427af0be0ead09d07ae2cf"},
        {"Pragma", "no-cache"},
        {"Expires", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"Cache-Control", "no-cache,no-store"},
        {"Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"},
        {"Encrypted-Data-Key", ""},
    };
    assert_int_equal(a.headers_count, ARRAY_LEN(headers));
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        assert_string_equal(a.headers[i].name, headers[i][0]);
        assert_string_equal(a.headers[i].value.data, headers[i][1]);
    }
    http_answer_close(&a);
}

static void test_read__shares_the_bytes_of_the_content(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=abc", NULL);
    const struct buf *content = cstory_item(s, "h-1")->value->formal->content;
    unsigned before = atomic_load(&content->refs);
    struct cstory_call *c = cstory_call(s);
    struct config_choice choice = {cstory_item(s, "h-1")->value->formal, NULL};
    config_answer_http(&c->call, &choice, false);
    assert_int_equal(c->call.reply.body.parts, 1);
    assert_ptr_equal(c->call.reply.body.part[0].buf, content);
    assert_int_equal(atomic_load(&content->refs), before + 1);
}

static void test_v2__publish_read_remove(void **state)
{
    struct cstory *s = *state;
    const char *key = "dataId=v2-1&group=DEFAULT_GROUP";
    expect2(s, API_GET, key, NULL, 404, NULL, V2_NOT_FOUND);
    expect2(s, API_POST,
            "dataId=v2-1&group=DEFAULT_GROUP&content=%7B%22b%22:2%7D&type=json&configTags=x,y"
            "&srcUser=joe",
            NULL, 200, JSON2, V2_TRUE);
    expect2(s, API_GET, key, NULL, 200, JSON1,
            "{\"code\":0,\"message\":\"success\",\"data\":\"{\\\"b\\\":2}\"}");
    expect2(s, API_DELETE, key, NULL, 200, JSON2, V2_TRUE);
    expect2(s, API_DELETE, key, NULL, 200, JSON2, V2_TRUE);
    expect2(s, API_GET, key, NULL, 404, NULL, V2_NOT_FOUND);
}

static void test_publish__cas(void **state)
{
    struct cstory *s = *state;
    const char *none = "casmd5: 00000000000000000000000000000000";
    publish(s, "dataId=new&group=G&content=q", none);
    publish(s, H1 "&content=x", NULL);
    publish(s, H1 "&content=y", "casmd5: 9dd4e461268c8034f5c8564e155c67a6");
    expect1(s, API_POST, H1 "&content=z", none, 500, TEXT, "caused: " CAS_TEXT ";");
    expect2(s, API_POST, H1 "&content=z", none, 500, JSON2,
            "{\"code\":20005,\"message\":\"resource conflict\",\"data\":\"" CAS_TEXT "\"}");
    reads(s, H1, NULL, "y");
    publish(s, H1 "&content=z2", "casmd5:  ");
    reads(s, H1, NULL, "z2");
}

static void test_publish__gray_cas__is_checked(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=t&tag=A", NULL);
    expect1(s, API_POST, H1 "&content=u&tag=A", "casmd5: 00000000000000000000000000000000", 500,
            TEXT, "caused: Cas publish gray config fail, server md5 may have changed.;");
    reads(s, H1 "&tag=A", NULL, "t");
    publish(s, H1 "&content=u&tag=A", "casmd5: e358efa489f58062f10dd7316b65649e");
    reads(s, H1 "&tag=A", NULL, "u");
}

static void test_publish__limits_have_nacos_texts(void **state)
{
    struct cstory *s = *state;
    static const struct {
        const char *params;
        const char *text;
    } cases[] = {
        {"dataId=b&group=G&content=", "content is blank : "},
        {"dataId=b&group=G&content=+", "content is blank :  "},
        {"dataId=&group=G&content=x", "invalid dataId : "},
        {"dataId=b&group=G&content=x&tag=a+b", "invalid tag : a b"},
        {"dataId=b&group=G&content=x&tag=ttttttttttttttttt", "too long tag, over 16"},
        {"dataId=b&group=G&content=x&config_tags=1,2,3,4,5,6", "too much config_tags, over 5"},
        {"dataId=b&group=G&content=x&use=ttttttttttttttttttttttttttttttttt",
         "too long use, over 32"},
        {"dataId=b&group=G&content=%FF", "invalid content, it is not UTF-8"},
        {"dataId=b&group=G&content=a%00", "invalid content, it has a NUL character"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "caused: %s;", cases[i].text);
        expect1(s, API_POST, cases[i].params, NULL, 400, TEXT, text);
    }
    expect2(s, API_POST, "dataId=b&group=G&content=x&tag=ttttttttttttttttt", NULL, 400, JSON2,
            "{\"code\":20002,\"message\":\"parameter validate error\",\"data\":\"too long tag, "
            "over 16\"}");
    publish(s, "dataId=b&group=G&content=x&type=ttttttttttttttttttttttttttttttttt", NULL);
}

static void test_missing__each_version_has_its_words(void **state)
{
    struct cstory *s = *state;
    static const unsigned methods[] = {API_GET, API_POST, API_DELETE};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        expect1(s, methods[i], "", NULL, 500, TEXT,
                "caused: Required request parameter &#39;dataId&#39; for method parameter type "
                "String is not present;");
        expect1(s, methods[i], "dataId=b&content=c", NULL, 500, TEXT,
                "caused: Required request parameter &#39;group&#39; for method parameter type "
                "String is not present;");
    }
    expect1(s, API_POST, "dataId=b&group=g", NULL, 500, TEXT,
            "caused: Required request parameter &#39;content&#39; for method parameter type "
            "String is not present;");
}

static void test_missing__v2(void **state)
{
    struct cstory *s = *state;
    expect2(s, API_GET, "", NULL, 400, JSON2,
            "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required request "
            "parameter 'dataId' for method parameter type String is not present\"}");
    expect2(s, API_POST, "dataId=b&group=G&content=", NULL, 400, JSON2,
            "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required parameter "
            "'content' type String is not present\"}");
    expect2(s, API_GET, "dataId=&group=G", NULL, 400, JSON2,
            "{\"code\":20002,\"message\":\"parameter validate error\",\"data\":\"invalid dataId "
            ": \"}");
    expect2(s, API_DELETE, "dataId=v&group=G&tag=a+b", NULL, 400, JSON2,
            "{\"code\":20002,\"message\":\"parameter validate error\",\"data\":\"invalid tag : a "
            "b\"}");
}

static void test_names__the_parameter_check_comes_first(void **state)
{
    struct cstory *s = *state;
    expect1(s, API_GET, "dataId=b+d", NULL, 400, JSON1,
            "Param 'dataId' is illegal, illegal characters should not appear in the param.\r\n");
    expect1(s, API_POST, "dataId=b&group=G&content=t&tenant=bad+ns", NULL, 400, JSON1,
            "Param 'namespaceId/tenant' is illegal, illegal characters should not appear in the "
            "param.\r\n");
    expect2(s, API_DELETE, "dataId=b&group=G&namespaceId=bad+ns", NULL, 400, NULL,
            "Param 'namespaceId/tenant' is illegal, illegal characters should not appear in the "
            "param.\r\n");
}

static void test_tenant__public_in_any_spelling_is_the_default(void **state)
{
    struct cstory *s = *state;
    static const char *const spellings[] = {"",
                                            "&tenant=",
                                            "&tenant=public",
                                            "&tenant=PUBLIC",
                                            "&tenant=null",
                                            "&namespaceId=public",
                                            "&tenant=&namespaceId=public"};
    publish(s, H1 "&content=t", NULL);
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        char params[128];
        snprintf(params, sizeof(params), H1 "%s", spellings[i]);
        reads(s, params, NULL, "t");
        expect2(s, API_GET, params, NULL, 200, JSON1,
                "{\"code\":0,\"message\":\"success\",\"data\":\"t\"}");
    }
    reads_nothing(s, H1 "&tenant=other", NULL);
    expect1(s, API_DELETE, H1 "&tenant=public", NULL, 200, JSON1, "true");
    reads_nothing(s, H1, NULL);
}

static void test_tag__named_or_automatic(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=formal", NULL);
    publish(s, H1 "&content=for+A&tag=A:b", NULL);
    reads(s, H1 "&tag=A:b", NULL, "for A");
    reads(s, H1, "vipserver-tag: A:b", "for A");
    reads(s, H1, "vipserver-tag: B", "formal");
    reads_nothing(s, H1 "&tag=B", NULL);
    struct http_request r = v1(API_GET, H1 "&tag=A:b", NULL);
    struct http_answer a = http_play(s, &r);
    assert_string_equal(http_answer_header(&a, "tag"), "A%3Ab");
    assert_null(http_answer_header(&a, "Encrypted-Data-Key"));
    http_answer_close(&a);
}

static void test_tag__sixteen_characters_work(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=long&tag=tag1234567890123", NULL);
    reads(s, H1 "&tag=tag1234567890123", NULL, "long");
}

static void test_remove__with_a_tag__removes_that_version(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=formal", NULL);
    publish(s, H1 "&content=a&tag=A", NULL);
    publish(s, H1 "&content=b&tag=tag_A", NULL);
    publish(s, H1 "&content=c&tag=beta", NULL);
    publish(s, H1 "&content=beta", "betaips: 1.1.1.1");
    expect1(s, API_DELETE, H1 "&tag=tag_A", NULL, 200, JSON1, "true"); /* that tag's own */
    reads_nothing(s, H1 "&tag=tag_A", NULL);
    reads(s, H1 "&tag=A", NULL, "a");
    expect1(s, API_DELETE, H1 "&tag=tag_A", NULL, 200, JSON1, "true"); /* by its full name */
    reads_nothing(s, H1 "&tag=A", NULL);
    expect1(s, API_DELETE, H1 "&tag=nosuch", NULL, 200, JSON1, "true");
    expect1(s, API_DELETE, H1 "&tag=beta", NULL, 200, JSON1, "true");
    reads_nothing(s, H1 "&tag=beta", NULL);
    reads(s, H1, "x-forwarded-for: 1.1.1.1", "beta");
    reads(s, H1, NULL, "formal");
}

static void test_beta__by_address_and_its_end(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=formal", NULL);
    publish(s, H1 "&content=beta!", "betaips: 127.0.0.1,10.0.0.9");
    reads(s, H1, NULL, "beta!"); /* the socket's address is 10.0.0.9 */
    reads(s, H1, "x-forwarded-for: 10.0.0.1", "formal");
    reads(s, H1, "x-forwarded-for:  127.0.0.1 , 10.0.0.1", "beta!");
    reads(s, H1, "x-real-ip: 10.0.0.1", "formal");
    struct http_request r = v1(API_GET, H1, NULL);
    struct http_answer a = http_play(s, &r);
    assert_string_equal(http_answer_header(&a, "isBeta"), "true");
    http_answer_close(&a);
    expect1(s, API_DELETE, H1 "&beta=true", NULL, 200, JSON1,
            "{\"code\":200,\"message\":\"stop beta ok\",\"data\":true}");
    expect1(s, API_DELETE, H1 "&beta=true", NULL, 200, JSON1,
            "{\"code\":500,\"message\":\"remove beta data error\",\"data\":false}");
    reads(s, H1, NULL, "formal");
}

static void test_cold__is_loaded_once_and_answered(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=cold+one&encryptedDataKey=thekey", NULL);
    cstory_settle(s);
    struct config_options small = cstory_options();
    small.memory_bytes_max = 0;
    cstory_restart(s, &small);
    assert_null(cstory_item(s, "h-1")->value->formal->content);
    struct http_request r = v1(API_GET, H1, NULL);
    struct http_answer a = http_play(s, &r);
    assert_false(a.read);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.text, "cold one");
    assert_string_equal(http_answer_header(&a, "Encrypted-Data-Key"), "thekey");
    http_answer_close(&a);
}

static void test_history__knows_who_and_from_where(void **state)
{
    struct cstory *s = *state;
    publish(s, H1 "&content=1&src_user=joe", "x-forwarded-for: 1.2.3.4, 5.6.7.8");
    publish(s, H1 "&content=2&username=ann", "x-real-ip: 2.2.2.2");
    static const struct db_stmt joe = {
        .name = "test_joe",
        .sql_sqlite = "select count(*) from his_config_info where src_user = 'joe' and "
                      "src_ip = '1.2.3.4'",
    };
    static const struct db_stmt ann = {
        .name = "test_ann",
        .sql_sqlite = "select count(*) from his_config_info where src_user = 'ann' and "
                      "src_ip = '2.2.2.2'",
    };
    assert_int_equal(cstory_number(s, &joe), 1);
    assert_int_equal(cstory_number(s, &ann), 1);
}

static void test_content__up_to_the_limit(void **state)
{
    struct cstory *s = *state;
    size_t head = strlen(H1 "&content=");
    char *params = mem_zalloc(1, head + CONFIG_CONTENT_BYTES_MAX + 2);
    memcpy(params, H1 "&content=", head);
    memset(params + head, 'x', CONFIG_CONTENT_BYTES_MAX);
    publish(s, params, NULL);
    struct http_request r = v1(API_GET, H1, NULL);
    struct http_answer a = http_play(s, &r);
    assert_int_equal(a.len, CONFIG_CONTENT_BYTES_MAX);
    http_answer_close(&a);
    params[head + CONFIG_CONTENT_BYTES_MAX] = 'x';
    expect1(s, API_POST, params, NULL, 400, TEXT, "caused: invalid content, over 10485760;");
    mem_free(params);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read__what_was_published__from_the_view_with_its_headers),
        TEST(test_read__shares_the_bytes_of_the_content),
        TEST(test_v2__publish_read_remove),
        TEST(test_publish__cas),
        TEST(test_publish__gray_cas__is_checked),
        TEST(test_publish__limits_have_nacos_texts),
        TEST(test_missing__each_version_has_its_words),
        TEST(test_missing__v2),
        TEST(test_names__the_parameter_check_comes_first),
        TEST(test_tenant__public_in_any_spelling_is_the_default),
        TEST(test_tag__named_or_automatic),
        TEST(test_tag__sixteen_characters_work),
        TEST(test_remove__with_a_tag__removes_that_version),
        TEST(test_beta__by_address_and_its_end),
        TEST(test_cold__is_loaded_once_and_answered),
        TEST(test_history__knows_who_and_from_where),
        TEST(test_content__up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
