/* What one operation does, and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "naming_bed.h"

#define HTTP1 "10.0.0.1:80#true"
#define PERSISTENT1 "10.0.0.1:80#false"

/* The ports of the shown instances of ip, in the order of the list, as "80 81". */
static void expect_ports(struct bed *b, const char *expected)
{
    char text[256] = "";
    size_t len = 0;
    const struct service *s = bed_service(b, "demo");
    for (size_t i = 0; s && i < s->shown_count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? " " : "",
                                (unsigned)s->shown[i]->effective->port);
    }
    assert_string_equal(text, expected);
}

static void publish_ports(struct bed *b, const char *client, const int *ports, size_t count)
{
    struct instance_data list[8];
    assert_true(count <= ARRAY_LEN(list));
    for (size_t i = 0; i < count; i++) {
        list[i] = bed_instance("10.0.0.1", ports[i]);
    }
    assert_int_equal(bed_publish(b, client, "demo", list, count), 0);
}

static void test_publish__first__makes_service_and_client(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    int64_t time_ms = b.time_ms;
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_true(b.created);
    assert_int_equal(b.touched, 1);
    assert_int_equal(b.removed, 0);
    const struct service *s = bed_service(&b, "demo");
    assert_true(s->exists);
    assert_true(s->ephemeral);
    assert_false(s->has_record);
    assert_int_equal(s->revision, 1);
    assert_int_equal(s->updated_ms, time_ms);
    assert_int_equal(s->healthy_count, 1);
    const struct client *c = client_find(b.naming, SPAN("c1"));
    assert_int_equal(c->updated_ms, time_ms);
    assert_int_equal(publication_find(c, s)->time_ms, time_ms);
    const struct instance *i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_true(i->ephemeral);
    assert_true(span_eq(i->client, SPAN("c1")));
    struct naming_stats stats = naming_stats(b.naming);
    assert_int_equal(stats.services, 1);
    assert_int_equal(stats.instances, 1);
    assert_int_equal(stats.connection_clients, 1);
    bed_end(&b);
}

static void test_publish__again__is_a_change_but_no_removal(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    struct instance_data i = bed_instance("10.0.0.1", 80);
    i.weight = 5;
    i.healthy = false;
    assert_int_equal(bed_publish(&b, "c1", "demo", &i, 1), 0);
    assert_false(b.created);
    assert_int_equal(b.touched, 1);
    assert_int_equal(b.removed, 0);
    const struct service *s = bed_service(&b, "demo");
    assert_int_equal(s->revision, 2);
    assert_int_equal(s->shown_count, 1);
    assert_int_equal(s->healthy_count, 0);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 5.0);
    bed_end(&b);
}

/* golden/grpc/java-2.5.1/replace.jsonl: ports 1 and 2 on one connection. */
static void test_publish__another_address__replaces(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.15.0.1", 1), 0);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.15.0.1", 2), 0);
    assert_int_equal(b.removed, 1);
    assert_int_equal(b.reason, REMOVAL_REPLACED);
    expect_ports(&b, "2");
    const struct service *s = bed_service(&b, "demo");
    assert_int_equal(s->removals_count, 1);
    assert_int_equal(s->removals[0].reason, REMOVAL_REPLACED);
    assert_string_equal(s->removals[0].what, "10.15.0.1:1#DEFAULT");
    assert_string_equal(s->removals[0].client, "c1");
    bed_end(&b);
}

static void test_publish__batch__keys_that_stay_keep_their_place(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    publish_ports(&b, "c1", (const int[]){1, 2, 3, 4}, 4);
    expect_ports(&b, "1 2 3 4");
    publish_ports(&b, "c1", (const int[]){4, 2, 5, 1}, 4);
    assert_int_equal(b.removed, 1);
    expect_ports(&b, "1 2 5 4"); /* the last took the place of 3 */
    publish_ports(&b, "c1", (const int[]){7}, 1);
    assert_int_equal(b.removed, 4);
    expect_ports(&b, "7");
    bed_end(&b);
}

