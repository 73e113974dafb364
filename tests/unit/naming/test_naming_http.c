/* Registering, changing and beating over HTTP, against recordings of Nacos 2.5.1 (golden
 * http/naming-instance, naming-v2, beats). */
#include "naming/naming_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "naming_calls.h"

#define V1 "/v1/ns/instance"
#define V2 "/v2/ns/instance"
#define V1_LIST "/v1/ns/instance/list"
#define V1_BEAT "/v1/ns/instance/beat"
#define V2_BEAT "/v2/ns/instance/beat"
#define V2_OK "{\"code\":0,\"message\":\"success\",\"data\":\"ok\"}"
#define BEAT(interval, code)                                                                       \
    "{\"clientBeatInterval\":" interval ",\"code\":" code ",\"lightBeatEnabled\":true}"
#define ADDRESS "serviceName=i-svc&ip=10.11.0.1&port=80"
#define LABELS                                                                                     \
    "%%7B%%22type%%22:%%22label%%22,%%22expression%%22:%%22CONSUMER.label.x=PROVIDER.label.x%%22%" \
    "%7D"
#define GROUPED "serviceName=DEFAULT_GROUP@@i-svc&ip=10.11.0.1&port=80"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void test_register__one_way_or_another__is_listed(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS, "ok");
    expect_http(&s, API_POST, V1,
                "serviceName=i-svc&ip=10.11.0.2&port=81&weight=2.5&enabled=true&healthy=true&"
                "ephemeral=true&clusterName=C1&groupName=G1&metadata=%7B%22a%22%3A%221%22%7D&"
                "namespaceId=public",
                "ok");
    expect_http(&s, API_POST, V2, "serviceName=i-svc&ip=10.11.0.3&port=82", V2_OK);
    expect_http(&s, API_POST, V1, "serviceName=i-svc&ip=host.example&port=1", "ok");
    assert_int_equal(story_listed(&s, "i-svc"), 3);
    const struct instance *i = story_find(&s, "i-svc", "10.11.0.1", 80);
    assert_true(span_eq(i->instance_id, SPAN("10.11.0.1#80#DEFAULT#DEFAULT_GROUP@@i-svc")));
    /* Nacos gives no id to what comes over v2. */
    assert_true(span_empty(story_find(&s, "i-svc", "10.11.0.3", 82)->instance_id));
    struct service_name g1 = {SPAN("public"), SPAN("G1"), SPAN("i-svc")};
    const struct service *service = service_find(s.naming, &g1);
    assert_int_equal(service->shown_count, 1);
    assert_true(service->shown[0]->effective->weight == 2.5);
    story_end(&s);
}

static void test_register__again__replaces_its_own(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS, "ok");
    expect_http(&s, API_POST, V1, ADDRESS "&weight=3", "ok");
    assert_int_equal(story_listed(&s, "i-svc"), 1);
    assert_true(story_find(&s, "i-svc", "10.11.0.1", 80)->weight == 3.0);
    story_end(&s);
}

