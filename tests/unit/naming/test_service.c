/* Services: found by name, listed by group, freed when nothing holds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "naming_bed.h"

static void test_obtain__not_listed_until_it_exists(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct service_name name = bed_name("demo");
    assert_null(service_find(b.naming, &name));
    struct service *s = service_obtain(b.naming, &name);
    assert_ptr_equal(service_find(b.naming, &name), s);
    assert_ptr_equal(service_obtain(b.naming, &name), s);
    assert_false(s->exists);
    assert_true(span_eq(s->grouped, SPAN("DEFAULT_GROUP@@demo")));
    assert_int_equal(naming_stats(b.naming).services, 0);
    service_set_exists(b.naming, s, true);
    assert_int_equal(naming_stats(b.naming).services, 1);
    assert_false(service_release(b.naming, s));
    service_set_gone(b.naming, s);
    assert_int_equal(naming_stats(b.naming).services, 0);
    assert_true(service_release(b.naming, s));
    assert_null(service_find(b.naming, &name));
    bed_end(&b);
}

static void test_obtain__owns_its_name(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    char namespace_id[] = "dev";
    char group[] = "G1";
    char text[] = "demo";
    struct service_name name = {span_str(namespace_id), span_str(group), span_str(text)};
    struct service *s = service_obtain(b.naming, &name);
    namespace_id[0] = group[0] = text[0] = 'x';
    struct service_name same = {SPAN("dev"), SPAN("G1"), SPAN("demo")};
    assert_true(service_name_eq(&s->name, &same));
    assert_ptr_equal(service_find(b.naming, &same), s);
    struct service_name others[] = {{SPAN("dev2"), SPAN("G1"), SPAN("demo")},
                                    {SPAN("dev"), SPAN("G2"), SPAN("demo")},
                                    {SPAN("dev"), SPAN("G1"), SPAN("demo2")}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_null(service_find(b.naming, &others[i]));
    }
    assert_true(service_release(b.naming, s));
    bed_end(&b);
}

static void test_gone__leaves_nothing_behind(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct service *s = NULL;
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(bed_service_put(&b, "demo", false, true, 0.5), 0);
    struct naming_op op = {.kind = NAMING_OP_OVERLAY,
                           .service = bed_name("demo"),
                           .ip = SPAN("10.0.0.1"),
                           .port = 80,
                           .cluster = SPAN("DEFAULT"),
                           .has_enabled = true};
    assert_int_equal(bed_apply(&b, &op), 0);
    assert_int_equal(bed_unpublish(&b, "c1", "demo"), 0);
    s = bed_service(&b, "demo");
    s->subscriber_count = 1; /* as push.c counts: it is found after it is gone */
    b.naming->subscription_count = 1;
    view_spoil(b.view, span_of(s->key, s->key_len));
    assert_int_equal(bed_service_remove(&b, "demo", true), 0);
    assert_ptr_equal(bed_service(&b, "demo"), s);
    assert_false(s->exists);
    assert_false(s->has_record);
    assert_true(s->protect_threshold == 0.0);
    assert_null(s->slots);
    assert_int_equal(s->overlay_count, 0);
    assert_int_equal(s->removals_count, 0);
    assert_int_equal(s->revision, 0);
    assert_int_equal(view_count(b.view), 0);
    s->subscriber_count = 0;
    b.naming->subscription_count = 0;
    assert_true(service_release(b.naming, s));
    bed_end(&b);
}

static void test_release__cleaners_cursor__moves_on(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct service_name names[] = {bed_name("a"), bed_name("b")};
    struct service *first = service_obtain(b.naming, &names[0]);
    struct service *second = service_obtain(b.naming, &names[1]);
    b.naming->clean_at = first;
    assert_true(service_release(b.naming, first));
    assert_ptr_equal(b.naming->clean_at, second);
    assert_true(service_release(b.naming, second));
    assert_null(b.naming->clean_at);
    bed_end(&b);
}

static void expect_group(struct bed *b, const char *group, const char *const *names, size_t count)
{
    size_t got = 99;
    struct service *const *list =
        service_group_sorted(b->naming, SPAN("public"), span_str(group), &got);
    assert_int_equal(got, count);
    assert_int_equal(list != NULL, count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_eq(list[i]->name.name, span_str(names[i])));
    }
    naming_check(b->naming);
}

static void test_group__sorted_whatever_comes_and_goes(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    expect_group(&b, "DEFAULT_GROUP", NULL, 0);
    const char *const order[] = {"m", "a", "z", "b", "y", "c"};
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        assert_int_equal(bed_service_put(&b, order[i], true, true, 0), 0);
    }
    expect_group(&b, "DEFAULT_GROUP", (const char *const[]){"a", "b", "c", "m", "y", "z"}, 6);
    assert_int_equal(bed_service_remove(&b, "b", true), 0);
    expect_group(&b, "DEFAULT_GROUP", (const char *const[]){"a", "c", "m", "y", "z"}, 5);
    assert_int_equal(bed_service_remove(&b, "z", true), 0);
    assert_int_equal(bed_service_put(&b, "b", true, true, 0), 0);
    assert_int_equal(bed_service_remove(&b, "a", true), 0);
    expect_group(&b, "DEFAULT_GROUP", (const char *const[]){"b", "c", "m", "y"}, 4);
    expect_group(&b, "OTHER", NULL, 0);
    const char *const rest[] = {"b", "c", "m", "y"};
    for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
        assert_int_equal(bed_service_remove(&b, rest[i], true), 0);
    }
    expect_group(&b, "DEFAULT_GROUP", NULL, 0);
    assert_null(b.naming->groups);
    bed_end(&b);
}

