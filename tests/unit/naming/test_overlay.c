/* What operators set over instances, and what clients publish below it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/v2_codes.h"
#include "base/mem.h"
#include "naming/overlay.h"
#include "naming_bed.h"

static struct naming_op over(const char *ip, uint16_t port)
{
    return (struct naming_op){
        .kind = NAMING_OP_OVERLAY,
        .service = bed_name("demo"),
        .ip = span_str(ip),
        .port = port,
        .cluster = SPAN("DEFAULT"),
    };
}

/* One instance, 10.0.0.1:80, weight 1, metadata k=v and zone=a. */
static void begin(struct bed *b)
{
    bed_begin(b);
    const struct instance_pair pairs[] = {{SPAN("k"), SPAN("v")}, {SPAN("zone"), SPAN("a")}};
    struct instance_data i = bed_instance("10.0.0.1", 80);
    i.metadata = pairs;
    i.metadata_count = 2;
    assert_int_equal(bed_publish(b, "c1", "demo", &i, 1), 0);
}

static void test_put__set_fields__are_shown_and_no_others(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    struct naming_op op = over("10.0.0.1", 80);
    op.has_weight = true;
    op.weight = 7;
    assert_int_equal(bed_apply(&b, &op), 0);
    assert_int_equal(b.touched, 1);
    const struct instance *i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_true(i->weight == 7.0);
    assert_true(i->enabled);
    assert_int_equal(i->metadata_count, 2);

    op = over("10.0.0.1", 80);
    op.has_enabled = true;
    op.merge_metadata = true;
    assert_int_equal(bed_apply(&b, &op), 0);
    i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_true(i->weight == 7.0);
    assert_false(i->enabled);
    const struct entry *e = bed_service(&b, "demo")->shown[0];
    assert_true(e->published->weight == 1.0);
    assert_true(e->published->enabled);
    bed_end(&b);
}

static void test_put__metadata__over_what_is_published(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    const struct instance_pair first[] = {{SPAN("zone"), SPAN("b")}, {SPAN("new"), SPAN("x")}};
    struct naming_op op = over("10.0.0.1", 80);
    op.metadata = first;
    op.metadata_count = 2;
    assert_int_equal(bed_apply(&b, &op), 0);
    const struct instance *i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_int_equal(i->metadata_count, 3);
    assert_true(span_eq(instance_metadata(i, "k"), SPAN("v")));
    assert_true(span_eq(instance_metadata(i, "zone"), SPAN("b")));
    assert_true(span_eq(instance_metadata(i, "new"), SPAN("x")));

    /* Merged: what is not named stays, keys to remove go; a published key cannot be removed. */
    const struct instance_pair more[] = {{SPAN("more"), SPAN("y")}, {SPAN("zone"), SPAN("c")}};
    const struct span gone[] = {SPAN("new"), SPAN("k")};
    op = over("10.0.0.1", 80);
    op.merge_metadata = true;
    op.metadata = more;
    op.metadata_count = 2;
    op.metadata_remove = gone;
    op.metadata_remove_count = 2;
    assert_int_equal(bed_apply(&b, &op), 0);
    i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_int_equal(i->metadata_count, 3);
    assert_true(span_eq(instance_metadata(i, "k"), SPAN("v")));
    assert_true(span_eq(instance_metadata(i, "zone"), SPAN("c")));
    assert_true(span_eq(instance_metadata(i, "more"), SPAN("y")));

    /* Replaced by nothing: the published ones are back. */
    op = over("10.0.0.1", 80);
    assert_int_equal(bed_apply(&b, &op), 0);
    i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_int_equal(i->metadata_count, 2);
    assert_true(span_eq(instance_metadata(i, "zone"), SPAN("a")));
    bed_end(&b);
}