static void test_register__refused__has_the_texts_of_nacos(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const struct {
        const char *params;
        int err;
        int v2;
        const char *v1_text;
        const char *v2_text; /* NULL: the same */
    } bad[] = {
        {"ip=10.11.0.1&port=80", E_MISSING, V2_PARAMETER_MISSING,
         "Param 'serviceName' is required.",
         "Required parameter 'serviceName' type String is not present"},
        {"serviceName=i-svc&port=80", E_MISSING, V2_PARAMETER_MISSING, "Param 'ip' is required.",
         "Required parameter 'ip' type String is not present"},
        {"serviceName=i-svc&ip=1.1.1.1", E_MISSING, V2_PARAMETER_MISSING,
         "Param 'port' is required.", "Required parameter 'port' type Integer is not present"},
        {"serviceName=i-svc&ip=1.1.1.1&port=x", E_PARAM, 0,
         "Param 'port' is illegal, the value should be between 0 and 65535.", NULL},
        {"serviceName=i-svc&ip=10+11&port=1", E_PARAM, 0,
         "Param 'ip' is illegal, illegal characters should not appear in the param.", NULL},
        {ADDRESS "&weight=-1", E_INVALID, V2_WEIGHT_ERROR,
         "instance format invalid: The weights range from 0.0 to 10000.0", NULL},
        {ADDRESS "&weight=10001", E_INVALID, V2_WEIGHT_ERROR,
         "instance format invalid: The weights range from 0.0 to 10000.0", NULL},
        {ADDRESS "&weight=x", E_INVALID, 0, "For input string: \"x\"", NULL},
        {ADDRESS "&clusterName=a_b", E_INVALID, V2_INSTANCE_ERROR,
         "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)", NULL},
        {ADDRESS "&metadata=nonsense", E_INVALID, V2_INSTANCE_METADATA_ERROR,
         "metadata format incorrect:nonsense", NULL},
        {ADDRESS "&metadata=%7B%22preserved.heart.beat.interval%22%3A%229000%22%2C%22preserved."
                 "heart.beat.timeout%22%3A%223000%22%7D",
         E_INVALID, V2_INSTANCE_ERROR,
         "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete "
         "timeout'.",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        refuse_http(&s, API_POST, V1, bad[i].params, bad[i].err, bad[i].v1_text);
        refuse_http(&s, API_POST, V2, bad[i].params, bad[i].err,
                    bad[i].v2_text ? bad[i].v2_text : bad[i].v1_text);
        assert_int_equal(s.fail.v2, bad[i].v2);
    }
    assert_int_equal(s.proposed, 0);
    story_end(&s);
}

static void test_register__other_kind__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS, "ok");
    refuse_http(&s, API_POST, V1, ADDRESS "&ephemeral=false", E_INVALID,
                "errCode: 400, errMsg: Current service DEFAULT_GROUP@@i-svc is ephemeral service, "
                "can't register persistent instance. ");
    expect_http(&s, API_POST, V1, "serviceName=p-svc&ip=127.0.0.1&port=8848&ephemeral=false", "ok");
    refuse_http(&s, API_POST, V2, "serviceName=p-svc&ip=127.0.0.1&port=1", E_INVALID,
                "errCode: 400, errMsg: Current service DEFAULT_GROUP@@p-svc is persistent service, "
                "can't register ephemeral instance. ");
    assert_int_equal(s.fail.v2, 0);
    story_end(&s);
}

static void test_deregister__kind_must_match_and_unknown_is_ok(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS "&ephemeral=false", "ok");
    expect_http(&s, API_DELETE, V1, ADDRESS, "ok");
    assert_int_equal(story_listed(&s, "i-svc"), 1);
    expect_http(&s, API_DELETE, V1, ADDRESS "&ephemeral=false", "ok");
    assert_int_equal(story_listed(&s, "i-svc"), 0);
    expect_http(&s, API_DELETE, V2, ADDRESS, V2_OK);
    expect_http(&s, API_DELETE, V1, "serviceName=i-none&ip=10.11.0.1&port=80", "ok");
    refuse_http(&s, API_DELETE, V1, "serviceName=i-svc", E_MISSING, "Param 'ip' is required.");
    refuse_http(&s, API_DELETE, V2, "serviceName=v2-svc", E_MISSING,
                "Required parameter 'ip' type String is not present");
    story_end(&s);
}

/* Weight, enabled and metadata of PUT stand over the registered ones, and what PUT leaves out is
 * the default: golden "update weight", "update disabled". */
static void test_put__replaces_what_was_set_before(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS "&metadata=a=1", "ok");
    expect_http(&s, API_PUT, V1, ADDRESS "&weight=7&metadata=%7B%22x%22%3A%22y%22%7D", "ok");
    const struct instance *i = story_find(&s, "i-svc", "10.11.0.1", 80);
    assert_true(i->weight == 7.0);
    assert_int_equal(i->metadata_count, 2);
    expect_http(&s, API_PUT, V2, ADDRESS "&enabled=false", V2_OK);
    i = story_find(&s, "i-svc", "10.11.0.1", 80);
    assert_true(i->weight == 1.0);
    assert_false(i->enabled);
    assert_int_equal(i->metadata_count, 1);
    /* It survives another registration: this is how an operator takes an instance out. */
    expect_http(&s, API_POST, V1, ADDRESS, "ok");
    assert_false(story_find(&s, "i-svc", "10.11.0.1", 80)->enabled);
    expect_http(&s, API_PUT, V1, "serviceName=i-svc&ip=10.11.0.99&port=80&weight=3", "ok");
    story_end(&s);
}

