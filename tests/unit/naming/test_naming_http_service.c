/* Service records and names over HTTP, against recordings of Nacos 2.5.1 (golden
 * http/naming-service, naming-v2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "naming/naming_http.h"
#include "naming/pending.h"
#include "naming_calls.h"

#define V1 "/v1/ns/service"
#define V2 "/v2/ns/service"
#define V1_LIST "/v1/ns/service/list"
#define V2_LIST "/v2/ns/service/list"
#define V2_OK "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}"
#define NO_SELECTOR "{\"type\":\"none\",\"contextType\":\"NONE\"}"
#define DETAIL(name, threshold, metadata, selector, clusters)                                      \
    "{\"namespaceId\":\"public\",\"groupName\":\"DEFAULT_GROUP\",\"name\":\"" name                 \
    "\",\"protectThreshold\":" threshold ",\"metadata\":{" metadata "},\"selector\":" selector     \
    ",\"clusters\":[" clusters "]}"
#define V2_DETAIL(name, clusters, metadata, threshold, ephemeral)                                  \
    "{\"code\":0,\"message\":\"success\",\"data\":{\"namespace\":\"public\",\"serviceName\":"      \
    "\"" name "\",\"groupName\":\"DEFAULT_GROUP\",\"clusterMap\":{" clusters                       \
    "},\"metadata\":{" metadata "},\"protectThreshold\":" threshold ",\"selector\":" NO_SELECTOR   \
    ",\"ephemeral\":" ephemeral "}}"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void test_create_change_remove__v1__as_nacos_does(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1,
                "serviceName=s-svc&protectThreshold=0.5&metadata=%7B%22m%22:%221%22%7D&groupName="
                "DEFAULT_GROUP&namespaceId=public",
                "ok");
    refuse_http(&s, API_POST, V1, "serviceName=s-svc", E_INVALID,
                "specified service DEFAULT_GROUP@@s-svc already exists!");
    expect_http(&s, API_GET, V1, "serviceName=s-svc",
                DETAIL("s-svc", "0.5", "\"m\":\"1\"", NO_SELECTOR, ""));
    expect_http(&s, API_GET, V1, "serviceName=DEFAULT_GROUP@@s-svc",
                DETAIL("s-svc", "0.5", "\"m\":\"1\"", NO_SELECTOR, ""));
    expect_http(&s, API_PUT, V1, "serviceName=s-svc&protectThreshold=0.8&metadata=k1=v1", "ok");
    expect_http(&s, API_GET, V1, "serviceName=s-svc",
                DETAIL("s-svc", "0.8", "\"k1\":\"v1\"", NO_SELECTOR, ""));
    expect_http(&s, API_POST, "/v1/ns/instance",
                "serviceName=s-svc&ip=10.11.1.1&port=80&ephemeral=false", "ok");
    refuse_http(&s, API_DELETE, V1, "serviceName=s-svc", E_INVALID,
                "Service DEFAULT_GROUP@@s-svc is not empty, can't be delete. Please unregister "
                "instance first");
    expect_http(
        &s, API_GET, V1, "serviceName=s-svc",
        DETAIL("s-svc", "0.8", "\"k1\":\"v1\"", NO_SELECTOR,
               "{\"name\":\"DEFAULT\",\"healthChecker\":{\"type\":\"TCP\"},\"metadata\":{}}"));
    expect_http(&s, API_DELETE, "/v1/ns/instance",
                "serviceName=s-svc&ip=10.11.1.1&port=80&ephemeral=false", "ok");
    expect_http(&s, API_DELETE, V1, "serviceName=s-svc", "ok");
    refuse_http(&s, API_DELETE, V1, "serviceName=s-svc", E_INVALID,
                "service DEFAULT_GROUP@@s-svc not found!");
    story_end(&s);
}

static void test_create_change_remove__v2__as_nacos_does(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(
        &s, API_POST, V2,
        "serviceName=v2-s&protectThreshold=0.3&metadata=%7B%22k%22:%22v%22%7D&ephemeral=true",
        V2_OK);
    refuse_http(&s, API_POST, V2, "serviceName=v2-s", E_INVALID,
                "specified service DEFAULT_GROUP@@v2-s already exists!");
    assert_int_equal(s.fail.v2, V2_SERVICE_ALREADY_EXIST);
    expect_http(&s, API_GET, V2, "serviceName=v2-s",
                V2_DETAIL("v2-s", "", "\"k\":\"v\"", "0.3", "true"));
    expect_http(&s, API_PUT, V2,
                "serviceName=v2-s&protectThreshold=0.9&metadata=%7B%22k%22:%22w%22%7D", V2_OK);
    expect_http(&s, API_GET, V2, "serviceName=v2-s",
                V2_DETAIL("v2-s", "", "\"k\":\"w\"", "0.9", "true"));
    refuse_http(&s, API_PUT, V2, "serviceName=v2-none", E_INVALID,
                "service DEFAULT_GROUP@@v2-none not found!");
    assert_int_equal(s.fail.v2, V2_SERVICE_NOT_EXIST);
    expect_http(&s, API_POST, "/v2/ns/instance", "serviceName=v2-s&ip=10.11.0.1&port=80", V2_OK);
    expect_http(&s, API_GET, V2, "serviceName=v2-s",
                V2_DETAIL("v2-s",
                          "\"DEFAULT\":{\"clusterName\":\"DEFAULT\",\"healthChecker\":{\"type\":"
                          "\"TCP\"},\"metadata\":{},\"hosts\":null}",
                          "\"k\":\"w\"", "0.9", "true"));
    refuse_http(&s, API_DELETE, V2, "serviceName=v2-s", E_INVALID,
                "Service DEFAULT_GROUP@@v2-s is not empty, can't be delete. Please unregister "
                "instance first");
    assert_int_equal(s.fail.v2, V2_SERVICE_DELETE_FAILURE);
    expect_http(&s, API_DELETE, "/v2/ns/instance", "serviceName=v2-s&ip=10.11.0.1&port=80", V2_OK);
    expect_http(&s, API_DELETE, V2, "serviceName=v2-s", V2_OK);
    refuse_http(&s, API_DELETE, V2, "serviceName=v2-s", E_INVALID,
                "service DEFAULT_GROUP@@v2-s not found!");
    story_end(&s);
}

static void test_get__unknown__is_refused_with_its_namespace(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    refuse_http(&s, API_GET, V1, "serviceName=s-none", E_INVALID,
                "service not found, namespace: public, serviceName: DEFAULT_GROUP@@s-none");
    refuse_http(&s, API_GET, V2, "serviceName=s-none&namespaceId=dev&groupName=G", E_INVALID,
                "service not found, namespace: dev, serviceName: G@@s-none");
    assert_int_equal(s.fail.v2, V2_SERVICE_NOT_EXIST);
    /* Subscribed to is not existing. */
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_subscribe(&s, conn, "s-none", ""), 0);
    refuse_http(&s, API_GET, V1, "serviceName=s-none", E_INVALID,
                "service not found, namespace: public, serviceName: DEFAULT_GROUP@@s-none");
    story_end(&s);
}

