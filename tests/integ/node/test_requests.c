/* Bad bodies of every request type over gRPC: a worded refusal each, status OK, and nothing of them
 * becomes visible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bad.h"
#include "base/macros.h"
#include "base/utf8.h"
#include "rig.h"

static struct rig *rig;
static struct guest guest;

static int setup(void **state)
{
    /* Nothing that a test left may be cleaned away while it counts. */
    static const char *const settings[] = {"nacos.naming.clean.empty-service.expired-time=3600000",
                                           NULL};
    (void)state;
    rig = rig_start(settings);
    guest = guest_open(rig_grpc(rig), rig_http(rig));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_close(&guest);
    rig_stop(rig);
    return 0;
}

/* What no type takes for a body. */
static const struct bad no_objects[] = {
    {"", 502, "Invalid request"},
    {" \t\r\n", 502, "Invalid request"},
    {"{", 502, "malformed JSON"},
    {"}", 502, "malformed JSON"},
    {"{\"a\"", 502, "malformed JSON"},
    {"{\"a\":}", 502, "malformed JSON"},
    {"{\"a\":1}x", 502, "malformed JSON"},
    {"{\"a\":1}{}", 502, "malformed JSON"},
    {"{'a':1}", 502, "malformed JSON"},
    {"{\"a\":\"b", 502, "malformed JSON"},
    {"{\"a\":\"\\u0000\"}", 502, "malformed JSON"},
    {"{\"a\":\"\\uD800\"}", 502, "malformed JSON"},
    {"null", 502, "expected an object"},
    {"[]", 502, "expected an object"},
    {"[{}]", 502, "expected an object"},
    {"\"text\"", 502, "expected an object"},
    {"17", 502, "expected an object"},
    {"true", 502, "expected an object"},
    {"\xff\xfe\x01", 502, "malformed JSON"},
    {"<100000:[>", 502, "nested deeper than"},
    {"<100000:[><100000:]>", 502, "nested deeper than"},
    {"<100000:{\"a\":>1<100000:}>", 502, "nested deeper than"},
    {"{\"metadata\":<100000:[><100000:]>}", 502, "nested deeper than"},
    {"{\"a\":[<600000:0,>0]}", 400, "JSON of more than 524288 values"},
};

#define LONG_BY(max) "the param length should not exceed " max "."
#define CHARACTERS "illegal characters should not appear in the param."

/* Names that no request may use, inside a body that is good otherwise. */
static const struct bad bad_names[] = {
    {"\"a\":1", 500, "Param 'serviceName' is illegal, serviceName is blank"},
    {"\"groupName\":\"G\"", 500, "serviceName is blank"},
    {"\"groupName\":\"G\",\"serviceName\":null", 500, "serviceName is blank"},
    {"\"groupName\":\"G\",\"serviceName\":\" \"", 500, "serviceName is blank"},
    {"\"serviceName\":\"s\"", 500, "Param 'groupName' is illegal, groupName is blank"},
    {"\"groupName\":\"\",\"serviceName\":\"s\"", 500, "groupName is blank"},
    {"\"groupName\":\"G\",\"serviceName\":{}", 502,
     "field 'serviceName': expected a string, got an object"},
    {"\"groupName\":[1],\"serviceName\":\"s\"", 502,
     "field 'groupName': expected a string, got an array"},
    {"\"groupName\":\"G\",\"serviceName\":\"<513:x>\"", 400,
     "Param check invalid:Param 'serviceName' is illegal, " LONG_BY("512")},
    {"\"groupName\":\"G\",\"serviceName\":\"<500000:x>\"", 400,
     "Param 'serviceName' is illegal, " LONG_BY("512")},
    {"\"groupName\":\"G\",\"serviceName\":\"<201:\xF0\x9F\x98\x80>\"", 400, "bytes of UTF-8"},
    {"\"groupName\":\"G\",\"serviceName\":\"a b\"", 400,
     "Param check invalid:Param 'serviceName' is illegal, " CHARACTERS},
    {"\"groupName\":\"G\",\"serviceName\":\"@a\"", 400, "'serviceName' is illegal, " CHARACTERS},
    {"\"groupName\":\"G\",\"serviceName\":\"a@@b\"", 400, "'serviceName' is illegal, " CHARACTERS},
    {"\"groupName\":\"G\",\"serviceName\":\"a\xE6\x9C\x8D\"", 400,
     "'serviceName' is illegal, " CHARACTERS},
    {"\"groupName\":\"G\",\"serviceName\":\"a\xff\xfe\"", 400,
     "'serviceName' is illegal, " CHARACTERS},
    {"\"groupName\":\"<129:g>\",\"serviceName\":\"s\"", 400,
     "Param 'group' is illegal, " LONG_BY("128")},
    {"\"groupName\":\"a@@b\",\"serviceName\":\"s\"", 400, "Param 'group' is illegal, " CHARACTERS},
    {"\"groupName\":\"a\xc3\xa4\",\"serviceName\":\"s\"", 400,
     "Param 'group' is illegal, " CHARACTERS},
    {"\"namespace\":\"<65:n>\",\"groupName\":\"G\",\"serviceName\":\"s\"", 400,
     "Param 'namespaceId/tenant' is illegal, " LONG_BY("64")},
    {"\"namespace\":\"a/b\",\"groupName\":\"G\",\"serviceName\":\"s\"", 400,
     "Param 'namespaceId/tenant' is illegal, " CHARACTERS},
    {"\"namespace\":\"\xff\",\"groupName\":\"G\",\"serviceName\":\"s\"", 400,
     "Param 'namespaceId/tenant' is illegal, " CHARACTERS},
    {"\"namespace\":{\"a\":1},\"groupName\":\"G\",\"serviceName\":\"s\"", 502,
     "field 'namespace': expected a string, got an object"},
};

