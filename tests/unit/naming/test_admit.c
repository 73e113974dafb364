/* What is let into the log, and with which words the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "naming/naming_op.h"
#include "naming_harness.h"

static void begin(struct story *s)
{
    struct naming_options options = story_options();
    story_begin(s, &options);
}

static void test_register__ephemeral_into_persistent__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register_persistent(&s, "db", "10.0.0.2", 3306), 0);
    assert_int_equal(story_register(&s, conn, "db", "10.0.0.1", 80), E_INVALID);
    assert_string_equal(s.fail.text, "errCode: 400, errMsg: Current service DEFAULT_GROUP@@db is "
                                     "persistent service, can't register ephemeral instance. ");
    assert_int_equal(fail_nacos(&s.fail), 400);
    struct instance_data i = story_instance("10.0.0.1", 80);
    assert_int_equal(story_register_batch(&s, conn, "db", &i, 1), E_INVALID);
    assert_string_equal(s.fail.text,
                        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@db is "
                        "persistent service, can't batch register ephemeral instance. ");
    assert_int_equal(story_listed(&s, "db"), 1);
    story_end(&s);
}

static void test_register__persistent_into_ephemeral__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_register_persistent(&s, "demo", "10.0.0.2", 80), E_INVALID);
    assert_string_equal(s.fail.text, "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is "
                                     "ephemeral service, can't register persistent instance. ");
    story_end(&s);
}

static void test_register__no_naming_connection__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    assert_int_equal(story_register(&s, 4711, "demo", "10.0.0.1", 80), E_CLIENT_GONE);
    assert_string_equal(s.fail.text,
                        "errCode: -401, errMsg: Client [id-of-the-caller] connection already "
                        "disconnect, can't register ephemeral instance. ");
    assert_int_equal(fail_nacos(&s.fail), -401);
    assert_int_equal(s.proposed, 0);
    story_end(&s);
}

static void test_register__closed_connection__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    s.log_stuck = true;
    story_disconnect(&s, conn, REMOVAL_CONNECTION_CLOSED);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), E_CLIENT_GONE);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(story_listed(&s, "demo"), 0);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), E_CLIENT_GONE);
    story_end(&s);
}

static void test_register__illegal_instance__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data i = story_instance("10.0.0.1", 80);
    struct naming_publish p = {
        .service = story_name("demo"),
        .instances = &i,
        .count = 1,
        .ephemeral = true,
        .kind = CLIENT_CONNECTION,
        .conn = conn,
    };
    i.cluster = SPAN("under_score");
    assert_int_equal(story_publish(&s, &p), E_INVALID);
    assert_string_equal(s.fail.text, "Instance 'clusterName' should be characters with only "
                                     "0-9a-zA-Z-. (current: under_score)");
    i.cluster = SPAN("DEFAULT");
    i.weight = -1.0;
    assert_int_equal(story_publish(&s, &p), E_INVALID);
    i.weight = 10000.5;
    assert_int_equal(story_publish(&s, &p), E_INVALID);
    assert_int_equal(s.fail.v2, V2_WEIGHT_ERROR);
    i.weight = 10000.0;
    const struct instance_pair beats[] = {{SPAN("preserved.heart.beat.interval"), SPAN("9000")},
                                          {SPAN("preserved.heart.beat.timeout"), SPAN("8999")}};
    i.metadata = beats;
    i.metadata_count = 2;
    assert_int_equal(story_publish(&s, &p), E_INVALID);
    assert_string_equal(s.fail.text, "Instance 'heart beat interval' must less than 'heart beat "
                                     "timeout' and 'ip delete timeout'.");
    assert_int_equal(s.proposed, 0);
    i.metadata_count = 1;
    assert_int_equal(story_publish(&s, &p), 0);
    story_end(&s);
}

static void test_register_batch__each_illegal_member_is_named(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data list[4] = {story_instance("10.0.0.1", 80), story_instance("10.0.0.2", 81),
                                    story_instance("10.0.0.3", 82), story_instance("10.0.0.4", 83)};
    list[1].cluster = SPAN("a_b");
    list[3].weight = 20000.0;
    assert_int_equal(story_register_batch(&s, conn, "demo", list, 4), E_INVALID);
    assert_non_null(strstr(s.fail.text, "instances[1] 10.0.0.2:81: Instance 'clusterName'"));
    assert_non_null(strstr(s.fail.text, "; instances[3] 10.0.0.4:83: "));
    assert_null(strstr(s.fail.text, "instances[0]"));
    assert_null(strstr(s.fail.text, "instances[2]"));
    assert_int_equal(story_listed(&s, "demo"), 0);
    story_end(&s);
}

static void test_register_batch__very_many_illegal_members__text_is_bounded(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data list[200];
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        list[i] = story_instance("10.0.0.1", (int)i);
        list[i].cluster = SPAN("a_b");
    }
    assert_int_equal(story_register_batch(&s, conn, "demo", list, ARRAY_LEN(list)), E_INVALID);
    assert_true(strlen(s.fail.text) < FAIL_TEXT_MAX);
    story_end(&s);
}

static void test_register_batch__empty_list__is_a_publication_without_instances(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct instance_data i = story_instance("10.0.0.1", 80);
    assert_int_equal(story_register_batch(&s, conn, "demo", &i, 1), 0);
    assert_int_equal(story_listed(&s, "demo"), 1);
    assert_int_equal(story_register_batch(&s, conn, "demo", NULL, 0), 0);
    assert_int_equal(story_listed(&s, "demo"), 0);
    assert_true(story_service(&s, "demo")->exists);
    story_end(&s);
}

static void test_register__limits__are_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "known", "10.0.0.1", 80), 0);
    struct instance_data i = story_instance("10.0.0.1", 80);
    struct naming_publish p = {
        .service = story_name("demo"),
        .instances = &i,
        .count = 1,
        .ephemeral = true,
        .kind = CLIENT_CONNECTION,
        .conn = conn,
    };
    struct fail fail = {0};
    struct naming *n = s.naming;
    size_t had = n->service_count;
    n->service_count = NAMING_SERVICES_MAX;
    assert_int_equal(admit_publish(n, &p, NULL, s.now, &s.out, &fail), E_LIMIT);
    assert_string_equal(fail.text, "the registry holds at most 1000000 services, all are in use");
    n->service_count = had;

    had = n->instance_count;
    n->instance_count = NAMING_INSTANCES_MAX;
    assert_int_equal(admit_publish(n, &p, NULL, s.now, &s.out, &fail), E_LIMIT);
    assert_string_equal(fail.text,
                        "the registry holds at most 5000000 instances, 5000000 are in use");
    /* What replaces takes no room. */
    p.service = story_name("known");
    assert_int_equal(admit_publish(n, &p, NULL, s.now, &s.out, &fail), API_LATER);
    n->instance_count = had;

    p.service = story_name("demo");
    struct client *c = client_of_conn(n, conn);
    had = c->publication_count;
    c->publication_count = NAMING_CLIENT_PUBLISH_MAX;
    assert_int_equal(admit_publish(n, &p, NULL, s.now, &s.out, &fail), E_LIMIT);
    assert_non_null(strstr(fail.text, "a client publishes at most 100000 services"));
    c->publication_count = had;
    assert_int_equal(s.out.count, 1);
    story_end(&s);
}