/* golden http/sweep: each route has its own words. */
static void test_missing__each_route__has_its_words(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const struct {
        unsigned method;
        const char *path;
        const char *params;
        const char *text;
    } bad[] = {
        {API_GET, V1, "", "Parameter 'serviceName' is missing"},
        {API_POST, V1, "", "Parameter 'serviceName' is missing"},
        {API_DELETE, V1, "", "Parameter 'serviceName' is missing"},
        {API_PUT, V1, "", "Param 'serviceName' is required."},
        {API_PUT, V1, "serviceName=s", "Param 'protectThreshold' is required."},
        {API_GET, V1_LIST, "", "Param 'pageNo' is required."},
        {API_GET, V1_LIST, "pageNo=1", "Param 'pageSize' is required."},
        {API_POST, V2, "", "Required parameter 'serviceName' type String is not present"},
        {API_PUT, V2, "", "Required parameter 'serviceName' type String is not present"},
        {API_GET, V2, "",
         "Required request parameter 'serviceName' for method parameter type String is not "
         "present"},
        {API_DELETE, V2, "",
         "Required request parameter 'serviceName' for method parameter type String is not "
         "present"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        refuse_http(&s, bad[i].method, bad[i].path, bad[i].params, E_MISSING, bad[i].text);
    }
    story_end(&s);
}

static void test_put__bad_values__are_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    refuse_http(&s, API_POST, V1, "serviceName=a+b", E_PARAM,
                "Param 'serviceName' is illegal, illegal characters should not appear in the "
                "param.");
    /* DIFF(number-error) */
    refuse_http(&s, API_POST, V1, "serviceName=s-x&protectThreshold=x", E_INVALID,
                "For input string: \"x\"");
    refuse_http(&s, API_PUT, V1, "serviceName=s-none&protectThreshold=0.8", E_INVALID,
                "service DEFAULT_GROUP@@s-none not found!");
    refuse_http(&s, API_POST, V1, "serviceName=s-x&metadata=x", E_INVALID,
                "metadata format incorrect:x");
    story_end(&s);
}