#define WEIGHT "instance format invalid: The weights range from 0.0 to 10000.0"
#define IP "\"ip\":\"1.2.3.4\""
#define ADDRESS IP ",\"port\":80"

/* Instances that nobody may register. */
static const struct bad bad_instances[] = {
    {"", 400, "ip"},
    {"\"port\":80", 400, "ip"},
    {"\"ip\":\"\",\"port\":80", 400, "ip"},
    {"\"ip\":null,\"port\":80", 400, "ip"},
    {"\"ip\":\"<129:1>\",\"port\":80", 400,
     "Param check invalid:Param 'ip' is illegal, " LONG_BY("128")},
    {"\"ip\":\"1.2 3.4\",\"port\":80", 400, "Param 'ip' is illegal, " CHARACTERS},
    {"\"ip\":\"\xE4\xB8\x80\",\"port\":80", 400, "Param 'ip' is illegal, " CHARACTERS},
    {"\"ip\":\"1\xff\",\"port\":80", 400, "Param 'ip' is illegal, " CHARACTERS},
    {"\"ip\":[\"1.2.3.4\"],\"port\":80", 502, "field 'ip': expected a string, got an array"},
    {IP ",\"port\":-1", 400,
     "Param check invalid:Param 'port' is illegal, the value should be between 0 and 65535."},
    {IP ",\"port\":65536", 400, "Param 'port' is illegal"},
    {IP ",\"port\":2147483648", 400, "field 'port': expected -2147483648 to 2147483647"},
    {IP ",\"port\":-9223372036854775809", 400, "field 'port'"},
    {IP ",\"port\":1e300", 400, "field 'port': expected -2147483648 to 2147483647"},
    {IP ",\"port\":<400:9>", 400, "field 'port'"},
    {IP ",\"port\":8.5", 502, "field 'port': expected a whole number, got 8.5"},
    {IP ",\"port\":\"http\"", 502, "field 'port': expected a whole number, got \\\"http\\\""},
    {IP ",\"port\":{}", 502, "field 'port'"},
    {IP ",\"port\":true", 502, "field 'port'"},
    {ADDRESS ",\"weight\":-0.1", 400, WEIGHT},
    {ADDRESS ",\"weight\":10000.1", 400, WEIGHT},
    {ADDRESS ",\"weight\":1e308", 400, WEIGHT},
    {ADDRESS ",\"weight\":1e400", 502, "field 'weight': expected a finite number"},
    {ADDRESS ",\"weight\":\"NaN\"", 502, "field 'weight': expected a finite number"},
    {ADDRESS ",\"weight\":\"heavy\"", 502, "field 'weight'"},
    {ADDRESS ",\"weight\":[1]", 502, "field 'weight'"},
    {ADDRESS ",\"healthy\":\"maybe\"", 502, "field 'healthy': expected true or false"},
    {ADDRESS ",\"healthy\":{}", 502, "field 'healthy'"},
    {ADDRESS ",\"enabled\":2", 502, "field 'enabled': expected true or false, got 2"},
    {ADDRESS ",\"clusterName\":\"<65:c>\"", 400, "Param 'cluster' is illegal, " LONG_BY("64")},
    {ADDRESS ",\"clusterName\":\"a b\"", 400, "Param 'cluster' is illegal, " CHARACTERS},
    {ADDRESS ",\"clusterName\":\"a_b\"", 400,
     "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: a_b)"},
    {ADDRESS ",\"clusterName\":\"a,b\"", 400, "(current: a,b)"},
    {ADDRESS ",\"clusterName\":{}", 502, "field 'clusterName'"},
    {ADDRESS ",\"instanceId\":\"<2049:i>\"", 400, "Param 'instanceId' is illegal"},
    {ADDRESS ",\"instanceId\":[]", 502, "field 'instanceId'"},
    {ADDRESS ",\"metadata\":\"k=v\"", 502, "expected an object of strings, got a string"},
    {ADDRESS ",\"metadata\":[]", 502, "expected an object of strings, got an array"},
    {ADDRESS ",\"metadata\":{\"k\":{}}", 502, "field 'k': expected a string, got an object"},
    {ADDRESS ",\"metadata\":{\"k\":[\"v\"]}", 502, "field 'k'"},
    {ADDRESS ",\"metadata\":{\"k\":\"<1024:v>\"}", 400,
     "Param check invalid:Param 'Metadata' is illegal, " LONG_BY("1024")},
    {ADDRESS ",\"metadata\":{\"<1025:k>\":\"\"}", 400, "'Metadata' is illegal, " LONG_BY("1024")},
    {ADDRESS ",\"metadata\":{<1025:\"k\":\"v\",>\"l\":\"\"}", 400,
     "Param check invalid:Param 'Metadata' is illegal, " LONG_BY("1024")},
    {ADDRESS ",\"metadata\":{\"preserved.heart.beat.interval\":\"20000\"}", 400,
     "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete "
     "timeout'."},
    {ADDRESS ",\"metadata\":{\"preserved.ip.delete.timeout\":\"1\"}", 400,
     "Instance 'heart beat interval'"},
};

