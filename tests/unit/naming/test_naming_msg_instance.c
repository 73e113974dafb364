/* Registrations as gRPC clients send them: single, persistent, batch (grpc-sdk.md 5.1, 5.4.2
 * to 5.4.5). */
#include "naming/naming_msg.h"

#include "naming_decode.h"

#include "base/json_out.h"

#define REGISTER "{" NAMED ",\"type\":\"registerInstance\",\"instance\":"
#define BATCH "{" NAMED ",\"type\":\"batchRegisterInstance\",\"instances\":"

/* ---------------------------------------------------------------- InstanceRequest */

/* As Java 2.5.1 sends it (golden java-2.5.1/instance-ephemeral). */
static void test_instance__of_a_java_client__is_read(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m = take(
        msg_decode_instance, &call,
        "{\"headers\":{},\"namespace\":\"public\"," NAMED
        ",\"type\":\"registerInstance\",\"instance\":{\"ip\":\"10.0.0.1\",\"port\":8080,"
        "\"weight\":2.5,\"healthy\":false,\"enabled\":false,\"ephemeral\":false,"
        "\"metadata\":{\"version\":\"1\",\"zone\":\"a\"},\"instanceHeartBeatInterval\":5000,"
        "\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000},\"module\":\"naming\"}");
    assert_false(m->deregister);
    assert_string_equal(m->type, "registerInstance");
    assert_int_equal(m->count, 1);
    const struct instance_data *i = m->list;
    assert_span(i->ip, "10.0.0.1");
    assert_int_equal(i->port, 8080);
    assert_true(i->weight == 2.5);
    assert_false(i->healthy);
    assert_false(i->enabled);
    assert_true(i->ephemeral); /* what the client says of it is ignored */
    assert_span(i->cluster, "DEFAULT");
    assert_span(i->instance_id, "10.0.0.1#8080#null#DEFAULT_GROUP@@demo");
    assert_int_equal(i->metadata_count, 2);
    assert_span(i->metadata[1].key, "zone");
    assert_span(i->metadata[1].value, "a");
    call_close(&call);
}

/* As Go 2.3.5 sends it (golden go-2.3.5/kill9): empty texts instead of absent ones. */
static void test_instance__of_a_go_client__is_read(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m =
        take(msg_decode_instance, &call,
             REGISTER "{\"instanceId\":\"\",\"ip\":\"10.6.0.1\",\"port\":80,\"weight\":1,"
                      "\"healthy\":true,\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"\","
                      "\"serviceName\":\"\",\"metadata\":{}}}");
    assert_span(m->list->cluster, "DEFAULT");
    assert_span(m->list->instance_id, "10.6.0.1#80##DEFAULT_GROUP@@demo");
    assert_int_equal(m->list->metadata_count, 0);
    call_close(&call);
}

static void test_instance__fields_absent_or_null__take_their_defaults(void **state)
{
    (void)state;
    static const char *const same[] = {
        REGISTER "{\"ip\":\"1.1.1.1\"}}",
        REGISTER "{\"ip\":\"1.1.1.1\",\"port\":null,\"weight\":null,\"healthy\":null,"
                 "\"enabled\":null,\"metadata\":null,\"clusterName\":null,\"instanceId\":null}}",
        REGISTER "{\"ip\":\"1.1.1.1\",\"port\":\"\",\"weight\":\"\",\"healthy\":\"\","
                 "\"enabled\":\" \",\"metadata\":{\"gone\":null}}}",
    };
    for (size_t n = 0; n < ARRAY_LEN(same); n++) {
        struct api_call call;
        struct msg_instances *m = take(msg_decode_instance, &call, same[n]);
        assert_int_equal(m->list->port, 0);
        assert_true(m->list->weight == 1.0);
        assert_true(m->list->healthy);
        assert_true(m->list->enabled);
        assert_int_equal(m->list->metadata_count, 0);
        assert_span(m->list->cluster, "DEFAULT");
        call_close(&call);
    }
}

static void test_instance__numbers_as_texts_and_texts_as_numbers__are_taken(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m =
        take(msg_decode_instance, &call,
             REGISTER "{\"ip\":17,\"port\":\" 8080 \",\"weight\":\"1.5\",\"healthy\":\"FALSE\","
                      "\"enabled\":0,\"metadata\":{\"n\":3,\"b\":true,\"d\":0.5,\"n\":4}}}");
    assert_span(m->list->ip, "17");
    assert_int_equal(m->list->port, 8080);
    assert_true(m->list->weight == 1.5);
    assert_false(m->list->healthy);
    assert_false(m->list->enabled);
    assert_int_equal(m->list->metadata_count, 3);
    assert_span(m->list->metadata[0].value, "4"); /* the later of two wins, in the first's place */
    assert_span(m->list->metadata[2].value, "0.5");
    call_close(&call);
}

