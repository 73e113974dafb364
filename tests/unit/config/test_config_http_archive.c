/* Export, import and clone over HTTP (golden http/config-batch.jsonl). */
#include "config/config_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/archive.h"
#include "config/import.h"
#include "config_calls.h"
#include "zip_maker.h"

#define CONFIGS "/v1/cs/configs"
#define JSON "application/json;charset=UTF-8"
#define TEXT "text/plain;charset=UTF-8"
#define ZIP "application/octet-stream;charset=UTF-8"

struct bed {
    struct cstory story; /* first */
    struct zip_maker *zip;
    struct arena arena;
    struct archive archive; /* of the last export */
};

static bool exists(void *self, struct span id)
{
    (void)self;
    return span_eq(id, SPAN("clone-ns"));
}

static int set_up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    struct config_options options = cstory_options();
    options.namespace_exists = exists;
    cstory_begin(&b->story, &options);
    b->zip = zip_maker_create();
    arena_init(&b->arena, API_ARENA_MAX);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bed *b = *state;
    cstory_end(&b->story);
    arena_close(&b->arena);
    zip_maker_destroy(b->zip);
    free(b);
    return 0;
}

static void publish(struct bed *b, const char *params)
{
    struct http_request r = {.method = API_POST, .path = CONFIGS, .params = params};
    http_expect(&b->story, &r, 200, JSON, "true");
}

static void publish_five(struct bed *b)
{
    publish(b, "dataId=s-1.yaml&group=SG&content=v: 1&type=yaml&appName=sapp");
    publish(b, "dataId=s-2.yaml&group=SG&content=v: 2&type=yaml");
    publish(b, "dataId=s-3.yaml&group=SG&content=v: 3&type=yaml&appName=sapp&desc=third");
    publish(b, "dataId=other&group=OG&content=x&appName=oapp");
    publish(b, "dataId=s-1.yaml&group=SG&content=in ns&tenant=clone-ns");
}

static void check_text(struct span got, const char *text)
{
    if (!span_eq(got, span_str(text))) {
        fail_msg("expected '%s'\ngot      '%.*s'", text, SPAN_ARG(got));
    }
}

/* Export; what was in it is in b->archive, by our own reader. */
static struct http_answer export(struct bed *b, const char *params)
{
    struct http_request r = {.method = API_GET, .path = CONFIGS, .params = params};
    struct http_answer a = http_play(&b->story, &r);
    struct fail fail = {0};
    b->archive = (struct archive){0};
    if (a.status == 200) {
        int err = archive_read(span_of(a.text, a.len), &b->arena, &b->archive, &fail);
        if (err && !strstr(fail.text, "names no config")) {
            fail_msg("%s", fail.text);
        }
    }
    return a;
}

static void export_ok(struct bed *b, const char *params, size_t count)
{
    struct http_answer a = export(b, params);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.content_type, ZIP);
    assert_string_equal(http_answer_header(&a, "Content-Disposition"),
                        "attachment;filename=nacos_config_export_20231114221320.zip");
    assert_int_equal(b->archive.count, count);
    http_answer_close(&a);
}

static void refuse_get(struct bed *b, const char *params, int status, const char *type,
                       const char *text)
{
    struct http_request r = {.method = API_GET, .path = CONFIGS, .params = params};
    http_expect(&b->story, &r, status, type, text);
}

static void import(struct bed *b, const char *params, struct span zip, const char *body)
{
    struct http_request r = {.method = API_POST, .path = CONFIGS, .params = params, .file = zip};
    http_expect(&b->story, &r, 200, JSON, body);
}

static void import_refused(struct bed *b, const char *params, struct span zip, int status,
                           const char *type, const char *body)
{
    struct http_request r = {.method = API_POST, .path = CONFIGS, .params = params, .file = zip};
    http_expect(&b->story, &r, status, type, body);
}

static void clone_ids(struct bed *b, const char *params, const char *json, int status,
                      const char *type, const char *body)
{
    struct http_request r = {
        .method = API_POST, .path = CONFIGS, .params = params, .body = span_str(json)};
    http_expect(&b->story, &r, status, type, body);
}

static void read_config(struct bed *b, const char *params, const char *content)
{
    struct http_request r = {.method = API_GET, .path = CONFIGS, .params = params};
    struct http_answer a = http_play(&b->story, &r);
    assert_string_equal(a.text, content);
    http_answer_close(&a);
}

