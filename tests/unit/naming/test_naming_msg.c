/* Requests of the registry as gRPC clients send them: what is read, and with which words the rest
 * is refused (grpc-sdk.md 5.1, 5.4). */
#include "naming/naming_msg.h"

#include "naming_decode.h"

static const api_decode_rpc_fn decoders[] = {
    msg_decode_instance, msg_decode_persistent, msg_decode_batch,
    msg_decode_query,    msg_decode_subscribe,  msg_decode_list,
};

/* ---------------------------------------------------------------- every decoder */

static void test_body__no_json_object__is_refused_by_every_decoder(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } bad[] = {
        {"", "Invalid request"},
        {" \r\n\t", "Invalid request"},
        {"[]", "malformed JSON: expected an object"},
        {"null", "malformed JSON: expected an object"},
        {"\"{}\"", "malformed JSON: expected an object"},
        {"{", "malformed JSON at byte 1: a bracket is not closed"},
        {"{\"serviceName\":\"a", "malformed JSON at byte 17: a string that does not end"},
        {"{\"serviceName\":\"a\\u0000b\"}", "malformed JSON at byte 17: \\u0000 in a string"},
        {"{\"serviceName\":\"a\"]", "malformed JSON at byte 18: a bracket that closes nothing"},
    };
    for (size_t d = 0; d < ARRAY_LEN(decoders); d++) {
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            refuse(decoders[d], bad[i].json, E_PARSE, bad[i].text);
        }
    }
}

static void test_body__depth_100000__is_refused_by_every_decoder(void **state)
{
    (void)state;
    char *deep = repeat("{\"instance\":", "[", 100000, "");
    char *objects = repeat("", "{\"a\":", 100000, "");
    for (size_t d = 0; d < ARRAY_LEN(decoders); d++) {
        refuse(decoders[d], deep, E_PARSE, "JSON nested deeper than 32 levels");
        refuse(decoders[d], objects, E_PARSE, "JSON nested deeper than 32 levels");
    }
    mem_free(deep);
    mem_free(objects);
}

static void test_body__over_12_megabytes__is_refused_by_every_decoder(void **state)
{
    (void)state;
    char *large = repeat("{\"x\":\"", "0123456789abcdef", (12u << 20) / 16, "\"}");
    for (size_t d = 0; d < ARRAY_LEN(decoders); d++) {
        refuse(decoders[d], large, E_TOO_LARGE, "JSON of 12582920 bytes, at most 12582912");
    }
    mem_free(large);
}

static void test_names__wrong_type__are_refused_by_every_decoder(void **state)
{
    (void)state;
    for (size_t d = 0; d < ARRAY_LEN(decoders); d++) {
        refuse(decoders[d], "{\"namespace\":{}}", E_PARSE,
               "field 'namespace': expected a string, got an object");
        refuse(decoders[d], "{\"groupName\":[\"G\"]}", E_PARSE,
               "field 'groupName': expected a string, got an array");
        refuse(decoders[d], "{\"serviceName\":{\"a\":1}}", E_PARSE,
               "field 'serviceName': expected a string, got an object");
    }
}

/* All decoders check namespace and group; the list's own service name counts for nothing. */
static void test_names__illegal__are_refused_with_the_texts_of_nacos(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        size_t times;
        const char *text;
    } bad[] = {
        {"namespace", "n", 65, TOO_LONG("namespaceId/tenant", "64")},
        {"namespace", "a b", 1, ILLEGAL("namespaceId/tenant")},
        {"namespace", " ", 1, ILLEGAL("namespaceId/tenant")},
        {"groupName", "g", 129, TOO_LONG("group", "128")},
        {"groupName", "bad group", 1, ILLEGAL("group")},
        {"groupName", "a@@b", 1, ILLEGAL("group")},
        {"serviceName", "s", 513, TOO_LONG("serviceName", "512")},
        {"serviceName", "bad svc", 1, ILLEGAL("serviceName")},
        {"serviceName", "bad@@svc", 1, ILLEGAL("serviceName")},
        {"serviceName", "@svc", 1, ILLEGAL("serviceName")},
        {"serviceName", "sv\xe4\xb8\xad", 1, ILLEGAL("serviceName")},
        {"serviceName", "a\\tb", 1, ILLEGAL("serviceName")},
    };
    for (size_t d = 0; d < ARRAY_LEN(decoders); d++) {
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            char begin[64];
            snprintf(begin, sizeof(begin), "{\"%s\":\"", bad[i].name);
            /* The field under test comes first: the first of two keys counts. */
            char *json = repeat(begin, bad[i].value, bad[i].times, "\"," NAMED "}");
            if (decoders[d] != msg_decode_list || strcmp(bad[i].name, "serviceName") != 0) {
                refuse(decoders[d], json, E_PARAM, bad[i].text);
            }
            mem_free(json);
        }
    }
}