static void test_publish__batch__last_of_a_key_wins(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct instance_data list[] = {bed_instance("10.0.0.1", 80), bed_instance("10.0.0.1", 81),
                                   bed_instance("10.0.0.1", 80)};
    list[0].weight = 2;
    list[2].weight = 3;
    assert_int_equal(bed_publish(&b, "c1", "demo", list, 3), 0);
    const struct service *s = bed_service(&b, "demo");
    assert_int_equal(s->shown_count, 2);
    assert_int_equal(s->publications->count, 2);
    assert_true(s->publications->batch);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 3.0);
    list[0].weight = 4;
    assert_int_equal(bed_publish(&b, "c1", "demo", list, 1), 0);
    assert_false(s->publications->batch);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 4.0);
    bed_end(&b);
}

static void test_publish__empty_batch__publishes_nothing(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    publish_ports(&b, "c1", (const int[]){1, 2}, 2);
    publish_ports(&b, "c1", NULL, 0);
    assert_int_equal(b.removed, 2);
    assert_int_equal(b.reason, REMOVAL_REPLACED);
    const struct service *s = bed_service(&b, "demo");
    assert_true(s->exists);
    assert_int_equal(s->revision, 2);
    assert_int_equal(s->publication_count, 0);
    assert_null(client_find(b.naming, SPAN("c1")));
    /* An empty batch first: the service exists, as in Nacos. */
    assert_int_equal(bed_publish(&b, "c1", "fresh", NULL, 0), 0);
    assert_true(bed_service(&b, "fresh")->exists);
    assert_null(client_find(b.naming, SPAN("c1")));
    assert_int_equal(bed_service_remove(&b, "fresh", true), 0);
    bed_end(&b);
}

static void test_publish__same_address_by_two_clients__newest_is_shown(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "c1b", "demo", "10.0.0.1", 81), 0);
    struct instance_data i = bed_instance("10.0.0.1", 80);
    i.weight = 7;
    i.healthy = false;
    assert_int_equal(bed_publish(&b, "c2", "demo", &i, 1), 0);
    const struct service *s = bed_service(&b, "demo");
    assert_int_equal(s->shown_count, 2);
    assert_int_equal(s->healthy_count, 1);
    expect_ports(&b, "80 81");
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 7.0);
    assert_int_equal(naming_stats(b.naming).instances, 3);
    /* The first one says it again: now it is the newest. */
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 1.0);
    assert_int_equal(s->healthy_count, 2);
    /* It goes: the other one is shown again, in its place, and nothing was removed for readers. */
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(b.removed, 0);
    assert_int_equal(b.touched, 1);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 7.0);
    expect_ports(&b, "80 81");
    assert_int_equal(bed_gone(&b, "c2"), 0);
    assert_int_equal(b.removed, 1);
    expect_ports(&b, "81");
    bed_end(&b);
}

static void test_publish__hidden_one_goes__nothing_changes_for_readers(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "c2", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "c3", "demo", "10.0.0.1", 80), 0);
    uint64_t revision = bed_service(&b, "demo")->revision;
    assert_int_equal(bed_gone(&b, "c2"), 0);
    assert_int_equal(b.removed, 0);
    assert_int_equal(b.touched, 0);
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(b.touched, 0);
    assert_int_equal(bed_service(&b, "demo")->revision, revision);
    assert_true(span_eq(bed_find(&b, "demo", "10.0.0.1", 80)->client, SPAN("c3")));
    bed_end(&b);
}

static void test_publish__cluster_is_part_of_the_address(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct instance_data list[] = {bed_instance("10.0.0.1", 80), bed_instance("10.0.0.1", 80)};
    list[1].cluster = SPAN("C1");
    assert_int_equal(bed_publish(&b, "c1", "demo", list, 2), 0);
    assert_int_equal(bed_service(&b, "demo")->shown_count, 2);
    /* A persistent instance that comes with another cluster moves (semantics.md 1.3). */
    assert_int_equal(bed_publish(&b, PERSISTENT1, "db", &list[0], 1), 0);
    assert_int_equal(bed_publish(&b, PERSISTENT1, "db", &list[1], 1), 0);
    const struct service *db = bed_service(&b, "db");
    assert_int_equal(db->shown_count, 1);
    assert_true(span_eq(db->shown[0]->effective->cluster, SPAN("C1")));
    assert_false(db->shown[0]->effective->ephemeral);
    bed_end(&b);
}