/* ------------------------------------------------------------------ export */

static void test_export__group__has_applications_in_meta_yml(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    export_ok(b, "export=true&ids=&group=SG", 3);
    assert_int_equal(b->archive.layout, ARCHIVE_OLD);
    check_text(b->archive.items[0].data_id, "s-1.yaml");
    check_text(b->archive.items[0].content, "v: 1");
    check_text(b->archive.items[0].app_name, "sapp");
    assert_null(b->archive.items[1].app_name.data);
    check_text(b->archive.items[2].app_name, "sapp");
}

static void test_export_v2__group__has_metadata(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    export_ok(b, "exportV2=true&ids=&group=SG", 3);
    assert_int_equal(b->archive.layout, ARCHIVE_V2);
    check_text(b->archive.items[0].app_name, "sapp");
    check_text(b->archive.items[0].type, "yaml");
    assert_null(b->archive.items[0].desc.data);
    check_text(b->archive.items[1].app_name, "");
    check_text(b->archive.items[2].desc, "third");
}

static void test_export__filters__narrow(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    export_ok(b, "export=true", 4); /* ids may be absent */
    export_ok(b, "exportV2=true&dataId=s-&group=&appName=", 3);
    export_ok(b, "exportV2=true&appName=oapp", 1);
    export_ok(b, "exportV2=true&tenant=clone-ns", 1);
    check_text(b->archive.items[0].content, "in ns");
    export_ok(b, "exportV2=true&group=NOSUCH", 0);
    export_ok(b, "export=true&group=NOSUCH", 0);
}

static void test_export__ids__of_the_namespace_only(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    export_ok(b, "export=true&ids=1,3&dataId=&group=&appName=&tenant=", 2);
    check_text(b->archive.items[1].data_id, "s-3.yaml");
    export_ok(b, "export=true&ids=5", 0);
    export_ok(b, "export=true&ids=5&tenant=clone-ns", 1);
    export_ok(b, "export=true&ids=, 2 ,-7,999", 1);
}

static void test_export__ids_that_are_no_numbers__are_refused(void **state)
{
    struct bed *b = *state;
    refuse_get(b, "export=true&ids=1,abc", 400, TEXT,
               "caused: Failed to convert value of type 'java.lang.String' to required type "
               "'java.util.List'; nested exception is java.lang.NumberFormatException: For input "
               "string: \"abc\";caused: For input string: \"abc\";");
}

static void test_export__illegal_tenant__is_refused(void **state)
{
    struct bed *b = *state;
    refuse_get(b, "export=true&tenant=a/b", 400, JSON,
               "Param 'namespaceId/tenant' is illegal, illegal characters should not appear in "
               "the param.\r\n");
}

static void test_export__name_that_leads_elsewhere__is_refused(void **state)
{
    struct bed *b = *state;
    publish(b, "dataId=x&group=..&content=x");
    refuse_get(b, "export=true", 400, TEXT,
               "caused: '../x' is no name for an entry of an archive;");
}

/* ------------------------------------------------------------------ import */

#define DONE(n)                                                                                    \
    "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":" #n ",\"skipCount\":0}" \
    "}"

static void test_import__our_export__comes_back_elsewhere(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    struct http_request r = {
        .method = API_GET, .path = CONFIGS, .params = "exportV2=true&ids=&group=SG"};
    struct http_answer a = http_play(&b->story, &r);
    struct span zip = span_of(a.text, a.len);
    import(b, "import=true&namespace=clone-ns&policy=OVERWRITE&src_user=joe", zip, DONE(3));
    read_config(b, "dataId=s-1.yaml&group=SG&tenant=clone-ns", "v: 1");
    read_config(b, "dataId=s-3.yaml&group=SG&tenant=clone-ns", "v: 3");
    http_answer_close(&a);
    export_ok(b, "exportV2=true&tenant=clone-ns", 3);
    check_text(b->archive.items[2].desc, "third");
    static const struct db_stmt who = {
        .name = "test_import_who",
        .sql_sqlite = "SELECT count(*) FROM config_info WHERE tenant_id = 'clone-ns' AND "
                      "src_user = 'joe' AND src_ip = '10.0.0.9'"};
    assert_int_equal(cstory_number(&b->story, &who), 3);
}

