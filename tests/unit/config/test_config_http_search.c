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
#include "config_calls.h"

#define JSON1 "application/json;charset=UTF-8"
#define JSON2 "application/json"
#define TEXT "text/plain;charset=UTF-8"
#define CONFIGS "/v1/cs/configs"
#define DETAIL "/v2/cs/config/searchDetail"

static void play(struct cstory *s, unsigned method, const char *path, const char *params,
                 const char *headers)
{
    struct http_request r = {.method = method, .path = path, .params = params, .headers = headers};
    struct http_answer a = http_play(s, &r);
    assert_int_equal(a.status, 200);
    http_answer_close(&a);
}

static void publish(struct cstory *s, const char *params)
{
    play(s, API_POST, CONFIGS, params, NULL);
}

static void get(struct cstory *s, const char *path, const char *params, int status,
                const char *type, const char *body)
{
    struct http_request r = {.method = API_GET, .path = path, .params = params};
    http_expect(s, &r, status, type, body);
}

static void missing(struct cstory *s, const char *path, const char *params, const char *name,
                    const char *java_type)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "caused: Required request parameter &#39;%s&#39; for method parameter type %s "
                   "is not present;",
                   name, java_type);
    get(s, path, params, 500, TEXT, text);
}

/* golden http/config-search.jsonl */
static int setup(void **state)
{
    struct cstory *s = calloc(1, sizeof(*s));
    cstory_begin(s, NULL);
    publish(s, "dataId=s-1.yaml&group=SG&content=v:+1&type=yaml&appName=sapp&config_tags=red,blue");
    publish(s, "dataId=s-2.yaml&group=SG&content=v:+2&type=yaml&appName=&config_tags=");
    publish(s, "dataId=s-ns&group=SG&content=n&tenant=search-ns&encryptedDataKey=k");
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    cstory_end(*state);
    free(*state);
    return 0;
}

#define ITEM(id, name, content, key, tenant, app, type)                                            \
    "{\"id\":\"" id "\",\"dataId\":\"" name "\",\"group\":\"SG\",\"content\":\"" content           \
    "\",\"md5\":null,\"encryptedDataKey\":" key ",\"tenant\":\"" tenant "\",\"appName\":\"" app    \
    "\",\"type\":" type "}"
#define PAGE(total, no, pages, items)                                                              \
    "{\"totalCount\":" total ",\"pageNumber\":" no ",\"pagesAvailable\":" pages                    \
    ",\"pageItems\":[" items "]}"
#define NOTHING PAGE("0", "1", "0", "")

static void test_accurate__names_are_equal__key_is_null(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=accurate&pageNo=1&pageSize=10&dataId=s-1.yaml&group=SG", 200, JSON1,
        PAGE("1", "1", "1", ITEM("1", "s-1.yaml", "v: 1", "null", "", "sapp", "\"yaml\"")));
    get(s, CONFIGS, "search=accurate&pageNo=1&pageSize=10&dataId=nope&group=SG", 200, JSON1,
        NOTHING);
    get(s, CONFIGS, "search=accurate&pageNo=1&pageSize=10&dataId=&group=&appName=sapp", 200, JSON1,
        PAGE("1", "1", "1", ITEM("1", "s-1.yaml", "v: 1", "null", "", "sapp", "\"yaml\"")));
    get(s, CONFIGS, "search=accurate&pageNo=1&pageSize=10&dataId=&group=SG&config_tags=red", 200,
        JSON1, PAGE("1", "1", "1", ITEM("1", "s-1.yaml", "v: 1", "null", "", "sapp", "null")));
}

static void test_accurate__illegal_name__is_the_parameter_checks(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=accurate&pageNo=1&pageSize=10&dataId=s*&group=SG", 400, JSON1,
        "Param 'dataId' is illegal, illegal characters should not appear in the param.\r\n");
}

static void test_blur__patterns__key_is_shown_without_tags(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=blur&pageNo=1&pageSize=10&dataId=*-2*&group=SG", 200, JSON1,
        PAGE("1", "1", "1", ITEM("2", "s-2.yaml", "v: 2", "\"\"", "", "", "\"yaml\"")));
    get(s, CONFIGS, "search=blur&pageNo=1&pageSize=10&dataId=s-1&group=SG", 200, JSON1, NOTHING);
    get(s, CONFIGS, "search=blur&pageNo=1&pageSize=10&dataId=*&group=SG&types=xml", 200, JSON1,
        NOTHING);
    get(s, CONFIGS, "search=blur&pageNo=1&pageSize=10&dataId=*&group=SG&config_tags=blue,x", 200,
        JSON1, PAGE("1", "1", "1", ITEM("1", "s-1.yaml", "v: 1", "null", "", "sapp", "\"yaml\"")));
    get(s, CONFIGS, "search=blur&pageNo=1&pageSize=10&dataId=&group=SG&tenant=search-ns", 200,
        JSON1, PAGE("1", "1", "1", ITEM("3", "s-ns", "n", "\"k\"", "search-ns", "", "\"text\"")));
}

