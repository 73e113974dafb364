/* Instances: their JSON is that of Nacos 2.5.1 byte for byte, and they own what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "naming/instance.h"

static struct instance_data usual(void)
{
    return (struct instance_data){
        .ip = SPAN("10.3.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .instance_id = SPAN("10.3.0.1#80#null#DEFAULT_GROUP@@sub-svc"),
        .weight = 1.0,
        .healthy = true,
        .enabled = true,
        .ephemeral = true,
    };
}

static void expect_json(const struct instance_data *d, struct span grouped, const char *json)
{
    struct instance *i = instance_create(d, grouped, SPAN("client"));
    assert_int_equal(i->json.len, strlen(json));
    assert_memory_equal(i->json.data, json, i->json.len);
    const char *healthy = d->healthy ? "true" : "false";
    assert_memory_equal(i->json.data + i->healthy_off, healthy, strlen(healthy));
    instance_unref(i);
}

/* golden/grpc/java-2.5.1/subscribe.jsonl */
static void test_create__with_metadata__as_recorded(void **state)
{
    (void)state;
    const struct instance_pair pairs[] = {{SPAN("version"), SPAN("1")}, {SPAN("zone"), SPAN("a")}};
    struct instance_data d = usual();
    d.metadata = pairs;
    d.metadata_count = 2;
    expect_json(
        &d, SPAN("DEFAULT_GROUP@@sub-svc"),
        "{\"instanceId\":\"10.3.0.1#80#null#DEFAULT_GROUP@@sub-svc\",\"ip\":\"10.3.0.1\","
        "\"port\":80,\"weight\":1.0,\"healthy\":true,\"enabled\":true,\"ephemeral\":true,"
        "\"clusterName\":\"DEFAULT\",\"serviceName\":\"DEFAULT_GROUP@@sub-svc\","
        "\"metadata\":{\"version\":\"1\",\"zone\":\"a\"},\"instanceHeartBeatInterval\":5000,"
        "\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000}");
}

/* golden/http/beats.jsonl */
static void test_create__without_metadata__names_the_generator(void **state)
{
    (void)state;
    struct instance_data d = usual();
    d.healthy = false;
    d.ip = SPAN("10.12.0.1");
    d.instance_id = SPAN("10.12.0.1#80#DEFAULT#DEFAULT_GROUP@@beat-svc");
    expect_json(&d, SPAN("DEFAULT_GROUP@@beat-svc"),
                "{\"instanceId\":\"10.12.0.1#80#DEFAULT#DEFAULT_GROUP@@beat-svc\","
                "\"ip\":\"10.12.0.1\",\"port\":80,\"weight\":1.0,\"healthy\":false,"
                "\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"DEFAULT\","
                "\"serviceName\":\"DEFAULT_GROUP@@beat-svc\",\"metadata\":{},"
                "\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"
                "\"ipDeleteTimeout\":30000,\"instanceIdGenerator\":\"simple\"}");
}

static void test_create__no_id__no_key(void **state)
{
    (void)state;
    struct instance_data d = usual();
    d.instance_id = (struct span){0};
    d.weight = 2.5;
    d.enabled = false;
    d.ephemeral = false;
    d.port = 65535;
    expect_json(&d, SPAN("g@@s"),
                "{\"ip\":\"10.3.0.1\",\"port\":65535,\"weight\":2.5,\"healthy\":true,"
                "\"enabled\":false,\"ephemeral\":false,\"clusterName\":\"DEFAULT\","
                "\"serviceName\":\"g@@s\",\"metadata\":{},\"instanceHeartBeatInterval\":5000,"
                "\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000,"
                "\"instanceIdGenerator\":\"simple\"}");
}