static void test_instance__wrong_types__are_refused_with_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *instance;
        const char *text;
    } bad[] = {
        {"[]", "field 'instance': expected an object"},
        {"\"10.0.0.1\"", "field 'instance': expected an object"},
        {"{\"ip\":{}}", "field 'ip': expected a string, got an object"},
        {"{\"ip\":[]}", "field 'ip': expected a string, got an array"},
        {"{\"instanceId\":{}}", "field 'instanceId': expected a string, got an object"},
        {"{\"clusterName\":[]}", "field 'clusterName': expected a string, got an array"},
        {"{\"serviceName\":[]}", "field 'serviceName': expected a string, got an array"},
        {"{\"port\":\"http\"}", "field 'port': expected a whole number, got \"http\""},
        {"{\"port\":1.5}", "field 'port': expected a whole number, got 1.5"},
        {"{\"port\":true}", "field 'port': expected a whole number, got a boolean"},
        {"{\"port\":{}}", "field 'port': expected a whole number, got an object"},
        {"{\"weight\":\"heavy\"}", "field 'weight': expected a finite number, got \"heavy\""},
        {"{\"weight\":1e999}", "field 'weight': expected a finite number, got inf"},
        {"{\"weight\":[]}", "field 'weight': expected a finite number, got an array"},
        {"{\"healthy\":\"perhaps\"}", "field 'healthy': expected true or false, got \"perhaps\""},
        {"{\"healthy\":2}", "field 'healthy': expected true or false, got 2"},
        {"{\"enabled\":[]}", "field 'enabled': expected true or false, got an array"},
        {"{\"metadata\":[]}", "expected an object of strings, got an array"},
        {"{\"metadata\":\"a=b\"}", "expected an object of strings, got a string"},
        {"{\"metadata\":{\"a\":{}}}", "field 'a': expected a string, got an object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char json[512];
        snprintf(json, sizeof(json), REGISTER "%s}", bad[i].instance);
        refuse(msg_decode_instance, json, E_PARSE, bad[i].text);
        refuse(msg_decode_persistent, json, E_PARSE, bad[i].text);
        if (i > 1) {
            snprintf(json, sizeof(json), BATCH "[{\"ip\":\"1.1.1.1\"},%s]}", bad[i].instance);
            refuse(msg_decode_batch, json, E_PARSE, bad[i].text);
        }
    }
}

static void test_instance__illegal__is_refused_with_the_texts_of_nacos(void **state)
{
    (void)state;
    static const struct {
        const char *begin;
        const char *value;
        size_t times;
        const char *text;
    } bad[] = {
        {"{\"ip\":\"", "not an ip", 1, ILLEGAL("ip")},
        {"{\"ip\":\"", "i", 129, TOO_LONG("ip", "128")},
        {"{\"ip\":\"", "\xe4\xb8\xad", 1, ILLEGAL("ip")},
        {"{\"clusterName\":\"", "a b", 1, ILLEGAL("cluster")},
        {"{\"clusterName\":\"", "c", 65, TOO_LONG("cluster", "64")},
        {"{\"instanceId\":\"", "i", 2049, TOO_LONG("instanceId", "2048")},
        {"{\"metadata\":{\"k\":\"", "v", 1024, TOO_LONG("Metadata", "1024")},
        {"{\"port\":\"", "65536", 1, BAD_PORT},
        {"{\"port\":\"", "70000", 1, BAD_PORT},
        {"{\"port\":\"", "-1", 1, BAD_PORT},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *end = strstr(bad[i].begin, "metadata") ? "\"}}" : "\"}";
        char *instance = repeat(bad[i].begin, bad[i].value, bad[i].times, end);
        char *one = repeat(REGISTER, instance, 1, "}");
        char *many = repeat(BATCH "[{\"ip\":\"1.1.1.1\"},", instance, 1, "]}");
        refuse(msg_decode_instance, one, E_PARAM, bad[i].text);
        refuse(msg_decode_persistent, one, E_PARAM, bad[i].text);
        refuse(msg_decode_batch, many, E_PARAM, bad[i].text);
        mem_free(one);
        mem_free(many);
        mem_free(instance);
    }
}

static void test_instance__numbers_beyond_32_bits__are_refused_with_the_range(void **state)
{
    (void)state;
    static const char *const ports[] = {"2147483648", "1e300", "-1e300", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        char json[256];
        snprintf(json, sizeof(json), REGISTER "{\"port\":%s}}", ports[i]);
        struct api_call call;
        struct fail fail = {0};
        call_open(&call);
        assert_int_equal(msg_decode_instance(&call, span_str(json), &fail), E_INVALID);
        assert_non_null(
            strstr(fail.text, "field 'port': expected -2147483648 to 2147483647, got "));
        call_close(&call);
    }
}