static void expect_kind_refused(struct bed *b, const char *client, size_t count, const char *text)
{
    struct instance_data list[] = {bed_instance("10.0.0.9", 80), bed_instance("10.0.0.9", 81)};
    assert_int_equal(bed_publish(b, client, "demo", list, count), E_INVALID);
    assert_string_equal(b->fail.text, text);
    assert_int_equal(fail_nacos(&b->fail), 400);
    assert_int_equal(b->touched, 0);
    assert_false(b->created);
    assert_null(client_find(b->naming, span_str(client)));
}

static void test_publish__other_kind__refused_with_nacos_text(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, PERSISTENT1, "demo", "10.0.0.1", 80), 0);
    expect_kind_refused(&b, "c9", 1,
                        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is persistent "
                        "service, can't register ephemeral instance. ");
    expect_kind_refused(&b, "c9", 2,
                        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is persistent "
                        "service, can't batch register ephemeral instance. ");
    expect_kind_refused(&b, "10.0.0.9:80#true", 1,
                        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is persistent "
                        "service, can't register ephemeral instance. ");
    bed_end(&b);
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    expect_kind_refused(&b, "10.0.0.9:80#false", 1,
                        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is ephemeral "
                        "service, can't register persistent instance. ");
    bed_end(&b);
}

static void test_publish__other_kind__free_again_when_nobody_publishes(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, PERSISTENT1, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_unpublish(&b, PERSISTENT1, "demo"), 0);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_true(bed_service(&b, "demo")->ephemeral);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->ephemeral);
    bed_end(&b);
    /* A record keeps its kind without instances. */
    bed_begin(&b);
    assert_int_equal(bed_service_put(&b, "demo", true, false, 0), 0);
    expect_kind_refused(&b, "c9", 1,
                        "errCode: 400, errMsg: Current service DEFAULT_GROUP@@demo is persistent "
                        "service, can't register ephemeral instance. ");
    assert_int_equal(bed_register(&b, PERSISTENT1, "demo", "10.0.0.1", 80), 0);
    bed_end(&b);
}

static void test_unpublish__takes_all_of_the_client_and_only_that(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    publish_ports(&b, "c1", (const int[]){1, 2, 3}, 3);
    publish_ports(&b, "c2", (const int[]){9}, 1);
    assert_int_equal(bed_register(&b, "c1", "other", "10.0.0.1", 80), 0);
    assert_int_equal(bed_unpublish(&b, "c1", "demo"), 0);
    assert_int_equal(b.removed, 3);
    assert_int_equal(b.reason, REMOVAL_DEREGISTERED);
    assert_int_equal(b.touched, 1);
    expect_ports(&b, "9");
    assert_int_equal(bed_service(&b, "other")->shown_count, 1);
    assert_non_null(client_find(b.naming, SPAN("c1")));
    assert_int_equal(bed_unpublish(&b, "c1", "other"), 0);
    assert_null(client_find(b.naming, SPAN("c1")));
    assert_true(bed_service(&b, "other")->exists); /* until the cleaner comes */
    bed_end(&b);
}

static void test_unpublish__of_nothing__does_nothing(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_unpublish(&b, "c1", "demo"), 0);
    assert_null(bed_service(&b, "demo"));
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_unpublish(&b, "c2", "demo"), 0);
    assert_int_equal(bed_unpublish(&b, "c1", "other"), 0);
    assert_int_equal(b.touched, 0);
    assert_int_equal(bed_service(&b, "demo")->revision, 1);
    assert_null(client_find(b.naming, SPAN("c2")));
    bed_end(&b);
}

static void test_gone__takes_everything_of_the_client(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    for (int i = 0; i < 20; i++) {
        char service[16];
        snprintf(service, sizeof(service), "s%d", i);
        assert_int_equal(bed_register(&b, "c1", service, "10.0.0.1", 80), 0);
        assert_int_equal(bed_register(&b, "c2", service, "10.0.0.2", 80), 0);
    }
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(b.touched, 20);
    assert_int_equal(b.removed, 20);
    assert_int_equal(b.reason, REMOVAL_CONNECTION_CLOSED);
    assert_null(client_find(b.naming, SPAN("c1")));
    assert_int_equal(naming_stats(b.naming).instances, 20);
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(b.touched, 0);
    bed_end(&b);
}