static void test_group__namespaces_and_groups_are_apart(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    const struct service_name names[] = {{SPAN("public"), SPAN("G1"), SPAN("s")},
                                         {SPAN("public"), SPAN("G2"), SPAN("s")},
                                         {SPAN("dev"), SPAN("G1"), SPAN("s")},
                                         {SPAN("dev"), SPAN("G1"), SPAN("t")}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct naming_op op = {.kind = NAMING_OP_SERVICE_PUT, .service = names[i], .create = true};
        assert_int_equal(bed_apply(&b, &op), 0);
    }
    size_t count = 0;
    assert_non_null(service_group_sorted(b.naming, SPAN("public"), SPAN("G1"), &count));
    assert_int_equal(count, 1);
    assert_non_null(service_group_sorted(b.naming, SPAN("dev"), SPAN("G1"), &count));
    assert_int_equal(count, 2);
    assert_null(service_group_sorted(b.naming, SPAN("dev"), SPAN("G2"), &count));
    assert_int_equal(count, 0);
    bed_end(&b);
}

static void test_slot__by_address_and_back(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct service_name name = bed_name("demo");
    struct service *s = service_obtain(b.naming, &name);
    const struct {
        struct span ip;
        uint16_t port;
        struct span cluster;
    } addresses[] = {
        {SPAN("10.0.0.1"), 80, SPAN("DEFAULT")},  {SPAN("10.0.0.1"), 8, SPAN("DEFAULT")},
        {SPAN("10.0.0.1"), 80, SPAN("C1")},       {SPAN("::1"), 0, SPAN("DEFAULT")},
        {SPAN("host.example"), 65535, SPAN("D")},
    };
    struct instance_slot *slots[ARRAY_LEN(addresses)];
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        assert_null(
            instance_slot_find(s, addresses[i].ip, addresses[i].port, addresses[i].cluster));
        slots[i] =
            instance_slot_obtain(s, addresses[i].ip, addresses[i].port, addresses[i].cluster);
        assert_ptr_equal(slots[i], instance_slot_obtain(s, addresses[i].ip, addresses[i].port,
                                                        addresses[i].cluster));
    }
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct span ip = {0};
        struct span cluster = {0};
        uint16_t port = 1;
        instance_slot_address(slots[i], &ip, &port, &cluster);
        assert_true(span_eq(ip, addresses[i].ip));
        assert_int_equal(port, addresses[i].port);
        assert_true(span_eq(cluster, addresses[i].cluster));
        instance_slot_release(s, slots[i]);
        assert_null(
            instance_slot_find(s, addresses[i].ip, addresses[i].port, addresses[i].cluster));
    }
    assert_null(s->slots);
    assert_true(service_release(b.naming, s));
    bed_end(&b);
}

static void test_slot_find__address_longer_than_any_checked_one__is_unknown(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "c1", "demo", "10.0.0.1", 80), 0);
    char text[4096];
    memset(text, '1', sizeof(text));
    const struct service *s = bed_service(&b, "demo");
    assert_null(instance_slot_find(s, span_of(text, sizeof(text)), 80, SPAN("DEFAULT")));
    assert_null(instance_slot_find(s, SPAN("10.0.0.1"), 80, span_of(text, sizeof(text))));
    bed_end(&b);
}

static void test_clear__frees_services_clients_and_what_they_share(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    for (int i = 0; i < 5; i++) {
        char client[32];
        snprintf(client, sizeof(client), "10.0.0.%d:80#true", i);
        assert_int_equal(bed_register(&b, client, "a", "10.0.0.1", 80), 0);
        assert_int_equal(bed_register(&b, client, "b", client, 80), 0);
    }
    assert_int_equal(bed_service_put(&b, "recorded", true, false, 0.5), 0);
    naming_clear(b.naming);
    naming_check(b.naming);
    struct naming_stats stats = naming_stats(b.naming);
    assert_int_equal(stats.services + stats.instances + stats.clients, 0);
    assert_null(b.naming->services);
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_obtain__not_listed_until_it_exists),
        cmocka_unit_test(test_obtain__owns_its_name),
        cmocka_unit_test(test_gone__leaves_nothing_behind),
        cmocka_unit_test(test_release__cleaners_cursor__moves_on),
        cmocka_unit_test(test_group__sorted_whatever_comes_and_goes),
        cmocka_unit_test(test_group__namespaces_and_groups_are_apart),
        cmocka_unit_test(test_slot__by_address_and_back),
        cmocka_unit_test(test_slot_find__address_longer_than_any_checked_one__is_unknown),
        cmocka_unit_test(test_clear__frees_services_clients_and_what_they_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