#define GOOD "{" ADDRESS "}"

/* What stands beside the names of an InstanceRequest or PersistentInstanceRequest. */
static const struct bad bad_instance_requests[] = {
    {"\"instance\":" GOOD, 400, "Unsupported request type "},
    {"\"type\":null,\"instance\":" GOOD, 400, "Unsupported request type "},
    {"\"type\":\"explode\",\"instance\":" GOOD, 400, "Unsupported request type explode"},
    {"\"type\":\"<10000:x>\",\"instance\":" GOOD, 400, "Unsupported request type xxx"},
    {"\"type\":\"batchRegisterInstance\",\"instance\":" GOOD, 400,
     "Unsupported request type batchRegisterInstance"},
    {"\"type\":[1],\"instance\":" GOOD, 502, "field 'type'"},
    {"\"type\":\"registerInstance\"", 400, "Instance can not be null."},
    {"\"type\":\"registerInstance\",\"instance\":null", 400, "Instance can not be null."},
    {"\"type\":\"registerInstance\",\"instance\":\"1.2.3.4:80\"", 502,
     "field 'instance': expected an object"},
    {"\"type\":\"registerInstance\",\"instance\":[]", 502, "field 'instance'"},
};

#define NAME "\"namespace\":\"n\",\"groupName\":\"G\",\"serviceName\":\"s\""

#define PLAY(type, reply, around, rows)                                                            \
    assert_int_equal(bad_play(&guest, &(struct play){type, reply, around}, rows, ARRAY_LEN(rows)), \
                     0)

static void play_instances(const char *type)
{
    PLAY(type, "InstanceResponse", "#", no_objects);
    PLAY(type, "InstanceResponse", "{#,\"type\":\"registerInstance\",\"instance\":" GOOD "}",
         bad_names);
    PLAY(type, "InstanceResponse", "{" NAME ",#}", bad_instance_requests);
    PLAY(type, "InstanceResponse", "{" NAME ",\"type\":\"registerInstance\",\"instance\":{#}}",
         bad_instances);
}

static void test_instance_request__bad_bodies__are_refused_with_a_reason(void **state)
{
    (void)state;
    play_instances("InstanceRequest");
}

static void test_persistent_request__bad_bodies__are_refused_with_a_reason(void **state)
{
    static const struct bad rows[] = {
        {"\"type\":\"deregisterInstance\"", 400, "Instance can not be null."},
    };
    (void)state;
    play_instances("PersistentInstanceRequest");
    PLAY("PersistentInstanceRequest", "InstanceResponse", "{" NAME ",#}", rows);
}

#define BATCH "\"type\":\"batchRegisterInstance\",\"instances\":"

