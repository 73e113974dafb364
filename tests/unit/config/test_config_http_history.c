#include "config/config_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_calls.h"

#define JSON1 "application/json;charset=UTF-8"
#define JSON2 "application/json"
#define TEXT "text/plain;charset=UTF-8"
#define CONFIGS "/v1/cs/configs"
#define V1 "/v1/cs/history"
#define V2 "/v2/cs/history"
#define H1 "dataId=hist-1&group=DEFAULT_GROUP"
#define V2_NULL "{\"code\":0,\"message\":\"success\",\"data\":null}"

static void change(struct cstory *s, unsigned method, const char *params, const char *headers)
{
    struct http_request r = {
        .method = method, .path = CONFIGS, .params = params, .headers = headers};
    cstory_advance(s, 1);
    http_expect(s, &r, 200, JSON1, "true");
}

static void get(struct cstory *s, const char *path, const char *params, int status,
                const char *type, const char *body)
{
    struct http_request r = {.method = API_GET, .path = path, .params = params};
    http_expect(s, &r, status, type, body);
}

/* golden http/config-history.jsonl: nids 1 to 5 */
static int setup(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    cstory_begin(s, NULL);
    change(s, API_POST, H1 "&content=one&type=text", NULL);
    change(s, API_POST, H1 "&content=two&type=text&config_tags=ht&desc=hd", NULL);
    change(s, API_POST, H1 "&content=gray", "betaips: 10.0.0.9");
    change(s, API_DELETE, H1, NULL);
    change(s, API_POST, H1 "&content=three&src_user=joe", NULL);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    cstory_end(*state);
    free(*state);
    return 0;
}

#define PLAIN "{\\\"type\\\":\\\"text\\\"}"
#define FULL "{\\\"type\\\":\\\"text\\\",\\\"config_tags\\\":\\\"ht\\\",\\\"c_desc\\\":\\\"hd\\\"}"
#define GRAY                                                                                       \
    "{\\\"gray_name\\\":\\\"beta\\\",\\\"gray_rule\\\":\\\"{\\\\\\\"type\\\\\\\":\\\\\\\"beta"     \
    "\\\\\\\",\\\\\\\"expr\\\\\\\":\\\\\\\"10.0.0.9\\\\\\\",\\\\\\\"version\\\\\\\":\\\\\\\"1.0.0" \
    "\\\\\\\",\\\\\\\"priority\\\\\\\":\\\\\\\"2147483647\\\\\\\"}\\\"}"
#define MD5_ONE "f97c5d29941bfb1b2fdab0874906ab82"
#define MD5_TWO "b8a9f715dbb64fd5c56e7783c6820a61"

#define ROW(id, md5, content, user, op, kind, gray, ext, ms, key)                                  \
    "{\"id\":\"" id "\",\"lastId\":-1,\"dataId\":\"hist-1\",\"group\":\"DEFAULT_GROUP\",\"tenant"  \
    "\":\"\",\"appName\":\"\",\"md5\":" md5 ",\"content\":" content                                \
    ",\"srcIp\":\"10.0.0.9\",\"srcUser\":" user ",\"opType\":\"" op "\",\"publishType\":\"" kind   \
    "\",\"grayName\":\"" gray "\",\"extInfo\":\"" ext                                              \
    "\",\"createdTime\":\"2023-11-14T22:13:20.00" ms                                               \
    "+00:00\",\"lastModifiedTime\":\"2023-11-14T22:13:20.00" ms                                    \
    "+00:00\",\"encryptedDataKey\":" key "}"
#define LISTED(id, user, op, kind, gray, ext, ms)                                                  \
    ROW(id, "null", "null", user, op, kind, gray, ext, ms, "null")
#define WHOLE(id, md5, content, op, ext, ms)                                                       \
    ROW(id, "\"" md5 "\"", "\"" content "\"", "null", op, "formal", "", ext, ms, "\"\"")
#define JOES "{\\\"type\\\":\\\"text\\\",\\\"src_user\\\":\\\"joe\\\"}"

