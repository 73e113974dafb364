/* The shared value of a service, and ServiceInfo made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "naming/service_value.h"
#include "naming_bed.h"

static struct service_value *build(struct bed *b)
{
    return service_value_build(bed_service(b, "demo"));
}

static void drop(struct service_value *v)
{
    view_value_unref(&v->base);
}

static void set(struct bed *b, const char *client, const char *ip, const char *cluster,
                bool healthy, bool enabled)
{
    struct instance_data i = bed_instance(ip, 80);
    i.cluster = span_str(cluster);
    i.healthy = healthy;
    i.enabled = enabled;
    assert_int_equal(bed_publish(b, client, "demo", &i, 1), 0);
}

/* The body as one text; freed by the caller. */
static char *text_of(struct body *take_body)
{
    size_t len = body_len(take_body);
    char *text = malloc(len + 1);
    assert_non_null(text);
    body_copy(take_body, text);
    text[len] = '\0';
    body_close(take_body);
    return text;
}

static char *info(const struct service_value *v, const struct service_query *q)
{
    struct service_name name = bed_name("demo");
    struct body body = {0};
    service_info_body(v, &name, q, &(struct service_frame){.stamp = 1712000000000}, &body);
    return text_of(&body);
}

static size_t count_of(const char *text, const char *piece)
{
    size_t count = 0;
    for (const char *at = strstr(text, piece); at; at = strstr(at + 1, piece)) {
        count++;
    }
    return count;
}

/* Hosts, healthy hosts, and the flag, as q sees them. */
static void expect_query(const struct service_value *v, struct service_query q, size_t hosts,
                         size_t healthy, bool reached)
{
    char *text = info(v, &q);
    assert_int_equal(count_of(text, "\"ip\":"), hosts);
    assert_int_equal(count_of(text, "\"healthy\":true"), healthy);
    assert_int_equal(count_of(text, "\"reachProtectionThreshold\":true"), reached);
    assert_int_equal(count_of(text, "\"reachProtectionThreshold\":false"), !reached);
    free(text);
}

static void test_info__one_instance__as_recorded(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    const struct instance_pair pairs[] = {{SPAN("version"), SPAN("1")}, {SPAN("zone"), SPAN("a")}};
    struct instance_data i = bed_instance("10.1.0.3", 9090);
    i.cluster = SPAN("C2");
    i.weight = 3.5;
    i.instance_id = SPAN("10.1.0.3#9090#C2#DEFAULT_GROUP@@demo");
    i.metadata = pairs;
    i.metadata_count = 2;
    assert_int_equal(bed_publish(&b, "c1", "demo", &i, 1), 0);
    struct service_value *v = build(&b);
    char *text = info(v, &(struct service_query){.clusters = SPAN("C2")});
    /* golden/grpc/java-2.5.1/instance-ephemeral.jsonl */
    assert_string_equal(
        text,
        "{\"name\":\"demo\",\"groupName\":\"DEFAULT_GROUP\",\"clusters\":\"C2\","
        "\"cacheMillis\":10000,\"hosts\":[{\"instanceId\":\"10.1.0.3#9090#C2#DEFAULT_GROUP@@demo\","
        "\"ip\":\"10.1.0.3\",\"port\":9090,\"weight\":3.5,\"healthy\":true,\"enabled\":true,"
        "\"ephemeral\":true,\"clusterName\":\"C2\",\"serviceName\":\"DEFAULT_GROUP@@demo\","
        "\"metadata\":{\"version\":\"1\",\"zone\":\"a\"},\"instanceHeartBeatInterval\":5000,"
        "\"instanceHeartBeatTimeOut\":15000,\"ipDeleteTimeout\":30000}],"
        "\"lastRefTime\":1712000000000,\"checksum\":\"\",\"allIPs\":false,"
        "\"reachProtectionThreshold\":false,\"valid\":true}");
    char *whole = info(v, &(struct service_query){0});
    assert_int_equal(strlen(whole) + 2, strlen(text)); /* but for "C2" the same */
    free(whole);
    free(text);
    drop(v);
    bed_end(&b);
}