static void test_create__preserved_keys__are_read_again(void **state)
{
    (void)state;
    const struct instance_pair pairs[] = {
        {SPAN("preserved.heart.beat.interval"), SPAN("1000")},
        {SPAN("preserved.heart.beat.timeout"), SPAN("3000")},
        {SPAN("preserved.ip.delete.timeout"), SPAN("+9000")}, /* no number for Nacos */
        {SPAN("preserved.instance.id.generator"), {NULL, 0}}, /* there, but empty */
    };
    struct instance_data d = usual();
    d.instance_id = (struct span){0};
    d.metadata = pairs;
    d.metadata_count = 4;
    expect_json(&d, SPAN("g@@s"),
                "{\"ip\":\"10.3.0.1\",\"port\":80,\"weight\":1.0,\"healthy\":true,"
                "\"enabled\":true,\"ephemeral\":true,\"clusterName\":\"DEFAULT\","
                "\"serviceName\":\"g@@s\",\"metadata\":{\"preserved.heart.beat.interval\":\"1000\","
                "\"preserved.heart.beat.timeout\":\"3000\",\"preserved.ip.delete.timeout\":"
                "\"+9000\",\"preserved.instance.id.generator\":\"\"},"
                "\"instanceHeartBeatInterval\":1000,\"instanceHeartBeatTimeOut\":3000,"
                "\"ipDeleteTimeout\":30000,\"instanceIdGenerator\":\"\"}");
}

static void test_create__texts_of_clients__are_escaped(void **state)
{
    (void)state;
    const struct instance_pair pairs[] = {{SPAN("a\"b"), SPAN("\\\n\x01\xFF\xC3\xA4")}};
    struct instance_data d = usual();
    d.ip = SPAN("\"");
    d.cluster = SPAN("\xE4\xB8");
    d.instance_id = SPAN("\t");
    d.metadata = pairs;
    d.metadata_count = 1;
    expect_json(&d, SPAN("g@@\""),
                "{\"instanceId\":\"\\t\",\"ip\":\"\\\"\",\"port\":80,\"weight\":1.0,"
                "\"healthy\":true,\"enabled\":true,\"ephemeral\":true,"
                "\"clusterName\":\"\xEF\xBF\xBD\",\"serviceName\":\"g@@\\\"\","
                "\"metadata\":{\"a\\\"b\":\"\\\\\\n\\u0001\xEF\xBF\xBD\xC3\xA4\"},"
                "\"instanceHeartBeatInterval\":5000,\"instanceHeartBeatTimeOut\":15000,"
                "\"ipDeleteTimeout\":30000}");
}

static void test_create__owns_its_texts(void **state)
{
    (void)state;
    char ip[] = "10.0.0.1";
    char cluster[] = "C1";
    char id[] = "the-id";
    char key[] = "key";
    char value[] = "value";
    char client[] = "client";
    const struct instance_pair pairs[] = {{span_str(key), span_str(value)}};
    struct instance_data d = usual();
    d.ip = span_str(ip);
    d.cluster = span_str(cluster);
    d.instance_id = span_str(id);
    d.metadata = pairs;
    d.metadata_count = 1;
    struct instance *i = instance_create(&d, SPAN("g@@s"), span_str(client));
    memset(ip, 'x', sizeof(ip));
    memset(cluster, 'x', sizeof(cluster));
    memset(id, 'x', sizeof(id));
    memset(key, 'x', sizeof(key));
    memset(value, 'x', sizeof(value));
    memset(client, 'x', sizeof(client));
    assert_true(span_eq(i->ip, SPAN("10.0.0.1")));
    assert_true(span_eq(i->cluster, SPAN("C1")));
    assert_true(span_eq(i->instance_id, SPAN("the-id")));
    assert_true(span_eq(i->client, SPAN("client")));
    assert_true(span_eq(instance_metadata(i, "key"), SPAN("value")));
    assert_int_equal(i->port, 80);
    instance_unref(i);
}

static void test_metadata__absent_and_empty__differ_by_data(void **state)
{
    (void)state;
    const struct instance_pair pairs[] = {{SPAN("empty"), {NULL, 0}}};
    struct instance_data d = usual();
    d.metadata = pairs;
    d.metadata_count = 1;
    struct instance *i = instance_create(&d, SPAN("g@@s"), SPAN("c"));
    assert_non_null(instance_metadata(i, "empty").data);
    assert_int_equal(instance_metadata(i, "empty").len, 0);
    assert_null(instance_metadata(i, "other").data);
    instance_unref(i);
}