static void test_register_batch__too_many_or_too_large__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    size_t count = INSTANCE_BATCH_MAX + 1;
    struct instance_data *list = mem_zalloc(count, sizeof(*list));
    char text[1025];
    memset(text, 'x', 1024);
    text[1024] = '\0';
    const struct instance_pair pair = {SPAN("k"), span_of(text, 1023)};
    for (size_t i = 0; i < count; i++) {
        list[i] = story_instance("10.0.0.1", (int)i);
    }
    assert_int_equal(story_register_batch(&s, conn, "demo", list, count), E_LIMIT);
    assert_string_equal(s.fail.text, "instances: expected at most 10000 in one batch, got 10001");
    for (size_t i = 0; i < count; i++) {
        list[i].ip = span_of(text, NAME_IP_MAX);
        list[i].cluster = span_of(text, NAME_CLUSTER_MAX);
        list[i].instance_id = span_of(text, 256);
        list[i].metadata = &pair;
        list[i].metadata_count = 1;
    }
    assert_int_equal(story_register_batch(&s, conn, "demo", list, INSTANCE_BATCH_MAX), E_TOO_LARGE);
    assert_non_null(strstr(s.fail.text, "one operation takes at most 12582912 bytes"));
    assert_int_equal(s.proposed, 0);
    mem_free(list);
    story_end(&s);
}

static void test_deregister__whatever_it_names__is_a_success(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    uint64_t other = story_connect(&s, "10.0.0.2");
    assert_int_equal(story_deregister(&s, conn, "unknown"), 0);
    assert_int_equal(story_deregister(&s, 4711, "unknown"), 0);
    assert_int_equal(story_deregister_persistent(&s, "unknown", "10.0.0.1", 80), 0);
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(&s, other, "demo"), 0);
    assert_int_equal(story_listed(&s, "demo"), 1);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    assert_int_equal(story_listed(&s, "demo"), 0);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    story_end(&s);
}