static void test_health__of_the_publication(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, HTTP1, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "c2", "demo", "10.0.0.2", 80), 0);
    assert_int_equal(bed_health(&b, HTTP1, "demo", true), 0);
    assert_int_equal(b.touched, 0); /* it was */
    assert_int_equal(bed_health(&b, HTTP1, "demo", false), 0);
    assert_int_equal(b.touched, 1);
    assert_true(b.unhealthy);
    assert_false(bed_find(&b, "demo", "10.0.0.1", 80)->healthy);
    assert_true(bed_find(&b, "demo", "10.0.0.2", 80)->healthy);
    assert_int_equal(bed_service(&b, "demo")->healthy_count, 1);
    assert_int_equal(bed_health(&b, HTTP1, "demo", true), 0);
    assert_false(b.unhealthy);
    assert_int_equal(bed_service(&b, "demo")->healthy_count, 2);
    assert_int_equal(bed_health(&b, HTTP1, "none", false), 0);
    assert_int_equal(bed_health(&b, "c9", "demo", false), 0);
    assert_int_equal(b.touched, 0);
    bed_end(&b);
}

static void test_health__of_a_hidden_one__shows_when_it_comes_back(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, HTTP1, "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_register(&b, "c2", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_health(&b, HTTP1, "demo", false), 0);
    assert_int_equal(b.touched, 0);
    assert_int_equal(bed_service(&b, "demo")->healthy_count, 1);
    assert_int_equal(bed_gone(&b, "c2"), 0);
    assert_int_equal(b.touched, 1);
    assert_int_equal(bed_service(&b, "demo")->healthy_count, 0);
    bed_end(&b);
}

static void test_removals__ring_of_the_last(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 0), 0);
    for (int i = 1; i <= 40; i++) {
        assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", i), 0);
        const struct service *s = bed_service(&b, "demo");
        assert_int_equal(s->removals_count, i);
        for (int back = 1; back <= i && back <= SERVICE_REMOVALS_KEPT; back++) {
            char what[96];
            snprintf(what, sizeof(what), "10.0.0.1:%d#DEFAULT", i - back);
            assert_string_equal(s->removals[(i - back) % SERVICE_REMOVALS_KEPT].what, what);
        }
    }
    bed_end(&b);
}

static void test_service_put__create_then_change(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_service_put(&b, "demo", false, true, 0.5), E_INVALID);
    assert_string_equal(b.fail.text, "service DEFAULT_GROUP@@demo not found!");
    assert_int_equal(b.fail.v2, V2_SERVICE_NOT_EXIST);
    assert_null(bed_service(&b, "demo"));

    const struct instance_pair pairs[] = {{SPAN("owner"), SPAN("team")}};
    struct naming_op op = {
        .kind = NAMING_OP_SERVICE_PUT,
        .service = bed_name("demo"),
        .create = true,
        .protect_threshold = 0.5,
        .metadata = pairs,
        .metadata_count = 1,
        .selector = SPAN("{\"type\":\"none\"}"),
    };
    assert_int_equal(bed_apply(&b, &op), 0);
    assert_true(b.created);
    assert_int_equal(b.touched, 1);
    const struct service *s = bed_service(&b, "demo");
    assert_true(s->exists && s->has_record);
    assert_false(s->ephemeral);
    assert_true(s->protect_threshold == 0.5);
    assert_true(span_eq(s->metadata[0].value, SPAN("team")));
    assert_string_equal(s->selector, "{\"type\":\"none\"}");

    assert_int_equal(bed_service_put(&b, "demo", true, true, 0.5), E_INVALID);
    assert_string_equal(b.fail.text, "specified service DEFAULT_GROUP@@demo already exists!");
    assert_int_equal(b.fail.v2, V2_SERVICE_ALREADY_EXIST);

    assert_int_equal(bed_service_put(&b, "demo", false, true, 0.25), 0);
    assert_false(s->ephemeral); /* a change leaves the kind */
    assert_true(s->protect_threshold == 0.25);
    assert_int_equal(s->metadata_count, 0);
    assert_null(s->selector);
    assert_int_equal(b.touched, 1); /* readers see the threshold at once (semantics.md 8.2 N16) */
    bed_end(&b);
}