static void test_info__no_such_service__empty_hosts(void **state)
{
    (void)state;
    char *text = info(NULL, &(struct service_query){.clusters = SPAN("a\"b")});
    assert_string_equal(text, "{\"name\":\"demo\",\"groupName\":\"DEFAULT_GROUP\","
                              "\"clusters\":\"a\\\"b\",\"cacheMillis\":10000,\"hosts\":[],"
                              "\"lastRefTime\":1712000000000,\"checksum\":\"\",\"allIPs\":false,"
                              "\"reachProtectionThreshold\":false,\"valid\":true}");
    free(text);
}

static void test_info__grouped_name_head_and_tail(void **state)
{
    (void)state;
    struct service_name name = bed_name("demo");
    struct body body = {0};
    struct service_query q = {.grouped_name = true};
    struct service_frame frame = {5, SPAN("{\"resultCode\":200,\"serviceInfo\":"), SPAN("}")};
    service_info_body(NULL, &name, &q, &frame, &body);
    char *text = text_of(&body);
    assert_string_equal(text, "{\"resultCode\":200,\"serviceInfo\":"
                              "{\"name\":\"DEFAULT_GROUP@@demo\",\"groupName\":\"DEFAULT_GROUP\","
                              "\"clusters\":\"\",\"cacheMillis\":10000,\"hosts\":[],"
                              "\"lastRefTime\":5,\"checksum\":\"\",\"allIPs\":false,"
                              "\"reachProtectionThreshold\":false,\"valid\":true}}");
    free(text);
}

static void test_info__whole_list__shares_the_hosts(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    set(&b, "c1", "10.0.0.1", "DEFAULT", true, true);
    set(&b, "c2", "10.0.0.2", "C1", true, true);
    struct service_value *v = build(&b);
    const struct service_query whole[] = {
        {0}, {.clusters = SPAN(" ")}, {.healthy_only = true}, {.grouped_name = true}};
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        struct service_name name = bed_name("demo");
        struct body body = {0};
        service_info_body(v, &name, &whole[i], &(struct service_frame){1, SPAN("<"), SPAN(">")},
                          &body);
        assert_int_equal(body.parts, 3);
        assert_ptr_equal(body.part[1].buf, v->hosts);
        assert_int_equal(body.part[1].len, v->hosts->len);
        body_close(&body);
    }
    struct service_name name = bed_name("demo");
    struct body body = {0};
    service_info_body(v, &name, &(struct service_query){.clusters = SPAN("C1")},
                      &(struct service_frame){0}, &body);
    assert_ptr_not_equal(body.part[1].buf, v->hosts);
    body_close(&body);
    drop(v);
    bed_end(&b);
}

static void test_query__clusters_health_and_disabled_ones(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    set(&b, "c1", "10.0.0.1", "DEFAULT", true, true);
    set(&b, "c2", "10.0.0.2", "DEFAULT", false, true);
    set(&b, "c3", "10.0.0.3", "C1", true, true);
    set(&b, "c4", "10.0.0.4", "C1", false, false);
    set(&b, "c5", "10.0.0.5", "C2", true, false);
    struct service_value *v = build(&b);
    assert_int_equal(v->count, 5);
    assert_int_equal(v->enabled, 3);
    assert_int_equal(v->healthy, 2);
    assert_false(v->protecting);
    expect_query(v, (struct service_query){0}, 3, 2, false);
    expect_query(v, (struct service_query){.healthy_only = true}, 2, 2, false);
    expect_query(v, (struct service_query){.clusters = SPAN("DEFAULT")}, 2, 1, false);
    expect_query(v, (struct service_query){.clusters = SPAN("C1,DEFAULT")}, 3, 2, false);
    expect_query(v, (struct service_query){.clusters = SPAN("C2")}, 0, 0, false);
    expect_query(v, (struct service_query){.clusters = SPAN("DEFAULT"), .healthy_only = true}, 1, 1,
                 false);
    drop(v);
    bed_end(&b);
}

/* A service of count instances, the first healthy of them healthy, with a record of threshold. */
static struct service_value *protected_value(struct bed *b, size_t count, size_t healthy,
                                             double threshold)
{
    bed_begin(b);
    for (size_t i = 0; i < count; i++) {
        char ip[32];
        snprintf(ip, sizeof(ip), "10.0.0.%zu", i);
        set(b, ip, ip, i % 2 ? "ODD" : "EVEN", i < healthy, true);
    }
    assert_int_equal(bed_service_put(b, "demo", false, true, threshold), 0);
    return build(b);
}