static void test_instance__metadata_of_1024_characters__is_taken(void **state)
{
    (void)state;
    char *json =
        repeat(REGISTER "{\"ip\":\"1.1.1.1\",\"metadata\":{\"\":\"", "\xc3\xa9", 1024, "\"}}}");
    struct api_call call;
    struct msg_instances *m = take(msg_decode_instance, &call, json);
    assert_int_equal(m->list->metadata[0].value.len, 2048);
    call_close(&call);
    mem_free(json);
}

static void test_instance__too_many_metadata_pairs__are_refused(void **state)
{
    (void)state;
    char *json = repeat(REGISTER "{\"metadata\":{", "\"\":\"\",", 1025, "\"\":\"\"}}}");
    refuse(msg_decode_instance, json, E_PARAM, TOO_LONG("Metadata", "1024"));
    mem_free(json);
}

/* Only a batch looks at the service name inside (grpc-sdk.md 5.1). */
static void test_instance__service_name_inside__is_looked_at_in_a_batch_only(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m =
        take(msg_decode_instance, &call,
             REGISTER "{\"ip\":\"1.1.1.1\",\"serviceName\":\"DEFAULT_GROUP@@demo\"}}");
    assert_int_equal(m->count, 1);
    call_close(&call);
    refuse(msg_decode_batch,
           BATCH "[{\"ip\":\"1.1.1.1\",\"serviceName\":\"DEFAULT_GROUP@@demo\"}]}", E_PARAM,
           ILLEGAL("serviceName"));
    m = take(msg_decode_batch, &call, BATCH "[{\"ip\":\"1.1.1.1\",\"serviceName\":\"demo\"}]}");
    assert_int_equal(m->count, 1);
    call_close(&call);
}

static void test_instance__missing__is_fine_to_deregister_only(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m =
        take(msg_decode_instance, &call, "{" NAMED ",\"type\":\"deregisterInstance\"}");
    assert_true(m->deregister);
    assert_int_equal(m->count, 0);
    call_close(&call);
    refuse(msg_decode_instance, "{" NAMED ",\"type\":\"registerInstance\"}", E_INVALID,
           "Instance can not be null.");
    refuse(msg_decode_instance, REGISTER "null}", E_INVALID, "Instance can not be null.");
    /* A persistent one is named by its address alone. */
    refuse(msg_decode_persistent, "{" NAMED ",\"type\":\"deregisterInstance\"}", E_INVALID,
           "Instance can not be null.");
    refuse(msg_decode_persistent, "{" NAMED ",\"type\":\"registerInstance\"}", E_INVALID,
           "Instance can not be null.");
}

static void test_type__unknown__is_refused(void **state)
{
    (void)state;
    refuse(msg_decode_instance, "{" NAMED ",\"type\":\"dance\",\"instance\":{}}", E_INVALID,
           "Unsupported request type dance");
    refuse(msg_decode_instance, "{" NAMED ",\"instance\":{}}", E_INVALID,
           "Unsupported request type ");
    refuse(msg_decode_persistent, "{" NAMED ",\"type\":\"batchRegisterInstance\",\"instance\":{}}",
           E_INVALID, "Unsupported request type batchRegisterInstance");
    refuse(msg_decode_batch, "{" NAMED ",\"type\":\"registerInstance\",\"instances\":[]}",
           E_INVALID, "Unsupported request type registerInstance");
    refuse(msg_decode_instance, "{" NAMED ",\"type\":{}}", E_PARSE,
           "field 'type': expected a string, got an object");
    /* The parameter check comes before the handler that knows types. */
    refuse(msg_decode_instance, "{" NAMED ",\"type\":\"dance\",\"instance\":{\"port\":-1}}",
           E_PARAM, BAD_PORT);
}

static void test_persistent__is_not_ephemeral_whatever_it_says(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m = take(msg_decode_persistent, &call,
                                   REGISTER "{\"ip\":\"1.1.1.1\",\"port\":1,\"ephemeral\":true}}");
    assert_false(m->list->ephemeral);
    call_close(&call);
}

/* ---------------------------------------------------------------- BatchInstanceRequest */

static void test_batch__any_number__keeps_its_order(void **state)
{
    (void)state;
    struct api_call call;
    struct msg_instances *m = take(
        msg_decode_batch, &call,
        BATCH "[{\"ip\":\"10.0.0.1\",\"port\":1},{\"ip\":\"10.0.0.2\",\"port\":2,\"clusterName\":"
              "\"C\"}]}");
    assert_int_equal(m->count, 2);
    assert_string_equal(m->type, "batchRegisterInstance");
    assert_span(m->list[0].ip, "10.0.0.1");
    assert_span(m->list[1].instance_id, "10.0.0.2#2#C#DEFAULT_GROUP@@demo");
    assert_true(m->list[1].ephemeral);
    call_close(&call);
    static const char *const none[] = {BATCH "[]}", BATCH "null}",
                                       "{" NAMED ",\"type\":\"batchRegisterInstance\"}"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        m = take(msg_decode_batch, &call, none[i]);
        assert_int_equal(m->count, 0);
        call_close(&call);
    }
}