static void test_names__over_800_bytes__are_refused_though_512_characters(void **state)
{
    (void)state;
    char *json = repeat("{\"groupName\":\"G\",\"serviceName\":\"", "\xc3\xa9", 401, "\"}");
    refuse(msg_decode_query, json, E_PARAM,
           "Param check invalid:Param 'serviceName' is illegal, the param length should not exceed "
           "800 bytes of UTF-8.");
    mem_free(json);
}

static void test_names__blank__are_refused_with_code_500(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } bad[] = {
        {"{}", "Param 'serviceName' is illegal, serviceName is blank"},
        {"{\"groupName\":\"G\"}", "Param 'serviceName' is illegal, serviceName is blank"},
        {"{\"groupName\":\"G\",\"serviceName\":null}",
         "Param 'serviceName' is illegal, serviceName is blank"},
        {"{\"groupName\":\"G\",\"serviceName\":\" \"}",
         "Param 'serviceName' is illegal, serviceName is blank"},
        {"{\"serviceName\":\"s\"}", "Param 'groupName' is illegal, groupName is blank"},
        {"{\"serviceName\":\"s\",\"groupName\":\" \"}",
         "Param 'groupName' is illegal, groupName is blank"},
    };
    for (size_t d = 0; d < ARRAY_LEN(decoders); d++) {
        for (size_t i = 0; decoders[d] != msg_decode_list && i < ARRAY_LEN(bad); i++) {
            refuse(decoders[d], bad[i].json, E_INVALID, bad[i].text);
            struct api_call call;
            struct fail fail = {0};
            call_open(&call);
            assert_int_equal(decoders[d](&call, span_str(bad[i].json), &fail), E_INVALID);
            assert_int_equal(fail_nacos(&fail), 500);
            call_close(&call);
        }
    }
}

static void test_names__number_and_absent_namespace__are_taken(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_query *m =
        take(msg_decode_query, &call, "{\"serviceName\":17,\"groupName\":true,\"namespace\":null}");
    assert_span(m->service.name, "17");
    assert_span(m->service.group, "true");
    assert_span(m->service.namespace_id, "public");
    call_close(&call);
    m = take(msg_decode_query, &call, "{" NAMED ",\"namespace\":\"\"}");
    assert_span(m->service.namespace_id, "public");
    call_close(&call);
    m = take(msg_decode_query, &call, "{" NAMED ",\"namespace\":\"dev_1\"}");
    assert_span(m->service.namespace_id, "dev_1");
    call_close(&call);
}

/* ---------------------------------------------------------------- query, subscribe, list */

static void test_query__clusters_under_either_name__are_read(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_query *m =
        take(msg_decode_query, &call,
             "{" NAMED ",\"cluster\":\"A,B\",\"healthyOnly\":true,\"udpPort\":0}");
    assert_span(m->query.clusters, "A,B");
    assert_true(m->query.healthy_only);
    assert_false(m->query.grouped_name);
    call_close(&call);
    m = take(msg_decode_query, &call, "{" NAMED ",\"clusters\":\"C\"}");
    assert_span(m->query.clusters, "C");
    assert_false(m->query.healthy_only);
    call_close(&call);
}

static void test_query__illegal__is_refused(void **state)
{
    (void)state;
    refuse(msg_decode_query, "{" NAMED ",\"cluster\":\"a b\"}", E_PARAM, ILLEGAL("cluster"));
    refuse(msg_decode_query, "{" NAMED ",\"cluster\":\"a,,b\"}", E_PARAM, ILLEGAL("cluster"));
    char *json = repeat("{" NAMED ",\"cluster\":\"ok,", "c", 65, "\"}");
    refuse(msg_decode_query, json, E_PARAM, TOO_LONG("cluster", "64"));
    mem_free(json);
    refuse(msg_decode_query, "{" NAMED ",\"cluster\":[\"A\"]}", E_PARSE,
           "field 'cluster': expected a string, got an array");
    refuse(msg_decode_query, "{" NAMED ",\"healthyOnly\":\"sometimes\"}", E_PARSE,
           "field 'healthyOnly': expected true or false, got \"sometimes\"");
}

static void test_subscribe__flag_and_clusters__are_read(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_subscribe *m =
        take(msg_decode_subscribe, &call, "{" NAMED ",\"clusters\":\"A\",\"subscribe\":true}");
    assert_true(m->subscribe);
    assert_span(m->clusters, "A");
    call_close(&call);
    m = take(msg_decode_subscribe, &call, "{" NAMED "}");
    assert_false(m->subscribe);
    assert_span(m->clusters, "");
    call_close(&call);
    refuse(msg_decode_subscribe, "{" NAMED ",\"clusters\":\"a b\"}", E_PARAM, ILLEGAL("cluster"));
    refuse(msg_decode_subscribe, "{" NAMED ",\"subscribe\":{}}", E_PARSE,
           "field 'subscribe': expected true or false, got an object");
}