static void test_batch_request__one_bad_member__refuses_the_whole_batch(void **state)
{
    static const struct bad rows[] = {
        {"\"instances\":[" GOOD "]", 400, "Unsupported request type "},
        {"\"type\":\"registerInstance\",\"instances\":[" GOOD "]", 400,
         "Unsupported request type registerInstance"},
        {BATCH "{}", 502, "field 'instances': expected an array"},
        {BATCH "\"\"", 502, "field 'instances': expected an array"},
        {BATCH "[1]", 502, "field 'instances': element 0 is no object"},
        {BATCH "[" GOOD ",null]", 502, "field 'instances': element 1 is no object"},
        {BATCH "[<10000:{},>{}]", 400, "field 'instances': at most 10000, got 10001"},
        {BATCH "[" GOOD ",{\"ip\":\"a\",\"serviceName\":\"G@@s\"}]", 400,
         "Param 'serviceName' is illegal"},
        {BATCH "[" GOOD ",{\"ip\":\"a\",\"weight\":-1},{\"ip\":\"b\",\"weight\":-1}]", 400,
         "instances[1] a:0: " WEIGHT "; instances[2] b:0: " WEIGHT},
    };
    (void)state;
    PLAY("BatchInstanceRequest", "BatchInstanceResponse", "#", no_objects);
    PLAY("BatchInstanceRequest", "BatchInstanceResponse", "{#," BATCH "[" GOOD "]}", bad_names);
    PLAY("BatchInstanceRequest", "BatchInstanceResponse",
         "{" NAME "," BATCH "[" GOOD ",{#},{\"ip\":\"1.2.3.5\",\"port\":81}]}", bad_instances);
    PLAY("BatchInstanceRequest", "BatchInstanceResponse", "{" NAME ",#}", rows);
}

static void test_query_request__bad_bodies__are_refused_with_a_reason(void **state)
{
    static const struct bad rows[] = {
        {"\"cluster\":\"<65:c>\"", 400,
         "Param check invalid:Param 'cluster' is illegal, " LONG_BY("64")},
        {"\"cluster\":\"a,b c\"", 400, "Param 'cluster' is illegal, " CHARACTERS},
        {"\"cluster\":\"a,,b\"", 400, "Param 'cluster' is illegal, " CHARACTERS},
        {"\"cluster\":\"a\xff\"", 400, "Param 'cluster' is illegal, " CHARACTERS},
        {"\"cluster\":[\"a\"]", 502, "field 'cluster'"},
        {"\"clusters\":{}", 502, "field 'clusters'"},
        {"\"healthyOnly\":\"sometimes\"", 502, "field 'healthyOnly'"},
        {"\"healthyOnly\":[]", 502, "field 'healthyOnly'"},
        {"\"healthyOnly\":7", 502, "field 'healthyOnly'"},
    };
    (void)state;
    PLAY("ServiceQueryRequest", "QueryServiceResponse", "#", no_objects);
    PLAY("ServiceQueryRequest", "QueryServiceResponse", "{#,\"cluster\":\"\"}", bad_names);
    PLAY("ServiceQueryRequest", "QueryServiceResponse", "{" NAME ",#}", rows);
}

static void test_subscribe_request__bad_bodies__subscribe_nobody(void **state)
{
    static const struct bad rows[] = {
        {"\"subscribe\":true,\"clusters\":\"<65:c>\"", 400,
         "Param check invalid:Param 'cluster' is illegal, " LONG_BY("64")},
        {"\"subscribe\":true,\"clusters\":\"a;b\"", 400, "Param 'cluster' is illegal, " CHARACTERS},
        {"\"subscribe\":true,\"clusters\":\"<500:abcdefgh,>\"", 400,
         "clusters: expected at most 4096 bytes, got 4500"},
        {"\"subscribe\":true,\"clusters\":[]", 502, "field 'clusters'"},
        {"\"subscribe\":\"please\"", 502, "field 'subscribe'"},
        {"\"subscribe\":{}", 502, "field 'subscribe'"},
        {"\"subscribe\":-1", 502, "field 'subscribe'"},
    };
    (void)state;
    PLAY("SubscribeServiceRequest", "SubscribeServiceResponse", "#", no_objects);
    PLAY("SubscribeServiceRequest", "SubscribeServiceResponse", "{#,\"subscribe\":true}",
         bad_names);
    PLAY("SubscribeServiceRequest", "SubscribeServiceResponse", "{" NAME ",#}", rows);
}