static void test_protection__ratio_not_above_the_threshold(void **state)
{
    (void)state;
    const struct {
        size_t count;
        size_t healthy;
        double threshold;
        bool reached;
    } cases[] = {
        {4, 2, 0.5, true},    {4, 3, 0.5, false},     {3, 0, 0.0, true},  {3, 1, 0.0, false},
        {3, 3, 1.0, true},    {3, 3, 0.99, false},    {10, 3, 0.3, true}, {100, 29, 0.29, true},
        {100, 7, 0.07, true}, {100, 58, 0.57, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bed b;
        struct service_value *v =
            protected_value(&b, cases[i].count, cases[i].healthy, cases[i].threshold);
        assert_int_equal(v->protecting, cases[i].reached);
        expect_query(v, (struct service_query){0}, cases[i].count,
                     cases[i].reached ? cases[i].count : cases[i].healthy, cases[i].reached);
        drop(v);
        bed_end(&b);
    }
}

static void test_protection__without_record_or_instances__never(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    set(&b, "c1", "10.0.0.1", "DEFAULT", false, true);
    struct service_value *v = build(&b);
    assert_false(v->has_record);
    assert_false(v->protecting);
    drop(v);
    bed_end(&b);
    bed_begin(&b);
    assert_int_equal(bed_service_put(&b, "demo", true, true, 1.0), 0);
    v = build(&b);
    assert_true(v->has_record);
    assert_false(v->protecting);
    expect_query(v, (struct service_query){0}, 0, 0, false);
    drop(v);
    bed_end(&b);
}

static void test_protection__filtered__ratio_of_what_is_left(void **state)
{
    (void)state;
    struct bed b;
    /* 0 and 1 healthy of 0..5: EVEN has 1 of 3, ODD has 1 of 3. */
    struct service_value *v = protected_value(&b, 6, 2, 0.34);
    assert_true(v->protecting);
    expect_query(v, (struct service_query){.clusters = SPAN("EVEN")}, 3, 3, true);
    /* Unhealthy ones are gone before: the ratio is 1. */
    expect_query(v, (struct service_query){.healthy_only = true}, 2, 2, false);
    expect_query(v, (struct service_query){.clusters = SPAN("NONE")}, 0, 0, false);
    drop(v);
    bed_end(&b);
    v = protected_value(&b, 6, 2, 1.0);
    expect_query(v, (struct service_query){.healthy_only = true}, 2, 2, true);
    drop(v);
    bed_end(&b);
}

static void test_protection__a_host_shown_as_healthy__is_otherwise_the_same(void **state)
{
    (void)state;
    struct bed b;
    struct service_value *v = protected_value(&b, 1, 0, 0.0);
    const struct instance *i = v->instances[0];
    assert_false(i->healthy);
    struct span hosts = buf_span(v->hosts);
    assert_int_equal(hosts.len, i->json.len + 2 - 1); /* brackets; true is shorter than false */
    size_t off = i->healthy_off;
    assert_memory_equal(hosts.data + 1, i->json.data, off);
    assert_memory_equal(hosts.data + 1 + off, "true,", 5);
    assert_memory_equal(hosts.data + 1 + off + 4, i->json.data + off + 5, i->json.len - off - 5);
    drop(v);
    bed_end(&b);
}

static void test_build__value_outlives_the_change(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    set(&b, "c1", "10.0.0.1", "DEFAULT", true, true);
    struct service_value *v = build(&b);
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(bed_service_remove(&b, "demo", true), 0);
    bed_end(&b);
    assert_true(span_eq(v->instances[0]->ip, SPAN("10.0.0.1")));
    expect_query(v, (struct service_query){.clusters = SPAN("DEFAULT")}, 1, 1, false);
    drop(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info__one_instance__as_recorded),
        cmocka_unit_test(test_info__no_such_service__empty_hosts),
        cmocka_unit_test(test_info__grouped_name_head_and_tail),
        cmocka_unit_test(test_info__whole_list__shares_the_hosts),
        cmocka_unit_test(test_query__clusters_health_and_disabled_ones),
        cmocka_unit_test(test_protection__ratio_not_above_the_threshold),
        cmocka_unit_test(test_protection__without_record_or_instances__never),
        cmocka_unit_test(test_protection__filtered__ratio_of_what_is_left),
        cmocka_unit_test(test_protection__a_host_shown_as_healthy__is_otherwise_the_same),
        cmocka_unit_test(test_build__value_outlives_the_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