static void test_search__tenant_public__is_the_default_one(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=blur&pageNo=1&pageSize=1&dataId=&group=&tenant=public", 200, JSON1,
        PAGE("2", "1", "2", ITEM("1", "s-1.yaml", "v: 1", "\"\"", "", "sapp", "\"yaml\"")));
}

static void test_search__pages__past_the_end_is_empty_with_the_total(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=blur&pageNo=2&pageSize=1&dataId=&group=SG", 200, JSON1,
        PAGE("2", "2", "2", ITEM("2", "s-2.yaml", "v: 2", "\"\"", "", "", "\"yaml\"")));
    get(s, CONFIGS, "search=blur&pageNo=9&pageSize=1&dataId=&group=SG", 200, JSON1,
        PAGE("2", "9", "2", ""));
    get(s, CONFIGS, "search=blur&pageNo=2147483647&pageSize=2147483647&dataId=&group=SG", 200,
        JSON1, PAGE("2", "2147483647", "1", ""));
}

static void test_search__bad_pages__are_told(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=blur&pageNo=0&pageSize=10&dataId=&group=SG", 400, TEXT,
        "caused: serialize page error, dataId=, group=SG;caused: pageNo and pageSize must be "
        "greater than zero;");
    get(s, CONFIGS, "search=accurate&pageNo=1&pageSize=0&dataId=&group=SG", 400, TEXT,
        "caused: serialize page error, dataId=, group=SG;caused: pageNo and pageSize must be "
        "greater than zero;");
    get(s, CONFIGS, "search=blur&pageNo=x&pageSize=10&dataId=&group=SG", 400, TEXT,
        "caused: Failed to convert value of type 'java.lang.String' to required type 'int'; "
        "nested exception is java.lang.NumberFormatException: For input string: \"x\";caused: "
        "For input string: \"x\";");
    missing(s, CONFIGS, "search=accurate&dataId=&group=&pageSize=10", "pageNo", "int");
    missing(s, CONFIGS, "search=blur&group=&pageNo=1&pageSize=10", "dataId", "String");
}

static void test_search__unknown_kind__is_a_read(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "search=other&pageNo=1&pageSize=10&dataId=&group=SG", 400, TEXT,
        "caused: invalid dataId : ;");
}

static void test_search__pattern_too_long__is_refused(void **state)
{
    struct cstory *s = *state;
    char params[9000] = "search=blur&pageNo=1&pageSize=10&group=&dataId=";
    size_t len = strlen(params);
    memset(params + len, 'x', 8193);
    get(s, CONFIGS, params, 400, TEXT,
        "caused: the dataId to search for has 8193 bytes, the limit is 8192;");
}

static void test_search_detail__by_content(void **state)
{
    struct cstory *s = *state;
    get(s, DETAIL, "pageNo=1&pageSize=10&dataId=&group=SG&config_detail=v:+2", 200, JSON2,
        PAGE("1", "1", "1", ITEM("2", "s-2.yaml", "v: 2", "\"\"", "", "", "\"yaml\"")));
    get(s, DETAIL, "pageNo=1&pageSize=1&dataId=&group=SG&config_detail=v*&search=blur", 200, JSON2,
        PAGE("2", "1", "2", ITEM("1", "s-1.yaml", "v: 1", "\"\"", "", "sapp", "\"yaml\"")));
    get(s, DETAIL, "pageNo=1&pageSize=10&dataId=&group=SG&config_detail=zzz", 200, JSON2, NOTHING);
    get(s, DETAIL, "pageNo=1&pageSize=10&dataId=s-*&group=SG&config_detail=v&search=accurate", 400,
        NULL, "Param 'dataId' is illegal, illegal characters should not appear in the param.\r\n");
}

static void test_search_detail__what_is_wrong__is_told_in_v2s_shape(void **state)
{
    struct cstory *s = *state;
    get(s, DETAIL, "pageNo=1&pageSize=10&dataId=&group=SG", 400, JSON2,
        "{\"code\":10000,\"message\":\"parameter missing\",\"data\":\"Required request parameter "
        "'config_detail' for method parameter type String is not present\"}");
    get(s, DETAIL, "pageNo=0&pageSize=10&dataId=&group=SG&config_detail=v", 400, JSON2,
        "{\"code\":20002,\"message\":\"parameter validate error\",\"data\":\"pageNo and pageSize "
        "must be greater than zero\"}");
    get(s, DETAIL, "pageNo=x&pageSize=10&dataId=&group=SG&config_detail=v", 500, JSON2,
        "{\"code\":30000,\"message\":\"Failed to convert value of type 'java.lang.String' to "
        "required type 'int'; nested exception is java.lang.NumberFormatException: For input "
        "string: \\\"x\\\"\",\"data\":null}");
}