static void test_deregister__its_registration_still_on_its_way__is_in_order(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    s.log_stuck = true;
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(story_deregister(&s, conn, "demo"), 0);
    s.log_stuck = false;
    story_turn(&s);
    assert_int_equal(story_listed(&s, "demo"), 0);
    assert_int_equal(naming_stats(s.naming).instances, 0);
    story_end(&s);
}

static void test_overlay__put__sets_weight_enabled_and_metadata(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    const struct instance_pair pair = {SPAN("zone"), SPAN("b")};
    struct naming_overlay o = {
        .service = story_name("demo"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 5.0,
        .has_enabled = true,
        .has_metadata = true,
        .metadata = &pair,
        .metadata_count = 1,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    const struct instance *i = story_find(&s, "demo", "10.0.0.1", 80);
    assert_non_null(i);
    assert_true(i->weight == 5.0);
    assert_false(i->enabled);
    assert_true(span_eq(instance_metadata(i, "zone"), SPAN("b")));
    story_end(&s);
}

static void test_overlay__patch__leaves_what_it_does_not_name(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    const struct instance_pair pair = {SPAN("zone"), SPAN("b")};
    struct naming_overlay o = {
        .service = story_name("demo"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 5.0,
        .has_metadata = true,
        .metadata = &pair,
        .metadata_count = 1,
    };
    assert_int_equal(story_overlay(&s, &o), 0);
    o.patch = true;
    o.has_weight = false;
    o.has_metadata = false;
    o.has_enabled = true;
    assert_int_equal(story_overlay(&s, &o), 0);
    const struct instance *i = story_find(&s, "demo", "10.0.0.1", 80);
    assert_non_null(i);
    assert_true(i->weight == 5.0);
    assert_false(i->enabled);
    assert_true(span_eq(instance_metadata(i, "zone"), SPAN("b")));
    /* Given metadata replaces the overlay's. */
    o.has_metadata = true;
    o.metadata_count = 0;
    assert_int_equal(story_overlay(&s, &o), 0);
    i = story_find(&s, "demo", "10.0.0.1", 80);
    assert_non_null(i);
    assert_null(instance_metadata(i, "zone").data);
    assert_true(i->weight == 5.0);
    story_end(&s);
}

static void test_overlay__unknown__is_refused_with_nacos_texts(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    struct naming_overlay o = {
        .service = story_name("i-none"),
        .ip = SPAN("10.0.0.1"),
        .port = 80,
        .cluster = SPAN("DEFAULT"),
        .has_weight = true,
        .weight = 1.0,
    };
    assert_int_equal(story_overlay(&s, &o), E_INVALID);
    assert_string_equal(s.fail.text,
                        "service not found, namespace: public, service: "
                        "Service{namespace='public', group='DEFAULT_GROUP', name='i-none', "
                        "ephemeral=true, revision=0}");
    assert_int_equal(s.fail.v2, V2_INSTANCE_ERROR);
    o.patch = true;
    assert_int_equal(story_overlay(&s, &o), E_NOT_FOUND);
    assert_string_equal(s.fail.text,
                        "no ips found for cluster DEFAULT in service DEFAULT_GROUP@@i-none");
    assert_int_equal(s.fail.v2, V2_RESOURCE_NOT_FOUND);
    assert_int_equal(story_register(&s, conn, "i-none", "10.0.0.1", 81), 0);
    assert_int_equal(story_overlay(&s, &o), E_NOT_FOUND);
    assert_string_equal(s.fail.text, "no matched ip found!");
    o.patch = false; /* PUT: the overlay waits for its instance */
    assert_int_equal(story_overlay(&s, &o), 0);
    o.patch = true; /* an overlay alone is no instance */
    assert_int_equal(story_overlay(&s, &o), E_NOT_FOUND);
    story_end(&s);
}

static void test_overlay__weight_out_of_range__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    uint64_t conn = story_connect(&s, "10.0.0.1");
    assert_int_equal(story_register(&s, conn, "demo", "10.0.0.1", 80), 0);
    const double bad[] = {-0.1, 10000.1, 0.0 / 0.0};
    for (size_t k = 0; k < ARRAY_LEN(bad); k++) {
        struct naming_overlay o = {
            .service = story_name("demo"),
            .ip = SPAN("10.0.0.1"),
            .port = 80,
            .cluster = SPAN("DEFAULT"),
            .has_weight = true,
            .weight = bad[k],
        };
        assert_int_equal(story_overlay(&s, &o), E_INVALID);
        assert_string_equal(s.fail.text,
                            "instance format invalid: The weights range from 0.0 to 10000.0");
        assert_int_equal(s.fail.v2, V2_WEIGHT_ERROR);
    }
    story_end(&s);
}

static void test_service_put__create_change_remove__and_their_refusals(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    struct naming_service_put p = {.service = story_name("s"), .protect_threshold = -1.0};
    assert_int_equal(story_service_put(&s, &p), E_INVALID);
    assert_string_equal(s.fail.text, "service DEFAULT_GROUP@@s not found!");
    assert_int_equal(s.fail.v2, V2_SERVICE_NOT_EXIST);
    assert_int_equal(story_service_remove(&s, "s"), E_INVALID);
    assert_string_equal(s.fail.text, "service DEFAULT_GROUP@@s not found!");
    p.create = true;
    assert_int_equal(story_service_put(&s, &p), 0);
    assert_true(story_service(&s, "s")->exists);
    assert_false(story_service(&s, "s")->ephemeral);
    assert_true(story_service(&s, "s")->protect_threshold == 0.0);
    assert_int_equal(story_service_put(&s, &p), E_INVALID);
    assert_string_equal(s.fail.text, "specified service DEFAULT_GROUP@@s already exists!");
    assert_int_equal(s.fail.v2, V2_SERVICE_ALREADY_EXIST);
    p.create = false;
    p.protect_threshold = 0.5;
    assert_int_equal(story_service_put(&s, &p), 0);
    assert_true(story_service(&s, "s")->protect_threshold == 0.5);
    assert_int_equal(story_register_persistent(&s, "s", "10.0.0.1", 80), 0);
    assert_int_equal(story_service_remove(&s, "s"), E_INVALID);
    assert_string_equal(s.fail.text, "Service DEFAULT_GROUP@@s is not empty, can't be delete. "
                                     "Please unregister instance first");
    assert_int_equal(s.fail.v2, V2_SERVICE_DELETE_FAILURE);
    assert_int_equal(story_deregister_persistent(&s, "s", "10.0.0.1", 80), 0);
    assert_int_equal(story_service_remove(&s, "s"), 0);
    assert_int_equal(naming_stats(s.naming).services, 0);
    story_end(&s);
}

static void test_service_put__selector_too_long__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    char selector[NAMING_OP_SELECTOR_MAX + 1];
    memset(selector, 'x', sizeof(selector));
    struct naming_service_put p = {
        .service = story_name("s"),
        .create = true,
        .selector = span_of(selector, sizeof(selector)),
    };
    assert_int_equal(story_service_put(&s, &p), E_INVALID);
    assert_true(strlen(s.fail.text) > 0);
    p.selector.len--;
    assert_int_equal(story_service_put(&s, &p), 0);
    story_end(&s);
}

static void test_service_put__registry_full__is_refused(void **state)
{
    (void)state;
    struct story s;
    begin(&s);
    size_t had = s.naming->service_count;
    s.naming->service_count = NAMING_SERVICES_MAX;
    struct naming_service_put p = {.service = story_name("s"), .create = true};
    struct fail fail = {0};
    assert_int_equal(admit_service_put(s.naming, &p, NULL, s.now, &s.out, &fail), E_LIMIT);
    s.naming->service_count = had;
    story_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_register__ephemeral_into_persistent__is_refused),
        cmocka_unit_test(test_register__persistent_into_ephemeral__is_refused),
        cmocka_unit_test(test_register__no_naming_connection__is_refused),
        cmocka_unit_test(test_register__closed_connection__is_refused),
        cmocka_unit_test(test_register__illegal_instance__is_refused),
        cmocka_unit_test(test_register_batch__each_illegal_member_is_named),
        cmocka_unit_test(test_register_batch__very_many_illegal_members__text_is_bounded),
        cmocka_unit_test(test_register_batch__empty_list__is_a_publication_without_instances),
        cmocka_unit_test(test_register__limits__are_refused),
        cmocka_unit_test(test_register_batch__too_many_or_too_large__is_refused),
        cmocka_unit_test(test_deregister__whatever_it_names__is_a_success),
        cmocka_unit_test(test_deregister__its_registration_still_on_its_way__is_in_order),
        cmocka_unit_test(test_overlay__put__sets_weight_enabled_and_metadata),
        cmocka_unit_test(test_overlay__patch__leaves_what_it_does_not_name),
        cmocka_unit_test(test_overlay__unknown__is_refused_with_nacos_texts),
        cmocka_unit_test(test_overlay__weight_out_of_range__is_refused),
        cmocka_unit_test(test_service_put__create_change_remove__and_their_refusals),
        cmocka_unit_test(test_service_put__selector_too_long__is_refused),
        cmocka_unit_test(test_service_put__registry_full__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