static void test_import__policies__work(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "new");
    zip_stored(b->zip, "G/b", "new");
    struct span zip = zip_end(b->zip);
    publish(b, "dataId=a&group=G&content=old");
    import(b, "import=true&namespace=", zip,
           "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":0,\"skipCount\":1,"
           "\"failData\":[{\"dataId\":\"a\",\"group\":\"G\"}],"
           "\"skipData\":[{\"dataId\":\"b\",\"group\":\"G\"}]}}");
    import(b, "import=true&namespace=public&policy=SKIP", zip,
           "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":1,\"skipCount\":1,"
           "\"skipData\":[{\"dataId\":\"a\",\"group\":\"G\"}]}}");
    read_config(b, "dataId=a&group=G", "old");
    import(b, "import=true&policy=OVERWRITE", zip, DONE(2));
    read_config(b, "dataId=a&group=G", "new");
}

static void test_import__old_layout_without_metadata__counts_what_it_does_not_know(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "NG/new-1.properties", "a=1");
    zip_stored(b->zip, "NG/new-2.json", "{}");
    zip_stored(b->zip, "one-level", "x");
    zip_stored(b->zip, "a/b/c", "x");
    import(b, "import=true&namespace=", zip_end(b->zip),
           "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":2,"
           "\"unrecognizedCount\":2,\"skipCount\":0,\"unrecognizedData\":[{\"itemName\":\"one-"
           "level\"},{\"itemName\":\"a/b/c\"}]}}");
    export_ok(b, "exportV2=true", 2);
    check_text(b->archive.items[0].type, "properties");
    check_text(b->archive.items[1].type, "json");
}

static void test_import__old_layout__takes_applications(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "NG/new-3.properties", "a=1");
    zip_stored(b->zip, ".meta.yml", "NG.new-3~properties.app=metaapp\r\n");
    import(b, "import=true&namespace=", zip_end(b->zip), DONE(1));
    export_ok(b, "exportV2=true", 1);
    check_text(b->archive.items[0].app_name, "metaapp");
}

static void test_import__v2_with_one_entry_missing__says_which(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "NG/new-5.yaml", "a: 1");
    zip_stored(b->zip, ".metadata.yml",
               "metadata:\n- appName: ''\n  dataId: new-5.yaml\n  desc: d\n  group: NG\n  type: "
               "yaml\n- dataId: not-there\n  group: NG\n  type: text\n");
    import(b, "import=true&namespace=", zip_end(b->zip),
           "{\"code\":200,\"message\":\"import success\",\"data\":{\"succCount\":1,"
           "\"unrecognizedCount\":1,\"skipCount\":0,\"unrecognizedData\":[{\"itemName\":"
           "\"未在文件中找到: NG/not-there\"}]}}");
}

#define EMPTY "{\"code\":100005,\"message\":\"导入的文件数据为空\",\"data\":{\"succCount\":0}}"
#define NO_NAMESPACE                                                                               \
    "{\"code\":100001,\"message\":\"目标 namespace 不存在\",\"data\":{\"succCount\":0}}"

static void test_import__nothing_in_it__is_100005(void **state)
{
    struct bed *b = *state;
    import(b, "import=true&namespace=", zip_end(b->zip), EMPTY);
    import(b, "import=true&namespace=", SPAN("the text hello"), EMPTY);
    import(b, "import=true&namespace=", SPAN(""), EMPTY);
    import(b, "import=true&namespace=", (struct span){0},
           "{\"code\":100005,\"message\":\"导入的文件数据为空\",\"data\":{}}");
}

static void test_import__file_of_another_name__is_none(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "new");
    struct http_request r = {.method = API_POST,
                             .path = CONFIGS,
                             .params = "import=true&namespace=",
                             .file = zip_end(b->zip),
                             .file_field = "other"};
    http_expect(&b->story, &r, 200, JSON,
                "{\"code\":100005,\"message\":\"导入的文件数据为空\",\"data\":{}}");
    r.file_field = "file";
    http_expect(&b->story, &r, 200, JSON, DONE(1));
}

static void test_import__unknown_namespace__is_100001(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "new");
    import(b, "import=true&namespace=no-such-ns", zip_end(b->zip), NO_NAMESPACE);
    import(b, "import=true&namespace=no-such-ns", SPAN("no zip"), NO_NAMESPACE);
}