#define LABEL                                                                                      \
    "%7B%22type%22%3A%22label%22%2C%22expression%22%3A%22CONSUMER.label.x%3DPROVIDER.label.x%22%"  \
    "7D"

static void test_selector__label__is_shown_with_its_labels(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, "serviceName=s-label&selector=" LABEL, "ok");
    expect_http(&s, API_GET, V1, "serviceName=s-label",
                DETAIL("s-label", "0.0", "",
                       "{\"type\":\"label\",\"expression\":\"CONSUMER.label.x=PROVIDER.label.x\","
                       "\"labels\":[\"x\"],\"contextType\":\"CMDB\"}",
                       ""));
    /* As the console sends it: encoded once more. */
    expect_http(
        &s, API_POST, V1,
        "serviceName=s-twice&selector=%257B%2522type%2522%253A%2522label%2522%252C%2522"
        "expression%2522%253A%2522CONSUMER.label.a%253DPROVIDER.label.a%2520%2526%2520CONSUMER."
        "label.b%253DPROVIDER.label.b%2522%257D",
        "ok");
    struct answer a = call_http(&s, API_GET, V2, "serviceName=s-twice");
    assert_non_null(strstr(a.text, "\"labels\":[\"a\",\"b\"],\"contextType\":\"CMDB\""));
    answer_free(&a);
    expect_http(
        &s, API_POST, V1,
        "serviceName=s-odd&selector=%7B%22type%22:%22label%22,%22expression%22:%22what%22%7D",
        "ok");
    a = call_http(&s, API_GET, V1, "serviceName=s-odd");
    assert_non_null(strstr(a.text, "\"expression\":\"what\",\"labels\":[]"));
    answer_free(&a);
    story_end(&s);
}

static void test_selector__none__is_no_selector(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, "serviceName=s-label2&selector=%7B%22type%22:%22none%22%7D",
                "ok");
    expect_http(&s, API_GET, V1, "serviceName=s-label2",
                DETAIL("s-label2", "0.0", "", NO_SELECTOR, ""));
    expect_http(&s, API_POST, V1, "serviceName=s-blank&selector=+", "ok");
    story_end(&s);
}

static void test_selector__unknown_or_broken__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const char *const bad[] = {"%7B%22type%22:%22what%22%7D",
                                      "%7B%22type%22:1%7D",
                                      "%7B%22type%22:null%7D",
                                      "%7B%7D",
                                      "%7B",
                                      "[]",
                                      "label",
                                      "%257B%2500%257D"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char params[128];
        snprintf(params, sizeof(params), "serviceName=s-label3&selector=%s", bad[i]);
        refuse_http(&s, API_POST, V1, params, E_INVALID, "not match any type of selector!");
        refuse_http(&s, API_POST, V2, params, E_INVALID, "not match any type of selector!");
        assert_int_equal(s.fail.v2, V2_SELECTOR_ERROR);
    }
    char *deep = mem_zalloc(4200, 1);
    size_t len = (size_t)snprintf(deep, 64, "serviceName=s&selector=%%7B%%22type%%22:");
    memset(deep + len, '[', 4000);
    refuse_http(&s, API_POST, V1, deep, E_INVALID, "not match any type of selector!");
    memset(deep + len, '[', 4120);
    refuse_http(&s, API_POST, V1, deep, E_TOO_LARGE, "selector: at most 4096 bytes");
    mem_free(deep);
    assert_null(story_service(&s, "s-label3"));
    story_end(&s);
}