static void test_service_put__over_an_implicit_one(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_service_put(&b, "demo", true, true, 0.5), E_INVALID);
    assert_false(bed_service(&b, "demo")->has_record);
    assert_int_equal(bed_service_put(&b, "demo", false, true, 0.5), 0);
    assert_true(bed_service(&b, "demo")->has_record);
    assert_int_equal(bed_service(&b, "demo")->shown_count, 1);
    bed_end(&b);
}

static void test_service_remove__explicit(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_service_remove(&b, "demo", true), E_INVALID);
    assert_string_equal(b.fail.text, "service DEFAULT_GROUP@@demo not found!");
    assert_int_equal(b.fail.v2, V2_SERVICE_NOT_EXIST);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_service_remove(&b, "demo", true), E_INVALID);
    assert_string_equal(b.fail.text, "Service DEFAULT_GROUP@@demo is not empty, can't be delete. "
                                     "Please unregister instance first");
    assert_int_equal(b.fail.v2, V2_SERVICE_DELETE_FAILURE);
    assert_int_equal(bed_unpublish(&b, "c1", "demo"), 0);
    assert_int_equal(bed_service_put(&b, "demo", false, true, 0.5), 0);
    assert_int_equal(bed_service_remove(&b, "demo", true), 0);
    assert_int_equal(b.touched, 1);
    assert_null(bed_service(&b, "demo"));
    bed_end(&b);
}

static void test_service_remove__by_the_cleaner__only_what_nobody_wants(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_service_remove(&b, "demo", false), 0);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_service_remove(&b, "demo", false), 0);
    assert_int_equal(b.touched, 0);
    assert_non_null(bed_service(&b, "demo"));
    assert_int_equal(bed_unpublish(&b, "c1", "demo"), 0);
    assert_int_equal(bed_service_put(&b, "demo", false, true, 0), 0);
    assert_int_equal(bed_service_remove(&b, "demo", false), 0);
    assert_true(bed_service(&b, "demo")->has_record);
    assert_int_equal(bed_service_remove(&b, "demo", true), 0);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(bed_service_remove(&b, "demo", false), 0);
    assert_null(bed_service(&b, "demo"));
    bed_end(&b);
}

static void test_apply__unknown_kind__does_nothing(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct naming_op op = {.kind = (enum naming_op_kind)99, .service = bed_name("demo")};
    assert_int_equal(bed_apply(&b, &op), 0);
    assert_int_equal(b.touched, 0);
    assert_null(bed_service(&b, "demo"));
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish__first__makes_service_and_client),
        cmocka_unit_test(test_publish__again__is_a_change_but_no_removal),
        cmocka_unit_test(test_publish__another_address__replaces),
        cmocka_unit_test(test_publish__batch__keys_that_stay_keep_their_place),
        cmocka_unit_test(test_publish__batch__last_of_a_key_wins),
        cmocka_unit_test(test_publish__empty_batch__publishes_nothing),
        cmocka_unit_test(test_publish__same_address_by_two_clients__newest_is_shown),
        cmocka_unit_test(test_publish__hidden_one_goes__nothing_changes_for_readers),
        cmocka_unit_test(test_publish__cluster_is_part_of_the_address),
        cmocka_unit_test(test_publish__other_kind__refused_with_nacos_text),
        cmocka_unit_test(test_publish__other_kind__free_again_when_nobody_publishes),
        cmocka_unit_test(test_unpublish__takes_all_of_the_client_and_only_that),
        cmocka_unit_test(test_unpublish__of_nothing__does_nothing),
        cmocka_unit_test(test_gone__takes_everything_of_the_client),
        cmocka_unit_test(test_health__of_the_publication),
        cmocka_unit_test(test_health__of_a_hidden_one__shows_when_it_comes_back),
        cmocka_unit_test(test_removals__ring_of_the_last),
        cmocka_unit_test(test_service_put__create_then_change),
        cmocka_unit_test(test_service_put__over_an_implicit_one),
        cmocka_unit_test(test_service_remove__explicit),
        cmocka_unit_test(test_service_remove__by_the_cleaner__only_what_nobody_wants),
        cmocka_unit_test(test_apply__unknown_kind__does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