static void test_show_all__has_every_field(void **state)
{
    struct cstory *s = *state;
    publish(s, "dataId=h-1&group=G&content={\"a\":3}&type=json&appName=app1&config_tags=t1,t2&"
               "src_user=joe&desc=a+description&use=some+use&effect=some+effect&schema={}");
    get(s, CONFIGS, "show=all&dataId=h-1&group=G", 200, JSON1,
        "{\"id\":\"4\",\"dataId\":\"h-1\",\"group\":\"G\",\"content\":\"{\\\"a\\\":3}\",\"md5\":"
        "\"aa2d36cfe3d948b122a9e5193a024b2a\",\"encryptedDataKey\":\"\",\"tenant\":\"\","
        "\"appName\":\"app1\",\"type\":\"json\",\"createTime\":1700000000000,\"modifyTime\":"
        "1700000000000,\"createUser\":\"joe\",\"createIp\":\"10.0.0.9\",\"desc\":\"a "
        "description\",\"use\":\"some use\",\"effect\":\"some effect\",\"schema\":\"{}\","
        "\"configTags\":\"t1,t2\"}");
    cstory_advance(s, 5);
    publish(s, "dataId=h-1&group=G&content=x");
    get(s, CONFIGS, "show=all&dataId=h-1&group=G&tenant=public", 200, JSON1,
        "{\"id\":\"4\",\"dataId\":\"h-1\",\"group\":\"G\",\"content\":\"x\",\"md5\":"
        "\"9dd4e461268c8034f5c8564e155c67a6\",\"encryptedDataKey\":\"\",\"tenant\":\"\","
        "\"appName\":\"app1\",\"type\":\"text\",\"createTime\":1700000000000,\"modifyTime\":"
        "1700000000005,\"createUser\":null,\"createIp\":\"10.0.0.9\",\"desc\":null,\"use\":null,"
        "\"effect\":null,\"schema\":null,\"configTags\":\"t1,t2\"}");
}

static void test_show_all__free_key__is_an_empty_body(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "show=all&dataId=free&group=G", 200, JSON1, "");
    missing(s, CONFIGS, "show=all&group=G", "dataId", "String");
}

static void test_catalog__metadata_or_null(void **state)
{
    struct cstory *s = *state;
    get(s, "/v1/cs/configs/catalog", "dataId=s-1.yaml&group=SG", 200, JSON1,
        "{\"code\":200,\"message\":null,\"data\":{\"createTime\":1700000000000,\"modifyTime\":"
        "1700000000000,\"createUser\":null,\"createIp\":\"10.0.0.9\",\"desc\":null,\"use\":null,"
        "\"effect\":null,\"type\":\"yaml\",\"schema\":null,\"configTags\":\"red,blue\"}}");
    get(s, "/v1/cs/configs/catalog", "dataId=none&group=SG", 200, JSON1,
        "{\"code\":200,\"message\":null,\"data\":null}");
}

static void test_beta__the_version_or_null(void **state)
{
    struct cstory *s = *state;
    get(s, CONFIGS, "beta=true&dataId=s-1.yaml&group=SG", 200, JSON1,
        "{\"code\":200,\"message\":\"query beta ok\",\"data\":null}");
    play(s, API_POST, CONFIGS, "dataId=s-1.yaml&group=SG&content=beta!&appName=bapp",
         "betaips: 127.0.0.1,10.0.0.9");
    get(s, CONFIGS, "beta=true&dataId=s-1.yaml&group=SG", 200, JSON1,
        "{\"code\":200,\"message\":\"query beta ok\",\"data\":{\"id\":\"4\",\"dataId\":\"s-1.yaml"
        "\",\"group\":\"SG\",\"content\":\"beta!\",\"md5\":\"5e6e75b0d24ebf2b4ddaddcd3a1888db\","
        "\"encryptedDataKey\":null,\"tenant\":\"\",\"appName\":\"bapp\",\"type\":null,\"betaIps\":"
        "\"127.0.0.1,10.0.0.9\"}}");
    missing(s, CONFIGS, "beta=true&group=SG", "dataId", "String");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_accurate__names_are_equal__key_is_null),
        T(test_accurate__illegal_name__is_the_parameter_checks),
        T(test_blur__patterns__key_is_shown_without_tags),
        T(test_search__tenant_public__is_the_default_one),
        T(test_search__pages__past_the_end_is_empty_with_the_total),
        T(test_search__bad_pages__are_told),
        T(test_search__unknown_kind__is_a_read),
        T(test_search__pattern_too_long__is_refused),
        T(test_search_detail__by_content),
        T(test_search_detail__what_is_wrong__is_told_in_v2s_shape),
        T(test_show_all__has_every_field),
        T(test_show_all__free_key__is_an_empty_body),
        T(test_catalog__metadata_or_null),
        T(test_beta__the_version_or_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
