/* Namespaces over HTTP, against recordings of Nacos 2.5.1 (golden http/console, sweep). */
#include "namespace/namespace_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/err.h"
#include "base/thread.h"
#include "namespace_bed.h"

#define V1 "/v1/console/namespaces"
#define V2 "/v2/console/namespace"
#define V2_LIST "/v2/console/namespace/list"
#define ONE(id, name, desc, count, type)                                                           \
    "{\"namespace\":\"" id "\",\"namespaceShowName\":\"" name "\",\"namespaceDesc\":" desc         \
    ",\"quota\":200,\"configCount\":" count ",\"type\":" type "}"
#define PUBLIC ONE("", "public", "\"Default Namespace\"", "3", "0")
#define V1_ALL(items) "{\"code\":200,\"message\":null,\"data\":[" items "]}"
#define DECLARED(name)                                                                             \
    "Required request parameter '" name "' for method parameter type String is not present"
#define MEMBER(name) "required parameter '" name "' is missing"
#define BAD_CHARACTERS(name)                                                                       \
    "Param '" name "' is illegal, illegal characters should not appear in the param."

static void test_v1__as_nacos_does(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_expect(&b, API_GET, V1, "", V1_ALL(PUBLIC));
    bed_expect(&b, API_POST, V1, "customNamespaceId=ns-1&namespaceName=first&namespaceDesc=d",
               "true");
    bed_expect(&b, API_POST, V1, "customNamespaceId=ns-1&namespaceName=first&namespaceDesc=d",
               "false");
    bed_expect(&b, API_GET, V1, "checkNamespaceIdExist=true&customNamespaceId=ns-1", "true");
    bed_expect(&b, API_GET, V1, "checkNamespaceIdExist=true&customNamespaceId=zz", "false");
    bed_expect(&b, API_GET, V1, "checkNamespaceIdExist=true&customNamespaceId=", "false");
    bed_expect(&b, API_GET, V1, "show=all&namespaceId=ns-1",
               ONE("ns-1", "first", "\"d\"", "0", "2"));
    bed_expect(&b, API_GET, V1, "show=all&namespaceId=", PUBLIC);
    bed_refuse(&b, API_GET, V1, "show=all&namespaceId=zz", E_NOT_FOUND,
               "namespaceId [ zz ] not exist");
    assert_int_equal(b.fail.nacos, 500);
    bed_expect(&b, API_PUT, V1, "namespace=ns-1&namespaceShowName=changed&namespaceDesc=e", "true");
    bed_expect(&b, API_PUT, V1, "namespace=zz&namespaceShowName=changed", "true");
    bed_expect(&b, API_PUT, V1, "namespace=ns-1&namespaceShowName=a@b", "false");
    bed_expect(&b, API_PUT, V1, "namespace=ns-1&namespaceShowName=", "false");
    b.configs = 12;
    bed_expect(&b, API_GET, V1, "show=none",
               V1_ALL(PUBLIC "," ONE("ns-1", "changed", "\"e\"", "12", "2")));
    bed_expect(&b, API_DELETE, V1, "namespaceId=ns-1", "true");
    bed_expect(&b, API_DELETE, V1, "namespaceId=ns-1", "true");
    bed_expect(&b, API_GET, V1, "", V1_ALL(PUBLIC));
    bed_end(&b);
}