static void test_put__survives_its_instance_and_is_there_again(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    struct naming_op op = over("10.0.0.1", 80);
    op.has_enabled = true;
    assert_int_equal(bed_apply(&b, &op), 0);
    const struct instance_slot *slot =
        instance_slot_find(bed_service(&b, "demo"), SPAN("10.0.0.1"), 80, SPAN("DEFAULT"));
    assert_int_equal(slot->overlay->unused_since_ms, 0);
    int64_t gone_ms = b.time_ms;
    assert_int_equal(bed_gone(&b, "c1"), 0);
    assert_int_equal(slot->overlay->unused_since_ms, gone_ms);
    /* Another client, the same address (semantics.md 8.2 N12). */
    assert_int_equal(bed_register(&b, "c2", "demo", "10.0.0.1", 80), 0);
    assert_int_equal(slot->overlay->unused_since_ms, 0);
    assert_false(bed_find(&b, "demo", "10.0.0.1", 80)->enabled);
    /* Another address is another instance. */
    assert_int_equal(bed_register(&b, "c3", "demo", "10.0.0.1", 81), 0);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 81)->enabled);
    bed_end(&b);
}

static void test_put__only_the_newest_of_an_address_shows_it(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    assert_int_equal(bed_register(&b, "c2", "demo", "10.0.0.1", 80), 0);
    struct naming_op op = over("10.0.0.1", 80);
    op.has_weight = true;
    op.weight = 3;
    assert_int_equal(bed_apply(&b, &op), 0);
    const struct entry *newest = bed_service(&b, "demo")->shown[0];
    assert_true(span_eq(newest->published->client, SPAN("c2")));
    assert_true(newest->effective->weight == 3.0);
    assert_ptr_equal(newest->key_older->effective, newest->key_older->published);
    /* The older one is shown again, with the overlay. */
    assert_int_equal(bed_gone(&b, "c2"), 0);
    const struct instance *i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_true(span_eq(i->client, SPAN("c1")));
    assert_true(i->weight == 3.0);
    assert_int_equal(i->metadata_count, 2);
    bed_end(&b);
}

static void test_put__health_stays_the_clients(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    assert_int_equal(bed_register(&b, "10.0.0.1:80#true", "demo", "10.0.0.1", 80), 0);
    struct naming_op op = over("10.0.0.1", 80);
    op.has_weight = true;
    op.weight = 3;
    assert_int_equal(bed_apply(&b, &op), 0);
    assert_int_equal(bed_health(&b, "10.0.0.1:80#true", "demo", false), 0);
    const struct instance *i = bed_find(&b, "demo", "10.0.0.1", 80);
    assert_false(i->healthy);
    assert_true(i->weight == 3.0);
    assert_int_equal(bed_service(&b, "demo")->healthy_count, 0);
    bed_end(&b);
}

static void test_put__unknown_service__refused(void **state)
{
    (void)state;
    struct bed b;
    bed_begin(&b);
    struct naming_op op = over("10.0.0.1", 80);
    assert_int_equal(bed_apply(&b, &op), E_INVALID);
    assert_int_equal(b.fail.v2, V2_INSTANCE_ERROR);
    assert_true(strstr(b.fail.text, "service not found, namespace: public, service: ") ==
                b.fail.text);
    assert_null(bed_service(&b, "demo"));
    op.remove = true;
    op.time_ms = 0;
    assert_int_equal(bed_apply(&b, &op), 0);
    bed_end(&b);
}

static void test_put__more_metadata_than_the_limit__nothing_changes(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    char *large = calloc(1, NAMING_OP_METADATA_BYTES_MAX);
    assert_non_null(large);
    struct instance_pair pair = {SPAN("a"), span_of(large, NAMING_OP_METADATA_BYTES_MAX - 1)};
    struct naming_op op = over("10.0.0.1", 80);
    op.merge_metadata = true;
    op.metadata = &pair;
    op.metadata_count = 1;
    assert_int_equal(naming_op_check(&(struct naming_op){.kind = NAMING_OP_OVERLAY,
                                                         .time_ms = 1,
                                                         .service = op.service,
                                                         .ip = op.ip,
                                                         .port = op.port,
                                                         .cluster = op.cluster,
                                                         .metadata = op.metadata,
                                                         .metadata_count = 1},
                                     NULL),
                     0);
    assert_int_equal(bed_apply(&b, &op), 0);
    pair = (struct instance_pair){SPAN("b"), SPAN("")};
    op.time_ms = 0;
    assert_int_equal(bed_apply(&b, &op), E_LIMIT);
    assert_int_equal(b.touched, 0);
    assert_null(instance_metadata(bed_find(&b, "demo", "10.0.0.1", 80), "b").data);
    /* The same key again takes the place of the old value. */
    pair = (struct instance_pair){SPAN("a"), SPAN("small")};
    op.time_ms = 0;
    assert_int_equal(bed_apply(&b, &op), 0);
    assert_true(
        span_eq(instance_metadata(bed_find(&b, "demo", "10.0.0.1", 80), "a"), SPAN("small")));
    free(large);
    bed_end(&b);
}