static void test_batch__no_array_of_objects__is_refused(void **state)
{
    (void)state;
    refuse(msg_decode_batch, BATCH "{}}", E_PARSE, "field 'instances': expected an array");
    refuse(msg_decode_batch, BATCH "\"x\"}", E_PARSE, "field 'instances': expected an array");
    refuse(msg_decode_batch, BATCH "[{\"ip\":\"1.1.1.1\"},null]}", E_PARSE,
           "field 'instances': element 1 is no object");
    refuse(msg_decode_batch, BATCH "[[]]}", E_PARSE, "field 'instances': element 0 is no object");
}

static void test_batch__10000__are_taken_and_one_more_is_not(void **state)
{
    (void)state;
    const char *one = "{\"ip\":\"10.0.0.1\",\"port\":80},";
    char *json = repeat(BATCH "[", one, 9999, "{\"ip\":\"10.0.0.2\"}]}");
    struct api_call call;
    struct msg_instances *m = take(msg_decode_batch, &call, json);
    assert_int_equal(m->count, 10000);
    assert_span(m->list[9999].ip, "10.0.0.2");
    call_close(&call);
    mem_free(json);
    json = repeat(BATCH "[", one, 10000, "{\"ip\":\"10.0.0.2\"}]}");
    refuse(msg_decode_batch, json, E_TOO_LARGE, "field 'instances': at most 10000, got 10001");
    mem_free(json);
}

/* Eleven megabytes of JSON that want far more than a request's 64 MB once they are decoded; the
 * bytes themselves are there as well, as the edge leaves them. */
static void test_batch__more_than_a_request_may_take__is_refused(void **state)
{
    (void)state;
    struct json_out one;
    json_init(&one, 1024);
    json_bytes(&one,
               SPAN("{\"ip\":\"0123456789012345678901234567890123456789012345678901234567890123"
                    "012345678901234567890123456789\",\"metadata\":{\"\":\"\""));
    for (char c = '0'; c < '0' + 42; c++) {
        json_bytes(&one, SPAN(",\""));
        json_bytes(&one, span_of(&c, 1));
        json_bytes(&one, SPAN("\":\"0123456789abcdef\""));
    }
    json_bytes(&one, SPAN("}},\0"));
    char *name = repeat("{\"groupName\":\"", "g", 128, "\",\"serviceName\":\"");
    char *begin = repeat(name, "s", 512, "\",\"type\":\"batchRegisterInstance\",\"instances\":[");
    char *json = repeat(begin, json_text(&one).data, 9999, "{}]}");
    struct api_call call;
    struct fail fail = {0};
    call_open(&call);
    assert_non_null(arena_try(&call.arena, strlen(json)));
    assert_int_equal(msg_decode_batch(&call, span_str(json), &fail), E_TOO_LARGE);
    assert_string_equal(fail.text, "the request takes more memory than it may");
    call_close(&call);
    mem_free(json);
    mem_free(begin);
    mem_free(name);
    json_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instance__of_a_java_client__is_read),
        cmocka_unit_test(test_instance__of_a_go_client__is_read),
        cmocka_unit_test(test_instance__fields_absent_or_null__take_their_defaults),
        cmocka_unit_test(test_instance__numbers_as_texts_and_texts_as_numbers__are_taken),
        cmocka_unit_test(test_instance__wrong_types__are_refused_with_the_field),
        cmocka_unit_test(test_instance__illegal__is_refused_with_the_texts_of_nacos),
        cmocka_unit_test(test_instance__numbers_beyond_32_bits__are_refused_with_the_range),
        cmocka_unit_test(test_instance__metadata_of_1024_characters__is_taken),
        cmocka_unit_test(test_instance__too_many_metadata_pairs__are_refused),
        cmocka_unit_test(test_instance__service_name_inside__is_looked_at_in_a_batch_only),
        cmocka_unit_test(test_instance__missing__is_fine_to_deregister_only),
        cmocka_unit_test(test_type__unknown__is_refused),
        cmocka_unit_test(test_persistent__is_not_ephemeral_whatever_it_says),
        cmocka_unit_test(test_batch__any_number__keeps_its_order),
        cmocka_unit_test(test_batch__no_array_of_objects__is_refused),
        cmocka_unit_test(test_batch__10000__are_taken_and_one_more_is_not),
        cmocka_unit_test(test_batch__more_than_a_request_may_take__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