static void test_import__bad_metadata__is_100002_with_its_reason(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "NG/new-4.properties", "a=1");
    zip_stored(b->zip, ".meta.yml", "garbage line\r\n");
    import(b, "import=true&namespace=", zip_end(b->zip),
           "{\"code\":100002,\"message\":\"导入的元数据非法\",\"data\":{\"succCount\":0,"
           "\"reason\":\".meta.yml line 1: expected key=value\"}}");
}

static void test_import__damaged_zip__is_100004_with_its_reason(void **state)
{
    struct bed *b = *state;
    (void)zip_part(b->zip, &(struct zip_part){
                               .name = SPAN("G/a"), .data = SPAN("0123456789abcdef"), .flags = 1});
    import(b, "import=true&namespace=", zip_end(b->zip),
           "{\"code\":100004,\"message\":\"解析数据失败\",\"data\":{\"succCount\":0,"
           "\"reason\":\"entry 'G/a' is encrypted\"}}");
}

static void test_import__one_illegal_config__refuses_all(void **state)
{
    struct bed *b = *state;
    zip_stored(b->zip, "G/a", "good");
    zip_stored(b->zip, "G/b c", "bad name");
    import_refused(b, "import=true", zip_end(b->zip), 400, JSON,
                   "G/b c: Param 'dataId' is illegal, illegal characters should not appear in the "
                   "param.\r\n");
    b->zip->len = b->zip->directory_len = b->zip->count = 0;
    zip_stored(b->zip, "G/a", "good");
    zip_stored(b->zip, "G/b", " ");
    import_refused(b, "import=true", zip_end(b->zip), 400, TEXT,
                   "caused: G/b: content is blank :  ;");
    b->zip->len = b->zip->directory_len = b->zip->count = 0;
    zip_stored(b->zip, "G/a", "\377");
    import_refused(b, "import=true", zip_end(b->zip), 400, TEXT,
                   "caused: G/a: invalid content, it is not UTF-8;");
    assert_null(cstory_item(&b->story, "a"));
}

static void test_import__wrong_parameters__are_refused(void **state)
{
    struct bed *b = *state;
    struct span zip = zip_end(b->zip);
    import_refused(b, "import=true&policy=WHAT", zip, 400, TEXT,
                   "caused: policy: expected ABORT, SKIP or OVERWRITE, got 'WHAT';");
    import_refused(b, "import=true&namespace=a/b", zip, 400, JSON,
                   "Param 'namespaceId/tenant' is illegal, illegal characters should not appear "
                   "in the param.\r\n");
}

/* ------------------------------------------------------------------ clone */

#define CLONED(n)                                                                                  \
    "{\"code\":200,\"message\":\"Clone Completed Successfully\",\"data\":{\"succCount\":" #n       \
    ",\"skipCount\":0}}"

static void test_clone__ids_as_texts_or_numbers__are_cloned(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    clone_ids(b, "clone=true&tenant=clone-ns&policy=ABORT&src_user=joe",
              "[{\"cfgId\":\"1\",\"dataId\":\"cloned-1\",\"group\":\"CG\"},{\"cfgId\":2},null]",
              200, JSON, CLONED(2));
    read_config(b, "dataId=cloned-1&group=CG&tenant=clone-ns", "v: 1");
    read_config(b, "dataId=s-2.yaml&group=SG&tenant=clone-ns", "v: 2");
    clone_ids(
        b, "clone=true&tenant=clone-ns&policy=SKIP", "[{\"cfgId\":2}]", 200, JSON,
        "{\"code\":200,\"message\":\"Clone Completed Successfully\",\"data\":{\"succCount\":0,"
        "\"skipCount\":1,\"skipData\":[{\"dataId\":\"s-2.yaml\",\"group\":\"SG\"}]}}");
    clone_ids(b, "clone=true&tenant=clone-ns&policy=OVERWRITE", "[{\"cfgId\":2},{\"cfgId\":2}]",
              200, JSON, CLONED(1));
}