static void test_v2__as_nacos_does(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_expect(&b, API_GET, V2_LIST, "", V2_HEAD "[" PUBLIC "]" V2_TAIL);
    bed_expect(&b, API_POST, V2, "namespaceId=ns-v2&namespaceName=second&namespaceDesc=d",
               V2_HEAD "true" V2_TAIL);
    bed_refuse(&b, API_POST, V2, "namespaceId=ns-v2&namespaceName=second", E_INVALID,
               "the namespaceId is existed, namespaceId: ns-v2");
    assert_int_equal(b.fail.v2, V2_ILLEGAL_NAMESPACE);
    bed_expect(&b, API_GET, V2, "namespaceId=ns-v2",
               V2_HEAD ONE("ns-v2", "second", "\"d\"", "0", "2") V2_TAIL);
    bed_refuse(&b, API_GET, V2, "namespaceId=zz", E_NOT_FOUND, "namespaceId [ zz ] not exist");
    assert_int_equal(b.fail.v2, V2_NAMESPACE_NOT_EXIST);
    assert_int_equal(b.fail.nacos, 0);
    bed_expect(&b, API_PUT, V2, "namespaceId=ns-v2&namespaceName=edited&namespaceDesc=x",
               V2_HEAD "true" V2_TAIL);
    bed_expect(&b, API_PUT, V2, "namespaceId=zz&namespaceName=edited", V2_HEAD "true" V2_TAIL);
    bed_refuse(&b, API_PUT, V2, "namespaceId=ns-v2&namespaceName=", E_INVALID,
               "namespaceName [] contains illegal char");
    assert_int_equal(b.fail.v2, V2_ILLEGAL_NAMESPACE);
    bed_expect(&b, API_PUT, V2, "namespaceId=ns-v2&namespaceName=edited", V2_HEAD "true" V2_TAIL);
    bed_expect(&b, API_GET, V2_LIST, "",
               V2_HEAD "[" PUBLIC "," ONE("ns-v2", "edited", "null", "0", "2") "]" V2_TAIL);
    bed_expect(&b, API_DELETE, V2, "namespaceId=ns-v2", V2_HEAD "true" V2_TAIL);
    bed_expect(&b, API_DELETE, V2, "namespaceId=ns-v2", V2_HEAD "true" V2_TAIL);
    bed_end(&b);
}

static void test_missing__each_route__has_its_words_and_status(void **state)
{
    (void)state;
    static const struct {
        unsigned method;
        const char *path;
        const char *params;
        const char *text;
        int nacos;
    } bad[] = {
        {API_POST, V1, "", DECLARED("customNamespaceId"), 500},
        {API_POST, V1, "customNamespaceId=ns-3", DECLARED("namespaceName"), 500},
        {API_GET, V1, "checkNamespaceIdExist=true", DECLARED("customNamespaceId"), 500},
        {API_GET, V1, "show=all", DECLARED("namespaceId"), 500},
        {API_PUT, V1, "", DECLARED("namespace"), 500},
        {API_PUT, V1, "namespace=a", DECLARED("namespaceShowName"), 500},
        {API_DELETE, V1, "", DECLARED("namespaceId"), 500},
        {API_POST, V2, "namespaceName=x", MEMBER("namespaceId"), 0},
        {API_POST, V2, "namespaceId=ns-4", MEMBER("namespaceName"), 0},
        {API_PUT, V2, "", MEMBER("namespaceId"), 0},
        {API_GET, V2, "", DECLARED("namespaceId"), 0},
        {API_DELETE, V2, "", DECLARED("namespaceId"), 0},
    };
    struct namespace_bed b;
    bed_begin(&b);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bed_refuse(&b, bad[i].method, bad[i].path, bad[i].params, E_MISSING, bad[i].text);
        assert_int_equal(b.fail.nacos, bad[i].nacos);
    }
    assert_int_equal(namespace_count(b.namespaces), 0);
    bed_end(&b);
}