static void test_list__group_and_page__are_read(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_list *m = take(msg_decode_list, &call,
                              "{\"namespace\":\"dev\",\"groupName\":\"G\",\"serviceName\":\"\","
                              "\"pageNo\":2,\"pageSize\":\"10\",\"selector\":\"\"}");
    assert_span(m->namespace_id, "dev");
    assert_span(m->group, "G");
    assert_int_equal(m->page_no, 2);
    assert_int_equal(m->page_size, 10);
    call_close(&call);
    m = take(msg_decode_list, &call, "{}");
    assert_span(m->namespace_id, "public");
    assert_span(m->group, "DEFAULT_GROUP");
    assert_int_equal(m->page_no, 0);
    call_close(&call);
    refuse(msg_decode_list, "{\"pageNo\":\"first\"}", E_PARSE,
           "field 'pageNo': expected a whole number, got \"first\"");
    refuse(msg_decode_list, "{\"pageSize\":3000000000}", E_INVALID,
           "field 'pageSize': expected -2147483648 to 2147483647, got 3000000000");
}

static void test_page__any_numbers__stay_within_the_list(void **state)
{
    (void)state;
    static const struct {
        int64_t no, size;
        size_t count, from, to;
    } cases[] = {
        {1, 10, 25, 0, 10},        {2, 10, 25, 10, 20},
        {3, 10, 25, 20, 25},       {4, 10, 25, 25, 25},
        {0, 10, 25, 0, 10},        {-7, 10, 25, 0, 10},
        {1, 0, 25, 0, 0},          {1, -3, 25, 0, 0},
        {1, INT32_MAX, 25, 0, 25}, {INT32_MAX, INT32_MAX, 25, 25, 25},
        {1, 10, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct msg_list page = {.page_no = cases[i].no, .page_size = cases[i].size};
        size_t from = 99;
        size_t to = 99;
        msg_page(&page, cases[i].count, &from, &to);
        assert_int_equal(from, cases[i].from);
        assert_int_equal(to, cases[i].to);
    }
}

/* ---------------------------------------------------------------- answers */

static void test_answer_type__is_byte_for_byte_what_nacos_sends(void **state)
{
    (void)state;
    struct api_call call;
    call_open(&call);
    msg_answer_type(&call, "registerInstance");
    const char *want =
        "{\"resultCode\":200,\"errorCode\":0,\"type\":\"registerInstance\",\"success\":true}";
    char text[256] = "";
    assert_int_equal(body_len(&call.reply.body), strlen(want));
    body_copy(&call.reply.body, text);
    assert_string_equal(text, want);
    call_close(&call);
}

static void test_answer_list__of_nothing__has_count_and_names(void **state)
{
    (void)state;
    struct api_call call;
    call_open(&call);
    struct msg_list page = {.page_no = 1, .page_size = 10};
    msg_answer_list(&call, NULL, 0, &page);
    const char *want =
        "{\"resultCode\":200,\"errorCode\":0,\"count\":0,\"serviceNames\":[],\"success\":true}";
    char text[256] = "";
    assert_int_equal(body_len(&call.reply.body), strlen(want));
    body_copy(&call.reply.body, text);
    assert_string_equal(text, want);
    call_close(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body__no_json_object__is_refused_by_every_decoder),
        cmocka_unit_test(test_body__depth_100000__is_refused_by_every_decoder),
        cmocka_unit_test(test_body__over_12_megabytes__is_refused_by_every_decoder),
        cmocka_unit_test(test_names__wrong_type__are_refused_by_every_decoder),
        cmocka_unit_test(test_names__illegal__are_refused_with_the_texts_of_nacos),
        cmocka_unit_test(test_names__over_800_bytes__are_refused_though_512_characters),
        cmocka_unit_test(test_names__blank__are_refused_with_code_500),
        cmocka_unit_test(test_names__number_and_absent_namespace__are_taken),
        cmocka_unit_test(test_query__clusters_under_either_name__are_read),
        cmocka_unit_test(test_query__illegal__is_refused),
        cmocka_unit_test(test_subscribe__flag_and_clusters__are_read),
        cmocka_unit_test(test_list__group_and_page__are_read),
        cmocka_unit_test(test_page__any_numbers__stay_within_the_list),
        cmocka_unit_test(test_answer_type__is_byte_for_byte_what_nacos_sends),
        cmocka_unit_test(test_answer_list__of_nothing__has_count_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