static void test_clone__codes(void **state)
{
    struct bed *b = *state;
    publish_five(b);
    static const char nothing[] =
        "{\"code\":100006,\"message\":\"没有选择任何配置\",\"data\":{\"succCount\":0}}";
    clone_ids(b, "clone=true&tenant=clone-ns", "[]", 200, JSON, nothing);
    clone_ids(b, "clone=true&tenant=clone-ns", "[null,{\"dataId\":\"x\"}]", 200, JSON, nothing);
    clone_ids(b, "clone=true&tenant=clone-ns", "[{\"cfgId\":\"99999999\",\"dataId\":\"a\"}]", 200,
              JSON, EMPTY);
    clone_ids(b, "clone=true&tenant=nope-ns", "[{\"cfgId\":\"1\"}]", 200, JSON, NO_NAMESPACE);
}

static void test_clone__wrong_bodies__are_refused(void **state)
{
    struct bed *b = *state;
    static const char *const bad[][2] = {
        {"{nope", "caused: JSON parse error: "},
        {"{}", "caused: JSON parse error: expected a list of "},
        {"", "caused: Required request body is missing: "},
        {"[1]", "caused: element 1 of the body: expected "},
        {"[{\"cfgId\":1},{\"cfgId\":\"x\"}]", "caused: element 2 of the body: "},
        {"[{\"cfgId\":-1}]", "caused: element 1 of the body: "},
        {"[{\"cfgId\":1,\"dataId\":[]}]", "caused: element 1 of the body: "},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct http_request r = {.method = API_POST,
                                 .path = CONFIGS,
                                 .params = "clone=true&tenant=clone-ns",
                                 .body = span_str(bad[i][0])};
        struct http_answer a = http_play(&b->story, &r);
        assert_int_equal(a.status, 500);
        if (strncmp(a.text, bad[i][1], strlen(bad[i][1])) != 0) {
            fail_msg("%s: %s", bad[i][0], a.text);
        }
        http_answer_close(&a);
    }
}

static void test_clone__wrong_parameters__are_refused(void **state)
{
    struct bed *b = *state;
    clone_ids(
        b, "clone=true", "[]", 500, TEXT,
        "caused: Required request parameter &#39;tenant&#39; for method parameter type String is "
        "not present;");
    clone_ids(b, "clone=true&tenant=x&policy=abort", "[]", 400, TEXT,
              "caused: policy: expected ABORT, SKIP or OVERWRITE, got 'abort';");
}

static void test_clone__too_many__are_refused(void **state)
{
    struct bed *b = *state;
    size_t size = 2 * (CONFIG_IMPORT_MAX + 1) + 2;
    char *json = calloc(1, size + 1);
    assert_non_null(json);
    json[0] = '[';
    for (size_t i = 0; i <= CONFIG_IMPORT_MAX; i++) {
        memcpy(json + 1 + 2 * i, "1,", 2);
    }
    json[size - 2] = ']';
    clone_ids(b, "clone=true&tenant=clone-ns", json, 413, TEXT,
              "caused: at most 10000 configs in one request, got 10001;");
    free(json);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_export__group__has_applications_in_meta_yml),
        TEST(test_export_v2__group__has_metadata),
        TEST(test_export__filters__narrow),
        TEST(test_export__ids__of_the_namespace_only),
        TEST(test_export__ids_that_are_no_numbers__are_refused),
        TEST(test_export__illegal_tenant__is_refused),
        TEST(test_export__name_that_leads_elsewhere__is_refused),
        TEST(test_import__our_export__comes_back_elsewhere),
        TEST(test_import__policies__work),
        TEST(test_import__old_layout_without_metadata__counts_what_it_does_not_know),
        TEST(test_import__old_layout__takes_applications),
        TEST(test_import__v2_with_one_entry_missing__says_which),
        TEST(test_import__nothing_in_it__is_100005),
        TEST(test_import__file_of_another_name__is_none),
        TEST(test_import__unknown_namespace__is_100001),
        TEST(test_import__bad_metadata__is_100002_with_its_reason),
        TEST(test_import__damaged_zip__is_100004_with_its_reason),
        TEST(test_import__one_illegal_config__refuses_all),
        TEST(test_import__wrong_parameters__are_refused),
        TEST(test_clone__ids_as_texts_or_numbers__are_cloned),
        TEST(test_clone__codes),
        TEST(test_clone__wrong_bodies__are_refused),
        TEST(test_clone__wrong_parameters__are_refused),
        TEST(test_clone__too_many__are_refused),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