static void test_put__refused_for_an_unknown_address__leaves_no_slot(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    size_t count = INSTANCE_METADATA_MAX + 1;
    struct instance_pair *many = calloc(count, sizeof(*many));
    assert_non_null(many);
    struct naming_op op = over("10.9.9.9", 80);
    op.metadata = many;
    op.metadata_count = count;
    assert_int_equal(bed_apply(&b, &op), E_LIMIT);
    assert_null(instance_slot_find(bed_service(&b, "demo"), SPAN("10.9.9.9"), 80, SPAN("DEFAULT")));
    free(many);
    bed_end(&b);
}

static void test_drop__only_while_unused(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    struct naming_op op = over("10.0.0.1", 80);
    op.has_weight = true;
    op.weight = 3;
    assert_int_equal(bed_apply(&b, &op), 0);
    struct naming_op drop = over("10.0.0.1", 80);
    drop.remove = true;
    assert_int_equal(bed_apply(&b, &drop), 0);
    assert_true(bed_find(&b, "demo", "10.0.0.1", 80)->weight == 3.0);
    assert_int_equal(bed_unpublish(&b, "c1", "demo"), 0);
    assert_int_equal(bed_service(&b, "demo")->overlay_count, 1);
    drop.time_ms = 0;
    assert_int_equal(bed_apply(&b, &drop), 0);
    assert_int_equal(b.touched, 0);
    assert_int_equal(bed_service(&b, "demo")->overlay_count, 0);
    assert_null(bed_service(&b, "demo")->slots);
    drop.time_ms = 0;
    assert_int_equal(bed_apply(&b, &drop), 0);
    bed_end(&b);
}

static void test_pairs_copy__owns_texts(void **state)
{
    (void)state;
    assert_null(overlay_pairs_copy(NULL, 0));
    char key[] = "key";
    char value[] = "value";
    const struct instance_pair pairs[] = {{span_str(key), span_str(value)},
                                          {SPAN("empty"), {NULL, 0}}};
    struct instance_pair *copy = overlay_pairs_copy(pairs, 2);
    key[0] = value[0] = 'x';
    assert_true(span_eq(copy[0].key, SPAN("key")));
    assert_true(span_eq(copy[0].value, SPAN("value")));
    assert_true(span_eq(copy[1].key, SPAN("empty")));
    assert_int_equal(copy[1].value.len, 0);
    mem_free(copy);
}

static void test_effective__without_overlay__is_the_same_object(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    const struct service *s = bed_service(&b, "demo");
    struct instance *published = s->shown[0]->published;
    struct instance *effective = overlay_effective(s, published, NULL);
    assert_ptr_equal(effective, published);
    instance_unref(effective);
    bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put__set_fields__are_shown_and_no_others),
        cmocka_unit_test(test_put__metadata__over_what_is_published),
        cmocka_unit_test(test_put__survives_its_instance_and_is_there_again),
        cmocka_unit_test(test_put__only_the_newest_of_an_address_shows_it),
        cmocka_unit_test(test_put__health_stays_the_clients),
        cmocka_unit_test(test_put__unknown_service__refused),
        cmocka_unit_test(test_put__more_metadata_than_the_limit__nothing_changes),
        cmocka_unit_test(test_put__refused_for_an_unknown_address__leaves_no_slot),
        cmocka_unit_test(test_drop__only_while_unused),
        cmocka_unit_test(test_pairs_copy__owns_texts),
        cmocka_unit_test(test_effective__without_overlay__is_the_same_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