static void test_list__newest_first_without_content(void **state)
{
    struct cstory *s = *state;
    get(s, V1, "search=accurate&" H1 "&pageNo=1&pageSize=10", 200, JSON1,
        "{\"totalCount\":5,\"pageNumber\":1,\"pagesAvailable\":1,\"pageItems\":[" LISTED(
            "5", "\"joe\"", "I", "formal", "", JOES,
            "5") "," LISTED("4", "null", "D", "formal", "", FULL,
                            "4") "," LISTED("3", "null", "I", "gray", "beta", GRAY,
                                            "3") "," LISTED("2", "null", "U", "formal", "", PLAIN,
                                                            "2") "," LISTED("1", "null", "I",
                                                                            "formal", "", PLAIN,
                                                                            "1") "]}");
}

static void test_list__pages__have_defaults_and_a_largest_size(void **state)
{
    struct cstory *s = *state;
    get(s, V2 "/list", H1 "&pageNo=3&pageSize=2", 200, JSON2,
        "{\"code\":0,\"message\":\"success\",\"data\":{\"totalCount\":5,\"pageNumber\":3,"
        "\"pagesAvailable\":3,\"pageItems\":[" LISTED("1", "null", "I", "formal", "", PLAIN,
                                                      "1") "]}}");
    get(s, V1, "search=accurate&" H1 "&pageNo=2&pageSize=501", 200, JSON1,
        "{\"totalCount\":5,\"pageNumber\":2,\"pagesAvailable\":1,\"pageItems\":[]}");
    get(s, V1, "search=accurate&dataId=&group=", 200, JSON1,
        "{\"totalCount\":0,\"pageNumber\":1,\"pagesAvailable\":0,\"pageItems\":[]}");
}

static void test_list__bad_requests__are_told(void **state)
{
    struct cstory *s = *state;
    get(s, V1, "search=accurate&" H1 "&pageNo=0&pageSize=10", 400, TEXT,
        "caused: pageNo and pageSize must be greater than zero;");
    get(s, V1, "search=accurate&group=DEFAULT_GROUP", 500, TEXT,
        "caused: Required request parameter &#39;dataId&#39; for method parameter type String is "
        "not present;");
    get(s, V2 "/list", "dataId=hist-1", 400, JSON2,
        "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required request parameter "
        "'group' for method parameter type String is not present\"}");
    get(s, V2 "/list", H1 "&pageNo=x", 500, JSON2,
        "{\"code\":30000,\"message\":\"Failed to convert value of type 'java.lang.String' to "
        "required type 'java.lang.Integer'; nested exception is java.lang.NumberFormatException: "
        "For input string: \\\"x\\\"\",\"data\":null}");
}

static void test_row__has_content_and_is_found_by_tenant_public_too(void **state)
{
    struct cstory *s = *state;
    get(s, V1, H1 "&nid=1", 200, JSON1, WHOLE("1", MD5_ONE, "one", "I", PLAIN, "1"));
    get(s, V1, H1 "&nid=2", 200, JSON1, WHOLE("2", MD5_ONE, "one", "U", PLAIN, "2"));
    get(s, V1, H1 "&nid=4&tenant=public", 200, JSON1, WHOLE("4", MD5_TWO, "two", "D", FULL, "4"));
    get(s, V2, H1 "&nid=1", 200, JSON2,
        "{\"code\":0,\"message\":\"success\",\"data\":" WHOLE("1", MD5_ONE, "one", "I", PLAIN,
                                                              "1") "}");
}

static void test_row__missing__is_empty_or_null(void **state)
{
    struct cstory *s = *state;
    get(s, V1, H1 "&nid=99999999", 200, JSON1, "");
    get(s, V2, H1 "&nid=99999999", 200, JSON2, V2_NULL);
    get(s, V2 "/detail", H1 "&nid=99999999", 200, JSON2, V2_NULL);
    get(s, V1, H1 "&nid=-1", 200, JSON1, "");
}