static void test_names__pages__are_sorted_and_count_all(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const char *const names[] = {"s-2", "s-0", "s-1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char params[64];
        snprintf(params, sizeof(params), "serviceName=%s", names[i]);
        expect_http(&s, API_POST, V1, params, "ok");
    }
    static const struct {
        const char *params;
        const char *body;
    } v1[] = {
        {"pageNo=1&pageSize=10", "{\"count\":3,\"doms\":[\"s-0\",\"s-1\",\"s-2\"]}"},
        {"pageNo=2&pageSize=1", "{\"count\":3,\"doms\":[\"s-1\"]}"},
        {"pageNo=99&pageSize=10", "{\"count\":3,\"doms\":[]}"},
        {"pageNo=0&pageSize=0", "{\"count\":3,\"doms\":[]}"},
        {"pageNo=-1&pageSize=-1", "{\"count\":3,\"doms\":[]}"},
        {"pageNo=1&pageSize=2147483647", "{\"count\":3,\"doms\":[\"s-0\",\"s-1\",\"s-2\"]}"},
        {"pageNo=1&pageSize=10&groupName=G1", "{\"count\":0,\"doms\":[]}"},
        {"pageNo=1&pageSize=10&namespaceId=nope", "{\"count\":0,\"doms\":[]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(v1); i++) {
        expect_http(&s, API_GET, V1_LIST, v1[i].params, v1[i].body);
    }
#define V2_NAMES(names)                                                                            \
    "{\"code\":0,\"message\":\"success\",\"data\":{\"count\":3,\"services\":[" names "]}}"
    expect_http(&s, API_GET, V2_LIST, "", V2_NAMES("\"s-0\",\"s-1\",\"s-2\""));
    expect_http(&s, API_GET, V2_LIST, "pageNo=0&pageSize=2", V2_NAMES("\"s-0\",\"s-1\""));
    expect_http(&s, API_GET, V2_LIST, "pageNo=1&pageSize=2147483647",
                V2_NAMES("\"s-0\",\"s-1\",\"s-2\""));
    static const char *const bad[] = {"x", "1.5", "2147483648", "-99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char params[64];
        char text[64];
        snprintf(params, sizeof(params), "pageNo=%s&pageSize=1", bad[i]);
        snprintf(text, sizeof(text), "For input string: \"%s\"", bad[i]);
        refuse_http(&s, API_GET, V1_LIST, params, E_INVALID, text);
        refuse_http(&s, API_GET, V2_LIST, params, E_INVALID, text);
    }
    refuse_http(&s, API_GET, V1_LIST, "pageNo=1&pageSize=1&groupName=a+b", E_PARAM,
                "Param 'group' is illegal, illegal characters should not appear in the param.");
    story_end(&s);
}

static void test_clusters__many__are_each_named_once_within_a_bound(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    enum { COUNT = 1500 };
    struct instance_data *list = mem_zalloc(COUNT, sizeof(*list));
    char(*names)[16] = mem_zalloc(COUNT, sizeof(*names));
    for (int i = 0; i < COUNT; i++) {
        list[i] = story_instance("10.0.0.1", i);
        snprintf(names[i], sizeof(names[i]), "C%d", i / 2);
        list[i].cluster = span_str(names[i]);
    }
    assert_int_equal(story_register_batch(&s, conn, "many", list, COUNT), 0);
    struct service_seen seen = service_seen(s.naming, story_service(&s, "many"), s.now);
    const struct service_seen *service = &seen;
    struct span *found = NULL;
    assert_int_equal(http_cluster_names(service, SIZE_MAX, &found), COUNT / 2);
    assert_true(span_eq(found[1], SPAN("C1")));
    mem_free(found);
    assert_int_equal(http_cluster_names(service, 11, &found), 6);
    mem_free(found);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "C%d", i);
        list[i].cluster = span_str(names[i]);
    }
    assert_int_equal(story_register_batch(&s, conn, "many", list, COUNT), 0);
    seen = service_seen(s.naming, story_service(&s, "many"), s.now);
    assert_int_equal(http_cluster_names(service, SIZE_MAX, &found), HTTP_CLUSTERS_MAX);
    mem_free(found);
    mem_free(names);
    mem_free(list);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_change_remove__v1__as_nacos_does),
        cmocka_unit_test(test_create_change_remove__v2__as_nacos_does),
        cmocka_unit_test(test_get__unknown__is_refused_with_its_namespace),
        cmocka_unit_test(test_missing__each_route__has_its_words),
        cmocka_unit_test(test_put__bad_values__are_refused),
        cmocka_unit_test(test_selector__label__is_shown_with_its_labels),
        cmocka_unit_test(test_selector__none__is_no_selector),
        cmocka_unit_test(test_selector__unknown_or_broken__is_refused),
        cmocka_unit_test(test_names__pages__are_sorted_and_count_all),
        cmocka_unit_test(test_clusters__many__are_each_named_once_within_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