static void test_param_check__answers_first(void **state)
{
    (void)state;
    char params[600];
    struct namespace_bed b;
    bed_begin(&b);
    const char *bad_id = BAD_CHARACTERS("namespaceId/tenant");
    const char *bad_name = BAD_CHARACTERS("namespaceShowName");
    bed_refuse(&b, API_POST, V1, "customNamespaceId=a%20b&namespaceName=x", E_PARAM, bad_id);
    bed_refuse(&b, API_POST, V1, "customNamespaceId=a.b", E_PARAM, bad_id);
    bed_refuse(&b, API_POST, V1, "customNamespaceId=ns-2&namespaceName=a@b", E_PARAM, bad_name);
    bed_refuse(&b, API_POST, V2, "namespaceId=a.b&namespaceName=x", E_PARAM, bad_id);
    bed_refuse(&b, API_PUT, V2, "namespaceId=a.b&namespaceName=a@b", E_PARAM, bad_name);
    bed_refuse(&b, API_GET, V2_LIST, "namespaceId=a.b", E_PARAM, bad_id);
    bed_refuse(&b, API_DELETE, V2, "namespaceId=%C3%A9", E_PARAM, bad_id);
    (void)snprintf(params, sizeof params, "customNamespaceId=%065d&namespaceName=x", 0);
    bed_refuse(&b, API_POST, V1, params, E_PARAM,
               "Param 'namespaceId/tenant' is illegal, the param length should not exceed 64.");
    (void)snprintf(params, sizeof params, "namespaceId=x&namespaceName=%0257d", 0);
    bed_refuse(&b, API_POST, V2, params, E_PARAM,
               "Param 'namespaceShowName' is illegal, the param length should not exceed 256.");
    (void)snprintf(params, sizeof params, "namespaceId=%064d&namespaceName=%0128d", 0, 0);
    bed_expect(&b, API_POST, V2, params, V2_HEAD "true" V2_TAIL);
    bed_end(&b);
}

static void test_lengths__more_than_a_column_holds__are_refused(void **state)
{
    (void)state;
    char params[600];
    struct namespace_bed b;
    bed_begin(&b);
    (void)snprintf(params, sizeof params, "namespaceId=x&namespaceName=%0129d", 0);
    bed_refuse(&b, API_POST, V2, params, E_INVALID,
               "namespaceName: expected at most 128 characters, got 129");
    assert_int_equal(b.fail.v2, V2_ILLEGAL_NAMESPACE);
    (void)snprintf(params, sizeof params,
                   "customNamespaceId=x&namespaceName=x&namespaceDesc=%0257d", 0);
    bed_refuse(&b, API_POST, V1, params, E_INVALID,
               "namespaceDesc: expected at most 256 characters, got 257");
    bed_refuse(&b, API_POST, V1, "customNamespaceId=x&namespaceName=%FF", E_INVALID,
               "namespaceName: expected UTF-8 without NUL");
    bed_end(&b);
}

static void test_create__blank_id__draws_a_uuid(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_expect(&b, API_POST, V1, "customNamespaceId=&namespaceName=generated", "true");
    bed_expect(&b, API_POST, V2, "namespaceId=%20&namespaceName=generated2",
               V2_HEAD "true" V2_TAIL);
    assert_int_equal(namespace_count(b.namespaces), 2);
    for (size_t i = 0; i < 2; i++) {
        struct span id = namespace_at(b.namespaces, i)->id;
        assert_int_equal(id.len, 36);
        assert_int_equal(id.data[14], '4');
        assert_non_null(strchr("89ab", id.data[19]));
        assert_int_equal(id.data[8], '-');
        assert_int_equal(id.data[23], '-');
    }
    bed_end(&b);
}

/* DIFF(default-namespace) */
static void test_public__is_the_default_namespace(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_expect(&b, API_GET, V1, "show=all&namespaceId=public", PUBLIC);
    bed_expect(&b, API_GET, V2, "namespaceId=public", V2_HEAD PUBLIC V2_TAIL);
    bed_expect(&b, API_GET, V1, "checkNamespaceIdExist=true&customNamespaceId=public", "true");
    bed_expect(&b, API_POST, V1, "customNamespaceId=public&namespaceName=x", "false");
    bed_refuse(&b, API_POST, V2, "namespaceId=NULL&namespaceName=x", E_INVALID,
               "the namespaceId is existed, namespaceId: NULL");
    bed_expect(&b, API_DELETE, V1, "namespaceId=public", "true");
    assert_int_equal(namespace_count(b.namespaces), 0);
    bed_end(&b);
}

static void create_first(struct namespace_bed *b)
{
    struct namespace_op op = {.kind = NAMESPACE_OP_PUT,
                              .time_ms = b->now.wall_ms,
                              .id = SPAN("ns-1"),
                              .name = SPAN("theirs"),
                              .create = true};
    bed_apply(b, &op);
}