static void test_put__unknown_service__is_refused_with_its_description(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const char *text = "service not found, namespace: public, service: Service{namespace='public', "
                       "group='DEFAULT_GROUP', name='i-none', ephemeral=true, revision=0}";
    refuse_http(&s, API_PUT, V1, "serviceName=i-none&ip=10.11.0.1&port=80", E_INVALID, text);
    refuse_http(&s, API_PUT, V2, "serviceName=i-none&ip=10.11.0.1&port=80", E_INVALID, text);
    assert_int_equal(s.fail.v2, V2_INSTANCE_ERROR);
    refuse_http(&s, API_PUT, V1, ADDRESS "&weight=-1", E_INVALID,
                "instance format invalid: The weights range from 0.0 to 10000.0");
    story_end(&s);
}

static void test_patch__changes_what_is_given_only(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS "&weight=2&metadata=a=1", "ok");
    expect_http(&s, API_PATCH, V1, ADDRESS "&enabled=false", "ok");
    const struct instance *i = story_find(&s, "i-svc", "10.11.0.1", 80);
    assert_false(i->enabled);
    assert_true(i->weight == 2.0);
    /* v2 answers plain text here, and only here. */
    expect_http(&s, API_PATCH, V2, GROUPED "&weight=9&enabled=+&metadata=p=q", "ok");
    i = story_find(&s, "i-svc", "10.11.0.1", 80);
    assert_false(i->enabled);
    assert_true(i->weight == 9.0);
    assert_int_equal(i->metadata_count, 2);
    expect_http(&s, API_PATCH, V2, GROUPED "&weight=+&enable=true&metadata=", "ok");
    i = story_find(&s, "i-svc", "10.11.0.1", 80);
    assert_true(i->enabled);
    assert_true(i->weight == 9.0);
    assert_int_equal(i->metadata_count, 2);
    story_end(&s);
}

static void test_patch__unknown__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    refuse_http(&s, API_PATCH, V1, ADDRESS, E_NOT_FOUND,
                "no ips found for cluster DEFAULT in service DEFAULT_GROUP@@i-svc");
    expect_http(&s, API_POST, V1, ADDRESS, "ok");
    refuse_http(&s, API_PATCH, V1, "serviceName=i-svc&ip=10.11.0.99&port=80&weight=9", E_NOT_FOUND,
                "no matched ip found!");
    assert_int_equal(s.fail.v2, V2_RESOURCE_NOT_FOUND);
    refuse_http(&s, API_PATCH, V2, "", E_MISSING,
                "Required request parameter 'serviceName' for method parameter type String is not "
                "present");
    story_end(&s);
}

/* golden http/naming-v2: these two want the name as 1.x clients send it. */
static void test_v2_patch_and_beat__without_a_group__are_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    const char *text =
        "Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'";
    refuse_http(&s, API_PATCH, V2, ADDRESS "&weight=4&enabled=true&metadata=", E_INVALID, text);
    assert_int_equal(s.fail.v2, V2_PARAMETER_VALIDATE_ERROR);
    refuse_http(&s, API_PUT, V2_BEAT, ADDRESS, E_INVALID, text);
    refuse_http(&s, API_PUT, V2_BEAT, ADDRESS "&groupName=DEFAULT_GROUP", E_INVALID, text);
    assert_int_equal(s.fail.v2, V2_PARAMETER_VALIDATE_ERROR);
    story_end(&s);
}

/* ---------------------------------------------------------------- beats */

#define FULL(ip)                                                                                   \
    "&beat=%7B%22cluster%22%3A%22DEFAULT%22%2C%22ip%22%3A%22" ip                                   \
    "%22%2C%22metadata%22%3A%7B%7D%2C%22period%22%3A5000%2C%22port%22%3A80%2C%22scheduled%22%3A"   \
    "false%2C%22serviceName%22%3A%22DEFAULT_GROUP%40%40beat-svc%22%2C%22stopped%22%3Afalse%2C%22"  \
    "weight%22%3A1.0%7D"

static void test_beat__full_and_light__are_answered_as_nacos_does(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1,
                "serviceName=DEFAULT_GROUP@@beat-svc&namespaceId=public&groupName=DEFAULT_GROUP&"
                "clusterName=DEFAULT&ip=10.12.0.1&port=80&weight=1.0&enable=true&healthy=true&"
                "ephemeral=true&metadata=%7B%7D&app=unknown",
                "ok");
    const char *light = "serviceName=DEFAULT_GROUP@@beat-svc&namespaceId=public&clusterName=DEFAULT"
                        "&ip=10.12.0.1&port=80";
    expect_http(&s, API_PUT, V1_BEAT, light, BEAT("5000", "10200"));
    expect_http(&s, API_PUT, V2_BEAT, light, BEAT("5000", "10200"));
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=beat-svc" FULL("10.12.0.1"),
                BEAT("5000", "10200"));
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=beat-svc&ip=10.12.0.9&port=80",
                BEAT("5000", "20404"));
    /* No address is nobody's address. */
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=beat-svc", BEAT("5000", "20404"));
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=beat-svc&ip=10.12.0.1", BEAT("5000", "20404"));
    refuse_http(&s, API_PUT, V1_BEAT, "", E_MISSING, "Param 'serviceName' is required.");
    refuse_http(&s, API_PUT, V2_BEAT, "", E_MISSING,
                "Required request parameter 'serviceName' for method parameter type String is not "
                "present");
    story_end(&s);
}