static void test_list_request__bad_bodies__are_refused_with_a_reason(void **state)
{
    static const struct bad rows[] = {
        {"\"groupName\":\"<129:g>\",\"pageNo\":1,\"pageSize\":1", 400,
         "Param check invalid:Param 'group' is illegal, " LONG_BY("128")},
        {"\"groupName\":\"a b\",\"pageNo\":1,\"pageSize\":1", 400,
         "\"count\":0,\"serviceNames\":[],"},
        {"\"namespace\":\"<65:n>\",\"pageNo\":1,\"pageSize\":1", 400,
         "Param 'namespaceId/tenant' is illegal, " LONG_BY("64")},
        {"\"namespace\":\"\xff\",\"pageNo\":1,\"pageSize\":1", 400,
         "Param 'namespaceId/tenant' is illegal, " CHARACTERS},
        {"\"pageNo\":1.5,\"pageSize\":1", 502, "field 'pageNo': expected a whole number"},
        {"\"pageNo\":\"first\",\"pageSize\":1", 502, "field 'pageNo'"},
        {"\"pageNo\":[],\"pageSize\":1", 502, "field 'pageNo'"},
        {"\"pageNo\":3e9,\"pageSize\":1", 400,
         "field 'pageNo': expected -2147483648 to 2147483647, got 3000000000"},
        {"\"pageNo\":1,\"pageSize\":1e30", 400, "field 'pageSize': expected -2147483648 to"},
        {"\"pageNo\":1,\"pageSize\":1e999", 400, "field 'pageSize'"},
        {"\"pageNo\":1,\"pageSize\":{}", 502, "field 'pageSize'"},
        /* Before the first page and behind the last are no failures. */
        {"\"groupName\":\"nobody\",\"pageNo\":2147483647,\"pageSize\":2147483647", 0,
         "\"count\":0,\"serviceNames\":[],"},
        {"\"groupName\":\"nobody\",\"pageNo\":-5,\"pageSize\":-5", 0, "\"serviceNames\":[],"},
    };
    (void)state;
    PLAY("ServiceListRequest", "ServiceListResponse", "#", no_objects);
    PLAY("ServiceListRequest", "ServiceListResponse", "{#}", rows);
}

static void test_health_check__body_that_is_no_object__is_refused(void **state)
{
    static const struct bad nothing_is_read[] = {{"{\"a\":[{}],\"module\":5}", 0, ""}};
    (void)state;
    PLAY("HealthCheckRequest", "ErrorResponse", "#", no_objects);
    PLAY("HealthCheckRequest", "HealthCheckResponse", "#", nothing_is_read);
}

/* grpc-sdk.md 3.10: it is answered before its body is looked at. */
static void test_server_check__any_body__is_answered(void **state)
{
    static const struct bad rows[] = {
        {"", 0, "\"connectionId\":\""},     {"{", 0, "\"connectionId\":\""},
        {"[]", 0, "\"connectionId\":\""},   {"<100000:[>", 0, "\"connectionId\":\""},
        {"\xff", 0, "\"connectionId\":\""},
    };
    (void)state;
    PLAY("ServerCheckRequest", "ServerCheckResponse", "#", rows);
}

/* Metadata is the one place where a text is kept that nothing checks: it must not make the answers
 * to others invalid. */
static void test_metadata__bytes_that_are_no_utf8__go_out_as_replacement_characters(void **state)
{
    (void)state;
    const char *ask = "{" NAME "}";
    struct client_reply r =
        client_ask(guest.client, "InstanceRequest",
                   "{" NAME ",\"type\":\"registerInstance\",\"instance\":{" ADDRESS
                   ",\"metadata\":{\"k\xc0\xaf\":\"\xff-\xed\xa0\x80\"}}}");
    assert_string_equal(r.message.type, "InstanceResponse");
    client_reply_close(&r);
    r = client_ask(guest.client, "ServiceQueryRequest", ask);
    assert_true(utf8_valid(r.message.json, strlen(r.message.json)));
    client_reply_close(&r);
    r = client_ask(guest.client, "InstanceRequest", "{" NAME ",\"type\":\"deregisterInstance\"}");
    client_reply_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instance_request__bad_bodies__are_refused_with_a_reason),
        cmocka_unit_test(test_persistent_request__bad_bodies__are_refused_with_a_reason),
        cmocka_unit_test(test_batch_request__one_bad_member__refuses_the_whole_batch),
        cmocka_unit_test(test_query_request__bad_bodies__are_refused_with_a_reason),
        cmocka_unit_test(test_subscribe_request__bad_bodies__subscribe_nobody),
        cmocka_unit_test(test_list_request__bad_bodies__are_refused_with_a_reason),
        cmocka_unit_test(test_health_check__body_that_is_no_object__is_refused),
        cmocka_unit_test(test_server_check__any_body__is_answered),
        cmocka_unit_test(test_metadata__bytes_that_are_no_utf8__go_out_as_replacement_characters),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