static void test_row__of_another_config__is_forbidden(void **state)
{
    struct cstory *s = *state;
    const char *v2 = "{\"code\":10001,\"message\":\"access denied\",\"data\":\"Please check "
                     "dataId, group or namespaceId.\"}";
    get(s, V2, "dataId=other&group=DEFAULT_GROUP&nid=5", 403, JSON2, v2);
    get(s, V2, H1 "&namespaceId=ns&nid=5", 403, JSON2, v2);
    get(s, V2 "/detail", "dataId=hist-1&group=G&nid=5", 403, JSON2, v2);
    get(s, V2 "/previous", "dataId=other&group=DEFAULT_GROUP&id=1", 403, JSON2, v2);
    get(s, V1, "dataId=other&group=DEFAULT_GROUP&nid=5", 403, TEXT,
        "caused: Please check dataId, group or namespaceId.;");
}

static void test_row__nid_wrong_or_missing__is_told(void **state)
{
    struct cstory *s = *state;
    get(s, V1, H1 "&nid=x", 400, TEXT,
        "caused: Failed to convert value of type 'java.lang.String' to required type "
        "'java.lang.Long'; nested exception is java.lang.NumberFormatException: For input string: "
        "\"x\";caused: For input string: \"x\";");
    get(s, V1, H1, 500, TEXT,
        "caused: Required request parameter &#39;nid&#39; for method parameter type Long is not "
        "present;");
    get(s, V2, H1, 400, JSON2,
        "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required request parameter "
        "'nid' for method parameter type Long is not present\"}");
    get(s, V1 "/previous", H1, 500, TEXT,
        "caused: Required request parameter &#39;id&#39; for method parameter type Long is not "
        "present;");
}

static void test_previous__is_what_was_before_the_last_change(void **state)
{
    struct cstory *s = *state;
    get(s, V1 "/previous", H1 "&id=3", 200, JSON1, ""); /* three: a first publish */
    get(s, V2 "/previous", H1 "&id=3", 200, JSON2, V2_NULL);
    get(s, V2 "/previous", H1 "&id=99999999", 200, JSON2, V2_NULL);
    get(s, V1 "/previous", H1 "&id=1", 200, JSON1, WHOLE("4", MD5_TWO, "two", "D", FULL, "4"));
    change(s, API_POST, H1 "&content=four", NULL);
    struct http_request r = {.method = API_GET, .path = V1 "/previous", .params = H1 "&id=3"};
    struct http_answer a = http_play(s, &r);
    assert_non_null(strstr(a.text, "\"content\":\"three\""));
    http_answer_close(&a);
}

#define PAIR(id, op, kind, gray, user, before, after, ms)                                          \
    "{\"code\":0,\"message\":\"success\",\"data\":{\"id\":" id                                     \
    ",\"lastId\":-1,\"dataId\":\"hist-1\",\"group\":\"DEFAULT_GROUP\",\"tenant\":\"\",\"opType\":" \
    "\"" op "\",\"publishType\":\"" kind "\",\"grayName\":\"" gray                                 \
    "\",\"appName\":\"\",\"srcIp\":\"10.0.0.9\",\"srcUser\":" user "," before "," after            \
    ",\"createdTime\":\"2023-11-14T22:13:20.00" ms "+00:00\",\"lastModifiedTime\":"                \
    "\"2023-11-14T22:13:20.00" ms "+00:00\"}}"
#define BEFORE(md5, content, key, ext)                                                             \
    "\"originalMd5\":\"" md5 "\",\"originalContent\":\"" content                                   \
    "\",\"originalEncryptedDataKey\":\"" key "\",\"originalExtInfo\":\"" ext "\""
#define AFTER(md5, content, key, ext)                                                              \
    "\"updatedMd5\":\"" md5 "\",\"updatedContent\":\"" content                                     \
    "\",\"updatedEncryptedDataKey\":\"" key "\",\"updateExtInfo\":\"" ext "\""
#define NO_AFTER                                                                                   \
    "\"updatedMd5\":null,\"updatedContent\":null,\"updatedEncryptedDataKey\":null,"                \
    "\"updateExtInfo\":null"