static void test_beat__full_of_an_unknown_instance__registers_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=DEFAULT_GROUP@@beat-svc" FULL("10.12.0.2"),
                BEAT("5000", "10200"));
    assert_int_equal(story_listed(&s, "beat-svc"), 1);
    const struct instance *i = story_find(&s, "beat-svc", "10.12.0.2", 80);
    assert_true(span_eq(i->instance_id, SPAN("10.12.0.2#80#DEFAULT#DEFAULT_GROUP@@beat-svc")));
    assert_true(i->healthy && i->ephemeral);
    /* Above the form's own ip and port stand those of the beat. */
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=beat-svc&ip=9.9.9.9&port=9" FULL("10.12.0.3"),
                BEAT("5000", "10200"));
    assert_non_null(story_find(&s, "beat-svc", "10.12.0.3", 80));
    story_end(&s);
}

static void test_beat__own_interval__is_told(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1,
                "serviceName=beat3-svc&ip=10.12.0.3&port=80&metadata=preserved.heart.beat.interval="
                "3000,preserved.heart.beat.timeout=6000,preserved.ip.delete.timeout=9000",
                "ok");
    expect_http(&s, API_PUT, V1_BEAT, "serviceName=beat3-svc&ip=10.12.0.3&port=80",
                BEAT("3000", "10200"));
    story_end(&s);
}

static void test_beat__bad_json__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    static const struct {
        const char *beat;
        int err;
        const char *text;
    } bad[] = {
        {"%7Bnope", E_PARSE, "malformed JSON at byte 5: a bracket is not closed"},
        {"[]", E_PARSE, "malformed JSON: expected an object"},
        {"%7B%7D", E_MISSING, "Param 'ip' is required."},
        {"%7B%22ip%22:null%7D", E_MISSING, "Param 'ip' is required."},
        {"%7B%22ip%22:[]%7D", E_PARSE, "field 'ip': expected a string, got an array"},
        {"%7B%22ip%22:%22a+b%22%7D", E_PARAM,
         "Param 'ip' is illegal, illegal characters should not appear in the param."},
        {"%7B%22ip%22:%221.1.1.1%22,%22port%22:70000%7D", E_PARAM,
         "Param 'port' is illegal, the value should be between 0 and 65535."},
        {"%7B%22ip%22:%221.1.1.1%22,%22port%22:%22x%22%7D", E_PARSE,
         "field 'port': expected a whole number, got \"x\""},
        {"%7B%22ip%22:%221.1.1.1%22,%22cluster%22:%22a+b%22%7D", E_PARAM,
         "Param 'cluster' is illegal, illegal characters should not appear in the param."},
        {"%7B%22ip%22:%221.1.1.1%22,%22weight%22:-1%7D", E_INVALID,
         "instance format invalid: The weights range from 0.0 to 10000.0"},
        {"%7B%22ip%22:%221.1.1.1%22,%22weight%22:1e999%7D", E_PARSE,
         "field 'weight': expected a finite number, got inf"},
        {"%7B%22ip%22:%221.1.1.1%22,%22metadata%22:[]%7D", E_PARSE,
         "expected an object of strings, got an array"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char params[256];
        snprintf(params, sizeof(params), "serviceName=beat-svc&beat=%s", bad[i].beat);
        refuse_http(&s, API_PUT, V1_BEAT, params, bad[i].err, bad[i].text);
    }
    char *deep = mem_zalloc(100100, 1);
    size_t len = (size_t)snprintf(deep, 64, "serviceName=beat-svc&beat=%%7B%%22a%%22:");
    memset(deep + len, '[', 100000);
    refuse_http(&s, API_PUT, V1_BEAT, deep, E_PARSE, "JSON nested deeper than 32 levels");
    mem_free(deep);
    assert_null(story_service(&s, "beat-svc"));
    story_end(&s);
}