static void test_as_data__makes_the_same_instance_again(void **state)
{
    (void)state;
    const struct instance_pair pairs[] = {{SPAN("k"), SPAN("v")},
                                          {SPAN("preserved.instance.id.generator"), {NULL, 0}}};
    struct instance_data d = usual();
    d.weight = 0.125;
    d.enabled = false;
    d.metadata = pairs;
    d.metadata_count = 2;
    struct instance *a = instance_create(&d, SPAN("g@@s"), SPAN("c"));
    struct instance_data again = instance_as_data(a);
    struct instance *b = instance_create(&again, SPAN("g@@s"), a->client);
    assert_true(span_eq(a->json, b->json));
    assert_true(span_eq(b->client, SPAN("c")));
    instance_unref(a);
    assert_true(span_eq(b->ip, SPAN("10.3.0.1")));
    instance_unref(b);
}

static void test_ref__last_one_frees(void **state)
{
    (void)state;
    struct instance_data d = usual();
    struct instance *i = instance_create(&d, SPAN("g@@s"), SPAN("c"));
    assert_ptr_equal(instance_ref(i), i);
    instance_unref(i);
    assert_int_equal(i->port, 80);
    instance_unref(i);
    instance_unref(NULL);
}

static void test_millis__digits_only(void **state)
{
    (void)state;
    struct {
        struct span text;
        int64_t expected;
    } cases[] = {
        {SPAN("0"), 0},     {SPAN("15000"), 15000},
        {SPAN("007"), 7},   {SPAN("9223372036854775807"), INT64_MAX},
        {SPAN(""), -1},     {SPAN("-5"), -1},
        {SPAN("+5"), -1},   {SPAN("5 "), -1},
        {SPAN("1.5"), -1},  {SPAN("9223372036854775808"), -1},
        {SPAN("0x10"), -1},
    };
    for (size_t at = 0; at < ARRAY_LEN(cases); at++) {
        const struct instance_pair pairs[] = {{SPAN("other"), SPAN("1")},
                                              {SPAN("key"), cases[at].text}};
        struct instance_data d = usual();
        d.metadata = pairs;
        d.metadata_count = 2;
        assert_int_equal(instance_data_millis(&d, "key", -1), cases[at].expected);
    }
    struct instance_data d = usual();
    assert_int_equal(instance_data_millis(&d, "key", 77), 77);
}

static void test_id_simple__parts_with_hashes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct instance_data d = usual();
    struct span grouped = SPAN("DEFAULT_GROUP@@svc");
    assert_true(span_eq(instance_id_simple(&d, SPAN("C1"), grouped, &arena),
                        SPAN("10.3.0.1#80#C1#DEFAULT_GROUP@@svc")));
    assert_true(span_eq(instance_id_simple(&d, (struct span){0}, grouped, &arena),
                        SPAN("10.3.0.1#80#null#DEFAULT_GROUP@@svc")));
    assert_true(span_eq(instance_id_simple(&d, SPAN(""), grouped, &arena),
                        SPAN("10.3.0.1#80##DEFAULT_GROUP@@svc")));
    arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create__with_metadata__as_recorded),
        cmocka_unit_test(test_create__without_metadata__names_the_generator),
        cmocka_unit_test(test_create__no_id__no_key),
        cmocka_unit_test(test_create__preserved_keys__are_read_again),
        cmocka_unit_test(test_create__texts_of_clients__are_escaped),
        cmocka_unit_test(test_create__owns_its_texts),
        cmocka_unit_test(test_metadata__absent_and_empty__differ_by_data),
        cmocka_unit_test(test_as_data__makes_the_same_instance_again),
        cmocka_unit_test(test_ref__last_one_frees),
        cmocka_unit_test(test_millis__digits_only),
        cmocka_unit_test(test_id_simple__parts_with_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