static void test_detail__before_and_after(void **state)
{
    struct cstory *s = *state;
    get(s, V2 "/detail", H1 "&nid=1", 200, JSON2,
        PAIR("1", "I", "formal", "", "null", BEFORE("", "", "", ""),
             AFTER(MD5_ONE, "one", "", PLAIN), "1"));
    get(s, V2 "/detail", H1 "&nid=2", 200, JSON2,
        PAIR("2", "U", "formal", "", "null", BEFORE(MD5_ONE, "one", "", PLAIN),
             AFTER(MD5_TWO, "two", "", FULL), "2"));
    get(s, V2 "/detail", H1 "&nid=3", 200, JSON2,
        PAIR("3", "I", "gray", "beta", "null", BEFORE("", "", "", ""),
             AFTER("cda7a650c5856cf2f6738072447d7825", "gray", "", GRAY), "3"));
    get(s, V2 "/detail", H1 "&nid=4", 200, JSON2,
        PAIR("4", "D", "formal", "", "null", BEFORE(MD5_TWO, "two", "", FULL), NO_AFTER, "4"));
}

static void test_detail__last_change__after_is_what_is_there_now(void **state)
{
    struct cstory *s = *state;
    change(s, API_POST, H1 "&content=four", NULL);
    get(s, V2 "/detail", H1 "&nid=6", 200, JSON2,
        PAIR("6", "U", "formal", "", "null",
             BEFORE("35d6d33467aae9a2e3dccb4b6b027878", "three", "", JOES),
             AFTER("8cbad96aced40b3838dd9f07f6ef5772", "four", "", PLAIN), "6"));
    change(s, API_POST, H1 "&content=gray2", "betaips: 10.0.0.9");
    struct http_request r = {.method = API_GET, .path = V2 "/detail", .params = H1 "&nid=7"};
    struct http_answer a = http_play(s, &r);
    assert_non_null(strstr(a.text, "\"originalContent\":\"gray\""));
    assert_non_null(strstr(a.text, "\"updatedContent\":\"gray2\""));
    http_answer_close(&a);
}

static void test_rollback__publish_of_a_rows_content__restores_it(void **state)
{
    struct cstory *s = *state;
    change(s, API_POST, H1 "&content=one&type=text", NULL);
    struct http_request r = {.method = API_GET,
                             .path = CONFIGS,
                             .params = H1,
                             .headers = "x-real-ip: 10.0.0.1"}; /* not one of the beta's */
    http_expect(s, &r, 200, TEXT, "one");
    get(s, V2 "/detail", H1 "&nid=6", 200, JSON2,
        PAIR("6", "U", "formal", "", "null",
             BEFORE("35d6d33467aae9a2e3dccb4b6b027878", "three", "", JOES),
             AFTER(MD5_ONE, "one", "", PLAIN), "6"));
}

static void test_configs__of_a_tenant(void **state)
{
    struct cstory *s = *state;
    const char *one = "[{\"id\":\"0\",\"dataId\":\"hist-1\",\"group\":\"DEFAULT_GROUP\","
                      "\"content\":null,\"md5\":null,\"encryptedDataKey\":null,\"tenant\":\"\","
                      "\"appName\":\"\",\"type\":\"text\",\"lastModified\":1700000000005}]";
    get(s, V1 "/configs", "tenant=", 200, JSON1, one);
    get(s, V1 "/configs", "tenant=public", 200, JSON1, one);
    get(s, V1 "/configs", "tenant=ns", 200, JSON1, "[]");
    get(s, V2 "/configs", "namespaceId=ns", 200, JSON2,
        "{\"code\":0,\"message\":\"success\",\"data\":[]}");
    get(s, V1 "/configs", "", 500, TEXT,
        "caused: Required request parameter &#39;tenant&#39; for method parameter type String is "
        "not present;");
    get(s, V2 "/configs", "", 400, JSON2,
        "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required request parameter "
        "'namespaceId' for method parameter type String is not present\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_list__newest_first_without_content),
        T(test_list__pages__have_defaults_and_a_largest_size),
        T(test_list__bad_requests__are_told),
        T(test_row__has_content_and_is_found_by_tenant_public_too),
        T(test_row__missing__is_empty_or_null),
        T(test_row__of_another_config__is_forbidden),
        T(test_row__nid_wrong_or_missing__is_told),
        T(test_previous__is_what_was_before_the_last_change),
        T(test_detail__before_and_after),
        T(test_detail__last_change__after_is_what_is_there_now),
        T(test_rollback__publish_of_a_rows_content__restores_it),
        T(test_configs__of_a_tenant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