/* ---------------------------------------------------------------- the table */

static void test_routes__each__can_be_called_and_says_who_may(void **state)
{
    (void)state;
    size_t count = 0;
    const struct api_row *rows = naming_http_rows(&count);
    assert_true(count > 30);
    for (size_t i = 0; i < count; i++) {
        const struct api_row *row = &rows[i];
        assert_true(row->name[0] == '/');
        assert_non_null(row->decode_http);
        assert_non_null(row->admit);
        bool writes = (row->methods & API_GET) == 0;
        assert_int_equal(row->permission, writes ? API_NAMING_WRITE : API_NAMING_READ);
        bool v2 = strncmp(row->name, "/v2/", 4) == 0;
        assert_int_equal(row->shape, v2 ? API_SHAPE_V2 : API_SHAPE_NAMING1);
        for (size_t n = 0; n < i; n++) {
            assert_true(strcmp(rows[n].name, row->name) != 0 ||
                        (rows[n].methods & row->methods) == 0);
        }
    }
}

/* Nothing given: a refusal that names a parameter, or an answer; never a crash. */
static void test_routes__without_parameters__answer_or_name_what_is_missing(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    size_t count = 0;
    const struct api_row *rows = naming_http_rows(&count);
    for (size_t i = 0; i < count; i++) {
        struct answer a = call_http(&s, rows[i].methods, rows[i].name, "");
        assert_true(a.err == 0 || a.err == E_MISSING);
        assert_true(a.err == 0 || strstr(a.text, "'serviceName'") || strstr(a.text, "'clientId'") ||
                    strstr(a.text, "'pageNo'"));
        answer_free(&a);
    }
    story_end(&s);
}

/* A form of 64 MB of bad UTF-8 fills a request's arena; the route that reads it must not die of it.
 */
static void test_routes__arena_filled_to_the_brim__answer_or_refuse(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    expect_http(&s, API_POST, V1, ADDRESS "&metadata=a=1", "ok");
    char *metadata = mem_zalloc(8192, 1);
    size_t len = (size_t)snprintf(metadata, 256,
                                  GROUPED "&clientId=10.11.0.1:80%%23true&pageNo=1&pageSize=9&"
                                          "protectThreshold=1&selector=" LABELS "&metadata=k=v");
    for (int i = 0; i < 500; i++) {
        len += (size_t)snprintf(metadata + len, 16, ",%d=v", i);
    }
    size_t count = 0;
    const struct api_row *rows = naming_http_rows(&count);
    for (size_t i = 0; i < count; i++) {
        struct answer a = call_http_full(&s, rows[i].methods, rows[i].name, metadata);
        assert_true(a.err <= 0);
        answer_free(&a);
        a = call_http_full(&s, rows[i].methods, rows[i].name,
                           GROUPED "&beat=%7B%22ip%22:%221.1.1.1%22,%22metadata%22:%7B%22a%22:%22b"
                                   "%22%7D%7D&clientId=10.11.0.1:80%23true&pageNo=1&pageSize=1&"
                                   "protectThreshold=1");
        assert_true(a.err <= 0);
        answer_free(&a);
    }
    mem_free(metadata);
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register__one_way_or_another__is_listed),
        cmocka_unit_test(test_register__again__replaces_its_own),
        cmocka_unit_test(test_register__refused__has_the_texts_of_nacos),
        cmocka_unit_test(test_register__other_kind__is_refused),
        cmocka_unit_test(test_deregister__kind_must_match_and_unknown_is_ok),
        cmocka_unit_test(test_put__replaces_what_was_set_before),
        cmocka_unit_test(test_put__unknown_service__is_refused_with_its_description),
        cmocka_unit_test(test_patch__changes_what_is_given_only),
        cmocka_unit_test(test_patch__unknown__is_refused),
        cmocka_unit_test(test_v2_patch_and_beat__without_a_group__are_refused),
        cmocka_unit_test(test_beat__full_and_light__are_answered_as_nacos_does),
        cmocka_unit_test(test_beat__full_of_an_unknown_instance__registers_it),
        cmocka_unit_test(test_beat__own_interval__is_told),
        cmocka_unit_test(test_beat__bad_json__is_refused),
        cmocka_unit_test(test_routes__each__can_be_called_and_says_who_may),
        cmocka_unit_test(test_routes__arena_filled_to_the_brim__answer_or_refuse),
        cmocka_unit_test(test_routes__without_parameters__answer_or_name_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