static void test_create__another_was_first_in_the_log__is_refused(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_call_after(&b, API_POST, V1, "customNamespaceId=ns-1&namespaceName=ours", create_first);
    assert_int_equal(b.err, 0);
    assert_string_equal(b.text, "false");
    bed_expect(&b, API_DELETE, V1, "namespaceId=ns-1", "true");
    bed_call_after(&b, API_POST, V2, "namespaceId=ns-1&namespaceName=ours", create_first);
    assert_int_equal(b.err, E_CONFLICT);
    assert_int_equal(b.fail.v2, V2_ILLEGAL_NAMESPACE);
    assert_int_equal(b.fail.nacos, 400);
    assert_true(span_eq(namespace_at(b.namespaces, 0)->name, SPAN("theirs")));
    bed_end(&b);
}

static void test_writes__tables_take_none__are_refused_with_the_reason(void **state)
{
    (void)state;
    struct namespace_bed b;
    bed_begin(&b);
    bed_expect(&b, API_POST, V1, "customNamespaceId=a&namespaceName=x", "true");
    bed_flush(&b);
    table_writer_stop(b.tables);
    bed_refuse(&b, API_POST, V1, "customNamespaceId=b&namespaceName=x", E_CLOSED,
               "the tables are being closed");
    bed_refuse(&b, API_PUT, V2, "namespaceId=a&namespaceName=x", E_CLOSED,
               "the tables are being closed");
    bed_refuse(&b, API_DELETE, V2, "namespaceId=a", E_CLOSED, "the tables are being closed");
    bed_expect(&b, API_GET, V1, "checkNamespaceIdExist=true&customNamespaceId=a", "true");
    bed_end(&b);
}

static bool count_asks(void *self, struct api_call *take_call, struct now now)
{
    (void)take_call;
    (void)now;
    (*(unsigned *)self)++;
    return false; /* it is answered as it is */
}

static void test_read__of_the_list__asks_whether_it_is_fresh(void **state)
{
    (void)state;
    struct namespace_bed b;
    unsigned asks = 0;
    struct read_gate gate = {.keep = count_asks, .self = &asks};
    bed_begin(&b);
    b.gate = &gate;
    bed_reopen(&b);
    bed_expect(&b, API_GET, V1, "", V1_ALL(PUBLIC));
    bed_expect(&b, API_GET, V1, "checkNamespaceIdExist=true&customNamespaceId=zz", "false");
    assert_int_equal(asks, 2);
    read_gate_set(&gate, b.now.mono_ms + 1, 0);
    bed_expect(&b, API_GET, V1, "", V1_ALL(PUBLIC));
    assert_int_equal(asks, 2);
    bed_end(&b);
}

static void test_rows__reads_are_open_and_writes_are_not(void **state)
{
    (void)state;
    size_t count = 0;
    const struct api_row *rows = namespace_http_rows(&count);
    assert_int_equal(count, 9);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].methods != API_GET) {
            assert_int_equal(rows[i].permission, API_CONFIG_WRITE);
        } else if (strcmp(rows[i].name, V2) == 0) {
            assert_int_equal(rows[i].permission, API_CONFIG_READ);
        } else {
            assert_int_equal(rows[i].permission, API_OPEN);
        }
    }
}

int main(void)
{
    thread_become(THREAD_CORE, "core");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1__as_nacos_does),
        cmocka_unit_test(test_v2__as_nacos_does),
        cmocka_unit_test(test_missing__each_route__has_its_words_and_status),
        cmocka_unit_test(test_param_check__answers_first),
        cmocka_unit_test(test_lengths__more_than_a_column_holds__are_refused),
        cmocka_unit_test(test_create__blank_id__draws_a_uuid),
        cmocka_unit_test(test_public__is_the_default_namespace),
        cmocka_unit_test(test_create__another_was_first_in_the_log__is_refused),
        cmocka_unit_test(test_writes__tables_take_none__are_refused_with_the_reason),
        cmocka_unit_test(test_read__of_the_list__asks_whether_it_is_fresh),
        cmocka_unit_test(test_rows__reads_are_open_and_writes_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
